//! How far workers share the work of one SA: 8 TCP flows through one to several workers whose host and network are memory,
//! so that no other program takes the cores. From the gain of two the part that only one can do follows (Amdahl).

mod frame;
mod memory;

use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Barrier};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use gotthard_dataplane::drop_reason::DropReason;
use gotthard_dataplane::esp::transform::{Hmac, Transform};
use gotthard_dataplane::handle::Reply;
use gotthard_dataplane::sa::inbound::InboundSa;
use gotthard_dataplane::sa::outbound::OutboundSa;
use gotthard_dataplane::sa::spec::{Encapsulation, OuterPath, TunnelId, TunnelSpec};
use gotthard_dataplane::sys::wake::Waker;
use gotthard_dataplane::worker::crew::Crew;
use gotthard_dataplane::worker::mailbox::{Mailbox, Order, Receipt};
use gotthard_dataplane::worker::{Sending, Worker};

use self::memory::{Done, Load, Memory, Receive};
use crate::gateway::{inbound_spec, outbound_spec};

/// What is measured.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Interleaved rounds; the figures are their medians
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Super-packets of 44 packets in each direction of a round
    #[arg(long, default_value_t = 4000)]
    frames: usize,
    /// Numbers of workers, the first is what the others are compared with
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    workers: Vec<usize>,
}

/// Which directions are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Directions {
    Out,
    In,
    Both,
}

/// Runs the bench and prints a table.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    println!("| transform | direction | workers | Gbps | ratio | serial part | reordered | replay drops |");
    println!("|---|---|---|---|---|---|---|---|");
    for (name, transform) in TRANSFORMS {
        let recorded = Arc::new(record(transform, arguments.frames)?);
        for directions in [Directions::Out, Directions::In, Directions::Both] {
            let mut runs = vec![Vec::new(); arguments.workers.len()];
            for _ in 0..arguments.rounds {
                for (workers, runs) in arguments.workers.iter().zip(&mut runs) {
                    runs.push(one(transform, directions, *workers, arguments.frames, &recorded)?);
                }
            }
            let mut base = None;
            for (workers, runs) in arguments.workers.iter().zip(&mut runs) {
                runs.sort_by(|a, b| a.gbps.total_cmp(&b.gbps));
                let gbps = runs[runs.len() / 2].gbps;
                let ratio = gbps / *base.get_or_insert(gbps);
                let (late, replays) = runs.iter().fold((0, 0), |(l, r), run| (l + run.late, r + run.replays));
                let serial = serial_part(ratio, *workers);
                println!(
                    "| {name} | {directions:?} | {workers} | {gbps:.2} | {ratio:.2} | {serial} | {late} | {replays} |"
                );
            }
        }
    }
    Ok(())
}

/// The part s of the work that only one worker can do, from n workers' gain g: 1/g = s + (1 - s)/n.
fn serial_part(gain: f64, workers: usize) -> String {
    if workers < 2 {
        return "-".to_owned();
    }
    let n = workers as f64;
    let serial = ((n / gain - 1.0) / (n - 1.0)).clamp(0.0, 1.0);
    format!("{:.0} %", serial * 100.0)
}

#[derive(Clone, Debug)]
struct Outcome {
    gbps: f64,
    late: u64,
    replays: u64,
}

/// Seals what the peer will have sent.
fn record(transform: Transform, frames: usize) -> Result<Vec<Receive>> {
    let (record, recorded) = mpsc::channel();
    let load = Load { flows: FLOWS.collect(), frames, ..Load::default() };
    let team = Team::start(transform, vec![load], Some(&record))?;
    team.begin();
    team.finish()?;
    drop(record);
    Ok(recorded.iter().collect())
}

fn one(
    transform: Transform,
    directions: Directions,
    workers: usize,
    frames: usize,
    recorded: &Arc<Vec<Receive>>,
) -> Result<Outcome> {
    let (out, inward) = (directions != Directions::In, directions != Directions::Out);
    let load = |worker: usize| Load {
        flows: FLOWS.skip(worker).step_by(workers).collect(),
        frames: if out { frames / workers } else { 0 },
        receives: if inward && worker == 0 { Arc::clone(recorded) } else { Arc::default() },
    };
    let team = Team::start(transform, (0..workers).map(load).collect(), None)?;
    let start = Instant::now();
    team.begin();
    let done = team.finish()?;
    let took = start.elapsed().max(Duration::from_nanos(1)).as_secs_f64();
    let packets = done.sent + done.written;
    let out = if out { (frames / workers) * workers * usize::from(frame::SEGMENTS) } else { 0 };
    let inward = if inward { recorded.iter().map(Receive::packets).sum() } else { 0 };
    let expected = (out + inward) as u64;
    ensure!(packets == expected, "{packets} of {expected} packets came through");
    let octets = packets as f64 * f64::from(frame::SEGMENT + 40);
    Ok(Outcome { gbps: octets * 8.0 / took / 1e9, late: done.late, replays: done.replays })
}

/// Workers on threads of their own.
struct Team {
    mailboxes: Vec<Mailbox<()>>,
    threads: Vec<JoinHandle<()>>,
    reports: Receiver<Done>,
    start: Arc<Barrier>,
}

struct Finished {
    sent: u64,
    written: u64,
    late: u64,
    replays: u64,
}

impl Team {
    fn start(transform: Transform, loads: Vec<Load>, record: Option<&mpsc::Sender<Receive>>) -> Result<Self> {
        let count = loads.len();
        let wakers: Vec<Waker> = loads.iter().map(|_| Waker::new()).collect::<std::io::Result<_>>()?;
        let crew = (count > 1).then(|| Arc::new(Crew::new(wakers.iter().cloned().enumerate().skip(1), true)));
        let (report, reports) = mpsc::channel();
        let start = Arc::new(Barrier::new(count + 1));
        let path =
            OuterPath { local: frame::LOCAL, remote: frame::REMOTE, encapsulation: Encapsulation::Udp };
        let outbound = Arc::new(Sending::new(OutboundSa::new(&outbound_spec(TUNNEL, SPI, transform, path))?));
        let mut team = Self { mailboxes: Vec::new(), threads: Vec::new(), reports, start };
        for (index, (load, waker)) in loads.into_iter().zip(wakers).enumerate() {
            let (mailbox, orders) = Mailbox::new(waker.clone());
            let backend = Memory::new(load, waker, report.clone(), record.cloned());
            let (crew, start) = (crew.clone(), Arc::clone(&team.start));
            team.threads.push(std::thread::spawn(move || {
                start.wait();
                Worker::new(backend, orders, Arc::new(drop)).among(index, crew).run();
            }));
            let receipt = Receipt::new(Box::new(drop));
            let spec = TunnelSpec { id: TUNNEL, interface: "memory".into(), mtu_cap: 1446, outer_mtu: 1500 };
            mailbox.post(Order::AddTunnel(spec, vec![()]), &receipt);
            if index == 0 {
                let inbound = InboundSa::new(&inbound_spec(TUNNEL, SPI, transform))?;
                mailbox.post(Order::InstallInbound(Box::new(inbound)), &receipt);
            }
            mailbox.post(Order::InstallOutbound(Arc::clone(&outbound), path), &receipt);
            team.mailboxes.push(mailbox);
        }
        Ok(team)
    }

    fn begin(&self) {
        self.start.wait();
    }

    /// Waits until every worker has used up its load.
    fn finish(mut self) -> Result<Finished> {
        let done = self.reports.iter().take(self.threads.len()).fold(Done::default(), |sum, done| Done {
            sent: sum.sent + done.sent,
            written: sum.written + done.written,
            late: sum.late + done.late,
        });
        let (reply, replied) = mpsc::channel();
        let receipt = Receipt::new(Box::new(move |stats| drop(reply.send(stats))));
        self.mailboxes.iter().for_each(|mailbox| mailbox.post(Order::Stats, &receipt));
        drop(receipt);
        let Reply::Stats(stats) = replied.recv()? else { anyhow::bail!("no counters") };
        let stop = Receipt::new(Box::new(drop));
        self.mailboxes.iter().for_each(|mailbox| mailbox.post(Order::Stop, &stop));
        for thread in self.threads.drain(..) {
            ensure!(thread.join().is_ok(), "a worker died");
        }
        let drops = |reason| stats.iter().map(|(_, stats)| stats.drops.of(reason)).sum::<u64>();
        let replays = drops(DropReason::Replay) + drops(DropReason::ReplayLate);
        Ok(Finished { sent: done.sent, written: done.written, late: done.late, replays })
    }
}

const TRANSFORMS: [(&str, Transform); 2] = [
    ("AES-256-GCM", Transform::Aes256Gcm16),
    ("AES-256-CBC + HMAC-SHA2-256", Transform::Aes256Cbc(Hmac::Sha256)),
];

/// Source ports of the flows.
const FLOWS: std::ops::Range<u16> = 40_000..40_008;

const TUNNEL: TunnelId = TunnelId(1);
const SPI: u32 = 0x6d65_6d31;
