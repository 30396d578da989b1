//! Prefixes whose last session has ended without taking them back: their packets are refused, and do not leave in clear by
//! another way, until the session has had the time to tell them again.

use std::collections::BTreeMap;

use ipnet::IpNet;

/// The prefixes, each with the connection and the tunnel that brought it last.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Lost(BTreeMap<IpNet, Origin>);

/// The names of a connection and of its tunnel: a reload gives a tunnel that it changes another identity.
type Origin = (String, String);

impl Lost {
    /// Takes a prefix; false: there are too many.
    pub(super) fn hold(&mut self, prefix: IpNet, (connection, tunnel): (&str, &str)) -> bool {
        let room = self.0.len() < MOST_LOST;
        if room {
            self.0.insert(prefix, (connection.to_owned(), tunnel.to_owned()));
        }
        room
    }

    /// The prefix is announced again, or taken back.
    pub(super) fn forget(&mut self, prefix: &IpNet) {
        self.0.remove(prefix);
    }

    /// Returns what need not be held any longer by what is known of its tunnel.
    pub(super) fn release(&mut self, has_told: impl Fn((&str, &str)) -> bool) -> Vec<IpNet> {
        self.0
            .extract_if(.., |_, (connection, tunnel)| has_told((connection, tunnel)))
            .map(|(p, _)| p)
            .collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them with its connection.
    pub(in crate::daemon) fn iter(&self) -> impl Iterator<Item = (IpNet, &str)> {
        self.0.iter().map(|(prefix, (connection, _))| (*prefix, connection.as_str()))
    }
}

/// A peer that announces other prefixes in each of its sessions fills no more than this: what the largest quotas of a few
/// tunnels hold.
const MOST_LOST: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().expect("a prefix")
    }

    #[test]
    fn a_prefix_is_held_until_its_own_tunnel_has_told_or_it_is_announced_again() {
        let mut lost = Lost::default();
        for (prefix, tunnel) in [("10.1.0.0/16", "1"), ("10.2.0.0/16", "2"), ("10.3.0.0/16", "1")] {
            assert!(lost.hold(net(prefix), ("aws", tunnel)));
        }
        lost.forget(&net("10.3.0.0/16"));
        assert_eq!(lost.release(|_| false), []);
        assert_eq!(lost.release(|names| names == ("aws", "1")), [net("10.1.0.0/16")]);
        assert_eq!(lost.iter().collect::<Vec<_>>(), [(net("10.2.0.0/16"), "aws")]);
    }

    #[test]
    fn there_is_a_bound() {
        let mut lost = Lost::default();
        let first = u32::from(std::net::Ipv4Addr::new(10, 0, 0, 0));
        let prefix = |n: usize| {
            let host = first + u32::try_from(n).expect("a few");
            IpNet::from(ipnet::Ipv4Net::from(std::net::Ipv4Addr::from(host)))
        };
        assert!((0..MOST_LOST).all(|n| lost.hold(prefix(n), ("aws", "1"))));
        assert!(!lost.hold(prefix(MOST_LOST), ("aws", "1")));
    }
}
