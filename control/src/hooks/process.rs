//! One hook, run to its end: no shell, an environment of its own, its output in the log, a bounded time.

use core::time::Duration;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tracing::{Instrument as _, info};

use crate::counted::counted;

/// Runs it; `Err` says why it did not end well.
pub(super) async fn run(
    hook: &Path,
    environment: &[(String, String)],
    limit: Duration,
) -> Result<(), String> {
    let mut child =
        start(hook, environment).await.map_err(|error| format!("it cannot be started: {error}"))?;
    let outputs = [child.stdout.take().map(log), child.stderr.take().map(log)];
    let in_time = end(&child, limit).await.map_err(|error| format!("it cannot be watched: {error}"))?;
    for output in outputs.into_iter().flatten() {
        // Who left the group may hold the pipe open as long as he likes.
        let stop = output.abort_handle();
        if timeout(DRAIN, output).await.is_err() {
            stop.abort();
        }
    }
    let status = child.wait().await.map_err(|error| error.to_string())?;
    match (in_time, status.code(), status.signal()) {
        (false, ..) => Err(format!("it was ended after {} s", limit.as_secs_f32())),
        (true, Some(0), _) => Ok(()),
        (true, Some(code), _) => Err(format!("it ended with {code}")),
        (true, None, signal) => Err(format!("it was ended by signal {}", signal.unwrap_or_default())),
    }
}

/// Starts it in a process group of its own, on a thread that may wait for a slow file system.
async fn start(hook: &Path, environment: &[(String, String)]) -> io::Result<Child> {
    for _ in 0..TRIES {
        let mut command = Command::new(hook);
        command
            .env_clear()
            .envs(environment.iter().cloned())
            .current_dir("/")
            .process_group(0)
            .kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        match spawn_blocking(move || command.spawn()).await? {
            Err(error) if Errno::from_io_error(&error) == Some(Errno::TXTBSY) => sleep(REST).await,
            result => return result,
        }
    }
    Err(Errno::TXTBSY.into())
}

/// Waits for its end, or makes one; false: it had to be made. What it leaves behind in its group ends too.
async fn end(child: &Child, limit: Duration) -> io::Result<bool> {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let Some(pid) = pid else { return Ok(true) };
    let mut exit = spawn_blocking(move || exited(pid));
    let in_time = timeout(limit, &mut exit).await;
    if in_time.is_err() {
        let _ = kill_process_group(pid, Signal::TERM);
        let _ = timeout(GRACE, &mut exit).await;
    }
    // Its first process is not reaped yet, so the number of the group is still its own.
    let _ = kill_process_group(pid, Signal::KILL);
    in_time.map_or(Ok(false), |exit| exit?.map(|()| true))
}

/// Waits for the end of a child and leaves it to be reaped.
fn exited(pid: Pid) -> io::Result<()> {
    loop {
        match waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
            Err(Errno::INTR) => {}
            result => return result.map(drop).map_err(io::Error::from),
        }
    }
}

/// Reads a pipe to its end and logs what fits.
fn log(pipe: impl AsyncRead + Unpin + Send + 'static) -> tokio::task::JoinHandle<()> {
    tokio::spawn(log_lines(pipe).in_current_span())
}

async fn log_lines(mut pipe: impl AsyncRead + Unpin) {
    let (mut line, mut lines, mut chunk) = (Vec::new(), 0_usize, [0; 1024]);
    while let Ok(length @ 1..) = pipe.read(&mut chunk).await {
        for octet in chunk.iter().take(length).copied() {
            if octet != b'\n' && line.len() < MAX_LINE {
                line.push(octet);
            } else if octet == b'\n' {
                say(&mut line, &mut lines);
            }
        }
    }
    if !line.is_empty() {
        say(&mut line, &mut lines);
    }
    if lines > MAX_LINES {
        let more = (lines - MAX_LINES) as u64;
        info!("{} not logged", counted(more, "more line is", "more lines are"));
    }
}

fn say(line: &mut Vec<u8>, lines: &mut usize) {
    *lines = lines.saturating_add(1);
    if *lines <= MAX_LINES {
        info!("{}", String::from_utf8_lossy(line).escape_debug());
    }
    line.clear();
}

/// Between SIGTERM and SIGKILL.
pub(super) const GRACE: Duration = Duration::from_secs(1);
/// What was written right before the end is read within this time.
const DRAIN: Duration = Duration::from_secs(1);
/// Lines of an output that are logged.
const MAX_LINES: usize = 50;
/// Octets of a line that are logged.
const MAX_LINE: usize = 512;
/// A file that is being written cannot be run: whoever replaces a hook is given a moment.
const TRIES: u32 = 10;
const REST: Duration = Duration::from_millis(50);
