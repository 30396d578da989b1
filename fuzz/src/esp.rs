//! ESP packets: forged ones are dropped, sealed ones come back whole, changed ones do not.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use gotthard_dataplane::esp::decapsulate::{OuterInfo, decapsulate, unwrap};
use gotthard_dataplane::esp::encapsulate::encapsulate;
use gotthard_dataplane::esp::transform::{Hmac, Transform};
use gotthard_dataplane::packet::Packet;
use gotthard_dataplane::sa::inbound::InboundSa;
use gotthard_dataplane::sa::outbound::OutboundSa;
use gotthard_dataplane::sa::spec::{
    AddressRange, Encapsulation, InboundSpec, Keys, Lifetime, OutboundSpec, OuterPath, Selectors, TunnelId,
};

/// Takes `data` as a packet from the network, as one that is already decrypted, and as an inner packet. The first
/// octets choose the transform and the bit that is changed on the way.
pub fn esp_decapsulate(data: &[u8]) {
    let Some(([choice, bit_0, bit_1], packet)) = data.split_first_chunk() else { return };
    let transform = TRANSFORMS[usize::from(*choice) % TRANSFORMS.len()];
    let inbound = inbound(transform);
    forged(&inbound, packet);
    decrypted(&inbound, packet);
    sealed(transform, &inbound, packet, usize::from(u16::from_be_bytes([*bit_0, *bit_1])));
}

fn forged(sa: &InboundSa, packet: &[u8]) {
    let mut window = sa.replay_window();
    let top = window.top();
    let mut buf = packet.to_vec();
    let len = buf.len();
    let opened = decapsulate(sa, &mut window, &mut Packet::new(&mut buf, 0..len), OuterInfo::default());
    assert!(opened.is_err() && window.top() == top, "a forged packet opens");
}

fn decrypted(sa: &InboundSa, packet: &[u8]) {
    let mut buf = packet.to_vec();
    let len = buf.len();
    let mut pkt = Packet::new(&mut buf, 0..len);
    if unwrap(sa, &mut pkt, OuterInfo::default()).is_ok() {
        assert!(pkt.len() <= len, "padding taken off makes a packet longer");
    }
}

fn sealed(transform: Transform, inbound: &InboundSa, inner: &[u8], bit: usize) {
    let outbound = outbound(transform);
    let (headroom, tailroom) = (outbound.headroom(), outbound.tailroom());
    let mut buf = vec![0; headroom + inner.len() + tailroom];
    buf[headroom..headroom + inner.len()].copy_from_slice(inner);
    let mut pkt = Packet::new(&mut buf, headroom..headroom + inner.len());
    if encapsulate(&outbound, SEQUENCE, &mut pkt).is_err() {
        return; // no version of IP
    }
    let sealed = pkt.as_slice().to_vec();

    let mut changed = sealed.clone();
    let place = bit / 8 % changed.len();
    changed[place] ^= 1 << (bit % 8);
    forged(inbound, &changed);

    let mut whole = sealed;
    let len = whole.len();
    let mut pkt = Packet::new(&mut whole, 0..len);
    let mut window = inbound.replay_window();
    if decapsulate(inbound, &mut window, &mut pkt, OuterInfo::default()).is_ok() {
        assert_eq!(pkt.as_slice(), &inner[..pkt.len()], "another packet comes out");
    }
    assert_eq!(window.top(), SEQUENCE, "an authentic packet does not move the window");
}

fn inbound(transform: Transform) -> InboundSa {
    let spec = InboundSpec {
        tunnel: TunnelId(1),
        spi: SPI,
        transform,
        keys: keys(transform),
        esn: true,
        replay_window: 1024,
        selectors: any(),
    };
    InboundSa::new(&spec).expect("a valid SA")
}

fn outbound(transform: Transform) -> OutboundSa {
    let outer = |host| SocketAddr::from((Ipv4Addr::new(192, 0, 2, host), 4500));
    let spec = OutboundSpec {
        tunnel: TunnelId(1),
        spi: SPI,
        transform,
        keys: keys(transform),
        esn: true,
        peer_window: 1024,
        lifetime: Lifetime::default(),
        selectors: any(),
        path: OuterPath { local: outer(1), remote: outer(2), encapsulation: Encapsulation::Udp },
    };
    OutboundSa::new(&spec).expect("a valid SA")
}

fn keys(transform: Transform) -> Keys {
    Keys {
        encryption: vec![1; transform.key_len() + transform.salt_len()],
        integrity: vec![2; transform.integrity_key_len()],
    }
}

fn any() -> Selectors {
    let v4 = AddressRange { start: IpAddr::V4(Ipv4Addr::UNSPECIFIED), end: IpAddr::V4(Ipv4Addr::BROADCAST) };
    let v6 = AddressRange {
        start: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        end: IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)),
    };
    Selectors { local: vec![v4, v6], remote: vec![v4, v6] }
}

const TRANSFORMS: [Transform; 6] = [
    Transform::Aes256Gcm16,
    Transform::Aes128Gcm16,
    Transform::ChaCha20Poly1305,
    Transform::Aes256Cbc(Hmac::Sha256),
    Transform::Aes128Cbc(Hmac::Sha384),
    Transform::Aes256Cbc(Hmac::Sha512),
];

const SPI: u32 = 0x1000;
const SEQUENCE: u64 = 1;
