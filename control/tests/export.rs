//! What `gotthard export` writes, as a whole. The lab loads it into the daemons themselves.
//!
//! After a change that is meant: `gotthard export frr --config control/tests/export/gotthard.toml`, and `bird`, into the
//! files beside it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use gotthard::config::{Config, NoSecrets, parse_str};
use gotthard::export::{Refused, bird, frr, plan};

fn config(text: &str) -> Config {
    parse_str(text, "gotthard.toml", &NoSecrets).unwrap().config
}

#[test]
fn frr_reads_two_aws_tunnels_an_azure_peer_off_the_link_and_an_ipv6_session() {
    assert_eq!(frr(&plan(&config(CONFIG), None).unwrap()), include_str!("export/frr.conf"));
}

#[test]
fn bird_reads_the_same() {
    assert_eq!(bird(&plan(&config(CONFIG), None).unwrap()), include_str!("export/bird.conf"));
}

#[test]
fn one_connection_is_written_alone_and_no_secret_with_it() {
    let plan = plan(&config(CONFIG), Some("aws-prod")).unwrap();
    for text in [frr(&plan), bird(&plan)] {
        assert!(text.contains("169.254.11.1") && !text.contains("10.10.255.1"), "{text}");
        assert!(!text.contains("psk.of.tunnel"), "{text}");
    }
}

#[test]
fn a_name_ends_no_line_and_begins_no_statement() {
    let mut plan = plan(&config(CONFIG), Some("aws-prod")).unwrap();
    for peer in &mut plan.peers {
        peer.connection = "x\n router bgp 1\"; } protocol kernel { '".to_owned();
        peer.tunnel = "'\" }".to_owned();
        peer.interface = "gth0\"; }\n".to_owned();
    }
    let frr = frr(&plan);
    assert_eq!(frr.matches("router bgp").count(), 1, "{frr}");
    assert!(
        frr.contains("description x__router_bgp_1_____protocol_kernel____/____ through gth0_____\n"),
        "{frr}"
    );
    let bird = bird(&plan);
    assert_eq!(bird.lines().filter(|line| line.starts_with("protocol kernel")).count(), 0, "{bird}");
    assert_eq!(bird.matches('"').count(), 2 * plan.peers.len() + 2, "{bird}");
}

#[test]
fn what_a_session_cannot_do_without_is_named() {
    let without = |line: &str| {
        let text = CONFIG.replacen(line, "", 1);
        plan(&config(&text), None).unwrap_err().to_string()
    };
    assert!(without("asn = 65010\n").contains("below [gateway]"));
    assert!(without("inside = \"169.254.10.2/30\"\n").contains("aws-prod/1: inside is missing"));
    assert!(without("peer_inside = \"10.30.0.254\"\n").contains("azure/1: peer_inside is missing"));
    let generic = CONFIG.replace("cloud = \"azure\"", "cloud = \"generic\"");
    assert!(plan(&config(&generic), None).unwrap_err().to_string().contains("azure/1: peer_asn is missing"));
    assert_eq!(plan(&config(CONFIG), Some("none")).unwrap_err(), Refused::Unknown("none".to_owned()));
    let one = &CONFIG[..CONFIG.find("[connection.azure]").unwrap()];
    let fixed = one.replace("routing = \"external\"", "routing = \"static\"\nremote = [\"10.200.0.0/16\"]");
    assert_eq!(plan(&config(&fixed), None).unwrap_err(), Refused::NoBgp);
}

const CONFIG: &str = include_str!("export/gotthard.toml");
