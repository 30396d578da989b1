//! One run: what the ends do, what the link does, and what a supervisor does about a tunnel that is down.

use core::time::Duration;

use gotthard_ike::Time;
use gotthard_ike::config::PeerConfig;
use gotthard_ike::event::Event;

use crate::Tally;
use crate::support::clock::Seeded;
use crate::support::link::Weather;
use crate::support::pair::Pair;
use crate::support::side::End;
use crate::witness::Witness;

/// Runs one seed from its first handshake to the quiet after the storm, and prints what happens if that is asked for.
pub(crate) fn run(seed: u64, aloud: bool) -> Tally {
    let mut run = Run::new(seed);
    run.pair.link.aloud = aloud;
    run.pair.initiate(End::A);
    run.pass(Duration::from_secs(2));
    for _ in 0..8 + run.dice.next() % 16 {
        run.act();
        let pause = run.dice.below(Duration::from_secs(3));
        run.pass(pause);
    }
    run.calm_down();
    run.use_tunnel();
    run.tally
}

struct Run {
    pair: Pair,
    dice: Seeded,
    weather: Weather,
    witness: Witness,
    a: Supervisor,
    b: Supervisor,
    tally: Tally,
}

/// Starts a tunnel again that is down, as the daemon does.
struct Supervisor {
    /// It starts tunnels, it does not only wait for them.
    initiates: bool,
    /// Events of its end that it has read.
    read: usize,
    again: Option<Time>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut dice = Seeded::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let weather = weather(&mut dice);
        let both = dice.percent(50);
        let mut pair = Pair::with(seed, weather, |a, b| configure(&mut dice, a, b));
        for end in End::BOTH {
            if dice.percent(30) {
                pair.side_mut(end).compute_in(dice.below(Duration::from_millis(200)));
            }
        }
        let supervisor = |initiates| Supervisor { initiates, read: 0, again: None };
        Self {
            pair,
            dice,
            weather,
            witness: Witness::default(),
            a: supervisor(true),
            b: supervisor(both),
            tally: Tally::default(),
        }
    }

    /// Something happens at one end, or at both.
    fn act(&mut self) {
        let end = self.any_end();
        match self.dice.next() % 100 {
            0..25 => self.pair.rekey_child(end),
            25..40 => self.pair.rekey_ike(end),
            40..55 => self.at_both_ends(Pair::rekey_child),
            55..70 => self.at_both_ends(Pair::rekey_ike),
            70..80 => self.burst(),
            80..85 => self.at_both_ends(Pair::initiate),
            85..90 => self.terminate(end),
            90..95 => self.restart(end),
            _ => self.outage(),
        }
    }

    /// One end first, the other a moment later: with luck before it hears of it.
    fn at_both_ends(&mut self, start: fn(&mut Pair, End)) {
        let end = self.any_end();
        start(&mut self.pair, end);
        let moment = self.dice.below(self.weather.latency * 2);
        self.pass(moment);
        start(&mut self.pair, end.other());
    }

    /// Rekeys of both kinds from both ends, faster than they can be served.
    fn burst(&mut self) {
        for _ in 0..2 + self.dice.next() % 8 {
            let end = self.any_end();
            let start = if self.dice.percent(60) { Pair::rekey_child } else { Pair::rekey_ike };
            start(&mut self.pair, end);
            let moment = self.dice.below(Duration::from_millis(300));
            self.pass(moment);
        }
    }

    /// Its operator takes the tunnel down and up again.
    fn terminate(&mut self, end: End) {
        self.pair.terminate(end);
        let again = self.pair.now() + self.dice.below(Duration::from_secs(2));
        self.supervisor(end).again = Some(again);
    }

    fn restart(&mut self, end: End) {
        self.tally.restarts += 1;
        self.read_events(end);
        self.pair.restart(end);
        let now = self.pair.now();
        let supervisor = self.supervisor(end);
        supervisor.read = 0;
        supervisor.again = Some(now);
    }

    fn outage(&mut self) {
        self.pair.link.weather.loss_percent = 100;
        let outage = self.dice.below(Duration::from_secs(25));
        self.pass(outage);
        self.pair.link.weather = self.weather;
    }

    /// Time passes, and at every step of it everything is looked at.
    fn pass(&mut self, duration: Duration) {
        let end = self.pair.now() + duration;
        loop {
            self.supervise();
            self.witness.check(&self.pair);
            let wanted = [self.a.again, self.b.again].into_iter().flatten().min();
            let until = wanted.map_or(end, |at| at.min(end));
            if !self.pair.advance(until) && until == end {
                return;
            }
        }
    }

    fn supervise(&mut self) {
        for end in End::BOTH {
            let down = self.read_events(end);
            let (now, initiates) = (self.pair.now(), self.supervisor(end).initiates);
            if down && initiates {
                let pause = Duration::from_millis(500) + self.dice.below(Duration::from_secs(1));
                self.supervisor(end).again = Some(now + pause);
            }
            if self.supervisor(end).again.take_if(|at| *at <= now).is_some() && initiates {
                self.pair.initiate(end);
            }
        }
    }

    /// Whether an event says that the tunnel is to be started again.
    fn read_events(&mut self, end: End) -> bool {
        let read = self.supervisor(end).read;
        let mut down = false;
        for event in &self.pair.side(end).events[read..] {
            match event {
                Event::IkeUp { .. } => self.tally.handshakes += 1,
                Event::IkeRekeyed { .. } => self.tally.ike_rekeys += 1,
                Event::ChildUp { rekey, .. } => self.tally.child_rekeys += usize::from(rekey.is_some()),
                Event::IkeDown { .. } => {
                    self.tally.downs += 1;
                    down = true;
                }
                Event::Failed { .. } => down = true,
                Event::ChildDown { .. } | Event::RekeyFailed { .. } | Event::Alive { .. } => {}
            }
        }
        self.supervisor(end).read = self.pair.side(end).events.len();
        down
    }

    /// The weather is fair, and nobody does anything: one tunnel is left.
    fn calm_down(&mut self) {
        self.pair.link.weather = Weather::FAIR;
        self.pass(QUIET);
        // A rekey at the end of a lifetime may be under way.
        for _ in 0..60 {
            if self.pair.is_settled() {
                break;
            }
            self.pass(Duration::from_secs(1));
        }
        self.pair.assert_one_tunnel();
        self.tally.messages = self.pair.link.sent.len();
    }

    /// The tunnel that is left carries packets, and none is lost while it is rekeyed.
    fn use_tunnel(&mut self) {
        let lost = End::BOTH.map(|end| self.pair.side(end).esp_lost);
        self.pair.start_traffic(Duration::from_millis(25));
        let (one, other) = (self.any_end(), self.any_end());
        self.pair.rekey_child(one);
        self.pass(Duration::from_millis(500));
        self.pair.rekey_ike(other);
        self.pass(Duration::from_secs(1));
        assert_eq!(lost, End::BOTH.map(|end| self.pair.side(end).esp_lost), "seed {}", self.pair.seed);
        self.pair.assert_up();
    }

    fn any_end(&mut self) -> End {
        End::BOTH[(self.dice.next() % 2) as usize]
    }

    fn supervisor(&mut self, end: End) -> &mut Supervisor {
        match end {
            End::A => &mut self.a,
            End::B => &mut self.b,
        }
    }
}

/// From fair to foul.
fn weather(dice: &mut Seeded) -> Weather {
    let foul = dice.next() % 4; // in thirds
    Weather {
        loss_percent: dice.next() % (foul * 10 + 1),
        duplicate_percent: dice.next() % (foul * 10 + 1),
        latency: Duration::from_millis(1) + dice.below(Duration::from_millis(50)),
        jitter: dice.below(Duration::from_millis(foul * 100 + 1)),
    }
}

/// With perfect forward secrecy or without it or at one end only, with lifetimes that end in the run or not.
fn configure(dice: &mut Seeded, a: &mut PeerConfig, b: &mut PeerConfig) {
    let short = dice.percent(25);
    let suites = match dice.next() % 8 {
        // IKE_AUTH needs no group, a rekey does: another IKE SA takes its place.
        0 if short => [vec!["aes256gcm16-x25519"], vec!["aes256gcm16"]],
        0 | 1 => [vec!["aes256gcm16-x25519"], vec!["aes256gcm16-x25519"]],
        2 | 3 => [vec!["aes256gcm16-x25519", "aes256gcm16"], vec!["aes256gcm16", "aes256gcm16-x25519"]],
        _ => [vec!["aes256gcm16"], vec!["aes256gcm16"]],
    };
    for (config, suites) in [a, b].into_iter().zip(suites) {
        config.esp_suites = suites.iter().map(|suite| suite.parse().unwrap()).collect();
        if short {
            config.child_lifetime = Duration::from_mins(1) + dice.below(Duration::from_mins(1));
            config.ike_lifetime = Duration::from_mins(2) + dice.below(Duration::from_mins(2));
            config.rekey_margin = Duration::from_secs(15);
        }
    }
}

/// Longer than any SA outlives its end, and than a peer that is gone is waited for.
const QUIET: Duration = Duration::from_secs(75);
