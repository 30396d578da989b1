//! Hostile IKE messages (RFC 7296 §3). Written from the RFC alone: the codec under test has no part in them.

use super::Dice;

/// SPIs of an IKE SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spis {
    /// Initiator's.
    pub i: u64,
    /// Responder's.
    pub r: u64,
}

/// H4: lengths that lie.
pub fn lengths(dice: &mut Dice) -> Vec<u8> {
    let mut message = init_request(dice, &init_payloads(dice.clone()));
    let first = HEADER + 2;
    match dice.below(8) {
        0 => put(&mut message, 24, &(dice.word() >> 32).to_be_bytes()[4..]),
        1 => put(&mut message, first, &[0, u8::try_from(dice.below(4)).unwrap_or_default()]),
        2 => put(
            &mut message,
            first,
            &u16::try_from(600 + dice.below(60_000)).unwrap_or(u16::MAX).to_be_bytes(),
        ),
        3 => put(&mut message, first, &[0xff, 0xff]),
        // 255 proposals of 255 transforms are announced; few are there.
        4 => put(&mut message, HEADER + 4 + 4, &[255, 1, 0, 255]),
        5 => message.extend(dice.some_bytes(1, 64)),
        6 => message.truncate(dice.below(message.len())),
        // Lengths of the proposal and of its first transform.
        _ => {
            put(&mut message, HEADER + 4 + 2, &dice.bytes(2));
            put(&mut message, HEADER + 4 + 8 + 2, &dice.bytes(2));
        }
    }
    message
}

/// H4: one SA payload as large as a datagram allows, 255 transforms in every proposal.
pub fn largest_proposals(dice: &mut Dice) -> Vec<u8> {
    let proposals: Vec<u8> = (1..=28_u8).flat_map(|number| proposal(number, 255, number != 28)).collect();
    init_request(dice, &[(SA, proposals)])
}

/// H5: chains of payloads that may not be.
pub fn next_payloads(dice: &mut Dice) -> Vec<u8> {
    let garbage = dice.bytes(48);
    let mut chain = init_payloads(dice.clone());
    match dice.below(7) {
        // The type's upper bit set is the critical bit of the chain's builder, see `message`.
        0 => chain.insert(dice.below(3), (UNKNOWN | CRITICAL, garbage)),
        1 => chain = vec![(UNKNOWN, garbage); 3],
        2 => chain = vec![(VENDOR_ID, vec![0; 4]); 65 + dice.below(200)],
        3 => chain = vec![(SK, garbage.clone()), (NONCE, garbage)],
        4 => chain = vec![(SK, garbage.clone()), (SK, garbage)],
        5 => chain.push((SK, garbage)),
        _ => chain = vec![(SKF, garbage.clone()), (SK, garbage)],
    }
    init_request(dice, &chain)
}

/// H10: messages that the state does not allow. `known` are SPIs of an SA that is up, where the attacker has seen them.
pub fn out_of_state(dice: &mut Dice, known: Option<Spis>) -> Vec<u8> {
    let spis = known.unwrap_or(Spis { i: dice.word(), r: dice.word() });
    let garbage = (SK, dice.bytes(64));
    let exchange = [IKE_AUTH, CREATE_CHILD_SA, INFORMATIONAL][dice.below(3)];
    let id = [0, 1, 2, 3, 1000, u32::MAX / 2, u32::MAX - 1, u32::MAX][dice.below(8)];
    match dice.below(6) {
        // Before AUTH, or AUTH again.
        0 => message(spis, exchange, INITIATOR, id, &[garbage]),
        // An answer to nothing.
        1 => message(spis, exchange, RESPONSE, id, &[garbage]),
        2 => message(spis, exchange, INITIATOR | RESPONSE, id, &[garbage]),
        // The SPIs of an SA with the exchange that makes one.
        3 => message(spis, IKE_SA_INIT, RESPONSE, 0, &init_payloads(dice.clone())),
        // In clear: a Delete, INVALID_SPI, AUTHENTICATION_FAILED.
        4 => message(spis, INFORMATIONAL, [INITIATOR, 0][dice.below(2)], id, &[(DELETE, vec![1, 0, 0, 0])]),
        _ => {
            let kind = [11_u16, 24, 14][dice.below(3)].to_be_bytes();
            let notify = (NOTIFY, [&[0, 0][..], &kind].concat());
            message(spis, exchange, RESPONSE, id, &[notify])
        }
    }
}

/// H1: the first request of an initiator that offers one suite of ours, or none.
pub fn first_request(dice: &mut Dice) -> Vec<u8> {
    let payloads = init_payloads(dice.clone());
    init_request(dice, &payloads)
}

/// A well-formed IKE_SA_INIT request of other SPIs each time.
fn init_request(dice: &mut Dice, payloads: &[(u8, Vec<u8>)]) -> Vec<u8> {
    message(Spis { i: dice.word() | 1, r: 0 }, IKE_SA_INIT, INITIATOR, 0, payloads)
}

fn init_payloads(mut dice: Dice) -> Vec<(u8, Vec<u8>)> {
    let public = [&[0, 14, 0, 0][..], &dice.bytes(256)].concat();
    vec![(SA, proposal(1, 4, false)), (KE, public), (NONCE, dice.bytes(32))]
}

/// A proposal of AES-256-CBC, HMAC-SHA2-256 and group 14, its last transform repeated up to `count`.
fn proposal(number: u8, count: u8, more: bool) -> Vec<u8> {
    let transforms = [(1_u8, 12_u16, &[0x80, 14, 1, 0][..]), (2, 5, &[]), (3, 12, &[]), (4, 14, &[])];
    let mut body = Vec::new();
    for index in 0..count {
        let (kind, id, attribute) = transforms[usize::from(index).min(3)];
        let length = u16::try_from(8 + attribute.len()).unwrap_or_default();
        body.extend([if index + 1 == count { 0 } else { 3 }, 0]);
        body.extend(length.to_be_bytes());
        body.extend([kind, 0]);
        body.extend(id.to_be_bytes());
        body.extend(attribute);
    }
    let length = u16::try_from(8 + body.len()).unwrap_or_default().to_be_bytes();
    [&[if more { 2 } else { 0 }, 0][..], &length, &[number, 1, 0, count], &body].concat()
}

fn message(spis: Spis, exchange: u8, flags: u8, id: u32, payloads: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let kind = |index: usize| payloads.get(index).map_or(0, |(kind, _)| kind & !CRITICAL);
    let mut message = [spis.i.to_be_bytes(), spis.r.to_be_bytes()].concat();
    message.extend([kind(0), 0x20, exchange, flags]);
    message.extend(id.to_be_bytes());
    message.extend([0; 4]);
    for (index, (this, body)) in payloads.iter().enumerate() {
        message.extend([kind(index + 1), this & CRITICAL]);
        message.extend(u16::try_from(4 + body.len()).unwrap_or_default().to_be_bytes());
        message.extend(body);
    }
    let length = u32::try_from(message.len()).unwrap_or_default();
    put(&mut message, 24, &length.to_be_bytes());
    message
}

fn put(message: &mut [u8], at: usize, octets: &[u8]) {
    if let Some(place) = message.get_mut(at..at + octets.len()) {
        place.copy_from_slice(octets);
    }
}

const HEADER: usize = 28;
const CRITICAL: u8 = 0x80;
/// Reserved to IANA, and below the critical bit.
const UNKNOWN: u8 = 99;
const SA: u8 = 33;
const KE: u8 = 34;
const NONCE: u8 = 40;
const NOTIFY: u8 = 41;
const DELETE: u8 = 42;
const VENDOR_ID: u8 = 43;
const SK: u8 = 46;
const SKF: u8 = 53;
const IKE_SA_INIT: u8 = 34;
const IKE_AUTH: u8 = 35;
const CREATE_CHILD_SA: u8 = 36;
const INFORMATIONAL: u8 = 37;
const INITIATOR: u8 = 0x08;
const RESPONSE: u8 = 0x20;
