//! Whole daemons in network namespaces: up, over, reloaded, ended, killed. Needs root.
#![allow(clippy::unwrap_used, reason = "what cannot be read fails its test")]

mod daemon_support;

use daemon_support::{PSK2, World, gateway, permitted, wait_until};
use rustix::process::Signal;
use serde_json::Value;

#[test]
fn two_tunnels_come_up_and_sigterm_leaves_nothing_behind() {
    if !permitted("two_tunnels_come_up_and_sigterm_leaves_nothing_behind") {
        return;
    }
    let world = World::new();
    let _clouds = world.start_clouds();
    let before = world.network("gateway");
    let daemon = world.start_gateway();

    let tunnel = daemon.wait_up(0);
    daemon.wait_up(1);
    assert_eq!(tunnel["esp"]["mtu"], 1438);
    assert_eq!(tunnel["esp"]["mss"], 1398);
    assert!(world.ip("gateway", "-brief link show dev gth0").contains("gth0"));
    assert!(world.ip("gateway", "link show dev gth0").contains("mtu 1438"));
    assert!(world.ping());
    assert!(!world.log("gateway").contains("psk.of.tunnel"), "no secret in the log");
    let routes = daemon.command(&["routes", "aws", "--output", "json"]);
    let routes: Value = serde_json::from_str(&routes).unwrap();
    let route = &routes["routes"][0];
    assert_eq!((&route["prefix"], &route["state"]), (&"10.200.0.0/16".into(), &"routed".into()));
    // Whichever came up first.
    let [first, second] = [0, 1].map(|path| &route["paths"][path]);
    let (used, other) = if first["used"] == true { (first, second) } else { (second, first) };
    assert_eq!((&used["used"], &used["not_used"]), (&true.into(), &Value::Null));
    assert_eq!((&other["used"], &other["not_used"]), (&false.into(), &"an equal path is in use".into()));
    assert!(daemon.command(&["routes"]).contains("  ● aws/"));
    assert_eq!(daemon.command(&["routes", "gcp"]), "", "there is none");

    daemon.signal(Signal::TERM);
    assert!(daemon.wait(), "exit code 0");
    assert_eq!(world.network("gateway"), before);
}

#[test]
fn the_peers_are_told_of_the_end() {
    if !permitted("the_peers_are_told_of_the_end") {
        return;
    }
    let (_world, [cloud, _other], daemon) = World::connected();
    daemon.signal(Signal::TERM);
    assert!(daemon.wait());
    let tunnel = cloud.wait_for(0, "the Delete", |tunnel| tunnel["state"] == "down");
    assert_eq!(tunnel["broken"]["code"], "GTH-IKE-10", "deleted by the peer, not found silent");
}

#[test]
fn traffic_moves_when_its_endpoint_falls_silent_and_the_endpoint_is_found_again() {
    if !permitted("traffic_moves_when_its_endpoint_falls_silent_and_the_endpoint_is_found_again") {
        return;
    }
    let (world, clouds, daemon) = World::connected();
    let active = daemon.active();

    clouds[active].signal(Signal::STOP);
    daemon.wait_for(1 - active, "the move", |tunnel| tunnel["active"] == true);
    assert!(world.ping());

    clouds[active].signal(Signal::CONT);
    daemon.wait_up(active);
    assert_eq!(daemon.tunnel(1 - active)["active"], true, "what works is left alone");
}

#[test]
fn a_killed_daemon_leaks_nothing_and_its_successor_cleans_up() {
    if !permitted("a_killed_daemon_leaks_nothing_and_its_successor_cleans_up") {
        return;
    }
    let world = World::new();
    let _clouds = world.start_clouds();
    // A way out in clear for whatever the tunnels do not take.
    world.ip("gateway", "route add default via 203.0.113.18");
    let before = world.network("gateway");
    let daemon = world.start_gateway();
    daemon.wait_up(0);
    daemon.signal(Signal::KILL);
    assert!(!daemon.wait());

    wait_until("the devices die with it", || world.ip("gateway", "-brief link show type tun").is_empty());
    let left = world.ip("gateway", "route show proto 71");
    assert!(left.contains("unreachable 10.200.0.0/16"), "{left}");
    assert!(left.lines().all(|route| route.starts_with("unreachable")), "{left}");
    assert!(!world.ping(), "not in a tunnel, and not in clear");

    let daemon = world.start("gateway", &gateway("10.201.0.0/16", PSK2));
    daemon.wait_up(0);
    assert!(!world.ip("gateway", "route").contains("10.200.0.0"), "the stale route is gone");

    // Its sockets and devices linger in the kernel; the successor does not wait to be told that they are gone.
    daemon.signal(Signal::KILL);
    assert!(!daemon.wait());
    let daemon = world.start("gateway", &gateway("10.201.0.0/16", PSK2));
    daemon.wait_up(0);
    daemon.signal(Signal::TERM);
    assert!(daemon.wait());
    assert_eq!(world.network("gateway"), before);
}

#[test]
fn with_every_tunnel_down_inner_packets_stay_in() {
    if !permitted("with_every_tunnel_down_inner_packets_stay_in") {
        return;
    }
    let (world, _clouds, daemon) = World::connected();
    world.ip("gateway", "route add default via 203.0.113.18");
    daemon.command(&["down", "aws"]);
    for index in [0, 1] {
        daemon.wait_for(index, "admin-down", |tunnel| tunnel["state"] == "admin-down");
    }
    assert_eq!(
        world.ip("gateway", "route show 10.200.0.0/16").trim(),
        "unreachable 10.200.0.0/16 proto 71 metric 72"
    );
    assert!(!world.ping());

    daemon.command(&["up", "aws"]);
    daemon.wait_up(0);
    assert!(world.ping());
}

#[test]
fn a_reload_keeps_every_sa_of_an_untouched_tunnel() {
    if !permitted("a_reload_keeps_every_sa_of_an_untouched_tunnel") {
        return;
    }
    let (_world, _clouds, daemon) = World::connected();
    let (first, second) = (daemon.tunnel(0), daemon.tunnel(1));

    daemon.rewrite(&gateway("10.200.0.0/16", "not.what.the.peer.has"));
    assert!(daemon.command(&["reload"]).contains("1 tunnel(s) untouched"));
    let refused = daemon.wait_for(1, "the refusal", |tunnel| !tunnel["broken"].is_null());
    assert_eq!(refused["broken"]["code"], "GTH-IKE-06");
    assert_eq!(daemon.tunnel(0)["ike"]["spi_i"], first["ike"]["spi_i"]);

    daemon.rewrite(&gateway("10.200.0.0/16", PSK2));
    daemon.signal(Signal::HUP);
    assert_ne!(daemon.wait_up(1)["ike"]["spi_i"], second["ike"]["spi_i"]);
    assert_eq!(daemon.tunnel(0)["ike"]["spi_i"], first["ike"]["spi_i"]);

    daemon.rewrite("nonsense = 1");
    daemon.command(&["reload"]);
    assert_eq!(daemon.tunnel(0)["ike"]["spi_i"], first["ike"]["spi_i"], "a bad file changes nothing");
}

#[test]
fn a_page_whose_port_is_taken_stops_nothing_and_a_reload_moves_and_ends_pages() {
    if !permitted("a_page_whose_port_is_taken_stops_nothing_and_a_reload_moves_and_ends_pages") {
        return;
    }
    let world = World::new();
    let with =
        |pages: &str| gateway("10.200.0.0/16", PSK2).replace("[gateway]", &format!("[gateway]\n{pages}"));
    let daemon = world.start("gateway", &with("metrics = \"127.0.0.1:9477\"\nweb = \"127.0.0.1:9477\""));
    wait_until("one of two pages", || world.listeners("gateway") == ["127.0.0.1:9477"]);
    wait_until("the other is told", || world.log("gateway").contains("a page is not served yet"));
    assert!(daemon.command(&["events"]).contains("GTH-EVT-48"), "{}", daemon.command(&["events"]));

    daemon.rewrite(&with("metrics = \"127.0.0.1:9478\"\nweb = \"127.0.0.1:9477\""));
    assert!(daemon.command(&["reload"]).contains("2 tunnel(s) untouched"));
    assert_eq!(world.listeners("gateway"), ["127.0.0.1:9477", "127.0.0.1:9478"]);
    daemon.rewrite(&with("web = \"127.0.0.1:9479\""));
    daemon.command(&["reload"]);
    assert_eq!(world.listeners("gateway"), ["127.0.0.1:9479"]);
    daemon.rewrite(&with(""));
    daemon.command(&["reload"]);
    assert_eq!(world.listeners("gateway"), [""; 0]);
}

#[test]
fn a_prefix_that_would_draw_in_the_way_to_its_own_peer_is_refused() {
    if !permitted("a_prefix_that_would_draw_in_the_way_to_its_own_peer_is_refused") {
        return;
    }
    let world = World::new();
    let _clouds = world.start_clouds();
    let daemon = world.start("gateway", &gateway("203.0.113.0/24", PSK2));
    daemon.wait_up(0);
    // Its connected network is more specific than the remote prefix.
    assert_eq!(world.ip("gateway", "route show 203.0.113.18/32"), "");
    let overlap = "GTH-RTE-16  203.0.113.16/28 (ours) lies in 203.0.113.0/24 (of aws)";
    wait_until("the overlap is told", || daemon.command(&["routes"]).contains(overlap));
    daemon.rewrite(&gateway("203.0.113.16/28", PSK2));
    daemon.command(&["reload"]);
    let broken = daemon.wait_for(0, "the refusal", |tunnel| !tunnel["broken"].is_null());
    assert_eq!(broken["broken"]["code"], "GTH-RTE-01", "{broken:#}");
    assert_eq!(broken["state"], "up");
}

#[test]
fn hooks_are_told_of_tunnels_and_of_the_way_of_the_traffic_to_the_very_end() {
    if !permitted("hooks_are_told_of_tunnels_and_of_the_way_of_the_traffic_to_the_very_end") {
        return;
    }
    let world = World::new();
    world.hook();
    let _clouds = world.start_clouds();
    let daemon = world.start_gateway();
    daemon.wait_up(0);
    daemon.wait_up(1);
    daemon.command(&["rekey", "aws/2"]);
    daemon.command(&["down", "aws/1"]);
    let told = |line: &str| world.events().iter().any(|event| event == line);
    for line in [
        "aws/1 tunnel-up  up-client",
        "aws/2 tunnel-up  up-client",
        "aws/2 rekey child",
        "aws/1 tunnel-down GTH-IKE-18 down-client",
        "aws/ failover 2",
    ] {
        let line = line.replace("  ", " ");
        wait_until(&line, || told(&line));
    }
    // The hook has written where the daemon cannot even read.
    let file = world.elsewhere("events").display().to_string();
    daemon.rewrite(
        &gateway("10.200.0.0/16", PSK2)
            .replace(&format!("psk = \"{PSK2}\""), &format!("psk_file = \"{file}\"")),
    );
    let (_, said) = daemon.outcome(&["reload"]);
    let log = world.log("gateway");
    assert!(said.contains("Permission denied") || log.contains("no Landlock"), "{said}\n{log}");
    daemon.signal(Signal::TERM);
    assert!(daemon.wait());
    assert!(told("aws/2 tunnel-down GTH-IKE-18 down-client"), "{:?}", world.events());
}

#[test]
fn a_drill_moves_the_traffic_away_and_back_and_loses_nothing() {
    if !permitted("a_drill_moves_the_traffic_away_and_back_and_loses_nothing") {
        return;
    }
    let (world, _clouds, daemon) = World::connected();
    let active = daemon.active();
    for target in [&[][..], &["--target", "10.200.0.1", "--source", "10.10.0.1"][..]] {
        let text = daemon.command(&[&["drill", "aws", "--output", "json"], target].concat());
        let report: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(report["passed"], true, "{text}");
        let moves = report["moves"].as_array().unwrap();
        assert_eq!(moves.len(), 2, "{text}");
        assert!(moves.iter().all(|step| step["lost"] == 0 && step["sent"].as_u64() > Some(500)), "{text}");
        assert_eq!((&moves[0]["from"], &moves[0]["to"]), (&moves[1]["to"], &moves[1]["from"]), "{text}");
        assert_eq!(daemon.tunnel(active)["active"], true);
    }
    assert!(world.log("gateway").contains("drill passed"));
}

#[test]
fn a_drill_is_refused_where_the_other_tunnel_is_not_healthy_or_nobody_answers() {
    if !permitted("a_drill_is_refused_where_the_other_tunnel_is_not_healthy_or_nobody_answers") {
        return;
    }
    let (_world, _clouds, daemon) = World::connected();
    let (code, said) = daemon.outcome(&["drill", "aws", "--target", "10.200.0.99"]);
    assert!(code == Some(1) && said.contains("nobody answers its echoes"), "{said}");
    daemon.command(&["down", "aws/2"]);
    daemon.wait_for(1, "admin-down", |tunnel| tunnel["state"] == "admin-down");
    let (code, said) = daemon.outcome(&["drill", "aws"]);
    assert!(code == Some(1) && said.contains("tunnel 2 is not healthy"), "{said}");
    let (code, said) = daemon.outcome(&["drill", "none"]);
    assert!(code == Some(1) && said.contains("there is no none"), "{said}");
}

#[test]
fn a_drill_whose_caller_is_gone_brings_the_traffic_back() {
    if !permitted("a_drill_whose_caller_is_gone_brings_the_traffic_back") {
        return;
    }
    let (world, _clouds, daemon) = World::connected();
    let active = daemon.active();
    let mut client = daemon.begin(&["drill", "aws"]);
    wait_until("the order", || world.log("gateway").contains("asked for a drill"));
    client.kill().unwrap();
    client.wait().unwrap();
    wait_until("the verdict", || world.log("gateway").contains("whoever asked for it is gone"));
    daemon.wait_for(active, "the return", |tunnel| tunnel["active"] == true);
    assert!(world.ping());
}
