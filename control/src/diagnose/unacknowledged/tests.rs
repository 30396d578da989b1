//! The evidence against a tunnel on virtual time: what convicts it, and what must not.

use proptest::prelude::*;

use super::*;

#[test]
fn tcp_that_nobody_acknowledges_while_ike_is_answered_is_lost_esp() {
    let mut bench = Bench::carrying();
    assert_eq!(
        bench.lost_after(60, |bench| bench.sends(1)),
        Some(11),
        "ten seconds after the first one in vain"
    );
    assert_eq!(bench.evidence.lost_since(), Some(seconds(31)));
    bench.second(|bench| bench.sample.rx_packets += 1);
    assert!(!bench.evidence.is_lost(), "one packet came");
}

/// Backups over UDP, syslog, a video to the cloud: however much of it, after whatever came before.
#[test]
fn what_needs_no_answer_convicts_nobody() {
    for mut bench in [Bench::carrying(), Bench::new()] {
        assert_eq!(bench.lost_after(3600, |bench| bench.sample.tx_packets += 10_000), None);
    }
}

#[test]
fn a_connection_that_ends_beside_an_upload_convicts_nobody() {
    let mut bench = Bench::carrying();
    bench.second(|bench| {
        bench.sends(3);
        bench.sample.rx_packets += 3;
    });
    assert_eq!(bench.lost_after(600, |bench| bench.sample.tx_packets += 100), None);
}

#[test]
fn a_burst_after_a_pause_has_its_time_to_be_answered() {
    let mut bench = Bench::carrying();
    assert_eq!(bench.lost_after(300, |_| ()), None);
    bench.second(|bench| bench.sends(1000));
    assert_eq!(bench.lost_after(9, |bench| bench.sends(10)), None);
    assert_eq!(bench.lost_after(9, |bench| bench.sample.rx_packets += 1), None);
}

#[test]
fn a_few_segments_are_no_evidence() {
    let mut bench = Bench::carrying();
    bench.second(|bench| bench.sends(4));
    assert_eq!(bench.lost_after(120, |_| ()), None);
    assert_eq!(bench.lost_after(1, |bench| bench.sends(1)), Some(1));
}

/// Then the path is gone, or the peer, which is the probe's to say.
#[test]
fn without_an_answer_under_ike_it_is_another_matter() {
    let mut bench = Bench::carrying();
    bench.ike = false;
    assert_eq!(bench.lost_after(300, |bench| bench.sends(1)), None);
    // What was sent before the first answer is not counted: the path may have been gone with IKE, and come with it.
    bench.ike = true;
    bench.second(|_| ());
    assert_eq!(bench.lost_after(20, |bench| bench.sends(0)), None);
    assert_eq!(bench.lost_after(20, |bench| bench.sends(1)), Some(11));
}

#[test]
fn a_peer_that_answers_echoes_is_judged_by_them() {
    let mut bench = Bench::carrying();
    bench.echoes = true;
    assert_eq!(bench.lost_after(300, |bench| bench.sends(10)), None);
}

#[test]
fn hosts_that_are_not_there_convict_no_tunnel_that_has_carried() {
    let mut bench = Bench::carrying();
    assert_eq!(bench.lost_after(300, |bench| bench.sample.tx_openings += 5), None);
    let mut bench = Bench::new();
    assert_eq!(bench.lost_after(300, |bench| bench.sample.tx_openings += 5), Some(11));
}

/// A cloud may answer through either tunnel: in one that only ever sends, nothing is to be expected.
#[test]
fn answers_that_come_through_another_tunnel_are_answers() {
    let mut bench = Bench::new();
    let elsewhere = |bench: &mut Bench| {
        bench.sends(10);
        bench.evidence.on_other(bench.now);
    };
    assert_eq!(bench.lost_after(300, elsewhere), None);
    let mut bench = Bench::carrying();
    assert_eq!(bench.lost_after(300, elsewhere), Some(11), "here they used to come");
}

#[test]
fn a_machine_that_slept_has_not_watched() {
    let mut bench = Bench::carrying();
    bench.second(|bench| bench.sends(100));
    bench.now = bench.now + Duration::from_hours(1);
    bench.second(|bench| bench.sends(100));
    assert!(!bench.evidence.is_lost());
}

#[test]
fn it_is_believed_for_five_minutes_and_longer_each_time() {
    let mut bench = Bench::carrying();
    for minutes in [5, 10, 20, 40, 60, 60] {
        assert!(bench.lost_after(60, |bench| bench.sends(1)).is_some());
        // The traffic is elsewhere.
        let mut believed = 0;
        while bench.evidence.is_lost() {
            bench.second(|_| ());
            believed += 1;
        }
        assert_eq!(believed, minutes * 60);
    }
    bench.second(|bench| bench.sample.rx_packets += 1);
    bench.lost_after(60, |bench| bench.sends(1));
    assert_eq!(bench.evidence.lost_until, Some(bench.now + FIRST_BELIEF), "forgotten: something came");
}

/// Where there is no better tunnel the status does not change its mind while it goes on.
#[test]
fn what_goes_on_in_vain_is_believed_on() {
    let mut bench = Bench::carrying();
    bench.lost_after(60, |bench| bench.sends(1));
    for _ in 0..1000 {
        for _ in 0..59 {
            bench.second(|_| ());
        }
        bench.second(|bench| bench.sends(1));
        assert!(bench.evidence.is_lost());
    }
}

proptest! {
    /// Whatever is sent: a tunnel out of which something comes every ten seconds is not lost.
    #[test]
    fn whatever_is_sent_a_tunnel_that_is_heard_is_not_lost(
        steps in prop::collection::vec((0_u64..3, 0_u64..3, 0_u64..100, any::<bool>()), 1..200),
    ) {
        let mut bench = Bench::new();
        for (number, (openings, segments, others, ike)) in steps.into_iter().enumerate() {
            bench.ike = ike;
            bench.second(|bench| {
                bench.sample.tx_openings += openings;
                bench.sends(segments);
                bench.sample.tx_packets += others;
                bench.sample.rx_packets += u64::from(number % 10 == 9);
            });
            prop_assert!(!bench.evidence.is_lost());
        }
    }

    /// Whatever came before: what demands no answer never convicts.
    #[test]
    fn whatever_came_before_one_sided_traffic_convicts_nobody(
        before in prop::collection::vec((0_u64..3, 0_u64..20), 0..60),
        upload in prop::collection::vec(0_u64..10_000, 60..200),
    ) {
        let mut bench = Bench::new();
        for (received, sent) in before {
            bench.second(|bench| {
                bench.sends(sent);
                bench.sample.rx_packets += received;
            });
        }
        // All that was sent is acknowledged.
        bench.second(|bench| bench.sample.rx_packets += 1);
        for packets in upload {
            bench.second(|bench| bench.sample.tx_packets += packets);
            prop_assert!(!bench.evidence.is_lost());
        }
    }
}

/// A tunnel whose peer answers no echo, and IKE every second.
struct Bench {
    evidence: Unacknowledged,
    now: Time,
    sample: Sample,
    echoes: bool,
    ike: bool,
}

impl Bench {
    /// Through which nothing has come yet.
    fn new() -> Self {
        let mut evidence = Unacknowledged::default();
        let (now, sample) = (Time::ZERO, Sample::default());
        evidence.take(now, &sample, false);
        Self { evidence, now, sample, echoes: false, ike: true }
    }

    /// That has carried both ways for half a minute.
    fn carrying() -> Self {
        let mut bench = Self::new();
        for _ in 0..30 {
            bench.second(|bench| {
                bench.sends(10);
                bench.sample.rx_packets += 10;
            });
        }
        bench
    }

    /// A second passes, with so much traffic in it.
    fn second(&mut self, traffic: impl FnOnce(&mut Self)) {
        self.now = self.now + Duration::from_secs(1);
        traffic(self);
        if self.ike {
            self.evidence.on_ike(self.now);
        }
        self.evidence.take(self.now, &self.sample, self.echoes);
    }

    /// Segments with data.
    fn sends(&mut self, segments: u64) {
        self.sample.tx_segments += segments;
        self.sample.tx_packets += segments;
    }

    /// Lets seconds pass, with so much traffic in each, until its ESP is taken for lost: after how many.
    fn lost_after(&mut self, seconds: u32, traffic: impl Fn(&mut Self)) -> Option<u32> {
        (1..=seconds).find(|_| {
            self.second(&traffic);
            self.evidence.is_lost()
        })
    }
}

fn seconds(seconds: u64) -> Time {
    Time::from_epoch(Duration::from_secs(seconds))
}
