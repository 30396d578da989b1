//! What is emitted is read as what was found.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use gotthard::config::model::{Psk, Routing, TunnelAuth};
use gotthard::config::presets::Cloud;
use gotthard::import::{Found, FoundConnection, FoundTunnel};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::prelude::*;
use zeroize::Zeroizing;

use super::config;

fn tunnel(number: u8) -> impl Strategy<Value = FoundTunnel> {
    ("[!-~]{1,64}", 1..=u32::MAX, 1..250_u8).prop_map(move |(key, asn, third)| FoundTunnel {
        inside6: Some(
            Ipv6Net::new(Ipv6Addr::new(0xfd00, third.into(), number.into(), 0, 0, 0, 0, 2), 126).unwrap(),
        ),
        inside: Some(IpNet::V4(
            Ipv4Net::new(Ipv4Addr::new(169, 254, third.max(6), number * 4 + 2), 30).unwrap(),
        )),
        peer_inside: Some(IpAddr::V4(Ipv4Addr::new(169, 254, third.max(6), number * 4 + 1))),
        peer_asn: Some(asn),
        psk: Some(Psk(Zeroizing::new(key.into_bytes()))),
        ..FoundTunnel::to(IpAddr::V4(Ipv4Addr::new(198, 51, 100, number + 1)))
    })
}

fn connection() -> impl Strategy<Value = FoundConnection> {
    let clouds = prop::sample::select(vec![Cloud::Aws, Cloud::Azure, Cloud::Gcp]);
    let remote = prop::collection::vec((0..=32_u8, any::<u32>()), 1..20);
    let parts = (
        "[a-zA-Z0-9][a-zA-Z0-9_-]{0,20}[a-z0-9]",
        clouds,
        any::<bool>(),
        remote,
        3..=3600_u16,
        tunnel(0),
        tunnel(1),
    );
    parts.prop_map(|(name, cloud, bgp, remote, hold_time, first, second)| {
        let prefix = |(length, bits): (u8, u32)| Ipv4Net::new(bits.into(), length).unwrap().trunc();
        let mut remote: Vec<IpNet> = remote.into_iter().map(|parts| IpNet::V4(prefix(parts))).collect();
        remote.sort_unstable();
        remote.dedup();
        FoundConnection {
            routing: if bgp { Routing::Bgp } else { Routing::Static },
            local: Some(Ipv4Addr::new(203, 0, 113, 10).into()),
            asn: Some(65010),
            remote: if bgp { Vec::new() } else { remote },
            hold_time: Some(hold_time),
            suites: vec!["aes256-sha256-modp2048".parse().unwrap()],
            esp: vec!["aes128gcm16-modp3072".parse().unwrap()],
            tunnels: vec![first, second],
            remarks: vec!["a line\nand another [gateway]".to_owned()],
            ..FoundConnection::new(name, cloud)
        }
    })
}

proptest! {
    #[test]
    fn what_is_emitted_is_read_as_what_was_found(one in connection()) {
        let found = Found { connections: vec![one.clone()], remarks: Vec::new() };
        let config = config(&found);
        let read = &config.connections[0];
        prop_assert_eq!((&read.name, read.cloud, read.routing), (&one.name, one.cloud, one.routing));
        prop_assert_eq!((config.gateway.asn, config.gateway.local.address()), (one.asn, one.local));
        prop_assert_eq!((&read.remote, &read.suites, &read.esp), (&one.remote, &one.suites, &one.esp));
        prop_assert_eq!(read.policy.as_ref().map(|policy| policy.hold_time), one.hold_time.filter(|_| read.policy.is_some()));
        for (read, found) in read.tunnels.iter().zip(&one.tunnels) {
            prop_assert_eq!((read.peer, read.inside, read.peer_inside), (found.peer, found.inside, found.peer_inside));
            prop_assert_eq!(read.inside6, found.inside6);
            let asn = if one.routing == Routing::Bgp { read.peer_asn } else { found.peer_asn };
            prop_assert_eq!(asn, found.peer_asn);
            let TunnelAuth::Psk(psk) = &read.auth else { panic!("no key") };
            prop_assert_eq!(Some(psk), found.psk.as_ref());
        }
    }
}
