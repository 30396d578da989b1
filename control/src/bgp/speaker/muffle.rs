//! A bound on what one peer, or a configuration, can make us write into the log.

use core::time::Duration;

use gotthard_ike::Time;

/// Lets a few lines through each minute, and counts the others.
#[derive(Clone, Debug, Default)]
pub(super) struct Muffle {
    began: Option<Time>,
    said: u32,
    untold: u64,
}

impl Muffle {
    /// Whether a line may be written, with how many were not before it.
    pub(super) fn say(&mut self, now: Time) -> Option<u64> {
        if self.began.is_none_or(|began| now.saturating_since(began) >= SPAN) {
            (self.began, self.said) = (Some(now), 0);
        }
        if self.said >= LINES {
            self.untold = self.untold.saturating_add(1);
            return None;
        }
        self.said = self.said.saturating_add(1);
        Some(core::mem::take(&mut self.untold))
    }
}

/// Lines in each span: a peer with a few wrong prefixes is told of in full.
const LINES: u32 = 5;
const SPAN: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_lines_a_minute_and_the_sixth_says_how_many_were_left_out() {
        let mut muffle = Muffle::default();
        let at = |seconds| Time::from_epoch(Duration::from_secs(seconds));
        let said: Vec<_> = (0..1000).filter_map(|_| muffle.say(at(0))).collect();
        assert_eq!(said, [0; 5]);
        assert_eq!(muffle.say(at(59)), None);
        assert_eq!(muffle.say(at(60)), Some(996));
    }
}
