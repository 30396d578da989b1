//! Numbered UDP probes a thousand times a second, echoed by the far side: how long a failover is felt.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core::time::Duration;
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, anyhow};
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use super::host::Host;

/// Probes under way. Dropped, they end.
#[derive(Debug)]
pub(super) struct Probes {
    start: Instant,
    progress: Arc<Progress>,
    answered: watch::Receiver<u32>,
    sender: JoinHandle<()>,
    receiver: JoinHandle<Vec<Answer>>,
}

/// What came of the probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The longest time without an answer, around the cut.
    pub(super) gap: Duration,
    /// Probes sent.
    pub(super) sent: u32,
    /// Those that were never answered.
    pub(super) lost: u32,
}

/// An answer: the number of its probe, and when it came since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Answer {
    number: u32,
    at: Duration,
}

#[derive(Debug, Default)]
struct Progress {
    sent: AtomicU32,
    no_more: AtomicBool,
    closed: AtomicBool,
}

impl Probes {
    /// Starts sending from an address of one host to an address of another, which echoes.
    pub(super) async fn start(from: (&Host, IpAddr), to: (&Host, IpAddr)) -> anyhow::Result<Self> {
        let (local, remote) = (SocketAddr::new(from.1, 0), SocketAddr::new(to.1, PORT));
        let near = from.0.run(move || socket(local)).await?.context("a socket for the probes")?;
        let far = to.0.run(move || socket(remote)).await?.context("a socket for the echo")?;
        let (progress, start) = (Arc::<Progress>::default(), Instant::now());
        let (tell, answered) = watch::channel(0);
        spawn_blocking({
            let progress = Arc::clone(&progress);
            move || echo(&far, &progress)
        });
        let sender = spawn_blocking({
            let (near, progress) = (near.try_clone()?, Arc::clone(&progress));
            move || send(&near, remote, start, &progress)
        });
        let receiver = spawn_blocking({
            let progress = Arc::clone(&progress);
            move || receive(&near, start, &progress, &tell)
        });
        Ok(Self { start, progress, answered, sender, receiver })
    }

    /// Waits until a probe is answered that is sent after this call.
    pub(super) async fn next_answer(&mut self, limit: Duration) -> anyhow::Result<()> {
        let last = self.progress.sent.load(Ordering::Relaxed);
        let answered = timeout(limit, self.answered.wait_for(|number| *number > last)).await;
        answered.map_err(|_| anyhow!("no probe was answered for {} s", limit.as_secs()))??;
        Ok(())
    }

    /// Time since the start.
    pub(super) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Sends no more, takes what is still on its way, and sums up. `cut` is when the tunnel was cut, since the start.
    pub(super) async fn finish(mut self, cut: Duration) -> anyhow::Result<Outcome> {
        self.progress.no_more.store(true, Ordering::Relaxed);
        (&mut self.sender).await?;
        let answers = (&mut self.receiver).await?;
        let sent = self.progress.sent.load(Ordering::Relaxed);
        let gap = gap(&answers, cut).context("no probe was answered after the cut")?;
        Ok(Outcome { gap, sent, lost: lost(sent, &answers) })
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        self.progress.no_more.store(true, Ordering::Relaxed);
        self.progress.closed.store(true, Ordering::Relaxed);
    }
}

fn socket(local: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(local)?;
    socket.set_read_timeout(Some(STILL_UNDER_WAY))?;
    Ok(socket)
}

/// Sends back what comes.
fn echo(socket: &UdpSocket, progress: &Progress) {
    let mut probe = [0; PROBE];
    while !progress.closed.load(Ordering::Relaxed) {
        if let Ok((len, from)) = socket.recv_from(&mut probe) {
            // Between two tunnels there is no route: a probe that cannot be answered is one that is lost.
            drop(socket.send_to(probe.get(..len).unwrap_or_default(), from));
        }
    }
}

/// Sends by a timetable, so that one late probe does not delay the others.
fn send(socket: &UdpSocket, to: SocketAddr, start: Instant, progress: &Progress) {
    for number in 1..=MOST {
        let due = start + INTERVAL * number;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if progress.no_more.load(Ordering::Relaxed) {
            return;
        }
        progress.sent.store(number, Ordering::Relaxed);
        drop(socket.send_to(&number.to_be_bytes(), to));
    }
}

/// Takes answers until no more probes are sent and none comes for [`STILL_UNDER_WAY`].
fn receive(
    socket: &UdpSocket,
    start: Instant,
    progress: &Progress,
    tell: &watch::Sender<u32>,
) -> Vec<Answer> {
    let mut answers = Vec::new();
    let mut probe = [0; PROBE];
    loop {
        match socket.recv_from(&mut probe) {
            Ok((PROBE, _)) => {
                let number = u32::from_be_bytes(probe);
                answers.push(Answer { number, at: start.elapsed() });
                tell.send_replace(number);
            }
            Err(_) if progress.no_more.load(Ordering::Relaxed) => return answers,
            Ok(_) | Err(_) => {}
        }
    }
}

/// The longest time between two answers of which the later came after the cut; `None` where none did.
fn gap(answers: &[Answer], cut: Duration) -> Option<Duration> {
    let pairs = answers.iter().zip(answers.iter().skip(1));
    pairs
        .filter(|(_, later)| later.at >= cut)
        .map(|(earlier, later)| later.at.saturating_sub(earlier.at))
        .max()
}

/// How many of the probes 1 to `sent` have no answer.
fn lost(sent: u32, answers: &[Answer]) -> u32 {
    let answered: BTreeSet<u32> =
        answers.iter().map(|answer| answer.number).filter(|number| (1..=sent).contains(number)).collect();
    sent.saturating_sub(u32::try_from(answered.len()).unwrap_or(u32::MAX))
}

/// Time between two probes.
const INTERVAL: Duration = Duration::from_millis(1);
/// Longest time an answer is waited for at the end.
const STILL_UNDER_WAY: Duration = Duration::from_millis(200);
/// The demonstration is over long before.
const MOST: u32 = 60_000;
/// Octets of a probe: its number.
const PROBE: usize = 4;
const PORT: u16 = 5002;

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(of: &[(u32, u64)]) -> Vec<Answer> {
        of.iter().map(|&(number, at)| Answer { number, at: Duration::from_millis(at) }).collect()
    }

    #[test]
    fn the_gap_is_the_longest_silence_that_ends_after_the_cut() {
        let answers = answers(&[(1, 1), (2, 9), (3, 10), (900, 900), (901, 901)]);
        assert_eq!(gap(&answers, Duration::from_millis(10)), Some(Duration::from_millis(890)));
        assert_eq!(gap(&answers, Duration::from_millis(901)), Some(Duration::from_millis(1)));
    }

    #[test]
    fn without_an_answer_after_the_cut_there_is_no_gap_to_tell() {
        assert_eq!(gap(&answers(&[(1, 1), (2, 2)]), Duration::from_millis(3)), None);
        assert_eq!(gap(&[], Duration::ZERO), None);
    }

    #[test]
    fn lost_are_those_without_an_answer_and_duplicates_do_not_count_twice() {
        assert_eq!(lost(5, &answers(&[(1, 1), (1, 2), (4, 5)])), 3);
        assert_eq!(lost(2, &answers(&[(1, 1), (2, 2), (7, 3), (0, 4)])), 0);
    }
}
