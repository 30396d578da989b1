//! What one tunnel of a cloud carries at most, as the vendors publish it: a tunnel that is near such a figure is told so.

use core::ops::RangeInclusive;

use super::document::Table;
use super::presets::Cloud;

/// Those of the tunnels of a connection: what its operator knows, else what is published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ceilings {
    /// Bits a second of inner packets.
    pub bandwidth: Vec<Ceiling>,
    /// Packets a second.
    pub packets: Vec<Ceiling>,
}

impl Ceilings {
    pub(super) fn read(table: &Table<'_>, cloud: Cloud) -> Self {
        let own = |of: &'static str, unit: u64, range: &RangeInclusive<u64>| {
            let limit = table.read(of, |value| value.integer(range))?;
            Some(vec![Ceiling { of, limit: limit.saturating_mul(unit), widest: true }])
        };
        let published = Self::from(cloud);
        Self {
            bandwidth: own("ceiling_mbit", MEGA, &MBIT).unwrap_or(published.bandwidth),
            packets: own("ceiling_packets", 1, &PACKETS).unwrap_or(published.packets),
        }
    }
}

/// As they are published.
impl From<Cloud> for Ceilings {
    fn from(cloud: Cloud) -> Self {
        Self { bandwidth: cloud.bandwidth_ceilings().to_vec(), packets: cloud.packet_ceilings().to_vec() }
    }
}

/// A figure that no tunnel of this kind exceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ceiling {
    /// Whose, as its console calls it, or the key of our configuration that says so.
    pub of: &'static str,
    /// Bits or packets a second, in one direction.
    pub limit: u64,
    /// There is no wider kind: what is well above it is in need of more all the same.
    pub widest: bool,
}

impl Cloud {
    /// Bits a second of inner packets, the narrowest kind of tunnel first. Azure's depend on the gateway's SKU, which no peer
    /// tells; those are for AES-GCM.
    pub const fn bandwidth_ceilings(self) -> &'static [Ceiling] {
        match self {
            Self::Aws => &[
                Ceiling { of: "AWS's standard tunnel", limit: 1_250_000_000, widest: false },
                Ceiling { of: "AWS's large tunnel", limit: 5_000_000_000, widest: false },
            ],
            Self::Azure => &[
                Ceiling { of: "Azure's VpnGw1", limit: 650_000_000, widest: false },
                Ceiling { of: "Azure's VpnGw4 and VpnGw5", limit: 2_300_000_000, widest: false },
            ],
            Self::Gcp | Self::Generic => &[],
        }
    }

    /// Packets a second.
    pub const fn packet_ceilings(self) -> &'static [Ceiling] {
        match self {
            Self::Aws => &[Ceiling { of: "AWS's standard tunnel", limit: 140_000, widest: false }],
            Self::Gcp => &[Ceiling { of: "Google Cloud's tunnel", limit: 250_000, widest: false }],
            Self::Azure | Self::Generic => &[],
        }
    }
}

const MEGA: u64 = 1_000_000;
const MBIT: RangeInclusive<u64> = 1..=1_000_000;
const PACKETS: RangeInclusive<u64> = 100..=1_000_000_000;
