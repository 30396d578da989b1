//! Every key, wrong in each way: the error names the place, and says what to write instead.

mod bgp;
mod connection;
mod gateway;
mod prices;
mod tunnel;

use gotthard::config::{ConfigError, NoSecrets, parse_str};

const VALID: &str = r#"[gateway]
local = "203.0.113.10"
asn = 65010
advertise = ["10.10.0.0/16"]
backend = "io_uring"
workers = 2
offloads = true
debug_keys = "keys"
hooks = "hooks.d"
web = "127.0.0.1:8477"
prices.aws.egress_per_gb = 0.085
prices.aws.connection_hour = 0.05
prices.aws.currency = "EUR"

[connection.aws-prod]
cloud = "aws"
routing = "static"
remote = ["10.200.0.0/16"]
suites = ["aes256gcm16-sha256-ecp256"]
esp = ["aes256gcm16-ecp256"]
mode = "initiator"
encapsulation = "udp"
mtu = 1446
ike_lifetime = "8h"
child_lifetime = "1h"
rekey_margin = "270s"
rekey_fuzz = 100
child_bytes = 104857600000
child_packets = 1000000000
dpd_interval = "10s"
probe_interval = "300ms"
replay_window = 8192
peer_replay_window = 1024
ceiling_mbit = 1250
ceiling_packets = 140000

[[connection.aws-prod.tunnel]]
name = "1"
peer = "198.51.100.11"
inside = "169.254.10.2/30"
peer_inside = "169.254.10.1"
peer_asn = 64512
psk = "hunter2.hunter2"
local_id = "gw.example.net"
peer_id = "198.51.100.11"
interface = "vpn0"

[[connection.aws-prod.tunnel]]
name = "2"
peer = "198.51.100.12"
inside = "169.254.11.2/30"
psk = "hunter2.hunter3"
"#;

/// `(line of VALID, what to write in its place, key, part of the problem, part of the remedy)`.
type Case = (&'static str, &'static str, &'static str, &'static str, &'static str);

const SYNTAX: &[Case] = &[
    ("asn = 65010", "asn 65010", "gateway.asn", "is no TOML", "KEY = VALUE"),
    ("cloud = \"aws\"", "cloud = \"aws", "connection.aws-prod.cloud", "is no TOML", "strings in quotes"),
    ("mtu = 1446", "mtu = 1446\nmtu = 1446", "connection.aws-prod.mtu", "is no TOML", "KEY = VALUE"),
    (
        "psk = \"hunter2.hunter2\"",
        "psk \"hunter2.hunter2\"",
        "connection.aws-prod.tunnel.psk",
        "is no TOML",
        "quotes",
    ),
];

#[test]
fn the_text_that_is_made_wrong_is_right() {
    parse_str(VALID, "g.toml", &NoSecrets).unwrap();
}

#[test]
fn every_key_wrong_in_each_way_is_refused_with_its_place_and_a_remedy() {
    for &(line, wrong, key, problem, remedy) in
        [gateway::CASES, prices::CASES, connection::CASES, tunnel::CASES, SYNTAX].into_iter().flatten()
    {
        assert!(VALID.contains(&format!("{line}\n")), "{line:?} is not in the valid text");
        let text = VALID.replacen(line, wrong, 1);
        let errors = refused(&text);
        let found = errors.iter().find(|error| error.key == key && error.problem.contains(problem));
        let error = found.unwrap_or_else(|| panic!("{wrong:?}: no {key}: {problem} in {errors:#?}"));
        assert!(error.remedy.contains(remedy), "{wrong:?}: {error}");
        assert_eq!(error.file, "g.toml");
        assert!((1..=text.lines().count()).contains(&error.line), "{wrong:?}: {error}");
        for error in &errors {
            assert!(!error.to_string().contains("hunter"), "a secret in: {error}");
        }
    }
}

#[test]
fn all_mistakes_are_reported_at_once_as_an_operator_reads_them() {
    let text = r#"[gateway]
locl = "auto"

[connection.prod]
cloud = "awz"
routing = "static"
remote = ["10.200.0.1/16"]

[[connection.prod.tunnel]]
name = "1"
peer = "198.51.100.11"
inside = "169.254.10.0/30"
psk_fil = "prod-1.psk"
"#;
    let shown = parse_str(text, "/etc/gotthard/gotthard.toml", &NoSecrets).unwrap_err().to_string();
    let expected = r#"/etc/gotthard/gotthard.toml:2:1: gateway.locl: unknown key
  remedy: did you mean `local`?
/etc/gotthard/gotthard.toml:5:9: connection.prod.cloud: "awz" is not possible
  remedy: write one of "aws", "azure", "gcp", "generic" (did you mean "aws"?)
/etc/gotthard/gotthard.toml:7:11: connection.prod.remote[1]: 10.200.0.1/16 has bits behind its length
  remedy: write "10.200.0.0/16"
/etc/gotthard/gotthard.toml:9:1: connection.prod.tunnel[1].psk_file: is missing
  remedy: write psk_file = "FILE" (a file of mode 0640 or less) or psk = "…"
/etc/gotthard/gotthard.toml:12:10: connection.prod.tunnel[1].inside: 169.254.10.0 is no host of 169.254.10.0/30
  remedy: write "169.254.10.1/30" or "169.254.10.2/30", whichever the cloud calls yours
/etc/gotthard/gotthard.toml:13:1: connection.prod.tunnel[1].psk_fil: unknown key
  remedy: did you mean `psk_file`?"#;
    assert_eq!(shown, expected);
}

#[test]
fn a_name_for_a_terminal_attack_is_shown_escaped() {
    let errors = refused("[connection.\"\\u001b[2J\"]\nrouting = \"static\"\nremote = [\"10.0.0.0/8\"]\n");
    assert!(errors.iter().all(|error| !error.to_string().contains('\u{1b}')), "{errors:?}");
}

fn refused(text: &str) -> Vec<ConfigError> {
    parse_str(text, "g.toml", &NoSecrets).map(|_| ()).expect_err(text).0
}
