//! Which routes are planned, and in which order the kernel sees them change.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use core::cell::RefCell;
use std::net::IpAddr;

use gotthard::routes::mirror::Surroundings;
use gotthard::routes::plan::{self, Plan, Remote, Wanted};
use gotthard::routes::{
    Edit, FALLBACK_METRIC, FALLBACK_METRIC_OF_LINKS_V6, Failure, Hop, Kernel, KernelRoute, Link, MAIN_TABLE,
    METRIC, PROTOCOL, Route, RouteError, Rule, Table, Target,
};
use ipnet::IpNet;

const UPLINK: u32 = 2;
const GTH0: u32 = 10;
const GTH1: u32 = 11;

#[test]
fn a_prefix_goes_into_the_active_tunnel_with_an_unreachable_route_behind_it() {
    let plan = plan_for(&[("10.200.0.0/16", Some("gth0"))], &[default_route()]);
    assert_eq!(plan.routes, [unreachable("10.200.0.0/16"), into("10.200.0.0/16", GTH0)]);
    assert_eq!(plan.refused, []);
}

#[test]
fn with_every_tunnel_down_the_prefix_is_unreachable() {
    let plan = plan_for(&[("10.200.0.0/16", None), ("fd00:200::/32", None)], &[default_route()]);
    assert_eq!(plan.routes, [unreachable("10.200.0.0/16"), unreachable("fd00:200::/32")]);
}

#[test]
fn tunnels_that_share_a_prefix_are_one_route_whatever_their_order() {
    let shared = |prefix, devices: [&str; 2]| {
        let remote = Remote { prefix: net(prefix), devices: devices.map(str::to_owned).into() };
        plan_of(&Wanted { remotes: vec![remote], ..wanted(&[]) }, &[default_route()]).routes
    };
    let hops = |gateway| Target::Links([GTH0, GTH1].map(|index| Hop { index, gateway }).into());
    // IPv6 packets are shared among gateways alone; which one does not matter where no address is resolved.
    for (prefix, gateway) in [("10.200.0.0/16", None), ("fd00:200::/32", Some(ip("fe80::1")))] {
        let both = Route { table: MAIN_TABLE, prefix: net(prefix), metric: METRIC, target: hops(gateway) };
        assert_eq!(shared(prefix, ["gth1", "gth0"]), [unreachable(prefix), both]);
        assert_eq!(shared(prefix, ["gth0", "gth1"]), shared(prefix, ["gth1", "gth0"]));
        assert_eq!(shared(prefix, ["gth1", "gth1"]), [unreachable(prefix), into(prefix, GTH1)]);
    }
}

#[test]
fn what_is_inside_a_tunnel_is_unreachable_without_its_device() {
    let wanted = Wanted {
        insides: vec![net("169.254.10.0/30"), net("fd00:10::/126")],
        neighbours: vec![(ip("10.1.1.1"), "gth0".into())],
        ..wanted(&[])
    };
    let connected = route("169.254.10.0/30", 0, on(GTH0));
    let routes = plan_of(&wanted, &[default_route(), connected]).routes;
    assert_eq!(
        routes,
        [
            unreachable("169.254.10.0/30"),
            Route { metric: FALLBACK_METRIC_OF_LINKS_V6, ..unreachable("fd00:10::/126") },
            unreachable("10.1.1.1/32"),
            into("10.1.1.1/32", GTH0)
        ]
    );
}

#[test]
fn the_outer_path_to_a_peer_is_pinned_where_a_prefix_covers_it() {
    let plan = plan_for(&[("0.0.0.0/0", Some("gth0"))], &[route("0.0.0.0/0", 100, via("203.0.113.1"))]);
    assert_eq!(plan.refused, []);
    assert_eq!(
        plan.routes,
        [
            Route {
                table: MAIN_TABLE,
                prefix: net("198.51.100.11/32"),
                metric: METRIC,
                target: via("203.0.113.1")
            },
            unreachable("0.0.0.0/0"),
            into("0.0.0.0/0", GTH0),
        ]
    );
}

#[test]
fn a_peer_with_a_more_specific_path_of_its_own_needs_no_pin() {
    let connected = route("198.51.100.0/24", 0, on(UPLINK));
    let plan = plan_for(&[("198.51.0.0/16", Some("gth0"))], &[connected]);
    assert_eq!(plan.routes, [unreachable("198.51.0.0/16"), into("198.51.0.0/16", GTH0)]);
}

#[test]
fn a_prefix_is_refused_where_the_peer_could_not_be_reached_beside_it() {
    for (prefix, foreign) in [
        ("0.0.0.0/0", vec![]),
        ("0.0.0.0/0", vec![route("0.0.0.0/0", 100, on(GTH1))]),
        ("198.51.100.11/32", vec![default_route()]),
    ] {
        let plan = plan_for(&[(prefix, Some("gth0"))], &foreign);
        assert_eq!(plan.routes, [], "{prefix} {foreign:?}");
        assert!(plan.refused[0].why.contains("198.51.100.11"), "{:?}", plan.refused);
    }
}

#[test]
fn a_foreign_route_for_the_prefix_is_left_alone_and_reported() {
    let plan = plan_for(&[("10.200.0.0/16", Some("gth0"))], &[route("10.200.0.0/16", 0, via("203.0.113.9"))]);
    assert_eq!(plan.routes, []);
    assert!(plan.refused[0].why.contains("not by us"), "{:?}", plan.refused);
}

#[test]
fn a_foreign_route_with_a_worse_metric_stays_behind_ours_and_behind_unreachable() {
    let plan = plan_for(&[("10.200.0.0/16", None)], &[route("10.200.0.0/16", 100, via("203.0.113.9"))]);
    assert_eq!(plan.routes, [unreachable("10.200.0.0/16")]);
}

#[test]
fn the_longest_prefix_and_then_the_lowest_metric_is_the_path() {
    let routes = [
        route("0.0.0.0/0", 0, via("203.0.113.1")),
        route("198.51.100.0/24", 9, via("203.0.113.2")),
        route("198.51.100.0/24", 5, via("203.0.113.3")),
    ];
    let around = Surroundings::new(links(), routes.into());
    let path = around.path_to(MAIN_TABLE, ip("198.51.100.11"), &[]);
    assert_eq!(path.map(|r| &r.target), Some(&via("203.0.113.3")));
}

#[tokio::test(flavor = "current_thread")]
async fn a_failover_is_one_replacement_and_nothing_is_removed() {
    let kernel = Fake::with([default_route()]);
    let mut table = Table::new(kernel);
    table.reconcile(&wanted(&[("10.200.0.0/16", Some("gth0"))])).await.unwrap();
    table.kernel().log.borrow_mut().clear();
    table.reconcile(&wanted(&[("10.200.0.0/16", Some("gth1"))])).await.unwrap();
    assert_eq!(*table.kernel().log.borrow(), [Edit::Replace(into("10.200.0.0/16", GTH1))]);
}

#[tokio::test(flavor = "current_thread")]
async fn stale_routes_of_a_killed_daemon_go_after_the_new_ones_are_there_and_foreign_ones_stay() {
    let stale = KernelRoute { route: unreachable("10.99.0.0/16"), protocol: PROTOCOL };
    let mut table = Table::new(Fake::with([default_route(), stale]));
    table.reconcile(&wanted(&[("10.200.0.0/16", None)])).await.unwrap();
    assert_eq!(
        *table.kernel().log.borrow(),
        [Edit::Add(unreachable("10.200.0.0/16")), Edit::Withdraw(unreachable("10.99.0.0/16"))]
    );
    table.reconcile(&Wanted::default()).await.unwrap();
    assert_eq!(*table.kernel().routes.borrow(), [default_route()]);
}

/// A kernel in memory that notes what is asked of it.
struct Fake {
    routes: RefCell<Vec<KernelRoute>>,
    log: RefCell<Vec<Edit>>,
}

impl Fake {
    fn with<const N: usize>(routes: [KernelRoute; N]) -> Self {
        Self { routes: RefCell::new(routes.into()), log: RefCell::default() }
    }
}

impl Kernel for Fake {
    async fn links(&self) -> Result<Vec<Link>, RouteError> {
        Ok(links())
    }

    async fn routes(&self) -> Result<Vec<KernelRoute>, RouteError> {
        Ok(self.routes.borrow().clone())
    }

    async fn rules(&self) -> Result<Vec<Rule>, RouteError> {
        Ok(Vec::new())
    }

    async fn edit(&self, edits: &[Edit]) -> Result<Vec<Failure>, RouteError> {
        let mut failures = Vec::new();
        for edit in edits {
            let mut routes = self.routes.borrow_mut();
            let (Edit::Add(route) | Edit::Replace(route) | Edit::Withdraw(route)) = edit else {
                panic!("no table of our own is wanted here, and no rule: {edit:?}");
            };
            let there = routes.iter().position(|known| known.route.key() == route.key());
            match (edit, there) {
                (Edit::Add(_), None) => {}
                (Edit::Replace(_) | Edit::Withdraw(_), Some(at)) => drop(routes.remove(at)),
                _ => {
                    failures.push(Failure { edit: edit.clone(), why: "it is not as you think".into() });
                    continue;
                }
            }
            if !matches!(edit, Edit::Withdraw(_)) {
                routes.push(KernelRoute { route: route.clone(), protocol: PROTOCOL });
            }
            self.log.borrow_mut().push(edit.clone());
        }
        Ok(failures)
    }

    async fn raise(&self, _: &str, _: &[IpNet]) -> Result<(), RouteError> {
        Ok(())
    }

    async fn set_mtu(&self, _: &str, _: u16) -> Result<(), RouteError> {
        Ok(())
    }
}

fn plan_for(remotes: &[(&str, Option<&str>)], foreign: &[KernelRoute]) -> Plan {
    plan_of(&wanted(remotes), foreign)
}

fn plan_of(wanted: &Wanted, foreign: &[KernelRoute]) -> Plan {
    plan::plan(wanted, &Surroundings::new(links(), foreign.to_vec()))
}

fn wanted(remotes: &[(&str, Option<&str>)]) -> Wanted {
    Wanted {
        devices: vec!["gth0".into(), "gth1".into()],
        peers: vec![ip("198.51.100.11")],
        remotes: remotes
            .iter()
            .map(|(prefix, device)| Remote {
                prefix: net(prefix),
                devices: device.map(str::to_owned).into_iter().collect(),
            })
            .collect(),
        ..Wanted::default()
    }
}

fn links() -> Vec<Link> {
    [(UPLINK, "eth0"), (GTH0, "gth0"), (GTH1, "gth1")]
        .map(|(index, name)| Link { index, name: name.into(), mtu: 1500, up: true, carrier: true })
        .into()
}

fn default_route() -> KernelRoute {
    route("0.0.0.0/0", 100, via("203.0.113.1"))
}

fn route(prefix: &str, metric: u32, target: Target) -> KernelRoute {
    KernelRoute { route: Route { table: MAIN_TABLE, prefix: net(prefix), metric, target }, protocol: 3 }
}

fn unreachable(prefix: &str) -> Route {
    Route { table: MAIN_TABLE, prefix: net(prefix), metric: FALLBACK_METRIC, target: Target::Unreachable }
}

fn into(prefix: &str, index: u32) -> Route {
    Route { table: MAIN_TABLE, prefix: net(prefix), metric: METRIC, target: on(index) }
}

fn via(gateway: &str) -> Target {
    Target::Links(vec![Hop { index: UPLINK, gateway: Some(ip(gateway)) }])
}

fn on(index: u32) -> Target {
    Target::Links(vec![Hop { index, gateway: None }])
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}
