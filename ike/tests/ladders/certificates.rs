//! IKE_AUTH with certificates (RFC 7296 §2.15, RFC 7427): what is believed, what is not, and what the operator is told.

use core::time::Duration;

use gotthard_ike::codec::iana::{AuthMethod, CertEncoding, NotifyType};
use gotthard_ike::codec::payload::auth::Authentication;
use gotthard_ike::codec::payload::cert::Certificate;
use gotthard_ike::crypto::certificate::Evidence;
use gotthard_ike::error::{Failure, Flaw};
use gotthard_ike::limits;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    NameConstraints, SanType, date_time_ymd,
};

use crate::authority::{Authority, Kind, SERIAL, TODAY};
use crate::meeting::{NAME_A, NAME_B, code, flaw, met, met_with, name_ends, prove, responder};
use crate::support::link::Weather;
use crate::support::pair::Pair;
use crate::support::side::A;

/// ```text
/// a --> HDR, SAi1, KEi, Ni, N(SIGNATURE_HASH_ALGORITHMS)
/// a <-- HDR, SAr1, KEr, Nr, N(SIGNATURE_HASH_ALGORITHMS), CERTREQ
/// a --> HDR, SK {IDi, CERT, CERTREQ, IDr, AUTH, SAi2, TSi, TSr}
/// a <-- HDR, SK {IDr, CERT, AUTH, SAr2, TSi, TSr}
/// ```
#[test]
fn every_kind_of_key_brings_a_tunnel_up_at_either_end() {
    let root = Authority::root("Alps");
    for ours in Kind::ALL {
        for theirs in Kind::ALL {
            let pair = met(&root.trust(), &root.issue(NAME_A, ours), &root.issue(NAME_B, theirs));
            assert_eq!((pair.a.failed(), pair.b.failed()), (None, None), "{ours:?} and {theirs:?}");
            pair.assert_up();
        }
    }
}

#[test]
fn a_chain_with_intermediates_in_any_order_leads_to_the_root() {
    let root = Authority::root("Alps");
    let issuing = root.intermediate("Uri").intermediate("Andermatt");
    let mut ours = issuing.issue(NAME_A, Kind::EcdsaP256);
    assert_eq!(ours.chain.len(), 3);
    met(&root.trust(), &ours, &root.issue(NAME_B, Kind::Ed25519)).assert_up();
    ours.chain[1..].reverse();
    met(&root.trust(), &ours, &root.issue(NAME_B, Kind::Ed25519)).assert_up();
}

#[test]
fn long_chains_cross_in_fragments() {
    let root = Authority::root("Alps");
    let issuing = root.intermediate("Uri").intermediate("Andermatt").intermediate("Airolo");
    let pair = met(&root.trust(), &issuing.issue(NAME_A, Kind::Rsa), &issuing.issue(NAME_B, Kind::Rsa));
    pair.assert_up();
    assert!(pair.link.sent.len() > 4, "IKE_AUTH is longer than a packet");
}

#[test]
fn one_end_may_be_an_address_a_mail_name_or_a_subject() {
    let root = Authority::root("Alps");
    let ours = root.issue_with(NAME_A, Kind::EcdsaP256, |params| {
        params.subject_alt_names =
            vec![SanType::IpAddress(A), SanType::Rfc822Name("ops@example.org".try_into().unwrap())];
    });
    let theirs = root.issue(NAME_B, Kind::EcdsaP256);
    for identity in [A.to_string().as_str(), "ops@example.org", "CN=a.example.org"] {
        let pair = met_with(|a, b| {
            (a.auth, b.auth) = (ours.auth(&root.trust()), theirs.auth(&root.trust()));
            (a.local_id, b.remote_id) = (identity.parse().unwrap(), identity.parse().unwrap());
        });
        assert_eq!(pair.b.failed(), None, "{identity}");
        pair.assert_up();
    }
}

#[test]
fn an_identity_that_is_not_in_the_certificate_is_refused() {
    let root = Authority::root("Alps");
    for identity in ["other.example.org", "192.0.2.9", "CN=other", "CN=a.example.org, O=more", "keyid:a"] {
        let pair = met_with(|a, b| {
            a.auth = root.issue(NAME_A, Kind::EcdsaP256).auth(&root.trust());
            b.auth = root.issue(NAME_B, Kind::EcdsaP256).auth(&root.trust());
            (a.local_id, b.remote_id) = (identity.parse().unwrap(), identity.parse().unwrap());
        });
        assert!(
            matches!(flaw(&pair), Flaw::Identity(has) if has.contains(NAME_A)),
            "{identity}: {:?}",
            flaw(&pair)
        );
        assert_eq!(code(&pair), "GTH-IKE-24");
    }
}

#[test]
fn a_certificate_of_another_authority_is_refused_whatever_its_name() {
    let (root, impostor) = (Authority::root("Alps"), Authority::root("Alps"));
    let pair =
        met(&root.trust(), &impostor.issue(NAME_A, Kind::EcdsaP256), &root.issue(NAME_B, Kind::EcdsaP256));
    assert!(matches!(flaw(&pair), Flaw::Chain(_)), "{:?}", flaw(&pair));
    assert_eq!(code(&pair), "GTH-IKE-20");
    assert!(matches!(pair.a.failed(), Some(Failure::RefusedByPeer { .. })));
    pair.assert_down();
}

#[test]
fn a_missing_intermediate_is_not_fetched_but_refused() {
    let root = Authority::root("Alps");
    let mut ours = root.intermediate("Uri").issue(NAME_A, Kind::EcdsaP256);
    ours.chain.truncate(1);
    let pair = met(&root.trust(), &ours, &root.issue(NAME_B, Kind::EcdsaP256));
    assert_eq!(flaw(&pair), Flaw::Chain("its issuer is unknown".to_owned()));
}

#[test]
fn the_time_must_be_within_the_validity() {
    for (from, to) in [((2020, 1), (2027, 1)), ((2027, 2), (2030, 1))] {
        let root = Authority::root("Alps");
        let ours = root.issue_with(NAME_A, Kind::EcdsaP256, |params| {
            params.not_before = date_time_ymd(from.0, from.1, 1);
            params.not_after = date_time_ymd(to.0, to.1, 1);
        });
        let pair = met(&root.trust(), &ours, &root.issue(NAME_B, Kind::EcdsaP256));
        let Flaw::Validity(why) = flaw(&pair) else { panic!("{:?}", flaw(&pair)) };
        assert!(why.contains("14 days") || why.contains("16 days"), "{why}");
        assert_eq!(code(&pair), "GTH-IKE-21");
    }
}

#[test]
fn before_the_clock_is_told_no_certificate_is_valid() {
    let root = Authority::root("Alps");
    let mut pair = Pair::with(1, Weather::FAIR, |a, b| {
        name_ends(a, b);
        a.auth = root.issue(NAME_A, Kind::EcdsaP256).auth(&root.trust());
        b.auth = root.issue(NAME_B, Kind::EcdsaP256).auth(&root.trust());
    });
    pair.initiate_a();
    pair.run_for(Duration::from_secs(1));
    assert!(matches!(flaw(&pair), Flaw::Validity(_)), "{:?}", flaw(&pair));
}

#[test]
fn a_list_revokes_and_one_that_does_not_cover_tells_nothing() {
    let (root, stranger) = (Authority::root("Alps"), Authority::root("Other"));
    let good = root.revocation_list(&[99]);
    let met_under = |lists: &[Vec<u8>]| {
        met_with(|a, b| {
            a.auth = root.issue(NAME_A, Kind::EcdsaP256).auth(&root.trust());
            b.auth = root.issue(NAME_B, Kind::EcdsaP256).auth(&root.trust_with(lists));
        })
    };
    met_under(&[good]).assert_up();
    let revoked = met_under(&[root.revocation_list(&[SERIAL])]);
    assert_eq!((flaw(&revoked), code(&revoked)), (Flaw::Revoked, "GTH-IKE-22"));
    for lists in [stranger.revocation_list(&[]), root.revocation_list_until(&[], 2027, 1)] {
        let unknown = met_under(&[lists]);
        assert!(matches!(flaw(&unknown), Flaw::Status(_)), "{:?}", flaw(&unknown));
        assert_eq!(code(&unknown), "GTH-IKE-23");
    }
}

#[test]
fn what_a_certificate_may_not_be_used_for_is_refused() {
    let root = Authority::root("Alps");
    let changes: [(&str, Change); 2] = [
        ("extended key usage", |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        }),
        ("an authority's own", |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
    ];
    for (what, change) in changes {
        let ours = root.issue_with(NAME_A, Kind::EcdsaP256, change);
        let pair = met(&root.trust(), &ours, &root.issue(NAME_B, Kind::EcdsaP256));
        assert!(matches!(flaw(&pair), Flaw::Chain(why) if why.contains(what)), "{what}: {:?}", flaw(&pair));
    }
}

/// Ours with such an extension we would not show; the peer's is read no further.
#[test]
fn an_unknown_critical_extension_is_refused() {
    let root = Authority::root("Alps");
    let theirs = root.issue_with(NAME_A, Kind::EcdsaP256, |params| {
        let mut unknown = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
        unknown.set_criticality(true);
        params.custom_extensions.push(unknown);
    });
    let evidence = Evidence {
        chain: &[&theirs.chain[0]],
        identity: &NAME_A.parse().unwrap(),
        method: AuthMethod::DIGITAL_SIGNATURE,
        signature: &[],
        signed: &[],
    };
    let refused = root.trust().verify(&evidence, TODAY);
    assert!(matches!(&refused, Err(Flaw::Chain(why)) if why.contains("a critical extension")), "{refused:?}");
}

#[test]
fn usages_of_ike_and_tls_are_taken() {
    let root = Authority::root("Alps");
    let ipsec_ike = ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 5, 5, 7, 3, 17]);
    for usage in [ipsec_ike, ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::Any] {
        let ours = root.issue_with(NAME_A, Kind::EcdsaP256, |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning, usage.clone()];
        });
        met(&root.trust(), &ours, &root.issue(NAME_B, Kind::EcdsaP256)).assert_up();
    }
}

#[test]
fn an_intermediate_is_bound_by_depth_names_and_being_an_authority() {
    let root = Authority::root("Alps");
    let changes: [(&str, Change); 3] = [
        ("too long", |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0))),
        ("may not name it so", |params| {
            params.name_constraints = Some(NameConstraints {
                permitted_subtrees: vec![GeneralSubtree::DnsName("example.com".to_owned())],
                excluded_subtrees: Vec::new(),
            });
        }),
        ("no authority", |params| {
            params.is_ca = IsCa::ExplicitNoCa;
            params.key_usages.clear();
        }),
    ];
    for (what, change) in changes {
        let issuing = root.intermediate_with("Uri", change).intermediate("Andermatt");
        let pair =
            met(&root.trust(), &issuing.issue(NAME_A, Kind::EcdsaP256), &root.issue(NAME_B, Kind::EcdsaP256));
        assert!(matches!(flaw(&pair), Flaw::Chain(why) if why.contains(what)), "{what}: {:?}", flaw(&pair));
    }
}

/// Two authorities that sign each other lead nowhere, and soon.
#[test]
fn a_loop_of_authorities_is_refused() {
    let (root, north, south) = (Authority::root("Alps"), Authority::root("North"), Authority::root("South"));
    let mut ours = north.issue(NAME_A, Kind::EcdsaP256);
    ours.chain.extend([north.crossed_by(&south), south.crossed_by(&north)]);
    let pair = met(&root.trust(), &ours, &root.issue(NAME_B, Kind::EcdsaP256));
    assert!(matches!(flaw(&pair), Flaw::Chain(_)), "{:?}", flaw(&pair));
}

#[test]
fn more_certificates_than_a_chain_has_are_refused_unread() {
    let root = Authority::root("Alps");
    let mut ours = root.issue(NAME_A, Kind::EcdsaP256);
    ours.chain.extend(core::iter::repeat_n(root.der(), limits::CERTIFICATES));
    let pair = met(&root.trust(), &ours, &root.issue(NAME_B, Kind::EcdsaP256));
    assert_eq!(flaw(&pair), Flaw::Chain("9 certificates are too many".to_owned()));
    let mut giant = root.issue(NAME_A, Kind::EcdsaP256);
    giant.chain.push(vec![0x30; limits::CERTIFICATE_LEN + 1]);
    let pair = met(&root.trust(), &giant, &root.issue(NAME_B, Kind::EcdsaP256));
    assert_eq!(flaw(&pair), Flaw::Chain("a certificate of 16385 octets is too long".to_owned()));
}

/// As one that is of another kind than we read.
#[test]
fn a_broken_certificate_beside_a_good_chain_does_no_harm() {
    let root = Authority::root("Alps");
    let good = root.issue(NAME_A, Kind::EcdsaP256);
    for cut in (0..good.chain[0].len()).step_by(37) {
        let mut ours = root.issue(NAME_A, Kind::EcdsaP256);
        ours.chain.insert(1, good.chain[0][..cut].to_vec());
        met(&root.trust(), &ours, &root.issue(NAME_B, Kind::EcdsaP256)).assert_up();
    }
}

/// ```text
/// script --> HDR, SK {IDi, CERT (hash and URL), AUTH, SAi2, TSi, TSr}
/// script <-- HDR, SK {N(AUTHENTICATION_FAILED)}
/// ```
#[test]
fn a_peer_that_names_a_url_is_not_visited() {
    let root = Authority::root("Alps");
    let url = [[0; 20].as_slice(), b"http://192.0.2.66/a.der"].concat();
    for encoding in [CertEncoding::HASH_AND_URL, CertEncoding::HASH_AND_URL_BUNDLE] {
        let mut script = responder(root.issue(NAME_B, Kind::EcdsaP256).auth(&root.trust()));
        let auth = Authentication { method: AuthMethod::DIGITAL_SIGNATURE, data: &[1; 80] };
        let answer = prove(&mut script, auth, Certificate { encoding, data: &url });
        assert!(answer.notify(NotifyType::AUTHENTICATION_FAILED));
        let Some(Failure::PeerCertificate { flaw: Flaw::Absent(why), .. }) = script.b.failed() else {
            panic!("{:?}", script.b.failed())
        };
        assert!(why.contains("none is ever fetched"), "{why}");
    }
}

/// What makes a certificate one that is refused.
type Change = fn(&mut CertificateParams);
