//! Which tunnel of a connection carries the traffic. Pure: health in, decision out.
//!
//! [`decision`] decides with a memory, from every link of the chain; [`decide`] is its simplest case, without one.

pub mod damping;
pub mod decision;
pub mod facts;

/// What is known of one tunnel of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// The operator wants it up.
    pub wanted: bool,
    /// Its IKE SA is established and answers liveness checks.
    pub ike: bool,
    /// It has a child SA in both directions.
    pub esp: bool,
}

impl Health {
    /// Whether packets may be sent into it.
    pub const fn carries(self) -> bool {
        self.wanted && self.ike && self.esp
    }
}

/// The tunnel to route into, by its index: the one in use while it carries, else the first that does.
///
/// A repaired tunnel does not take the traffic back: every move costs packets, and the two are equal.
pub fn decide(tunnels: &[Health], active: Option<usize>) -> Option<usize> {
    let carries = |index: &usize| tunnels.get(*index).is_some_and(|health| health.carries());
    active.filter(carries).or_else(|| (0..tunnels.len()).find(carries))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UP: Health = Health { wanted: true, ike: true, esp: true };
    const DOWN: Health = Health { wanted: true, ike: false, esp: false };

    #[test]
    fn the_first_tunnel_that_carries_is_chosen() {
        assert_eq!(decide(&[UP, UP], None), Some(0));
        assert_eq!(decide(&[DOWN, UP], None), Some(1));
        assert_eq!(decide(&[DOWN, DOWN], None), None);
        assert_eq!(decide(&[], None), None);
    }

    #[test]
    fn traffic_moves_when_its_tunnel_falls_and_stays_when_the_other_returns() {
        assert_eq!(decide(&[DOWN, UP], Some(0)), Some(1));
        assert_eq!(decide(&[UP, UP], Some(1)), Some(1));
    }

    #[test]
    fn a_tunnel_without_one_of_its_links_carries_nothing() {
        for broken in
            [Health { wanted: false, ..UP }, Health { ike: false, ..UP }, Health { esp: false, ..UP }]
        {
            assert_eq!(decide(&[broken, UP], Some(0)), Some(1));
        }
    }

    #[test]
    fn an_index_beyond_a_shrunken_connection_is_forgotten() {
        assert_eq!(decide(&[UP], Some(3)), Some(0));
    }
}
