//! Two tunnels on virtual time, whose cloud answers no echo, or whose packets arrive while ours do not: what is found of their ESP,
//! and where the traffic goes by it.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use core::time::Duration;

use gotthard::diagnose::Diagnosis;
use gotthard::diagnose::silence::Echoes;
use gotthard::diagnose::unheard::Spoken;
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

/// ESP is lost on its way out alone: within 12 s to the tunnel that is heard, and no way back to one that is not.
#[test]
fn what_is_not_heard_leaves_for_a_tunnel_that_is_and_may_return_when_an_echo_is_answered() {
    let mut pair = Pair::heard(Spread::One);
    pair.passes[0] = false;
    pair.run(9, FLOW);
    assert_eq!(pair.moves, 0);
    pair.run(3, FLOW);
    assert_eq!((pair.carriers(), pair.moves), (&[1][..], 1));
    pair.run(3600, FLOW);
    assert_eq!((pair.carriers(), pair.moves), (&[1][..], 1));
    pair.passes[0] = true;
    pair.run(60, FLOW);
    assert_eq!(pair.moves, 1, "both are equal, and every move may put packets out of order");
    pair.passes[1] = false;
    pair.run(12, FLOW);
    assert_eq!((pair.carriers(), pair.moves), (&[0][..], 2));
}

#[test]
fn of_tunnels_that_share_the_unheard_one_is_left_and_carries_again() {
    let mut pair = Pair::heard(Spread::All);
    pair.passes[0] = false;
    pair.run(32, FLOW);
    assert_eq!((pair.carriers(), pair.moves), (&[1][..], 1));
    pair.passes[0] = true;
    pair.run(4, FLOW);
    assert_eq!(pair.carriers(), [0, 1]);
}

#[test]
fn where_no_tunnel_is_heard_the_traffic_stays_after_one_move() {
    let mut pair = Pair::heard(Spread::One);
    pair.passes = [false, false];
    pair.run(86_400, FLOW);
    assert!(pair.moves <= 1, "{}", pair.moves);
}

/// Under load neither peer answers an echo, and nothing else tells: however long it goes on, no more moves than are promised.
#[test]
fn peers_that_answer_echoes_only_while_they_are_idle_do_not_hand_the_traffic_to_and_fro() {
    let mut pair = Pair::heard(Spread::One);
    let mut moves = Vec::new();
    for _ in 0..7200 {
        let carrier = pair.carriers.first().copied();
        pair.echoes_answered = [carrier != Some(0), carrier != Some(1)];
        pair.run(1, UPLOAD);
        moves.push(pair.moves);
    }
    let most = moves.iter().zip(&moves[600..]).map(|(before, after)| after - before).max();
    assert!(most.is_some_and(|most| most <= 10), "{most:?} in ten minutes");
    assert!(pair.moves <= 24, "{} in two hours", pair.moves);
}

#[test]
fn a_peer_that_answers_tcp_and_no_echo_any_more_keeps_the_traffic() {
    let mut pair = Pair::heard(Spread::One);
    pair.echoes_answered = [false, true];
    pair.run(86_400, FLOW);
    assert_eq!((pair.carriers(), pair.moves), (&[0][..], 0));
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
    /// Packets of the peer's come through both all the while, whatever passes, and echoes are sent.
    arrives: bool,
    /// Whether the peer answers those that it hears.
    echoes_answered: [bool; 2],
    echoes: [Echoes; 2],
    carriers: Vec<usize>,
    moves: u32,
    /// Segments that were not acknowledged.
    lost: u64,
}

impl Pair {
    fn new(spread: Spread) -> Self {
        let tunnel = || (Diagnosis::default(), Sample::default());
        let mut pair = Self {
            now: Time::ZERO,
            failover: Failover::new(spread),
            tunnels: [tunnel(), tunnel()],
            passes: [true; 2],
            arrives: false,
            echoes_answered: [false; 2],
            echoes: [Echoes::default(); 2],
            carriers: Vec::new(),
            moves: 0,
            lost: 0,
        };
        pair.decide();
        pair.moves = 0;
        pair
    }

    /// Whose cloud answers echoes and sends all the while, after a minute of traffic.
    fn heard(spread: Spread) -> Self {
        let mut pair = Self { arrives: true, echoes_answered: [true; 2], ..Self::new(spread) };
        pair.run(60, FLOW);
        pair.moves = 0;
        pair
    }

    fn run(&mut self, seconds: u32, traffic: Traffic) {
        for _ in 0..seconds {
            self.now = self.now + Duration::from_secs(1);
            let mut heard = Vec::new();
            for (id, (_, sample)) in self.tunnels.iter_mut().enumerate() {
                if self.carriers.contains(&id) {
                    sample.tx_segments += traffic.tcp;
                    sample.tx_packets += traffic.tcp + traffic.udp;
                    if self.passes[id] {
                        sample.rx_packets += traffic.tcp;
                        sample.rx_answers += traffic.tcp;
                        heard.extend((traffic.tcp > 0).then_some(id));
                    } else {
                        self.lost += traffic.tcp;
                    }
                }
                let echoes = &mut self.echoes[id];
                if self.arrives {
                    sample.rx_packets += 1;
                }
                if self.arrives && self.passes[id] && self.echoes_answered[id] {
                    *echoes = Echoes { answered: true, ..Echoes::default() };
                } else {
                    echoes.unanswered += 3;
                    echoes.in_vain_since.get_or_insert(self.now);
                }
            }
            let spoken =
                |(_, sample): &(_, Sample)| Spoken { asked: sample.tx_segments, answered: sample.rx_answers };
            let whole = self.tunnels.iter().map(spoken).fold(Spoken::default(), Spoken::plus);
            for ((diagnosis, sample), echoes) in self.tunnels.iter_mut().zip(self.echoes) {
                diagnosis.take(self.now, sample, 1438, echoes, whole);
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
