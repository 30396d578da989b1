//! The probe against peers that answer, fall silent, answer late or over IKE alone, on virtual time.

use super::*;

const INTERVAL: Duration = Duration::from_millis(300);

#[test]
fn the_first_poll_sends_an_echo_for_the_round_trip_time() {
    let mut bench = Bench::new(Peer { echo: Some(8), ..Peer::DEAD });
    bench.run_to(200);
    assert_eq!((bench.echoes, bench.ikes), (1, 0));
    assert_eq!(bench.probe.rtt(), Some(Duration::from_millis(8)));
}

#[test]
fn a_peer_that_sends_is_asked_for_its_round_trip_time_alone() {
    let mut bench = Bench::new(Peer { esp: Some(1), echo: Some(8), ..Peer::DEAD });
    bench.run_to(30_000);
    assert!((9..=11).contains(&bench.echoes), "{} echoes", bench.echoes);
    assert_eq!((bench.ikes, bench.probe.liveness()), (0, Liveness::Up));
}

#[test]
fn a_peer_that_sends_and_does_not_answer_any_more_is_asked_every_interval() {
    let mut bench = Bench::new(Peer { esp: Some(1), echo: Some(8), ..Peer::DEAD });
    bench.run_to(30_000);
    bench.peer.echo = None;
    let before = bench.echoes;
    bench.run_to(60_000);
    assert!((85..=101).contains(&(bench.echoes - before)), "{} echoes", bench.echoes - before);
    assert_eq!(bench.probe.liveness(), Liveness::Up, "it is heard");
    bench.peer.echo = Some(8);
    bench.run_to(60_400);
    assert_eq!(bench.probe.unanswered(), 0);
    let before = bench.echoes;
    bench.run_to(90_400);
    assert!((9..=11).contains(&(bench.echoes - before)), "{} echoes", bench.echoes - before);
}

#[test]
fn an_idle_peer_is_asked_every_interval() {
    let mut bench = Bench::new(Peer { echo: Some(8), ..Peer::DEAD });
    bench.run_to(30_000);
    assert!((90..=101).contains(&bench.echoes), "{} echoes", bench.echoes);
    assert_eq!((bench.ikes, bench.probe.liveness()), (0, Liveness::Up));
}

/// Whenever in an interval the peer dies, busy or idle: within a second, after three echoes in vain.
#[test]
fn a_silent_black_hole_is_told_within_a_second() {
    for esp in [Some(1), None] {
        for death in 5_000..5_350 {
            let mut bench = Bench::new(Peer { esp, echo: Some(8), ..Peer::DEAD });
            bench.run_to(death);
            let before = bench.echoes;
            bench.peer = Peer::DEAD;
            let told = bench.run_until_down();
            assert!((600..=910).contains(&(told - death)), "esp {esp:?}: {} ms", told - death);
            assert!(bench.echoes - before >= 2, "{} echoes", bench.echoes - before);
        }
    }
}

#[test]
fn two_lost_echoes_are_no_death() {
    let mut bench = Bench::new(Peer { echo: Some(8), ..Peer::DEAD });
    bench.run_to(5_000);
    for round in 1..50 {
        bench.lose = 2;
        bench.run_to(5_000 + round * 2_000);
        assert_eq!(bench.probe.liveness(), Liveness::Up);
    }
}

#[test]
fn one_sign_of_life_brings_it_up_again() {
    for back in [Peer { echo: Some(8), ..Peer::DEAD }, Peer { esp: Some(1), ..Peer::DEAD }] {
        let mut bench = Bench::new(Peer { echo: Some(8), ..Peer::DEAD });
        bench.run_to(1_000);
        bench.peer = Peer::DEAD;
        bench.run_to(60_000);
        assert_eq!(bench.probe.liveness(), Liveness::Down);
        bench.peer = back;
        bench.run_to(60_400);
        assert_eq!(bench.probe.liveness(), Liveness::Up);
    }
}

/// What was in flight when the way was lost does not bring the tunnel back, and where the way is there all the same the
/// next echo does.
#[test]
fn a_lost_way_is_told_at_once_and_the_next_answer_is_believed() {
    for esp in [Some(1), None] {
        let mut bench = Bench::new(Peer { esp, echo: Some(8), ..Peer::DEAD });
        bench.run_to(5_000);
        bench.probe.on_path_lost(at(5_000));
        assert_eq!(bench.probe.liveness(), Liveness::Down);
        bench.run_to(5_020);
        bench.peer = Peer::DEAD;
        bench.run_to(30_000);
        assert_eq!(bench.probe.liveness(), Liveness::Down, "esp {esp:?}");
        bench.peer = Peer { echo: Some(8), ..Peer::DEAD };
        bench.run_to(30_300);
        assert_eq!(bench.probe.liveness(), Liveness::Up);
        bench.probe.on_path_lost(at(30_300));
        bench.run_to(30_600);
        assert_eq!(bench.probe.liveness(), Liveness::Up, "nothing was wrong");
    }
}

#[test]
fn a_peer_that_answers_no_echo_lives_by_its_ike_sa_and_is_asked_more_seldom() {
    let mut bench = Bench::new(Peer { ike: Some(20), ..Peer::DEAD });
    bench.run_to(60_000);
    assert_eq!(bench.probe.liveness(), Liveness::Up);
    assert!((40..=51).contains(&bench.ikes), "{} checks", bench.ikes);
    assert_eq!(bench.probe.rtt(), None);
    bench.peer = Peer::DEAD;
    let told = bench.run_until_down() - 60_000;
    assert!((2_300..=4_000).contains(&told), "{told} ms");
}

#[test]
fn of_a_peer_that_answered_echoes_its_ike_sa_says_nothing() {
    let mut bench = Bench::new(Peer { echo: Some(8), ike: Some(8), ..Peer::DEAD });
    bench.run_to(1_000);
    bench.peer = Peer { ike: Some(8), ..Peer::DEAD };
    let told = bench.run_until_down();
    assert!(told < 2_100, "{told} ms");
}

#[test]
fn a_slow_path_gets_the_time_it_needs() {
    let mut bench = Bench::new(Peer { echo: Some(700), ..Peer::DEAD });
    bench.run_to(60_000);
    assert_eq!(bench.probe.liveness(), Liveness::Up);
    assert_eq!(bench.probe.rtt(), Some(Duration::from_millis(700)));
}

#[test]
fn a_driver_that_slept_asks_before_it_tells_a_death() {
    let mut bench = Bench::new(Peer { echo: Some(8), ..Peer::DEAD });
    bench.run_to(1_000);
    bench.now += 3_600_000;
    bench.run_to(bench.now + 5_000);
    assert_eq!(bench.downs, 0);
}

#[test]
fn a_reply_to_nothing_or_twice_says_nothing() {
    let mut probe = Probe::new(at(0), INTERVAL, 0);
    let sequence = probe.poll(at(0), Inbound { packets: 0, latest: None }).echo.expect("the first echo");
    probe.on_reply(at(5), sequence.wrapping_add(1));
    assert_eq!(probe.rtt(), None);
    probe.on_reply(at(5), sequence);
    probe.on_reply(at(900), sequence);
    assert_eq!(probe.rtt(), Some(Duration::from_millis(5)));
}

#[test]
fn counters_that_start_anew_are_no_sign_of_life() {
    let mut probe = Probe::new(at(0), INTERVAL, 1_000);
    for millis in (0..20_000).step_by(100) {
        probe.poll(at(millis), Inbound { packets: 0, latest: Some(at(millis)) });
    }
    assert_eq!(probe.liveness(), Liveness::Down);
}

/// How a peer answers, in milliseconds; `None`: not at all.
#[derive(Clone, Copy)]
struct Peer {
    /// Time between two of its packets.
    esp: Option<u64>,
    /// Round trip of an echo.
    echo: Option<u64>,
    /// Round trip of a liveness check.
    ike: Option<u64>,
}

impl Peer {
    const DEAD: Self = Self { esp: None, echo: None, ike: None };
}

/// A probe and its peer, a millisecond a step; the probe is polled when it asked to be.
struct Bench {
    probe: Probe,
    peer: Peer,
    now: u64,
    received: u64,
    latest: Option<u64>,
    /// Replies under way: when, and to which echo (`None`: IKE).
    answers: Vec<(u64, Option<u16>)>,
    /// Echoes that are lost from here on.
    lose: u32,
    echoes: u32,
    ikes: u32,
    downs: u32,
}

impl Bench {
    fn new(peer: Peer) -> Self {
        let probe = Probe::new(at(0), INTERVAL, 0);
        let (answers, latest) = (Vec::new(), None);
        Self { probe, peer, now: 0, received: 0, latest, answers, lose: 0, echoes: 0, ikes: 0, downs: 0 }
    }

    fn run_to(&mut self, end: u64) {
        while self.now < end {
            self.step();
        }
    }

    fn run_until_down(&mut self) -> u64 {
        let end = self.now + 60_000;
        while self.probe.liveness() == Liveness::Up && self.now < end {
            self.step();
        }
        self.now
    }

    fn step(&mut self) {
        self.now += 1;
        self.receive();
        if at(self.now) < self.probe.next() {
            return;
        }
        let inbound = Inbound { packets: self.received, latest: self.latest.map(at) };
        let ask = self.probe.poll(at(self.now), inbound);
        self.downs += u32::from(self.probe.liveness() == Liveness::Down);
        if let Some(sequence) = ask.echo {
            self.echoes += 1;
            let lost = self.lose > 0;
            self.lose = self.lose.saturating_sub(1);
            let answer = self.peer.echo.filter(|_| !lost);
            self.answers.extend(answer.map(|rtt| (self.now + rtt, Some(sequence))));
        }
        if ask.ike {
            self.ikes += 1;
            self.answers.extend(self.peer.ike.map(|rtt| (self.now + rtt, None)));
        }
    }

    const fn take_packet(&mut self) {
        self.received += 1;
        self.latest = Some(self.now);
    }

    fn receive(&mut self) {
        if self.peer.esp.is_some_and(|every| self.now.is_multiple_of(every)) {
            self.take_packet();
        }
        let (due, later): (Vec<_>, Vec<_>) = self.answers.drain(..).partition(|(when, _)| *when <= self.now);
        self.answers = later;
        for (_, answer) in due {
            match answer {
                Some(sequence) => {
                    self.take_packet();
                    self.probe.on_reply(at(self.now), sequence);
                }
                None => self.probe.on_ike(at(self.now)),
            }
        }
    }
}

fn at(millis: u64) -> Time {
    Time::from_epoch(Duration::from_millis(millis))
}
