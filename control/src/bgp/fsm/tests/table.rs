//! RFC 4271 §8.2.2 as a table: what every event does in every state.

use super::*;
use crate::bgp::codec::announce;

#[derive(Clone, Copy, Debug)]
enum Event {
    Start,
    Stop,
    Reset,
    Connected,
    Accepted,
    Closed,
    Open,
    OpenOfAnotherAs,
    Keepalive,
    Update,
    Refresh,
    Cease,
    Noise,
    /// The next timer is due.
    Timer,
    /// Nothing is heard for a minute.
    Silence,
}

const STATES: [State; 6] =
    [State::Idle, State::Connect, State::Active, State::OpenSent, State::OpenConfirm, State::Established];

/// The state after each event, and the outputs, in the order of [`STATES`].
const TABLE: [(Event, [(State, &str); 6]); 15] = [
    (
        Event::Start,
        [
            (State::Connect, "connect"),
            (State::Connect, ""),
            (State::Active, ""),
            (State::OpenSent, ""),
            (State::OpenConfirm, ""),
            (State::Established, ""),
        ],
    ),
    (
        Event::Stop,
        [
            (State::Idle, ""),
            (State::Idle, "close"),
            (State::Idle, ""),
            (State::Idle, "send 6/2, close, failed GTH-BGP-16"),
            (State::Idle, "send 6/2, close, failed GTH-BGP-16"),
            (State::Idle, "send 6/2, close, down GTH-BGP-16"),
        ],
    ),
    (
        Event::Reset,
        [
            (State::Idle, ""),
            (State::Idle, "close"),
            (State::Idle, ""),
            (State::Idle, "send 6/4, close, failed GTH-BGP-16"),
            (State::Idle, "send 6/4, close, failed GTH-BGP-16"),
            (State::Idle, "send 6/4, close, down GTH-BGP-16"),
        ],
    ),
    (
        Event::Connected,
        [
            (State::Idle, ""),
            (State::OpenSent, "send OPEN"),
            (State::Active, ""),
            (State::OpenSent, ""),
            (State::OpenConfirm, ""),
            (State::Established, ""),
        ],
    ),
    (
        Event::Accepted,
        [
            (State::Idle, "close"),
            (State::OpenSent, "send OPEN"),
            (State::OpenSent, "send OPEN"),
            (State::OpenSent, "send OPEN"),
            (State::OpenConfirm, "send OPEN"),
            (State::Established, "send 6/7, close, send KEEPALIVE"),
        ],
    ),
    (
        Event::Closed,
        [
            (State::Idle, ""),
            (State::Active, "failed GTH-BGP-01"),
            (State::Active, ""),
            (State::Active, "close, failed GTH-BGP-02"),
            (State::Active, "close, failed GTH-BGP-02"),
            (State::Active, "close, down GTH-BGP-02"),
        ],
    ),
    (
        Event::Open,
        [
            (State::Idle, ""),
            (State::Connect, ""),
            (State::Active, ""),
            (State::OpenConfirm, "send KEEPALIVE"),
            (State::Idle, "send 5/2, close, failed GTH-BGP-12"),
            (State::Idle, "send 5/3, close, down GTH-BGP-12"),
        ],
    ),
    (
        Event::OpenOfAnotherAs,
        [
            (State::Idle, ""),
            (State::Connect, ""),
            (State::Active, ""),
            (State::Idle, "send 2/2, close, failed GTH-BGP-04"),
            (State::Idle, "send 5/2, close, failed GTH-BGP-12"),
            (State::Idle, "send 5/3, close, down GTH-BGP-12"),
        ],
    ),
    (
        Event::Keepalive,
        [
            (State::Idle, ""),
            (State::Connect, ""),
            (State::Active, ""),
            (State::Idle, "send 5/1, close, failed GTH-BGP-12"),
            (State::Established, "up"),
            (State::Established, ""),
        ],
    ),
    (
        Event::Update,
        [
            (State::Idle, ""),
            (State::Connect, ""),
            (State::Active, ""),
            (State::Idle, "send 5/1, close, failed GTH-BGP-12"),
            (State::Idle, "send 5/2, close, failed GTH-BGP-12"),
            (State::Established, "routes"),
        ],
    ),
    (
        Event::Refresh,
        [
            (State::Idle, ""),
            (State::Connect, ""),
            (State::Active, ""),
            (State::Idle, "send 5/1, close, failed GTH-BGP-12"),
            (State::Idle, "send 5/2, close, failed GTH-BGP-12"),
            (State::Established, "refresh IPv6 unicast"),
        ],
    ),
    (
        Event::Cease,
        [
            (State::Idle, ""),
            (State::Connect, ""),
            (State::Active, ""),
            (State::Idle, "close, failed GTH-BGP-09"),
            (State::Idle, "close, failed GTH-BGP-09"),
            (State::Idle, "close, down GTH-BGP-09"),
        ],
    ),
    (
        Event::Noise,
        [
            (State::Idle, ""),
            (State::Connect, ""),
            (State::Active, ""),
            (State::Idle, "send 1/1, close, failed GTH-BGP-12"),
            (State::Idle, "send 1/1, close, failed GTH-BGP-12"),
            (State::Idle, "send 1/1, close, down GTH-BGP-12"),
        ],
    ),
    (
        Event::Timer,
        [
            (State::Idle, ""),
            (State::Connect, "close, failed GTH-BGP-18, connect"),
            (State::Connect, "connect"),
            (State::Active, "send 4/0, close, failed GTH-BGP-20"),
            (State::OpenConfirm, "send KEEPALIVE"),
            (State::Established, "send KEEPALIVE"),
        ],
    ),
    (
        Event::Silence,
        [
            (State::Idle, ""),
            (State::Connect, "close, failed GTH-BGP-18, connect"),
            (State::Connect, "connect"),
            (State::Active, "send 4/0, close, failed GTH-BGP-20"),
            (State::Active, "send KEEPALIVE, send 4/0, close, failed GTH-BGP-03"),
            (State::Active, "send KEEPALIVE, send 4/0, close, down GTH-BGP-03"),
        ],
    ),
];

#[test]
fn every_event_in_every_state() {
    let open = OTHER.open(false, Families::NONE).emit();
    for (event, outcomes) in TABLE {
        for (state, outcome) in STATES.into_iter().zip(outcomes) {
            let (mut peer, id) = in_state(&CONFIG, state, &open);
            apply(&mut peer, id, event);
            let outputs = drain(&mut peer);
            assert_eq!((peer.state(), told(&outputs).as_str()), outcome, "{event:?} in {state:?}");
        }
    }
}

fn apply(peer: &mut Peer, id: ConnectionId, event: Event) {
    let now = at(1);
    let messages = match event {
        Event::Start => return peer.start(now),
        Event::Stop => return peer.stop(now, &Stop::Shutdown("maintenance".to_owned())),
        Event::Reset => return peer.reset(now, "new filters"),
        Event::Connected => return peer.connected(now, id),
        Event::Accepted => {
            peer.accepted(now);
            return;
        }
        Event::Closed => return peer.closed(now, id),
        Event::Timer => return peer.next().into_iter().for_each(|at| peer.poll(at)),
        Event::Silence => return peer.poll(at(60)),
        Event::Open => OTHER.open(false, Families::NONE).emit(),
        Event::OpenOfAnotherAs => Config { local_asn: 64513, ..OTHER }.open(false, Families::NONE).emit(),
        Event::Keepalive => header::keepalive(),
        Event::Update => announce::end_of_rib(Family::Ipv6),
        Event::Refresh => RouteRefresh { family: Family::Ipv6 }.emit(),
        Event::Cease => Notification::with_text(cease::SHUTDOWN, "later").emit(),
        Event::Noise => b"GET / HTTP/1.1\r\n\r\n".repeat(2),
    };
    peer.received(now, id, &messages);
}

#[test]
fn messages_arrive_in_whatever_pieces() {
    let stream =
        [OTHER.open(false, Families::NONE).emit(), header::keepalive(), announce::end_of_rib(Family::Ipv4)]
            .concat();
    for size in 1..=stream.len() {
        let (mut peer, id) = in_state(&CONFIG, State::OpenSent, &[]);
        for piece in stream.chunks(size) {
            peer.received(at(1), id, piece);
        }
        assert_eq!(told(&drain(&mut peer)), "send KEEPALIVE, up, routes", "pieces of {size}");
    }
}

#[test]
fn a_stopped_session_sends_nothing_and_hears_nobody() {
    let open = OTHER.open(false, Families::NONE).emit();
    let (mut peer, id) = in_state(&CONFIG, State::Established, &open);
    peer.stop(at(1), &Stop::TunnelDown);
    assert_eq!(told(&drain(&mut peer)), "send 6/2, close, down GTH-BGP-15");
    peer.send(at(2), [announce::end_of_rib(Family::Ipv4)]);
    peer.received(at(2), id, &header::keepalive());
    peer.accepted(at(2));
    assert_eq!(told(&drain(&mut peer)), "close");
    assert_eq!((peer.next(), peer.failure()), (None, Some(&Failure::TunnelDown)));
}

#[test]
fn a_passive_end_waits_for_the_peer() {
    let config = Config { passive: true, ..CONFIG };
    let mut peer = Peer::new(config, SEED);
    peer.start(at(0));
    assert_eq!((peer.state(), peer.next(), drain(&mut peer)), (State::Active, None, vec![]));
    assert_eq!(peer.failure(), Some(&Failure::Awaited));
    let id = peer.accepted(at(1));
    peer.closed(at(2), id);
    assert_eq!((peer.state(), peer.next()), (State::Active, None));
}

#[test]
fn a_session_without_a_hold_time_lasts_without_a_word() {
    let (mut peer, _) = in_state(
        &Config { hold_time: 0, ..CONFIG },
        State::Established,
        &OTHER.open(false, Families::NONE).emit(),
    );
    peer.poll(at(1_000_000));
    assert_eq!((peer.state(), peer.next(), drain(&mut peer)), (State::Established, None, vec![]));
}

/// H33: a peer that wants no hold time and says no more has the connection for a minute, not for ever.
#[test]
fn without_a_hold_time_too_the_keepalive_that_makes_a_session_is_waited_for_in_bounds() {
    let open = Config { hold_time: 0, ..OTHER }.open(false, Families::NONE).emit();
    let (mut peer, _) = in_state(&CONFIG, State::OpenConfirm, &open);
    peer.poll(at(59));
    assert_eq!((peer.state(), drain(&mut peer)), (State::OpenConfirm, vec![]));
    peer.poll(at(60));
    assert_eq!(told(&drain(&mut peer)), "send 4/0, close, failed GTH-BGP-03");
    assert_eq!(peer.state(), State::Active);
}

#[test]
fn an_update_is_as_good_as_a_keepalive_in_both_directions() {
    let open = OTHER.open(false, Families::NONE).emit();
    let (mut peer, id) = in_state(&CONFIG, State::Established, &open);
    for second in (0..300).step_by(5) {
        peer.received(at(second), id, &announce::end_of_rib(Family::Ipv4));
        peer.send(at(second), [announce::end_of_rib(Family::Ipv4)]);
        peer.poll(at(second + 5));
    }
    let outputs = drain(&mut peer);
    assert!(outputs.iter().all(|output| ["routes", "send UPDATE"].contains(&word(output).as_str())));
    assert_eq!(peer.state(), State::Established);
}

#[test]
fn a_peer_that_is_refused_again_and_again_is_met_ever_more_rarely() {
    let mut peer = Peer::new(CONFIG, SEED);
    peer.start(at(0));
    let (mut now, mut attempts) = (at(0), 0);
    while now < at(600) {
        for output in drain(&mut peer) {
            if let Output::Connect(id) = output {
                attempts += 1;
                peer.connected(now, id);
                let told = Notification::new(ErrorCode::OPEN, 2).emit();
                peer.received(now, id, &told);
            }
        }
        now = peer.next().expect("another attempt");
        peer.poll(now);
    }
    assert!((10..25).contains(&attempts), "{attempts} attempts in 10 min");
    assert_eq!(peer.failure(), Some(&Failure::OurAs { ours: 65010 }));
}

/// H32: whoever connects, says all that makes a session and closes, over and over, is met ever more rarely.
#[test]
fn a_peer_whose_sessions_do_not_last_is_met_ever_more_rarely() {
    for restart_time in [None, Some(120)] {
        let (ours, theirs) = (Config { restart_time, ..CONFIG }, Config { restart_time, ..OTHER });
        let mut peer = Peer::new(ours, SEED);
        peer.start(at(0));
        let mut sessions = 0;
        for tenth in 0..6000 {
            let now = Time::from_epoch(Duration::from_millis(100 * tenth));
            peer.poll(now);
            let id = peer.accepted(now);
            peer.received(now, id, &[theirs.open(false, Families::ALL).emit(), header::keepalive()].concat());
            sessions += drain(&mut peer).iter().filter(|output| matches!(output, Output::Up(_))).count();
            // With graceful restart the next connection ends the session as well.
            if tenth % 2 == 0 || restart_time.is_none() {
                peer.closed(now, id);
            }
        }
        assert!((8..25).contains(&sessions), "{sessions} sessions in 10 min");
    }
}

#[test]
fn a_tunnel_that_goes_and_comes_makes_no_peer_wait() {
    let open = OTHER.open(false, Families::NONE).emit();
    let (mut peer, _) = in_state(&CONFIG, State::Established, &open);
    for second in 1..20 {
        peer.stop(at(second), &Stop::TunnelDown);
        peer.start(at(second));
        let id = peer.accepted(at(second));
        peer.received(at(second), id, &[&open[..], &header::keepalive()].concat());
        assert_eq!(peer.state(), State::Established);
    }
}
