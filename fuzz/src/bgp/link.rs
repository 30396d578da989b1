//! Two sessions of ours with a bad network between them, until the network is good: then they find each other.

use core::time::Duration;
use std::collections::VecDeque;

use gotthard::bgp::fsm::{Config, ConnectionId, Output, Peer, State, Stop};
use gotthard_ike::Time;

use super::{OURS, THEIRS};
use crate::script::Script;

/// Plays `data` as what the network does: delays, losses of connections, octets changed; then lets it be good.
pub fn bgp_pair(data: &[u8]) {
    let mut script = Script::new(data);
    let mut link = Link::new(script.octet());
    for _ in 0..MAX_STEPS {
        let Some(step) = script.next() else { break };
        link.step(step, &mut script);
    }
    link.settle();
}

/// The two ends and what is under way between them, in order.
struct Link {
    ends: [Peer; 2],
    /// The names that the two ends have for a connection, while both know it.
    wires: Vec<[ConnectionId; 2]>,
    flights: VecDeque<(usize, Flight)>,
    now: Time,
    up: [bool; 2],
}

enum Flight {
    Syn(ConnectionId),
    SynAck(ConnectionId),
    Octets(ConnectionId, Vec<u8>),
    Fin(ConnectionId),
}

impl Link {
    fn new(how: u8) -> Self {
        let restart_time = (how & 1 == 0).then_some(120);
        let a = Config { restart_time, passive: how & 2 != 0, ..OURS };
        let b = Config { restart_time, passive: how & 4 != 0 && !a.passive, ..THEIRS };
        let mut ends = [Peer::new(a, u64::from(how)), Peer::new(b, !u64::from(how))];
        for end in &mut ends {
            end.start(Time::ZERO);
        }
        Self { ends, wires: Vec::new(), flights: VecDeque::new(), now: Time::ZERO, up: [false; 2] }
    }

    fn step(&mut self, step: u8, script: &mut Script<'_>) {
        self.flush();
        let side = usize::from(step >> 7);
        match step % 8 {
            0..=2 => self.land(None),
            3 => self.wait(Duration::from_millis(100) * u32::from(script.octet())),
            4 => self.wait(Duration::from_secs(1) * u32::from(script.octet())),
            5 => self.land(Some((script.place(usize::MAX), script.octet()))),
            6 => {
                // One end loses the connection; the other never hears of it.
                if let Some(wire) = self.wires.get(script.place(self.wires.len())).copied() {
                    self.wires.retain(|other| *other != wire);
                    self.ends[side].closed(self.now, wire[side]);
                }
            }
            _ => {
                let now = self.now;
                match script.octet() % 4 {
                    0 => self.ends[side].start(now),
                    1 => self.ends[side].stop(now, &Stop::TunnelDown),
                    2 => self.ends[side].stop(now, &Stop::Limit),
                    _ => self.ends[side].reset(now, "filters"),
                }
            }
        }
        self.flush();
    }

    /// The first flight arrives; an octet of it is changed at a place, by a value.
    fn land(&mut self, change: Option<(usize, u8)>) {
        let Some((side, flight)) = self.flights.pop_front() else { return };
        let name = |wires: &[[ConnectionId; 2]], theirs| {
            wires.iter().find(|wire| wire[1 - side] == theirs).map(|wire| wire[side])
        };
        match flight {
            Flight::Syn(theirs) => {
                let ours = self.ends[side].accepted(self.now);
                let mut wire = [ours; 2];
                wire[1 - side] = theirs;
                self.wires.push(wire);
                self.flights.push_back((1 - side, Flight::SynAck(theirs)));
            }
            Flight::SynAck(id) => self.ends[side].connected(self.now, id),
            Flight::Octets(theirs, mut octets) => {
                let Some(ours) = name(&self.wires, theirs) else {
                    // A host without the connection answers with a reset.
                    self.ends[1 - side].closed(self.now, theirs);
                    return self.flush();
                };
                if let Some((at, value)) = change {
                    let at = at % octets.len();
                    octets[at] ^= value;
                }
                self.ends[side].received(self.now, ours, &octets);
            }
            Flight::Fin(theirs) => {
                if let Some(ours) = name(&self.wires, theirs) {
                    self.ends[side].closed(self.now, ours);
                    self.wires.retain(|wire| wire[side] != ours);
                }
            }
        }
        self.flush();
    }

    /// What the ends want to be sent goes under way.
    fn flush(&mut self) {
        for side in 0..2 {
            while let Some(output) = self.ends[side].poll_output() {
                let flight = match output {
                    Output::Connect(id) => Flight::Syn(id),
                    Output::Send(id, octets) => Flight::Octets(id, octets),
                    Output::Close(id) => Flight::Fin(id),
                    Output::Up(_) => {
                        assert!(!core::mem::replace(&mut self.up[side], true), "up twice");
                        continue;
                    }
                    Output::Down(..) => {
                        assert!(core::mem::replace(&mut self.up[side], false), "down twice");
                        continue;
                    }
                    Output::Failed(_) | Output::Routes(_) | Output::Refresh(_) | Output::Flush(_) => continue,
                };
                self.flights.push_back((1 - side, flight));
            }
        }
        assert!(self.flights.len() <= MOST_FLIGHTS, "they talk without end");
    }

    /// Time passes, and nothing arrives.
    fn wait(&mut self, span: Duration) {
        self.now = self.now + span;
        for end in &mut self.ends {
            end.poll(self.now);
        }
        self.flush();
    }

    /// Everything arrives at once, for as long as the longest waits take: both ends are established, and stay so.
    fn settle(&mut self) {
        for end in &mut self.ends {
            end.start(self.now);
        }
        for second in 0..SETTLED {
            self.wait(Duration::from_secs(1));
            while !self.flights.is_empty() {
                self.land(None);
            }
            if second >= SETTLED - STAYS {
                assert_eq!(self.ends.each_ref().map(Peer::state), [State::Established; 2], "second {second}");
            }
        }
    }
}

/// A script takes time by its steps: more of them find nothing that these do not.
const MAX_STEPS: usize = 128;
/// Nothing answers more than once, but an end that hears nothing goes on to try.
const MOST_FLIGHTS: usize = 4096;
/// Seconds: hold times, and then a few of the longest waits.
const SETTLED: u32 = 600;
/// Seconds of them, at the end.
const STAYS: u32 = 60;
