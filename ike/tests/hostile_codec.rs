//! Messages that no honest peer sends: each is refused with what is wrong with it, at once, without a panic and without
//! an allocation that only the peer's word justifies. The letters and numbers are those of the list of hostile input.

use std::hint::black_box;
use std::time::{Duration, Instant};

use gotthard_ike::codec::header::{Flags, Header};
use gotthard_ike::codec::iana::{ExchangeType, NotifyType, PayloadType, ProtocolId};
use gotthard_ike::codec::limits::{MAX_PAYLOADS, MAX_PROPOSALS};
use gotthard_ike::codec::message::{Message, emit_clear};
use gotthard_ike::codec::payload::delete::Delete;
use gotthard_ike::codec::payload::encrypted::{Encrypted, EncryptedFragment};
use gotthard_ike::codec::payload::nonce::Nonce;
use gotthard_ike::codec::payload::notify::Notify;
use gotthard_ike::codec::payload::select::Select;
use gotthard_ike::codec::payload::vendor_id::VendorId;
use gotthard_ike::codec::payload::{Payload, parse_chain};
use gotthard_ike::codec::{DecodeError, Flaw};

#[test]
fn h4_a_header_that_is_short_or_lies_about_the_length_is_refused() {
    let good = message(&[notify()]);
    assert!(Message::parse(&good).is_ok());
    assert_eq!(Message::parse(&[]), Err(DecodeError::Runt(0)));
    assert_eq!(Message::parse(&good[..27]), Err(DecodeError::Runt(27)));
    for length in [0, 27, 28, 35, 37, 0x8000_0000, u32::MAX] {
        let mut lying = good.clone();
        lying[24..28].copy_from_slice(&length.to_be_bytes());
        assert_eq!(Message::parse(&lying), Err(DecodeError::Length { header: length, datagram: good.len() }));
    }
    let mut trailing = good;
    trailing.push(0);
    assert!(matches!(Message::parse(&trailing), Err(DecodeError::Length { .. })));
}

#[test]
fn h4_other_major_versions_are_named_whatever_follows() {
    for (version, major) in [(0x10, 1), (0x30, 3), (0xf0, 15), (0x00, 0)] {
        let mut datagram = message(&[notify()]);
        datagram[17] = version;
        datagram[27] ^= 1;
        assert_eq!(Message::parse(&datagram), Err(DecodeError::MajorVersion(major)));
        assert_eq!(Header::parse(&datagram).unwrap().major, major);
    }
}

#[test]
fn h4_payload_lengths_of_0_to_3_and_beyond_the_end_are_refused() {
    for length in 0..4_u16 {
        let [high, low] = length.to_be_bytes();
        let chain = [0, 0, high, low, 0, 0, 0, 0];
        assert_malformed(PayloadType::NOTIFY, &chain, Flaw::LengthTooSmall);
        assert_malformed(PayloadType(99), &chain, Flaw::LengthTooSmall);
    }
    for length in [9, 0x00ff, u16::MAX] {
        let [high, low] = length.to_be_bytes();
        assert_malformed(PayloadType::NOTIFY, &[0, 0, high, low, 0, 0, 0, 0], Flaw::Truncated);
    }
    for cut in 0..4 {
        assert_malformed(PayloadType::NOTIFY, &[0, 0, 0, 8][..cut], Flaw::Truncated);
    }
    assert_eq!(parse_chain(PayloadType::NOTIFY, &[0, 0, 0, 8, 0, 0, 0, 0, 7]), Err(DecodeError::Trailing(1)));
    assert_eq!(parse_chain(PayloadType::NONE, &[1, 2]), Err(DecodeError::Trailing(2)));
    assert_eq!(parse_chain(PayloadType::NONE, &[]), Ok(vec![]));
}

#[test]
fn h4_structures_inside_a_payload_stay_inside_it() {
    // A proposal and a transform that reach beyond, an SPI longer than all, an attribute longer than its transform.
    assert_sa(&[0, 0, 0, 40, 1, 1, 0, 0], Flaw::Truncated);
    assert_sa(&[0, 0, 0, 7, 1, 1, 0, 0], Flaw::Truncated);
    assert_sa(&[0, 0, 0, 3, 1, 1, 0, 0], Flaw::LengthTooSmall);
    assert_sa(&[0, 0, 0, 8, 1, 1, 255, 0], Flaw::Truncated);
    assert_sa(&[0, 0, 0, 16, 1, 1, 0, 1, 0, 0, 255, 255, 1, 0, 0, 12], Flaw::Truncated);
    assert_sa(&[0, 0, 0, 16, 1, 1, 0, 1, 0, 0, 0, 7, 1, 0, 0, 12], Flaw::Truncated);
    assert_sa(&[0, 0, 0, 20, 1, 1, 0, 1, 0, 0, 0, 12, 1, 0, 0, 12, 0, 14, 255, 255], Flaw::Truncated);
    // Notify with an SPI, TS and CP attributes with lengths beyond the end.
    assert_malformed(PayloadType::NOTIFY, &[0, 0, 0, 8, 3, 255, 0, 1], Flaw::Truncated);
    assert_malformed(PayloadType::TS_I, &[0, 0, 0, 12, 1, 0, 0, 0, 7, 0, 0, 16], Flaw::Truncated);
    assert_malformed(PayloadType::CP, &[0, 0, 0, 12, 1, 0, 0, 0, 0, 1, 255, 255], Flaw::Truncated);
    assert_malformed(PayloadType::EAP, &[0, 0, 0, 8, 1, 1, 0, 9], Flaw::Truncated);
    assert_malformed(PayloadType::EAP, &[0, 0, 0, 9, 1, 1, 0, 4, 0], Flaw::Trailing);
}

#[test]
fn h4_counts_and_last_marks_must_agree_with_what_is_there() {
    assert_malformed(PayloadType::SA, &[0, 0, 0, 4], Flaw::Empty);
    assert_sa(&[2, 0, 0, 8, 1, 1, 0, 0], Flaw::Count);
    assert_sa(&[1, 0, 0, 8, 1, 1, 0, 0], Flaw::Count);
    assert_sa(&[0, 0, 0, 8, 1, 1, 0, 1], Flaw::Count);
    assert_sa(&[0, 0, 0, 16, 1, 1, 0, 0, 0, 0, 0, 8, 1, 0, 0, 12], Flaw::Count);
    assert_sa(&[0, 0, 0, 16, 1, 1, 0, 2, 0, 0, 0, 8, 1, 0, 0, 12], Flaw::Count);
    assert_sa(&[0, 0, 0, 16, 1, 1, 0, 1, 3, 0, 0, 8, 1, 0, 0, 12], Flaw::Count);
    assert_sa(&[0, 0, 0, 8, 1, 1, 0, 0, 0, 0, 0, 8, 2, 1, 0, 0], Flaw::Trailing);
}

#[test]
fn h4_255_proposals_of_255_transforms_are_refused_in_less_than_a_millisecond() {
    // 255 × 255 transforms have no place in 64 KiB: the first message has as many as fit, the second says it has all.
    let transform = |last: u8| [last, 0, 0, 8, 1, 0, 0, 12];
    let full_proposal = |number: u8| {
        let mut proposal = vec![2, 0, 0x08, 0x00, number, 1, 0, 255];
        (0..255).for_each(|n| proposal.extend(transform(if n == 254 { 0 } else { 3 })));
        proposal
    };
    let fitting: Vec<u8> = (1..=31).flat_map(full_proposal).collect();
    let lying: Vec<u8> = (1..=255)
        .flat_map(|number| [2, 0, 0, 16, number, 1, 0, 255].into_iter().chain(transform(3)))
        .collect();
    let empty: Vec<u8> = (1..=255).flat_map(|number| [2, 0, 0, 8, number, 1, 0, 0]).collect();
    for (proposals, flaw) in [(fitting, Flaw::TooMany), (lying, Flaw::Count), (empty, Flaw::TooMany)] {
        let chain = payload(PayloadType::NONE, &proposals);
        assert_malformed(PayloadType::SA, &chain, flaw);
        let spent = fastest(|| parse_chain(PayloadType::SA, &chain).is_err());
        assert!(spent < Duration::from_millis(1), "{spent:?}");
    }
    const { assert!(MAX_PROPOSALS < 255) };
}

#[test]
fn h5_unknown_payloads_are_kept_without_the_critical_bit_and_refused_with_it() {
    let kept = parse_chain(PayloadType(200), &[41, 0x7f, 0, 6, 1, 2, 0, 0, 0, 8, 0, 0, 0x40, 0]).unwrap();
    assert_eq!(kept.len(), 2);
    assert_eq!(kept[0].kind(), PayloadType(200));
    let refused = parse_chain(PayloadType(200), &[41, 0x80, 0, 6, 1, 2, 0, 0, 0, 8, 0, 0, 0x40, 0]);
    assert_eq!(refused, Err(DecodeError::UnsupportedCritical(PayloadType(200))));
}

#[test]
fn h5_a_chain_of_more_than_64_payloads_is_refused() {
    assert!(Message::parse(&message(&vec![notify(); MAX_PAYLOADS])).is_ok());
    let long = message(&vec![notify(); MAX_PAYLOADS + 1]);
    assert_eq!(Message::parse(&long), Err(DecodeError::TooManyPayloads));
    // The most that a datagram holds.
    let longest = message(&vec![Payload::VendorId(VendorId(&[])); 16_000]);
    let spent = fastest(|| Message::parse(&longest).is_err());
    assert!(spent < Duration::from_millis(1), "{spent:?}");
}

#[test]
fn h5_sk_is_the_last_and_the_only_one() {
    let sk = || Payload::Encrypted(Encrypted { first: PayloadType::NOTIFY, offset: 0, body: &[7; 40] });
    let skf = || {
        Payload::EncryptedFragment(EncryptedFragment {
            first: PayloadType::NOTIFY,
            number: 1,
            total: 2,
            offset: 0,
            body: &[7; 40],
        })
    };
    assert!(Message::parse(&message(&[notify(), sk()])).is_ok());
    for (payloads, kind) in [
        (vec![sk(), notify()], PayloadType::SK),
        (vec![skf(), notify()], PayloadType::SKF),
        (vec![sk(), sk()], PayloadType::SK),
        (vec![skf(), sk()], PayloadType::SKF),
        (vec![sk(), skf()], PayloadType::SK),
    ] {
        assert_eq!(Message::parse(&message(&payloads)), Err(DecodeError::NotLast(kind)));
    }
    // Inside another.
    for kind in [PayloadType::SK, PayloadType::SKF] {
        let inside = payload(PayloadType::NONE, &[0, 1, 0, 1, 9, 9, 9, 9]);
        assert_eq!(parse_chain(kind, &inside), Err(DecodeError::NotLast(kind)));
    }
}

#[test]
fn h6_what_may_be_there_once_is_refused_twice_and_found_in_any_order() {
    let nonce = || Payload::Nonce(Nonce(&[9; 32]));
    let datagram = message(&[notify(), nonce(), notify()]);
    let parsed = Message::parse(&datagram).unwrap();
    assert_eq!(parsed.select().single_nonce(), Ok(Some(&Nonce(&[9; 32]))));
    assert_eq!(parsed.select().single_ke(), Ok(None));
    assert_eq!(parsed.select().notifies().count(), 2);
    let twice = [nonce(), notify(), nonce()];
    assert_eq!(Select(&twice).single_nonce(), Err(DecodeError::Repeated(PayloadType::NONCE)));
    let twice = [notify(), notify()];
    let found = Select(&twice).single_notify(NotifyType::INITIAL_CONTACT);
    assert_eq!(found, Err(DecodeError::Repeated(PayloadType::NOTIFY)));
}

#[test]
fn h7_nonces_have_16_to_256_octets() {
    for len in [16, 17, 256] {
        assert!(parse_chain(PayloadType::NONCE, &payload(PayloadType::NONE, &vec![1; len])).is_ok());
    }
    for len in [0, 15, 257, 4096] {
        let chain = payload(PayloadType::NONE, &vec![1; len]);
        assert_malformed(PayloadType::NONCE, &chain, Flaw::FieldLength(len));
    }
}

#[test]
fn h9_fragments_number_from_1_to_the_total() {
    for (number, total) in [(0, 0), (0, 1), (2, 1), (u16::MAX, 0), (1, 0)] {
        let skf = EncryptedFragment { first: PayloadType::NONE, number, total, offset: 0, body: &[7; 40] };
        let refused = Message::parse(&message(&[Payload::EncryptedFragment(skf)])).map(|_| ());
        let flaw = Flaw::Fragment { number, total };
        assert_eq!(refused, Err(DecodeError::Malformed { payload: PayloadType::SKF, flaw }));
    }
}

#[test]
fn h14_traffic_selectors_that_contradict_themselves_are_refused_and_unknown_ones_kept_apart() {
    let v4 = |ports: [u8; 4], start: u8, end: u8| {
        let [p0, p1, p2, p3] = ports;
        vec![7, 0, 0, 16, p0, p1, p2, p3, 10, 0, 0, start, 10, 0, 0, end]
    };
    let selectors = |count: u8, body: &[u8]| payload(PayloadType::NONE, &[&[count, 0, 0, 0], body].concat());
    let any_port = [0, 0, 255, 255];

    assert_malformed(PayloadType::TS_I, &selectors(0, &[]), Flaw::Empty);
    assert_malformed(PayloadType::TS_I, &selectors(0, &v4(any_port, 1, 2)), Flaw::Empty);
    assert_malformed(PayloadType::TS_I, &selectors(2, &v4(any_port, 1, 2)), Flaw::Truncated);
    assert_malformed(PayloadType::TS_R, &selectors(1, &v4(any_port, 2, 1)), Flaw::Range);
    assert_malformed(PayloadType::TS_R, &selectors(1, &v4([0, 2, 0, 1], 1, 2)), Flaw::Range);
    let two = [v4(any_port, 1, 2), v4(any_port, 3, 4)].concat();
    assert_malformed(PayloadType::TS_I, &selectors(1, &two), Flaw::Trailing);
    // An IPv4 range with the length of IPv6, and the other way round.
    assert_malformed(
        PayloadType::TS_I,
        &selectors(1, &[&[7, 0, 0, 40][..], &[0; 36]].concat()),
        Flaw::Trailing,
    );
    assert_malformed(
        PayloadType::TS_I,
        &selectors(1, &[&[8, 0, 0, 16][..], &[0; 12]].concat()),
        Flaw::Truncated,
    );

    let many = selectors(255, &v4(any_port, 1, 2).repeat(255));
    let all = parse_chain(PayloadType::TS_I, &many).unwrap();
    assert!(matches!(&all[..], [Payload::TsI(ts)] if ts.selectors.len() == 255));
    let mixed = [vec![10, 0, 0, 6, 1, 2], v4([255, 255, 0, 0], 1, 2)].concat();
    let mixed = selectors(2, &mixed);
    let mixed = parse_chain(PayloadType::TS_I, &mixed).unwrap();
    assert!(matches!(&mixed[..], [Payload::TsI(ts)] if ts.selectors[0].is_opaque() && ts.unknown.len() == 1));
}

#[test]
fn h16_deletes_of_spis_that_are_not_there_or_have_no_form_are_refused() {
    let delete = |head: [u8; 4], spis: &[u8]| payload(PayloadType::NONE, &[&head[..], spis].concat());
    assert_malformed(PayloadType::DELETE, &delete([3, 4, 255, 255], &[1; 8]), Flaw::Count);
    assert_malformed(PayloadType::DELETE, &delete([3, 4, 0, 1], &[1; 8]), Flaw::Count);
    assert_malformed(PayloadType::DELETE, &delete([3, 0, 255, 255], &[]), Flaw::FieldLength(0));
    assert_malformed(PayloadType::DELETE, &delete([3, 8, 0, 1], &[1; 8]), Flaw::FieldLength(8));
    assert_malformed(PayloadType::DELETE, &delete([1, 8, 0, 1], &[1; 8]), Flaw::FieldLength(8));
    assert_malformed(PayloadType::DELETE, &delete([1, 4, 0, 1], &[1; 4]), Flaw::FieldLength(4));
    // As many as a message holds are read; the rest is for who knows the SAs.
    let most = delete([3, 4, 0x3f, 0x00], &[1; 4].repeat(0x3f00));
    let parsed = parse_chain(PayloadType::DELETE, &most).unwrap();
    let expected = Delete { protocol: ProtocolId::ESP, spis: vec![0x0101_0101; 0x3f00] };
    assert_eq!(parsed, [Payload::Delete(expected)]);
}

#[test]
fn ten_thousand_random_datagrams_of_every_shape_cost_no_panic() {
    // xorshift, so that a failure can be run again.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..10_000 {
        let length = usize::try_from(random() % 600).unwrap();
        let mut datagram: Vec<u8> = (0..length).map(|_| random().to_le_bytes()[0]).collect();
        if let Some(head) = datagram.first_chunk_mut::<28>() {
            head[16] = 33 + head[16] % 22;
            head[17] = 0x20;
            head[24..].copy_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
        }
        // Half of them with a believable first payload length.
        if let Some(payload) = datagram.get_mut(28..32).filter(|payload| payload[0] & 1 == 0) {
            payload[0] = 33 + payload[0] % 22;
            payload[2] = 0;
        }
        black_box(Message::parse(&datagram).is_ok());
    }
}

fn notify() -> Payload<'static> {
    Payload::Notify(Notify::new(NotifyType::INITIAL_CONTACT, &[]))
}

fn message(payloads: &[Payload<'_>]) -> Vec<u8> {
    emit_clear(Header::new(1, 2, ExchangeType::INFORMATIONAL, Flags::default(), 3), payloads)
}

/// One payload with its generic header.
fn payload(next: PayloadType, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 4).expect("a payload has at most 65,535 octets");
    let [high, low] = length.to_be_bytes();
    [&[next.0, 0, high, low], body].concat()
}

fn assert_sa(proposals: &[u8], flaw: Flaw) {
    assert_malformed(PayloadType::SA, &payload(PayloadType::NONE, proposals), flaw);
}

fn assert_malformed(kind: PayloadType, chain: &[u8], flaw: Flaw) {
    assert_eq!(parse_chain(kind, chain), Err(DecodeError::Malformed { payload: kind, flaw }), "{chain:02x?}");
}

/// The fastest of some runs: the others were interrupted.
#[expect(clippy::disallowed_methods, reason = "what a hostile message costs is measured in real time")]
fn fastest(mut work: impl FnMut() -> bool) -> Duration {
    let run = |_| {
        let start = Instant::now();
        black_box(work());
        start.elapsed()
    };
    (0..20).map(run).min().unwrap_or_default()
}
