//! What the benchmarks share: both ends of an SA, and batches of packets in buffers as a worker has them.

#![forbid(unsafe_code)]

use std::net::Ipv4Addr;

use gotthard_dataplane::drop_reason::DropReason;
use gotthard_dataplane::esp::decapsulate::{OuterInfo, decapsulate};
use gotthard_dataplane::esp::encapsulate::encapsulate;
use gotthard_dataplane::esp::transform::{Hmac, Transform};
use gotthard_dataplane::packet::Packet;
use gotthard_dataplane::replay::ReplayWindow;
use gotthard_dataplane::sa::SpecError;
use gotthard_dataplane::sa::inbound::InboundSa;
use gotthard_dataplane::sa::outbound::OutboundSa;
use gotthard_dataplane::sa::spec::{
    AddressRange, Encapsulation, InboundSpec, Keys, OutboundSpec, OuterPath, Selectors, TunnelId,
};

/// The transforms that are measured, with the names that their rows carry.
pub const TRANSFORMS: [(&str, Transform); 4] = [
    ("aes256gcm16", Transform::Aes256Gcm16),
    ("aes128gcm16", Transform::Aes128Gcm16),
    ("chacha20poly1305", Transform::ChaCha20Poly1305),
    ("aes256-sha256", Transform::Aes256Cbc(Hmac::Sha256)),
];

/// Packets of a batch: what one send carries.
pub const BATCH: u64 = 64;

/// Both ends of one SA.
pub struct Ends {
    outbound: OutboundSa,
    inbound: InboundSa,
}

impl Ends {
    /// An SA for any IPv4 packet, with fixed keys.
    pub fn new(transform: Transform) -> Result<Self, SpecError> {
        let any = AddressRange { start: Ipv4Addr::UNSPECIFIED.into(), end: Ipv4Addr::BROADCAST.into() };
        let selectors = Selectors { local: vec![any], remote: vec![any] };
        let keys = keys(transform);
        let outbound = OutboundSa::new(&OutboundSpec {
            tunnel: TunnelId(1),
            spi: SPI,
            transform,
            keys: keys.clone(),
            esn: true,
            selectors: selectors.clone(),
            path: OuterPath {
                local: ([192, 0, 2, 1], 4500).into(),
                remote: ([192, 0, 2, 2], 4500).into(),
                encapsulation: Encapsulation::Udp,
            },
        })?;
        let replay_window = 8192;
        let tunnel = TunnelId(1);
        let inbound = InboundSa::new(&InboundSpec {
            tunnel,
            spi: SPI,
            transform,
            keys,
            esn: true,
            replay_window,
            selectors,
        })?;
        Ok(Self { outbound, inbound })
    }

    /// A batch of packets of `len` octets, each in a buffer with the room that sealing needs.
    pub fn plain(&self, len: usize) -> Vec<Vec<u8>> {
        let head = self.outbound.headroom();
        let mut buffer = vec![0; head + len + self.outbound.tailroom()];
        write_ipv4(&mut buffer[head..head + len]);
        (0..BATCH).map(|_| buffer.clone()).collect()
    }

    /// Seals the batch that [`Self::plain`] made.
    pub fn encapsulate(&self, batch: &mut [Vec<u8>], len: usize) -> Result<(), DropReason> {
        let head = self.outbound.headroom();
        for (seq, buffer) in self.outbound.sequence.take(BATCH)?.zip(batch) {
            encapsulate(&self.outbound, seq, &mut Packet::new(buffer, head..head + len))?;
        }
        Ok(())
    }

    /// A sealed batch, as it would arrive.
    pub fn sealed(&self, len: usize) -> Result<Vec<Vec<u8>>, DropReason> {
        let head = self.outbound.headroom();
        let seal = |(seq, mut buffer): (u64, Vec<u8>)| {
            let mut packet = Packet::new(&mut buffer, head..head + len);
            encapsulate(&self.outbound, seq, &mut packet)?;
            Ok(packet.as_slice().to_vec())
        };
        self.outbound.sequence.take(BATCH)?.zip(self.plain(len)).map(seal).collect()
    }

    /// A window that has seen nothing.
    pub fn window(&self) -> ReplayWindow {
        self.inbound.replay_window()
    }

    /// Opens the batch that [`Self::sealed`] made.
    pub fn decapsulate(&self, batch: &mut [Vec<u8>], window: &mut ReplayWindow) -> Result<(), DropReason> {
        for buffer in batch {
            let whole = 0..buffer.len();
            decapsulate(&self.inbound, window, &mut Packet::new(buffer, whole), OuterInfo::default())?;
        }
        Ok(())
    }
}

fn keys(transform: Transform) -> Keys {
    let (encryption, integrity) = (transform.key_len() + transform.salt_len(), transform.integrity_key_len());
    Keys { encryption: vec![0x42; encryption], integrity: vec![0x24; integrity] }
}

/// An IPv4 header for the whole of `packet`, without its checksum, which the packet path does not read.
fn write_ipv4(packet: &mut [u8]) {
    let [high, low] = u16::try_from(packet.len()).unwrap_or(u16::MAX).to_be_bytes();
    let header = [0x45, 0, high, low, 0, 0, 0, 0, 64, 17, 0, 0, 10, 10, 0, 1, 10, 200, 0, 1];
    for (place, octet) in packet.iter_mut().zip(header) {
        *place = octet;
    }
}

const SPI: u32 = 0xc0ff_ee01;
