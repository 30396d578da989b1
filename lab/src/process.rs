//! A peer or the gateway as a child process in a host: its log in a file, ended when dropped.

use core::time::Duration;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, kill_process};

use crate::wait;

pub use rustix::process::Signal;

/// A running child. [`crate::Netns::command`] execs into the program, so the child's id is the program's.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it; standard output and error are appended to `DIR/NAME.log`.
    pub fn spawn(command: &mut Command, name: &str, dir: &Path) -> Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let file = OpenOptions::new().append(true).create(true).open(&log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("{command:?}"))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// The same with standard output in a file of its own, `DIR/NAME.out`.
    pub fn spawn_with_output(command: &mut Command, name: &str, dir: &Path) -> Result<(Self, PathBuf)> {
        let log = dir.join(format!("{name}.log"));
        let out = dir.join(format!("{name}.out"));
        command.stdin(Stdio::null()).stdout(File::create(&out)?).stderr(File::create(&log)?);
        let child = command.spawn().with_context(|| format!("{command:?}"))?;
        Ok((Self { name: name.to_owned(), child, log }, out))
    }

    /// The same as [`Self::spawn`] with standard input from us.
    pub fn spawn_with_input(command: &mut Command, name: &str, dir: &Path) -> Result<(Self, ChildStdin)> {
        let log = dir.join(format!("{name}.log"));
        let file = File::create(&log)?;
        command.stdin(Stdio::piped()).stdout(file.try_clone()?).stderr(file);
        let mut child = command.spawn().with_context(|| format!("{command:?}"))?;
        let input = child.stdin.take().context("standard input")?;
        Ok((Self { name: name.to_owned(), child, log }, input))
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// False once it has ended.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// All it has written.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("process id")?;
        kill_process(pid, signal).with_context(|| self.name.clone())
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Waits for its end.
    pub fn wait(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        wait::until(deadline, what, || Ok(self.child.try_wait()?))
    }

    /// Waits for its end and fails unless that was a success.
    pub fn success(&mut self, deadline: Duration) -> Result<()> {
        let status = self.wait(deadline)?;
        if !status.success() {
            bail!("{}: {status}\n{}", self.name, self.log());
        }
        Ok(())
    }

    /// Resident set in KiB.
    pub fn resident_kib(&self) -> Result<u64> {
        self.memory("VmRSS:")
    }

    /// The largest resident set that it has had, in KiB.
    pub fn peak_resident_kib(&self) -> Result<u64> {
        self.memory("VmHWM:")
    }

    /// A row of proc_pid_status(5) in KiB.
    fn memory(&self, row: &'static str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(row)).context(row)?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// The processor time that all its threads have used.
    pub fn cpu_time(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()))?;
        // The name, which is between parentheses, may hold blanks; `utime` and `stime` are the 12th and 13th behind it.
        let (_, behind) = stat.rsplit_once(')').context("a name")?;
        let ticks: Result<Vec<u64>, _> = behind.split_whitespace().skip(11).take(2).map(str::parse).collect();
        Ok(TICK * u32::try_from(ticks?.iter().sum::<u64>())?)
    }

    /// The names of its threads, those that the kernel made for it too.
    pub fn threads(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for task in std::fs::read_dir(format!("/proc/{}/task", self.pid()))? {
            // One that ends meanwhile has no name any more.
            names.extend(std::fs::read_to_string(task?.path().join("comm")));
        }
        Ok(names.iter().map(|name| name.trim_end().to_owned()).collect())
    }

    /// Open file descriptors.
    pub fn descriptors(&self) -> Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.pid()))?.count())
    }
}

/// A command that is found where administrators' programs are, whatever the caller's `PATH`.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("PATH", search_path());
    command
}

/// `PATH` and the folders that it lacks for a root by `su`.
pub(crate) fn search_path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/usr/bin:/sbin:/bin");
    path
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `USER_HZ`: what the kernel counts processor time in, on every machine.
const TICK: Duration = Duration::from_millis(10);
