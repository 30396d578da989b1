//! What the daemon knows of one tunnel: its configuration, its desired state, its device and its counters.

use core::fmt::Display;
use std::net::IpAddr;

use gotthard_ike::Time;
use gotthard_ike::config::PeerId;
use gotthard_ike::error::Failure;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use tracing::{Span, info, info_span, warn};

use super::external::Shown;
use super::peer::peer_config;
use super::probing::Prober;
use crate::api::messages::Target;
use crate::config::ceilings::Ceilings;
use crate::config::lifetimes::Lifetimes;
use crate::config::model::{Connection, Routing, Tunnel as TunnelConfig, TunnelAuth};
use crate::diagnose::Diagnosis;
use crate::diagnose::unheard::Spoken;
use crate::events::kind;
use crate::failover::facts::{Facts, Session, Wish};
use crate::ike_driver::IkeDriver;
use crate::install::{self, EspSettings, Traffic};
use crate::probe::Liveness;
use crate::routes::uplink::{Ends, Uplink};
use crate::tunnels::{Change, Phase, Tunnel};

/// One tunnel.
pub(super) struct Record {
    pub(super) id: PeerId,
    /// The connection's settings, without its list of tunnels; of its prefixes only the families are kept.
    pub(super) connection: Connection,
    pub(super) tunnel: TunnelConfig,
    pub(super) state: Tunnel,
    /// What is wanted of it, by the operator or for a planned move.
    pub(super) wish: Wish,
    /// How its BGP session is.
    pub(super) bgp: Session,
    /// A new configuration does not have it, or has it otherwise.
    pub(super) leaves: bool,
    /// While it has a child SA.
    pub(super) prober: Option<Prober>,
    /// Our outer address as the endpoint knows it; `None`: the endpoint does not know the peer.
    pub(super) local: Option<IpAddr>,
    /// The host's own way to the peer.
    pub(super) uplink: Uplink,
    /// MTU of the path to the peer, as far as our own link tells.
    pub(super) outer_mtu: u16,
    pub(super) device: Device,
    /// The device's carrier, where another daemon goes by it.
    pub(super) shown: Option<Shown>,
    /// Somebody has set the device down: nothing passes.
    pub(super) set_down: bool,
    /// Why the peer cannot be asked: no address of ours, no socket.
    pub(super) no_path: Option<String>,
    /// Why the packet path refused an SA.
    pub(super) no_sa: Option<String>,
    /// Inner MTU of the child SA.
    pub(super) mtu: Option<u16>,
    /// What its counters and echoes show.
    pub(super) diagnosis: Diagnosis,
    /// Counters of devices that are gone.
    before: Traffic,
    /// Counters of the present device.
    present: Traffic,
    /// Of the counters of the present device, what the books have.
    booked: Booked,
    /// Octets that ESP adds to a packet, of the latest child SA.
    overhead: u16,
    /// Packets and octets received when the child SA came up.
    rx_at_child: (u64, u64),
}

/// The TUN device of a tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Device {
    /// It is there.
    Ready,
    /// It is not; the next attempt is at this time.
    Missing { why: String, retry: Time },
}

/// Whether packets were carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moved {
    /// Authentic packets of the peer.
    pub(super) received: bool,
    /// Packets to the peer.
    pub(super) sent: bool,
}

/// What a tunnel carried, in octets on the wire with the outer headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Carried {
    /// From the peer.
    pub(super) received: u64,
    /// To the peer.
    pub(super) sent: u64,
}

/// Packets and inner octets in each direction.
#[derive(Clone, Copy, Debug, Default)]
struct Booked {
    received: (u64, u64),
    sent: (u64, u64),
}

impl Record {
    pub(super) fn new(id: PeerId, connection: &Connection, tunnel: &TunnelConfig, now: Time) -> Self {
        let connection = settings(connection);
        let session = if connection.routing == Routing::Bgp { Session::Down } else { Session::None };
        let shown = Shown::of(&connection);
        Self {
            id,
            state: Tunnel::new(connection.mode, now, seed(id)),
            diagnosis: Diagnosis::default(),
            connection,
            tunnel: tunnel.clone(),
            wish: Wish::Up,
            bgp: session,
            leaves: false,
            prober: None,
            local: None,
            uplink: Uplink::default(),
            outer_mtu: install::OUTER_MTU,
            shown,
            device: Device::Missing { why: "not made yet".to_owned(), retry: now },
            set_down: false,
            no_path: None,
            no_sa: None,
            mtu: None,
            before: Traffic::default(),
            present: Traffic::default(),
            booked: Booked::default(),
            overhead: 0,
            rx_at_child: (0, 0),
        }
    }

    /// Takes certificates and lists that may have been renewed in the same files: the next IKE SA is made with them.
    pub(super) fn take_renewed_files(&mut self, tunnel: &TunnelConfig, driver: &mut IkeDriver) {
        if matches!(tunnel.auth, TunnelAuth::Psk(_)) {
            return;
        }
        self.tunnel.auth = tunnel.auth.clone();
        if let Some(local) = self.local {
            driver.endpoint().add_peer(self.id, peer_config(&self.connection, &self.tunnel, local));
        }
    }

    /// Takes the place of the tunnel that an earlier configuration described.
    pub(super) fn continues(&mut self, earlier: &Self) {
        self.before = earlier.traffic();
        self.state.continues(&earlier.state);
        if earlier.wish == Wish::Down {
            self.wish = Wish::Down;
        }
    }

    /// The names of its connection and its own.
    pub(super) fn names(&self) -> (&str, &str) {
        names(&self.connection, &self.tunnel)
    }

    /// True if this is the tunnel that the configuration describes, in everything that concerns its SAs and device.
    pub(super) fn is(&self, connection: &Connection, tunnel: &TunnelConfig) -> bool {
        self.connection == settings(connection) && self.tunnel == *tunnel
    }

    /// True if an operator means this tunnel, by its own name or by its connection's.
    pub(super) fn is_at(&self, target: &Target) -> bool {
        self.connection.name == target.connection
            && target.tunnel.as_ref().is_none_or(|name| *name == self.tunnel.name)
    }

    /// Takes the counters of the present device, and tells what happened since the last time.
    pub(super) fn count(&mut self, traffic: Traffic) -> Moved {
        let moved = Moved {
            received: traffic.rx_packets > self.present.rx_packets,
            sent: traffic.tx_packets > self.present.tx_packets,
        };
        self.present = traffic;
        moved
    }

    /// What the tunnel has carried since this was last asked, as on the wire, by the counters of its present device.
    pub(super) fn carried(&mut self, traffic: &Traffic) -> Carried {
        let now = Booked {
            received: (traffic.rx_packets, traffic.rx_bytes),
            sent: (traffic.tx_packets, traffic.tx_bytes),
        };
        let before = core::mem::replace(&mut self.booked, now);
        let on_the_wire = |now: (u64, u64), before: (u64, u64)| {
            let (packets, octets) = (now.0.saturating_sub(before.0), now.1.saturating_sub(before.1));
            octets.saturating_add(packets.saturating_mul(self.overhead.into()))
        };
        Carried {
            received: on_the_wire(now.received, before.received),
            sent: on_the_wire(now.sent, before.sent),
        }
    }

    /// A child SA takes over: what it receives is counted from here on.
    pub(super) fn begin_child(&mut self) {
        self.overhead = self.esp_overhead().unwrap_or(self.overhead);
        self.rx_at_child = (self.present.rx_packets, self.present.rx_bytes);
    }

    /// True if the child SA has received three quarters of what it may carry. A peer that sends with a key should see to
    /// its end itself; where it does not, we do, and drop nothing.
    pub(super) fn inbound_nears_end(&self) -> bool {
        let Some(child) = self.state.child() else { return false };
        let Lifetimes { packets, bytes, .. } = self.connection.lifetimes;
        let numbers = (!child.esn).then_some(SEQUENCE_NUMBERS);
        let (packets_before, octets_before) = self.rx_at_child;
        let used_up = |limit: Option<u64>, used: u64| limit.is_some_and(|limit| used >= limit / 4 * 3);
        used_up(
            packets.into_iter().chain(numbers).min(),
            self.present.rx_packets.saturating_sub(packets_before),
        ) || used_up(bytes, self.present.rx_bytes.saturating_sub(octets_before))
    }

    /// True if the present child SA sends with this SPI.
    pub(super) fn sends_with(&self, spi: u32) -> bool {
        self.state.child().is_some_and(|child| child.spi_out == spi)
    }

    /// The device is gone, and its counters with it.
    pub(super) fn lose_device(&mut self, why: impl Display, retry: Time) {
        self.before = self.traffic();
        self.present = Traffic::default();
        self.booked = Booked::default();
        self.device = Device::Missing { why: why.to_string(), retry };
        self.mtu = None;
        self.rx_at_child = (0, 0);
    }

    /// What the tunnel carried since it was configured.
    pub(super) fn traffic(&self) -> Traffic {
        self.before.plus(&self.present)
    }

    /// What TCP said in it since it was configured.
    pub(super) fn spoken(&self) -> Spoken {
        let of = |traffic: &Traffic| Spoken {
            asked: traffic.tx_openings.wrapping_add(traffic.tx_segments),
            answered: traffic.rx_answers,
        };
        of(&self.before).plus(of(&self.present))
    }

    /// Packets that the present device has received, as far as it was asked.
    pub(super) const fn received(&self) -> u64 {
        self.present.rx_packets
    }

    /// What failover decides by.
    pub(super) fn facts(&self) -> Facts {
        let device = self.device == Device::Ready && !self.set_down;
        Facts {
            wish: if self.is_wanted() { self.wish } else { Wish::Down },
            ike: self.state.ike().is_some(),
            esp: self.state.phase() == Phase::Up && device && self.no_sa.is_none(),
            probe: self.probe_hears() && self.lost_since().is_none(),
            bgp: self.bgp,
            preference: PREFERENCE,
        }
    }

    /// Operator and configuration want it. Of what is on its way out it is no news that nothing is heard.
    pub(super) const fn is_wanted(&self) -> bool {
        !self.leaves && !matches!(self.wish, Wish::Down)
    }

    /// What its probe alone says.
    pub(super) fn probe_hears(&self) -> bool {
        self.prober.as_ref().is_none_or(|prober| prober.probe.liveness() == Liveness::Up)
    }

    /// When something was heard of the peer inside the tunnel; `None`: it is down.
    pub(super) fn heard(&self) -> Option<Time> {
        self.lost_since().or_else(|| self.prober.as_ref().map(|prober| prober.probe.heard()))
    }

    /// Where its outer packets go from and to.
    pub(super) const fn outer_ends(&self) -> Ends {
        Ends { local: self.local, peer: self.tunnel.peer }
    }

    /// What the packet path is told of each of its SAs.
    pub(super) fn esp_settings(&self) -> EspSettings {
        let Connection { replay_window, peer_replay_window, lifetimes, .. } = &self.connection;
        EspSettings {
            window: *replay_window,
            peer_window: *peer_replay_window,
            packets: lifetimes.packets,
            octets: lifetimes.bytes,
        }
    }

    /// The inner MTU that the child SA leaves.
    pub(super) fn negotiated_mtu(&self) -> Option<u16> {
        let child = self.state.child()?;
        install::inner_mtu(
            &child.suite,
            child.encapsulation,
            self.tunnel.peer,
            self.outer_mtu,
            self.connection.mtu,
        )
    }

    /// What ESP adds to a packet that fills the path, with the outer headers; a smaller one may take a few octets of padding
    /// more.
    fn esp_overhead(&self) -> Option<u16> {
        let child = self.state.child()?;
        let outer = install::OUTER_MTU;
        let inner = install::inner_mtu(&child.suite, child.encapsulation, self.tunnel.peer, outer, u16::MAX)?;
        outer.checked_sub(inner)
    }

    /// Tells the operator.
    pub(super) fn log(&self, change: &Change) {
        self.span().in_scope(|| match change {
            // Told with the change of the state (`hooks.rs`).
            Change::Up | Change::IkeRekeyed | Change::ChildRekeyed | Change::Down(_) => {}
            Change::Replaced => {
                let code = Failure::Replaced.code();
                info!(code, ike = self.ike_text(), event = kind::IKE_REPLACED, "IKE SA replaced by another");
            }
            Change::RekeyFailed(what, reason) => {
                let (code, remedy, reason) = (reason.code(), reason.remedy(), escaped(reason));
                let event = kind::REKEY_FAILED;
                warn!(code, %what, reason, remedy, event, "rekey failed; the tunnel is made anew in time");
            }
            Change::Failed(reason) => {
                let (code, remedy, reason) = (reason.code(), reason.remedy(), escaped(reason));
                warn!(code, reason, remedy, event = kind::TUNNEL_FAILED, "no tunnel");
            }
        });
    }

    /// Its IKE SA in a few words.
    pub(super) fn ike_text(&self) -> Option<String> {
        let sa = self.state.ike()?;
        Some(format!("{}, spi_i {:016x}, spi_r {:016x}", sa.suite, sa.spi_i, sa.spi_r))
    }

    /// Its child SA in a few words.
    pub(super) fn child_text(&self) -> Option<String> {
        let sa = self.state.child()?;
        Some(format!("{}, spi_in {:08x}, spi_out {:08x}", sa.suite, sa.spi_in, sa.spi_out))
    }

    /// The span of everything that is logged of the tunnel.
    pub(super) fn span(&self) -> Span {
        info_span!("tunnel", connection = %self.connection.name, tunnel = %self.tunnel.name)
    }
}

/// What tells a tunnel from all others of a configuration.
pub(super) fn names<'a>(connection: &'a Connection, tunnel: &'a TunnelConfig) -> (&'a str, &'a str) {
    (&connection.name, &tunnel.name)
}

/// A connection without what does not concern the SAs of its tunnels: of its prefixes only the families do.
fn settings(connection: &Connection) -> Connection {
    let mut remote: Vec<IpNet> = connection.remote.iter().map(family).collect();
    remote.sort_unstable();
    remote.dedup();
    Connection {
        remote,
        policy: None,
        bgp: None,
        ecmp: false,
        ceilings: Ceilings::default(),
        tunnels: Vec::new(),
        ..connection.clone()
    }
}

/// All addresses of the prefix's family.
fn family(prefix: &IpNet) -> IpNet {
    match prefix {
        IpNet::V4(_) => Ipv4Net::default().into(),
        IpNet::V6(_) => Ipv6Net::default().into(),
    }
}

/// Text that a peer had a hand in, on one line. Quotes and backslashes stay: whoever prints the text quotes it.
pub(super) fn escaped(text: impl Display) -> String {
    let mut line = String::new();
    for c in text.to_string().chars() {
        match c {
            '\'' | '"' | '\\' => line.push(c),
            c => line.extend(c.escape_debug()),
        }
    }
    line
}

/// Tells the tunnels of one gateway apart; two gateways need not differ.
fn seed(id: PeerId) -> u64 {
    0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(u64::from(id.0).wrapping_add(1))
}

/// The tunnels of a connection are equal.
const PREFERENCE: u32 = 100;
/// Packets that can be numbered without ESN (RFC 4303 §3.3.3).
const SEQUENCE_NUMBERS: u64 = 1 << 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_says_stays_on_one_line_and_moves_no_cursor() {
        assert_eq!(escaped("a\nb\x1b[2J\u{202e} \"c\" it's"), "a\\nb\\u{1b}[2J\\u{202e} \"c\" it's");
    }

    #[test]
    fn of_a_connections_prefixes_only_the_families_concern_its_tunnels() {
        for (prefix, expected) in [("10.200.0.0/16", "0.0.0.0/0"), ("fd00::/8", "::/0")] {
            assert_eq!(family(&prefix.parse().expect("a prefix")).to_string(), expected);
        }
    }
}
