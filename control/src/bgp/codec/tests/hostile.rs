//! RFC 7606 and RFC 4271 §6.3: what each malformed UPDATE costs.

use super::*;
use crate::bgp::codec::iana::update_error;

/// What an UPDATE came to.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// Its route is taken.
    Taken,
    /// Its route is taken without an attribute, for this reason.
    Discard(What),
    /// Its route counts as withdrawn, for this reason.
    Withdraw(What),
    /// The session is reset, with this subcode.
    Reset(u8),
}

/// The body of an UPDATE.
pub(super) fn body(withdrawn: &[u8], attributes: &[u8], nlri: &[u8]) -> Vec<u8> {
    let length = |field: &[u8]| u16::try_from(field.len()).unwrap().to_be_bytes();
    [&length(withdrawn)[..], withdrawn, &length(attributes), attributes, nlri].concat()
}

/// One attribute with a length of one octet, or of two where it is needed.
pub(super) fn attribute(flags: u8, kind: AttributeType, value: &[u8]) -> Vec<u8> {
    if let Ok(length) = u8::try_from(value.len()) {
        return [&[flags, kind.0, length], value].concat();
    }
    let [high, low] = u16::try_from(value.len()).unwrap().to_be_bytes();
    [&[flags | 0x10, kind.0, high, low], value].concat()
}

/// ORIGIN, AS_PATH and NEXT_HOP as they should be.
pub(super) fn mandatory() -> Vec<u8> {
    [ORIGIN, AS_PATH, NEXT_HOP].concat()
}

const ORIGIN: &[u8] = &[0x40, 1, 1, 0];
const AS_PATH: &[u8] = &[0x40, 2, 6, 2, 1, 0, 0, 0xfc, 0];
const NEXT_HOP: &[u8] = &[0x40, 3, 4, 169, 254, 10, 1];
/// 10.0.0.0/8.
const NLRI: &[u8] = &[8, 10];

fn outcome(attributes: &[u8], session: Session) -> Outcome {
    judged(&body(&[], attributes, NLRI), session)
}

fn judged(body: &[u8], session: Session) -> Outcome {
    let update = match Update::parse(body, session) {
        Ok(update) => update,
        Err(told) => return Outcome::Reset(told.subcode),
    };
    let worst = update.flaws.iter().max_by_key(|flaw| flaw.handling);
    match (update.announced.len(), update.withdrawn.len(), worst) {
        (1, 0, None) => Outcome::Taken,
        (1, 0, Some(flaw)) if flaw.handling == Handling::AttributeDiscard => Outcome::Discard(flaw.what),
        (0, 1, Some(flaw)) if flaw.handling == Handling::TreatAsWithdraw => Outcome::Withdraw(flaw.what),
        other => panic!("an outcome of no kind: {other:?}"),
    }
}

/// An attribute beside good mandatory ones.
fn beside(flags: u8, kind: AttributeType, value: &[u8]) -> Outcome {
    outcome(&[&mandatory()[..], &attribute(flags, kind, value)].concat(), SESSION)
}

/// An attribute in place of its good self.
fn instead(kind: AttributeType, octets: &[u8]) -> Outcome {
    let good = [
        (AttributeType::ORIGIN, ORIGIN),
        (AttributeType::AS_PATH, AS_PATH),
        (AttributeType::NEXT_HOP, NEXT_HOP),
    ];
    let parts = good.map(|(its, good)| if its == kind { octets } else { good });
    outcome(&parts.concat(), SESSION)
}

#[test]
fn attributes_in_any_order_are_taken() {
    let parts = [ORIGIN, AS_PATH, NEXT_HOP, &[0x80, 4, 4, 0, 0, 0, 1]];
    for first in 0..4 {
        let order = [first, (first + 1) % 4, (first + 2) % 4, (first + 3) % 4];
        assert_eq!(outcome(&order.map(|part| parts[part]).concat(), SESSION), Outcome::Taken);
        assert_eq!(outcome(&order.map(|part| parts[3 - part]).concat(), SESSION), Outcome::Taken);
    }
}

#[test]
fn a_malformed_mandatory_attribute_withdraws() {
    use What::{Flags, Length, Missing, NotThePeer, Value};
    for (kind, octets, what) in [
        (AttributeType::ORIGIN, &[][..], Missing),
        (AttributeType::ORIGIN, &[0x40, 1, 0], Length),
        (AttributeType::ORIGIN, &[0x40, 1, 2, 0, 0], Length),
        (AttributeType::ORIGIN, &[0x40, 1, 1, 3], Value),
        (AttributeType::ORIGIN, &[0xc0, 1, 1, 0], Flags),
        (AttributeType::ORIGIN, &[0x00, 1, 1, 0], Flags),
        (AttributeType::AS_PATH, &[], Missing),
        (AttributeType::AS_PATH, &[0x40, 2, 0], NotThePeer),
        (AttributeType::AS_PATH, &[0x40, 2, 6, 2, 1, 0, 0, 0xfc, 1], NotThePeer),
        (AttributeType::AS_PATH, &[0x40, 2, 6, 1, 1, 0, 0, 0xfc, 0], NotThePeer),
        (AttributeType::AS_PATH, &[0x40, 2, 2, 2, 0], Value),
        (AttributeType::AS_PATH, &[0x40, 2, 6, 2, 2, 0, 0, 0xfc, 0], Value),
        (AttributeType::AS_PATH, &[0x40, 2, 7, 2, 1, 0, 0, 0xfc, 0, 2], Value),
        (AttributeType::AS_PATH, &[0x40, 2, 6, 3, 1, 0, 0, 0xfc, 0], Value),
        (AttributeType::AS_PATH, &[0x80, 2, 6, 2, 1, 0, 0, 0xfc, 0], Flags),
        (AttributeType::NEXT_HOP, &[], Missing),
        (AttributeType::NEXT_HOP, &[0x40, 3, 0], Length),
        (AttributeType::NEXT_HOP, &[0x40, 3, 3, 169, 254, 10], Length),
        (AttributeType::NEXT_HOP, &[0x40, 3, 5, 169, 254, 10, 1, 0], Length),
        (AttributeType::NEXT_HOP, &[0x40, 3, 4, 0, 0, 0, 0], Value),
        (AttributeType::NEXT_HOP, &[0x40, 3, 4, 127, 0, 0, 1], Value),
        (AttributeType::NEXT_HOP, &[0x40, 3, 4, 224, 0, 0, 1], Value),
        (AttributeType::NEXT_HOP, &[0x40, 3, 4, 255, 255, 255, 255], Value),
    ] {
        assert_eq!(instead(kind, octets), Outcome::Withdraw(what), "{octets:?}");
    }
}

#[test]
fn lengths_of_optional_attributes_cost_what_rfc_7606_section_7_says() {
    use AttributeType as A;
    let withdraws: [(u8, A, &[usize]); 5] = [
        (0x80, A::MULTI_EXIT_DISC, &[0, 1, 3, 5, 255, 4000]),
        (0xc0, A::COMMUNITIES, &[0, 1, 3, 5, 255]),
        (0xc0, A::EXTENDED_COMMUNITIES, &[0, 1, 7, 9, 255]),
        (0xc0, A::LARGE_COMMUNITY, &[0, 1, 11, 13, 255]),
        (0xc0, A::COMMUNITIES, &[257, 4001]),
    ];
    for (flags, kind, lengths) in withdraws {
        for length in lengths {
            assert_eq!(
                beside(flags, kind, &vec![1; *length]),
                Outcome::Withdraw(What::Length),
                "{kind} {length}"
            );
        }
    }
    let discards: [(u8, A, &[usize]); 2] =
        [(0x40, A::ATOMIC_AGGREGATE, &[1, 4, 255]), (0xc0, A::AGGREGATOR, &[0, 6, 7, 9, 255, 4000])];
    for (flags, kind, lengths) in discards {
        for length in lengths {
            assert_eq!(
                beside(flags, kind, &vec![1; *length]),
                Outcome::Discard(What::Length),
                "{kind} {length}"
            );
        }
    }
    assert_eq!(beside(0xc0, A::AGGREGATOR, &[0; 8]), Outcome::Discard(What::Value));
    for (flags, kind, length) in [
        (0x80, A::MULTI_EXIT_DISC, 4),
        (0xc0, A::COMMUNITIES, 400),
        (0xc0, A::EXTENDED_COMMUNITIES, 8),
        (0x40, A::ATOMIC_AGGREGATE, 0),
    ] {
        assert_eq!(beside(flags, kind, &vec![1; length]), Outcome::Taken, "{kind}");
    }
}

#[test]
fn what_an_external_peer_has_no_business_with_is_discarded_and_an_internal_one_must_get_it_right() {
    let internal = Session { external: false, ..SESSION };
    for (flags, kind, good) in [
        (0x40, AttributeType::LOCAL_PREF, 4),
        (0x80, AttributeType::ORIGINATOR_ID, 4),
        (0x80, AttributeType::CLUSTER_LIST, 8),
    ] {
        for length in [0, 1, good, 255] {
            let octets = [&mandatory()[..], &attribute(flags, kind, &vec![1; length])].concat();
            assert_eq!(outcome(&octets, SESSION), Outcome::Discard(What::Misplaced), "{kind} {length}");
            let within = if length == good { Outcome::Taken } else { Outcome::Withdraw(What::Length) };
            assert_eq!(outcome(&octets, internal), within, "{kind} {length}");
        }
    }
}

#[test]
fn of_attributes_that_come_twice_the_first_counts() {
    let twice = [&mandatory()[..], &[0x80, 4, 4, 0, 0, 0, 1], &[0x80, 4, 4, 0, 0, 0, 2]].concat();
    assert_eq!(outcome(&twice, SESSION), Outcome::Discard(What::Repeated));
    let update = Update::parse(&body(&[], &twice, NLRI), SESSION).unwrap();
    assert_eq!(update.announced[0].path.med, Some(1));
    let unknown = [&mandatory()[..], &[0xc0, 200, 0], &[0xc0, 200, 0]].concat();
    assert_eq!(outcome(&unknown, SESSION), Outcome::Discard(What::Repeated));
    for kind in [AttributeType::MP_REACH_NLRI, AttributeType::MP_UNREACH_NLRI] {
        let value = if kind == AttributeType::MP_UNREACH_NLRI { vec![0, 2, 1] } else { reach(&[8, 0xfd]) };
        let one = attribute(0x80, kind, &value);
        let octets = [&mandatory()[..], &one, &one].concat();
        assert_eq!(outcome(&octets, SESSION), Outcome::Reset(update_error::ATTRIBUTE_LIST));
    }
}

#[test]
fn unknown_attributes_pass_unless_they_claim_to_be_well_known() {
    for flags in [0x80, 0xc0, 0xe0, 0xcf] {
        assert_eq!(beside(flags, AttributeType(200), &[1, 2, 3]), Outcome::Taken);
    }
    assert_eq!(beside(0x40, AttributeType(200), &[1]), Outcome::Reset(update_error::UNRECOGNIZED));
    assert_eq!(beside(0xe0, AttributeType::COMMUNITIES, &[1; 4]), Outcome::Taken, "the Partial bit is free");
}

#[test]
fn attributes_that_do_not_fill_their_field_withdraw_as_long_as_the_prefixes_are_found() {
    for tail in
        [&[0x80][..], &[0x80, 4], &[0x80, 4, 4, 0], &[0x90, 4, 0], &[0xc0, 200, 255], &[0xd0, 8, 255, 255, 0]]
    {
        let octets = [&mandatory()[..], tail].concat();
        assert_eq!(outcome(&octets, SESSION), Outcome::Withdraw(What::Overrun), "{tail:?}");
        let without_prefixes = body(&[], &octets, &[]);
        let told = Update::parse(&without_prefixes, SESSION).unwrap_err();
        assert_eq!(told.subcode, update_error::ATTRIBUTE_LIST, "RFC 7606 §5.2");
    }
}

#[test]
fn lengths_of_the_fields_reset_where_the_prefixes_are_lost() {
    for octets in [&[0, 1, 0, 0][..], &[0, 0, 0, 1], &[255, 255, 0, 0], &[0, 0, 255, 255], &[0, 0], &[]] {
        let told = Update::parse(octets, SESSION).unwrap_err();
        assert_eq!(told.subcode, update_error::ATTRIBUTE_LIST, "{octets:?}");
    }
    for nlri in [&[33, 1, 2, 3, 4, 5][..], &[24, 10, 0], &[255]] {
        for octets in [body(&[], &mandatory(), nlri), body(nlri, &[], &[])] {
            let told = Update::parse(&octets, SESSION).unwrap_err();
            assert_eq!(told.subcode, update_error::NETWORK, "{nlri:?}");
        }
    }
}

/// The value of an MP_REACH_NLRI with a good next hop.
fn reach(nlri: &[u8]) -> Vec<u8> {
    let IpAddr::V6(next_hop) = V6 else { unreachable!() };
    [&[0, 2, 1, 16][..], &next_hop.octets(), &[0], nlri].concat()
}

#[test]
fn a_malformed_mp_reach_or_mp_unreach_resets() {
    let good = reach(&[8, 0xfd]);
    let with = |at: usize, value: u8| {
        let mut broken = good.clone();
        broken[at] = value;
        broken
    };
    let values = [
        vec![],
        vec![0, 2, 1, 0],
        good[..10].to_vec(),
        good[..20].to_vec(),
        with(3, 4),
        with(3, 15),
        with(3, 17),
        with(3, 255),
        with(21, 129),
        with(21, 64),
    ];
    for value in values {
        let octets = [&attribute(0x80, AttributeType::MP_REACH_NLRI, &value)[..], ORIGIN, AS_PATH].concat();
        let told = Update::parse(&body(&[], &octets, &[]), SESSION).unwrap_err();
        assert_eq!(told.subcode, update_error::OPTIONAL, "{value:?}");
        assert_eq!(told.data, attribute(0x80, AttributeType::MP_REACH_NLRI, &value), "the attribute is told");
    }
    for value in [&[][..], &[0], &[0, 2], &[0, 2, 1, 129], &[0, 2, 1, 64, 1], &[0, 1, 1, 33, 0, 0, 0, 0, 0]] {
        let octets = attribute(0x80, AttributeType::MP_UNREACH_NLRI, value);
        let told = Update::parse(&body(&[], &octets, &[]), SESSION).unwrap_err();
        assert_eq!(told.subcode, update_error::OPTIONAL, "{value:?}");
    }
}

/// RFC 7606 §3 c: the attribute is malformed, but its prefixes can be read.
#[test]
fn mp_reach_and_mp_unreach_with_the_flags_of_another_withdraw_what_they_name() {
    for flags in [0x00, 0x40, 0xc0] {
        let wrong = |kind, value: &[u8]| attribute(flags, kind, value);
        let octets = [&wrong(AttributeType::MP_REACH_NLRI, &reach(&[8, 0xfd]))[..], ORIGIN, AS_PATH].concat();
        assert_eq!(judged(&body(&[], &octets, &[]), SESSION), Outcome::Withdraw(What::Flags));
        let octets = wrong(AttributeType::MP_UNREACH_NLRI, &[0, 2, 1, 8, 0xfd]);
        assert_eq!(judged(&body(&[], &octets, &[]), SESSION), Outcome::Withdraw(What::Flags));
        let unreadable = [&wrong(AttributeType::MP_REACH_NLRI, &reach(&[129]))[..], ORIGIN, AS_PATH].concat();
        assert_eq!(judged(&body(&[], &unreadable, &[]), SESSION), Outcome::Reset(update_error::OPTIONAL));
        let foreign = [&wrong(AttributeType::MP_REACH_NLRI, &[0, 25, 70, 0, 0])[..], &mandatory()].concat();
        assert_eq!(outcome(&foreign, SESSION), Outcome::Withdraw(What::Flags));
    }
}

#[test]
fn a_next_hop_that_nothing_can_be_sent_to_withdraws() {
    for next_hop in [Ipv6Addr::UNSPECIFIED, Ipv6Addr::LOCALHOST, Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1)] {
        let value = [&[0, 2, 1, 16][..], &next_hop.octets(), &[0, 8, 0xfd]].concat();
        let octets = [&attribute(0x80, AttributeType::MP_REACH_NLRI, &value)[..], ORIGIN, AS_PATH].concat();
        assert_eq!(judged(&body(&[], &octets, &[]), SESSION), Outcome::Withdraw(What::Value));
    }
}

#[test]
fn families_that_were_not_agreed_on_are_passed_over() {
    let narrow = Session { families: Families::IPV4, ..SESSION };
    for value in [reach(&[8, 0xfd]), [&[0, 25, 70, 4, 1, 2, 3, 4, 0][..], &[0xff; 40]].concat()] {
        let octets = [&attribute(0x80, AttributeType::MP_REACH_NLRI, &value)[..], &mandatory()].concat();
        assert_eq!(outcome(&octets, narrow), Outcome::Discard(What::Family));
    }
    let narrow = Session { families: [Family::Ipv6].into_iter().collect(), ..SESSION };
    let update = Update::parse(&body(&[8, 10], &mandatory(), NLRI), narrow).unwrap();
    assert_eq!((update.announced.len(), update.withdrawn.len()), (0, 0));
}

#[test]
fn the_dearest_of_several_errors_is_paid() {
    let discard = attribute(0x40, AttributeType::ATOMIC_AGGREGATE, &[1]);
    let withdraw = attribute(0x80, AttributeType::MULTI_EXIT_DISC, &[1]);
    let reset = attribute(0x80, AttributeType::MP_UNREACH_NLRI, &[0]);
    for order in [[&discard, &withdraw], [&withdraw, &discard]] {
        let octets = [&mandatory()[..], order[0], order[1]].concat();
        assert_eq!(outcome(&octets, SESSION), Outcome::Withdraw(What::Length));
    }
    let octets = [&mandatory()[..], &withdraw, &reset, &discard].concat();
    assert_eq!(outcome(&octets, SESSION), Outcome::Reset(update_error::OPTIONAL));
}

#[test]
fn attributes_without_routes_leave_no_doubt_only_if_nothing_is_wrong_with_them() {
    assert_eq!(Update::parse(&body(&[8, 10], &mandatory(), &[]), SESSION).unwrap().withdrawn.len(), 1);
    let discard = [&mandatory()[..], &attribute(0x40, AttributeType::ATOMIC_AGGREGATE, &[1])].concat();
    assert!(Update::parse(&body(&[], &discard, &[]), SESSION).is_ok());
    let withdraw = [&mandatory()[..], &attribute(0x80, AttributeType::MULTI_EXIT_DISC, &[1])].concat();
    let told = Update::parse(&body(&[8, 10], &withdraw, &[]), SESSION).unwrap_err();
    assert_eq!(told.subcode, update_error::LENGTH);
}

#[test]
fn withdrawals_beside_a_flaw_are_taken() {
    let withdraw = [&mandatory()[..], &attribute(0x80, AttributeType::MULTI_EXIT_DISC, &[1])].concat();
    let update = Update::parse(&body(&[16, 10, 1], &withdraw, NLRI), SESSION).unwrap();
    assert_eq!(update.withdrawn, [net("10.1.0.0/16"), net("10.0.0.0/8")]);
    assert!(update.announced.is_empty());
}

#[test]
fn as4_path_is_joined_before_or_after_as_path_and_discarded_where_it_is_malformed_or_out_of_place() {
    let as_path = [0x40, 2, 6, 2, 2, 0xfc, 0, 0x5b, 0xa0];
    let as4_path = attribute(0xc0, AttributeType::AS4_PATH, &[2, 1, 0, 1, 0x11, 0x70]);
    for parts in [[&as_path[..], &as4_path], [&as4_path, &as_path]] {
        let octets = [ORIGIN, parts[0], parts[1], NEXT_HOP].concat();
        let update = Update::parse(&body(&[], &octets, NLRI), OLD).unwrap();
        assert_eq!(update.announced[0].path.as_path.to_string(), "64512 70000");
        assert_eq!(update.flaws, []);
    }
    for value in [&[][..], &[2], &[2, 0], &[3, 1, 0, 0, 0, 1], &[2, 2, 0, 0, 0, 1], &[2, 1, 0, 0, 0, 0]] {
        let octets = [ORIGIN, &as_path, NEXT_HOP, &attribute(0xc0, AttributeType::AS4_PATH, value)].concat();
        assert_eq!(outcome(&octets, OLD), Outcome::Discard(What::Value), "{value:?}");
    }
    let misplaced = [&mandatory()[..], &as4_path].concat();
    assert_eq!(outcome(&misplaced, SESSION), Outcome::Discard(What::Misplaced));
    assert_eq!(
        beside(0xc0, AttributeType::AS4_AGGREGATOR, &[0, 1, 0x11, 0x70, 1, 2, 3, 4]),
        Outcome::Discard(What::Misplaced)
    );
}

#[test]
fn an_aggregator_that_knew_no_four_octets_makes_as4_path_void() {
    let as_path = [0x40, 2, 6, 2, 2, 0xfc, 0, 0x5b, 0xa0];
    let as4_path = attribute(0xc0, AttributeType::AS4_PATH, &[2, 1, 0, 1, 0x11, 0x70]);
    let as4_aggregator = attribute(0xc0, AttributeType::AS4_AGGREGATOR, &[0, 1, 0x11, 0x70, 192, 0, 2, 9]);
    for (asn, path, aggregator) in [(64512_u16, "64512 23456", 64512), (23456, "64512 70000", 70_000)] {
        let value = [&asn.to_be_bytes()[..], &[192, 0, 2, 9]].concat();
        let own = attribute(0xc0, AttributeType::AGGREGATOR, &value);
        let octets = [ORIGIN, &as_path, NEXT_HOP, &own, &as4_path, &as4_aggregator].concat();
        let update = Update::parse(&body(&[], &octets, NLRI), OLD).unwrap();
        let taken = &update.announced[0].path;
        assert_eq!((taken.as_path.to_string().as_str(), taken.aggregator.unwrap().asn), (path, aggregator));
    }
}

#[test]
fn communities_are_sorted_and_each_is_kept_once() {
    let value: Vec<u8> = [3_u32, 1, 3, 2].iter().flat_map(|community| community.to_be_bytes()).collect();
    let octets = [&mandatory()[..], &attribute(0xc0, AttributeType::COMMUNITIES, &value)].concat();
    let update = Update::parse(&body(&[], &octets, NLRI), SESSION).unwrap();
    assert_eq!(update.announced[0].path.communities, [1, 2, 3].map(Community));
}

#[test]
fn a_message_full_of_flaws_tells_a_few() {
    let many = (0..1000).flat_map(|_| [0x80, 4, 0]).collect::<Vec<_>>();
    let update = Update::parse(&body(&[], &[&mandatory()[..], &many].concat(), NLRI), SESSION).unwrap();
    assert!(update.flaws.len() <= 8, "{}", update.flaws.len());
    assert_eq!(update.withdrawn, [net("10.0.0.0/8")]);
    let cheap = (0..100).flat_map(|_| [0xc0, 200, 0]).chain([0x80, 4, 0]).collect::<Vec<_>>();
    let update = Update::parse(&body(&[], &[&mandatory()[..], &cheap].concat(), NLRI), SESSION).unwrap();
    let decided = update.flaws.iter().find(|flaw| flaw.handling == Handling::TreatAsWithdraw);
    assert_eq!(decided.map(|flaw| flaw.what), Some(What::Length), "the one that decided is among them");
}

#[test]
fn a_flaw_says_what_it_costs() {
    let octets = [&mandatory()[..], &attribute(0x80, AttributeType::MULTI_EXIT_DISC, &[1])].concat();
    let update = Update::parse(&body(&[], &octets, NLRI), SESSION).unwrap();
    assert_eq!(
        update.flaws[0].to_string(),
        "MULTI_EXIT_DISC: a length that it cannot have; the routes count as withdrawn"
    );
}
