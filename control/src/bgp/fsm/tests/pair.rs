//! Two ends and the wire between them: connections that cross, and what becomes of them (RFC 4271 §6.8).

use std::collections::VecDeque;

use super::*;

/// Two sessions; what one sends the other gets, after `delay`.
struct Pair {
    ends: [Peer; 2],
    /// The names that the two ends have for a connection.
    wires: Vec<[ConnectionId; 2]>,
    flights: VecDeque<(Time, usize, Flight)>,
    ups: [usize; 2],
    downs: usize,
}

enum Flight {
    Syn(ConnectionId),
    SynAck(ConnectionId),
    Octets(ConnectionId, Vec<u8>),
    Fin(ConnectionId),
}

impl Pair {
    fn new(a: Config, b: Config) -> Self {
        let ends = [Peer::new(a, 3), Peer::new(b, 1 << 40)];
        Self { ends, wires: Vec::new(), flights: VecDeque::new(), ups: [0; 2], downs: 0 }
    }

    /// Lets time pass until `end`; a flight takes 5 ms.
    fn run(&mut self, end: Time) {
        let mut now = Time::ZERO;
        loop {
            for side in 0..2 {
                self.flush(now, side);
            }
            let arrival = self.flights.front().map(|(at, ..)| *at);
            let due = self.ends.iter().filter_map(Peer::next).chain(arrival).min();
            now = match due {
                Some(due) if due <= end => due.max(now),
                Some(_) | None => break,
            };
            while self.flights.front().is_some_and(|(at, ..)| *at <= now) {
                let (_, side, flight) = self.flights.pop_front().expect("a flight");
                self.land(now, side, flight);
            }
            self.ends.iter_mut().for_each(|end| end.poll(now));
        }
    }

    fn flush(&mut self, now: Time, side: usize) {
        while let Some(output) = self.ends[side].poll_output() {
            let flight = match output {
                Output::Connect(id) => Flight::Syn(id),
                Output::Send(id, octets) => Flight::Octets(id, octets),
                Output::Close(id) => Flight::Fin(id),
                Output::Up(_) => {
                    self.ups[side] += 1;
                    continue;
                }
                Output::Down(..) => {
                    self.downs += 1;
                    continue;
                }
                Output::Failed(_) | Output::Routes(_) | Output::Refresh(_) | Output::Flush(_) => continue,
            };
            self.flights.push_back((now + Duration::from_millis(5), 1 - side, flight));
        }
    }

    fn land(&mut self, now: Time, side: usize, flight: Flight) {
        let peer = |wires: &[[ConnectionId; 2]], id| {
            wires.iter().find(|wire| wire[1 - side] == id).map(|wire| wire[side])
        };
        match flight {
            Flight::Syn(theirs) => {
                let ours = self.ends[side].accepted(now);
                let mut wire = [ours; 2];
                wire[1 - side] = theirs;
                self.wires.push(wire);
                // The connection is there for its opener before anything that is sent over it.
                let at = now + Duration::from_millis(5);
                self.flights.push_back((at, 1 - side, Flight::SynAck(theirs)));
            }
            Flight::SynAck(id) => self.ends[side].connected(now, id),
            Flight::Octets(theirs, octets) => {
                if let Some(ours) = peer(&self.wires, theirs) {
                    self.ends[side].received(now, ours, &octets);
                }
            }
            Flight::Fin(theirs) => {
                if let Some(ours) = peer(&self.wires, theirs) {
                    self.ends[side].closed(now, ours);
                    self.wires.retain(|wire| wire[side] != ours);
                }
            }
        }
    }

    fn connections(&self) -> [usize; 2] {
        self.ends.each_ref().map(|end| end.connections.len())
    }
}

#[test]
fn two_ends_that_connect_at_once_agree_on_one_connection() {
    let swapped = [
        Config { identifier: OTHER.identifier, ..CONFIG },
        Config { identifier: CONFIG.identifier, ..OTHER },
    ];
    for [a, b] in [[CONFIG, OTHER], swapped] {
        let mut pair = Pair::new(a, b);
        pair.ends.iter_mut().for_each(|end| end.start(Time::ZERO));
        pair.run(at(120));
        assert_eq!(pair.ends.each_ref().map(Peer::state), [State::Established; 2]);
        assert_eq!(pair.connections(), [1, 1]);
        assert_eq!((pair.ups, pair.downs), ([1, 1], 0), "no session was lost to the collision");
    }
}

#[test]
fn an_end_that_connects_to_a_passive_one_is_up_within_a_few_round_trips() {
    let mut pair = Pair::new(CONFIG, Config { passive: true, ..OTHER });
    pair.ends.iter_mut().for_each(|end| end.start(Time::ZERO));
    pair.run(Time::from_epoch(Duration::from_millis(100)));
    assert_eq!(pair.ends.each_ref().map(Peer::state), [State::Established; 2]);
}

#[test]
fn a_session_lasts_by_its_keepalives() {
    let mut pair = Pair::new(CONFIG, Config { hold_time: 3, ..OTHER });
    pair.ends.iter_mut().for_each(|end| end.start(Time::ZERO));
    pair.run(at(3600));
    assert_eq!((pair.ups, pair.downs), ([1, 1], 0));
}

#[test]
fn two_ends_that_refuse_each_other_do_not_hammer() {
    let mut pair = Pair::new(CONFIG, Config { peer_asn: 65099, ..OTHER });
    pair.ends.iter_mut().for_each(|end| end.start(Time::ZERO));
    pair.run(at(600));
    assert_eq!(pair.ups, [0, 0]);
    assert!(pair.ends[0].last_id < 200, "{} connections in 10 min", pair.ends[0].last_id);
    let codes = pair.ends.each_ref().map(|end| end.failure().map(Failure::code));
    assert!(codes.iter().all(Option::is_some), "{codes:?}");
}
