//! Offers, choices and answers, each as both ends see them.

use super::*;
use crate::codec::iana::{IntegrityAlgorithm, PrfAlgorithm};
use crate::codec::payload::sa::{Attribute, AttributeValue};

#[test]
fn a_choice_follows_our_preference_not_the_peers() {
    let theirs = Offer::ike(&ike(&["aes256-sha256-modp2048", "aes256gcm16-sha256-ecp256"]), &[]);
    let ours = ike(&["aes256gcm16-sha256-ecp256", "aes256-sha256-modp2048"]);
    let chosen = choose_ike(&ours, &theirs.security_association(), 0).unwrap();
    assert_eq!(chosen.suite, ours[0]);
    assert!(!chosen.esn);

    // The answer repeats the number of the peer's second proposal and is one to its offer.
    let reply = chosen.reply(&[]);
    assert_eq!(reply.proposals[0].number, 2);
    assert_eq!(theirs.accept(&reply).unwrap().suite, ours[0]);
}

#[test]
fn every_suite_is_a_proposal_of_its_own_and_appears_once() {
    let suites = ike(&["aes256gcm16-sha256-ecp256", "aes256-sha256-modp2048", "aes256gcm16-sha256-ecp256"]);
    let offer = Offer::ike(&suites, &[7; 8]).security_association();
    assert_eq!(offer.proposals.iter().map(|proposal| proposal.number).collect::<Vec<_>>(), [1, 2]);
    assert!(offer.proposals.iter().all(|proposal| proposal.spi == [7; 8]));
    assert_eq!(offer.proposals[0].transforms.len(), 3, "an AEAD has no integrity transform (RFC 5282 §8)");
    assert_eq!(offer.proposals[1].transforms.len(), 4);
}

#[test]
fn alternatives_in_one_proposal_are_combined() {
    // As AWS and strongSwan offer: every algorithm of a type in one proposal.
    let theirs = proposals(
        ProtocolId::IKE,
        &[],
        &[&[
            aes(128),
            aes(256),
            integrity(IntegrityAlgorithm::HMAC_SHA1_96),
            integrity(IntegrityAlgorithm::HMAC_SHA2_256_128),
            prf(PrfAlgorithm::HMAC_SHA1),
            prf(PrfAlgorithm::HMAC_SHA2_256),
            group(Group::MODP_1024),
            group(Group::MODP_2048),
        ]],
    );
    let chosen = choose_ike(&ike(&["aes256-sha256-modp2048"]), &theirs, 0).unwrap();
    let expected = [
        aes(256),
        integrity(IntegrityAlgorithm::HMAC_SHA2_256_128),
        prf(PrfAlgorithm::HMAC_SHA2_256),
        group(Group::MODP_2048),
    ];
    assert_eq!(chosen.reply(&[]).proposals[0].transforms, expected);
}

#[test]
fn a_group_that_is_none_absent_or_not_ours_is_not_chosen_for_an_ike_sa() {
    let ours = ike(&["aes256-sha256-modp2048"]);
    let others =
        [aes(256), integrity(IntegrityAlgorithm::HMAC_SHA2_256_128), prf(PrfAlgorithm::HMAC_SHA2_256)];
    let with = |groups: &[Group]| {
        let transforms: Vec<_> = others.iter().cloned().chain(groups.iter().copied().map(group)).collect();
        choose_ike(&ours, &proposals(ProtocolId::IKE, &[], &[&transforms]), 0)
    };
    assert_eq!(with(&[]), None);
    assert_eq!(with(&[Group::NONE]), None);
    assert_eq!(with(&[Group::MODP_1024]), None);
    assert!(with(&[Group::NONE, Group::MODP_2048]).is_some());

    let offer = Offer::ike(&ours, &[]);
    assert!(offer.has_group(Group::MODP_2048));
    assert!(!offer.has_group(Group::NONE) && !offer.has_group(Group::MODP_1024));
}

#[test]
fn key_lengths_are_part_of_a_cipher() {
    let theirs = |cipher: Transform| proposals(ProtocolId::ESP, &SPI, &[&[cipher, esn(EsnId::NO)]]);
    let gcm = |bits: u16| {
        Transform::new(TransformType::ENCRYPTION, EncryptionAlgorithm::AES_GCM_16.0).with_key_bits(bits)
    };
    let ours = esp(&["aes256gcm16"]);
    assert!(choose_esp(&ours, &theirs(gcm(256)), Pfs::Suites).is_some());
    assert!(choose_esp(&ours, &theirs(gcm(128)), Pfs::Suites).is_none());
    let absent = Transform::new(TransformType::ENCRYPTION, EncryptionAlgorithm::AES_GCM_16.0);
    assert!(choose_esp(&ours, &theirs(absent), Pfs::Suites).is_none());
    let chacha = Transform::new(TransformType::ENCRYPTION, EncryptionAlgorithm::CHACHA20_POLY1305.0);
    assert!(choose_esp(&esp(&["chacha20poly1305"]), &theirs(chacha), Pfs::Suites).is_some());
}

#[test]
fn an_unknown_attribute_passes_over_a_transform_and_an_unknown_type_over_a_proposal() {
    let ours = esp(&["aes256gcm16"]);
    let good =
        Transform::new(TransformType::ENCRYPTION, EncryptionAlgorithm::AES_GCM_16.0).with_key_bits(256);
    let attribute = Attribute { kind: 99, value: AttributeValue::Short(1) };
    let odd = Transform { other_attributes: vec![attribute], ..good.clone() };
    let strange = Transform::new(TransformType(200), 1);
    let choice = |transforms: &[&[Transform]]| {
        choose_esp(&ours, &proposals(ProtocolId::ESP, &SPI, transforms), Pfs::Suites)
    };

    assert!(choice(&[&[odd.clone(), esn(EsnId::YES)]]).is_none());
    assert!(choice(&[&[odd, good.clone(), esn(EsnId::YES)]]).is_some());
    let chosen =
        choice(&[&[good.clone(), esn(EsnId::YES), strange], &[good.clone(), esn(EsnId::NO)]]).unwrap();
    assert_eq!(chosen.reply(&SPI).proposals[0].number, 2);
    // A further key exchange of RFC 9370 that may also be none.
    let optional = Transform::new(TransformType::ADDITIONAL_KEY_EXCHANGE_1, 0);
    let ml_kem = Transform::new(TransformType::ADDITIONAL_KEY_EXCHANGE_1, Group::ML_KEM_768.0);
    assert!(choice(&[&[good.clone(), ml_kem.clone(), optional.clone()]]).is_some());
    assert!(choice(&[&[good, ml_kem]]).is_none());
}

#[test]
fn integrity_beside_an_aead_is_taken_only_as_none() {
    let gcm = Transform::new(TransformType::ENCRYPTION, EncryptionAlgorithm::AES_GCM_16.0).with_key_bits(256);
    let choice = |algorithm| {
        let theirs =
            proposals(ProtocolId::ESP, &SPI, &[&[gcm.clone(), integrity(algorithm), esn(EsnId::NO)]]);
        choose_esp(&esp(&["aes256gcm16"]), &theirs, Pfs::Suites)
    };
    let chosen = choice(IntegrityAlgorithm::NONE).unwrap();
    assert_eq!(chosen.reply(&SPI).proposals[0].transforms.len(), 3, "one of each type that was offered");
    assert!(choice(IntegrityAlgorithm::HMAC_SHA2_256_128).is_none());
}

#[test]
fn esn_is_offered_first_and_chosen_where_it_is_offered() {
    let suites = esp(&["aes256gcm16"]);
    let offer = Offer::esp(&suites, 0x1000, Pfs::Absent);
    let association = offer.security_association();
    assert_eq!(&association.proposals[0].transforms[1..], [esn(EsnId::YES), esn(EsnId::NO)]);

    let chosen = choose_esp(&suites, &association, Pfs::Absent).unwrap();
    assert!(chosen.esn);
    assert_eq!(chosen.spi_out(), 0x1000);
    assert!(offer.accept(&chosen.reply(&SPI)).unwrap().esn);

    let gcm = association.proposals[0].transforms[0].clone();
    let without = choose_esp(
        &suites,
        &proposals(ProtocolId::ESP, &SPI, &[&[gcm.clone(), esn(EsnId::NO)]]),
        Pfs::Absent,
    );
    assert!(!without.unwrap().esn);
    let unsaid = choose_esp(&suites, &proposals(ProtocolId::ESP, &SPI, &[&[gcm]]), Pfs::Absent);
    assert!(!unsaid.unwrap().esn);
}

#[test]
fn the_group_of_a_child_waits_for_the_first_rekey() {
    let suites = esp(&["aes256gcm16-modp2048", "aes256gcm16-ecp256"]);
    let offer = Offer::esp(&suites, 0x1000, Pfs::Absent);
    assert_eq!(offer.security_association().proposals.len(), 1, "alike without their groups");
    let chosen = choose_esp(&suites, &offer.security_association(), Pfs::Absent).unwrap();
    assert_eq!(chosen.suite.group, None);

    // A peer that names groups in IKE_AUTH all the same is answered without one.
    let named = Offer::esp(&suites, 0x1000, Pfs::Suites).security_association();
    let chosen = choose_esp(&suites, &named, Pfs::Absent).unwrap();
    assert!(chosen.reply(&SPI).proposals[0].transforms.iter().all(|t| t.kind != TransformType::KEY_EXCHANGE));

    let rekey = choose_esp(&suites, &named, Pfs::Suites).unwrap();
    assert_eq!(rekey.suite.group, Some(Group::MODP_2048));
}

#[test]
fn a_rekey_without_a_group_is_taken_where_a_suite_has_none() {
    // Azure starts its rekeys like this, whatever its policy for ours is.
    let theirs = Offer::esp(&esp(&["aes256gcm16"]), 0x1000, Pfs::Suites).security_association();
    let with_group = esp(&["aes256gcm16-modp2048"]);
    assert_eq!(choose_esp(&with_group, &theirs, Pfs::Suites), None);
    let both = esp(&["aes256gcm16-modp2048", "aes256gcm16"]);
    assert_eq!(choose_esp(&both, &theirs, Pfs::Suites).unwrap().suite, both[1]);

    // A peer that offers a group gets it, and one that insists on a group gets no suite without.
    let grouped = Offer::esp(&with_group, 0x1000, Pfs::Suites).security_association();
    assert_eq!(choose_esp(&both, &grouped, Pfs::Suites).unwrap().suite, both[0]);
    assert_eq!(choose_esp(&both[1..], &grouped, Pfs::Suites), None);
}

#[test]
fn spis_of_the_wrong_length_or_reserved_are_not_chosen() {
    let suites = esp(&["aes256gcm16"]);
    let with_spi = |spi: &[u8]| {
        let mut theirs = Offer::esp(&suites, 0x1000, Pfs::Absent).security_association();
        theirs.proposals[0].spi = spi.to_vec();
        choose_esp(&suites, &theirs, Pfs::Absent).is_some()
    };
    assert!(with_spi(&[0, 0, 1, 0]));
    for spi in [&[][..], &[1, 2, 3], &[0, 0, 0, 255], &[0; 4], &[1; 8]] {
        assert!(!with_spi(spi), "{spi:?}");
    }
    let suites = ike(&["aes256-sha256-modp2048"]);
    let rekey =
        |spi: &[u8]| choose_ike(&suites, &Offer::ike(&suites, spi).security_association(), 8).is_some();
    assert!(rekey(&[1; 8]));
    assert!(!rekey(&[0; 8]) && !rekey(&[]) && !rekey(&[1; 4]));
}

#[test]
fn an_answer_that_is_none_to_our_offer_is_refused() {
    let suites = esp(&["aes256gcm16-modp2048", "aes256-sha256-modp2048"]);
    let offer = Offer::esp(&suites, 0x1000, Pfs::Suites);
    let good = choose_esp(&suites[1..], &offer.security_association(), Pfs::Suites).unwrap().reply(&SPI);
    assert_eq!(offer.accept(&good).unwrap().suite, suites[1]);

    let refused = |what: &str, change: &dyn Fn(&mut SecurityAssociation)| {
        let mut answer = good.clone();
        change(&mut answer);
        assert_eq!(offer.accept(&answer), None, "{what}");
    };
    refused("no proposal", &|answer| answer.proposals.clear());
    refused("two proposals", &|answer| answer.proposals.push(answer.proposals[0].clone()));
    refused("number 0", &|answer| answer.proposals[0].number = 0);
    refused("the number of another suite", &|answer| answer.proposals[0].number = 1);
    refused("a number not offered", &|answer| answer.proposals[0].number = 3);
    refused("another protocol", &|answer| answer.proposals[0].protocol = ProtocolId::AH);
    refused("no SPI", &|answer| answer.proposals[0].spi.clear());
    refused("a reserved SPI", &|answer| answer.proposals[0].spi = vec![0, 0, 0, 1]);
    refused("another key length", &|answer| answer.proposals[0].transforms[0].key_bits = Some(128));
    refused("a type missing", &|answer| answer.proposals[0].transforms.truncate(3));
    refused("a type twice", &|answer| answer.proposals[0].transforms.push(esn(EsnId::NO)));
    refused("a type not offered", &|answer| {
        answer.proposals[0].transforms.push(prf(PrfAlgorithm::HMAC_SHA2_256));
    });
    refused("a transform twice in the place of another", &|answer| {
        answer.proposals[0].transforms[1] = answer.proposals[0].transforms[0].clone();
    });
}

#[test]
fn an_operator_reads_both_sides_in_the_same_keywords() {
    let suites = ["aes256-sha256-modp2048", "aes256gcm16-sha256-ecp256"];
    let theirs = proposals(
        ProtocolId::IKE,
        &[],
        &[
            &[
                Transform::new(TransformType::ENCRYPTION, EncryptionAlgorithm::TRIPLE_DES.0),
                integrity(IntegrityAlgorithm::HMAC_SHA1_96),
                prf(PrfAlgorithm::HMAC_SHA1),
                group(Group::MODP_1024),
            ],
            &[
                aes(256),
                aes(128),
                integrity(IntegrityAlgorithm::HMAC_SHA2_256_128),
                prf(PrfAlgorithm::HMAC_SHA2_384),
                group(Group::MODP_2048),
                group(Group(999)),
            ],
        ],
    );
    assert_eq!(describe(&theirs), "3des-sha1-modp1024, aes256/aes128-sha256-prfsha384-modp2048/group999");
    let suites = ike(&suites);
    assert_eq!(describe(&Offer::ike(&suites, &[]).security_association()), ours(&suites));
    let suites = esp(&["aes256-sha256-modp2048", "aes256gcm16"]);
    assert_eq!(describe(&Offer::esp(&suites, 0x1000, Pfs::Suites).security_association()), ours(&suites));
    assert_eq!(describe(&SecurityAssociation::default()), "");
}

#[test]
fn the_description_of_a_huge_offer_is_a_line() {
    let encryption: Vec<_> =
        (0..200).map(|id| Transform::new(TransformType::ENCRYPTION, 1000 + id).with_key_bits(256)).collect();
    let groups: Vec<_> = (0..200).map(|id| group(Group(1000 + id))).collect();
    let huge: Vec<Vec<Transform>> =
        (0..100).map(|n| encryption.iter().skip(n).chain(&groups).cloned().collect()).collect();
    let huge: Vec<&[Transform]> = huge.iter().map(Vec::as_slice).collect();
    let text = describe(&proposals(ProtocolId::IKE, &[], &huge));
    assert!(text.len() < 2000, "{} octets", text.len());
    assert!(text.ends_with('…'));
}

fn ike(keywords: &[&str]) -> Vec<IkeSuite> {
    keywords.iter().map(|text| text.parse().unwrap()).collect()
}

fn esp(keywords: &[&str]) -> Vec<EspSuite> {
    keywords.iter().map(|text| text.parse().unwrap()).collect()
}

fn proposals(protocol: ProtocolId, spi: &[u8], transforms: &[&[Transform]]) -> SecurityAssociation {
    let proposal = |(number, transforms): (u8, &&[Transform])| Proposal {
        number,
        protocol,
        spi: spi.to_vec(),
        transforms: transforms.to_vec(),
    };
    SecurityAssociation { proposals: (1..=u8::MAX).zip(transforms).map(proposal).collect() }
}

fn aes(bits: u16) -> Transform {
    Transform::new(TransformType::ENCRYPTION, EncryptionAlgorithm::AES_CBC.0).with_key_bits(bits)
}

fn integrity(algorithm: IntegrityAlgorithm) -> Transform {
    Transform::new(TransformType::INTEGRITY, algorithm.0)
}

fn prf(algorithm: PrfAlgorithm) -> Transform {
    Transform::new(TransformType::PRF, algorithm.0)
}

fn group(group: Group) -> Transform {
    Transform::new(TransformType::KEY_EXCHANGE, group.0)
}

fn esn(id: EsnId) -> Transform {
    Transform::new(TransformType::ESN, id.0)
}

const SPI: [u8; 4] = [0x11, 0x22, 0x33, 0x44];
