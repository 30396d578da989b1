//! Our routes in a real kernel: shared by tunnels, moved by the thousand, beside those of others. Needs root.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod permission;

use core::time::Duration;
use std::future::Future;
use std::process::Command;
use std::time::Instant;

use gotthard::routes::netlink::Netlink;
use gotthard::routes::plan::{Remote, Wanted};
use gotthard::routes::watch::Watch;
use gotthard::routes::{Kernel, PROTOCOL, Table};
use gotthard_dataplane::netns;
use ipnet::IpNet;
use permission::permitted;
use tokio::time::timeout;

#[test]
fn tunnels_share_prefixes_of_both_families_and_one_takes_over_in_place() {
    in_a_kernel("tunnels_share_prefixes", async |mut kernel| {
        let both = ["gth0", "gth1"];
        kernel.settle(&wanted(&["10.200.0.0/16", "fd00:200::/32"], &both)).await;
        assert_eq!(devices("10.200.0.0/16"), both);
        assert_eq!(devices("fd00:200::/32"), both);

        assert_eq!(kernel.settle(&wanted(&["10.200.0.0/16", "fd00:200::/32"], &["gth1"])).await, 2);
        assert_eq!(devices("10.200.0.0/16"), ["gth1"]);
        assert_eq!(devices("fd00:200::/32"), ["gth1"]);

        assert_eq!(kernel.settle(&wanted(&["10.200.0.0/16", "fd00:200::/32"], &[])).await, 2);
        assert_eq!(devices("10.200.0.0/16"), [""; 0]);
        assert!(show("10.200.0.0/16").starts_with("unreachable"));
        assert!(show("fd00:200::/32").starts_with("unreachable"));

        kernel.settle(&Wanted::default()).await;
        assert_eq!(kernel.own().await, 0);
    });
}

#[test]
fn what_is_there_is_not_touched_again_and_what_is_removed_comes_back() {
    in_a_kernel("what_is_there_is_not_touched", async |mut kernel| {
        let wanted = wanted(&["10.200.0.0/16", "10.201.0.0/16", "fd00:200::/32"], &["gth0"]);
        assert_eq!(kernel.settle(&wanted).await, 6, "a fallback and a route each");
        assert_eq!(kernel.settle(&wanted).await, 0);
        for (prefix, again) in [("10.200.0.0/16", 1), ("fd00:200::/32", 1)] {
            ip(&format!("route del {prefix} metric 71"));
            kernel.told().await;
            assert_eq!(kernel.settle(&wanted).await, again, "{prefix}");
            assert_eq!(devices(prefix), ["gth0"]);
        }
        // Nothing is told of the IPv4 routes that go with their device.
        ip("link set gth0 down");
        ip("link set gth0 up");
        kernel.told().await;
        assert!(kernel.settle(&wanted).await >= 2);
        assert_eq!(devices("10.200.0.0/16"), ["gth0"]);
    });
}

#[test]
fn a_foreign_route_stays_also_where_it_came_unseen() {
    in_a_kernel("a_foreign_route_stays", async |mut kernel| {
        let wanted = wanted(&["10.200.0.0/16", "10.201.0.0/16"], &["gth0"]);
        kernel.settle(&Wanted::default()).await;
        // Not told yet when the decision is made: the kernel itself refuses to put ours in its place.
        ip("route add 10.200.0.0/16 dev eth0 metric 71 proto static");
        let outcome = kernel.table.reconcile(&wanted).await.unwrap();
        assert_eq!(outcome.refused.len(), 1);
        assert!(outcome.refused[0].why.contains("not by us"), "{:?}", outcome.refused);
        assert_eq!(devices("10.200.0.0/16"), ["eth0"]);
        assert_eq!(devices("10.201.0.0/16"), ["gth0"]);

        ip("route del 10.200.0.0/16 dev eth0 metric 71");
        kernel.told().await;
        kernel.settle(&wanted).await;
        assert_eq!(devices("10.200.0.0/16"), ["gth0"]);
    });
}

#[test]
fn the_way_to_a_peer_follows_the_uplink_at_once() {
    in_a_kernel("the_way_to_a_peer", async |mut kernel| {
        ip("route add default via 203.0.113.1 dev eth0 metric 100");
        let peer = "198.51.100.11".parse().unwrap();
        let wanted = Wanted { peers: vec![peer], ..wanted(&["0.0.0.0/0"], &["gth0"]) };
        kernel.settle(&wanted).await;
        assert!(show("198.51.100.11/32").contains("via 203.0.113.1"));

        ip("route replace default via 203.0.113.9 dev eth0 metric 100");
        kernel.told().await;
        assert_eq!(kernel.settle(&wanted).await, 1, "the host route alone");
        assert!(show("198.51.100.11/32").contains("via 203.0.113.9"));
    });
}

#[test]
fn a_table_of_its_own_has_rules_of_both_families_and_keeps_peers_outside() {
    in_a_kernel("a_table_of_its_own", async |mut kernel| {
        ip("route add 198.51.100.0/24 via 203.0.113.1 dev eth0");
        ip("route add 10.200.0.0/16 via 203.0.113.1 dev eth0");
        let peer = "198.51.100.11".parse().unwrap();
        let wanted = Wanted {
            table: 7100,
            rule_priority: Some(900),
            peers: vec![peer],
            neighbours: vec![("10.1.1.1".parse().unwrap(), "gth0".into())],
            ..wanted(&["10.200.0.0/16", "fd00:200::/32", "0.0.0.0/0"], &["gth0"])
        };
        kernel.settle(&wanted).await;
        for (rules, prefix) in [("rule", "10.200.0.0/16"), ("-6 rule", "fd00:200::/32")] {
            assert!(ip(rules).contains("900:\tfrom all lookup 7100 proto 71"), "{}", ip(rules));
            assert!(ip(&format!("route show {prefix} table 7100")).contains("dev gth0"), "{prefix}");
        }
        assert_eq!(
            devices("10.200.0.0/16"),
            ["eth0"],
            "of others, in another table: neither touched nor in the way"
        );
        assert_eq!(devices("10.1.1.1/32"), ["gth0"], "what is inside a tunnel is as if connected");
        // The main table's more specific route would not even be looked at.
        assert!(ip("route get 198.51.100.11").contains("dev eth0"));
        assert!(ip("route get 198.51.100.12").contains("dev gth0"));

        ip("rule del priority 900");
        kernel.told().await;
        assert_eq!(kernel.settle(&wanted).await, 1);
        assert!(ip("rule").contains("lookup 7100"));

        kernel.settle(&Wanted::default()).await;
        assert_eq!(ip("rule").lines().count(), 3, "what a host has");
        assert_eq!(ip("-6 rule").lines().count(), 2);
        assert_eq!(kernel.own().await, 0);
    });
}

#[test]
fn fallbacks_of_a_killed_daemon_stay_while_they_are_held() {
    in_a_kernel("fallbacks_of_a_killed_daemon", async |mut kernel| {
        kernel.settle(&wanted(&["10.200.0.0/16", "10.201.0.0/16"], &[])).await;

        let mut successor = Network::begin();
        successor.table.hold_inherited(true);
        assert_eq!(successor.settle(&wanted(&["10.201.0.0/16"], &["gth0"])).await, 1, "one is adopted");
        assert!(show("10.200.0.0/16").starts_with("unreachable"));
        // Told again by its peer and withdrawn: held no more.
        successor.settle(&wanted(&["10.200.0.0/16", "10.201.0.0/16"], &["gth0"])).await;
        successor.settle(&wanted(&["10.201.0.0/16"], &["gth0"])).await;
        assert_eq!(show("10.200.0.0/16"), "");
    });
}

#[test]
fn ten_thousand_prefixes_move_in_one_run_of_datagrams() {
    in_a_kernel("ten_thousand_prefixes", async |mut kernel| {
        let prefixes: Vec<String> =
            (0..10_000).map(|n| format!("10.{}.{}.{}/28", n / 4096, n / 16 % 256, n % 16 * 16)).collect();
        let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
        let figure = |what: &str, began: Instant| {
            println!("10,000 prefixes {what}: {:.1} ms", began.elapsed().as_secs_f64() * 1e3);
        };
        let mut began = Instant::now();
        assert_eq!(kernel.settle(&wanted(&prefixes, &["gth0"])).await, 20_000);
        figure("routed and refused behind that", began);
        let moved = wanted(&prefixes, &["gth1"]);
        began = Instant::now();
        assert_eq!(kernel.settle(&moved).await, 10_000);
        figure("to the other tunnel", began);
        assert_eq!(devices(prefixes[9_999]), ["gth1"]);
        began = Instant::now();
        assert_eq!(kernel.settle(&moved).await, 0);
        figure("compared", began);
        kernel.table.distrust();
        began = Instant::now();
        assert_eq!(kernel.settle(&moved).await, 0);
        figure("read and compared", began);
        began = Instant::now();
        kernel.settle(&Wanted::default()).await;
        figure("removed", began);
        assert_eq!(kernel.own().await, 0);
    });
}

/// A table of routes in a network of its own: an uplink `eth0`, and `gth0` and `gth1` in place of tunnels.
struct Network {
    table: Table<Netlink>,
    watch: Watch,
}

impl Network {
    fn begin() -> Self {
        let netlink = Netlink::open().unwrap();
        let watch = netlink.watch().unwrap();
        Self { table: Table::new(netlink), watch }
    }

    /// How many routes changed.
    async fn settle(&mut self, wanted: &Wanted) -> usize {
        let outcome = self.table.reconcile(wanted).await.unwrap();
        assert_eq!(outcome.refused, []);
        outcome.edits
    }

    /// Waits until the kernel has told of something that matters, and takes what else it has told by then.
    async fn told(&mut self) {
        let matters = async {
            let mut matters = false;
            while !matters {
                for event in self.watch.next().await {
                    matters |= self.table.observe(event);
                }
            }
        };
        timeout(DEADLINE, matters).await.expect("the kernel told nothing that matters");
        while let Ok(events) = timeout(Duration::ZERO, self.watch.next()).await {
            for event in events {
                self.table.observe(event);
            }
        }
    }

    async fn own(&self) -> usize {
        let routes = self.table.kernel().routes().await.unwrap();
        routes.iter().filter(|route| route.protocol == PROTOCOL).count()
    }
}

fn show(prefix: &str) -> String {
    ip(&format!("route show {prefix}"))
}

/// The devices that the prefix leads through.
fn devices(prefix: &str) -> Vec<String> {
    let shown = show(prefix);
    let words: Vec<&str> = shown.split_whitespace().collect();
    let mut devices: Vec<String> =
        words.windows(2).filter(|w| w[0] == "dev" && w[1] != "lo").map(|w| w[1].to_owned()).collect();
    devices.sort();
    devices
}

fn wanted(prefixes: &[&str], devices: &[&str]) -> Wanted {
    let devices: Vec<String> = devices.iter().map(|device| (*device).to_owned()).collect();
    let remote = |prefix: &&str| Remote { prefix: net(prefix), devices: devices.clone() };
    Wanted {
        devices: ["gth0", "gth1"].map(str::to_owned).into(),
        remotes: prefixes.iter().map(remote).collect(),
        ..Wanted::default()
    }
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

/// `ip WORDS` in the namespace of this thread; IPv6 by the look of the words.
fn ip(words: &str) -> String {
    let mut ip = Command::new("ip");
    if words.contains(':') {
        ip.arg("-6");
    }
    let output = ip.args(words.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a test on this thread, in a network namespace that goes with it.
fn in_a_kernel<F: Future<Output = ()>>(name: &str, test: impl FnOnce(Network) -> F) {
    if !permitted(name) {
        return;
    }
    netns::enter_new().unwrap();
    for (device, far, address) in [
        ("eth0", "far2", "203.0.113.5/24"),
        ("gth0", "far0", "169.254.10.2/30"),
        ("gth1", "far1", "169.254.11.2/30"),
    ] {
        ip(&format!("link add {device} type veth peer name {far}"));
        ip(&format!("link set {far} up"));
        ip(&format!("link set {device} up"));
        ip(&format!("addr add {address} dev {device}"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { test(Network::begin()).await });
}

/// Generous: the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(20);
