//! What a relay does to packets, and the fate that a seed gives each of them.

use core::time::Duration;

use anyhow::{Context, Result};

use crate::hostile::Dice;

/// What a relay does to packets; shares are in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weather {
    /// Lost.
    pub loss: u16,
    /// Sent at once, so that they overtake those before them.
    pub hurried: u16,
    /// Sent twice.
    pub repeated: u16,
    /// What every packet takes, except one that overtakes.
    pub delay: Duration,
    /// What a packet takes at most beyond it, drawn for each anew: it reorders too.
    pub jitter: Duration,
    /// Largest packet that passes, in octets with its IP header; a larger one vanishes without a word.
    pub largest: usize,
    /// How long a CREATE_CHILD_SA request is held for one of the other side, so that the two cross.
    pub meeting: Duration,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is larger than the path.
    TooLarge,
    /// It is lost.
    Lost,
    /// It overtakes.
    Hurried,
    /// So often, after that time.
    Sent { copies: u8, delay: Duration },
    /// It waits for a request of the other side, at most that long.
    Held { delay: Duration },
}

impl Fate {
    /// The same, held for a time if it is to arrive.
    pub(super) const fn held(self, delay: Duration) -> Self {
        match self {
            Self::TooLarge | Self::Lost => self,
            Self::Hurried | Self::Sent { .. } | Self::Held { .. } if delay.is_zero() => self,
            Self::Hurried | Self::Sent { .. } | Self::Held { .. } => Self::Held { delay },
        }
    }
}

impl Weather {
    /// Every packet arrives, once, in order, at once.
    pub const FAIR: Self = Self {
        loss: 0,
        hurried: 0,
        repeated: 0,
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        largest: usize::MAX,
        meeting: Duration::ZERO,
    };

    /// 5 % lost, 5 % overtaking, 1 % twice, up to 100 ms late.
    pub const FOUL: Self =
        Self { loss: 50, hurried: 50, repeated: 10, jitter: Duration::from_millis(100), ..Self::FAIR };

    /// Draws as many numbers for each packet, whatever its fate: that of the next does not depend on it.
    pub(super) fn fate(&self, packet: &[u8], dice: &mut Dice) -> Fate {
        let [lost, hurried, repeated, late] = core::array::from_fn(|_| dice.word());
        let happens = |word: u64, share: u16| word % 1000 < u64::from(share);
        if packet.len() > self.largest {
            return Fate::TooLarge;
        }
        if happens(lost, self.loss) {
            return Fate::Lost;
        }
        if happens(hurried, self.hurried) {
            return Fate::Hurried;
        }
        let jitter = u64::try_from(self.jitter.as_nanos()).unwrap_or(u64::MAX);
        let late = Duration::from_nanos(late.checked_rem(jitter).unwrap_or(0));
        Fate::Sent { copies: 1 + u8::from(happens(repeated, self.repeated)), delay: self.delay + late }
    }
}

/// The seed that `GOTTHARD_LAB_SEED` names, else one from the clock.
pub fn seed() -> Result<u64> {
    match std::env::var(SEED) {
        Ok(seed) => seed.parse().with_context(|| format!("{SEED}={seed}")),
        Err(_) => Ok(u64::from(std::time::UNIX_EPOCH.elapsed()?.subsec_nanos())),
    }
}

const SEED: &str = "GOTTHARD_LAB_SEED";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_fates_in_about_the_shares_asked_for() {
        let fates = |seed| {
            let mut dice = Dice::new(seed);
            (0..10_000).map(|_| Weather::FOUL.fate(b"packet", &mut dice)).collect::<Vec<_>>()
        };
        let one = fates(7);
        assert_eq!(one, fates(7));
        assert_ne!(one, fates(8));
        let share = |wanted: fn(&Fate) -> bool| one.iter().filter(|fate| wanted(fate)).count();
        assert!((400..600).contains(&share(|fate| *fate == Fate::Lost)));
        assert!((380..580).contains(&share(|fate| *fate == Fate::Hurried)));
        assert!((50..150).contains(&share(|fate| matches!(fate, Fate::Sent { copies: 2, .. }))));
        let in_time = |fate: &Fate| match fate {
            Fate::Sent { delay, .. } => *delay < Weather::FOUL.jitter,
            Fate::TooLarge | Fate::Lost | Fate::Hurried | Fate::Held { .. } => true,
        };
        assert!(one.iter().all(in_time));
    }

    #[test]
    fn a_packet_larger_than_the_path_vanishes_whatever_the_weather() {
        let narrow = Weather { largest: 576, ..Weather::FAIR };
        let fate = |length| narrow.fate(&vec![0; length], &mut Dice::new(1));
        assert_eq!(fate(577), Fate::TooLarge);
        assert_eq!(fate(576), Fate::Sent { copies: 1, delay: Duration::ZERO });
    }
}
