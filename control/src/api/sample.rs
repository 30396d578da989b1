//! A status for the tests of those who show it.

use super::status::{
    BrokenLink, ConnectionState, ConnectionStatus, DataplaneStatus, Drops, Duty, EspStatus, IkeState,
    IkeStatus, Link, LinkState, ProbeState, ProbeStatus, RouteStatus, Status, TunnelState, TunnelStatus,
};

/// A gateway with one connection, `aws`, of which one tunnel carries and the other finds no peer.
pub(crate) fn status() -> Status {
    let two = TunnelStatus {
        name: "2".to_owned(),
        peer: "198.51.100.112".parse().unwrap(),
        since_s: 252,
        broken: Some(BrokenLink {
            link: Link::Ike,
            code: "GTH-IKE-02".to_owned(),
            message: "the peer does not answer".to_owned(),
            remedy: "is UDP 500 open?\n".to_owned(),
        }),
        ..tunnel(LinkState::Down)
    };
    let mut one = TunnelStatus { state: TunnelState::Up, active: true, ..tunnel(LinkState::Up) };
    one.ike.state = IkeState::Established;
    one.esp.rx_bytes = 1_500_000_000;
    one.esp.tx_bytes = 200_000_000;
    one.probe = ProbeStatus { state: ProbeState::Up, rtt_ms: Some(8.14) };
    one.routes.installed = 1;
    let (name, state) = ("aws".to_owned(), ConnectionState::Degraded);
    let dataplane = DataplaneStatus {
        backend: "io_uring".to_owned(),
        workers: 2,
        offloads: ["tso", "udp_gro"].map(str::to_owned).into(),
        cbc: "vaes+sha-ni".to_owned(),
    };
    Status::new(dataplane, vec![ConnectionStatus { name, state, tunnels: vec![one, two] }])
}

fn tunnel(esp: LinkState) -> TunnelStatus {
    TunnelStatus {
        name: "1".to_owned(),
        peer: "198.51.100.11".parse().unwrap(),
        interface: "gth0".to_owned(),
        state: TunnelState::Down,
        active: false,
        duty: Duty::None,
        since_s: 526_260,
        ike: IkeStatus { state: IkeState::Down, suite: None, spi_i: None, spi_r: None, rekeys: 0, nat: None },
        esp: EspStatus {
            state: esp,
            suite: None,
            encapsulation: None,
            mtu: None,
            mss: None,
            esn: None,
            spi_in: None,
            spi_out: None,
            rekeys: 0,
            rx_packets: 0,
            rx_bytes: 0,
            tx_packets: 0,
            tx_bytes: 0,
            drops: Drops::default(),
        },
        probe: ProbeStatus { state: ProbeState::Off, rtt_ms: None },
        bgp: None,
        routes: RouteStatus::default(),
        broken: None,
        notes: Vec::new(),
    }
}
