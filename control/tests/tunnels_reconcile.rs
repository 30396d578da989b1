//! A tunnel's desired state under a virtual clock.

use core::time::Duration;

use gotthard::tunnels::{Action, Admin, Change, Phase, Tunnel};
use gotthard_ike::config::{Encapsulation, Mode, PeerId};
use gotthard_ike::error::{Failure, Sa, Side, Stage};
use gotthard_ike::event::Nat;
use gotthard_ike::{Event, Time};

const PEER: PeerId = PeerId(1);

#[test]
fn an_initiator_starts_at_once_and_a_responder_waits() {
    let mut ours = Tunnel::new(Mode::Initiator, Time::ZERO, 1);
    assert_eq!(ours.poll(Time::ZERO), [Action::Initiate]);
    assert_eq!(ours.phase(), Phase::Connecting);

    let mut theirs = Tunnel::new(Mode::Responder, Time::ZERO, 1);
    assert_eq!((theirs.next(), theirs.poll(at(1000))), (None, vec![]));
    assert_eq!(up(&mut theirs, at(1001)), Some(Change::Up));
    assert_eq!(theirs.phase(), Phase::Up);
}

#[test]
fn a_thousand_refusals_are_followed_by_a_thousand_and_first_attempt_within_the_cap() {
    let mut tunnel = Tunnel::new(Mode::Initiator, Time::ZERO, 9);
    let mut now = Time::ZERO;
    for _ in 0..1000 {
        assert_eq!(tunnel.poll(now), [Action::Initiate]);
        tunnel.on_event(now, &failed(refused()));
        assert_eq!(tunnel.phase(), Phase::Waiting);
        let next = tunnel.next().expect("never gives up");
        let wait = next - now;
        assert!(wait >= Duration::from_millis(375) && wait <= Duration::from_secs(15), "{wait:?}");
        assert!(tunnel.poll(now).is_empty(), "not before its time");
        now = next;
    }
    assert_eq!(tunnel.failure(), Some(&refused()));
}

#[test]
fn the_same_failure_is_news_once() {
    let mut tunnel = Tunnel::new(Mode::Initiator, Time::ZERO, 9);
    tunnel.poll(at(0));
    assert_eq!(tunnel.on_event(at(1), &failed(refused())), Some(Change::Failed(refused())));
    tunnel.poll(tunnel.next().expect("scheduled"));
    assert_eq!(tunnel.on_event(at(9), &failed(refused())), None);
    tunnel.poll(tunnel.next().expect("scheduled"));
    assert_eq!(tunnel.on_event(at(30), &failed(silence())), Some(Change::Failed(silence())));
}

#[test]
fn a_silent_peer_is_asked_again_at_once_however_often_it_was_silent() {
    let mut tunnel = Tunnel::new(Mode::Initiator, Time::ZERO, 9);
    let mut now = Time::ZERO;
    for _ in 0..20 {
        tunnel.poll(now);
        now = now + Duration::from_secs(12);
        tunnel.on_event(now, &failed(silence()));
        let next = tunnel.next().expect("scheduled");
        assert!(next - now <= Duration::from_millis(500));
        now = next;
    }
}

#[test]
fn a_tunnel_that_falls_is_built_again() {
    let mut tunnel = established(at(0));
    let change = tunnel.on_event(at(100), &Event::IkeDown { peer: PEER, reason: silence() });
    assert_eq!(change, Some(Change::Down(silence())));
    assert_eq!((tunnel.phase(), tunnel.since()), (Phase::Waiting, at(100)));
    let next = tunnel.next().expect("scheduled");
    assert!(next - at(100) <= Duration::from_millis(500));
    assert_eq!(tunnel.poll(next), [Action::Initiate]);
    assert_eq!(up(&mut tunnel, at(103)), Some(Change::Up));
    assert_eq!(tunnel.failure(), None);
}

#[test]
fn an_ike_sa_that_lost_its_child_is_replaced_as_a_whole() {
    let mut tunnel = established(at(0));
    let reason = Failure::PeerDeleted { what: Sa::Child };
    assert!(tunnel.on_event(at(60), &Event::ChildDown { peer: PEER, reason }).is_some());
    assert!(tunnel.ike().is_some());
    assert_eq!(tunnel.poll(tunnel.next().expect("scheduled")), [Action::Terminate, Action::Initiate]);
    let ours = Event::IkeDown { peer: PEER, reason: Failure::Administrative };
    assert_eq!(tunnel.on_event(at(61), &ours), None, "our own Terminate is no news");
    assert_eq!(tunnel.phase(), Phase::Connecting);
    assert_eq!(up(&mut tunnel, at(62)), Some(Change::Up));
}

#[test]
fn rekeys_count_over_reconnects_and_change_nothing_else() {
    let mut tunnel = established(at(0));
    for _ in 0..3 {
        assert_eq!(tunnel.on_event(at(5), &child_up(true)), Some(Change::ChildRekeyed));
    }
    tunnel.on_event(at(6), &Event::IkeDown { peer: PEER, reason: silence() });
    up(&mut tunnel, at(8));
    tunnel.on_event(at(9), &child_up(true));
    assert_eq!(tunnel.child_rekeys(), 4);
    assert_eq!(tunnel.child_rekey_took(), Duration::from_millis(12), "the last one");
    assert_eq!((tunnel.phase(), tunnel.since()), (Phase::Up, at(8)));
}

#[test]
fn a_second_ike_sa_takes_over_and_the_tunnel_was_up_throughout() {
    let mut tunnel = established(at(0));
    tunnel.on_event(at(1), &child_up(true));
    assert_eq!(tunnel.on_event(at(50), &ike_up(3)), Some(Change::Replaced));
    assert_eq!(tunnel.on_event(at(50), &child_up(false)), None);
    assert_eq!(tunnel.on_event(at(60), &Event::IkeDown { peer: PEER, reason: Failure::Replaced }), None);
    assert_eq!((tunnel.phase(), tunnel.since()), (Phase::Up, at(0)));
    assert_eq!((tunnel.ike().map(|sa| sa.spi_i), tunnel.child_rekeys()), (Some(3), 1));
}

#[test]
fn a_child_that_is_used_up_is_rekeyed_and_asked_for_again_until_it_is() {
    let mut tunnel = established(at(0));
    assert_eq!(tunnel.rekey_child(at(10)), [Action::RekeyChild]);
    assert_eq!(tunnel.rekey_child(at(11)), [], "it is under way");
    let again = tunnel.next().expect("scheduled");
    assert_eq!(tunnel.poll(again), [Action::RekeyChild]);
    tunnel.on_event(again, &child_up(true));
    assert_eq!((tunnel.next(), tunnel.phase(), tunnel.since()), (None, Phase::Up, at(0)));

    tunnel.rekey_child(at(30));
    tunnel.on_event(at(31), &Event::IkeDown { peer: PEER, reason: silence() });
    assert_eq!(
        tunnel.poll(tunnel.next().expect("scheduled")),
        [Action::Initiate],
        "nothing to rekey any more"
    );
    assert_eq!(tunnel.rekey_child(at(32)), []);
}

/// What is refused for its configuration is refused an hour later too, also to the SA that follows.
#[test]
fn a_rekey_that_is_refused_for_its_configuration_is_remembered_until_one_is_not() {
    let proposal = Failure::ChildProposal { by: Side::Peer, ours: "a".into(), theirs: None };
    let failed = |what, reason: &Failure| Event::RekeyFailed { peer: PEER, what, reason: reason.clone() };
    let mut tunnel = established(at(0));
    tunnel.on_event(at(1), &failed(Sa::Child, &silence()));
    tunnel.on_event(at(1), &failed(Sa::Ike, &proposal));
    assert_eq!(tunnel.rekey_refused(), None, "nobody answered, and the other SA");
    tunnel.on_event(at(2), &failed(Sa::Child, &proposal));
    tunnel.on_event(at(3), &Event::ChildDown { peer: PEER, reason: Failure::Lifetime { what: Sa::Child } });
    up(&mut tunnel, at(4));
    assert_eq!(tunnel.rekey_refused(), Some(&proposal));
    tunnel.on_event(at(5), &child_up(true));
    assert_eq!(tunnel.rekey_refused(), None);
}

#[test]
fn the_end_of_a_replaced_ike_sa_is_not_the_end_of_the_tunnel() {
    let mut tunnel = established(at(0));
    up(&mut tunnel, at(50));
    assert_eq!(tunnel.on_event(at(51), &Event::IkeDown { peer: PEER, reason: Failure::Replaced }), None);
    assert_eq!(tunnel.phase(), Phase::Up);
}

#[test]
fn down_by_the_operator_holds_until_up() {
    let mut tunnel = established(at(0));
    assert_eq!(tunnel.set_admin(at(10), Admin::Down), [Action::Terminate]);
    assert_eq!(tunnel.set_admin(at(11), Admin::Down), []);
    assert_eq!(
        tunnel.on_event(at(11), &Event::IkeDown { peer: PEER, reason: Failure::Administrative }),
        None
    );
    assert_eq!((tunnel.phase(), tunnel.next()), (Phase::AdminDown, None));
    assert_eq!(tunnel.poll(at(100_000)), []);
    assert_eq!(tunnel.set_admin(at(100_001), Admin::Up), [Action::Initiate]);
}

#[test]
fn a_stranger_who_fails_on_a_tunnel_that_is_up_does_not_take_it_down() {
    let mut tunnel = established(at(0));
    assert!(tunnel.on_event(at(3), &failed(refused())).is_some());
    assert_eq!((tunnel.phase(), tunnel.failure()), (Phase::Up, None));
}

#[test]
fn a_renewed_tunnel_ends_and_starts_in_one_step() {
    let mut tunnel = established(at(0));
    assert_eq!(tunnel.renew(at(5)), [Action::Terminate, Action::Initiate]);
    assert_eq!(tunnel.renew(at(5)), [], "once");
}

#[test]
fn a_tunnel_that_was_taken_down_stays_down_under_a_new_configuration() {
    let mut before = established(at(0));
    before.on_event(at(1), &child_up(true));
    before.set_admin(at(5), Admin::Down);
    let mut after = Tunnel::new(Mode::Initiator, at(9), 2);
    after.continues(&before);
    assert_eq!((after.phase(), after.since(), after.next()), (Phase::AdminDown, at(5), None));
    assert_eq!(after.child_rekeys(), 1);
    assert_eq!(after.set_admin(at(10), Admin::Up), [Action::Initiate]);
}

#[test]
fn a_silent_tunnel_is_asked_at_once_and_soon_another_sa_is_tried_beside_it() {
    let mut tunnel = established(at(0));
    assert_eq!(tunnel.doubt(at(100)), [Action::CheckLiveness]);
    assert_eq!(tunnel.doubt(at(100)), [], "once");
    assert_eq!(tunnel.next(), Some(at(102)));
    assert_eq!(tunnel.poll(at(101)), []);
    assert_eq!(tunnel.poll(at(102)), [Action::Replace]);
    assert_eq!(tunnel.poll(at(105)), [Action::Replace], "an attempt that failed is made again");
    assert_eq!(tunnel.phase(), Phase::Up, "its SAs end by their own time");
    assert_eq!(tunnel.on_event(at(106), &ike_up(9)), Some(Change::Replaced));
    tunnel.trust();
    assert_eq!(tunnel.next(), None);
}

#[test]
fn a_peer_that_answers_under_its_ike_sa_is_asked_again_and_not_replaced() {
    let mut tunnel = established(at(0));
    tunnel.doubt(at(100));
    assert_eq!(tunnel.on_event(at(101), &Event::Alive { peer: PEER }), None);
    assert_eq!(tunnel.next(), Some(at(106)));
    assert_eq!(tunnel.poll(at(106)), [Action::CheckLiveness]);
    assert_eq!(tunnel.poll(at(108)), [Action::Replace], "it fell silent there too");
}

#[test]
fn a_responder_makes_no_sa_and_asks_until_the_one_it_has_is_dead() {
    let mut tunnel = Tunnel::new(Mode::Responder, at(0), 5);
    up(&mut tunnel, at(0));
    assert_eq!(tunnel.doubt(at(100)), [Action::CheckLiveness]);
    assert_eq!(tunnel.poll(at(102)), [Action::CheckLiveness]);
    tunnel.on_event(at(112), &Event::IkeDown { peer: PEER, reason: silence() });
    assert_eq!(tunnel.next(), None, "the doubt ends with the tunnel");
    assert_eq!(tunnel.doubt(at(113)), []);
}

fn established(now: Time) -> Tunnel {
    let mut tunnel = Tunnel::new(Mode::Initiator, now, 5);
    tunnel.poll(now);
    up(&mut tunnel, now);
    tunnel
}

fn up(tunnel: &mut Tunnel, now: Time) -> Option<Change> {
    tunnel.on_event(now, &ike_up(1));
    tunnel.on_event(now, &child_up(false))
}

fn ike_up(spi_i: u64) -> Event {
    let suite = "aes256-sha256-modp2048".parse().expect("a suite");
    Event::IkeUp { peer: PEER, suite, spi_i, spi_r: 2, nat: Nat::default() }
}

fn child_up(rekey: bool) -> Event {
    Event::ChildUp {
        peer: PEER,
        suite: "aes256gcm16".parse().expect("a suite"),
        spi_in: 1,
        spi_out: 2,
        esn: true,
        encapsulation: Encapsulation::Udp,
        rekey: rekey.then_some(Duration::from_millis(12)),
    }
}

fn failed(reason: Failure) -> Event {
    Event::Failed { peer: PEER, reason }
}

fn refused() -> Failure {
    Failure::RefusedByPeer { ours: "a".into(), theirs: "b".into() }
}

fn silence() -> Failure {
    Failure::Timeout { exchange: Stage::Init, hint: None }
}

fn at(seconds: u64) -> Time {
    Time::from_epoch(Duration::from_secs(seconds))
}
