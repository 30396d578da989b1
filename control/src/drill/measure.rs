//! What a flow of echoes tells: how many were lost, and for how long none came through. Pure.

use core::ops::Range;
use core::time::Duration;

/// An echo that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo {
    /// When, since the start of the flow.
    pub sent: Duration,
    /// It was answered.
    pub answered: bool,
}

/// What became of the echoes of some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// Echoes sent.
    pub sent: u64,
    /// Of these, not answered.
    pub lost: u64,
    /// The longest time from the first of some that were lost in a row to the next that was answered.
    pub gap: Duration,
}

/// Of the echoes that were sent within this time.
pub fn over(echoes: &[Echo], window: &Range<Duration>) -> Measured {
    let mut measured = Measured::default();
    let mut silent: Option<Duration> = None;
    for echo in echoes.iter().filter(|echo| window.contains(&echo.sent)) {
        measured.sent = measured.sent.saturating_add(1);
        if !echo.answered {
            measured.lost = measured.lost.saturating_add(1);
            silent.get_or_insert(echo.sent);
        } else if let Some(since) = silent.take() {
            measured.gap = measured.gap.max(echo.sent.saturating_sub(since));
        }
    }
    if let Some(since) = silent {
        measured.gap = measured.gap.max(window.end.saturating_sub(since));
    }
    measured
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(lost: &[u64]) -> Vec<Echo> {
        let echo = |millis| Echo { sent: Duration::from_millis(millis), answered: !lost.contains(&millis) };
        (0..100).map(echo).collect()
    }

    fn measured(lost: &[u64], window: Range<u64>) -> (u64, u64, u128) {
        let window = Duration::from_millis(window.start)..Duration::from_millis(window.end);
        let Measured { sent, lost, gap } = over(&flow(lost), &window);
        (sent, lost, gap.as_millis())
    }

    #[test]
    fn nothing_lost_is_no_gap() {
        assert_eq!(measured(&[], 10..60), (50, 0, 0));
        assert_eq!(measured(&[5, 70], 10..60), (50, 0, 0), "outside of the time");
    }

    #[test]
    fn the_gap_is_the_longest_silence() {
        assert_eq!(measured(&[20, 30, 31, 32], 10..60), (50, 4, 3));
    }

    #[test]
    fn a_silence_to_the_end_counts_to_the_end() {
        assert_eq!(measured(&(50..100).collect::<Vec<_>>(), 10..60), (50, 10, 10));
    }
}
