//! `gotthard demo` as a person runs it: what it shows, and that nothing of it is left, however it ends.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failed step fails the test; what cannot run here is said"
)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use tempfile::TempDir;

#[test]
fn shows_two_tunnels_a_throughput_and_a_failover_and_leaves_nothing() {
    let Some(demo) = Demo::start() else { return };
    let End { status, text, mistakes, left } = demo.wait();
    assert!(status.success(), "{status}\n{text}\n{mistakes}");
    for part in ["tunnel 1 is up", "tunnel 2 is up", "aes256gcm16", "1438", "1.25 Gbps", "within 0.9 s"] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(figure_before(&text, " Gbps") > 0.0, "{text}");
    // Two intervals at least pass between the first echo in vain and the third; a busy machine may take longer to tell, and
    // after 10 s the demonstration itself gives up.
    assert!((400.0..11_000.0).contains(&figure_before(&text, " ms")), "{text}");
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn interrupted_at_any_step_it_ends_clean() {
    for (step, signal) in [
        ("both sides run", Signal::INT),
        ("measured for", Signal::TERM),
        ("nobody is told", Signal::INT),
        ("is up again by itself", Signal::HUP),
    ] {
        let Some(mut demo) = Demo::start() else { return };
        demo.wait_for(step);
        demo.signal(signal);
        let end = demo.wait();
        assert_eq!(end.status.code(), Some(1), "{step}: {}", end.mistakes);
        assert!(end.mistakes.contains("everything is cleaned up"), "{step}: {}", end.mistakes);
        assert_eq!(end.left, Vec::<String>::new(), "{step}");
    }
}

#[test]
fn killed_it_takes_its_daemons_with_it() {
    let Some(mut demo) = Demo::start() else { return };
    demo.wait_for("measured for");
    demo.signal(Signal::KILL);
    let left = demo.wait().left;
    // Nobody is there to remove the folder.
    assert!(left.iter().all(|what| what.starts_with("folder")), "{left:?}");
}

/// A demonstration with a folder for temporary files of its own, by which its processes are recognised.
struct Demo {
    child: Child,
    told: BufReader<ChildStdout>,
    text: String,
    folder: TempDir,
    devices: Vec<String>,
    _alone: MutexGuard<'static, ()>,
}

/// How one has ended.
struct End {
    status: ExitStatus,
    /// What it told on standard output and standard error.
    text: String,
    mistakes: String,
    /// Processes, folders and devices that are still there.
    left: Vec<String>,
}

impl Demo {
    /// Starts it; where it may not run here, it must say so plainly.
    fn start() -> Option<Self> {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let (folder, devices) = (tempfile::tempdir().unwrap(), devices());
        let mut command = Command::new(env!("CARGO_BIN_EXE_gotthard"));
        command.arg("demo").env("TMPDIR", folder.path()).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let told = BufReader::new(child.stdout.take().unwrap());
        let mut demo = Self { child, told, text: String::new(), folder, devices, _alone: alone };
        if demo.next_line() {
            return Some(demo);
        }
        let end = demo.wait();
        assert!(
            end.status.code() == Some(1) && end.mistakes.contains("the demonstration needs"),
            "{}",
            end.mistakes
        );
        eprintln!("not tested: {}", end.mistakes);
        None
    }

    /// Reads what it tells until a line holds `step`.
    fn wait_for(&mut self, step: &str) {
        while !self.text.contains(step) {
            assert!(self.next_line(), "it ended before {step:?}:\n{}", self.text);
        }
    }

    fn next_line(&mut self) -> bool {
        self.told.read_line(&mut self.text).unwrap() > 0
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end.
    fn wait(mut self) -> End {
        while self.next_line() {}
        let output = self.child.wait_with_output().unwrap();
        let mut left = processes_with(self.folder.path());
        let entries = fs::read_dir(self.folder.path()).unwrap();
        left.extend(entries.map(|entry| format!("folder {}", entry.unwrap().path().display())));
        left.extend(devices().into_iter().filter(|name| !self.devices.contains(name)));
        let mistakes = String::from_utf8_lossy(&output.stderr).into_owned();
        End { status: output.status, text: self.text, mistakes, left }
    }
}

/// Processes that have the folder in their environment, but for those that are about to end.
fn processes_with(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let pids =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let holds = |pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        String::from_utf8_lossy(&environment).contains(folder)
    };
    pids.filter(holds).filter(|pid| !ends_soon(*pid)).map(|pid| format!("process {pid}")).collect()
}

/// Waits for the end of a process; a signal that kills is on its way when its parent is gone, and arrives later.
fn ends_soon(pid: i32) -> bool {
    let Some(process) = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else {
        return true;
    };
    let limit = Timespec { tv_sec: 5, tv_nsec: 0 };
    poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&limit)).unwrap() > 0
}

/// Network devices of this namespace.
fn devices() -> Vec<String> {
    let listed = fs::read_to_string("/proc/self/net/dev").unwrap();
    listed.lines().skip(2).filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect()
}

/// The number before the first occurrence of a unit in the table of figures.
fn figure_before(text: &str, unit: &str) -> f64 {
    let table = text.split("MEASURED").nth(1).unwrap();
    let before = table.split(unit).next().unwrap();
    before.split_whitespace().last().unwrap().parse().unwrap()
}

/// Two at once would share the machine's cores and so measure each other.
static ALONE: Mutex<()> = Mutex::new(());
