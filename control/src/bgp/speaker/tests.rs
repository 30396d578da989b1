//! Speakers on a virtual clock: two ends of a gateway's tunnels with a wire between them that delivers at once.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::output::NotOffered;
use super::*;
use crate::bgp::codec::{Families, Family};
use crate::bgp::fsm::{Config, State};
use crate::bgp::guard::Neighbour;
use crate::bgp::policy::{Export, Filter, Import};
use crate::bgp::quota::Excess;
use crate::bgp::rib::Fate;
use crate::bgp::route::Community;
use crate::failover::decision::{Spread, Standing};

const US: u32 = 65010;
const CLOUD: u32 = 64512;
/// Tunnels.
const A: u8 = 1;
const B: u8 = 2;

fn at(seconds: u64) -> Time {
    Time::from_epoch(Duration::from_secs(seconds))
}

fn net(text: &str) -> IpNet {
    text.parse().expect("a prefix")
}

/// 10.0.0.0/24 and those behind it.
fn many(count: u32) -> Vec<IpNet> {
    let first = u32::from(Ipv4Addr::new(10, 0, 0, 0));
    (0..count).map(|n| ipnet::Ipv4Net::new_assert((first + (n << 8)).into(), 24).into()).collect()
}

fn settings(ours: u32, theirs: u32, last: u8) -> Settings {
    let our_inside = IpAddr::from([169, 254, 10, last]);
    let our_inside6 = Some(Ipv6Addr::from([0xfd00, 0x10, 0, 0, 0, 0, 0, last.into()]));
    Settings {
        config: Config {
            local_asn: ours,
            peer_asn: theirs,
            identifier: Ipv4Addr::new(192, 0, 2, last),
            families: Families::ALL,
            hold_time: 30,
            connect_retry: Duration::from_secs(5),
            passive: ours == CLOUD,
            restart_time: None,
            preserved: Families::NONE,
        },
        neighbour: Neighbour { asn: theirs, our_inside, our_inside6 },
        import: Import { filter: Filter::Guarded, ..Import::default() },
        export: Export { filter: Filter::Guarded, default_route: false, limit: 20_000 },
        max_prefixes: 20_000,
        excess: Excess::Keep,
    }
}

/// Both ends, joined.
struct Wire {
    now: Time,
    ours: Speaker<u8>,
    theirs: Speaker<u8>,
    /// A connection's names at our end and at theirs, by tunnel.
    joined: BTreeMap<u8, (ConnectionId, ConnectionId)>,
    notices: Vec<(u8, Notice)>,
    /// Messages that we have sent.
    sent: usize,
}

impl Wire {
    /// Sessions on both tunnels, established; each end offers these.
    fn new(ours: &[IpNet], theirs: &[IpNet]) -> Self {
        Self::with(&settings(US, CLOUD, 2), ours, theirs)
    }

    fn with(settings_of_ours: &Settings, ours: &[IpNet], theirs: &[IpNet]) -> Self {
        let mut wire = Self {
            now: at(1),
            ours: Speaker::new(),
            theirs: Speaker::new(),
            joined: BTreeMap::new(),
            notices: Vec::new(),
            sent: 0,
        };
        wire.ours.set_site(wire.now, Site { asn: US, ..Site::default() }, ours.to_vec());
        wire.theirs.set_site(wire.now, Site { asn: CLOUD, ..Site::default() }, theirs.to_vec());
        for tunnel in [A, B] {
            wire.ours.set_session(wire.now, tunnel, settings_of_ours.clone(), 7);
            wire.theirs.set_session(wire.now, tunnel, settings(CLOUD, US, 1), 9);
            wire.theirs.start(wire.now, tunnel);
            wire.ours.start(wire.now, tunnel);
        }
        wire.run();
        wire
    }

    /// Delivers until nothing is under way.
    fn run(&mut self) {
        loop {
            if let Some((tunnel, output)) = self.ours.poll_output() {
                self.take_ours(tunnel, output);
            } else if let Some((tunnel, output)) = self.theirs.poll_output() {
                self.take_theirs(tunnel, &output);
            } else {
                return;
            }
        }
    }

    fn take_ours(&mut self, tunnel: u8, output: Output) {
        match output {
            Output::Connect(id) => {
                if let Some(their_id) = self.theirs.accepted(self.now, tunnel) {
                    self.joined.insert(tunnel, (id, their_id));
                    self.ours.connected(self.now, tunnel, id);
                }
            }
            Output::Send(id, octets) => {
                self.sent += 1;
                if let Some((_, to)) = self.joined.get(&tunnel).filter(|(ours, _)| *ours == id) {
                    self.theirs.received(self.now, tunnel, *to, &octets);
                }
            }
            Output::Close(id) => {
                if let Some((_, to)) = self.joined.get(&tunnel).filter(|(ours, _)| *ours == id) {
                    self.theirs.closed(self.now, tunnel, *to);
                }
            }
            Output::Notice(notice) => self.notices.push((tunnel, notice)),
        }
    }

    fn take_theirs(&mut self, tunnel: u8, output: &Output) {
        let to = |id: &ConnectionId| {
            self.joined.get(&tunnel).filter(|(_, theirs)| theirs == id).map(|(ours, _)| *ours)
        };
        match output {
            Output::Connect(_) | Output::Notice(_) => {}
            Output::Send(id, octets) => {
                if let Some(to) = to(id) {
                    self.ours.received(self.now, tunnel, to, octets);
                }
            }
            Output::Close(id) => {
                if let Some(to) = to(id) {
                    self.ours.closed(self.now, tunnel, to);
                }
            }
        }
    }

    /// Lets time pass, second by second.
    fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now = self.now + Duration::from_secs(1);
            self.ours.poll(self.now);
            self.theirs.poll(self.now);
            self.run();
        }
    }

    fn state(&self, tunnel: u8) -> State {
        self.ours.session(tunnel).expect("a session").state
    }

    /// Prefixes that each end has of the other through a tunnel.
    fn counts(&self, tunnel: u8) -> (usize, usize) {
        let of = |speaker: &Speaker<u8>| speaker.session(tunnel).expect("a session").received;
        (of(&self.ours), of(&self.theirs))
    }

    fn learned_by_them(&self, tunnel: u8) -> Vec<(IpNet, Path)> {
        let routes = self.theirs.routes().filter(|(_, through, ..)| *through == tunnel);
        routes.map(|(prefix, _, _, path)| (prefix, path.clone())).collect()
    }

    fn settle(&mut self) -> Vec<Change<u8>> {
        self.ours.settle(|_| {
            Some(Through { connection: 0, spread: Spread::All, standing: Standing::Ready, carries: true })
        })
    }
}

#[test]
fn both_families_cross_one_session_and_both_tunnels_share_them() {
    let mut wire =
        Wire::new(&[net("10.10.0.0/16"), net("2001:db8:10::/48")], &[net("10.200.0.0/16"), net("fd00::/32")]);
    assert_eq!((wire.state(A), wire.state(B)), (State::Established, State::Established));
    let used = |prefix| Change { prefix: net(prefix), used: vec![A, B], fate: Fate::Announced };
    assert_eq!(wire.settle(), [used("10.200.0.0/16"), used("fd00::/32")]);
    let learned = wire.learned_by_them(A);
    let hops: Vec<String> = learned.iter().map(|(_, path)| path.next_hop.to_string()).collect();
    assert_eq!(hops, ["169.254.10.2", "fd00:10::2"]);
    assert_eq!(learned[0].1, wire.learned_by_them(B)[0].1, "the same on both tunnels");
    assert_eq!(learned[0].1.as_path.to_string(), "65010");
}

#[test]
fn a_tunnel_without_an_ipv6_address_has_no_ipv6_and_says_so() {
    let ours = settings(US, CLOUD, 2);
    let neighbour = Neighbour { our_inside6: None, ..ours.neighbour };
    let config = Config { families: NextHops::new(&neighbour).families(), ..ours.config };
    let v6 = net("2001:db8:10::/48");
    let both = [net("10.200.0.0/16"), net("fd00::/32")];
    let wire = Wire::with(&Settings { config, neighbour, ..ours }, &[net("10.10.0.0/16"), v6], &both);
    assert_eq!(wire.counts(A), (1, 1), "IPv4 alone, both ways");
    let why = NotOffered::NextHop(Family::Ipv6);
    assert!(wire.notices.contains(&(A, Notice::NotOffered { prefix: v6, why, untold: 0 })));
}

#[test]
fn ten_thousand_prefixes_cross_in_few_messages_and_come_again_when_asked_for() {
    let mut wire = Wire::new(&many(10_000), &many(0));
    assert_eq!(wire.counts(A), (0, 10_000));
    // 40,000 octets of NLRI a tunnel are ten messages.
    assert!(wire.sent < 40, "{} messages", wire.sent);
    let before = wire.sent;
    wire.theirs.within(wire.now, A, |session, _| session.peer().refresh(at(1), Family::Ipv4));
    wire.run();
    assert!((10..=11).contains(&(wire.sent - before)), "{} messages", wire.sent - before);
}

#[test]
fn a_reload_of_what_is_offered_tells_the_difference_alone() {
    let mut wire = Wire::new(&[net("10.10.0.0/16"), net("10.11.0.0/16")], &[]);
    let before = wire.sent;
    let site = Site { asn: US, ..Site::default() };
    wire.ours.set_site(wire.now, site, vec![net("10.11.0.0/16"), net("10.12.0.0/16")]);
    wire.run();
    let prefixes: Vec<IpNet> = wire.learned_by_them(B).into_iter().map(|(prefix, _)| prefix).collect();
    assert_eq!(prefixes, [net("10.11.0.0/16"), net("10.12.0.0/16")]);
    // A withdrawal, an announcement, and the question for what the new networks may permit, for each family and tunnel.
    assert_eq!(wire.sent - before, 2 * 4);
    assert_eq!(wire.state(A), State::Established);
}

#[test]
fn a_session_is_told_of_once_when_it_comes_up_and_once_when_it_ends() {
    let mut wire = Wire::new(&[], &[]);
    assert_eq!(wire.ours.take_turned(), [A, B].into());
    assert_eq!(wire.ours.take_turned(), [].into());
    wire.ours.remove(wire.now, A);
    assert_eq!(wire.ours.take_turned(), [A].into());
}

#[test]
fn a_tunnel_that_goes_down_takes_its_session_and_its_routes_at_once() {
    let mut wire = Wire::new(&[net("10.10.0.0/16")], &[net("10.200.0.0/16")]);
    wire.settle();
    wire.ours.stop(wire.now, A, &Stop::TunnelDown);
    let change = |used: &[u8]| {
        vec![Change { prefix: net("10.200.0.0/16"), used: used.to_vec(), fate: Fate::Announced }]
    };
    assert_eq!(wire.settle(), change(&[B]));
    wire.run();
    assert_eq!(wire.state(A), State::Idle);
    assert!(wire.learned_by_them(A).is_empty(), "the Cease was heard");
    wire.pass(60);
    assert_eq!(wire.state(A), State::Idle, "no attempt while the tunnel is down");
    wire.ours.start(wire.now, A);
    wire.run();
    wire.pass(60);
    assert_eq!(wire.settle(), change(&[A, B]));
}

#[test]
fn above_the_limit_what_is_there_stays_or_the_session_rests_for_longer_each_time() {
    let keep = Settings { max_prefixes: 100, ..settings(US, CLOUD, 2) };
    let wire = Wire::with(&keep, &[], &many(1000));
    assert_eq!(wire.counts(A).0, 100);
    assert_eq!(wire.state(A), State::Established);
    assert_eq!(wire.ours.refused(A).count(), 256, "what is remembered is bounded");
    let said = wire.notices.iter().filter(|(_, notice)| matches!(notice, Notice::Refused { .. })).count();
    assert_eq!(said, 10, "five lines a session");

    let mut wire = Wire::with(&Settings { excess: Excess::TearDown, ..keep }, &[], &many(1000));
    assert_eq!(wire.state(A), State::Idle);
    assert_eq!(
        wire.settle().iter().filter(|change| change.fate == Fate::Announced).count(),
        0,
        "none of its routes is left"
    );
    wire.pass(59);
    assert_eq!(wire.state(A), State::Idle);
    wire.pass(600);
    let ends = wire.notices.iter().filter(|(tunnel, notice)| {
        *tunnel == A && matches!(notice, Notice::Down { failure: crate::bgp::failure::Failure::Limit, .. })
    });
    assert!((2..=5).contains(&ends.count()), "a minute, two, four");
}

#[test]
fn a_session_that_rests_for_its_prefixes_comes_again_at_the_operators_word() {
    let narrow = Settings { max_prefixes: 100, excess: Excess::TearDown, ..settings(US, CLOUD, 2) };
    let mut wire = Wire::with(&narrow, &[], &many(200));
    wire.ours.stop(wire.now, A, &Stop::TunnelDown);
    wire.ours.start(wire.now, A);
    wire.run();
    assert_eq!(wire.state(A), State::Idle, "the tunnel's own end is no such word");
    wire.ours.stop(wire.now, A, &Stop::Shutdown("down".to_owned()));
    wire.ours.start(wire.now, A);
    assert_eq!(wire.state(A), State::Connect, "down and up");
    wire.run();
    wire.ours.set_session(wire.now, B, Settings { max_prefixes: 200, ..narrow }, 7);
    assert_eq!(wire.state(B), State::Connect, "a higher limit");
}

#[test]
fn a_thousand_prefixes_that_are_not_offered_are_a_few_lines_however_often_the_offer_changes() {
    let mut few = settings(US, CLOUD, 2);
    few.export.limit = 100;
    let mut wire = Wire::with(&few, &many(1000), &[]);
    for rank in [Rank::Last, Rank::First, Rank::Equal] {
        wire.ours.set_rank(wire.now, A, rank);
        wire.run();
    }
    let told = |wire: &Wire| -> Vec<u64> {
        let of_a = wire.notices.iter().filter(|(tunnel, _)| *tunnel == A);
        let untold = |notice: &Notice| {
            if let Notice::NotOffered { untold, .. } = notice { Some(*untold) } else { None }
        };
        of_a.filter_map(|(_, notice)| untold(notice)).collect()
    };
    assert_eq!(told(&wire), [0; 5]);
    wire.pass(60);
    wire.ours.set_rank(wire.now, A, Rank::Last);
    wire.run();
    assert_eq!(told(&wire), [0, 0, 0, 0, 0, 4 * 900 - 5, 0, 0, 0, 0]);
}

#[test]
fn prefixes_that_are_kept_while_the_peer_restarts_are_counted_until_they_go() {
    let restarts = |settings: Settings| Settings {
        config: Config { restart_time: Some(10), ..settings.config },
        ..settings
    };
    let mut wire = Wire::new(&[], &[net("10.200.0.0/16")]);
    wire.theirs.set_session(wire.now, A, restarts(settings(CLOUD, US, 1)), 9);
    wire.ours.set_session(wire.now, A, restarts(settings(US, CLOUD, 2)), 7);
    wire.run();
    wire.pass(5);
    assert_eq!((wire.state(A), wire.counts(A).0), (State::Established, 1));
    let (lost, _) = wire.joined[&A];
    wire.theirs.remove(wire.now, A);
    wire.ours.closed(wire.now, A, lost);
    let received = |wire: &Wire| wire.ours.session(A).expect("a session").received;
    wire.pass(9);
    assert_eq!(received(&wire), 1);
    wire.pass(1);
    assert_eq!(received(&wire), 0);
    assert!(wire.ours.routes().all(|(_, through, ..)| through != A));
}

#[test]
fn a_tunnel_asks_by_med_to_be_preferred_or_left() {
    let mut wire = Wire::new(&[net("10.10.0.0/16")], &[]);
    let med = |wire: &Wire, tunnel| wire.learned_by_them(tunnel)[0].1.med;
    wire.ours.set_rank(wire.now, A, Rank::Last);
    wire.run();
    assert!(med(&wire, A) > med(&wire, B));
    let communities = wire.learned_by_them(A)[0].1.communities.clone();
    assert_eq!(communities, [Community::GRACEFUL_SHUTDOWN]);
    wire.ours.set_rank(wire.now, A, Rank::First);
    wire.run();
    assert!(med(&wire, A) < med(&wire, B));
    wire.ours.set_rank(wire.now, A, Rank::Equal);
    wire.run();
    assert_eq!(med(&wire, A), med(&wire, B));
}

#[test]
fn another_policy_judges_what_is_there_and_another_peer_begins_anew() {
    let mut wire = Wire::new(&[], &[net("10.200.0.0/16"), net("10.201.0.0/16")]);
    let listed = crate::bgp::policy::PrefixList(vec!["10.200.0.0/16".parse().expect("a rule")]);
    let mut narrow = settings(US, CLOUD, 2);
    narrow.import.filter = Filter::Listed(listed);
    wire.ours.set_session(wire.now, A, narrow, 7);
    wire.run();
    assert_eq!((wire.counts(A).0, wire.counts(B).0), (1, 2));
    assert_eq!(wire.state(A), State::Established);
    wire.ours.set_session(wire.now, A, settings(US, CLOUD, 2), 7);
    wire.run();
    assert_eq!(wire.counts(A).0, 2, "the peer was asked for what the old policy refused");

    let mut other = settings(US, CLOUD, 2);
    other.config.hold_time = 60;
    wire.ours.set_session(wire.now, A, other, 7);
    wire.run();
    wire.pass(120);
    assert_eq!((wire.state(A), wire.counts(A).0), (State::Established, 2));
}

#[test]
fn a_session_that_is_forgotten_leaves_nothing_and_hears_nothing() {
    let mut wire = Wire::new(&[], &[net("10.200.0.0/16")]);
    wire.ours.remove(wire.now, A);
    wire.ours.remove(wire.now, B);
    wire.run();
    assert_eq!(wire.settle(), [Change { prefix: net("10.200.0.0/16"), used: vec![], fate: Fate::Lost(B) }]);
    assert!(wire.ours.session(A).is_none());
    assert_eq!(wire.ours.accepted(wire.now, A), None);
    assert_eq!(wire.ours.next(), None);
}
