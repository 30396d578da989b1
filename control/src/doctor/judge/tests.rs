//! Each check: a host on which it finds nothing, and one on which it does.

use std::net::IpAddr;

use serde_json::json;

use super::*;
use crate::api::status::{Duty, NatStatus, Status};
use crate::config::{NoSecrets, parse_str};
use crate::doctor::Verdict;
use crate::doctor::facts::{Buffers, Crossing, Holder, Path, Program, Reach};

#[test]
fn on_a_host_that_works_every_check_is_content() {
    let report = judge(&config(""), &healthy());
    let wrong: Vec<_> = report.checks.iter().filter(|finding| finding.verdict != Verdict::Ok).collect();
    assert!(wrong.is_empty() && report.healthy, "{wrong:?}");
    assert!(report.checks.iter().all(|finding| finding.fix.is_none()));
}

#[test]
fn what_cannot_be_found_out_is_no_problem_and_says_why() {
    let report = judge(&config(""), &Facts::default());
    assert!(report.healthy && report.settings().count() == 0);
    for check in
        ["forwarding", "reverse-path", "clock", "firewall", "nat", "outer-mtu", "black-hole", "open-files"]
    {
        assert_eq!(of(&report, check).verdict, Verdict::Unknown, "{check}");
    }
}

#[test]
fn a_host_that_does_not_forward_is_told_to() {
    let mut facts = healthy();
    facts.sysctls.insert("net.ipv4.ip_forward", 0);
    mended(&judge(&config(""), &facts), "forwarding", ("net.ipv4.ip_forward", 1));
    let mut facts = healthy();
    facts.sysctls.insert("net.ipv6.conf.all.forwarding", 0);
    assert!(judge(&config(""), &facts).healthy, "nothing behind this gateway has IPv6");
    let six = "advertise = [\"2001:db8:10::/48\"]";
    mended(&judge(&config(six), &facts), "forwarding", ("net.ipv6.conf.all.forwarding", 1));
}

#[test]
fn a_strict_reverse_path_filter_is_found_wherever_it_is_set() {
    for device in ["all", "gth0", "default"] {
        let mut facts = healthy();
        facts.rp_filter.insert(device.to_owned(), 1);
        mended(&judge(&config(""), &facts), "reverse-path", ("net.ipv4.conf.all.rp_filter", 2));
    }
    let mut facts = healthy();
    facts.rp_filter.extend([("all".to_owned(), 2), ("gth0".to_owned(), 1), ("eth0".to_owned(), 1)]);
    assert!(judge(&config(""), &facts).healthy, "the larger of the two counts");
}

#[test]
fn flows_that_nobody_tells_apart_are_found_where_several_tunnels_carry() {
    let mut facts = healthy();
    facts.sysctls.insert("net.ipv4.fib_multipath_hash_policy", 0);
    for content in ["", "multipath_hash = \"flow\""] {
        assert_eq!(of(&judge(&config(content), &facts), "multipath-hash").verdict, Verdict::Ok);
    }
    let setting = ("net.ipv4.fib_multipath_hash_policy", 1);
    mended(&judge(&config("multipath_hash = \"keep\""), &facts), "multipath-hash", setting);

    // The daemon sets it first, unless it cannot note so.
    let tunnels = &mut facts.status.as_mut().unwrap().connections[0].tunnels;
    tunnels.push(tunnels[0].clone());
    for tunnel in tunnels {
        tunnel.duty = Duty::Carrying;
    }
    mended(&judge(&config(""), &facts), "multipath-hash", setting);
}

#[test]
fn io_uring_that_is_forbidden_costs_throughput_or_the_start() {
    let mut facts = healthy();
    facts.sysctls.insert("kernel.io_uring_disabled", 2);
    assert_eq!(of(&judge(&config(""), &facts), "io-uring").verdict, Verdict::Ok, "the daemon has it");
    facts.status = None;
    let report = judge(&config(""), &facts);
    mended(&report, "io-uring", ("kernel.io_uring_disabled", 0));
    assert!(report.healthy);
    assert!(!judge(&config("backend = \"io_uring\""), &facts).healthy);
    assert_eq!(of(&judge(&config("backend = \"syscalls\""), &facts), "io-uring").verdict, Verdict::Ok);
}

#[test]
fn system_calls_without_need_are_blamed_on_the_unit() {
    let mut facts = healthy();
    facts.status = Some(status("syscalls", NatStatus::None));
    let report = judge(&config(""), &facts);
    assert!(of(&report, "io-uring").fix.as_ref().is_some_and(|fix| fix.contains("SystemCallFilter")));
}

#[test]
fn buffers_that_are_small_or_full_are_found() {
    let mut facts = healthy();
    facts.buffers = Some(Buffers { receive: 212_992, send: 8 << 20, wanted: 8 << 20 });
    mended(&judge(&config(""), &facts), "socket-buffers", ("net.core.rmem_max", 8 << 20));
    let mut facts = healthy();
    facts.holders[1].drops = 12;
    let report = judge(&config(""), &facts);
    assert!(of(&report, "socket-buffers").message.starts_with("12 datagrams"));
}

#[test]
fn a_port_that_another_has_is_named_with_its_program() {
    let mut facts = healthy();
    facts.holders[0].program = Some(Program { pid: 77, name: "dnsmasq".to_owned() });
    expect(&judge(&config(""), &facts), "ports", "UDP 500 is taken by dnsmasq (process 77)");
    facts.holders[0].program = None;
    expect(
        &judge(&config(""), &facts),
        "ports",
        "UDP 500 is taken by a process that cannot be seen from here",
    );
}

#[test]
fn another_ipsec_stack_is_named() {
    let mut facts = healthy();
    facts.policies = Some(3);
    expect(&judge(&config(""), &facts), "other-ipsec", "the kernel has 3 IPsec policies");
    facts.stacks = vec![Program { pid: 5, name: "charon".to_owned() }];
    expect(&judge(&config(""), &facts), "other-ipsec", "another IPsec stack runs: charon (process 5)");
}

#[test]
fn a_clock_that_nobody_sets_is_a_remark_where_keys_are_shared() {
    let facts = Facts { clock: Some(false), ..healthy() };
    let report = judge(&config(""), &facts);
    assert!(report.healthy && of(&report, "clock").verdict == Verdict::Warning);
}

#[test]
fn a_limit_of_files_below_what_the_tunnels_need_is_found() {
    let facts = Facts { open_files: Some(64), ..healthy() };
    let report = judge(&config(""), &facts);
    expect(&report, "open-files", "the daemon may open 64 files");
    assert!(of(&report, "open-files").fix.as_ref().is_some_and(|fix| fix.ends_with("LimitNOFILE=4096")));
}

#[test]
fn rules_that_let_one_direction_pass_are_hinted_at() {
    let chain = |hook: &str, rule: &str| {
        format!("chain c_{hook} {{\ntype filter hook {hook} priority 0; policy drop;\n{rule}\n}}\n")
    };
    let ike = "udp dport { 500, 4500 } accept\nmeta l4proto esp accept";
    for (rules, hint) in [
        (chain("input", ""), Some("only answers come in")),
        (chain("input", ike) + &chain("output", ""), Some("ours does not leave")),
        (chain("input", "") + &chain("output", ""), Some("all is dropped")),
        (chain("forward", "iifname \"eth0\" accept"), Some("none names a device of ours")),
        (chain("input", ike) + &chain("forward", "iifname \"gth*\" accept"), None),
    ] {
        let facts = Facts { ruleset: Some(rules.clone()), ..healthy() };
        let report = judge(&config(""), &facts);
        let finding = of(&report, "firewall");
        match hint {
            Some(hint) => {
                assert!(finding.message.contains(hint) && finding.fix.is_some(), "{finding:?}\n{rules}");
            }
            None => assert_eq!(finding.verdict, Verdict::Ok, "{rules}"),
        }
        assert!(report.healthy, "a hint is no problem");
    }
}

#[test]
fn a_translator_is_a_problem_to_raw_esp_alone() {
    let facts = Facts { status: Some(status("io_uring", NatStatus::Local)), ..healthy() };
    assert_eq!(of(&judge(&config(""), &facts), "nat").verdict, Verdict::Ok);
    let raw =
        parse_str(&TEXT.replace("ecmp", "encapsulation = \"esp\"\necmp"), "f", &NoSecrets).unwrap().config;
    expect(&judge(&raw, &facts), "nat", "a translator is in the way of aws/1");
}

#[test]
fn a_narrow_way_is_named_with_the_mtu_that_fits() {
    let mut facts = healthy();
    facts.paths[0].reach = Reach::UpTo(1300);
    let report = judge(&config(""), &facts);
    expect(&report, "outer-mtu", "packets of more than 1300 octets do not cross to 198.51.100.11");
    assert!(of(&report, "outer-mtu").fix.as_ref().is_some_and(|fix| fix.contains("mtu = 1179")));
    facts.paths[0].reach = Reach::Silent;
    assert_eq!(of(&judge(&config(""), &facts), "outer-mtu").verdict, Verdict::Unknown);
}

#[test]
fn a_tunnel_that_carries_small_packets_only_is_named() {
    let mut facts = healthy();
    facts.crossings[0].reach = Reach::UpTo(1220);
    let report = judge(&config(""), &facts);
    expect(&report, "black-hole", "small packets cross aws/1, and none of more than 1220 octets");
    facts.crossings.clear();
    assert_eq!(of(&judge(&config(""), &facts), "black-hole").verdict, Verdict::Unknown);
}

#[test]
fn an_overlap_is_told_in_the_daemons_words() {
    let facts = Facts { overlaps: vec![("GTH-RTE-16: x".to_owned(), "renumber".to_owned())], ..healthy() };
    expect(&judge(&config(""), &facts), "overlaps", "GTH-RTE-16: x");
}

fn of<'r>(report: &'r Report, check: &str) -> &'r Finding {
    report.checks.iter().find(|finding| finding.check == check).unwrap()
}

/// A problem that says so, and how to mend it.
fn expect(report: &Report, check: &str, message: &str) {
    let finding = of(report, check);
    assert!(finding.message.starts_with(message), "{finding:?}");
    assert!(!report.healthy && finding.verdict == Verdict::Problem && finding.fix.is_some(), "{finding:?}");
}

/// Something that this one setting mends.
fn mended(report: &Report, check: &str, (name, value): (&str, u32)) {
    let finding = of(report, check);
    assert!(finding.verdict != Verdict::Ok && finding.fix.as_ref().is_some_and(|fix| fix.contains(name)));
    let settings: Vec<_> = report.settings().map(|setting| (setting.name.as_str(), setting.value)).collect();
    assert_eq!(settings, [(name, value)]);
}

/// Two tunnels that both carry.
fn config(gateway: &str) -> Config {
    let text = TEXT.replace("[gateway]", &format!("[gateway]\n{gateway}"));
    parse_str(&text, "gotthard.toml", &NoSecrets).unwrap().config
}

const TEXT: &str = "[gateway]\n\n[connection.aws]\ncloud = \"aws\"\nrouting = \"static\"\nremote = [\"10.200.0.0/16\"]\n\
    ecmp = true\n\n\
    [[connection.aws.tunnel]]\nname = \"1\"\npeer = \"198.51.100.11\"\ninside = \"169.254.10.2/30\"\n\
    psk = \"exampleTunnelOne\"\ninterface = \"gth0\"\n\n\
    [[connection.aws.tunnel]]\nname = \"2\"\npeer = \"198.51.100.12\"\ninside = \"169.254.11.2/30\"\n\
    psk = \"exampleTunnelTwo\"\ninterface = \"gth1\"\n";

fn healthy() -> Facts {
    let ours = || Some(Program { pid: 1, name: "gotthard".to_owned() });
    let peer = |last| IpAddr::from([198, 51, 100, last]);
    let crossing = |tunnel: &str| Crossing {
        connection: "aws".to_owned(),
        tunnel: tunnel.to_owned(),
        reach: Reach::Whole(1438),
    };
    Facts {
        sysctls: [
            ("net.ipv4.ip_forward", 1),
            ("net.ipv6.conf.all.forwarding", 1),
            ("net.ipv4.fib_multipath_hash_policy", 1),
            ("kernel.io_uring_disabled", 0),
        ]
        .into(),
        rp_filter: [("all".to_owned(), 0), ("default".to_owned(), 0)].into(),
        buffers: Some(Buffers { receive: 8 << 20, send: 8 << 20, wanted: 8 << 20 }),
        holders: [500, 4500].map(|port| Holder { port, program: ours(), drops: 0 }).into(),
        stacks: Vec::new(),
        policies: Some(0),
        clock: Some(true),
        paths: [11, 12].map(|last| Path { peer: peer(last), reach: Reach::Whole(1500) }).into(),
        crossings: ["1", "2"].map(crossing).into(),
        overlaps: Vec::new(),
        ruleset: Some(String::new()),
        open_files: Some(65536),
        status: Some(status("io_uring", NatStatus::None)),
    }
}

/// From JSON, so that keys which other parts add do not matter here.
fn status(backend: &str, nat: NatStatus) -> Status {
    let tunnel = json!({
        "name": "1", "peer": "198.51.100.11", "interface": "gth0", "state": "up", "active": true, "since_s": 1,
        "ike": {"state": "established", "suite": null, "spi_i": null, "spi_r": null, "rekeys": 0, "nat": nat},
        "esp": {
            "state": "up", "suite": null, "encapsulation": "udp", "mtu": 1438, "mss": 1398, "esn": true, "spi_in": null,
            "spi_out": null, "rekeys": 0, "rx_packets": 0, "rx_bytes": 0, "tx_packets": 0, "tx_bytes": 0,
            "drops": {"replay": 0, "icv": 0},
        },
        "probe": {"state": "up", "rtt_ms": 8.1}, "bgp": null, "routes": {"installed": 1}, "broken": null,
    });
    let status = json!({
        "schema_version": 1,
        "dataplane": {"backend": backend, "workers": 1, "offloads": [], "cbc": ""},
        "connections": [{"name": "aws", "state": "up", "tunnels": [tunnel]}],
    });
    serde_json::from_value(status).unwrap()
}
