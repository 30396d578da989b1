//! Events in any order: what holds whatever the peer and its connections do.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::bgp::codec::announce;

proptest! {
    #[test]
    fn sessions_begin_and_end_in_turn_and_every_connection_is_closed_once(
        graceful: bool,
        events in prop::collection::vec((0..14_u8, any::<prop::sample::Index>(), 0..40_u64), 1..120),
    ) {
        let config = Config { restart_time: graceful.then_some(120), ..CONFIG };
        let mut peer = Peer::new(config, SEED);
        let mut seen = Seen::default();
        let mut now = at(0);
        for (event, which, seconds) in events {
            now = now + Duration::from_secs(seconds);
            // Of connections that are closed too: what was under way when they were.
            let id = ConnectionId(which.index(8) as u64 + peer.last_id.saturating_sub(6));
            apply(&mut peer, now, id, event, &mut seen);
            for output in drain(&mut peer) {
                seen.take(&output)?;
            }
            prop_assert!(peer.connections.len() <= 2);
            prop_assert_eq!(peer.state() == State::Established, seen.up);
        }
        peer.stop(now, &Stop::Deconfigured);
        for output in drain(&mut peer) {
            seen.take(&output)?;
        }
        prop_assert!(seen.open.is_empty() && !seen.up, "{:?}", seen);
        prop_assert_eq!(peer.next(), None);
    }
}

/// What the outputs have told so far.
#[derive(Debug, Default)]
struct Seen {
    open: BTreeSet<ConnectionId>,
    up: bool,
}

impl Seen {
    fn take(&mut self, output: &Output) -> Result<(), TestCaseError> {
        match output {
            Output::Connect(id) => prop_assert!(self.open.insert(*id)),
            Output::Close(id) => prop_assert!(self.open.remove(id), "{id:?} is closed twice"),
            Output::Send(id, _) => prop_assert!(self.open.contains(id), "{id:?} is closed"),
            Output::Up(_) => prop_assert!(!core::mem::replace(&mut self.up, true)),
            Output::Down(..) => prop_assert!(core::mem::replace(&mut self.up, false)),
            Output::Routes(_) | Output::Refresh(_) => prop_assert!(self.up),
            Output::Failed(_) | Output::Flush(_) => {}
        }
        Ok(())
    }
}

fn apply(peer: &mut Peer, now: Time, id: ConnectionId, event: u8, seen: &mut Seen) {
    let graceful = Config { restart_time: Some(90), ..OTHER };
    let message = match event {
        0 => return peer.start(now),
        1 => return peer.stop(now, &Stop::TunnelDown),
        2 => return peer.reset(now, ""),
        3 | 4 => return peer.connected(now, id),
        5 => {
            seen.open.insert(peer.accepted(now));
            return;
        }
        6 => {
            // An attempt that failed is no connection to close.
            if peer.attempt == Some(id) {
                seen.open.remove(&id);
            }
            return peer.closed(now, id);
        }
        7 => return peer.poll(now),
        8 | 9 => graceful.open(false, Families::ALL).emit(),
        10 | 11 => header::keepalive(),
        12 => announce::end_of_rib(Family::Ipv4),
        _ => Notification::cease(cease::COLLISION).emit(),
    };
    peer.received(now, id, &message);
}
