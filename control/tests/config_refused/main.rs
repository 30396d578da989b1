//! Every key, wrong in each way: the error names the place, and says what to write instead.

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

const GATEWAY: &[Case] = &[
    ("[gateway]", "[gatewya]", "gatewya", "unknown key", "did you mean `gateway`?"),
    (
        "[gateway]",
        "gateway = 3\n[connection.x]",
        "gateway",
        "must be a table, not a whole number",
        "[gateway]",
    ),
    (
        "hooks = \"hooks.d\"",
        "hooks = [\"10-route\"]",
        "gateway.hooks",
        "must be a string",
        "the name of a folder of executables",
    ),
    ("hooks = \"hooks.d\"", "hooks = \"\"", "gateway.hooks", "no name of a folder", "/etc/gotthard/hooks.d"),
    (
        "debug_keys = \"keys\"",
        "debug_keys = true",
        "gateway.debug_keys",
        "must be a string",
        "or remove the key",
    ),
    (
        "debug_keys = \"keys\"",
        "debug_keys = \"\"",
        "gateway.debug_keys",
        "is no name of a file",
        "or remove the key",
    ),
    (
        "debug_keys = \"keys\"",
        "debug_keys = \"/root/\"",
        "gateway.debug_keys",
        "is no name",
        "or remove the key",
    ),
    ("local = \"203.0.113.10\"", "local = 5", "gateway.local", "must be a string", "\"auto\""),
    (
        "local = \"203.0.113.10\"",
        "local = \"here\"",
        "gateway.local",
        "\"here\" is no IP address",
        "203.0.113.10",
    ),
    (
        "local = \"203.0.113.10\"",
        "local = \"0.0.0.0\"",
        "gateway.local",
        "no address of a host",
        "203.0.113.10",
    ),
    ("local = \"203.0.113.10\"", "loca = \"auto\"", "gateway.loca", "unknown key", "did you mean `local`?"),
    ("local = \"203.0.113.10\"", "colour = 1", "gateway.colour", "unknown key", "local, asn, advertise"),
    (
        "asn = 65010",
        "asn = \"65010\"",
        "gateway.asn",
        "must be a whole number, not a string",
        "without quotes",
    ),
    ("asn = 65010", "asn = 0", "gateway.asn", "0 is out of bounds", "from 1 to 4294967294"),
    ("asn = 65010", "asn = -1", "gateway.asn", "-1 is out of bounds", "from 1"),
    ("asn = 65010", "asn = 23456", "gateway.asn", "23456 is reserved", "65010"),
    ("asn = 65010", "asn = 65010.5", "gateway.asn", "not a number with a fraction", "without quotes"),
    (
        "advertise = [\"10.10.0.0/16\"]",
        "advertise = \"10.10.0.0/16\"",
        "gateway.advertise",
        "must be a list",
        "[",
    ),
    (
        "advertise = [\"10.10.0.0/16\"]",
        "advertise = [7]",
        "gateway.advertise[1]",
        "must be a string",
        "10.10.0.0/16",
    ),
    (
        "advertise = [\"10.10.0.0/16\"]",
        "advertise = [\"10.10.0.0/33\"]",
        "gateway.advertise[1]",
        "is no prefix",
        "10.10",
    ),
    (
        "advertise = [\"10.10.0.0/16\"]",
        "advertise = [\"10.10.0.1/16\"]",
        "gateway.advertise[1]",
        "bits behind",
        "\"10.10.0.0/16\"",
    ),
    (
        "advertise = [\"10.10.0.0/16\"]",
        "advertise = [\"::/0\", \"::/0\"]",
        "gateway.advertise[2]",
        "twice",
        "remove",
    ),
    ("asn = 65010", "asn = 65010\ntable = 0", "gateway.table", "0 is out of bounds", "from 1"),
    ("asn = 65010", "asn = 65010\ntable = 255", "gateway.table", "the host's own addresses", "such as 71"),
    ("asn = 65010", "asn = 65010\ntable = \"vpn\"", "gateway.table", "not a string", "without quotes"),
    (
        "asn = 65010",
        "asn = 65010\nrule_priority = 900",
        "gateway.rule_priority",
        "the main table needs no rule",
        "write `table`",
    ),
    (
        "asn = 65010",
        "asn = 65010\ntable = 71\nrule_priority = 0",
        "gateway.rule_priority",
        "0 is out of bounds",
        "from 1",
    ),
    (
        "asn = 65010",
        "asn = 65010\nmultipath_hash = \"flows\"",
        "gateway.multipath_hash",
        "\"flows\" is not possible",
        "\"flow\", \"keep\" (did you mean \"flow\"?)",
    ),
    (
        "backend = \"io_uring\"",
        "backend = \"iouring\"",
        "gateway.backend",
        "\"iouring\" is not possible",
        "\"auto\", \"io_uring\", \"syscalls\" (did you mean \"io_uring\"?)",
    ),
    ("backend = \"io_uring\"", "backend = false", "gateway.backend", "not true or false", "\"syscalls\""),
    ("workers = 2", "workers = \"2\"", "gateway.workers", "\"2\" is no number of threads", "without quotes"),
    ("workers = 2", "workers = \"all\"", "gateway.workers", "\"all\" is no number", "write \"auto\""),
    ("workers = 2", "workers = 0", "gateway.workers", "0 is out of bounds", "from 1 to 32"),
    ("workers = 2", "workers = 33", "gateway.workers", "33 is out of bounds", "from 1 to 32"),
    ("offloads = true", "offloads = \"on\"", "gateway.offloads", "not a string", "write true or false"),
    ("offloads = true", "offload = true", "gateway.offload", "unknown key", "did you mean `offloads`?"),
];

const CONNECTION: &[Case] = &[
    (
        "cloud = \"aws\"",
        "cloud = \"asw\"",
        "connection.aws-prod.cloud",
        "\"asw\" is not possible",
        "did you mean \"aws\"?",
    ),
    ("cloud = \"aws\"", "cloud = true", "connection.aws-prod.cloud", "not true or false", "\"generic\""),
    (
        "routing = \"static\"",
        "routing = \"ospf\"",
        "connection.aws-prod.routing",
        "\"ospf\" is not possible",
        "\"external\"",
    ),
    ("routing = \"static\"", "", "connection.aws-prod.routing", "is missing", "routing = \"static\""),
    (
        "routing = \"static\"",
        "routing = \"bgp\"",
        "connection.aws-prod.remote",
        "routing = \"static\" only",
        "remove it",
    ),
    ("remote = [\"10.200.0.0/16\"]", "", "connection.aws-prod.remote", "is missing", "10.200.0.0/16"),
    (
        "remote = [\"10.200.0.0/16\"]",
        "remote = []",
        "connection.aws-prod.remote",
        "is empty",
        "10.200.0.0/16",
    ),
    (
        "remote = [\"10.200.0.0/16\"]",
        "remote = 10",
        "connection.aws-prod.remote",
        "must be a list",
        "[\"10.200.0.0/16\"]",
    ),
    (
        "suites = [\"aes256gcm16-sha256-ecp256\"]",
        "suites = [\"3des-md5\"]",
        "connection.aws-prod.suites[1]",
        "3des",
        "keywords",
    ),
    (
        "suites = [\"aes256gcm16-sha256-ecp256\"]",
        "suites = [\"aes257-sha256-ecp256\"]",
        "connection.aws-prod.suites[1]",
        "aes257",
        "keywords",
    ),
    (
        "suites = [\"aes256gcm16-sha256-ecp256\"]",
        "suites = []",
        "connection.aws-prod.suites",
        "is empty",
        "remove the key",
    ),
    (
        "suites = [\"aes256gcm16-sha256-ecp256\"]",
        "suites = \"aes256\"",
        "connection.aws-prod.suites",
        "must be a list",
        "[",
    ),
    (
        "esp = [\"aes256gcm16-ecp256\"]",
        "esp = [\"aes256\"]",
        "connection.aws-prod.esp[1]",
        "aes256",
        "keywords",
    ),
    (
        "esp = [\"aes256gcm16-ecp256\"]",
        "esp = [\"aes256gcm16\", \"aes256gcm16\"]",
        "connection.aws-prod.esp[2]",
        "twice",
        "remove",
    ),
    (
        "esp = [\"aes256gcm16-ecp256\"]",
        "esp = [\"aes256-sha1\"]",
        "connection.aws-prod.esp[1]",
        "sha1",
        "keywords",
    ),
    (
        "mode = \"initiator\"",
        "mode = \"both\"",
        "connection.aws-prod.mode",
        "\"both\"",
        "\"initiator\", \"responder\"",
    ),
    (
        "encapsulation = \"udp\"",
        "encapsulation = \"tcp\"",
        "connection.aws-prod.encapsulation",
        "\"tcp\"",
        "\"auto\", \"udp\", \"esp\"",
    ),
    ("mtu = 1446", "mtu = 575", "connection.aws-prod.mtu", "575 is out of bounds", "from 576 to 9000"),
    ("mtu = 1446", "mtu = 0xfffff", "connection.aws-prod.mtu", "0xfffff is out of bounds", "from 576"),
    ("mtu = 1446", "mtu = \"1446\"", "connection.aws-prod.mtu", "not a string", "without quotes"),
    (
        "ike_lifetime = \"8h\"",
        "ike_lifetime = 8",
        "connection.aws-prod.ike_lifetime",
        "not a whole number",
        "unit",
    ),
    (
        "ike_lifetime = \"8h\"",
        "ike_lifetime = \"8\"",
        "connection.aws-prod.ike_lifetime",
        "\"8\" is no time span",
        "unit",
    ),
    (
        "ike_lifetime = \"8h\"",
        "ike_lifetime = \"3s\"",
        "connection.aws-prod.ike_lifetime",
        "out of bounds",
        "4s",
    ),
    (
        "child_lifetime = \"1h\"",
        "child_lifetime = \"25h\"",
        "connection.aws-prod.child_lifetime",
        "out of bounds",
        "1day",
    ),
    (
        "rekey_margin = \"270s\"",
        "rekey_margin = \"31m\"",
        "connection.aws-prod.rekey_margin",
        "more than half of child_lifetime, which is 1h",
        "30m",
    ),
    (
        "rekey_margin = \"270s\"",
        "rekey_margin = \"0s\"",
        "connection.aws-prod.rekey_margin",
        "out of bounds",
        "1s",
    ),
    (
        "rekey_fuzz = 100",
        "rekey_fuzz = 101",
        "connection.aws-prod.rekey_fuzz",
        "out of bounds",
        "from 0 to 100",
    ),
    (
        "child_bytes = 104857600000",
        "child_bytes = \"100GB\"",
        "connection.aws-prod.child_bytes",
        "not a string",
        "without quotes",
    ),
    (
        "child_bytes = 104857600000",
        "child_bytes = 999999",
        "connection.aws-prod.child_bytes",
        "out of bounds",
        "from 1000000",
    ),
    (
        "child_packets = 1000000000",
        "child_packets = 999",
        "connection.aws-prod.child_packets",
        "out of bounds",
        "from 1000",
    ),
    (
        "dpd_interval = \"10s\"",
        "dpd_interval = \"10ms\"",
        "connection.aws-prod.dpd_interval",
        "out of bounds",
        "\"1s\"",
    ),
    (
        "probe_interval = \"300ms\"",
        "probe_interval = \"1ms\"",
        "connection.aws-prod.probe_interval",
        "out of bounds",
        "50ms",
    ),
    (
        "replay_window = 8192",
        "replay_window = 31",
        "connection.aws-prod.replay_window",
        "31 is out of bounds",
        "from 32",
    ),
    (
        "replay_window = 8192",
        "reply_window = 64",
        "connection.aws-prod.reply_window",
        "unknown key",
        "`replay_window`",
    ),
    (
        "peer_replay_window = 1024",
        "peer_replay_window = 16384",
        "connection.aws-prod.peer_replay_window",
        "16384 is out of bounds",
        "from 32 to 8192",
    ),
    (
        "[connection.aws-prod]",
        "[connection.\"aws prod\"]",
        "connection.\"aws prod\"",
        "cannot name a connection",
        "letters",
    ),
    (
        "[connection.aws-prod]",
        "[connections.aws-prod]",
        "connections",
        "unknown key",
        "did you mean `connection`?",
    ),
];

const TUNNEL: &[Case] = &[
    ("name = \"1\"", "", "connection.aws-prod.tunnel[1].name", "is missing", "name = \"1\""),
    ("name = \"1\"", "name = 1", "connection.aws-prod.tunnel[1].name", "must be a string", "\"1\""),
    (
        "name = \"1\"",
        "name = \"a/b\"",
        "connection.aws-prod.tunnel[1].name",
        "cannot name a tunnel",
        "letters",
    ),
    ("name = \"2\"", "name = \"1\"", "connection.aws-prod.tunnel[2].name", "another tunnel", "its own"),
    ("peer = \"198.51.100.11\"", "", "connection.aws-prod.tunnel[1].peer", "is missing", "198.51.100.11"),
    (
        "peer = \"198.51.100.11\"",
        "peer = \"vpn.example\"",
        "connection.aws-prod.tunnel[1].peer",
        "no IP address",
        "198.51",
    ),
    (
        "peer = \"198.51.100.11\"",
        "peer = \"224.0.0.1\"",
        "connection.aws-prod.tunnel[1].peer",
        "no address of a host",
        "198.51",
    ),
    (
        "peer = \"198.51.100.11\"",
        "peer = \"2001:db8::1\"",
        "connection.aws-prod.tunnel[1].peer",
        "not of one family",
        "auto",
    ),
    (
        "peer = \"198.51.100.11\"",
        "peer = \"203.0.113.10\"",
        "connection.aws-prod.tunnel[1].peer",
        "our own outer",
        "198.51",
    ),
    (
        "peer = \"198.51.100.12\"",
        "peer = \"198.51.100.11\"",
        "connection.aws-prod.tunnel[2].peer",
        "another tunnel already",
        "own endpoint",
    ),
    (
        "inside = \"169.254.10.2/30\"",
        "inside = \"169.254.10.2\"",
        "connection.aws-prod.tunnel[1].inside",
        "no address with a prefix",
        "/30",
    ),
    (
        "inside = \"169.254.10.2/30\"",
        "inside = \"169.254.10.2/24\"",
        "connection.aws-prod.tunnel[1].inside",
        "no /24",
        "/126",
    ),
    (
        "inside = \"169.254.10.2/30\"",
        "inside = \"169.254.10.3/30\"",
        "connection.aws-prod.tunnel[1].inside",
        "is no host of",
        "\"169.254.10.1/30\"",
    ),
    (
        "inside = \"169.254.11.2/30\"",
        "inside = \"169.254.10.2/30\"",
        "connection.aws-prod.tunnel[2].inside",
        "overlaps",
        "own prefix",
    ),
    (
        "peer_inside = \"169.254.10.1\"",
        "peer_inside = \"169.254.10.2\"",
        "connection.aws-prod.tunnel[1].peer_inside",
        "other end",
        "its own inside",
    ),
    (
        "peer_inside = \"169.254.10.1\"",
        "peer_inside = \"169.254.12.1\"",
        "connection.aws-prod.tunnel[1].peer_inside",
        "not on the link",
        "remove the key",
    ),
    (
        "inside = \"169.254.10.2/30\"",
        "",
        "connection.aws-prod.tunnel[1].peer_inside",
        "without inside",
        "inside =",
    ),
    (
        "peer_asn = 64512",
        "peer_asn = 4294967295",
        "connection.aws-prod.tunnel[1].peer_asn",
        "out of bounds",
        "4294967294",
    ),
    ("psk = \"hunter2.hunter2\"", "", "connection.aws-prod.tunnel[1].psk_file", "is missing", "psk = "),
    ("psk = \"hunter2.hunter2\"", "psk = \"\"", "connection.aws-prod.tunnel[1].psk", "is empty", "console"),
    (
        "psk = \"hunter2.hunter2\"",
        "psk = 12345678",
        "connection.aws-prod.tunnel[1].psk",
        "must be a string",
        "psk_file",
    ),
    (
        "psk = \"hunter2.hunter2\"",
        "psk_file = \"x\"\npsk = \"y\"",
        "connection.aws-prod.tunnel[1].psk_file",
        "beside psk",
        "remove one",
    ),
    (
        "psk = \"hunter2.hunter2\"",
        "psk_file = \"x\"",
        "connection.aws-prod.tunnel[1].psk_file",
        "no file is read",
        "psk =",
    ),
    (
        "local_id = \"gw.example.net\"",
        "local_id = \"a b\"",
        "connection.aws-prod.tunnel[1].local_id",
        "no identity",
        "user@name",
    ),
    (
        "peer_id = \"198.51.100.11\"",
        "peer_id = \"keyid:\"",
        "connection.aws-prod.tunnel[1].peer_id",
        "no identity",
        "keyid:0xHEX",
    ),
    (
        "interface = \"vpn0\"",
        "interface = \"averyveryverylong\"",
        "connection.aws-prod.tunnel[1].interface",
        "cannot name",
        "1 to 15",
    ),
    (
        "interface = \"vpn0\"",
        "interface = \"a/b\"",
        "connection.aws-prod.tunnel[1].interface",
        "cannot name",
        "gth0",
    ),
    (
        "interface = \"vpn0\"",
        "interface = \"gth1\"",
        "connection.aws-prod.tunnel[2]",
        "\"gth1\" is another tunnel's",
        "interface =",
    ),
    (
        "interface = \"vpn0\"",
        "device = \"gth1\"",
        "connection.aws-prod.tunnel[1].device",
        "unknown key",
        "possible here",
    ),
];

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
    for &(line, wrong, key, problem, remedy) in [GATEWAY, CONNECTION, TUNNEL, SYNTAX].into_iter().flatten() {
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
fn bgp_needs_our_as_number_and_an_inside_address() {
    let text = VALID
        .replace("asn = 65010\n", "")
        .replace("routing = \"static\"", "routing = \"bgp\"")
        .replace("remote = [\"10.200.0.0/16\"]\n", "")
        .replace("inside = \"169.254.11.2/30\"\n", "");
    let keys: Vec<String> = refused(&text).into_iter().map(|error| error.key).collect();
    assert_eq!(keys, ["connection.aws-prod", "connection.aws-prod.tunnel[2].inside"]);
}

/// A connection by BGP with these keys.
fn by_bgp(keys: &str) -> String {
    VALID
        .replace("routing = \"static\"", &format!("routing = \"bgp\"\n{keys}"))
        .replace("remote = [\"10.200.0.0/16\"]\n", "")
}

#[test]
fn every_key_of_bgp_is_read() {
    let text = by_bgp(
        r#"import = ["10.200.0.0/16 le 24", "deny 10.200.9.0/24"]
export = ["10.10.0.0/16"]
default_route = true
local_pref = 200
communities = [{ match = "12076:*", local_pref = 150 }, { match = "64512:1:2", refuse = true }]
max_prefixes = 500
max_prefixes_action = "tear-down"
max_advertised = 1000
hold_time = "180s"
passive = true
ttl_security = true
graceful_restart = "0s"
ecmp = false
bgp_password = "hunter2""#,
    );
    let loaded = parse_str(&text, "g.toml", &NoSecrets).unwrap();
    let connection = &loaded.config.connections[0];
    let bgp = connection.bgp.as_ref().unwrap();
    assert!(bgp.passive && bgp.ttl_security && bgp.import.default_route && !connection.ecmp);
    assert_eq!((bgp.max_prefixes, bgp.export.limit, bgp.hold_time, bgp.restart_time), (500, 1000, 180, None));
    assert_eq!((bgp.import.local_pref, bgp.import.communities.len()), (Some(200), 2));
    assert_eq!(bgp.password.as_ref().map(|password| password.0.as_slice()), Some(&b"hunter2"[..]));
    assert!(!format!("{loaded:?}").contains("hunter2"), "a password is shown");
}

#[test]
fn a_wrong_key_of_bgp_is_refused_with_what_to_write() {
    let rows = [
        ("import = [\"10.200.0.1/16\"]", "is no rule", "le 24"),
        ("import = \"10.200.0.0/16\"", "must be a list", "le 24"),
        ("export = [\"10.10.0.0/16 le 33\"]", "is no rule", "le 24"),
        ("communities = [{ match = \"12076:*\" }]", "not what to do", "local_pref"),
        ("communities = [{ match = \"12076\", refuse = true }]", "is no rule", "12076:*"),
        ("max_prefixes = 0", "out of bounds", "1 to 100000"),
        ("max_prefixes_action = \"drop\"", "not possible", "tear-down"),
        ("max_advertised = 0", "out of bounds", "1 to 100000"),
        ("hold_time = \"2s\"", "out of bounds", "3s"),
        ("graceful_restart = \"2h\"", "out of bounds", "0s"),
        ("local_pref = -1", "out of bounds", "from 0"),
        ("passive = \"yes\"", "must be true or false", "true or false"),
        ("ttl_security = 1", "must be true or false", "true or false"),
        ("default_route = 1", "must be true or false", "true or false"),
        ("bgp_password = \"\"", "1 to 80 octets", "both ends"),
        ("bgp_password_file = \"p\"", "no file is read here", "write"),
        ("bgp_password = \"a\"\nbgp_password_file = \"p\"", "beside bgp_password", "remove one"),
    ];
    for (key, problem, remedy) in rows {
        let [error] = refused(&by_bgp(key)).try_into().unwrap_or_else(|all| panic!("{key}: {all:?}"));
        assert!(error.problem.contains(problem) && error.remedy.contains(remedy), "{key}: {error}");
    }
}

#[test]
fn keys_of_bgp_are_refused_where_routing_is_static() {
    for key in ["import = []", "local_pref = 1", "bgp_password = \"a\"", "passive = true"] {
        let text = VALID.replace("routing = \"static\"", &format!("routing = \"static\"\n{key}"));
        let [error] = refused(&text).try_into().unwrap();
        assert!(error.problem.contains("routing = \"bgp\" only"), "{error}");
    }
}

#[test]
fn a_name_for_a_terminal_attack_is_shown_escaped() {
    let errors = refused("[connection.\"\\u001b[2J\"]\nrouting = \"static\"\nremote = [\"10.0.0.0/8\"]\n");
    assert!(errors.iter().all(|error| !error.to_string().contains('\u{1b}')), "{errors:?}");
}

fn refused(text: &str) -> Vec<ConfigError> {
    parse_str(text, "g.toml", &NoSecrets).map(|_| ()).expect_err(text).0
}
