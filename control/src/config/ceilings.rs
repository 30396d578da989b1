//! What one tunnel of a cloud carries at most, as the vendors publish it: a tunnel that is near such a figure is told so.

use super::presets::Cloud;

/// A figure that no tunnel of this kind exceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ceiling {
    /// Whose, as its console calls it.
    pub of: &'static str,
    /// Bits or packets a second, in one direction.
    pub limit: u64,
}

impl Cloud {
    /// Bits a second of inner packets, the narrowest kind of tunnel first. Azure's depend on the gateway's SKU, which no peer
    /// tells; those are for AES-GCM.
    pub const fn bandwidth_ceilings(self) -> &'static [Ceiling] {
        match self {
            Self::Aws => &[
                Ceiling { of: "AWS's standard tunnel", limit: 1_250_000_000 },
                Ceiling { of: "AWS's large tunnel", limit: 5_000_000_000 },
            ],
            Self::Azure => &[
                Ceiling { of: "Azure's VpnGw1", limit: 650_000_000 },
                Ceiling { of: "Azure's VpnGw4 and VpnGw5", limit: 2_300_000_000 },
            ],
            Self::Gcp | Self::Generic => &[],
        }
    }

    /// Packets a second.
    pub const fn packet_ceilings(self) -> &'static [Ceiling] {
        match self {
            Self::Aws => &[Ceiling { of: "AWS's standard tunnel", limit: 140_000 }],
            Self::Gcp => &[Ceiling { of: "Google Cloud's tunnel", limit: 250_000 }],
            Self::Azure | Self::Generic => &[],
        }
    }
}
