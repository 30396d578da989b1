//! Two endpoints, a link between them and a virtual clock: both ends of every exchange are ours.

use core::time::Duration;
use std::net::SocketAddr;

use gotthard_ike::Time;
use gotthard_ike::config::{Mode, PeerConfig};

use super::clock::Clock;
use super::link::{Cargo, Link, Weather, Which};
use super::side::{A, B, End, PEER, Side, config};

/// Both ends and what is between.
pub(crate) struct Pair {
    pub(crate) a: Side,
    pub(crate) b: Side,
    pub(crate) link: Link,
    pub(crate) clock: Clock,
    pub(crate) config_a: PeerConfig,
    pub(crate) config_b: PeerConfig,
    pub(crate) seed: u64,
    restarts: u64,
    traffic: Option<Traffic>,
}

/// Both ends send an ESP packet in every interval, and report what they receive as the data plane does.
#[derive(Clone, Copy)]
struct Traffic {
    interval: Duration,
    next: Time,
}

impl Pair {
    pub(crate) fn new(seed: u64, weather: Weather) -> Self {
        Self::with(seed, weather, |_, _| {})
    }

    /// A pair whose two configurations are changed before they are used.
    pub(crate) fn with(
        seed: u64,
        weather: Weather,
        change: impl FnOnce(&mut PeerConfig, &mut PeerConfig),
    ) -> Self {
        let (mut config_a, mut config_b) = (config(A, B), config(B, A));
        config_b.mode = Mode::Responder;
        change(&mut config_a, &mut config_b);
        let (a, b) = (Side::new(seed ^ 0xa, config_a.local), Side::new(seed ^ 0xb, config_b.local));
        let link = Link::new(seed ^ 0xc, weather);
        let mut pair = Self {
            a,
            b,
            link,
            clock: Clock::default(),
            config_a,
            config_b,
            seed,
            restarts: 0,
            traffic: None,
        };
        pair.a.endpoint.add_peer(PEER, pair.config_a.clone());
        pair.b.endpoint.add_peer(PEER, pair.config_b.clone());
        pair
    }

    /// A pair whose tunnel is up.
    pub(crate) fn established() -> Self {
        let mut pair = Self::new(1, Weather::FAIR);
        pair.initiate_a();
        pair.run_for(Duration::from_secs(1));
        pair.assert_up();
        pair
    }

    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    pub(crate) fn initiate_a(&mut self) {
        self.a.endpoint.initiate(self.clock.now(), PEER);
        self.drain();
    }

    pub(crate) fn initiate_b(&mut self) {
        self.b.endpoint.initiate(self.clock.now(), PEER);
        self.drain();
    }

    pub(crate) fn initiate(&mut self, end: End) {
        let now = self.clock.now();
        self.side_mut(end).endpoint.initiate(now, PEER);
        self.drain();
    }

    pub(crate) fn terminate(&mut self, end: End) {
        let now = self.clock.now();
        self.side_mut(end).endpoint.terminate(now, PEER);
        self.drain();
    }

    pub(crate) fn check_liveness_a(&mut self) {
        self.a.endpoint.check_liveness(self.clock.now(), PEER);
        self.drain();
    }

    /// A makes another IKE SA beside the one it has.
    pub(crate) fn replace_a(&mut self) {
        self.a.endpoint.replace(self.clock.now(), PEER);
        self.drain();
    }

    pub(crate) fn rekey_child(&mut self, end: End) {
        let now = self.clock.now();
        self.side_mut(end).endpoint.rekey_child(now, PEER);
        self.drain();
    }

    pub(crate) fn rekey_ike(&mut self, end: End) {
        let now = self.clock.now();
        self.side_mut(end).endpoint.rekey_ike(now, PEER);
        self.drain();
    }

    /// An end loses all its state, as in a power cut.
    pub(crate) fn restart(&mut self, end: End) {
        self.restarts += 1;
        let seed = self.seed.wrapping_add(self.restarts);
        let (seed, config) = match end {
            End::A => (seed ^ 0xa00, self.config_a.clone()),
            End::B => (seed ^ 0xb00, self.config_b.clone()),
        };
        let mut side = Side::new(seed, config.local);
        side.endpoint.add_peer(PEER, config);
        let work = self.side(end).work;
        if !work.is_zero() {
            side.compute_in(work);
        }
        let old = std::mem::replace(self.side_mut(end), side);
        let new = self.side_mut(end);
        new.ended = old.ended;
        new.ended.extend(old.inbound.keys());
        (new.esp_lost, new.esp_taken) = (old.esp_lost, old.esp_taken);
    }

    pub(crate) fn restart_b(&mut self) {
        self.restart(End::B);
    }

    pub(crate) const fn side(&self, end: End) -> &Side {
        match end {
            End::A => &self.a,
            End::B => &self.b,
        }
    }

    pub(crate) const fn side_mut(&mut self, end: End) -> &mut Side {
        match end {
            End::A => &mut self.a,
            End::B => &mut self.b,
        }
    }

    /// From here on packets flow both ways.
    pub(crate) fn start_traffic(&mut self, interval: Duration) {
        self.traffic = Some(Traffic { interval, next: self.clock.now() });
    }

    pub(crate) fn stop_traffic(&mut self) {
        self.traffic = None;
    }

    /// Holds these messages back from here on.
    pub(crate) fn hold(&mut self, which: Which) {
        self.link.hold(which);
    }

    /// Loses these messages from here on.
    pub(crate) fn lose(&mut self, which: Which) {
        self.link.lose(which);
    }

    /// Loses these messages from here on, or holds them back.
    pub(crate) fn hinder(&mut self, which: Which, lose: bool) {
        if lose {
            self.lose(which);
        } else {
            self.hold(which);
        }
    }

    /// Carries these messages again, and first those that were held.
    pub(crate) fn release(&mut self, which: Which) {
        self.link.release(self.clock.now(), which);
    }

    /// A sends an ESP packet with what it has, if it has something.
    pub(crate) fn ping_a(&mut self) {
        if let Some(sa) = &self.a.outbound {
            self.link.send_esp(self.clock.now(), sa.local, sa.remote, sa.spi);
        }
    }

    pub(crate) fn ping_b(&mut self) {
        if let Some(sa) = &self.b.outbound {
            self.link.send_esp(self.clock.now(), sa.local, sa.remote, sa.spi);
        }
    }

    pub(crate) fn run_for(&mut self, duration: Duration) {
        let end = self.clock.now() + duration;
        self.run_until(end, |_| false);
    }

    /// Runs until `done` or the end of the time; tells whether it was `done`.
    pub(crate) fn run_until(&mut self, end: Time, done: impl Fn(&Self) -> bool) -> bool {
        self.drain();
        while !done(self) {
            if !self.advance(end) {
                return done(self);
            }
        }
        true
    }

    /// Goes to what happens next and lets it happen; false where nothing does until `end`.
    pub(crate) fn advance(&mut self, end: Time) -> bool {
        let Some(next) = self.next().filter(|at| *at <= end) else {
            self.clock.advance_to(end);
            return false;
        };
        self.clock.advance_to(next);
        self.step();
        true
    }

    /// Delivers a datagram to the end that it is for, as if the link had carried it.
    pub(crate) fn inject(&mut self, from: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        let now = self.clock.now();
        let side = if to.ip() == self.a.address { &mut self.a } else { &mut self.b };
        side.endpoint.handle_datagram(now, to, from, datagram);
        self.drain();
    }

    pub(crate) fn drain(&mut self) {
        self.a.drain(self.clock.now(), &mut self.link);
        self.b.drain(self.clock.now(), &mut self.link);
    }

    /// When something happens next.
    fn next(&self) -> Option<Time> {
        let traffic = self.traffic.map(|traffic| traffic.next);
        let due = [&self.a, &self.b].into_iter().filter_map(Side::due);
        self.link.next().into_iter().chain(due).chain(traffic).min()
    }

    fn send_traffic(&mut self) {
        let now = self.clock.now();
        let Some(traffic) = self.traffic.as_mut().filter(|traffic| traffic.next <= now) else { return };
        traffic.next = now + traffic.interval;
        self.ping_a();
        self.ping_b();
    }

    fn step(&mut self) {
        let now = self.clock.now();
        let in_use = self.traffic.is_some();
        self.send_traffic();
        while let Some(arrival) = self.link.take_due(now) {
            let side = if arrival.to.ip() == self.a.address { &mut self.a } else { &mut self.b };
            match arrival.cargo {
                Cargo::Ike(datagram) => {
                    side.endpoint.handle_datagram(now, arrival.to, arrival.from, &datagram);
                }
                Cargo::Esp(spi) if side.inbound.contains_key(&spi) => {
                    side.esp_taken += 1;
                    if in_use {
                        side.endpoint.traffic_seen(now, PEER);
                    }
                }
                Cargo::Esp(_) => side.esp_lost += 1,
            }
            self.drain();
        }
        for side in [&mut self.a, &mut self.b] {
            if side.next_timeout().is_some_and(|at| at <= now) {
                side.endpoint.handle_timeout(now);
            }
            while side.finish_job(now) {
                side.drain(now, &mut self.link);
            }
        }
        self.drain();
    }

    /// Both ends have one tunnel, with the same keys, and each sends with what the other receives with.
    #[track_caller]
    pub(crate) fn assert_up(&self) {
        let seed = self.seed;
        let (a, b) = (&self.a, &self.b);
        let (a_out, b_out) = (a.outbound.as_ref(), b.outbound.as_ref());
        let (Some(a_out), Some(b_out)) = (a_out, b_out) else {
            panic!("seed {seed}: outbound missing: {:?} {:?}", a.events, b.events);
        };
        for (sender, receiver) in [(a_out, b), (b_out, a)] {
            let Some(inbound) = receiver.inbound.get(&sender.spi) else {
                panic!("seed {seed}: {:?} {:?}", a.events, b.events)
            };
            assert_eq!(sender.keys.encryption, inbound.keys.encryption, "seed {seed}");
            assert_eq!(sender.keys.integrity, inbound.keys.integrity, "seed {seed}");
            assert_eq!(sender.suite, inbound.suite, "seed {seed}");
            assert_eq!(sender.esn, inbound.esn, "seed {seed}");
            assert_eq!(sender.ts_local, inbound.ts_remote, "seed {seed}");
            assert_eq!(sender.ts_remote, inbound.ts_local, "seed {seed}");
            assert_eq!(sender.encapsulation, inbound.encapsulation, "seed {seed}");
        }
        assert_ne!(a_out.keys.encryption, b_out.keys.encryption, "seed {seed}");
    }

    /// Neither end has anything left in its data plane.
    #[track_caller]
    pub(crate) fn assert_down(&self) {
        for side in [&self.a, &self.b] {
            assert!(side.outbound.is_none() && side.inbound.is_empty(), "seed {}", self.seed);
        }
    }
}
