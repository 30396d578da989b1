//! A worker over the in-memory back end, driven step by step: no threads, no sockets, no clock to wait for.

#![allow(dead_code, unreachable_pub, reason = "each test file is a crate of its own and uses a part")]
#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a failed test is what a panic is for"
)]

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, mpsc};

use gotthard_dataplane::esp::transform::Transform;
use gotthard_dataplane::handle::{GatewayStats, Notice, Reply};
use gotthard_dataplane::io::Wire;
use gotthard_dataplane::io::channel::{Channel, Departure, Far};
use gotthard_dataplane::packet::checksum;
use gotthard_dataplane::sa::inbound::InboundSa;
use gotthard_dataplane::sa::outbound::OutboundSa;
use gotthard_dataplane::sa::spec::{
    AddressRange, Encapsulation, InboundSpec, Keys, Lifetime, OutboundSpec, OuterPath, Selectors, TunnelId,
    TunnelSpec,
};
use gotthard_dataplane::stats::TunnelStats;
use gotthard_dataplane::sys::wake::Waker;
use gotthard_dataplane::worker::crew::Crew;
use gotthard_dataplane::worker::mailbox::{Mailbox, Order, Receipt};
use gotthard_dataplane::worker::{Sending, Turn, Worker};

pub const TUNNEL: TunnelId = TunnelId(7);
pub const TUN: &str = "gth0";

/// A gateway with one worker and one tunnel.
pub struct Gateway {
    pub far: Far,
    worker: Worker<Channel>,
    mailbox: Mailbox<String>,
    notices: Arc<Mutex<Vec<Notice>>>,
    address: SocketAddr,
}

impl Gateway {
    /// A gateway at this outer address, its tunnel without SAs.
    pub fn new(address: &str) -> Self {
        let waker = Waker::new().unwrap();
        let (channel, far) = Channel::new(waker.clone(), BUFFERS);
        let (mailbox, orders) = Mailbox::new(waker);
        let notices = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&notices);
        let worker = Worker::new(channel, orders, Arc::new(move |notice| sink.lock().unwrap().push(notice)));
        let address = SocketAddr::new(address.parse().unwrap(), 4500);
        let mut gateway = Self { far, worker, mailbox, notices, address };
        gateway.renew_tunnel();
        gateway
    }

    /// Adds the tunnel, without SAs; removes it before, if it is there.
    pub fn renew_tunnel(&mut self) {
        self.tell(Order::RemoveTunnel(TUNNEL));
        let tunnel = TunnelSpec { id: TUNNEL, interface: TUN.into(), mtu_cap: 1446, outer_mtu: 1500 };
        self.tell(Order::AddTunnel(tunnel, vec![TUN.into()]));
    }

    /// The same gateway, its worker one of a crew.
    pub fn in_crew(self, crew: &Arc<Crew>) -> Self {
        Self { worker: self.worker.among(0, Some(Arc::clone(crew))), ..self }
    }

    /// Gives an order and returns the answer.
    pub fn tell(&mut self, order: Order<String>) -> Reply {
        let (sender, receiver) = mpsc::channel();
        self.mailbox.post(order, &Receipt::new(Box::new(move |reply| sender.send(reply).unwrap())));
        self.drive();
        receiver.try_recv().unwrap()
    }

    /// Works until nothing is ready.
    pub fn drive(&mut self) {
        while self.worker.turn().unwrap() == Turn::Worked {}
    }

    pub fn install_inbound(&mut self, spi: u32, transform: Transform) {
        let sa = InboundSa::new(&inbound_spec(spi, transform)).unwrap();
        assert!(matches!(self.tell(Order::InstallInbound(Box::new(sa))), Reply::Done));
    }

    /// Installs and returns the SA, so that a test can use up its sequence numbers.
    pub fn install_outbound(&mut self, spi: u32, transform: Transform, path: OuterPath) -> Arc<Sending> {
        self.install(&outbound_spec(spi, transform, path))
    }

    /// As [`Self::install_outbound`], for an SA of the test's own.
    pub fn install(&mut self, spec: &OutboundSpec) -> Arc<Sending> {
        let sa = Arc::new(Sending::new(OutboundSa::new(spec).unwrap()));
        assert!(matches!(self.tell(Order::InstallOutbound(Arc::clone(&sa), spec.path)), Reply::Done));
        sa
    }

    /// The way from here to `peer`.
    pub fn path_to(&self, peer: &Self, encapsulation: Encapsulation) -> OuterPath {
        OuterPath { local: self.address, remote: peer.address, encapsulation }
    }

    /// The host behind sends packets; what leaves for the outer network.
    pub fn send<'p>(&mut self, packets: impl IntoIterator<Item = &'p Vec<u8>>) -> Vec<Departure> {
        packets.into_iter().for_each(|packet| self.far.host_sends(TUN, packet));
        self.drive();
        self.far.net_received()
    }

    /// Datagrams arrive from `from`; what the host behind receives.
    pub fn receive(&mut self, from: &Self, departures: &[Departure]) -> Vec<Vec<u8>> {
        for departure in departures {
            // The channel's second socket is that of protocol 50.
            let wire = [Wire::Udp, Wire::Esp][departure.route.socket.0];
            self.arrive(wire, from.address, departure.tos, &departure.payload);
        }
        self.drive();
        self.far.host_received().into_iter().map(|(_, packet)| packet).collect()
    }

    /// Datagrams arrive, put together as one receive; they wait until the gateway is driven.
    pub fn arrive_coalesced(&self, from: &Self, departures: &[Departure]) {
        let payload = departures.iter().flat_map(|d| d.payload.clone()).collect::<Vec<_>>();
        let segment = departures[0].payload.len();
        self.far.net_sends_coalesced(from.address, self.address.ip(), segment, &payload);
    }

    /// One datagram arrives; it waits until the gateway is driven.
    pub fn arrive(&self, wire: Wire, remote: SocketAddr, tos: u8, payload: &[u8]) {
        self.far.net_sends(wire, remote, self.address.ip(), tos, payload);
    }

    pub fn stats(&mut self) -> TunnelStats {
        match self.tell(Order::Stats) {
            Reply::Stats(stats) => stats.into_iter().find(|(id, _)| *id == TUNNEL).unwrap().1,
            other => panic!("{other:?}"),
        }
    }

    pub fn gateway_stats(&mut self) -> GatewayStats {
        match self.tell(Order::GatewayStats) {
            Reply::GatewayStats(stats) => *stats,
            other => panic!("{other:?}"),
        }
    }

    pub fn take_notices(&self) -> Vec<Notice> {
        std::mem::take(&mut *self.notices.lock().unwrap())
    }

    /// No datagram, whatever became of it, keeps its buffer.
    pub fn assert_all_buffers_free(&self) {
        assert_eq!(self.worker.backend().free_buffers(), BUFFERS);
    }
}

/// Two gateways with SAs in both directions.
pub fn pair(transform: Transform, encapsulation: Encapsulation, outer_v6: bool) -> (Gateway, Gateway) {
    let [left, right] = if outer_v6 { ["2001:db8::1", "2001:db8::2"] } else { ["192.0.2.1", "192.0.2.2"] };
    let (mut left, mut right) = (Gateway::new(left), Gateway::new(right));
    connect(&mut left, &mut right, transform, encapsulation);
    (left, right)
}

/// Installs SAs in both directions.
pub fn connect(left: &mut Gateway, right: &mut Gateway, transform: Transform, encapsulation: Encapsulation) {
    left.install_inbound(LEFT, transform);
    right.install_inbound(RIGHT, transform);
    left.install_outbound(RIGHT, transform, left.path_to(right, encapsulation));
    right.install_outbound(LEFT, transform, right.path_to(left, encapsulation));
}

pub fn inbound_spec(spi: u32, transform: Transform) -> InboundSpec {
    let (keys, selectors) = (keys(spi, transform), selectors());
    InboundSpec { tunnel: TUNNEL, spi, transform, keys, esn: false, replay_window: 1024, selectors }
}

pub fn outbound_spec(spi: u32, transform: Transform, path: OuterPath) -> OutboundSpec {
    let (keys, selectors) = (keys(spi, transform), selectors());
    OutboundSpec {
        tunnel: TUNNEL,
        spi,
        transform,
        keys,
        esn: false,
        peer_window: 1024,
        lifetime: Lifetime::default(),
        selectors,
        path,
    }
}

fn keys(spi: u32, transform: Transform) -> Keys {
    let key = |len| spi.to_be_bytes().into_iter().cycle().take(len).collect();
    Keys {
        encryption: key(transform.key_len() + transform.salt_len()),
        integrity: key(transform.integrity_key_len()),
    }
}

/// 10.0.0.0/8 and fd00::/8, both sides.
fn selectors() -> Selectors {
    let range =
        |start: &str, end: &str| AddressRange { start: start.parse().unwrap(), end: end.parse().unwrap() };
    let ours =
        vec![range("10.0.0.0", "10.255.255.255"), range("fd00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")];
    Selectors { local: ours.clone(), remote: ours }
}

/// An inner packet with a UDP header for `len` octets in all, `mark` in every octet of its payload.
pub fn udp(v6: bool, tos: u8, len: usize, mark: u8) -> Vec<u8> {
    let mut packet = header(v6, tos, 17, len);
    packet.resize(len, mark);
    packet
}

/// A TCP SYN that offers this segment size, its checksum right.
pub fn syn(v6: bool, mss: u16) -> Vec<u8> {
    let ip = if v6 { 40 } else { 20 };
    let mut packet = header(v6, 0, 6, ip + 24);
    packet.extend([0x30, 0x39, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x60, 0x02, 0xff, 0xff, 0, 0, 0, 0, 2, 4]);
    packet.extend(mss.to_be_bytes());
    let sum = tcp_sum(v6, &packet).to_be_bytes();
    packet[ip + 16..ip + 18].copy_from_slice(&sum);
    packet
}

/// Zero where the checksum of the TCP segment is right.
pub fn tcp_sum(v6: bool, packet: &[u8]) -> u16 {
    let (addresses, ip) = if v6 { (8..40, 40) } else { (12..20, 20) };
    let segment = &packet[ip..];
    let pseudo = 6 + u32::try_from(segment.len()).unwrap();
    checksum::finish(checksum::add(checksum::add(pseudo, &packet[addresses]), segment))
}

fn header(v6: bool, tos: u8, protocol: u8, len: usize) -> Vec<u8> {
    let octets = |ip: &str| match ip.parse().unwrap() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    if v6 {
        let [high, low] = u16::try_from(len - 40).unwrap().to_be_bytes();
        let mut packet = vec![0x60 | tos >> 4, tos << 4, 0, 0, high, low, protocol, 64];
        packet.extend([octets("fd00::1"), octets("fd00::2")].concat());
        packet
    } else {
        let [high, low] = u16::try_from(len).unwrap().to_be_bytes();
        let mut packet = vec![0x45, tos, high, low, 0, 0, 0x40, 0, 64, protocol, 0, 0];
        packet.extend([octets("10.0.0.1"), octets("10.0.0.2")].concat());
        let sum = checksum::finish(checksum::add(0, &packet)).to_be_bytes();
        packet[10..12].copy_from_slice(&sum);
        packet
    }
}

/// SPIs of the two gateways.
pub const LEFT: u32 = 0x1111_0001;
pub const RIGHT: u32 = 0x2222_0001;

const BUFFERS: usize = 64;
