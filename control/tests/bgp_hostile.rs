//! H32: what a peer can make the speaker hold, say and do, whatever it announces; on virtual time.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::net::Ipv4Addr;
use std::time::Duration;

use gotthard::bgp::best_path::Through;
use gotthard::bgp::codec::capability::Capabilities;
use gotthard::bgp::codec::{Families, Family, Open, RouteRefresh, Session, announce, header};
use gotthard::bgp::fsm::{Config, ConnectionId, State};
use gotthard::bgp::guard::{MOST_ASNS, Neighbour, Site};
use gotthard::bgp::policy::{Export, Filter, Import};
use gotthard::bgp::quota::{Excess, FIRST_WAIT};
use gotthard::bgp::route::{AsPath, AsSegment, Community, Path};
use gotthard::bgp::speaker::{Output, Settings, Speaker};
use gotthard::failover::decision::{Spread, Standing};
use gotthard_ike::Time;
use ipnet::IpNet;

/// A session that ended for its prefixes comes back after the first wait, however many there were beyond the limit.
#[test]
fn one_tear_down_counts_once_however_many_prefixes_are_too_many() {
    let mut scene =
        Scene::established(&Settings { max_prefixes: 10, excess: Excess::TearDown, ..settings() });
    let messages = announce::announce(&path(64512), &prefixes(0..3000), SESSION).unwrap();
    scene.receive(&messages.concat());
    assert_eq!(scene.speaker.session(TUNNEL).unwrap().state, State::Idle);
    assert_eq!(scene.speaker.routes().count(), 0);
    assert_eq!(scene.speaker.next(), Some(Time::ZERO + FIRST_WAIT));
    scene.speaker.poll(Time::ZERO + FIRST_WAIT);
    assert!(scene.outputs().iter().any(|output| matches!(output, Output::Connect(_))));
}

#[test]
fn a_peer_that_asks_for_our_routes_a_hundred_times_at_once_is_answered_once() {
    let mut scene = Scene::established(&settings());
    let asked = RouteRefresh { family: Family::Ipv4 }.emit().repeat(100);
    assert_eq!(scene.receive(&asked).len(), 1);
}

#[test]
fn ten_thousand_refused_prefixes_are_a_few_lines() {
    let mut scene = Scene::established(&settings());
    let messages = announce::announce(&path(7224), &prefixes(0..10_000), SESSION).unwrap();
    let outputs = messages.iter().flat_map(|message| scene.receive(message));
    let told = outputs.filter(|output| matches!(output, Output::Notice(_))).count();
    assert!((1..20).contains(&told), "{told} lines");
    assert!(scene.speaker.refused(TUNNEL).count() <= 1000);
}

/// The attributes are bounded by their message, and what they take here by [`MOST_ASNS`]: the worst of 10,000 prefixes.
#[test]
fn ten_thousand_prefixes_with_the_longest_attributes_each_of_its_own_take_bounded_memory() {
    let mut scene = Scene::established(&settings());
    let before = resident_kib();
    for (number, prefix) in prefixes(0..10_000).into_iter().enumerate() {
        let number = u32::try_from(number).unwrap();
        let sets = (1..u32::try_from(MOST_ASNS).unwrap()).map(|asn| AsSegment::Set(vec![asn]));
        let as_path = [AsSegment::Sequence(vec![64512])].into_iter().chain(sets).collect();
        let communities = (0..700).map(|low| Community(number << 16 | low)).collect();
        let path = Path { as_path: AsPath(as_path), communities, ..path(64512) };
        scene.receive(&announce::announce(&path, &[prefix], SESSION).unwrap().concat());
    }
    assert_eq!(scene.speaker.routes().count(), 10_000);
    let grown = resident_kib() - before;
    assert!(grown < 10_000 * MOST_KIB, "{grown} KiB for 10,000 prefixes");
}

/// A million changes of one prefix after the other: what is held and what is told does not grow.
#[test]
fn alternating_announcements_leave_nothing_behind() {
    let mut scene = Scene::established(&settings());
    let through =
        |_| Some(Through { connection: 0, spread: Spread::All, standing: Standing::Ready, carries: true });
    let all = prefixes(0..1000);
    let [forth, back] = [
        announce::announce(&path(64512), &all, SESSION).unwrap().concat(),
        announce::withdraw(&all).concat(),
    ];
    for _ in 0..500 {
        assert_eq!(scene.receive(&forth), []);
        assert_eq!(scene.receive(&back), []);
        assert!(scene.speaker.settle(through).len() <= all.len());
    }
    assert_eq!(scene.speaker.routes().count(), 0);
    assert_eq!(scene.speaker.session(TUNNEL).unwrap().received, 0);
}

/// A speaker with one session, and the octets of its peer.
struct Scene {
    speaker: Speaker<u8>,
    id: ConnectionId,
}

impl Scene {
    fn established(settings: &Settings) -> Self {
        let mut speaker = Speaker::new();
        let site = Site { asn: 65010, ..Site::default() };
        speaker.set_site(Time::ZERO, site, vec!["10.10.0.0/16".parse().unwrap()]);
        speaker.set_session(Time::ZERO, TUNNEL, settings.clone(), 7);
        speaker.start(Time::ZERO, TUNNEL);
        let Some((TUNNEL, Output::Connect(id))) = speaker.poll_output() else {
            panic!("it does not connect")
        };
        speaker.connected(Time::ZERO, TUNNEL, id);
        let mut scene = Self { speaker, id };
        scene.receive(&open().emit());
        scene.receive(&header::keepalive());
        assert_eq!(scene.speaker.session(TUNNEL).unwrap().state, State::Established);
        scene
    }

    fn receive(&mut self, octets: &[u8]) -> Vec<Output> {
        self.speaker.received(Time::ZERO, TUNNEL, self.id, octets);
        self.outputs()
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.speaker.poll_output()).map(|(_, output)| output).collect()
    }
}

fn settings() -> Settings {
    Settings {
        config: Config {
            local_asn: 65010,
            peer_asn: 64512,
            identifier: Ipv4Addr::new(203, 0, 113, 10),
            families: Families::ALL,
            hold_time: 30,
            connect_retry: Duration::from_secs(5),
            passive: false,
            restart_time: None,
            preserved: Families::NONE,
        },
        neighbour: Neighbour { asn: 64512, our_inside: [169, 254, 10, 2].into(), our_inside6: None },
        import: Import { filter: Filter::Guarded, ..Import::default() },
        export: Export { filter: Filter::Guarded, default_route: false, limit: 100 },
        max_prefixes: 10_000,
        excess: Excess::Keep,
    }
}

fn open() -> Open {
    let capabilities = Capabilities {
        families: Some(Families::ALL),
        route_refresh: true,
        four_octet_as: Some(64512),
        graceful_restart: None,
    };
    Open { asn: 64512, hold_time: 30, identifier: Ipv4Addr::new(192, 0, 2, 1), capabilities }
}

fn path(asn: u32) -> Path {
    Path { as_path: AsPath(vec![AsSegment::Sequence(vec![asn])]), ..Path::local([169, 254, 10, 1].into()) }
}

/// Prefixes of 24 bits from 100.64.0.0 on.
fn prefixes(numbers: core::ops::Range<u32>) -> Vec<IpNet> {
    let first = u32::from(Ipv4Addr::new(100, 64, 0, 0));
    numbers.map(|number| IpNet::new(Ipv4Addr::from(first + (number << 8)).into(), 24).unwrap()).collect()
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

const TUNNEL: u8 = 1;
const SESSION: Session =
    Session { peer_asn: 65010, external: true, four_octet_as: true, families: Families::ALL };
/// KiB of a prefix with the longest attributes: 100 segments, 700 communities, and its places in the tables.
const MOST_KIB: u64 = 16;
