//! Azure's IPsec policies: what a connection is set to, and the suites that we offer for it.

use super::super::found::FoundConnection;
use super::super::json::Object;
use crate::import::Refused;

/// Takes the custom policy of a connection, if it has one; Azure's default has no group that we speak.
pub(super) fn apply(found: &mut FoundConnection, policy: Option<Object<'_>>) {
    let custom = policy.filter(|policy| policy.get(&DH_GROUP).is_some());
    let Some(policy) = custom else {
        found.remark(DEFAULT_POLICY);
        return;
    };
    let text = |keys: &[&str]| policy.text(keys).unwrap_or_default();
    let ike =
        [text(&["ikeEncryption", "IkeEncryption"]), text(&["ikeIntegrity", "IkeIntegrity"]), text(&DH_GROUP)];
    let esp = [
        text(&["ipsecEncryption", "IpsecEncryption"]),
        text(&["ipsecIntegrity", "IpsecIntegrity"]),
        text(&["pfsGroup", "PfsGroup"]),
    ];
    match suite(ike, true).and_then(|keywords| keywords.parse().ok()) {
        Some(suite) => found.suites = vec![suite],
        None => found.conflicts.push(conflict(found, "IKE Phase 1", ike)),
    }
    match suite(esp, false).and_then(|keywords| keywords.parse().ok()) {
        Some(suite) => found.esp = vec![suite],
        None => found.conflicts.push(conflict(found, "IKE Phase 2 (IPsec)", esp)),
    }
}

/// strongSwan's keywords for Azure's; `None` where one of them is nothing that we speak.
fn suite([encryption, integrity, group]: [&str; 3], is_ike: bool) -> Option<String> {
    let keyword = |rows: &[(&str, &'static str)], name: &str| {
        rows.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, keyword)| *keyword)
    };
    let cipher = keyword(&CIPHERS, encryption)?;
    let mut suite = cipher.to_owned();
    // An AEAD needs a hash for its PRF in an IKE SA, and none in a child SA.
    if is_ike || !cipher.contains("gcm") {
        suite.extend(["-", keyword(&HASHES, integrity)?]);
    }
    match keyword(&GROUPS, group)? {
        "" if is_ike => None,
        "" => Some(suite),
        group => Some(suite + "-" + group),
    }
}

fn conflict(found: &FoundConnection, phase: &'static str, allowed: [&str; 3]) -> Refused {
    Refused::NoCommonSuite {
        connection: found.name.clone(),
        phase,
        allowed: allowed.join(", "),
        remedy: "in the portal, Connection, Configuration, IPsec / IKE policy, Custom: GCMAES256, SHA384, ECP256 for phase 1, \
                 GCMAES256, GCMAES256, ECP256 for phase 2"
            .to_owned(),
    }
}

/// Azure makes a connection of one version of IKE, and keeps it.
pub(super) fn not_ikev2(connection: &str) -> Refused {
    Refused::NoCommonSuite {
        connection: connection.to_owned(),
        phase: "connectionProtocol",
        allowed: "IKEv1".to_owned(),
        remedy: "make the connection anew with IKEv2: Azure does not change it".to_owned(),
    }
}

const DH_GROUP: [&str; 2] = ["dhGroup", "DhGroup"];
const CIPHERS: [(&str, &str); 4] =
    [("GCMAES256", "aes256gcm16"), ("AES256", "aes256"), ("GCMAES128", "aes128gcm16"), ("AES128", "aes128")];
const HASHES: [(&str, &str); 3] = [("SHA256", "sha256"), ("SHA384", "sha384"), ("SHA512", "sha512")];
/// The empty one: keys come from the IKE SA alone.
const GROUPS: [(&str, &str); 9] = [
    ("ECP256", "ecp256"),
    ("ECP384", "ecp384"),
    ("DHGroup14", "modp2048"),
    ("DHGroup2048", "modp2048"),
    ("PFS2048", "modp2048"),
    ("PFS14", "modp2048"),
    ("PFSMM", ""),
    ("None", ""),
    ("", ""),
];
const DEFAULT_POLICY: &str = "the connection has Azure's default policy, whose only DH group is 2, which Gotthard does not speak: in \
     the portal, Connection, Configuration, IPsec / IKE policy, choose Custom: GCMAES256, SHA384, ECP256 for phase 1 and \
     GCMAES256, GCMAES256, ECP256 for phase 2";
