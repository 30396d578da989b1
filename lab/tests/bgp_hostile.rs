//! H30 to H33 over a real tunnel: a peer that says what nobody should, and how little that costs.
//!
//! Endpoint 1 of AWS is hostile; endpoint 2 is BIRD, and its session and traffic are to notice nothing.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use gotthard_lab::cloud::Aws;
use gotthard_lab::cloud::aws::{AS, CUSTOMER, CUSTOMER_AS};
use gotthard_lab::exabgp::{self, Exabgp};
use gotthard_lab::gotthard::Config;
use gotthard_lab::hostile::bgp::{Open, Port, Speaker, attribute, mandatory, nlri, update};
use gotthard_lab::run::{self, say};
use gotthard_lab::site::{OUTSIDE, Site, inside_of};
use gotthard_lab::traffic::expect_ping;
use gotthard_lab::{Gotthard, Run, Suite, wait};

/// The suite of the tunnels is none of BGP's business.
fn scenario(name: &str, body: impl FnOnce(&Run) -> Result<()>) -> run::Outcome {
    run::scenario(name, Suite::Gcm, body)
}

/// A gateway between a hostile endpoint and a regular one.
struct Scene {
    site: Site,
    aws: Aws,
    gotthard: Gotthard,
    /// When the regular session was established, in BIRD's words.
    established: usize,
}

impl Scene {
    /// Both tunnels are up and the regular session is established.
    fn start(run: &Run, options: &[&str]) -> Result<Self> {
        let site = Site::new()?;
        let mut aws = Aws::start(run, &site)?;
        aws.birds[0].kill(&site.endpoints[0])?;
        let mut config =
            options.iter().fold(Config::aws_bgp(run.suite), |config, option| config.with(option));
        // It is hostile in both families.
        config.tunnels[0].options.push("inside6 = \"fd00:10::2/126\"".to_owned());
        let gotthard = Gotthard::start(run, &site.gateway, "gotthard", &config)?;
        gotthard.await_running(UP)?;
        aws.birds[1].await_established(CUSTOMER, UP)?;
        let established = aws.birds[1].established(CUSTOMER)?;
        Ok(Self { site, aws, gotthard, established })
    }

    /// Where the hostile endpoint waits for the gateway.
    fn port(&self) -> Result<Port> {
        Port::open(&self.site.endpoints[0], HOSTILE)
    }

    /// The prefixes below 10.0.0.0/8 with 24 bits that the kernel sends into a tunnel.
    fn routes(&self) -> Result<BTreeSet<String>> {
        let listed = self.site.gateway.ip_output("-4 route show proto 71")?;
        let words = listed.lines().filter_map(|line| line.split_whitespace().next());
        Ok(words.filter(|word| word.starts_with("10.") && word.ends_with("/24")).map(str::to_owned).collect())
    }

    fn await_routes(&self, expected: &BTreeSet<String>) -> Result<()> {
        wait::until_true(UP, "the routes to be those expected", || Ok(self.routes()? == *expected))
            .with_context(|| {
                let found = self.routes().unwrap_or_default();
                let [more, fewer] = [found.difference(expected), expected.difference(&found)].map(some_of);
                format!("there besides: {more}; missing: {fewer}")
            })
    }

    /// The regular peer has noticed nothing.
    fn expect_undisturbed(&self) -> Result<()> {
        ensure!(self.aws.birds[1].state(CUSTOMER)? == "Established");
        ensure!(
            self.aws.birds[1].established(CUSTOMER)? == self.established,
            "the other session was lost and came back"
        );
        expect_ping(&self.site.gateway, inside_of(1))
    }
}

/// What an UPDATE is to cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cost {
    /// Nothing, or an attribute: the route is taken.
    Taken,
    /// The route, which counts as withdrawn.
    Route,
}

/// The attributes of an UPDATE with something wrong about them.
#[derive(Clone, Debug)]
enum Attributes {
    /// Good ones but for this one, by its type, flags and value. ExaBGP can say it.
    But(u8, u8, Vec<u8>),
    /// These octets.
    Octets(Vec<u8>),
}

/// What is wrong, and what that costs (RFC 7606).
struct Row {
    what: &'static str,
    attributes: Attributes,
    cost: Cost,
}

impl Row {
    fn octets(&self) -> Vec<u8> {
        match &self.attributes {
            Attributes::Octets(octets) => octets.clone(),
            Attributes::But(kind, flags, value) => {
                let mut all = mandatory(PEER_AS, HOSTILE).to_vec();
                all.retain(|good| good[1] != *kind);
                all.push(attribute(*flags, *kind, value));
                all.concat()
            }
        }
    }

    /// In ExaBGP's words. An attribute of no length is beyond it, and it has a NEXT_HOP of its own.
    fn exabgp(&self) -> Option<String> {
        let Attributes::But(kind, flags, value) = &self.attributes else { return None };
        let digits = value.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().concat();
        let said = !digits.is_empty() && *kind != NEXT_HOP;
        said.then(|| format!("attribute [ {kind:#04x} {flags:#04x} 0x{digits} ]"))
    }
}

/// H30, the part that leaves the session alone. The shape of the table is that of RFC 7606 §7.
fn corpus() -> Vec<Row> {
    use Attributes::But;
    use Cost::{Route, Taken};
    let [high, low] = PEER_AS.to_be_bytes();
    let table = [
        ("AS4_PATH, out of place", But(17, 0xc0, vec![2, 1, 0, 0, high, low]), Taken),
        ("AS4_PATH of no length", But(17, 0xc0, vec![]), Taken),
        ("ATOMIC_AGGREGATE of one octet", But(6, 0x40, vec![1]), Taken),
        ("AGGREGATOR of seven octets", But(7, 0xc0, vec![0; 7]), Taken),
        ("LOCAL_PREF from another AS", But(5, 0x40, vec![0, 0, 1]), Taken),
        ("an unknown attribute of 255 octets", But(99, 0xc0, vec![1; 255]), Taken),
        ("an unknown attribute of 3,000 octets", But(99, 0xe0, vec![1; 3000]), Taken),
        ("ORIGIN of value 3", But(1, 0x40, vec![3]), Route),
        ("ORIGIN of two octets", But(1, 0x40, vec![0, 0]), Route),
        ("ORIGIN optional", But(1, 0xc0, vec![0]), Route),
        ("AS_PATH beyond its end", But(2, 0x40, vec![2, 9, 0, 0, high, low]), Route),
        ("AS_PATH of an unknown segment", But(2, 0x40, vec![9, 1, 0, 0, high, low]), Route),
        ("AS_PATH of another AS", But(2, 0x40, vec![2, 1, 0, 0, 0, 99]), Route),
        ("AS_PATH of no segment", But(2, 0x40, vec![]), Route),
        ("NEXT_HOP of three octets", But(NEXT_HOP, 0x40, vec![169, 254, 10]), Route),
        ("NEXT_HOP of five octets", But(NEXT_HOP, 0x40, vec![169, 254, 10, 1, 0]), Route),
        ("NEXT_HOP multicast", But(NEXT_HOP, 0x40, vec![224, 0, 0, 1]), Route),
        ("MED of no length", But(4, 0x80, vec![]), Route),
        ("MED of two octets", But(4, 0x80, vec![0; 2]), Route),
        ("MED of 255 octets", But(4, 0x80, vec![0; 255]), Route),
        ("COMMUNITIES of five octets", But(8, 0xc0, vec![0; 5]), Route),
        ("COMMUNITIES well-known", But(8, 0x40, vec![0; 4]), Route),
        ("EXTENDED COMMUNITIES of seven octets", But(16, 0xc0, vec![0; 7]), Route),
        ("LARGE_COMMUNITY of eleven octets", But(32, 0xc0, vec![0; 11]), Route),
    ];
    let rows = table.into_iter().map(|(what, attributes, cost)| Row { what, attributes, cost });
    rows.chain(framing()).collect()
}

/// What is wrong with several attributes at once, or with where they end.
fn framing() -> impl Iterator<Item = Row> {
    let [origin, as_path, next_hop] = mandatory(PEER_AS, HOSTILE);
    let all = [&origin[..], &as_path, &next_hop].concat();
    let (med, as4_path) = (attribute(0x80, 4, &[0, 0, 0, 7]), attribute(0xc0, 17, &as_path[3..]));
    let table = [
        ("nothing", all.clone(), Cost::Taken),
        ("unordered", [&med[..], &next_hop, &as_path, &origin].concat(), Cost::Taken),
        ("MED twice", [&all[..], &med, &med].concat(), Cost::Taken),
        ("ORIGIN twice", [&all[..], &origin].concat(), Cost::Taken),
        ("AS4_PATH before AS_PATH", [&as4_path[..], &all].concat(), Cost::Taken),
        ("ORIGIN missing", [&as_path[..], &next_hop].concat(), Cost::Route),
        ("AS_PATH missing", [&origin[..], &next_hop].concat(), Cost::Route),
        ("NEXT_HOP missing", [&origin[..], &as_path].concat(), Cost::Route),
        ("an attribute of 65,535 octets", [&all[..], &[0xd0, 99, 0xff, 0xff, 1, 2]].concat(), Cost::Route),
        ("half an attribute", [&all[..], &[0xc0]].concat(), Cost::Route),
    ];
    table.into_iter().map(|(what, octets, cost)| Row { what, attributes: Attributes::Octets(octets), cost })
}

/// Rows with the number of the prefix that each is about.
type Numbered = Vec<(u16, Row)>;

/// The prefixes of the rows that cost so much.
fn of(rows: &Numbered, cost: Cost) -> BTreeSet<String> {
    rows.iter().filter(|(_, row)| row.cost == cost).map(|(number, _)| prefix(*number)).collect()
}

fn legend(rows: &Numbered) -> String {
    let lines = rows.iter().map(|(number, row)| format!("{}: {}", prefix(*number), row.what));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn malformed_attributes_cost_what_rfc_7606_says_and_no_session() -> run::Outcome {
    scenario("bgp_malformed", |run| {
        let scene = Scene::start(run, &[])?;
        let mut peer = scene.port()?.establish(&good_open(), UP)?;
        let rows: Numbered = (FIRST_ROW..).zip(corpus()).collect();
        // What is to be lost has to be there first.
        for (number, _) in rows.iter().filter(|(_, row)| row.cost == Cost::Route) {
            peer.send(&update(&[], &mandatory(PEER_AS, HOSTILE).concat(), &nlri(*number)))?;
        }
        scene.await_routes(&of(&rows, Cost::Route))?;
        for (number, row) in &rows {
            peer.send(&update(&[], &row.octets(), &nlri(*number)))?;
        }
        scene.await_routes(&of(&rows, Cost::Taken)).with_context(|| legend(&rows))?;
        peer.expect_alive()?;
        scene.expect_undisturbed()
    })
}

#[test]
fn exabgps_malformed_attributes_cost_the_same() -> run::Outcome {
    scenario("bgp_exabgp", |run| {
        let scene = Scene::start(run, &[])?;
        let session = exabgp::Session {
            local: (HOSTILE.to_string(), AS),
            peer: (OURS.to_string(), CUSTOMER_AS),
            hold_time: 30,
            options: Vec::new(),
        };
        let mut peer = Exabgp::start(run, &scene.site.endpoints[0], "exabgp", &session)?;
        let rows: Numbered = (FIRST_ROW..).zip(corpus()).filter(|(_, row)| row.exabgp().is_some()).collect();
        ensure!(rows.len() > 15, "the table is cut short: {}", rows.len());
        for (number, _) in rows.iter().filter(|(_, row)| row.cost == Cost::Route) {
            peer.announce(&prefix(*number), "")?;
        }
        scene.await_routes(&of(&rows, Cost::Route)).with_context(|| peer.log())?;
        for (number, row) in &rows {
            peer.announce(&prefix(*number), &row.exabgp().unwrap_or_default())?;
        }
        scene.await_routes(&of(&rows, Cost::Taken)).with_context(|| legend(&rows))?;
        ensure!(peer.log().matches("connected to peer").count() == 1, "a session was lost: {}", peer.log());
        // Well-known, and nobody knows it (RFC 4271 §6.3): the session is reset, and all its routes go.
        peer.announce(&prefix(FIRST_ROW), "attribute [ 0x63 0x40 0x01 ]")?;
        scene.await_routes(&BTreeSet::new())?;
        scene.expect_undisturbed()
    })
}

#[test]
fn what_hides_its_prefixes_resets_the_session_and_the_next_one_is_as_good() -> run::Outcome {
    scenario("bgp_resets", |run| {
        let scene = Scene::start(run, &[])?;
        let (port, all) = (scene.port()?, mandatory(PEER_AS, HOSTILE).concat());
        let unreach = attribute(0x80, 15, &[0, 2, 1, 129]);
        let resets: [(&str, Vec<u8>, (u8, u8)); 3] = [
            ("a prefix of 33 bits", update(&[], &all, &[33, 10, 0, 0, 0, 0]), (3, 10)),
            ("MP_UNREACH_NLRI with a prefix of 129 bits", update(&[], &unreach, &[]), (3, 9)),
            ("a message of 65,535 octets", [&[0xff; 16][..], &[0xff, 0xff, 2]].concat(), (1, 2)),
        ];
        for (what, octets, told) in resets {
            let mut peer = port.establish(&good_open(), UP)?;
            peer.send(&update(&[], &all, &nlri(FIRST_ROW)))?;
            scene.await_routes(&[prefix(FIRST_ROW)].into())?;
            peer.send(&octets)?;
            ensure!(peer.notification(UP)? == told, "{what}");
            scene.await_routes(&BTreeSet::new()).context(what)?;
        }
        port.establish(&good_open(), UP)?.expect_alive()?;
        scene.expect_undisturbed()
    })
}

/// H30 and H33: hold times that nobody may ask for, 255 capabilities, and none.
#[test]
fn opens_are_refused_with_a_reason_or_taken_whatever_they_hold() -> run::Outcome {
    scenario("bgp_opens", |run| {
        let scene = Scene::start(run, &[])?;
        let port = scene.port()?;
        for hold_time in [1, 2] {
            let mut peer = port.accept(UP)?;
            peer.send(&Open { hold_time, ..good_open() }.emit())?;
            ensure!(peer.notification(UP)? == (2, 6), "hold time {hold_time}");
        }
        let many = (0..255_u8).map(|number| (number | 0x80, vec![number; usize::from(number % 7)])).collect();
        for open in [
            Open { capabilities: many, ..good_open() },
            Open { capabilities: Vec::new(), ..good_open() },
            Open { hold_time: 0, ..good_open() },
        ] {
            port.establish(&open, UP)?.expect_alive().with_context(|| format!("{open:?}"))?;
        }
        scene.expect_undisturbed()
    })
}

/// H31: no default route, no martian, nothing of ours, and above all not the way to the tunnels' own ends.
#[test]
fn what_a_peer_announces_never_leads_our_own_packets_into_its_tunnel() -> run::Outcome {
    scenario("bgp_hijack", |run| {
        let scene = Scene::start(run, &[])?;
        let mut peer = scene.port()?.establish(&good_open(), UP)?;
        let hijacks: [&[u8]; 11] = [
            &[0],
            &[1, 0],
            &[1, 128],
            &[8, 127],
            &[4, 224],
            &[16, 169, 254],
            &[30, 169, 254, 11, 0],
            &[24, 10, 10, 0],
            &[32, 203, 0, 113, 10],
            &[32, 198, 51, 100, 11],
            &[32, 198, 51, 100, 12],
        ];
        let attributes = mandatory(PEER_AS, HOSTILE).concat();
        for hijack in hijacks {
            peer.send(&update(&[], &attributes, hijack))?;
        }
        // Networks that hold the ends of the tunnels are taken: they may be the cloud's.
        peer.send(&update(&[], &attributes, &[24, 198, 51, 100, 25, 198, 51, 100, 0]))?;
        peer.send(&update(&[], &attributes, &nlri(FIRST_ROW)))?;
        scene.await_routes(&[prefix(FIRST_ROW)].into())?;

        for target in ["198.51.100.11", "198.51.100.12", "203.0.113.1", "8.8.8.8"] {
            let way = scene.site.gateway.ip_output(&format!("route get {target}"))?;
            ensure!(way.contains(&format!("dev {OUTSIDE}")), "{target} leaves elsewhere: {way}");
        }
        let ours = scene.site.gateway.ip_output("route show proto 71")?;
        for hijacked in
            ["default", "0.0.0.0/1", "128.0.0.0/1", "127.", "224.", "169.254.", "10.10.", "203.0.113."]
        {
            ensure!(!ours.lines().any(|route| route.starts_with(hijacked)), "{ours}");
        }
        peer.expect_alive()?;
        scene.expect_undisturbed()
    })
}

/// H33: whoever else reaches our inside address gets no word, and the session no harm.
#[test]
fn a_stranger_in_the_tunnel_gets_no_word() -> run::Outcome {
    scenario("bgp_stranger", |run| {
        let scene = Scene::start(run, &[])?;
        let mut peer = scene.port()?.establish(&good_open(), UP)?;
        let cloud_lan = [16, 10, 200];
        peer.send(&update(&[], &mandatory(PEER_AS, HOSTILE).concat(), &cloud_lan))?;
        wait::until_true(UP, "a way back to the stranger", || {
            Ok(scene.site.gateway.ip_output("route show 10.200.0.0/16")?.contains("dev"))
        })?;
        for _ in 0..20 {
            let mut stranger = Speaker::connect(&scene.site.endpoints[0], STRANGER, OURS)?;
            // It may be closed before the octets are there.
            let _ = stranger.send(&good_open().emit());
            ensure!(stranger.read(UP)?.is_none(), "the stranger was answered");
        }
        peer.expect_alive()?;
        scene.expect_undisturbed()
    })
}

/// H32: 10,000 prefixes, and then changes as fast as they are taken: `GOTTHARD_BGP_UPDATES` of them.
#[test]
fn a_flood_of_updates_takes_bounded_memory_and_leaves_the_other_session_alone() -> run::Outcome {
    scenario("bgp_flood", |run| {
        let scene = Scene::start(run, &[&format!("max_prefixes = {PREFIXES}")])?;
        let mut peer = scene.port()?.establish(&good_open(), UP)?;
        let attributes = mandatory(PEER_AS, HOSTILE).concat();
        let numbers: Vec<u16> = (FIRST_ROW..FIRST_ROW + PREFIXES).collect();
        for chunk in numbers.chunks(900) {
            let prefixes: Vec<u8> = chunk.iter().flat_map(|number| nlri(*number)).collect();
            peer.send(&update(&[], &attributes, &prefixes))?;
        }
        let expected = numbers.iter().map(|number| prefix(*number)).collect();
        scene.await_routes(&expected)?;
        let before = scene.gotthard.process.resident_kib()?;

        let updates = run::number("GOTTHARD_BGP_UPDATES", 100_000)?;
        let start = Instant::now();
        let longest = changes(&mut peer, updates, attributes.as_slice(), &numbers)?;
        peer.send(&update(&[], &attributes, &nlri(FIRST_ROW)))?;
        peer.expect_alive()?;
        let took = start.elapsed();
        let (after, peak) =
            (scene.gotthard.process.resident_kib()?, scene.gotthard.process.peak_resident_kib()?);
        say(&format!(
            "{updates} updates in {took:.1?} ({:.0} a minute), {longest:.1?} at most to take {BATCH}; {PREFIXES} prefixes: \
             {before} KiB resident before, {after} KiB after, {peak} KiB at most",
            f64::from(updates) / took.as_secs_f64() * 60.0
        ));
        ensure!(peak < before + GROWTH_KIB, "{before} KiB before, {peak} KiB at most");
        scene.expect_undisturbed()
    })
}

/// Withdraws and announces one prefix after the other. Returns the longest time that the gateway took for a batch.
fn changes(peer: &mut Speaker, updates: u32, attributes: &[u8], numbers: &[u16]) -> Result<Duration> {
    let (mut sent, mut longest) = (0, Duration::ZERO);
    let mut prefixes = numbers.iter().cycle();
    while sent < updates {
        let batch: Vec<u8> = (0..BATCH / 2)
            .filter_map(|_| prefixes.next())
            .flat_map(|number| {
                [update(&nlri(*number), &[], &[]), update(&[], attributes, &nlri(*number))].concat()
            })
            .collect();
        let start = Instant::now();
        peer.send(&batch)?;
        longest = longest.max(start.elapsed());
        sent += BATCH;
    }
    Ok(longest)
}

/// An OPEN of endpoint 1, which speaks IPv4 and IPv6.
fn good_open() -> Open {
    let families = vec![(1, vec![0, 1, 0, 1]), (1, vec![0, 2, 0, 1])];
    Open { capabilities: families, ..Open::good(PEER_AS, HOSTILE) }
}

/// How many there are, and the first of them.
fn some_of<'p>(prefixes: impl Iterator<Item = &'p String>) -> String {
    let prefixes: Vec<_> = prefixes.collect();
    let first: Vec<_> = prefixes.iter().take(20).collect();
    format!("{}, such as {first:?}", prefixes.len())
}

/// What [`nlri`] says.
fn prefix(number: u16) -> String {
    let [high, low] = number.to_be_bytes();
    format!("10.{high}.{low}.0/24")
}

/// A tunnel, a session and their routes take seconds; a peer that was refused a few times waits.
const UP: Duration = Duration::from_secs(40);
/// Endpoint 1's address inside.
const HOSTILE: Ipv4Addr = Ipv4Addr::new(169, 254, 10, 1);
/// Ours.
const OURS: Ipv4Addr = Ipv4Addr::new(169, 254, 10, 2);
/// Another address of endpoint 1.
const STRANGER: Ipv4Addr = Ipv4Addr::new(10, 200, 0, 1);
/// The AS of both endpoints.
#[allow(clippy::cast_possible_truncation, reason = "it is 64512")]
const PEER_AS: u16 = AS as u16;
/// 10.201.0.0/24; the prefixes of the rows follow.
const FIRST_ROW: u16 = 201 << 8;
/// What the gateway takes of one peer.
const PREFIXES: u16 = 10_000;
/// Type of an attribute.
const NEXT_HOP: u8 = 3;
/// UPDATEs that are written at once.
const BATCH: u32 = 500;
/// What the flood may add at any time: queues, and the memory that the kernel's answers take.
const GROWTH_KIB: u64 = 32 << 10;
