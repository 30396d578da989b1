//! A process beside the daemon that runs the hooks: started before the daemon denies itself files, so that hooks reach those
//! that they need and the daemon does not.
//!
//! ```text
//! daemon --- socket pair, a line of JSON each ---> hooks, standard input
//!        { id, round }     of an event, or null: look which hooks there are
//!        <--- { id, outcome }
//! ```
//! It is the same program under another name. Its folder is fixed when it starts: who breaks into the daemon can have the
//! hooks of that folder run with variables of theirs, and nothing else. It ends with the daemon.

use core::time::Duration;
use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream as StdStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};
use tracing::warn;

use super::round::{self, Outcome, Round};
use super::runner::MAX_RUNNING;
use crate::privileges;

/// The process, as the daemon has it.
#[derive(Debug)]
pub struct Beside {
    folder: PathBuf,
    asked: mpsc::Sender<Asked>,
    child: Child,
}

/// A round, and who waits for what became of it.
type Asked = (Option<Round>, oneshot::Sender<Outcome>);

/// What the daemon sends.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    id: u64,
    round: Option<Round>,
}

/// What it is answered.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    id: u64,
    outcome: Outcome,
}

impl Beside {
    /// Starts it for the hooks of a folder, each of which may take `limit`. A runtime must be there.
    pub fn start(folder: &Path, limit: Duration) -> io::Result<Self> {
        let (ours, its) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut command = Command::new("/proc/self/exe");
        command.arg0(NAME).arg(folder).arg(limit.as_millis().to_string());
        // An interrupt of the terminal's is the daemon's, which still has hooks to run then.
        command.stdin(Stdio::from(std::os::fd::OwnedFd::from(its))).process_group(0);
        let child = command.spawn()?;
        let (asked, asks) = mpsc::channel(MAX_RUNNING);
        tokio::spawn(carry(UnixStream::from_std(ours)?, asks));
        Ok(Self { folder: folder.to_owned(), asked, child })
    }

    /// The folder whose hooks it runs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Another handle to ask it.
    pub(super) fn line(&self) -> Line {
        Line(self.asked.clone())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // It has nothing to do any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks the process.
#[derive(Debug)]
pub(super) struct Line(mpsc::Sender<Asked>);

impl Line {
    /// Has it tell the hooks of an event, or look which there are; `None`: it is gone.
    pub(super) async fn ask(&self, round: Option<Round>) -> Option<Outcome> {
        let (answer, answered) = oneshot::channel();
        self.0.send((round, answer)).await.ok()?;
        answered.await.ok()
    }
}

/// The daemon's side: sends what is asked, and hands out the answers, until one of both ends.
async fn carry(stream: UnixStream, mut asks: mpsc::Receiver<Asked>) {
    let (read, mut write) = stream.into_split();
    let (mut read, mut waiting, mut next) = (Lines(BufReader::new(read)), HashMap::new(), 0_u64);
    loop {
        // Who asks waits for the answer: as many wait as there are turns. Reading is cancelled between lines only.
        tokio::select! {
            ask = asks.recv() => {
                let Some((round, answer)) = ask else { return };
                next = next.wrapping_add(1);
                waiting.insert(next, answer);
                if send(&mut write, &Request { id: next, round }).await.is_err() {
                    return;
                }
            }
            ready = read.0.fill_buf() => {
                if !ready.is_ok_and(|octets| !octets.is_empty()) {
                    return;
                }
                let Some(Answer { id, outcome }) = read.next().await else { return };
                if let Some(answer) = waiting.remove(&id) {
                    let _ = answer.send(outcome);
                }
            }
        }
    }
}

/// What the process does, if it was started as this: runs hooks until the daemon ends.
pub fn main() -> Option<ExitCode> {
    let mut arguments = std::env::args_os();
    if arguments.next()? != NAME {
        return None;
    }
    let folder = PathBuf::from(arguments.next()?);
    let limit = Duration::from_millis(arguments.next()?.to_str()?.parse().ok()?);
    // For who lists processes: the link that it was started by says nothing.
    let _ = rustix::thread::set_name(c"gotthard-hooks");
    let _logs = crate::log::init();
    privileges::keep_memory_private();
    privileges::give_up(None);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let served = runtime.block_on(serve(&folder, limit));
    // What a hook holds open is not waited for.
    runtime.shutdown_background();
    Some(match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            warn!(%error, "hooks are not run any more");
            ExitCode::FAILURE
        }
    })
}

async fn serve(folder: &Path, limit: Duration) -> io::Result<()> {
    // A service manager tells all processes of its end, and the daemon's last hooks are yet to come.
    let _deaf = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal);
    let stream = StdStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    stream.set_nonblocking(true)?;
    let (read, write) = UnixStream::from_std(stream)?.into_split();
    let (mut read, write) = (Lines(BufReader::new(read)), Arc::new(Mutex::new(write)));
    let turns = Arc::new(Semaphore::new(MAX_RUNNING));
    loop {
        // The semaphore is never closed.
        let turn = Arc::clone(&turns).acquire_owned().await.map_err(io::Error::other)?;
        let Some(Request { id, round }) = read.next().await else { return Ok(()) };
        let (folder, write) = (folder.to_owned(), Arc::clone(&write));
        tokio::spawn(async move {
            let outcome = match round.map(known) {
                Some(round) => round.run(folder, limit).await,
                None => round::look(folder).await,
            };
            // Without a daemon there is nobody to tell.
            let _ = send(&mut *write.lock().await, &Answer { id, outcome }).await;
            drop(turn);
        });
    }
}

/// Without variables that are not those of events: some change what a program is.
fn known(mut round: Round) -> Round {
    round.environment.retain(|(name, value)| {
        let of_events = ["GOTTHARD_", "PLUTO_"].iter().any(|prefix| name.starts_with(prefix));
        of_events && !name.contains(['=', '\0']) && !value.contains('\0')
    });
    round
}

async fn send(write: &mut OwnedWriteHalf, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    write.write_all(&line).await
}

/// Messages, a line each.
struct Lines<R>(R);

impl<R: AsyncBufRead + Unpin> Lines<R> {
    /// The next; `None`: there is none that can be understood.
    async fn next<T: DeserializeOwned>(&mut self) -> Option<T> {
        let mut line = Vec::new();
        (&mut self.0).take(MAX_LINE).read_until(b'\n', &mut line).await.ok()?;
        serde_json::from_slice(&line).ok()
    }
}

/// `argv[0]` of the process.
const NAME: &str = "gotthard-hooks";
/// An environment is much shorter, and so are the names of a folder's files.
const MAX_LINE: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::super::event::{Event, What};
    use super::*;

    #[test]
    fn only_variables_of_events_reach_a_hook() {
        let event = Event { connection: "aws".to_owned(), tunnel: None, what: What::BgpUp };
        let round = Round::of(&event, 0);
        assert_eq!(known(round.clone()), round, "all of an event's");
        let mut forged = round.clone();
        for name in ["LD_PRELOAD", "PATH", "", "GOTTHARD_A=B", "GOTTHARD_\0"] {
            forged.environment.push((name.to_owned(), "x".to_owned()));
        }
        forged.environment.push(("GOTTHARD_X".to_owned(), "\0".to_owned()));
        assert_eq!(known(forged), round);
    }

    #[tokio::test]
    async fn a_line_that_does_not_end_is_none() {
        let endless = vec![b' '; usize::try_from(MAX_LINE).expect("a size") + 10];
        assert!(Lines(&endless[..]).next::<Request>().await.is_none());
        let mut two = Lines(&b"{\"id\":7,\"round\":null}\nnonsense\n"[..]);
        assert_eq!(two.next::<Request>().await.map(|request| request.id), Some(7));
        assert!(two.next::<Request>().await.is_none());
    }
}
