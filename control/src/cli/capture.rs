//! `gotthard capture`: fetches the copies of a tunnel's packets and writes them as pcapng, until it has enough or is
//! interrupted.

use core::time::Duration;
use std::fs::OpenOptions;
use std::io::{self, IsTerminal as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::SystemTime;

use tokio::time::{Instant, sleep};

use super::args::CaptureArgs;
use super::exit::Exit;
use super::interrupt::Interrupt;
use super::order::{answer, unexpected};
use super::text;
use crate::api::capture::{CaptureOrder, CapturePage, Layer};
use crate::api::messages::{Request, Response};
use crate::capture::pcapng;
use crate::counted::counted;

/// Captures; what is wrong goes to standard error, and so does the sum.
pub(super) async fn capture(socket: &Path, wanted: CaptureArgs) -> Exit {
    let mut interrupt = Interrupt::catch();
    let output: Box<dyn Write> = match open(&wanted.write) {
        Ok(output) => output,
        Err(error) => {
            eprintln!("error: {}: {error}", text::line(&wanted.write.display().to_string()));
            return Exit::Failed;
        }
    };
    let layer = if wanted.outer { Layer::Outer } else { Layer::Inner };
    let order = CaptureOrder { target: wanted.target, layer };
    let first = match page(socket, Request::Capture(order)).await {
        Ok(first) => first,
        Err(exit) => return exit,
    };
    let mut file = File { output, taken: 0, lost: 0, most: wanted.count.unwrap_or(u64::MAX) };
    let result = file.begin(&first.interface).and_then(|()| file.add(&first));
    let end = wanted.time.map(|time| Instant::now() + *time);
    let exit = match result {
        Ok(()) => follow(socket, &mut file, end, &mut interrupt).await,
        Err(error) => failed(&error),
    };
    // Also where writing has failed: the daemon need not go on.
    let last = page(socket, Request::CaptureEnd).await;
    let added = last.map_or(Ok(()), |last| file.add(&last));
    let exit = added.and_then(|()| file.finish()).map_or_else(|error| failed(&error), |()| exit);
    eprintln!("{}, {} lost", counted(file.taken, "packet", "packets"), file.lost);
    exit
}

/// Fetches until there is enough, the time is over, or somebody interrupts.
async fn follow(socket: &Path, file: &mut File, end: Option<Instant>, interrupt: &mut Interrupt) -> Exit {
    loop {
        if file.taken >= file.most || end.is_some_and(|end| end <= Instant::now()) {
            return Exit::Ok;
        }
        let left = end.map_or(PERIOD, |end| end - Instant::now());
        tokio::select! {
            () = interrupt.next() => return Exit::Ok,
            () = sleep(left.min(PERIOD)) => {}
        }
        match page(socket, Request::CaptureMore).await.map(|page| file.add(&page)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return failed(&error),
            Err(exit) => return exit,
        }
    }
}

async fn page(socket: &Path, request: Request) -> Result<CapturePage, Exit> {
    let Response::Capture(page) = answer(socket, request).await? else { return Err(unexpected()) };
    Ok(*page)
}

/// A file for its owner alone: inner packets are what the tunnel is there to hide.
fn open(path: &Path) -> io::Result<Box<dyn Write>> {
    if path == Path::new("-") {
        if io::stdout().is_terminal() {
            return Err(io::Error::other("this is a terminal: write to a file or a pipe"));
        }
        return Ok(Box::new(io::stdout()));
    }
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    Ok(Box::new(file))
}

fn failed(error: &io::Error) -> Exit {
    // Who reads our standard output may have seen enough.
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Exit::Ok;
    }
    eprintln!("error: writing the capture: {error}");
    Exit::Failed
}

/// What is written, and how much of it.
struct File {
    output: Box<dyn Write>,
    taken: u64,
    lost: u64,
    most: u64,
}

impl File {
    fn begin(&mut self, interface: &str) -> io::Result<()> {
        self.output.write_all(&pcapng::head(interface))
    }

    fn add(&mut self, page: &CapturePage) -> io::Result<()> {
        self.lost = self.lost.saturating_add(page.lost);
        for packet in &page.packets {
            if self.taken >= self.most {
                break;
            }
            let octets = packet.decode().ok_or_else(|| io::Error::other("the daemon sends no packets"))?;
            let comment = packet.comment.as_deref();
            self.output.write_all(&pcapng::packet(packet.time, packet.outbound, &octets, comment))?;
            self.taken = self.taken.saturating_add(1);
        }
        self.output.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.output.write_all(&pcapng::statistics(now, self.taken, self.lost))?;
        self.output.flush()
    }
}

/// Often enough that the daemon's queue does not fill up at a moderate rate.
const PERIOD: Duration = Duration::from_millis(20);
