//! Key exchanges that are computed elsewhere, late or never: nobody else waits for them.

use core::time::Duration;
use std::net::{IpAddr, Ipv4Addr};

use gotthard_ike::config::{PeerConfig, PeerId};
use gotthard_ike::error::Refusal;
use gotthard_ike::{Endpoint, Event, Job, Output, Time, Transmit, limits};

use crate::support::clock::Seeded;
use crate::support::side::{A, B, PEER, config};

/// An endpoint whose jobs are run when the test says so.
struct End {
    endpoint: Endpoint,
    sent: Vec<Transmit>,
    jobs: Vec<Job>,
    up: usize,
}

impl End {
    fn new(seed: u64, hands_out: bool) -> Self {
        let mut endpoint = Endpoint::new(Box::new(Seeded::new(seed)));
        endpoint.hand_out_jobs(hands_out);
        Self { endpoint, sent: Vec::new(), jobs: Vec::new(), up: 0 }
    }

    fn drain(&mut self) {
        loop {
            match self.endpoint.poll_output() {
                Output::Transmit(transmit) => self.sent.push(transmit),
                Output::Compute(job) => self.jobs.push(job),
                Output::Event(Event::ChildUp { .. }) => self.up += 1,
                Output::Event(_) | Output::Install(_) | Output::Keys(_) | Output::Keepalive { .. } => {}
                Output::Timeout { .. } => return,
            }
        }
    }

    fn compute(&mut self, now: Time) {
        for job in core::mem::take(&mut self.jobs) {
            self.endpoint.handle_computed(now, job.run());
        }
        self.drain();
    }

    /// Takes what the other end has sent.
    fn take_from(&mut self, now: Time, other: &mut Self) {
        for Transmit { local, remote, payload } in other.sent.drain(..) {
            self.endpoint.handle_datagram(now, remote, local, &payload);
        }
        self.drain();
    }
}

fn pair(hands_out_a: bool, hands_out_b: bool) -> (End, End) {
    let (mut a, mut b) = (End::new(1, hands_out_a), End::new(2, hands_out_b));
    a.endpoint.add_peer(PEER, config(A, B));
    b.endpoint.add_peer(PEER, config(B, A));
    (a, b)
}

fn at(millis: u64) -> Time {
    Time::from_epoch(Duration::from_millis(millis))
}

#[test]
fn both_ends_bring_a_tunnel_up_with_jobs_that_are_run_elsewhere() {
    let (mut a, mut b) = pair(true, true);
    a.endpoint.initiate(at(0), PEER);
    a.drain();
    assert!(a.sent.is_empty(), "our public value is not there yet");
    a.compute(at(1)); //      a --> IKE_SA_INIT request
    b.take_from(at(2), &mut a);
    assert!(b.sent.is_empty(), "neither is b's");
    b.compute(at(3)); //      a <-- IKE_SA_INIT response
    a.take_from(at(4), &mut b);
    assert!(a.sent.is_empty(), "a has to compute the shared secret");
    a.compute(at(5)); //      a --> IKE_AUTH request
    b.take_from(at(6), &mut a); // a <-- IKE_AUTH response
    a.take_from(at(7), &mut b);
    assert_eq!((a.up, b.up), (1, 1));
}

#[test]
fn a_first_request_that_comes_again_while_its_answer_is_computed_makes_no_second_job() {
    let (mut a, mut b) = pair(false, true);
    a.endpoint.initiate(at(0), PEER);
    a.drain();
    let request = a.sent.pop().unwrap();
    for _ in 0..3 {
        let Transmit { local, remote, payload } = &request;
        b.endpoint.handle_datagram(at(1), *remote, *local, payload);
        b.drain();
    }
    assert_eq!(b.jobs.len(), 1);
    assert_eq!(b.endpoint.counters().refused(Refusal::Duplicate), 2);
    b.compute(at(2));
    assert_eq!(b.sent.len(), 1);
}

#[test]
fn an_answer_that_comes_again_while_it_is_computed_makes_no_second_job() {
    let (mut a, mut b) = pair(true, false);
    a.endpoint.initiate(at(0), PEER);
    a.drain();
    a.compute(at(0));
    b.take_from(at(1), &mut a);
    let response = b.sent.pop().unwrap();
    for _ in 0..3 {
        let Transmit { local, remote, payload } = &response;
        a.endpoint.handle_datagram(at(2), *remote, *local, payload);
        a.drain();
    }
    assert_eq!(a.jobs.len(), 1);
    a.compute(at(3));
    b.take_from(at(4), &mut a);
    a.take_from(at(5), &mut b);
    assert_eq!((a.up, b.up), (1, 1));
}

#[test]
fn results_for_what_is_gone_are_dropped() {
    let (mut a, mut b) = pair(true, true);
    a.endpoint.initiate(at(0), PEER);
    a.drain();
    a.compute(at(0));
    b.take_from(at(1), &mut a);
    // b's job is not run before its half-open SA is given up; a's attempt ends by command.
    a.endpoint.terminate(at(2), PEER);
    b.endpoint.handle_timeout(at(60_000));
    assert!(a.endpoint.is_idle() && b.endpoint.is_idle());
    b.compute(at(60_001));
    assert!(b.sent.is_empty() && b.endpoint.is_idle());
}

/// A pair whose tunnel is up, with a key exchange for each child.
fn established() -> (End, End) {
    let (mut a, mut b) = (End::new(1, true), End::new(2, true));
    for (end, local, remote) in [(&mut a, A, B), (&mut b, B, A)] {
        let esp_suites = vec!["aes256gcm16-x25519".parse().unwrap()];
        end.endpoint.add_peer(PEER, PeerConfig { esp_suites, ..config(local, remote) });
    }
    a.endpoint.initiate(at(0), PEER);
    a.drain();
    finish(at(0), &mut a, &mut b);
    assert_eq!((a.up, b.up), (1, 1));
    (a, b)
}

/// Computes and delivers until nothing is left to do.
fn finish(now: Time, a: &mut End, b: &mut End) {
    while !(a.jobs.is_empty() && b.jobs.is_empty() && a.sent.is_empty() && b.sent.is_empty()) {
        a.compute(now);
        b.compute(now);
        b.take_from(now, a);
        a.take_from(now, b);
    }
}

#[test]
fn both_ends_rekey_with_jobs_that_are_run_elsewhere() {
    let (mut a, mut b) = established();
    a.endpoint.rekey_child(at(1), PEER);
    a.drain();
    assert!(a.sent.is_empty(), "a has no public value yet");
    a.compute(at(2)); //      a --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni, KEi, TSi, TSr }
    b.take_from(at(3), &mut a);
    assert!(b.sent.is_empty(), "neither has b");
    b.compute(at(4)); //      a <-- CREATE_CHILD_SA { SA, Nr, KEr, TSi, TSr }
    a.take_from(at(5), &mut b);
    assert_eq!(a.up, 1, "a has to compute the shared secret");
    finish(at(6), &mut a, &mut b);
    b.endpoint.rekey_ike(at(7), PEER);
    b.drain();
    finish(at(8), &mut a, &mut b);
    b.endpoint.rekey_child(at(9), PEER);
    b.drain();
    finish(at(10), &mut a, &mut b);
    assert_eq!((a.up, b.up), (3, 3));
}

#[test]
fn rekeys_that_cross_while_both_are_computed_end_in_one_tunnel() {
    let (mut a, mut b) = established();
    for end in [&mut a, &mut b] {
        end.endpoint.rekey_child(at(1), PEER);
        end.drain();
        end.compute(at(1));
    }
    b.take_from(at(2), &mut a); // each holds the other's request, and computes
    a.take_from(at(2), &mut b);
    finish(at(3), &mut a, &mut b);
    assert_eq!((a.up, b.up), (2, 2), "of two successors one is told of, at both ends");
    a.endpoint.rekey_child(at(4), PEER);
    a.drain();
    finish(at(5), &mut a, &mut b);
    assert_eq!((a.up, b.up), (3, 3));
}

#[test]
fn a_rekey_request_that_comes_again_while_it_is_computed_makes_no_second_job() {
    let (mut a, mut b) = established();
    a.endpoint.rekey_child(at(1), PEER);
    a.drain();
    a.compute(at(1));
    let request = a.sent.pop().unwrap();
    for _ in 0..3 {
        let Transmit { local, remote, payload } = &request;
        b.endpoint.handle_datagram(at(2), *remote, *local, payload);
        b.drain();
    }
    assert_eq!(b.jobs.len(), 1);
    assert_eq!(b.endpoint.counters().refused(Refusal::Duplicate), 2);
    finish(at(3), &mut a, &mut b);
    assert_eq!((a.up, b.up), (2, 2));
}

#[test]
fn a_liveness_check_passes_a_rekey_that_is_computed() {
    let (mut a, mut b) = established();
    a.endpoint.rekey_ike(at(1), PEER);
    a.drain();
    assert_eq!((a.jobs.len(), a.sent.len()), (1, 0));
    a.endpoint.handle_timeout(at(11_000));
    a.drain();
    assert_eq!(a.sent.len(), 1, "a liveness request");
    b.take_from(at(11_001), &mut a);
    assert_eq!(b.sent.len(), 1, "its answer");
    a.take_from(at(11_002), &mut b);
    a.compute(at(11_003));
    assert_eq!(a.sent.len(), 1, "the rekey");
}

#[test]
fn a_rekey_whose_sa_ends_while_it_is_computed_is_refused() {
    let (mut a, mut b) = established();
    a.endpoint.rekey_child(at(1), PEER);
    a.drain();
    a.compute(at(1));
    b.take_from(at(2), &mut a);
    assert_eq!(b.jobs.len(), 1, "the peer's request waits for it");
    b.endpoint.terminate(at(3), PEER);
    b.drain();
    assert_eq!(b.sent.len(), 1, "a Delete");
    b.compute(at(4));
    finish(at(5), &mut a, &mut b);
    assert_eq!((a.up, b.up), (1, 1), "nothing is made of the result");
}

/// y has an answer for x, and deletes the old SA before x has computed what the answer says: where x's own rekey loses,
/// y waits for x to delete what it made (RFC 7296 §2.8.1).
///
/// ```text
/// x --> CREATE_CHILD_SA { SA, Ni1, KEi1 }
/// y --> CREATE_CHILD_SA { SA, Ni2, KEi2 }
/// x <-- CREATE_CHILD_SA { SA, Nr1, KEr1 }                   x computes
/// y <-- CREATE_CHILD_SA { SA, Nr2, KEr2 }
/// y --> INFORMATIONAL { D(IKE) }
/// y <-- INFORMATIONAL { }
/// x --> INFORMATIONAL { D(IKE) }                            under the IKE SA that x asked for
/// ```
#[test]
fn a_rekey_of_the_ike_sa_that_loses_is_deleted_although_its_answer_was_computed_too_late() {
    for a_is_x in [true, false] {
        let (a, b) = established();
        let (mut x, mut y) = if a_is_x { (a, b) } else { (b, a) };
        for end in [&mut x, &mut y] {
            end.endpoint.rekey_ike(at(1), PEER);
            end.drain();
            end.compute(at(2));
        }
        let mut from_y = End::new(0, true);
        from_y.sent.append(&mut y.sent);
        y.take_from(at(3), &mut x);
        y.compute(at(4));
        x.take_from(at(5), &mut y);
        let answer = x.jobs.pop().unwrap();
        x.take_from(at(6), &mut from_y);
        x.compute(at(7));
        finish(at(8), &mut x, &mut y);
        x.jobs.push(answer);
        finish(at(9), &mut x, &mut y);
        for now in [at(10_500), at(21_000)] {
            for end in [&mut x, &mut y] {
                end.endpoint.handle_timeout(now);
                end.drain();
            }
            finish(now, &mut x, &mut y);
        }
        assert_eq!((x.endpoint.ike_sas(), y.endpoint.ike_sas()), (1, 1), "a is x: {a_is_x}");
        x.endpoint.rekey_child(at(22_000), PEER);
        x.drain();
        finish(at(22_001), &mut x, &mut y);
        assert_eq!((x.up, y.up), (2, 2));
    }
}

#[test]
fn liveness_of_a_thousand_tunnels_is_answered_while_no_job_is_run() {
    let mut b = End::new(2, true);
    let mut peers: Vec<End> = (0..TUNNELS).map(|number| End::new(u64::from(number) + 10, false)).collect();
    for (number, peer) in (0..).zip(&mut peers) {
        peer.endpoint.add_peer(PEER, ends(number).0);
        b.endpoint.add_peer(PeerId(number), ends(number).1);
        peer.endpoint.initiate(at(0), PEER);
        peer.drain();
        b.take_from(at(0), peer);
        b.compute(at(0));
        peer.take_from(at(0), &mut b);
        b.take_from(at(0), peer);
        peer.take_from(at(0), &mut b);
        assert_eq!(peer.up, 1);
    }
    // Strangers and known peers start anew, and nobody computes.
    for number in 0..TUNNELS {
        let mut restarted = End::new(u64::from(number) + 1_000_000, false);
        restarted.endpoint.add_peer(PEER, ends(number).0);
        restarted.endpoint.initiate(at(1), PEER);
        restarted.drain();
        b.take_from(at(1), &mut restarted);
    }
    assert_eq!(b.jobs.len(), limits::COOKIE_HALF_OPEN);
    b.sent.clear(); // the others were asked for cookies
    // Each peer asks whether b lives: 5 s of silence, and no time passes before the answer.
    for peer in &mut peers {
        peer.endpoint.handle_timeout(at(DPD));
        peer.drain();
        assert_eq!(peer.sent.len(), 1, "a liveness request");
        b.take_from(at(DPD), peer);
        assert_eq!(b.sent.len(), 1, "its answer, at once");
        peer.take_from(at(DPD), &mut b);
    }
    assert_eq!(b.endpoint.counters().refused(Refusal::Busy), 0);
}

/// What the two ends of a tunnel are told; each has an address of its own, in a prefix of its own.
fn ends(number: u32) -> (PeerConfig, PeerConfig) {
    let remote = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0001 + (number << 8)));
    let mut theirs = config(remote, B);
    let mut ours = config(B, remote);
    (theirs.dpd_interval, ours.dpd_interval) = (Duration::from_millis(DPD), Duration::from_hours(1));
    (theirs, ours)
}

const TUNNELS: u32 = 1000;
const DPD: u64 = 5000;
