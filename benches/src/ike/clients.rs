//! Clients that make one IKE SA after the other with a responder, as fast as it answers. Each forgets the last when it
//! makes the next, as after a restart, and says so (INITIAL_CONTACT).

use core::time::Duration;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use anyhow::{Result, ensure};
use gotthard_benches::seeded::Seeded;
use gotthard_benches::tunnel;
use gotthard_ike::codec::payload::ts::TrafficSelector;
use gotthard_ike::config::{Mode, PeerConfig, PeerId};
use gotthard_ike::{Endpoint, Event, Output, Time};
use gotthard_lab::Netns;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::port::{NATT_PORT, Port};

/// All clients, each at an address of its own.
pub(super) struct Clients {
    clients: Vec<Client>,
    start: Instant,
}

/// The address of a client: no two share a /24.
pub(super) fn client(number: u8) -> IpAddr {
    Ipv4Addr::new(10, 64, number, 1).into()
}

impl Clients {
    /// Clients in a host that has their addresses.
    pub(super) fn new(count: u8, host: &Netns, responder: IpAddr, group: &str) -> Result<Self> {
        let clients = (0..count).map(|number| Client::new(number, host, responder, group));
        Ok(Self { clients: clients.collect::<Result<_>>()?, start: Instant::now() })
    }

    /// Makes IKE SAs for as long as that; gives how many there were.
    pub(super) fn run_for(&mut self, duration: Duration) -> Result<u64> {
        let end = Instant::now() + duration;
        let before = self.made();
        while Instant::now() < end {
            let mut ports: Vec<_> =
                self.clients.iter().map(|client| PollFd::new(&client.port, PollFlags::IN)).collect();
            poll(&mut ports, Some(&Timespec::try_from(TURN)?))?;
            let ready: Vec<_> = ports.iter().map(|port| !port.revents().is_empty()).collect();
            let now = Time::from_epoch(self.start.elapsed());
            for (client, ready) in self.clients.iter_mut().zip(ready) {
                client.turn(now, ready)?;
            }
        }
        Ok(self.made() - before)
    }

    fn made(&self) -> u64 {
        self.clients.iter().map(|client| client.made).sum()
    }
}

/// A client that makes one IKE SA and keeps it: it asks whether the responder lives, and times the answers.
pub(super) struct Steady {
    client: Client,
    start: Instant,
}

impl Steady {
    /// It asks after `interval` without a message.
    pub(super) fn new(
        number: u8,
        host: &Netns,
        responder: IpAddr,
        group: &str,
        interval: Duration,
    ) -> Result<Self> {
        let mut client = Client::new(number, host, responder, group)?;
        client.config.dpd_interval = interval;
        Ok(Self { client, start: Instant::now() })
    }

    /// Makes the IKE SA.
    pub(super) fn come_up(&mut self, deadline: Duration) -> Result<()> {
        let end = Instant::now() + deadline;
        self.client.begin(self.now());
        self.client.drain();
        while self.client.made == 0 {
            ensure!(Instant::now() < end, "the tunnel does not come up within {deadline:?}");
            self.turn()?;
        }
        Ok(())
    }

    /// The times from each request, the first transmission of it, to what came next.
    pub(super) fn ask_for(&mut self, duration: Duration) -> Result<Vec<Duration>> {
        let end = Instant::now() + duration;
        let (mut asked, mut delays) = (None, Vec::new());
        while Instant::now() < end {
            let (sent, received) = (self.client.sent, self.client.received);
            self.turn()?;
            if self.client.received > received {
                delays.extend(asked.take().map(|asked: Instant| asked.elapsed()));
            }
            if self.client.sent > sent {
                asked.get_or_insert_with(Instant::now);
            }
        }
        ensure!(self.client.made == 1, "the tunnel did not stay up");
        Ok(delays.into_iter().chain(asked.map(|asked| asked.elapsed())).collect())
    }

    fn now(&self) -> Time {
        Time::from_epoch(self.start.elapsed())
    }

    fn turn(&mut self) -> Result<()> {
        let patience = self.client.timeout.map_or(TURN, |at| (at - self.now()).min(TURN));
        let mut ports = [PollFd::new(&self.client.port, PollFlags::IN)];
        poll(&mut ports, Some(&Timespec::try_from(patience)?))?;
        let ready = ports.iter().any(|port| !port.revents().is_empty());
        self.client.go_on(self.now(), ready)
    }
}

struct Client {
    endpoint: Endpoint,
    config: PeerConfig,
    port: Port,
    timeout: Option<Time>,
    /// Whether an attempt is under way.
    trying: bool,
    made: u64,
    /// Messages.
    sent: u64,
    received: u64,
    seed: u64,
}

impl Client {
    fn new(number: u8, host: &Netns, responder: IpAddr, group: &str) -> Result<Self> {
        let local = client(number);
        let config = PeerConfig {
            ts_local: vec![TrafficSelector::from_prefix(local, 32)],
            start_on_4500: true,
            ..tunnel::config(Mode::Initiator, local, responder, group)
        };
        Ok(Self {
            endpoint: Endpoint::new(Box::new(Seeded(0))),
            config,
            port: Port::new(host.udp(SocketAddr::new(local, NATT_PORT))?)?,
            timeout: None,
            trying: false,
            made: 0,
            sent: 0,
            received: 0,
            seed: u64::from(number) << 32,
        })
    }

    /// Does what can be done now, and starts anew when the tunnel is up.
    fn turn(&mut self, now: Time, ready: bool) -> Result<()> {
        self.go_on(now, ready)?;
        if !self.trying {
            self.begin(now);
            self.drain();
        }
        Ok(())
    }

    /// Does what can be done now.
    fn go_on(&mut self, now: Time, ready: bool) -> Result<()> {
        while ready && let Some((local, remote, payload)) = self.port.receive()? {
            self.received += 1;
            self.endpoint.handle_datagram(now, local, remote, payload);
        }
        if self.timeout.is_some_and(|at| at <= now) {
            self.endpoint.handle_timeout(now);
        }
        self.drain();
        Ok(())
    }

    /// Forgets all and starts anew.
    fn begin(&mut self, now: Time) {
        self.seed += 1;
        self.endpoint = Endpoint::new(Box::new(Seeded(self.seed)));
        self.endpoint.add_peer(PEER, self.config.clone());
        self.endpoint.initiate(now, PEER);
        self.trying = true;
    }

    fn drain(&mut self) {
        loop {
            match self.endpoint.poll_output() {
                Output::Transmit(transmit) => {
                    self.sent += 1;
                    self.port.send(&transmit);
                }
                Output::Event(Event::ChildUp { .. }) => {
                    self.made += 1;
                    self.trying = false;
                }
                Output::Event(Event::Failed { reason, .. }) => {
                    eprintln!("a client failed: {reason}");
                    self.trying = false;
                }
                Output::Event(_) | Output::Install(_) | Output::Keepalive { .. } | Output::Keys(_) => {}
                Output::Compute(job) => self.endpoint.handle_computed(Time::ZERO, job.run()),
                Output::Timeout { at } => {
                    self.timeout = at;
                    return;
                }
            }
        }
    }
}

const PEER: PeerId = PeerId(1);
/// Longest time without a look at the clock.
const TURN: Duration = Duration::from_millis(100);
