//! The keys that are for `routing = "bgp"`.

use gotthard::bgp::quota::Excess;
use gotthard::config::{NoSecrets, parse_str};

use super::{VALID, refused};

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
    let (policy, bgp) = (connection.policy.as_ref().unwrap(), connection.bgp.as_ref().unwrap());
    assert!(bgp.passive && bgp.ttl_security && policy.import.default_route && !connection.ecmp);
    assert_eq!((policy.max_prefixes, policy.export.limit, policy.hold_time), (500, 1000, 180));
    assert_eq!((bgp.restart_time, bgp.excess), (None, Excess::TearDown));
    assert_eq!((policy.import.local_pref, policy.import.communities.len()), (Some(200), 2));
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
        assert!(error.problem.contains("is for routing = \"bgp\""), "{error}");
    }
}

/// A daemon beside us is told the policy by `gotthard export`; what it is not told is no key of ours.
#[test]
fn with_a_daemon_beside_us_the_policy_is_read_and_what_it_is_not_told_refused() {
    let beside = |keys: &str| by_bgp(keys).replace("routing = \"bgp\"", "routing = \"external\"");
    let policy = "import = [\"10.200.0.0/16\"]\nexport = []\ndefault_route = true\nlocal_pref = 200\n\
                  communities = []\nmax_prefixes = 5\nmax_advertised = 5\nhold_time = \"9s\"";
    let loaded = parse_str(&beside(policy), "g.toml", &NoSecrets).unwrap();
    let connection = &loaded.config.connections[0];
    assert_eq!(connection.bgp, None);
    assert_eq!(connection.policy.as_ref().unwrap().hold_time, 9);
    for key in [
        "max_prefixes_action = \"keep\"",
        "passive = true",
        "ttl_security = true",
        "graceful_restart = \"0s\"",
        "bgp_password = \"a\"",
        "bgp_password_file = \"a\"",
    ] {
        let [error] = refused(&beside(key)).try_into().unwrap();
        assert!(error.problem.contains("routing = \"bgp\" only"), "{error}");
        assert!(error.remedy.contains("FRR or BIRD"), "{error}");
    }
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
