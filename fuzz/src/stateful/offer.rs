//! What the peer proposes: one suite for the IKE SA, one for the child, and any address.

use gotthard_ike::codec::iana::{EncryptionAlgorithm, EsnId, Group, PrfAlgorithm, ProtocolId, TransformType};
use gotthard_ike::codec::payload::Payload;
use gotthard_ike::codec::payload::sa::{Proposal, SecurityAssociation, Transform};
use gotthard_ike::codec::payload::ts::TrafficSelector;
use gotthard_ike::suite::IkeSuite;

/// AES-256-GCM-16 with HMAC-SHA2-256 as PRF, and the suite's group.
pub(super) fn ike_sa(suite: IkeSuite, spi: &[u8]) -> SecurityAssociation {
    let prf = Transform::new(TransformType::PRF, PrfAlgorithm::HMAC_SHA2_256.0);
    let group = Transform::new(TransformType::KEY_EXCHANGE, suite.group.0);
    one_proposal(ProtocolId::IKE, spi, vec![aes_gcm(), prf, group])
}

/// AES-256-GCM-16 with ESN.
pub(super) fn esp_sa(spi: u32, group: Option<Group>) -> SecurityAssociation {
    let esn = Transform::new(TransformType::ESN, EsnId::YES.0);
    let group = group.map(|group| Transform::new(TransformType::KEY_EXCHANGE, group.0));
    one_proposal(ProtocolId::ESP, &spi.to_be_bytes(), [aes_gcm(), esn].into_iter().chain(group).collect())
}

/// TSi and TSr.
pub(super) fn selectors() -> [Payload<'static>; 2] {
    let any = || vec![TrafficSelector::any_v4(), TrafficSelector::any_v6()];
    [Payload::TsI(any().into()), Payload::TsR(any().into())]
}

fn aes_gcm() -> Transform {
    Transform::new(TransformType::ENCRYPTION, EncryptionAlgorithm::AES_GCM_16.0).with_key_bits(256)
}

fn one_proposal(protocol: ProtocolId, spi: &[u8], transforms: Vec<Transform>) -> SecurityAssociation {
    SecurityAssociation { proposals: vec![Proposal { number: 1, protocol, spi: spi.to_vec(), transforms }] }
}
