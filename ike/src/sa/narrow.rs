//! Traffic-selector narrowing (RFC 7296 §2.9). Pure set arithmetic; the lookup by packet is in the data plane.

use crate::codec::payload::ts::TrafficSelector;

/// What both ends permit: every intersection of a selector of `policy` with one of `proposed`, in the peer's order.
/// Empty means TS_UNACCEPTABLE.
///
/// The peer's order keeps the selector of the packet that triggered the SA, which it puts first, in front.
pub(crate) fn narrow(policy: &[TrafficSelector], proposed: &[TrafficSelector]) -> Vec<TrafficSelector> {
    let mut narrowed: Vec<TrafficSelector> = Vec::new();
    for theirs in proposed {
        for ours in policy {
            let Some(both) = intersection(ours, theirs) else { continue };
            if narrowed.iter().any(|kept| contains(kept, &both)) {
                continue;
            }
            if narrowed.len() == MAX_NARROWED {
                return narrowed; // still a subset of both, which is all that §2.9 asks
            }
            narrowed.push(both);
        }
    }
    narrowed
}

/// Whether every selector of `inner` lies within one of `outer`: what a responder's answer must be of our proposal. Two
/// lists of which each is a subset of the other permit the same packets.
pub(crate) fn is_subset(inner: &[TrafficSelector], outer: &[TrafficSelector]) -> bool {
    inner.iter().all(|selector| outer.iter().any(|permitted| contains(permitted, selector)))
}

fn intersection(a: &TrafficSelector, b: &TrafficSelector) -> Option<TrafficSelector> {
    if a.start.is_ipv4() != b.start.is_ipv4() {
        return None;
    }
    let protocol = match (a.protocol, b.protocol) {
        (ANY_PROTOCOL, protocol) | (protocol, ANY_PROTOCOL) => protocol,
        (a, b) if a == b => a,
        _ => return None,
    };
    let (start_port, end_port) = common_ports(a, b)?;
    let (start, end) = (a.start.max(b.start), a.end.min(b.end));
    (start <= end).then_some(TrafficSelector { protocol, start_port, end_port, start, end })
}

/// OPAQUE is 65535 to 0 and so no range: it is within all ports and within itself (RFC 7296 §3.13.1).
fn common_ports(a: &TrafficSelector, b: &TrafficSelector) -> Option<(u16, u16)> {
    let all = |ts: &TrafficSelector| ts.start_port == 0 && ts.end_port == u16::MAX;
    if a.is_opaque() || b.is_opaque() {
        let both = (a.is_opaque() || all(a)) && (b.is_opaque() || all(b));
        return both.then_some((u16::MAX, 0));
    }
    let (start, end) = (a.start_port.max(b.start_port), a.end_port.min(b.end_port));
    (start <= end).then_some((start, end))
}

fn contains(outer: &TrafficSelector, inner: &TrafficSelector) -> bool {
    intersection(outer, inner) == Some(*inner)
}

const ANY_PROTOCOL: u8 = 0;

/// Selectors of an answer; a TS payload cannot count further than 255.
const MAX_NARROWED: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_superset_is_narrowed_to_the_policy() {
        let policy = [net("10.1.0.0", 16), net("2001:db8::", 32)];
        let all = [TrafficSelector::any_v4(), TrafficSelector::any_v6()];
        assert_eq!(narrow(&policy, &all), policy);
    }

    #[test]
    fn a_subset_is_taken_as_it_is() {
        let proposed = [TrafficSelector { protocol: 6, start_port: 22, end_port: 22, ..net("10.1.2.0", 24) }];
        assert_eq!(narrow(&[TrafficSelector::any_v4()], &proposed), proposed);
    }

    #[test]
    fn disjoint_selectors_leave_nothing() {
        assert_eq!(narrow(&[net("10.1.0.0", 16)], &[net("10.2.0.0", 16)]), []);
        assert_eq!(narrow(&[net("10.1.0.0", 16)], &[TrafficSelector::any_v6()]), []);
        let tcp = TrafficSelector { protocol: 6, ..TrafficSelector::any_v4() };
        let udp = TrafficSelector { protocol: 17, ..TrafficSelector::any_v4() };
        assert_eq!(narrow(&[tcp], &[udp]), []);
        let low = TrafficSelector { end_port: 1023, ..tcp };
        let high = TrafficSelector { start_port: 1024, ..tcp };
        assert_eq!(narrow(&[low], &[high]), []);
        assert_eq!(narrow(&[], &[tcp]), []);
        assert_eq!(narrow(&[tcp], &[]), []);
    }

    #[test]
    fn the_packet_that_triggered_the_sa_stays_in_front_and_is_not_repeated() {
        let packet = TrafficSelector { protocol: 17, start_port: 53, end_port: 53, ..net("10.1.2.3", 32) };
        let policy = [net("10.1.0.0", 16), net("10.2.0.0", 16)];
        assert_eq!(narrow(&policy, &[packet, TrafficSelector::any_v4()]), [packet, policy[0], policy[1]]);
        assert_eq!(narrow(&policy, &[net("10.1.0.0", 16), packet, packet]), [policy[0]]);
    }

    #[test]
    fn opaque_ports_are_within_any_and_within_opaque_only() {
        let all = TrafficSelector { protocol: 6, ..TrafficSelector::any_v4() };
        let opaque = TrafficSelector { start_port: u16::MAX, end_port: 0, ..all };
        let some = TrafficSelector { start_port: 1, end_port: 2, ..all };
        assert_eq!(narrow(&[all], &[opaque]), [opaque]);
        assert_eq!(narrow(&[opaque], &[all]), [opaque]);
        assert_eq!(narrow(&[opaque], &[opaque]), [opaque]);
        assert_eq!(narrow(&[some], &[opaque]), []);
    }

    #[test]
    fn an_answer_that_is_wider_than_the_proposal_is_no_subset() {
        let proposed = [net("10.1.0.0", 16), net("10.2.0.0", 16)];
        assert!(is_subset(&[net("10.2.3.0", 24)], &proposed));
        assert!(!is_subset(&[TrafficSelector::any_v4()], &proposed));
        assert!(!is_subset(&[net("10.1.0.0", 16), net("10.3.0.0", 16)], &proposed));
    }

    #[test]
    fn as_many_selectors_as_a_peer_can_send_are_answered_within_the_bound() {
        let policy: Vec<_> = (0..=255).map(|octet| net(&format!("10.{octet}.0.0"), 16)).collect();
        let proposed: Vec<_> = (0..255).map(|octet| net(&format!("10.{octet}.1.0"), 24)).collect();
        let narrowed = narrow(&policy, &proposed);
        assert_eq!(narrowed.len(), MAX_NARROWED);
        assert!(is_subset(&narrowed, &policy) && is_subset(&narrowed, &proposed));
    }

    proptest! {
        #[test]
        fn what_is_narrowed_lies_within_both(
            policy in prop::collection::vec(any_selector(), 0..6),
            proposed in prop::collection::vec(any_selector(), 0..6),
        ) {
            let narrowed = narrow(&policy, &proposed);
            prop_assert!(is_subset(&narrowed, &policy) && is_subset(&narrowed, &proposed));
            prop_assert_eq!(narrow(&narrowed, &proposed).is_empty(), narrowed.is_empty());
        }

        #[test]
        fn a_packet_that_both_permit_is_permitted(
            policy in prop::collection::vec(any_selector(), 1..6),
            proposed in prop::collection::vec(any_selector(), 1..6),
            packet in any_selector(),
        ) {
            let permits = |list: &[TrafficSelector]| is_subset(&[packet], list);
            prop_assert_eq!(permits(&narrow(&policy, &proposed)), permits(&policy) && permits(&proposed));
        }
    }

    /// From few values, so that ranges meet.
    fn any_selector() -> impl Strategy<Value = TrafficSelector> {
        let protocol = prop::sample::select(vec![0, 6, 17]);
        let ports = (0_u16..4, 0_u16..4).prop_map(|(a, b)| match (a.min(b), a.max(b)) {
            (0, 3) => (0, u16::MAX),
            (1, 1) => (u16::MAX, 0),
            ports => ports,
        });
        let addresses = (any::<bool>(), 0_u8..4, 0_u8..4);
        (protocol, ports, addresses).prop_map(|(protocol, (start_port, end_port), (v4, a, b))| {
            let of = |last| if v4 { format!("10.0.0.{last}") } else { format!("2001:db8::{last}") };
            let (start, end) = (of(a.min(b)).parse().unwrap(), of(a.max(b)).parse().unwrap());
            TrafficSelector { protocol, start_port, end_port, start, end }
        })
    }

    fn net(address: &str, prefix_len: u8) -> TrafficSelector {
        TrafficSelector::from_prefix(address.parse().unwrap(), prefix_len)
    }
}
