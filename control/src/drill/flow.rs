//! The echoes of a drill: sent at a steady rate from a thread of their own, and what came back.

use core::time::Duration;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::Socket;

use super::measure::Echo;
use crate::probe::echo::{Family, Framing, IDENTIFIER, ROOM, Token, reply, request};
use crate::probe::socket;

/// A flow under way. Dropping it ends it.
#[derive(Debug)]
pub struct Flow {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Vec<Echo>>>,
}

/// A way that echoes can take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// The device; `None`: as the kernel routes.
    pub device: Option<String>,
    /// Our address; `None`: the kernel's choice.
    pub source: Option<IpAddr>,
    /// Who is to answer.
    pub target: IpAddr,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    /// The path that the next echo takes.
    path: AtomicUsize,
    sent: AtomicU64,
    answered: AtomicU64,
}

impl Flow {
    /// Starts sending so many echoes a second over the first of the paths.
    pub fn start(paths: &[Path], rate: u32, token: Token) -> io::Result<Self> {
        let sockets = paths.iter().map(Line::open).collect::<io::Result<Vec<Line>>>()?;
        let shared = Arc::new(Shared::default());
        let start = Instant::now();
        let period = Duration::from_secs(1) / rate.max(1);
        let sender = Sender { lines: sockets, shared: Arc::clone(&shared), start, period, token };
        let thread = thread::Builder::new().name("drill".to_owned()).spawn(move || sender.run())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// The next echoes take this path.
    pub fn take_path(&self, index: usize) {
        self.shared.path.store(index, Ordering::Relaxed);
    }

    /// Echoes sent and answered so far.
    pub fn count(&self) -> (u64, u64) {
        (self.shared.sent.load(Ordering::Relaxed), self.shared.answered.load(Ordering::Relaxed))
    }

    /// Sends no more. What is on its way may still be answered.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }

    /// The thread has ended: [`Self::finish`] does not wait.
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// What became of each echo.
    pub fn finish(mut self) -> Vec<Echo> {
        self.stop();
        self.thread.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The thread's own.
struct Sender {
    lines: Vec<Line>,
    shared: Arc<Shared>,
    start: Instant,
    period: Duration,
    token: Token,
}

impl Sender {
    fn run(self) -> Vec<Echo> {
        let mut echoes: Vec<Echo> = Vec::new();
        let mut ends: Option<Instant> = None;
        loop {
            let now = Instant::now();
            if ends.is_none() && (self.shared.stop.load(Ordering::Relaxed) || echoes.len() >= MOST) {
                ends = Some(now + LATE);
            }
            let due = match ends {
                Some(end) if end <= now => return echoes,
                Some(end) => end,
                None => self.start + self.period * u32::try_from(echoes.len()).unwrap_or(u32::MAX),
            };
            if ends.is_none() && due <= now {
                self.send(&mut echoes, now);
                continue;
            }
            self.receive(&mut echoes, due - now);
        }
    }

    /// What the kernel refuses was sent in vain: it counts as lost.
    fn send(&self, echoes: &mut Vec<Echo>, now: Instant) {
        let sequence = u16::try_from(echoes.len()).unwrap_or(u16::MAX);
        if let Some(line) = self.lines.get(self.shared.path.load(Ordering::Relaxed)) {
            let _ = line.socket.send(&request(line.family, IDENTIFIER, sequence, self.token));
        }
        echoes.push(Echo { sent: now - self.start, answered: false });
        self.shared.sent.fetch_add(1, Ordering::Relaxed);
    }

    /// Reads replies until there are none, or the next echo is due.
    fn receive(&self, echoes: &mut [Echo], rest: Duration) {
        let mut ready: Vec<PollFd<'_>> =
            self.lines.iter().map(|line| PollFd::new(&line.socket, PollFlags::IN)).collect();
        // A flow that is stopped is to notice soon.
        let rest = Timespec::try_from(rest.min(LATE / 10)).ok();
        if poll(&mut ready, rest.as_ref()).is_err() {
            return;
        }
        let ready: Vec<bool> = ready.iter().map(|fd| !fd.revents().is_empty()).collect();
        for (line, _) in self.lines.iter().zip(ready).filter(|(_, ready)| *ready) {
            let mut buffer = [0; ROOM];
            let mut socket = &line.socket;
            let Ok(length) = io::Read::read(&mut socket, &mut buffer) else { continue };
            let datagram = buffer.get(..length).unwrap_or_default();
            let Some(sequence) = reply(line.family, line.framing, datagram, self.token) else { continue };
            if let Some(echo) = echoes.get_mut(usize::from(sequence)).filter(|echo| !echo.answered) {
                echo.answered = true;
                self.shared.answered.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// An open socket of a path.
struct Line {
    socket: Socket,
    family: Family,
    framing: Framing,
}

impl Line {
    fn open(path: &Path) -> io::Result<Self> {
        let (socket, family, framing) = socket::open(path.device.as_deref(), path.source, path.target)?;
        // What waits while this thread does not run is not lost in a tunnel.
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        Ok(Self { socket, family, framing })
    }
}

/// Echoes of one flow: their numbers have 16 bits.
const MOST: usize = 60_000;
/// A reply that takes longer is lost.
const LATE: Duration = Duration::from_secs(1);
const RECEIVE_BUFFER: usize = 1 << 20;
