//! Two ends that show each other certificates, and what one thinks of the other.

use core::time::Duration;
use std::sync::Arc;

use gotthard_ike::Time;
use gotthard_ike::codec::iana::ExchangeType;
use gotthard_ike::codec::payload::Payload;
use gotthard_ike::codec::payload::auth::Authentication;
use gotthard_ike::codec::payload::cert::Certificate;
use gotthard_ike::codec::payload::id::Identification;
use gotthard_ike::codec::payload::ts::TrafficSelector;
use gotthard_ike::config::{Auth, PeerConfig};
use gotthard_ike::crypto::certificate::Trust;
use gotthard_ike::error::{Failure, Flaw};

use crate::authority::{Issued, TODAY};
use crate::support::link::Weather;
use crate::support::pair::Pair;
use crate::support::scripted::{Inner, SPI, Scripted, esp_sa};

pub(crate) const NAME_A: &str = "a.example.org";
pub(crate) const NAME_B: &str = "b.example.org";

/// What two ends that trust the same made of each other.
pub(crate) fn met(trust: &Arc<Trust>, a: &Issued, b: &Issued) -> Pair {
    met_with(|config_a, config_b| {
        config_a.auth = a.auth(trust);
        config_b.auth = b.auth(trust);
    })
}

pub(crate) fn met_with(change: impl FnOnce(&mut PeerConfig, &mut PeerConfig)) -> Pair {
    let mut pair = Pair::with(1, Weather::FAIR, |a, b| {
        name_ends(a, b);
        change(a, b);
    });
    let now = pair.now();
    for side in [&mut pair.a, &mut pair.b] {
        side.endpoint.set_wall_clock(now, TODAY);
    }
    pair.initiate_a();
    pair.run_for(Duration::from_secs(1));
    pair
}

pub(crate) fn name_ends(a: &mut PeerConfig, b: &mut PeerConfig) {
    (a.local_id, a.remote_id) = (NAME_A.parse().unwrap(), NAME_B.parse().unwrap());
    (b.local_id, b.remote_id) = (NAME_B.parse().unwrap(), NAME_A.parse().unwrap());
}

/// A scripted initiator before a responder with this proof; IKE_SA_INIT is done.
pub(crate) fn responder(auth: Auth) -> Scripted {
    let mut script = Scripted::with(|b| {
        b.auth = auth;
        (b.local_id, b.remote_id) = (NAME_B.parse().unwrap(), NAME_A.parse().unwrap());
    });
    script.b.endpoint.set_wall_clock(Time::ZERO, TODAY);
    script.init();
    script
}

/// HDR, SK {IDi, CERT, AUTH, SAi2, TSi, TSr}; returns what came back inside.
pub(crate) fn prove(script: &mut Scripted, auth: Authentication<'_>, certificate: Certificate<'_>) -> Inner {
    let everything = || vec![TrafficSelector::any_v4()].into();
    let payloads = [
        Payload::IdI(shown_a()),
        Payload::Cert(certificate),
        Payload::Auth(auth),
        Payload::Sa(esp_sa(SPI, None)),
        Payload::TsI(everything()),
        Payload::TsR(everything()),
    ];
    script.exchange(ExchangeType::IKE_AUTH, &payloads)
}

pub(crate) fn shown_a() -> Identification<'static> {
    Identification::new(NAME_A.parse().unwrap())
}

/// Why the responder does not believe the initiator.
pub(crate) fn flaw(pair: &Pair) -> Flaw {
    match pair.b.failed() {
        Some(Failure::PeerCertificate { flaw, .. }) => flaw.clone(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn code(pair: &Pair) -> &'static str {
    pair.b.failed().map(Failure::code).unwrap_or_default()
}
