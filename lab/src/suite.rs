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
            Self::Gcm => "aes256gcm16-sha256-modp2048",
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
    pub fn inner_mtu_in_udp(self) -> usize {
        let (block, _, _) = self.sizes();
        (1500 - self.outer_in_udp(0) + block) / block * block - TRAILER
    }

    /// Length of the outer IPv4 packet around an inner packet, ESP in UDP (RFC 4303 §2, RFC 3948 §2.1).
    pub fn outer_in_udp(self, inner: usize) -> usize {
        let (block, iv, icv) = self.sizes();
        IP + UDP + ESP + iv + (inner + TRAILER).next_multiple_of(block) + icv
    }

    /// Octets of the block that the payload is padded to, of the IV, and of the ICV.
    fn sizes(self) -> (usize, usize, usize) {
        match self {
            Self::Gcm => (4, 8, 16),
            Self::Cbc => (16, 16, 16),
        }
    }
}

const IP: usize = 20;
const UDP: usize = 8;
const ESP: usize = 8;
/// Pad length and next header.
const TRAILER: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mtu_is_that_of_the_published_table() {
        assert_eq!(Suite::ALL.map(Suite::inner_mtu_in_udp), [1438, 1422]);
    }

    #[test]
    fn the_mtu_just_fits() {
        for suite in Suite::ALL {
            assert!(suite.outer_in_udp(suite.inner_mtu_in_udp()) <= 1500);
            assert!(suite.outer_in_udp(suite.inner_mtu_in_udp() + 1) > 1500);
        }
    }
}
