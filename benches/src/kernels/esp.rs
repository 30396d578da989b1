//! Encapsulating and decapsulating a whole batch: the packets that one send carries, and those of one receive.

use std::cell::LazyCell;
use std::net::Ipv4Addr;
use std::rc::Rc;

use gotthard_dataplane::batch::{Batch, PACKETS};
use gotthard_dataplane::esp::decapsulate::{Opening, OuterInfo, decapsulate_batch};
use gotthard_dataplane::esp::encapsulate::encapsulate_batch;
use gotthard_dataplane::esp::trailer;
use gotthard_dataplane::esp::transform::{Hmac, Transform};
use gotthard_dataplane::packet::Packet;
use gotthard_dataplane::replay::ReplayWindow;
use gotthard_dataplane::sa::inbound::InboundSa;
use gotthard_dataplane::sa::outbound::OutboundSa;
use gotthard_dataplane::sa::spec::{
    AddressRange, Encapsulation, InboundSpec, Keys, Lifetime, OutboundSpec, OuterPath, Selectors, TunnelId,
};

use super::Kernel;

/// Octets of the inner packet.
const SIZES: [usize; 3] = [64, 512, 1400];

const TRANSFORMS: [(&str, Transform); 9] = [
    ("aes128gcm16", Transform::Aes128Gcm16),
    ("aes256gcm16", Transform::Aes256Gcm16),
    ("chacha20poly1305", Transform::ChaCha20Poly1305),
    ("aes128-sha256", Transform::Aes128Cbc(Hmac::Sha256)),
    ("aes128-sha384", Transform::Aes128Cbc(Hmac::Sha384)),
    ("aes128-sha512", Transform::Aes128Cbc(Hmac::Sha512)),
    ("aes256-sha256", Transform::Aes256Cbc(Hmac::Sha256)),
    ("aes256-sha384", Transform::Aes256Cbc(Hmac::Sha384)),
    ("aes256-sha512", Transform::Aes256Cbc(Hmac::Sha512)),
];

pub(super) fn kernels() -> Vec<Kernel> {
    let cases = || TRANSFORMS.into_iter().flat_map(|transform| SIZES.map(|len| (transform, len)));
    let encapsulate = cases().map(|((name, transform), len)| {
        let sa = LazyCell::new(move || Rc::new(outbound(transform)));
        let input = move || Sending::new(Rc::clone(&sa), len);
        Kernel::new("encapsulate", format!("{name}/{len}"), packets(transform, len), input, Sending::seal)
    });
    let decapsulate = cases().map(|((name, transform), len)| {
        let arrived = LazyCell::new(move || Arrived::new(transform, len));
        let input = move || arrived.receive();
        Kernel::new("decapsulate", format!("{name}/{len}"), packets(transform, len), input, Received::open)
    });
    encapsulate.chain(decapsulate).collect()
}

/// A batch that has been filled, and is to be sealed in place.
struct Sending {
    sa: Rc<OutboundSa>,
    batch: Batch,
}

impl Sending {
    /// As many packets of `len` octets as a batch takes.
    fn new(sa: Rc<OutboundSa>, len: usize) -> Self {
        let sealed = sealed_len(sa.transform(), len);
        let mut batch = Batch::new();
        while batch.has_room(sealed) {
            write_ipv4(batch.space(sa.headroom(), len));
            batch.push(sealed, len, 0);
        }
        Self { sa, batch }
    }

    fn seal(&mut self) {
        let Self { sa, batch } = self;
        let count = batch.segments().len();
        let mut packets: [Packet<'_>; PACKETS] = std::array::from_fn(|_| Packet::default());
        for (place, (segment, octets)) in packets.iter_mut().zip(batch.packets_mut()) {
            *place = Packet::new(octets, sa.headroom()..sa.headroom() + segment.inner_len);
        }
        let sequences = sa.sequence.take(count as u64).expect("numbers are left");
        encapsulate_batch(sa, sequences, &mut packets[..count]).expect("every packet is sealed");
    }
}

/// What the peer sent: sealed packets back to back.
struct Arrived {
    sa: Rc<InboundSa>,
    octets: Vec<u8>,
    segment: usize,
}

impl Arrived {
    fn new(transform: Transform, len: usize) -> Self {
        let mut sending = Sending::new(Rc::new(outbound(transform)), len);
        sending.seal();
        let octets = sending.batch.packets_mut().flat_map(|(_, octets)| octets.to_vec()).collect();
        Self { sa: Rc::new(inbound(transform)), octets, segment: sealed_len(transform, len) }
    }

    fn receive(&self) -> Received {
        Received {
            sa: Rc::clone(&self.sa),
            window: self.sa.replay_window(),
            octets: self.octets.clone(),
            segment: self.segment,
        }
    }
}

/// The packets of one receive, to be opened in place.
struct Received {
    sa: Rc<InboundSa>,
    window: ReplayWindow,
    octets: Vec<u8>,
    segment: usize,
}

impl Received {
    fn open(&mut self) {
        let Self { sa, window, octets, segment } = self;
        let mut openings: [Opening<'_>; PACKETS] = std::array::from_fn(|_| Opening::default());
        let mut count = 0;
        for (opening, octets) in openings.iter_mut().zip(octets.chunks_mut(*segment)) {
            let whole = 0..octets.len();
            *opening = Opening::new(Packet::new(octets, whole), OuterInfo::default());
            count += 1;
        }
        decapsulate_batch(sa, window, &mut openings[..count]);
        let opened = openings[..count].iter().all(|opening| opening.result.is_ok());
        assert!(opened, "every packet is opened");
    }
}

fn outbound(transform: Transform) -> OutboundSa {
    let path = OuterPath {
        local: ([192, 0, 2, 1], 4500).into(),
        remote: ([192, 0, 2, 2], 4500).into(),
        encapsulation: Encapsulation::Udp,
    };
    let spec = OutboundSpec {
        tunnel: TunnelId(1),
        spi: SPI,
        transform,
        keys: keys(transform),
        esn: true,
        peer_window: 1024,
        lifetime: Lifetime::default(),
        selectors: any(),
        path,
    };
    OutboundSa::new(&spec).expect("an SA")
}

fn inbound(transform: Transform) -> InboundSa {
    let spec = InboundSpec {
        tunnel: TunnelId(1),
        spi: SPI,
        transform,
        keys: keys(transform),
        esn: true,
        replay_window: 8192,
        selectors: any(),
    };
    InboundSa::new(&spec).expect("an SA")
}

fn any() -> Selectors {
    let any = AddressRange { start: Ipv4Addr::UNSPECIFIED.into(), end: Ipv4Addr::BROADCAST.into() };
    Selectors { local: vec![any], remote: vec![any] }
}

fn keys(transform: Transform) -> Keys {
    let (encryption, integrity) = (transform.key_len() + transform.salt_len(), transform.integrity_key_len());
    Keys { encryption: vec![0x42; encryption], integrity: vec![0x24; integrity] }
}

/// Packets of `len` octets in a batch.
fn packets(transform: Transform, len: usize) -> usize {
    let fit = gotthard_dataplane::batch::OCTETS / sealed_len(transform, len);
    fit.min(PACKETS)
}

/// Octets of a packet of `len` octets when it is sealed.
const fn sealed_len(transform: Transform, len: usize) -> usize {
    transform.header_len() + len + transform.pad_len(len) + trailer::LEN + transform.icv_len()
}

/// An IPv4 header for the whole of `packet`, without its checksum, which the packet path does not read.
fn write_ipv4(packet: &mut [u8]) {
    let [high, low] = u16::try_from(packet.len()).unwrap_or(u16::MAX).to_be_bytes();
    let header = [0x45, 0, high, low, 0, 0, 0, 0, 64, 17, 0, 0, 10, 10, 0, 1, 10, 200, 0, 1];
    packet[..header.len()].copy_from_slice(&header);
}

const SPI: u32 = 0xc0ff_ee01;
