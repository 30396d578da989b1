//! A link that loses, doubles and reorders as its seed says, holds or drops what a test names, and may translate
//! addresses.

use core::fmt::Debug;
use core::time::Duration;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use gotthard_ike::codec::header::Header;
use gotthard_ike::codec::iana::ExchangeType;
use gotthard_ike::{Time, Transmit};

use super::clock::Seeded;
use super::watch::Watch;

/// What the link does to datagrams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    pub(crate) loss_percent: u64,
    pub(crate) duplicate_percent: u64,
    /// Shortest time under way.
    pub(crate) latency: Duration,
    /// What is added at random: datagrams overtake each other.
    pub(crate) jitter: Duration,
}

impl Weather {
    pub(crate) const FAIR: Self = Self {
        loss_percent: 0,
        duplicate_percent: 0,
        latency: Duration::from_millis(5),
        jitter: Duration::ZERO,
    };
    pub(crate) const FOUL: Self = Self {
        loss_percent: 30,
        duplicate_percent: 20,
        latency: Duration::from_millis(5),
        jitter: Duration::from_millis(60),
    };
}

/// What is under way.
#[derive(Clone, Debug)]
pub(crate) enum Cargo {
    Ike(Vec<u8>),
    /// An ESP packet with this SPI.
    Esp(u32),
}

/// A datagram that arrives.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) cargo: Cargo,
}

/// Which IKE messages: those of one end, of one exchange, its requests or its responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Which {
    from: IpAddr,
    exchange: ExchangeType,
    response: bool,
}

impl Which {
    pub(crate) const fn request(from: IpAddr, exchange: ExchangeType) -> Self {
        Self { from, exchange, response: false }
    }

    pub(crate) const fn response(from: IpAddr, exchange: ExchangeType) -> Self {
        Self { from, exchange, response: true }
    }

    fn is(self, transmit: &Transmit) -> bool {
        let header = Header::parse(&transmit.payload).unwrap();
        transmit.local.ip() == self.from
            && header.exchange == self.exchange
            && header.flags.response == self.response
    }
}

/// What becomes of the messages that a test names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Held,
    Lost,
}

/// Translates the source addresses of a host behind it.
#[derive(Clone, Debug)]
pub(crate) struct Translator {
    inside: IpAddr,
    outside: IpAddr,
    /// Outside port by inside port.
    ports: BTreeMap<u16, u16>,
    next_port: u16,
}

impl Translator {
    pub(crate) fn new(inside: IpAddr, outside: IpAddr) -> Self {
        Self { inside, outside, ports: BTreeMap::new(), next_port: 40_000 }
    }

    /// Forgets its mappings: what goes out next comes from other ports.
    pub(crate) fn restart(&mut self) {
        self.ports.clear();
    }

    fn out(&mut self, from: SocketAddr) -> SocketAddr {
        if from.ip() != self.inside {
            return from;
        }
        let next_port = &mut self.next_port;
        let port = *self.ports.entry(from.port()).or_insert_with(|| {
            *next_port += 1;
            *next_port
        });
        (self.outside, port).into()
    }

    /// `None`: nobody inside has this port.
    fn back(&self, to: SocketAddr) -> Option<SocketAddr> {
        if to.ip() != self.outside {
            return Some(to);
        }
        let mapped = self.ports.iter().find(|(_, outside)| **outside == to.port());
        mapped.map(|(inside, _)| (self.inside, *inside).into())
    }
}

/// The link.
pub(crate) struct Link {
    pub(crate) weather: Weather,
    pub(crate) nat: Option<Translator>,
    /// The longest IKE message in octets that arrives; what is longer is lost without a word.
    pub(crate) mtu: usize,
    /// Every IKE datagram that was sent, in order, lost ones too.
    pub(crate) sent: Vec<Transmit>,
    /// What both ends send is watched; `None` where the link carries one end's messages alone.
    pub(crate) watch: Option<Watch>,
    /// Prints what happens, for who looks into a failed test: where GOTTHARD_STORY is set.
    pub(crate) aloud: bool,
    fates: Vec<(Which, Fate)>,
    held: Vec<Transmit>,
    random: Seeded,
    under_way: BTreeMap<(Time, u64), Arrival>,
    count: u64,
}

impl Link {
    pub(crate) fn new(seed: u64, weather: Weather) -> Self {
        Self {
            weather,
            nat: None,
            mtu: usize::MAX,
            sent: Vec::new(),
            watch: Some(Watch::default()),
            aloud: std::env::var_os("GOTTHARD_STORY").is_some(),
            fates: Vec::new(),
            held: Vec::new(),
            random: Seeded::new(seed),
            under_way: BTreeMap::new(),
            count: 0,
        }
    }

    /// A link that carries the messages of one end alone.
    pub(crate) fn unwatched(seed: u64, weather: Weather) -> Self {
        Self { watch: None, ..Self::new(seed, weather) }
    }

    pub(crate) fn send_ike(&mut self, now: Time, transmit: Transmit) {
        if let Some(watch) = &mut self.watch {
            watch.see(now, &transmit);
        }
        self.tell_of(now, &transmit);
        self.sent.push(transmit.clone());
        match self.fates.iter().find(|(which, _)| which.is(&transmit)) {
            Some((_, Fate::Held)) => self.held.push(transmit),
            Some((_, Fate::Lost)) => {}
            None => self.carry(now, transmit),
        }
    }

    /// Holds these messages back from here on.
    pub(crate) fn hold(&mut self, which: Which) {
        self.fates.push((which, Fate::Held));
    }

    /// Loses these messages from here on.
    pub(crate) fn lose(&mut self, which: Which) {
        self.fates.push((which, Fate::Lost));
    }

    /// How many messages are held back.
    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    /// Carries these messages again, and first those that were held.
    pub(crate) fn release(&mut self, now: Time, which: Which) {
        self.fates.retain(|(named, _)| *named != which);
        for transmit in self.held.extract_if(.., |transmit| which.is(transmit)).collect::<Vec<_>>() {
            self.carry(now, transmit);
        }
    }

    /// Prints a line of the story.
    #[allow(clippy::print_stdout, reason = "it is asked for")]
    pub(crate) fn tell(&self, now: Time, line: &dyn Debug) {
        if self.aloud {
            println!("{:>10.3} {line:?}", now.since_epoch().as_secs_f64());
        }
    }

    fn tell_of(&self, now: Time, transmit: &Transmit) {
        let header = Header::parse(&transmit.payload).unwrap();
        let arrow = if header.flags.response { "<--" } else { "-->" };
        let (from, exchange, id) = (transmit.local.ip(), header.exchange, header.message_id);
        self.tell(now, &format_args!("{from} {arrow} {exchange:?} {id} ({:016x})", header.spi_i));
    }

    fn carry(&mut self, now: Time, transmit: Transmit) {
        let Transmit { local, remote, payload } = transmit;
        if payload.len() > self.mtu || self.random.percent(self.weather.loss_percent) {
            return;
        }
        let copies = if self.random.percent(self.weather.duplicate_percent) { 2 } else { 1 };
        for _ in 0..copies {
            self.launch(now, local, remote, Cargo::Ike(payload.clone()));
        }
    }

    /// ESP is neither lost nor doubled here: a packet that does not arrive was lost by an end.
    pub(crate) fn send_esp(&mut self, now: Time, local: SocketAddr, remote: SocketAddr, spi: u32) {
        self.launch(now, local, remote, Cargo::Esp(spi));
    }

    /// When the next datagram arrives.
    pub(crate) fn next(&self) -> Option<Time> {
        self.under_way.keys().next().map(|(at, _)| *at)
    }

    pub(crate) fn take_due(&mut self, now: Time) -> Option<Arrival> {
        let entry = self.under_way.first_entry()?;
        if entry.key().0 > now {
            return None;
        }
        let mut arrival = entry.remove();
        if let Some(nat) = &self.nat {
            arrival.to = nat.back(arrival.to)?;
        }
        Some(arrival)
    }

    fn launch(&mut self, now: Time, from: SocketAddr, to: SocketAddr, cargo: Cargo) {
        let from = self.nat.as_mut().map_or(from, |nat| nat.out(from));
        let at = now + self.weather.latency + self.random.below(self.weather.jitter);
        self.count += 1;
        self.under_way.insert((at, self.count), Arrival { from, to, cargo });
    }
}
