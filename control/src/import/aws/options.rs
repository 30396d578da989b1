//! `TunnelOptions`: what a tunnel is set to in the console, and the suite that we offer for it.

use core::str::FromStr;
use std::net::IpAddr;

use gotthard_ike::suite::{EspSuite, IkeSuite};
use ipnet::Ipv6Net;
use serde_json::Value;

use super::super::Refused;
use super::super::found::FoundConnection;
use super::super::json::{Object, address};
use crate::config::model::Psk;

/// The options of one tunnel.
pub(super) struct TunnelOptions {
    /// The outer address of AWS's end, which says whose they are: the order differs from the XML's.
    pub(super) outside: IpAddr,
    psk: Option<Psk>,
    /// Our address of the IPv6 link inside, where there is one.
    inside6: Option<Ipv6Net>,
    ike_versions: Vec<String>,
    phase1: Phase,
    phase2: Phase,
}

/// What one phase allows; an empty list: everything that AWS knows.
struct Phase {
    encryption: Vec<String>,
    integrity: Vec<String>,
    groups: Vec<String>,
}

impl TunnelOptions {
    /// Reads an element of `Options.TunnelOptions[]`.
    pub(super) fn read(owner: &str, options: Object<'_>) -> Result<Option<Self>, Refused> {
        let Some(outside) = options.address(owner, &["OutsideIpAddress"])? else { return Ok(None) };
        let phase = |number: u8| Phase {
            encryption: words(options.list(&[&format!("Phase{number}EncryptionAlgorithms")])),
            integrity: words(options.list(&[&format!("Phase{number}IntegrityAlgorithms")])),
            groups: words(options.list(&[&format!("Phase{number}DHGroupNumbers")])),
        };
        Ok(Some(Self {
            outside,
            psk: options.psk(&["PreSharedKey"]),
            inside6: inside6(owner, options.text(&["TunnelInsideIpv6Cidr"]))?,
            ike_versions: words(options.list(&["IkeVersions"])),
            phase1: phase(1),
            phase2: phase(2),
        }))
    }

    /// Reads the attributes `tunnel1_…` or `tunnel2_…` of Terraform's `aws_vpn_connection`.
    pub(super) fn read_terraform(
        owner: &str,
        attributes: Object<'_>,
        tunnel: u8,
    ) -> Result<Option<Self>, Refused> {
        let key = |name: &str| format!("tunnel{tunnel}_{name}");
        let Some(outside) = attributes.text(&[&key("address")]) else { return Ok(None) };
        let list = |name: &str| words(attributes.list(&[&key(name)]));
        let phase = |number: u8| Phase {
            encryption: list(&format!("phase{number}_encryption_algorithms")),
            integrity: list(&format!("phase{number}_integrity_algorithms")),
            groups: list(&format!("phase{number}_dh_group_numbers")),
        };
        Ok(Some(Self {
            outside: address(owner, outside)?,
            psk: attributes.psk(&[&key("preshared_key")]),
            inside6: inside6(owner, attributes.text(&[&key("inside_ipv6_cidr")]))?,
            ike_versions: list("ike_versions"),
            phase1: phase(1),
            phase2: phase(2),
        }))
    }
}

/// Our address of an IPv6 link: AWS has the first of its hosts, we the second.
fn inside6(owner: &str, text: Option<&str>) -> Result<Option<Ipv6Net>, Refused> {
    let Some(text) = text else { return Ok(None) };
    let wrong = || Refused::value(owner, "IPv6 prefix of a tunnel", text);
    let link: Ipv6Net = text.parse().map_err(|_| wrong())?;
    let ours = link.hosts().nth(2).filter(|_| link.prefix_len() == LINK_V6).ok_or_else(wrong)?;
    Ok(Ipv6Net::new(ours, LINK_V6).ok())
}

/// Gives the connection the keys and IPv6 addresses that its tunnels lack, and the suites that its tunnels are set to. What has nothing in
/// common with ours stands in its `conflicts`.
pub(super) fn apply(found: &mut FoundConnection, options: Vec<TunnelOptions>) {
    let preset = found.cloud.preset();
    let (mut suites, mut esp): (Vec<IkeSuite>, Vec<EspSuite>) = (Vec::new(), Vec::new());
    for option in options {
        let name = format!("{}, tunnel {}", found.name, option.outside);
        for tunnel in found.tunnels.iter_mut().filter(|tunnel| tunnel.peer == option.outside) {
            tunnel.psk = tunnel.psk.take().or_else(|| option.psk.clone());
            let is_ipv4 = tunnel.inside.is_some_and(|inside| inside.addr().is_ipv4());
            tunnel.inside6 = option.inside6.filter(|_| is_ipv4);
        }
        if !allows(&option.ike_versions, "ikev2") {
            found.conflicts.push(Refused::NoCommonSuite {
                connection: name.clone(),
                phase: "IKE version",
                allowed: option.ike_versions.join(", "),
                remedy: "allow ikev2 in the tunnel's options".to_owned(),
            });
        }
        let keywords = |cipher: &str, hash: &str, group: &str| format!("{cipher}-{hash}-{group}");
        match option.phase1.best(keywords) {
            Some(suite) if suites.contains(&suite) => {}
            Some(suite) => suites.push(suite),
            None => found.conflicts.push(option.phase1.conflict(&name, "Phase 1")),
        }
        // An AEAD authenticates by itself.
        let keywords = |cipher: &str, hash: &str, group: &str| {
            if cipher.contains("gcm") {
                format!("{cipher}-{group}")
            } else {
                format!("{cipher}-{hash}-{group}")
            }
        };
        match option.phase2.best(keywords) {
            Some(suite) if esp.contains(&suite) => {}
            Some(suite) => esp.push(suite),
            None => found.conflicts.push(option.phase2.conflict(&name, "Phase 2")),
        }
    }
    if suites != preset.suites {
        found.suites = suites;
    }
    if esp != preset.esp {
        found.esp = esp;
    }
}

impl Phase {
    /// The best of ours that it allows.
    fn best<S: FromStr>(&self, keywords: impl Fn(&str, &str, &str) -> String) -> Option<S> {
        let allowed =
            |list: &[String], (name, keyword): &'static (&str, &str)| allows(list, name).then_some(*keyword);
        let cipher = CIPHERS.iter().find_map(|row| allowed(&self.encryption, row))?;
        let hash = HASHES.iter().find_map(|row| allowed(&self.integrity, row))?;
        let group = GROUPS.iter().find_map(|row| allowed(&self.groups, row))?;
        keywords(cipher, hash, group).parse().ok()
    }

    fn conflict(&self, connection: &str, phase: &'static str) -> Refused {
        let lists = [&self.encryption, &self.integrity, &self.groups].map(|list| list.join(", "));
        let [encryption, integrity, groups] = &lists;
        Refused::NoCommonSuite {
            connection: connection.to_owned(),
            phase,
            allowed: format!("encryption {encryption}; integrity {integrity}; DH groups {groups}"),
            remedy: format!(
                "in the VPC console, Modify VPN tunnel options, {phase}: add AES256-GCM-16, SHA2-256 and DH group 19"
            ),
        }
    }
}

/// An empty list allows everything that AWS knows.
fn allows(list: &[String], wanted: &str) -> bool {
    list.is_empty() || list.iter().any(|allowed| allowed.eq_ignore_ascii_case(wanted))
}

/// The values of a list: `[{"Value": X}]` as AWS has it, `[X]` as Terraform does.
fn words(list: &[Value]) -> Vec<String> {
    let word = |value: &Value| match Object::of(value).map_or(Some(value), |object| object.get(&["Value"]))? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    list.iter().filter_map(word).take(MAX_WORDS).collect()
}

/// What of AWS's lists we speak, the best first, in the console's words and in strongSwan's.
const CIPHERS: [(&str, &str); 4] = [
    ("AES256-GCM-16", "aes256gcm16"),
    ("AES256", "aes256"),
    ("AES128-GCM-16", "aes128gcm16"),
    ("AES128", "aes128"),
];
const HASHES: [(&str, &str); 3] = [("SHA2-256", "sha256"), ("SHA2-384", "sha384"), ("SHA2-512", "sha512")];
const GROUPS: [(&str, &str); 5] =
    [("19", "ecp256"), ("20", "ecp384"), ("14", "modp2048"), ("15", "modp3072"), ("16", "modp4096")];
/// The prefix length of an IPv6 link of AWS's.
const LINK_V6: u8 = 126;
/// AWS knows fewer of anything.
const MAX_WORDS: usize = 32;
