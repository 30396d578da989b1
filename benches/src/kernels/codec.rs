//! The codec of IKEv2: a message is read and written again, as often as one comes and goes.

use std::cell::LazyCell;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

use gotthard_ike::codec::header::{Flags, Header};
use gotthard_ike::codec::iana::{
    AuthMethod, EncryptionAlgorithm, ExchangeType, NotifyType, ProtocolId, TransformType,
};
use gotthard_ike::codec::message::{Message, emit_clear, emit_sk_prefix};
use gotthard_ike::codec::payload::auth::Authentication;
use gotthard_ike::codec::payload::id::Identification;
use gotthard_ike::codec::payload::notify::Notify;
use gotthard_ike::codec::payload::sa::{Proposal, SecurityAssociation, Transform};
use gotthard_ike::codec::payload::ts::{TrafficSelector, TrafficSelectors};
use gotthard_ike::codec::payload::{Payload, emit_chain, parse_chain};

use super::Kernel;
use super::handshake;

const MESSAGES: usize = 16;

pub(super) fn kernels() -> Vec<Kernel> {
    let init = LazyCell::new(|| Rc::from(handshake::first_message("modp2048")));
    let auth = LazyCell::new(|| Rc::from(ike_auth()));
    vec![
        Kernel::new("codec", "ike-sa-init", MESSAGES, move || Rc::clone(&init), clear),
        Kernel::new("codec", "ike-auth", MESSAGES, move || Rc::clone(&auth), protected),
    ]
}

/// HDR, SAi1, KEi, Ni, notifies.
fn clear(datagram: &mut Rc<[u8]>) -> usize {
    let once = |_| {
        let message = Message::parse(datagram).expect("a message");
        emit_clear(message.header, &message.payloads).len()
    };
    (0..MESSAGES).map(once).sum()
}

/// HDR, SK {...}, without the cryptography between: the body is the inner chain in clear.
fn protected(datagram: &mut Rc<[u8]>) -> usize {
    let once = |_| {
        let message = Message::parse(datagram).expect("a message");
        let Some(Payload::Encrypted(sk)) = message.payloads.last() else { panic!("an SK payload") };
        let inner = parse_chain(sk.first, sk.body).expect("a chain");
        emit_protected(message.header, &inner).len()
    };
    (0..MESSAGES).map(once).sum()
}

fn emit_protected(header: Header, payloads: &[Payload<'_>]) -> Vec<u8> {
    let mut chain = Vec::new();
    let first = emit_chain(payloads, &mut chain);
    let mut datagram = emit_sk_prefix(header, first, chain.len());
    datagram.append(&mut chain);
    datagram
}

/// HDR, SK {IDi, N(INITIAL_CONTACT), AUTH, SAi2, TSi, TSr}.
fn ike_auth() -> Vec<u8> {
    let transforms = vec![
        Transform::new(TransformType::ENCRYPTION, EncryptionAlgorithm::AES_GCM_16.0).with_key_bits(256),
        Transform::new(TransformType::ESN, 1),
        Transform::new(TransformType::ESN, 0),
    ];
    let proposal =
        Proposal { number: 1, protocol: ProtocolId::ESP, spi: vec![0xc0, 0xff, 0xee, 1], transforms };
    let selectors = || TrafficSelectors { selectors: vec![TrafficSelector::any_v4()], unknown: Vec::new() };
    let payloads = [
        Payload::IdI(Identification::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)).into())),
        Payload::Notify(Notify::new(NotifyType::INITIAL_CONTACT, &[])),
        Payload::Auth(Authentication { method: AuthMethod::SHARED_KEY, data: &[0x5a; 32] }),
        Payload::Sa(SecurityAssociation { proposals: vec![proposal] }),
        Payload::TsI(selectors()),
        Payload::TsR(selectors()),
    ];
    let initiator = Flags { initiator: true, ..Flags::default() };
    emit_protected(Header::new(1, 2, ExchangeType::IKE_AUTH, initiator, 1), &payloads)
}
