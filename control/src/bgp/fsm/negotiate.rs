//! What two OPENs agree on (RFC 4271 §4.2, §6.2; RFC 5492 §3), and which of two connections stays (RFC 4271 §6.8).

use std::time::Duration;

use super::config::Config;
use super::connection::Direction;
use crate::bgp::codec::capability::GracefulRestart;
use crate::bgp::codec::iana::{ErrorCode, open_error};
use crate::bgp::codec::{Families, Notification, Open, Session};
use crate::bgp::failure::Failure;

/// A session's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// How UPDATEs are written and read.
    pub session: Session,
    /// Silence after which the peer is lost; `None`: never.
    pub hold_time: Option<Duration>,
    /// The peer's OPEN.
    pub peer: Open,
    /// The peer tells its routes again when it is asked.
    pub route_refresh: bool,
    /// The peer's graceful restart, where both ends have it (RFC 4724).
    pub restart: Option<GracefulRestart>,
    /// A NOTIFICATION does not end the routes, a Hard Reset does (RFC 8538).
    pub hard_reset: bool,
}

impl Negotiated {
    /// Families whose routes outlive a lost session.
    pub(super) fn kept(&self) -> Families {
        self.restart.map(|restart| restart.families.intersection(self.session.families)).unwrap_or_default()
    }
}

/// Judges the peer's OPEN by the configuration.
pub(super) fn negotiate(config: &Config, theirs: &Open) -> Result<Negotiated, (Notification, Failure)> {
    let refused = |subcode| Notification::new(ErrorCode::OPEN, subcode);
    if theirs.asn != config.peer_asn {
        let failure = Failure::PeerAs { configured: config.peer_asn, theirs: theirs.asn };
        return Err((refused(open_error::BAD_PEER_AS), failure));
    }
    let external = config.local_asn != config.peer_asn;
    // Between two ASes the identifier need not differ (RFC 6286 §2.1).
    if !external && theirs.identifier == config.identifier {
        let told = refused(open_error::BAD_IDENTIFIER);
        return Err((told.clone(), Failure::PeerOpen(told)));
    }
    let capabilities = theirs.capabilities;
    let offered = capabilities.families.unwrap_or(Families::IPV4);
    let families = config.families.intersection(offered);
    if families.is_empty() {
        let failure = Failure::NoFamily { ours: config.families, theirs: offered };
        return Err((refused(open_error::CAPABILITY), failure));
    }
    let seconds = config.hold_time.min(theirs.hold_time);
    let restart = capabilities.graceful_restart.filter(|_| config.restart_time.is_some());
    Ok(Negotiated {
        session: Session {
            peer_asn: theirs.asn,
            external,
            four_octet_as: capabilities.four_octet_as.is_some(),
            families,
        },
        hold_time: (seconds > 0).then(|| Duration::from_secs(seconds.into())),
        peer: *theirs,
        route_refresh: capabilities.route_refresh,
        restart,
        hard_reset: restart.is_some_and(|restart| restart.notification),
    })
}

/// Of two connections, the one to close: that of the end with the lower identifier (RFC 4271 §6.8), or with the lower AS
/// number where the identifiers are the same (RFC 6286 §2.3).
pub(super) fn loser(config: &Config, theirs: &Open) -> Direction {
    if (config.identifier, config.local_asn) < (theirs.identifier, theirs.asn) {
        Direction::Outgoing
    } else {
        Direction::Incoming
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::bgp::fsm::tests;

    const CONFIG: Config = Config { restart_time: Some(120), ..tests::CONFIG };

    fn theirs() -> Open {
        Config { local_asn: 64512, identifier: Ipv4Addr::new(192, 0, 2, 2), ..CONFIG }
            .open(false, Families::ALL)
    }

    #[test]
    fn the_lower_hold_time_holds_and_zero_is_the_lowest() {
        for (ours, peer, agreed) in [(30, 180, Some(30)), (180, 60, Some(60)), (30, 0, None), (0, 30, None)] {
            let config = Config { hold_time: ours, ..CONFIG };
            let terms = negotiate(&config, &Open { hold_time: peer, ..theirs() }).unwrap();
            assert_eq!(terms.hold_time, agreed.map(Duration::from_secs));
        }
    }

    #[test]
    fn a_peer_without_capabilities_speaks_ipv4_and_two_octets() {
        let bare = Open { capabilities: crate::bgp::codec::capability::Capabilities::default(), ..theirs() };
        let terms = negotiate(&CONFIG, &bare).unwrap();
        assert_eq!(terms.session.families, Families::IPV4);
        assert!(!terms.session.four_octet_as && !terms.route_refresh && !terms.hard_reset);
        assert_eq!((terms.restart, terms.kept()), (None, Families::NONE));
        let ours = Config { families: [crate::bgp::codec::Family::Ipv6].into_iter().collect(), ..CONFIG };
        let (told, failure) = negotiate(&ours, &bare).unwrap_err();
        assert_eq!((told.subcode, failure.code()), (open_error::CAPABILITY, "GTH-BGP-06"));
    }

    #[test]
    fn another_as_is_refused_and_an_identifier_like_ours_only_within_an_as() {
        let (told, failure) = negotiate(&CONFIG, &Open { asn: 64513, ..theirs() }).unwrap_err();
        assert_eq!((told.subcode, failure.code()), (open_error::BAD_PEER_AS, "GTH-BGP-04"));
        let twin = Open { identifier: CONFIG.identifier, ..theirs() };
        assert!(negotiate(&CONFIG, &twin).is_ok());
        let internal = Config { peer_asn: 65010, ..CONFIG };
        let (told, failure) = negotiate(&internal, &Open { asn: 65010, ..twin }).unwrap_err();
        assert_eq!((told.subcode, failure.code()), (open_error::BAD_IDENTIFIER, "GTH-BGP-05"));
    }

    #[test]
    fn the_connection_of_the_lower_identifier_is_closed_at_both_ends() {
        let other =
            Config { local_asn: 64512, peer_asn: 65010, identifier: Ipv4Addr::new(192, 0, 2, 2), ..CONFIG };
        assert_eq!(loser(&CONFIG, &theirs()), Direction::Outgoing);
        assert_eq!(loser(&other, &CONFIG.open(false, Families::NONE)), Direction::Incoming);
        let twin = Open { identifier: CONFIG.identifier, ..theirs() };
        assert_eq!(loser(&CONFIG, &twin), Direction::Incoming, "AS 65010 is above AS 64512");
    }
}
