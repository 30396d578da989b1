//! How long the traffic of a connection had no tunnel: from the last that was heard of the tunnel that carried it to the moment
//! when the kernel has other routes. Pure.

use core::time::Duration;

use gotthard_ike::Time;

/// The gap of one connection, while it is open.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gap {
    since: Option<Time>,
}

impl Gap {
    /// No gap.
    pub const fn new() -> Self {
        Self { since: None }
    }

    /// Tunnels that carried carry no longer. `heard`: when the latest sign of life came through those among them that are
    /// broken; `None`: all of them live, and nothing is lost on the way.
    pub fn open(&mut self, heard: Option<Time>) {
        self.since = self.since.or(heard);
    }

    /// Traffic has tunnels again, from `now` on: how long it had none, where it had.
    pub fn close(&mut self, now: Time) -> Option<Duration> {
        self.since.take().map(|since| now.saturating_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_epoch(Duration::from_millis(millis))
    }

    #[test]
    fn a_gap_lasts_from_the_last_sign_of_life_until_there_are_routes() {
        let mut gap = Gap::default();
        gap.open(Some(at(1000)));
        assert_eq!(gap.close(at(1950)), Some(Duration::from_millis(950)));
        assert_eq!(gap.close(at(3000)), None, "it is told once");
    }

    #[test]
    fn a_planned_move_has_no_gap() {
        let mut gap = Gap::default();
        gap.open(None);
        assert_eq!(gap.close(at(5)), None);
    }

    #[test]
    fn with_no_tunnel_left_the_gap_stays_open_from_its_beginning() {
        let mut gap = Gap::default();
        gap.open(Some(at(1000)));
        gap.open(Some(at(4000)));
        assert_eq!(gap.close(at(9000)), Some(Duration::from_secs(8)));
    }
}
