//! Traffic selectors: the responder narrows, and both ends install the same (RFC 7296 §2.9).

use core::time::Duration;

use gotthard_ike::codec::payload::ts::TrafficSelector;
use gotthard_ike::error::{Failure, Side};

use crate::support::link::Weather;
use crate::support::pair::Pair;

fn prefix(text: &str) -> TrafficSelector {
    let (address, len) = text.split_once('/').unwrap();
    TrafficSelector::from_prefix(address.parse().unwrap(), len.parse().unwrap())
}

#[test]
fn a_wide_proposal_is_narrowed_to_what_the_responder_permits() {
    let mut pair = Pair::with(1, Weather::FAIR, |_, b| {
        b.ts_local = vec![prefix("10.200.0.0/16")];
        b.ts_remote = vec![prefix("10.10.0.0/16")];
    });
    pair.initiate_a();
    pair.run_for(Duration::from_secs(1));
    pair.assert_up();
    let sa = pair.a.outbound.as_ref().unwrap();
    assert_eq!(
        (&sa.ts_local[..], &sa.ts_remote[..]),
        (&[prefix("10.10.0.0/16")][..], &[prefix("10.200.0.0/16")][..])
    );
}

#[test]
fn ipv4_and_ipv6_share_a_child() {
    let both = || vec![TrafficSelector::any_v4(), TrafficSelector::any_v6()];
    let mut pair = Pair::with(1, Weather::FAIR, |a, b| {
        for config in [a, b] {
            config.ts_local = both();
            config.ts_remote = both();
        }
    });
    pair.initiate_a();
    pair.run_for(Duration::from_secs(1));
    pair.assert_up();
    assert_eq!(pair.a.outbound.as_ref().unwrap().ts_local, both());
}

#[test]
fn disjoint_selectors_are_told_with_ours_and_theirs() {
    let mut pair = Pair::with(1, Weather::FAIR, |a, b| {
        a.ts_remote = vec![prefix("10.1.0.0/16")];
        b.ts_local = vec![prefix("10.2.0.0/16")];
    });
    pair.initiate_a();
    pair.run_for(Duration::from_secs(1));
    assert!(matches!(pair.a.failed(), Some(Failure::TrafficSelectors { by: Side::Peer, .. })));
    assert_eq!(
        pair.b.failed(),
        Some(&Failure::TrafficSelectors {
            by: Side::Ours,
            ours: "10.2.0.0/16 === 0.0.0.0/0".into(),
            theirs: Some("10.1.0.0/16 === 0.0.0.0/0".into()),
        })
    );
    pair.assert_down();
}
