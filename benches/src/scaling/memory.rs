//! A back end whose host and outer network are memory: what a worker reads was prepared, what it sends is counted. A copy
//! stands for each that the kernel makes, so that the workers have the machine's cores to themselves.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::Sender;

use gotthard_dataplane::batch::Batch;
use gotthard_dataplane::io::{
    Backend, Datagram, Frame, Offloads, Outcome, QueueId, Route, Sent, SocketId, Source, Wire, Writes,
};
use gotthard_dataplane::offload::virtio;
use gotthard_dataplane::pool::{Buffer, Pool};
use gotthard_dataplane::sys::wake::Waker;

use super::frame;

/// What one worker has to do.
#[derive(Clone, Default)]
pub(super) struct Load {
    /// Flows of the host that this worker's queue carries.
    pub(super) flows: Vec<u16>,
    /// Super-packets that the host sends, over all of its flows in turn.
    pub(super) frames: usize,
    /// What the outer network sends.
    pub(super) receives: Arc<Vec<Receive>>,
}

/// One receive: sealed packets of one size, back to back.
pub(super) struct Receive {
    pub(super) octets: Vec<u8>,
    pub(super) segment: usize,
}

impl Receive {
    pub(super) fn packets(&self) -> usize {
        self.octets.len().div_ceil(self.segment)
    }
}

/// What a worker has done, when its load is used up.
#[derive(Clone, Debug, Default)]
pub(super) struct Done {
    pub(super) sent: u64,
    pub(super) written: u64,
    /// Frames for the host that came behind a later one of their flow.
    pub(super) late: u64,
}

/// The back end.
pub(super) struct Memory {
    load: Load,
    sent_frames: usize,
    received: usize,
    /// How much of its load is used up is told once.
    report: Option<Sender<Done>>,
    done: Done,
    latest: HashMap<u16, u32>,
    /// Where what is sent goes, beside being counted.
    record: Option<Sender<Receive>>,
    waker: Waker,
    pool: Pool,
    batch: Option<Batch>,
    outcomes: Vec<Outcome>,
}

impl Memory {
    pub(super) fn new(
        load: Load,
        waker: Waker,
        report: Sender<Done>,
        record: Option<Sender<Receive>>,
    ) -> Self {
        Self {
            load,
            sent_frames: 0,
            received: 0,
            report: Some(report),
            done: Done::default(),
            latest: HashMap::new(),
            record,
            waker,
            pool: Pool::new(2 * BURST),
            batch: Some(Batch::new()),
            outcomes: Vec::new(),
        }
    }

    fn sends(&self) -> bool {
        self.sent_frames < self.load.frames
    }

    fn receives(&self) -> bool {
        self.received < self.load.receives.len()
    }
}

impl Backend for Memory {
    type Tun = ();

    fn wait(&mut self, ready: &mut Vec<Source>) -> io::Result<()> {
        ready.clear();
        if !self.sends() && !self.receives() {
            if let Some(report) = self.report.take() {
                // Nobody listens any more where the run was given up.
                let _ = report.send(self.done.clone());
            }
            self.waker.wait()?;
        }
        if self.waker.take() {
            ready.push(Source::Mailbox);
        }
        if self.receives() {
            ready.push(Source::Socket(SocketId(0)));
        }
        if self.sends() {
            ready.push(Source::Tun(QueueId(0)));
        }
        Ok(())
    }

    fn attach(&mut self, (): ()) -> io::Result<QueueId> {
        Ok(QueueId(0))
    }

    fn detach(&mut self, _queue: QueueId) {}

    fn offloads(&self, _queue: QueueId) -> Offloads {
        Offloads { header: true, tcp: true, udp: true }
    }

    fn read_tun(&mut self, _queue: QueueId) -> io::Result<Option<Frame>> {
        if !self.sends() {
            return Ok(None);
        }
        let Some(mut buffer) = self.pool.take() else { return Ok(None) };
        let turn = self.sent_frames / self.load.flows.len().max(1);
        let flow = self.load.flows.get(self.sent_frames % self.load.flows.len().max(1)).copied().unwrap_or(0);
        let octets = 0..frame::write(buffer.bytes_mut(), flow, turn);
        self.sent_frames += 1;
        Ok(Some(Frame { buffer, octets }))
    }

    fn release(&mut self, buffer: Buffer) {
        self.pool.give(buffer);
    }

    fn receive(&mut self, _socket: SocketId, burst: &mut Vec<Datagram>) -> io::Result<()> {
        for receive in self.load.receives.iter().skip(self.received).take(BURST) {
            let Some(mut buffer) = self.pool.take() else { break };
            let payload = 0..receive.octets.len();
            buffer.bytes_mut()[payload.clone()].copy_from_slice(&receive.octets);
            self.received += 1;
            burst.push(Datagram {
                buffer,
                payload,
                segment: receive.segment,
                truncated: false,
                remote: frame::REMOTE,
                local: Some(frame::LOCAL.ip()),
                tos: 0,
            });
        }
        Ok(())
    }

    fn deliver(&mut self, burst: &mut Vec<Datagram>, writes: &Writes) {
        for write in writes.iter() {
            self.done.written += write.packets;
            let Some(head) = write.pieces.first() else { continue };
            let packet = &burst[head.datagram].buffer.bytes()[head.octets.start + virtio::LEN..];
            let (flow, number) = frame::number(packet);
            let latest = self.latest.entry(flow).or_insert(number);
            self.done.late += u64::from(number < *latest);
            *latest = (*latest).max(number);
        }
        for datagram in burst.drain(..) {
            self.pool.give(datagram.buffer);
        }
    }

    fn answer_tun(&mut self, _queue: QueueId, _packet: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn batch(&mut self) -> Option<Batch> {
        self.batch.take()
    }

    fn put_back(&mut self, mut batch: Batch) {
        batch.clear();
        self.batch = Some(batch);
    }

    fn send(&mut self, queue: QueueId, _route: &Route, batch: Batch) {
        let packets = batch.segments().len() as u64;
        self.done.sent += packets;
        if let Some(record) = &self.record {
            for run in batch.runs(usize::MAX) {
                let segment = run.segment.map_or(run.data.len(), usize::from);
                // The recorder waits for all of it.
                let _ = record.send(Receive { octets: run.data.to_vec(), segment });
            }
        }
        self.outcomes.push(Outcome::Sent(queue, Sent { packets, ..Sent::default() }));
        self.put_back(batch);
    }

    fn outcomes(&mut self, into: &mut Vec<Outcome>) {
        into.append(&mut self.outcomes);
    }

    fn send_datagram(&mut self, _route: &Route, _payload: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn route(&self, _wire: Wire, local: SocketAddr, remote: SocketAddr) -> Option<Route> {
        let local: IpAddr = local.ip();
        Some(Route { socket: SocketId(0), local, remote })
    }

    fn socket(&self, _socket: SocketId) -> Option<(u16, Wire)> {
        Some((frame::LOCAL.port(), Wire::Udp))
    }
}

/// Receives of a burst, as the back end of system calls takes them.
const BURST: usize = 4;
