//! AWS: each form of one connection says the same of it.

use gotthard::config::model::{Local, Routing};
use gotthard::import::emit::{Keys, emit};
use gotthard::import::{Answers, Found, FoundConnection, Origin, read};
use serde_json::json;

use super::{config, ends, keys, one, remote};

const XML: &str = include_str!("files/aws.xml");
const KEYS: [Option<&str>; 2] =
    [Some("exampleTunnelOne_0123456789.abcd"), Some("exampleTunnelTwo_0123456789.abcd")];

fn both_ends() -> Vec<(String, String, String)> {
    [
        ("198.51.100.11", "169.254.10.1", "169.254.10.2/30"),
        ("198.51.100.12", "169.254.11.1", "169.254.11.2/30"),
    ]
    .map(|(peer, theirs, ours)| (peer.to_owned(), theirs.to_owned(), ours.to_owned()))
    .to_vec()
}

/// One `TunnelOptions` with the lists of both phases.
fn options(
    outside: &str,
    phase1: (&[&str], &[&str], &[u8]),
    phase2: (&[&str], &[&str], &[u8]),
) -> serde_json::Value {
    let list = |words: &[&str]| words.iter().map(|word| json!({ "Value": word })).collect::<Vec<_>>();
    let groups = |groups: &[u8]| groups.iter().map(|group| json!({ "Value": group })).collect::<Vec<_>>();
    json!({
        "OutsideIpAddress": outside,
        "PreSharedKey": "of.the.options",
        "Phase1EncryptionAlgorithms": list(phase1.0),
        "Phase1IntegrityAlgorithms": list(phase1.1),
        "Phase1DHGroupNumbers": groups(phase1.2),
        "Phase2EncryptionAlgorithms": list(phase2.0),
        "Phase2IntegrityAlgorithms": list(phase2.1),
        "Phase2DHGroupNumbers": groups(phase2.2),
        "IkeVersions": [{ "Value": "ikev2" }],
    })
}

fn described(xml: &str, options: &[serde_json::Value]) -> String {
    let connection = json!({
        "CustomerGatewayConfiguration": xml,
        "VpnConnectionId": "vpn-0a1b2c3d4e5f60718",
        "State": "available",
        "Options": { "StaticRoutesOnly": false, "TunnelOptions": options },
    });
    json!({ "VpnConnections": [connection] }).to_string()
}

#[test]
fn every_form_of_a_connection_says_the_same() {
    let terraform = json!({ "values": { "root_module": { "resources": [{
        "type": "aws_vpn_connection",
        "values": { "id": "vpn-0a1b2c3d4e5f60718", "customer_gateway_configuration": XML,
                    "tunnel1_address": "198.51.100.11", "tunnel2_address": "198.51.100.12" },
    }] } } });
    let output = json!({ "vpn_config": { "sensitive": true, "type": "string", "value": XML } });
    let forms = [
        XML.to_owned(),
        described(XML, &[]),
        terraform.to_string(),
        output.to_string(),
        include_str!("files/aws-generic.txt").to_owned(),
    ];
    for form in &forms {
        let found = one(Origin::Aws, &[form]);
        assert_eq!(found.name, "vpn-0a1b2c3d4e5f60718");
        assert_eq!((found.routing, found.asn, found.hold_time), (Routing::Bgp, Some(65010), Some(30)));
        assert_eq!(found.local, Some("203.0.113.10".parse().unwrap()));
        assert_eq!((ends(&found), keys(&found)), (both_ends(), KEYS.to_vec()));
        assert!(found.tunnels.iter().all(|tunnel| tunnel.peer_asn == Some(64512)));
    }
}

#[test]
fn strongswans_text_has_the_inside_in_its_script_and_libreswans_the_prefixes() {
    let strongswan = one(Origin::Aws, &[include_str!("files/aws-strongswan.txt")]);
    assert_eq!((ends(&strongswan), keys(&strongswan)), (both_ends(), KEYS.to_vec()));
    assert!(strongswan.remote.is_empty(), "everything is no prefix of the VPC");
    let libreswan = one(Origin::Aws, &[include_str!("files/aws-libreswan.txt")]);
    assert_eq!(keys(&libreswan), KEYS.to_vec());
    assert_eq!(libreswan.remote, ["10.200.0.0/16".parse().unwrap()]);
    assert_eq!(libreswan.advertise, ["10.10.0.0/16".parse().unwrap()], "a placeholder is no prefix");
}

#[test]
fn what_is_found_is_a_configuration() {
    let found = read(Origin::Aws, &[XML]).unwrap().answered(&Answers::default()).unwrap();
    let config = config(&found);
    assert_eq!(config.gateway.local, Local::Address("203.0.113.10".parse().unwrap()));
    assert_eq!(config.gateway.asn, Some(65010));
    assert_eq!(config.connections[0].tunnels.len(), 2);
    let static_one = XML.replace("<bgp>", "<old>").replace("</bgp>", "</old>");
    let found = read(Origin::Aws, &[&static_one]).unwrap();
    let missing = found.clone().answered(&Answers::default()).unwrap().connections[0].missing();
    assert!(missing[0].to_string().contains("--remote"), "{missing:?}");
    let found = found.answered(&remote("10.200.0.0/16")).unwrap();
    assert_eq!(super::config(&found).connections[0].routing, Routing::Static);
}

#[test]
fn the_options_say_what_is_offered_and_whose_they_are() {
    let strong: (&[&str], &[&str], &[u8]) = (&["AES128", "AES256"], &["SHA1", "SHA2-256"], &[2, 14]);
    let gcm: (&[&str], &[&str], &[u8]) = (&["AES256-GCM-16"], &["SHA2-384"], &[20]);
    // The second tunnel's stand first: they are told by the outside address.
    let without_keys =
        XML.replace("exampleTunnelOne_0123456789.abcd", "").replace("exampleTunnelTwo_0123456789.abcd", "");
    let text = described(
        &without_keys,
        &[options("198.51.100.12", strong, gcm), options("198.51.100.11", gcm, gcm)],
    );
    let found = one(Origin::Aws, &[&text]);
    let suites: Vec<_> = found.suites.iter().map(ToString::to_string).collect();
    assert_eq!(suites, ["aes256-sha256-modp2048", "aes256gcm16-sha384-ecp384"]);
    let esp: Vec<_> = found.esp.iter().map(ToString::to_string).collect();
    assert_eq!(esp, ["aes256gcm16-ecp384"]);
    assert_eq!(keys(&found), [Some("of.the.options"); 2]);
    assert_eq!(found.conflicts, []);
}

#[test]
fn a_tunnel_with_ipv6_inside_has_our_end_of_its_link() {
    let all: (&[&str], &[&str], &[u8]) = (&[], &[], &[]);
    let mut option = options("198.51.100.12", all, all);
    option["TunnelInsideIpv6Cidr"] = json!("fd00:11::/126");
    let found = read(Origin::Aws, &[&described(XML, &[option.clone()])]).unwrap();
    let config = config(&found);
    let inside6: Vec<_> = config.connections[0].tunnels.iter().map(|tunnel| tunnel.inside6).collect();
    assert_eq!(inside6, [None, Some("fd00:11::2/126".parse().unwrap())]);
    for wrong in ["fd00:11::/64", "169.254.11.0/30", "::"] {
        option["TunnelInsideIpv6Cidr"] = json!(wrong);
        assert!(read(Origin::Aws, &[&described(XML, &[option.clone()])]).is_err(), "{wrong}");
    }
}

/// What AWS hands out where the keys are in Secrets Manager, or there are none.
fn without_keys(beside: &[(&str, serde_json::Value)]) -> FoundConnection {
    let xml = XML
        .replace("exampleTunnelOne_0123456789.abcd", "****")
        .replace("exampleTunnelTwo_0123456789.abcd", "");
    let mut document: serde_json::Value = serde_json::from_str(&described(&xml, &[])).unwrap();
    for (key, value) in beside {
        document["VpnConnections"][0][*key] = value.clone();
    }
    one(Origin::Aws, &[&document.to_string()])
}

#[test]
fn keys_in_the_secrets_manager_are_named_by_the_command_that_shows_them() {
    let secret = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:s2svpn!vpn-0a1b-1Skga6";
    let found = without_keys(&[("PreSharedKeyArn", json!(secret))]);
    assert_eq!(keys(&found), [None, None]);
    let command = format!("get-secret-value --secret-id '{secret}'");
    assert!(found.remarks.iter().any(|remark| remark.contains(&command)), "{:?}", found.remarks);
    let hostile = without_keys(&[("PreSharedKeyArn", json!("arn:x'; reboot; '"))]);
    assert!(hostile.remarks.iter().all(|remark| !remark.contains("reboot")), "{:?}", hostile.remarks);
}

#[test]
fn ends_with_certificates_ask_for_ours_and_the_authorities() {
    let arn = "arn:aws:acm:eu-central-1:123456789012:certificate/12345678";
    let found = without_keys(&[("VgwTelemetry", json!([{ "CertificateArn": arn }]))]);
    assert!(found.certificates);
    let text = emit(&Found { connections: vec![found], remarks: Vec::new() }, true, Keys::Files);
    for line in [
        "auth = \"cert\"",
        "cert = \"vpn-0a1b2c3d4e5f60718.pem\"",
        "ca = \"vpn-0a1b2c3d4e5f60718-ca.pem\"",
        "peer_id = \"C=US, ST=WA, L=Seattle, O=Amazon.com, OU=AWS, CN=vpn-0a1b2c3d4e5f60718.endpoint-0\"",
        "peer_id = \"C=US, ST=WA, L=Seattle, O=Amazon.com, OU=AWS, CN=vpn-0a1b2c3d4e5f60718.endpoint-1\"",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}: {text}");
    }
    assert!(!text.contains("psk_file"), "{text}");
    let hostile =
        [("VgwTelemetry", json!([{ "CertificateArn": arn }])), ("VpnConnectionId", json!("vpn-1, CN=other"))];
    assert!(without_keys(&hostile).tunnels.iter().all(|tunnel| tunnel.peer_id.is_none()));
}

#[test]
fn options_that_allow_nothing_of_ours_are_refused_with_the_consoles_words() {
    let weak: (&[&str], &[&str], &[u8]) = (&["AES256"], &["SHA1"], &[14]);
    let fine: (&[&str], &[&str], &[u8]) = (&[], &[], &[]);
    let text = described(XML, &[options("198.51.100.11", fine, weak)]);
    let found = read(Origin::Aws, &[&text]).unwrap();
    let refused = found.clone().answered(&Answers::default()).unwrap_err().to_string();
    assert!(refused.contains("tunnel 198.51.100.11: Phase 2") && refused.contains("SHA1"), "{refused}");
    assert!(refused.contains("add AES256-GCM-16"), "{refused}");
    let forced = Answers { with_conflicts: true, ..Answers::default() };
    assert_eq!(config(&found.answered(&forced).unwrap()).connections.len(), 1);
}

#[test]
fn a_deleted_connection_and_a_second_tunnel_to_one_endpoint_are_left_out_of_the_configuration() {
    let deleted =
        described(XML, &[]).replace("available", "deleted").replace("vpn-0a1b2c3d4e5f60718", "vpn-old");
    let twin = XML.replace("198.51.100.12", "198.51.100.11");
    let found = read(Origin::Aws, &[&twin, &deleted]).unwrap().answered(&Answers::default()).unwrap();
    assert_eq!(found.connections.len(), 2);
    let config = config(&found);
    assert_eq!(config.connections.len(), 1);
    assert_eq!(config.connections[0].tunnels.len(), 1);
}
