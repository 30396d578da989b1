//! Whatever can be said is read back as it was said, and whatever can be read is written so that it reads the same.

use std::net::IpAddr;

use gotthard_ike::codec::DecodeError;
use gotthard_ike::codec::header::{Flags, Header};
use gotthard_ike::codec::iana::{
    AuthMethod, CertEncoding, CfgType, ExchangeType, Group, IdType, NotifyType, PayloadType, ProtocolId,
    TransformType, TsType,
};
use gotthard_ike::codec::message::{Message, emit_clear};
use gotthard_ike::codec::payload::auth::Authentication;
use gotthard_ike::codec::payload::cert::{Certificate, CertificateRequest};
use gotthard_ike::codec::payload::configuration::{self, Configuration};
use gotthard_ike::codec::payload::delete::Delete;
use gotthard_ike::codec::payload::eap::Eap;
use gotthard_ike::codec::payload::encrypted::{Encrypted, EncryptedFragment};
use gotthard_ike::codec::payload::id::{Identification, Identity};
use gotthard_ike::codec::payload::ke::KeyExchange;
use gotthard_ike::codec::payload::nonce::Nonce;
use gotthard_ike::codec::payload::notify::Notify;
use gotthard_ike::codec::payload::sa::{Attribute, AttributeValue, Proposal, SecurityAssociation, Transform};
use gotthard_ike::codec::payload::ts::{TrafficSelector, TrafficSelectors, UnknownSelector};
use gotthard_ike::codec::payload::unknown::Unknown;
use gotthard_ike::codec::payload::vendor_id::VendorId;
use gotthard_ike::codec::payload::{Payload, emit_chain, parse_chain};
use proptest::collection::vec;
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_message_is_read_back_as_it_was_written(header in header(), payloads in vec(payload(), 0..12)) {
        let datagram = emit_clear(header, &payloads);
        let message = Message::parse(&datagram).unwrap();
        prop_assert_eq!(&message.payloads, &payloads);
        let expected = Header {
            next_payload: payloads.first().map_or(PayloadType::NONE, Payload::kind),
            length: u32::try_from(datagram.len()).unwrap(),
            ..header
        };
        prop_assert_eq!(message.header, expected);
    }

    #[test]
    fn a_protected_message_is_read_back_as_it_was_written(
        header in header(), payloads in vec(payload(), 0..4), last in encrypted(),
    ) {
        let payloads: Vec<_> = payloads.into_iter().chain([last]).collect();
        let datagram = emit_clear(header, &payloads);
        let message = Message::parse(&datagram).unwrap();
        let (before, last) = (&message.payloads[..payloads.len() - 1], &message.payloads[payloads.len() - 1]);
        prop_assert_eq!(before, &payloads[..payloads.len() - 1]);
        let (Payload::Encrypted(Encrypted { offset, body, .. })
        | Payload::EncryptedFragment(EncryptedFragment { offset, body, .. })) = last
        else {
            panic!("{last:?}")
        };
        prop_assert_eq!(&datagram[*offset..], *body, "the body is where it says, and ends the message");
    }

    #[test]
    fn what_can_be_read_of_arbitrary_octets_reads_the_same_when_it_is_written(
        first in any::<u8>(), octets in vec(any::<u8>(), 0..200),
    ) {
        reads_the_same(PayloadType(first), &octets)?;
    }

    #[test]
    fn what_can_be_read_of_a_damaged_message_reads_the_same_when_it_is_written(
        payloads in vec(payload(), 1..6), damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut octets = Vec::new();
        let first = emit_chain(&payloads, &mut octets);
        for (index, value) in damage {
            let place = index.index(octets.len());
            octets[place] = value;
        }
        reads_the_same(first, &octets)?;
    }

    #[test]
    fn a_message_that_is_cut_anywhere_is_refused(
        header in header(), payloads in vec(payload(), 1..6), cut in any::<prop::sample::Index>(),
    ) {
        let whole = emit_clear(header, &payloads);
        let mut datagram = whole[..cut.index(whole.len())].to_vec();
        let (header, length) = (u32::try_from(whole.len()).unwrap(), datagram.len());
        let refused = if length < Header::LEN {
            DecodeError::Runt(length)
        } else {
            DecodeError::Length { header, datagram: length }
        };
        prop_assert_eq!(Message::parse(&datagram), Err(refused));

        // With a length that owns up to the cut, a payload or the chain ends too early.
        if let Some(field) = datagram.get_mut(24..28) {
            field.copy_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
        }
        prop_assert!(Message::parse(&datagram).is_err());
    }

    #[test]
    fn an_identity_that_is_shown_is_read_again(text in "[a-z0-9.@:x-]{1,20}") {
        if let Ok(identity) = text.parse::<Identity>() {
            prop_assert_eq!(identity.to_string().parse::<Identity>(), Ok(identity));
        }
    }
}

fn reads_the_same(first: PayloadType, octets: &[u8]) -> Result<(), TestCaseError> {
    let Ok(payloads) = parse_chain(first, octets) else { return Ok(()) };
    let mut emitted = Vec::new();
    prop_assert_eq!(emit_chain(&payloads, &mut emitted), first);
    prop_assert_eq!(emitted.len(), octets.len());
    prop_assert_eq!(parse_chain(first, &emitted), Ok(payloads));
    Ok(())
}

fn header() -> impl Strategy<Value = Header> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>())
        .prop_map(|(initiator, response, version)| Flags { initiator, response, version });
    (any::<u64>(), any::<u64>(), 0..16_u8, any::<u8>(), flags, any::<u32>()).prop_map(
        |(spi_i, spi_r, minor, exchange, flags, message_id)| Header {
            minor,
            ..Header::new(spi_i, spi_r, ExchangeType(exchange), flags, message_id)
        },
    )
}

/// Any payload that may stand anywhere.
fn payload() -> impl Strategy<Value = Payload<'static>> {
    prop_oneof![
        vec(proposal(), 1..4).prop_map(|proposals| Payload::Sa(SecurityAssociation { proposals })),
        (any::<u16>(), octets(0..64))
            .prop_map(|(group, public)| Payload::Ke(KeyExchange { group: Group(group), public })),
        identification().prop_map(Payload::IdI),
        identification().prop_map(Payload::IdR),
        (any::<u8>(), octets(0..64)).prop_map(|(encoding, data)| Payload::Cert(Certificate {
            encoding: CertEncoding(encoding),
            data
        })),
        (any::<u8>(), octets(0..64)).prop_map(|(encoding, authority)| {
            Payload::CertReq(CertificateRequest { encoding: CertEncoding(encoding), authority })
        }),
        (any::<u8>(), octets(0..64))
            .prop_map(|(method, data)| Payload::Auth(Authentication { method: AuthMethod(method), data })),
        octets(16..=256).prop_map(|nonce| Payload::Nonce(Nonce(nonce))),
        (any::<u8>(), octets(0..9), any::<u16>(), octets(0..32)).prop_map(|(protocol, spi, kind, data)| {
            Payload::Notify(Notify { protocol: ProtocolId(protocol), spi, kind: NotifyType(kind), data })
        }),
        vec(any::<u32>(), 0..8).prop_map(|spis| Payload::Delete(Delete { protocol: ProtocolId::ESP, spis })),
        Just(Payload::Delete(Delete::ike())),
        octets(0..32).prop_map(|id| Payload::VendorId(VendorId(id))),
        selectors().prop_map(Payload::TsI),
        selectors().prop_map(Payload::TsR),
        (any::<u8>(), vec((0..0x8000_u16, octets(0..16)), 0..4)).prop_map(|(kind, attributes)| {
            let attributes =
                attributes.into_iter().map(|(kind, value)| configuration::Attribute { kind, value });
            Payload::Configuration(Configuration { kind: CfgType(kind), attributes: attributes.collect() })
        }),
        (any::<u8>(), any::<u8>(), octets(0..32)).prop_map(|(code, identifier, data)| Payload::Eap(Eap {
            code,
            identifier,
            data
        })),
        (54..=255_u8, octets(0..32)).prop_map(|(kind, body)| {
            Payload::Unknown(Unknown { kind: PayloadType(kind), critical: false, body })
        }),
    ]
}

fn encrypted() -> impl Strategy<Value = Payload<'static>> {
    prop_oneof![
        (any::<u8>(), octets(0..64)).prop_map(|(first, body)| Payload::Encrypted(Encrypted {
            first: PayloadType(first),
            offset: 0,
            body
        })),
        (any::<u8>(), 1..=u16::MAX, 0..64_u16, octets(0..64)).prop_map(|(first, number, more, body)| {
            let (first, total) = (PayloadType(first), number.saturating_add(more));
            Payload::EncryptedFragment(EncryptedFragment { first, number, total, offset: 0, body })
        }),
    ]
}

fn proposal() -> impl Strategy<Value = Proposal> {
    (any::<u8>(), any::<u8>(), vec(any::<u8>(), 0..9), vec(transform(), 0..6)).prop_map(
        |(number, protocol, spi, transforms)| Proposal {
            number,
            protocol: ProtocolId(protocol),
            spi,
            transforms,
        },
    )
}

fn transform() -> impl Strategy<Value = Transform> {
    let attribute = (
        15..0x8000_u16,
        prop_oneof![
            any::<u16>().prop_map(AttributeValue::Short),
            vec(any::<u8>(), 0..8).prop_map(AttributeValue::Long),
        ],
    );
    let attribute = attribute.prop_map(|(kind, value)| Attribute { kind, value });
    (any::<u8>(), any::<u16>(), any::<Option<u16>>(), vec(attribute, 0..3)).prop_map(
        |(kind, id, key_bits, other_attributes)| Transform {
            kind: TransformType(kind),
            id,
            key_bits,
            other_attributes,
        },
    )
}

fn identification() -> impl Strategy<Value = Identification<'static>> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(|octets| Identity::Ipv4(octets.into())),
        any::<[u8; 16]>().prop_map(|octets| Identity::Ipv6(octets.into())),
        ".{0,20}".prop_map(Identity::Fqdn),
        ".{0,20}".prop_map(Identity::Rfc822),
        vec(any::<u8>(), 0..20).prop_map(Identity::Dn),
        vec(any::<u8>(), 0..20).prop_map(Identity::KeyId),
        (14..=255_u8, vec(any::<u8>(), 0..20))
            .prop_map(|(kind, data)| Identity::Other { kind: IdType(kind), data }),
        // Addresses of a length that none has.
        vec(any::<u8>(), 5..16).prop_map(|data| Identity::Other { kind: IdType::IPV4_ADDR, data }),
    ]
    .prop_map(Identification::new)
}

fn selectors() -> impl Strategy<Value = TrafficSelectors<'static>> {
    let unknown = (9..=255_u8, any::<u8>(), octets(0..24))
        .prop_map(|(kind, protocol, body)| UnknownSelector { kind: TsType(kind), protocol, body });
    (vec(selector(), 0..4), vec(unknown, 0..3))
        .prop_map(|(selectors, unknown)| TrafficSelectors { selectors, unknown })
        .prop_filter("a TS payload holds a selector", |ts| {
            !(ts.selectors.is_empty() && ts.unknown.is_empty())
        })
}

fn selector() -> impl Strategy<Value = TrafficSelector> {
    let ports =
        prop_oneof![any::<(u16, u16)>().prop_map(|(a, b)| (a.min(b), a.max(b))), Just((u16::MAX, 0)),];
    let addresses = prop_oneof![
        any::<[[u8; 4]; 2]>().prop_map(|[a, b]| [IpAddr::from(a), IpAddr::from(b)]),
        any::<[[u8; 16]; 2]>().prop_map(|[a, b]| [IpAddr::from(a), IpAddr::from(b)]),
    ];
    (any::<u8>(), ports, addresses).prop_map(|(protocol, (start_port, end_port), [a, b])| TrafficSelector {
        protocol,
        start_port,
        end_port,
        start: a.min(b),
        end: a.max(b),
    })
}

/// Octets for payloads that borrow. They are leaked: a strategy has nobody to lend from, and a test process ends soon.
fn octets(len: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = &'static [u8]> {
    vec(any::<u8>(), len).prop_map(|octets| &*octets.leak())
}
