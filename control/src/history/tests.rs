//! In virtual time: an hour takes as long as 720 additions.

use super::*;
use crate::api::sample;

#[test]
fn a_sample_has_the_rates_since_the_one_before() {
    let mut history = History::default();
    let mut status = sample::status();
    history.take(seconds(100), &status);
    assert!(samples(&history).is_empty(), "one look at the counters is no rate");
    let tunnel = &mut status.connections[0].tunnels[0];
    tunnel.esp.rx_bytes += 2_500_000;
    tunnel.esp.tx_bytes += 1_250_000;
    tunnel.esp.drops.replay += 5;
    tunnel.esp.drops.other.insert("no_sa".to_owned(), 5);
    history.take(seconds(105), &status);
    let rates = Rates { rx_bps: 4e6, tx_bps: 2e6, drops: 2.0 };
    assert_eq!(samples(&history), [Sample { at_s: 105, rates, rtt_ms: Some(8.14) }]);
}

#[test]
fn a_sample_is_due_every_five_seconds() {
    let mut history = History::default();
    assert!(history.is_due(seconds(0)));
    history.take(seconds(7), &sample::status());
    assert!(!history.is_due(seconds(11)) && history.is_due(seconds(12)));
}

#[test]
fn an_hour_is_kept_and_no_more() {
    let mut history = History::default();
    let mut status = sample::status();
    for n in 0..=2000 {
        status.connections[0].tunnels[0].esp.rx_bytes += 1000;
        history.take(seconds(5 * n), &status);
    }
    let samples = samples(&history);
    assert_eq!((samples.len(), samples[0].at_s, samples[719].at_s), (SAMPLES, 6405, 10_000));
    assert!(samples.iter().all(|sample| (sample.rates.rx_bps - 1600.0).abs() < 0.1));
}

#[test]
fn tunnels_that_are_gone_are_forgotten_and_their_number_is_bounded() {
    let mut history = History::default();
    let mut status = sample::status();
    history.take(seconds(0), &status);
    status.connections[0].tunnels.pop();
    history.take(seconds(5), &status);
    assert!(history.of("aws", "2").is_none() && history.of("aws", "1").is_some());

    let one = status.connections[0].tunnels[0].clone();
    let many =
        (0..MAX_TUNNELS + 5).map(|n| crate::api::status::TunnelStatus { name: n.to_string(), ..one.clone() });
    status.connections[0].tunnels = many.collect();
    history.take(seconds(10), &status);
    assert_eq!(history.tracks.len(), MAX_TUNNELS);
}

#[test]
fn counters_that_fall_back_are_no_traffic() {
    let mut history = History::default();
    let mut status = sample::status();
    history.take(seconds(0), &status);
    status.connections[0].tunnels[0].esp.rx_bytes = 0;
    history.take(seconds(5), &status);
    assert_eq!(samples(&history)[0].rates, Rates::default());
}

fn samples(history: &History) -> Vec<Sample> {
    history.of("aws", "1").expect("the tunnel").iter().copied().collect()
}

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}
