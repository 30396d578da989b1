//! Who carries the traffic, on virtual time: table by table, and what holds whatever happens.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use core::time::Duration;

use gotthard::failover::decision::{Decision, Failover, LINGER, Spread, Standing, State};
use gotthard::failover::facts::{Facts, Link, Session, Wish};
use gotthard_ike::Time;
use proptest::prelude::*;

const UP: Facts =
    Facts { wish: Wish::Up, ike: true, esp: true, probe: true, bgp: Session::None, preference: 100 };
const DEAD: Facts = Facts { ike: false, esp: false, probe: false, ..UP };
const SILENT: Facts = Facts { probe: false, ..UP };
const DRAINED: Facts = Facts { wish: Wish::Drain, ..UP };
const DOWN: Facts = Facts { wish: Wish::Down, ..UP };
const PREFERRED: Facts = Facts { preference: 200, ..UP };

/// What two tunnels are decided to do at their first sight: facts of both, and who carries.
#[test]
fn the_first_decision_follows_from_the_facts_alone() {
    let session = |bgp| Facts { bgp, ..UP };
    let table: [(Facts, Facts, &[usize]); 13] = [
        (UP, UP, &[0]),
        (DEAD, UP, &[1]),
        (UP, DEAD, &[0]),
        (DEAD, DEAD, &[]),
        (SILENT, UP, &[1]),
        (SILENT, DEAD, &[0]),
        (UP, PREFERRED, &[1]),
        (UP, Facts { ike: false, ..PREFERRED }, &[0]),
        (DRAINED, UP, &[1]),
        (DRAINED, DEAD, &[0]),
        (session(Session::Down), session(Session::Up), &[1]),
        (session(Session::Down), Facts { bgp: Session::Down, ..SILENT }, &[]),
        (DOWN, DEAD, &[]),
    ];
    for (row, (first, second, carriers)) in table.into_iter().enumerate() {
        let decision = Failover::new(Spread::One).decide(at(0), &[(0, first), (1, second)]);
        assert_eq!(decision.carriers, carriers, "row {row}");
    }
}

#[test]
fn the_first_broken_link_of_the_chain_is_named() {
    let table = [
        (UP, None),
        (Facts { bgp: Session::Down, ..UP }, Some(Link::Bgp)),
        (Facts { bgp: Session::Down, ..SILENT }, Some(Link::Probe)),
        (Facts { esp: false, ..SILENT }, Some(Link::Esp)),
        (DEAD, Some(Link::Ike)),
    ];
    for (facts, broken) in table {
        assert_eq!(facts.broken(), broken);
    }
}

#[test]
fn traffic_leaves_a_dead_tunnel_at_once_and_stays_when_that_returns() {
    let mut pair = Pair::new(Spread::One);
    assert_eq!(pair.at(0, UP, UP).carriers, [0]);
    assert_eq!(pair.at(1, DEAD, UP).carriers, [1]);
    assert_eq!(pair.at(2, UP, UP).carriers, [1]);
    assert_eq!(pair.at(1000, UP, UP).carriers, [1]);
}

#[test]
fn a_repaired_tunnel_that_is_preferred_takes_the_traffic_back_after_its_hold_down() {
    let mut pair = Pair::new(Spread::One);
    pair.at(0, PREFERRED, UP);
    assert_eq!(pair.at(10, DEAD, UP).carriers, [1]);
    let held = pair.at(20, PREFERRED, UP);
    assert_eq!(held.carriers, [1]);
    assert_eq!(held.tunnels[0].state, State::Held { until: at(22) });
    assert_eq!(pair.failover.next(at(20)), Some(at(22)));
    let back = pair.at(22, PREFERRED, UP);
    assert_eq!(back.carriers, [0]);
    assert_eq!(back.tunnels[1].state, State::Standby, "what it left still delivers what is under way");
    assert_eq!(pair.failover.next(at(22)), None);
}

#[test]
fn equal_tunnels_share_and_a_repaired_one_joins_after_its_hold_down() {
    let mut pair = Pair::new(Spread::All);
    assert_eq!(pair.at(0, UP, UP).carriers, [0, 1]);
    assert_eq!(pair.at(1, UP, DEAD).carriers, [0]);
    assert_eq!(pair.at(5, UP, UP).carriers, [0]);
    assert_eq!(pair.at(7, UP, UP).carriers, [0, 1]);
}

#[test]
fn a_tunnel_in_hold_down_carries_where_no_other_lives_and_is_then_free() {
    let mut pair = Pair::new(Spread::One);
    pair.at(0, UP, UP);
    pair.at(1, DEAD, UP);
    pair.at(2, UP, UP);
    let forced = pair.at(3, UP, DEAD);
    assert_eq!(forced.carriers, [0]);
    assert_eq!((forced.tunnels[0].state, forced.tunnels[0].standing), (State::Carrying, Standing::Ready));
    assert_eq!(pair.at(4, UP, UP).carriers, [0], "the other's return moves nothing");
}

#[test]
fn a_tunnel_whose_probe_hears_nothing_is_better_than_none() {
    let mut pair = Pair::new(Spread::One);
    pair.at(0, UP, DEAD);
    let suspect = pair.at(1, SILENT, DEAD);
    assert_eq!(suspect.carriers, [0]);
    assert_eq!(suspect.tunnels[0].state, State::Down);
    assert_eq!(pair.at(2, SILENT, UP).carriers, [1]);
}

#[test]
fn a_planned_drain_moves_while_both_live_and_comes_back_without_a_wait() {
    let mut pair = Pair::new(Spread::All);
    pair.at(0, UP, UP);
    let drained = pair.at(1, DRAINED, UP);
    assert_eq!(drained.carriers, [1]);
    assert_eq!(drained.tunnels[0].state, State::Draining);
    assert_eq!(pair.at(2, DRAINED, DEAD).carriers, [0], "a drained tunnel is better than none");
    pair.at(3, DRAINED, UP);
    assert_eq!(pair.at(10, UP, UP).carriers, [0, 1], "a drain is no fall");
}

#[test]
fn a_tunnel_that_is_taken_down_delivers_what_is_under_way_before_it_ends() {
    let mut pair = Pair::new(Spread::One);
    pair.at(0, UP, UP);
    let leaving = pair.at(1, DOWN, UP);
    assert_eq!((leaving.carriers.as_slice(), leaving.tunnels[0].state), (&[1][..], State::Draining));
    assert_eq!(pair.failover.next(at(1)), Some(at(1) + LINGER));
    let gone = pair.at(2, DOWN, UP);
    assert_eq!((gone.tunnels[0].state, gone.tunnels[0].standing), (State::AdminDown, Standing::Dead));
    assert_eq!(pair.at(3, UP, DEAD).carriers, [0], "nothing is remembered against it");
}

#[test]
fn the_last_tunnel_is_taken_down_at_once() {
    let mut pair = Pair::new(Spread::One);
    pair.at(0, UP, DEAD);
    let gone = pair.at(1, DOWN, DEAD);
    assert_eq!((gone.carriers.as_slice(), gone.tunnels[0].state), (&[][..], State::AdminDown));
}

#[test]
fn a_tunnel_that_leaves_the_configuration_is_forgotten() {
    let mut failover = Failover::new(Spread::One);
    failover.decide(at(0), &[('a', UP), ('b', UP)]);
    failover.decide(at(1), &[('a', DEAD), ('b', UP)]);
    assert_eq!(failover.decide(at(2), &[('b', UP)]).carriers, ['b']);
    let again = failover.decide(at(3), &[('a', PREFERRED), ('b', UP)]);
    assert_eq!(again.carriers, ['a'], "it is a new tunnel, without a hold-down");
    assert_eq!(failover.decide(at(4), &[]).carriers, []);
}

#[test]
fn a_hundred_flaps_in_ten_minutes_move_traffic_at_most_twenty_times() {
    for (spread, facts) in [(Spread::One, PREFERRED), (Spread::All, UP)] {
        let mut pair = Pair::new(spread);
        for flap in 0..100 {
            pair.at(flap * 6, facts, UP);
            pair.at(flap * 6 + 3, DEAD, UP);
        }
        assert!((1..=20).contains(&pair.moves), "{spread:?}: {} moves", pair.moves);
    }
}

proptest! {
    /// However one tunnel flaps, also if whoever flaps it knows the hold-down and waits for the end of it each time.
    #[test]
    fn one_flapping_tunnel_moves_traffic_at_most_twenty_times_in_ten_minutes(
        lives in prop::collection::vec((0_u64..400_000, 0_u64..3_000, any::<bool>()), 1..120),
        spread in prop::sample::select(vec![Spread::One, Spread::All]),
    ) {
        let facts = if spread == Spread::One { PREFERRED } else { UP };
        let mut driver = Driver::new(spread, [facts, UP]);
        for (life, death, waits) in lives {
            let free = driver.failover.next(driver.now).filter(|_| waits);
            driver.run_to(free.unwrap_or(driver.now + Duration::from_millis(life)));
            driver.take(0, DEAD);
            driver.run_to(driver.now + Duration::from_millis(death));
            driver.take(0, facts);
        }
        let soonest = driver.twenty_one_moves(true);
        prop_assert!(soonest.is_none_or(|time| time > Duration::from_mins(10)), "21 moves in {soonest:?}");
    }

    /// Where both flap, traffic leaves the dead one as often as that is: the first rule is above the second. But it
    /// does not come back as often.
    #[test]
    fn whatever_flaps_traffic_moves_without_need_at_most_twenty_times_in_ten_minutes(
        steps in prop::collection::vec((0_u64..20_000, 0_usize..2, any::<bool>()), 1..300),
        spread in prop::sample::select(vec![Spread::One, Spread::All]),
    ) {
        let up = if spread == Spread::One { [PREFERRED, UP] } else { [UP, UP] };
        let mut driver = Driver::new(spread, up);
        for (wait, tunnel, lives) in steps {
            driver.run_to(driver.now + Duration::from_millis(wait));
            driver.take(tunnel, if lives { up[tunnel] } else { DEAD });
        }
        let soonest = driver.twenty_one_moves(false);
        prop_assert!(soonest.is_none_or(|time| time > Duration::from_mins(10)), "21 moves in {soonest:?}");
    }

    /// The first rule: whatever came before, and whatever time it is.
    #[test]
    fn no_traffic_stays_on_a_dead_tunnel_while_another_lives(
        steps in prop::collection::vec((0_u64..300_000, prop::collection::vec(any_facts(), 3)), 1..60),
        spread in prop::sample::select(vec![Spread::One, Spread::All]),
    ) {
        let (mut failover, mut now) = (Failover::new(spread), 0);
        for (wait, facts) in steps {
            now += wait;
            let facts: Vec<(usize, Facts)> = facts.into_iter().enumerate().collect();
            let decision = failover.decide(millis(now), &facts);
            let wanted = |facts: &Facts| facts.wish != Wish::Down && facts.lives();
            if facts.iter().any(|(_, facts)| wanted(facts)) {
                prop_assert!(!decision.carriers.is_empty());
                prop_assert!(decision.carriers.iter().all(|carrier| facts[*carrier].1.lives()));
            }
            prop_assert!(spread == Spread::All || decision.carriers.len() <= 1);
            for (verdict, (_, facts)) in decision.tunnels.iter().zip(&facts) {
                prop_assert!(verdict.state != State::Carrying || facts.lives());
                prop_assert_eq!(verdict.standing > Standing::Suspect, facts.lives() && verdict.state != State::AdminDown);
            }
        }
    }

    /// Time moves traffic only when it was said to: a driver that sleeps until then misses nothing.
    #[test]
    fn nothing_changes_before_the_time_that_was_told(
        steps in prop::collection::vec((0_u64..20_000, prop::collection::vec(any_facts(), 2)), 1..30),
        part in 0_u32..100,
    ) {
        let (mut failover, mut now) = (Failover::new(Spread::All), 0);
        for (wait, facts) in steps {
            now += wait;
            let facts: Vec<(usize, Facts)> = facts.into_iter().enumerate().collect();
            let decision = failover.decide(millis(now), &facts);
            let next = failover.next(millis(now)).unwrap_or(millis(now) + Duration::from_hours(1));
            let between = millis(now) + (next - millis(now)) / 100 * part;
            prop_assert_eq!(failover.clone().decide(between, &facts), decision);
        }
    }
}

fn any_facts() -> impl Strategy<Value = Facts> {
    let wish = prop::sample::select(vec![Wish::Up, Wish::Up, Wish::Drain, Wish::Down]);
    let bgp = prop::sample::select(vec![Session::None, Session::Up, Session::Down]);
    let links = prop::array::uniform3(prop::bool::weighted(0.8));
    let preference = prop::sample::select(vec![100, 200]);
    (wish, links, bgp, preference).prop_map(|(wish, [ike, esp, probe], bgp, preference)| Facts {
        wish,
        ike,
        esp,
        probe,
        bgp,
        preference,
    })
}

/// Two tunnels, and whoever wakes when the decision says so.
struct Driver {
    failover: Failover<usize>,
    now: Time,
    facts: [Facts; 2],
    carriers: Vec<usize>,
    /// When traffic moved, and whether it had to: what it left was dead.
    moves: Vec<(Time, bool)>,
}

impl Driver {
    fn new(spread: Spread, facts: [Facts; 2]) -> Self {
        let mut driver = Self {
            failover: Failover::new(spread),
            now: at(0),
            facts,
            carriers: Vec::new(),
            moves: Vec::new(),
        };
        driver.decide();
        driver.moves.clear();
        driver
    }

    fn run_to(&mut self, end: Time) {
        while let Some(next) = self.failover.next(self.now).filter(|next| *next <= end) {
            self.now = next;
            self.decide();
        }
        self.now = end;
    }

    fn take(&mut self, tunnel: usize, facts: Facts) {
        self.facts[tunnel] = facts;
        self.decide();
    }

    fn decide(&mut self) {
        let carriers = self.failover.decide(self.now, &[(0, self.facts[0]), (1, self.facts[1])]).carriers;
        if carriers != self.carriers {
            let lived = self.carriers.iter().all(|carrier| self.facts[*carrier].lives());
            self.moves.push((self.now, !lived || self.carriers.is_empty()));
        }
        self.carriers = carriers;
    }

    /// The shortest time in which traffic moved 21 times; all moves, or those without need.
    fn twenty_one_moves(&self, all: bool) -> Option<Duration> {
        let counted: Vec<Time> =
            self.moves.iter().filter(|(_, had_to)| all || !had_to).map(|m| m.0).collect();
        counted.windows(21).map(|window| window[20] - window[0]).min()
    }
}

/// Two tunnels, and how often their traffic moved.
struct Pair {
    failover: Failover<usize>,
    carriers: Option<Vec<usize>>,
    moves: usize,
}

impl Pair {
    const fn new(spread: Spread) -> Self {
        Self { failover: Failover::new(spread), carriers: None, moves: 0 }
    }

    fn at(&mut self, seconds: u64, first: Facts, second: Facts) -> Decision<usize> {
        let decision = self.failover.decide(at(seconds), &[(0, first), (1, second)]);
        let before = self.carriers.replace(decision.carriers.clone());
        self.moves += usize::from(before.is_some_and(|before| before != decision.carriers));
        decision
    }
}

fn at(seconds: u64) -> Time {
    Time::from_epoch(Duration::from_secs(seconds))
}

fn millis(millis: u64) -> Time {
    Time::from_epoch(Duration::from_millis(millis))
}
