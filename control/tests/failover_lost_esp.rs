//! Two tunnels whose cloud answers no echo, on virtual time: what is found of their ESP, and where the traffic goes by it.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use core::time::Duration;

use gotthard::config::presets::Cloud;
use gotthard::diagnose::Diagnosis;
use gotthard::diagnose::window::Sample;
use gotthard::failover::decision::{Failover, Spread};
use gotthard::failover::facts::{Facts, Session, Wish};
use gotthard_ike::Time;

const FLOW: Traffic = Traffic { tcp: 5, udp: 0 };
const UPLOAD: Traffic = Traffic { tcp: 0, udp: 5000 };

#[test]
fn tcp_leaves_a_tunnel_whose_esp_is_lost_and_stays_away() {
    let mut pair = Pair::new(Spread::One);
    pair.run(60, FLOW);
    assert_eq!((pair.carriers(), pair.moves), (&[0][..], 0));
    pair.passes[0] = false;
    pair.run(9, FLOW);
    assert_eq!(pair.moves, 0);
    pair.run(3600, FLOW);
    assert_eq!((pair.carriers(), pair.moves), (&[1][..], 1));
    // The other falls in its turn, a day later: what was found of the first is old.
    pair.passes = [true, false];
    pair.run(20, FLOW);
    assert_eq!((pair.carriers(), pair.moves), (&[0][..], 2));
    pair.run(3600, FLOW);
    assert_eq!((pair.carriers(), pair.moves), (&[0][..], 2));
}

#[test]
fn an_upload_that_nobody_answers_moves_nothing() {
    let mut pair = Pair::new(Spread::One);
    pair.run(60, FLOW);
    pair.run(86_400, UPLOAD);
    assert_eq!((pair.carriers(), pair.moves), (&[0][..], 0));
    // And where the other tunnel would be the better one: nobody can know.
    pair.passes[0] = false;
    pair.run(3600, UPLOAD);
    assert_eq!(pair.moves, 0);
}

/// The one host that somebody speaks with has died: nothing can be known of either tunnel, and both are tried, ever more
/// seldom.
#[test]
fn where_nothing_is_answered_anywhere_the_traffic_hardly_moves() {
    let mut pair = Pair::new(Spread::One);
    pair.run(60, FLOW);
    pair.passes = [false, false];
    pair.run(600, FLOW);
    assert!((1..=3).contains(&pair.moves), "{}", pair.moves);
    pair.run(86_400 - 600, FLOW);
    assert!(pair.moves <= 60, "{} in a day", pair.moves);
    // It comes back, and whatever carries then goes on carrying.
    pair.passes = [true, true];
    pair.run(1, FLOW);
    let (before, carriers) = (pair.moves, pair.carriers().to_vec());
    pair.run(3600, FLOW);
    assert_eq!((pair.moves, pair.carriers()), (before, carriers.as_slice()));
}

#[test]
fn of_tunnels_that_share_the_lost_one_is_left_and_tried_seldom() {
    let mut pair = Pair::new(Spread::All);
    pair.run(60, FLOW);
    assert_eq!(pair.carriers(), [0, 1]);
    pair.passes[0] = false;
    pair.run(12, FLOW);
    assert_eq!(pair.carriers(), [1]);
    let before = pair.lost;
    pair.run(86_400, FLOW);
    // A trial is 11 s, in the end one an hour.
    let (lost, sent) = (pair.lost - before, 86_400 * FLOW.tcp);
    assert!(lost * 1000 < sent * 4, "{lost} of {sent}");
    pair.passes[0] = true;
    pair.run(3700, FLOW);
    assert_eq!(pair.carriers(), [0, 1]);
}

#[derive(Clone, Copy)]
struct Traffic {
    /// Segments a second that are acknowledged where they arrive.
    tcp: u64,
    /// Datagrams a second that nobody answers.
    udp: u64,
}

/// Two tunnels, IKE answered in both once a second; what passes in one passes both ways.
struct Pair {
    now: Time,
    failover: Failover<usize>,
    tunnels: [(Diagnosis, Sample); 2],
    passes: [bool; 2],
    carriers: Vec<usize>,
    moves: u32,
    /// Segments that were not acknowledged.
    lost: u64,
}

impl Pair {
    fn new(spread: Spread) -> Self {
        let tunnel = || (Diagnosis::new(Cloud::Azure), Sample::default());
        let mut pair = Self {
            now: Time::ZERO,
            failover: Failover::new(spread),
            tunnels: [tunnel(), tunnel()],
            passes: [true; 2],
            carriers: Vec::new(),
            moves: 0,
            lost: 0,
        };
        pair.decide();
        pair.moves = 0;
        pair
    }

    fn run(&mut self, seconds: u32, traffic: Traffic) {
        for _ in 0..seconds {
            self.now = self.now + Duration::from_secs(1);
            let mut heard = Vec::new();
            for (id, (diagnosis, sample)) in self.tunnels.iter_mut().enumerate() {
                if self.carriers.contains(&id) {
                    sample.tx_segments += traffic.tcp;
                    sample.tx_packets += traffic.tcp + traffic.udp;
                    if self.passes[id] {
                        sample.rx_packets += traffic.tcp;
                        heard.extend((traffic.tcp > 0).then_some(id));
                    } else {
                        self.lost += traffic.tcp;
                    }
                }
                diagnosis.take(self.now, sample, 1438, false);
                diagnosis.on_ike(self.now);
            }
            for id in heard {
                self.tunnels[1 - id].0.on_other(self.now);
            }
            self.decide();
        }
    }

    fn decide(&mut self) {
        let facts = |id: usize| Facts {
            wish: Wish::Up,
            ike: true,
            esp: true,
            probe: self.tunnels[id].0.lost_since().is_none(),
            bgp: Session::None,
            preference: 100,
        };
        let decision = self.failover.decide(self.now, &[(0, facts(0)), (1, facts(1))]);
        self.moves += u32::from(decision.carriers != self.carriers);
        self.carriers = decision.carriers;
    }

    fn carriers(&self) -> &[usize] {
        &self.carriers
    }
}
