//! The two suites every scenario runs with, and what they cost on the wire.

/// What both ends are told to use. Keywords are strongSwan's, which our configuration shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// AES-256-GCM-16, group 14.
    Gcm,
    /// AES-256-CBC with HMAC-SHA2-256-128, group 14.
    Cbc,
}

impl Suite {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Gcm, Self::Cbc];

    /// The IKE proposal.
    pub fn ike(self) -> &'static str {
        match self {
            Self::Gcm => "aes256gcm16-prfsha256-modp2048",
            Self::Cbc => "aes256-sha256-modp2048",
        }
    }

    /// The ESP proposal; its group is that of rekeys (PFS).
    pub fn esp(self) -> &'static str {
        match self {
            Self::Gcm => "aes256gcm16-modp2048",
            Self::Cbc => "aes256-sha256-modp2048",
        }
    }

    /// What `status` calls the ESP suite: its transforms, whatever follows them.
    pub fn esp_name(self) -> &'static str {
        match self {
            Self::Gcm => "aes256gcm16",
            Self::Cbc => "aes256-sha256",
        }
    }

    /// A file-name friendly word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Gcm => "gcm",
            Self::Cbc => "cbc",
        }
    }

    /// Largest inner packet in an outer IPv4 packet of 1500 octets, ESP in UDP.
    ///
    /// Outer IPv4 20, UDP 8, ESP 8, IV and ICV leave whole blocks; pad length and next header take 2 of them.
    pub fn inner_mtu_in_udp(self) -> usize {
        let (block, iv, icv) = match self {
            Self::Gcm => (4, 8, 16),
            Self::Cbc => (16, 16, 16),
        };
        (1500 - 20 - 8 - 8 - iv - icv) / block * block - 2
    }
}
