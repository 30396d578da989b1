//! When the SAs of a connection are rekeyed, and when they end: the keys `ike_lifetime` to `child_packets`.

use core::ops::RangeInclusive;
use core::time::Duration;

use super::document::Table;
use super::values;

/// Hard limits of the SAs, and how long before them a rekey starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// An IKE SA lives so long.
    pub ike: Duration,
    /// A child SA lives so long.
    pub child: Duration,
    /// A rekey starts so long before the end of a lifetime, and never before its half.
    pub margin: Duration,
    /// Percent by which the margin is lengthened at most, at random.
    pub fuzz: u32,
    /// Octets of inner packets that a child SA carries each way; rekeyed at three quarters.
    pub bytes: Option<u64>,
    /// Packets that a child SA carries each way; rekeyed at three quarters.
    pub packets: Option<u64>,
}

impl Lifetimes {
    /// Lifetimes with the margin and the fuzz that AWS has.
    pub(super) const fn new(ike: Duration, child: Duration) -> Self {
        Self { ike, child, margin: AWS_MARGIN, fuzz: AWS_FUZZ, bytes: None, packets: None }
    }

    /// Reads the keys; what is absent or refused is as in `preset`.
    pub(super) fn read(table: &Table<'_>, preset: Self) -> Self {
        let lifetime = |key| table.read(key, |value| values::duration(value, &LIFETIME));
        let (ike, child) = (lifetime("ike_lifetime"), lifetime("child_lifetime"));
        let child = child.unwrap_or(preset.child);
        let margin = table.read("rekey_margin", |value| {
            let margin = values::duration(value, &MARGIN)?;
            if margin <= child / 2 {
                return Some(margin);
            }
            let (half, whole) = (humantime::format_duration(child / 2), humantime::format_duration(child));
            value.refuse(
                format!("is more than half of child_lifetime, which is {whole}"),
                format!("write at most \"{half}\", or a longer child_lifetime"),
            )
        });
        let fuzz = table.read("rekey_fuzz", |value| u32::try_from(value.integer(&FUZZ)?).ok());
        Self {
            ike: ike.unwrap_or(preset.ike),
            child,
            // With the fuzz that is at most half of the lifetime.
            margin: margin.unwrap_or_else(|| preset.margin.min(child / 4)),
            fuzz: fuzz.unwrap_or(preset.fuzz),
            bytes: table.read("child_bytes", |value| value.integer(&BYTES)).or(preset.bytes),
            packets: table.read("child_packets", |value| value.integer(&PACKETS)).or(preset.packets),
        }
    }
}

/// Shorter than a rekey takes makes no sense, longer than a day no safe key.
const LIFETIME: RangeInclusive<Duration> = Duration::from_secs(4)..=Duration::from_hours(24);
const MARGIN: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(12);
const FUZZ: RangeInclusive<u64> = 0..=100;
/// A tunnel of the clouds carries the least of these within a hundredth of a second.
const BYTES: RangeInclusive<u64> = 1_000_000..=i64::MAX as u64;
const PACKETS: RangeInclusive<u64> = 1_000..=i64::MAX as u64;
/// `rekeyMarginTimeSeconds` of an AWS tunnel where nobody sets it.
const AWS_MARGIN: Duration = Duration::from_secs(270);
/// `rekeyFuzzPercentage` of an AWS tunnel where nobody sets it.
const AWS_FUZZ: u32 = 100;
