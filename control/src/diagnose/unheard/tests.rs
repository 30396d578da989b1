//! The evidence against a tunnel through which packets come on virtual time: what convicts it, what absolves it.

use super::*;

#[test]
fn echoes_and_tcp_in_vain_convict_after_ten_seconds() {
    let mut bench = Bench::carrying();
    bench.passes = false;
    assert_eq!(bench.lost_after(60, Bench::repeats), Some(11));
    assert_eq!(bench.evidence.lost_since(), Some(seconds(31)), "the first echo in vain");
    let told = bench.evidence.finding(Wire::Udp).map(|finding| finding.code());
    assert_eq!(told, Some("GTH-ESP-04"));
    bench.passes = true;
    bench.second(Bench::flows);
    assert!(!bench.is_told(), "an echo was answered");
}

/// Voice both ways over UDP: nothing but the echoes tells that one side hears nothing.
#[test]
fn echoes_alone_are_said_after_ten_seconds_and_convict_after_thirty() {
    let mut bench = Bench::carrying();
    bench.passes = false;
    bench.run(10, |_| ());
    assert!(!bench.is_told());
    bench.run(1, |_| ());
    assert!(bench.is_told() && bench.evidence.lost_since().is_none());
    assert_eq!(bench.lost_after(60, |_| ()), Some(20));
}

/// From one day on it drops ICMP, or only lets so much of it pass.
#[test]
fn a_peer_that_answers_tcp_and_no_echo_any_more_is_not_broken() {
    let mut bench = Bench::carrying();
    bench.echoes_answered = false;
    for _ in 0..3600 {
        bench.second(Bench::flows);
        assert!(!bench.is_told());
    }
    // And when what we send is lost after all, it takes no longer.
    bench.passes = false;
    assert_eq!(bench.lost_after(60, Bench::repeats), Some(10));
}

#[test]
fn answers_to_what_other_tunnels_send_absolve_nobody() {
    let mut bench = Bench::carrying();
    bench.passes = false;
    let others = |bench: &mut Bench| {
        bench.repeats();
        bench.whole.asked += 100;
        bench.whole.answered += 60;
    };
    assert_eq!(bench.lost_after(60, others), Some(31), "and they hide that ours are in vain");
    // The traffic has moved, and the answers come through the tunnel that was left.
    for _ in 0..600 {
        bench.second(|bench| {
            bench.sample.rx_answers += 50;
            bench.whole.asked += 100;
            bench.whole.answered += 50;
        });
        assert!(bench.evidence.lost_since().is_some());
    }
}

#[test]
fn answers_that_come_through_another_tunnel_are_answers() {
    let mut bench = Bench::carrying();
    bench.echoes_answered = false;
    let elsewhere = |bench: &mut Bench| {
        bench.sends(10);
        bench.whole.answered += 8;
    };
    assert_eq!(bench.lost_after(600, elsewhere), None);
}

#[test]
fn a_tunnel_out_of_which_nothing_comes_is_the_probes_to_judge() {
    let mut bench = Bench::carrying();
    (bench.passes, bench.arrives) = (false, false);
    assert_eq!(bench.lost_after(600, Bench::repeats), None);
    assert!(!bench.is_told());
}

#[test]
fn a_peer_that_has_never_answered_an_echo_is_not_convicted_by_them() {
    let mut bench = Bench::new();
    bench.echoes_answered = false;
    assert_eq!(bench.lost_after(600, Bench::repeats), None);
}

#[test]
fn what_is_found_again_takes_twice_as_long_until_an_hour_is_calm() {
    let mut bench = Bench::carrying();
    let mut waits = Vec::new();
    for _ in 0..7 {
        bench.passes = false;
        waits.extend(bench.lost_after(600, Bench::repeats));
        bench.passes = true;
        bench.run(20, Bench::flows);
    }
    assert_eq!(waits, [11, 21, 41, 81, 161, 161, 161]);
    bench.run(3600, Bench::flows);
    bench.passes = false;
    assert_eq!(bench.lost_after(60, Bench::repeats), Some(11));
}

/// A tunnel through which packets of the peer's come every second.
struct Bench {
    evidence: Unheard,
    now: Time,
    sample: Sample,
    whole: Spoken,
    echoes: Echoes,
    /// What we send arrives.
    passes: bool,
    /// What the peer sends arrives.
    arrives: bool,
    /// The peer answers the echoes that arrive.
    echoes_answered: bool,
}

impl Bench {
    fn new() -> Self {
        Self {
            evidence: Unheard::default(),
            now: Time::ZERO,
            sample: Sample::default(),
            whole: Spoken::default(),
            echoes: Echoes::default(),
            passes: true,
            arrives: true,
            echoes_answered: true,
        }
    }

    /// That has carried for half a minute.
    fn carrying() -> Self {
        let mut bench = Self::new();
        bench.run(30, Self::flows);
        bench
    }

    /// A second passes, with so much traffic in it.
    fn second(&mut self, traffic: impl Fn(&mut Self)) {
        self.now = self.now + Duration::from_secs(1);
        self.sample.rx_packets += u64::from(self.arrives);
        traffic(self);
        if self.passes && self.arrives && self.echoes_answered {
            self.echoes = Echoes { answered: true, unanswered: 0, in_vain_since: None, ..self.echoes };
        } else {
            self.echoes.unanswered += 3;
            self.echoes.in_vain_since.get_or_insert(self.now);
        }
        self.evidence.take(self.now, &self.sample, self.echoes, self.whole);
    }

    fn run(&mut self, seconds: u32, traffic: impl Fn(&mut Self)) {
        (0..seconds).for_each(|_| self.second(&traffic));
    }

    fn sends(&mut self, segments: u64) {
        self.sample.tx_segments += segments;
        self.whole.asked += segments;
    }

    /// TCP that is answered, by acknowledgements and by data.
    fn flows(&mut self) {
        self.sends(10);
        self.sample.rx_packets += 10;
        self.sample.rx_answers += 6;
        self.whole.answered += 6;
    }

    /// TCP that repeats itself.
    fn repeats(&mut self) {
        self.sends(1);
    }

    fn is_told(&self) -> bool {
        self.evidence.finding(Wire::Udp).is_some()
    }

    /// Lets seconds pass until failover is to go by it: after how many, that of the first echo in vain too.
    fn lost_after(&mut self, seconds: u32, traffic: impl Fn(&mut Self)) -> Option<u32> {
        (1..=seconds).find(|_| {
            self.second(&traffic);
            self.evidence.lost_since().is_some()
        })
    }
}

fn seconds(seconds: u64) -> Time {
    Time::from_epoch(Duration::from_secs(seconds))
}
