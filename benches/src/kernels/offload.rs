//! Cutting a super-packet of the host into segments, and putting such segments together again.

use std::cell::LazyCell;
use std::ops::Range;
use std::rc::Rc;

use gotthard_dataplane::batch::Batch;
use gotthard_dataplane::offload::coalesce::Coalescer;
use gotthard_dataplane::offload::split::Segments;
use gotthard_dataplane::offload::virtio::{self, GsoType, VirtioHeader};
use gotthard_dataplane::packet::checksum;

use super::Kernel;

/// Segments of a super-packet: as many as one send carries when they are sealed.
const SEGMENTS: usize = 44;

/// Octets of a segment, with its headers.
const LEN: usize = 1400;

/// IPv4, and TCP with timestamps.
const HEADERS: usize = 52;

/// What is before each segment when it is sealed, and behind it: AES-GCM's.
const HEAD: usize = 16;
const TAIL: usize = 20;

pub(super) fn kernels() -> Vec<Kernel> {
    let case = format!("tcp4/{SEGMENTS}x{LEN}");
    let burst = LazyCell::new(|| Rc::new(Received::new()));
    vec![
        Kernel::new("split", case.clone(), SEGMENTS, Frame::new, Frame::split),
        Kernel::new("coalesce", case, SEGMENTS, move || Arrived::new(&burst), Arrived::coalesce),
    ]
}

/// A super-packet as the host hands it over, and where its segments go.
struct Frame {
    header: VirtioHeader,
    packet: Vec<u8>,
    batch: Batch,
}

impl Frame {
    fn new() -> Self {
        let header = VirtioHeader {
            flags: virtio::NEEDS_CSUM,
            gso_type: GsoType::TCPV4,
            hdr_len: length16(HEADERS),
            gso_size: length16(LEN - HEADERS),
            csum_start: 20,
            csum_offset: 16,
        };
        let payload = (0..SEGMENTS * (LEN - HEADERS)).map(|n| n.to_le_bytes()[0]);
        let packet = headers(HEADERS + payload.len()).into_iter().chain(payload).collect();
        Self { header, packet, batch: Batch::new() }
    }

    fn split(&mut self) {
        let Self { header, packet, batch } = self;
        let mut segments = Segments::new(*header, packet).expect("a super-packet");
        while let Some(len) = segments.next_len() {
            segments.write_next(batch.space(HEAD, len)).expect("room for a segment");
            batch.push(HEAD + len + TAIL, len, 0);
        }
        assert_eq!(batch.segments().len(), SEGMENTS, "every segment is written");
    }
}

/// One receive, opened: segments, each where its ESP packet was.
struct Received {
    octets: Vec<u8>,
    ranges: Vec<Range<usize>>,
}

impl Received {
    fn new() -> Self {
        let mut frame = Frame::new();
        frame.split();
        let octets = frame.batch.packets_mut().flat_map(|(_, octets)| octets.to_vec()).collect();
        let inner = |start: usize| start + HEAD..start + HEAD + LEN;
        Self { octets, ranges: (0..SEGMENTS).map(|n| inner(n * (HEAD + LEN + TAIL))).collect() }
    }
}

/// One receive on its way to the host, and a coalescer whose tables have their size.
struct Arrived {
    received: Rc<Received>,
    octets: Vec<u8>,
    coalescer: Coalescer,
}

impl Arrived {
    fn new(received: &Rc<Received>) -> Self {
        let coalescer = Coalescer::new(true, true);
        let mut arrived = Self { received: Rc::clone(received), octets: received.octets.clone(), coalescer };
        arrived.gather();
        arrived
    }

    fn gather(&mut self) {
        self.coalescer.clear();
        for range in &self.received.ranges {
            self.coalescer.push(0, 0, range.clone(), &self.octets[range.clone()]);
        }
    }

    /// Returns the octets of the super-packet.
    fn coalesce(&mut self) -> usize {
        self.gather();
        let mut groups = self.coalescer.groups();
        let group = groups.next().expect("a group");
        assert_eq!(usize::from(group.packets()), SEGMENTS, "the segments become one");
        let mut pieces = group.pieces().map(|(_, octets)| octets);
        let head = pieces.next().expect("a first packet");
        group.write_header(&mut self.octets[head.start - virtio::LEN..head.end]);
        head.len() + pieces.map(|octets| octets.len()).sum::<usize>()
    }
}

/// The headers of a TCP super-packet in full flow, `len` octets in all: the checksum has the sum of the pseudo-header in it.
fn headers(len: usize) -> [u8; HEADERS] {
    let [high, low] = length16(len).to_be_bytes();
    let mut headers = [0; HEADERS];
    headers[..20]
        .copy_from_slice(&[0x45, 0, high, low, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 10, 0, 1, 10, 200, 0, 1]);
    let pseudo = checksum::add(u32::from(length16(len - 20)) + 6, &headers[12..20]);
    headers[20..24].copy_from_slice(&[0xc0, 0x01, 0x14, 0x51]); // ports
    headers[32..36].copy_from_slice(&[0x80, 0x10, 0xff, 0xff]); // 32 octets, ACK, window
    headers[36..38].copy_from_slice(&length16(pseudo as usize).to_be_bytes());
    headers[40..44].copy_from_slice(&[1, 1, 8, 10]); // timestamps
    headers
}

/// A length that is known to fit.
fn length16(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}
