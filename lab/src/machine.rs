//! A machine with systemd on one of the lab's hosts: its process 1 in namespaces of its own, over an overlay of the host's
//! files. What is installed or written in it is gone with it.

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::{Netns, Process, Run, netns, process, wait};

/// A running machine.
#[derive(Debug)]
pub struct Machine {
    process: Process,
    /// Process 1, as the host counts.
    init: u32,
    folder: PathBuf,
}

impl Machine {
    /// Boots it in a host, and waits until its services are started. It sees the run's folder as [`SHARED`].
    pub fn boot(run: &Run, host: &Netns, deadline: Duration) -> Result<Self> {
        let folder = run.dir().join("machine");
        std::fs::create_dir(&folder)?;
        let script = run.dir().join("boot.sh");
        std::fs::write(&script, BOOT)?;
        let mut command = host.command("unshare");
        command.args(["--mount", "--pid", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child", "sh"]);
        command.args([&script, &folder]).arg(run.dir());
        let process = Process::spawn(&mut command, "machine", run.dir())?;
        let init = wait::until(deadline, "process 1", || Ok(child_of(process.pid())))?;
        let machine = Self { process, init, folder };
        wait::until_true(deadline, "the machine to be up", || {
            let state = machine.command("systemctl").arg("is-system-running").output()?;
            // "degraded": the kernel lacks something that a service of the host's wants.
            Ok([&b"running\n"[..], b"degraded\n"].contains(&&*state.stdout))
        })
        .with_context(|| machine.process.log())?;
        Ok(machine)
    }

    /// Runs a program to its end in the machine and returns its standard output; fails where it fails.
    pub fn output(&self, program: &str, args: &[&str]) -> Result<String> {
        netns::output(self.command(program).args(args))
    }

    /// A command in the machine.
    pub fn command(&self, program: &str) -> Command {
        let mut command = self.nsenter();
        command.args(["--root", "--wd", program]).env("DEBIAN_FRONTEND", "noninteractive");
        // A folder of the host's, which the machine does not have.
        command.env_remove("TMPDIR");
        command
    }

    /// Writes a file, and the folders that it is in.
    pub fn write(&self, path: &str, mode: &str, text: impl AsRef<[u8]>) -> Result<()> {
        use std::io::Write as _;
        let mut install = self.command("install");
        install.args(["-D", "--mode", mode, "/dev/stdin", path]).stdin(Stdio::piped());
        let mut child = install.spawn()?;
        child.stdin.take().context("standard input")?.write_all(text.as_ref())?;
        ensure!(child.wait()?.success(), "{path} cannot be written");
        Ok(())
    }

    /// Files and folders that the machine has beside those of the host, whose names hold a word.
    pub fn changes(&self, word: &str) -> Result<Vec<String>> {
        let changes = self.folder.join("changes");
        let mut find = self.nsenter();
        find.args(["find".as_ref(), changes.as_os_str()]).args(["-name", &format!("*{word}*")]);
        Ok(netns::output(&mut find)?.lines().map(str::to_owned).collect())
    }

    /// Files that the machine has beside those of the host, on disk or in memory, which hold a text; in the order of their
    /// names. The run's folder is not among them.
    pub fn files_with(&self, text: &str) -> Result<Vec<String>> {
        let root = self.folder.join("root");
        let folders = [self.folder.join("changes"), root.join("run"), root.join("tmp"), root.join("dev/shm")];
        let mut grep = self.nsenter();
        // 1: nothing was found, 2: a file could not be read, such as one that ended meanwhile.
        let found = grep.args(["grep", "-rlsF", "-e", text]).args(&folders).output()?;
        let names = String::from_utf8_lossy(&found.stdout).into_owned();
        let inside = |name: &str| {
            let path = Path::new(name);
            let inside = path.strip_prefix(&folders[0]).or_else(|_| path.strip_prefix(&root));
            inside.map(|path| format!("/{}", path.display()))
        };
        let mut files = names.lines().map(inside).collect::<Result<Vec<_>, _>>()?;
        files.sort_unstable();
        Ok(files)
    }

    fn nsenter(&self) -> Command {
        let mut command = process::command("nsenter");
        let init = self.init.to_string();
        command.args(["--target", &init, "--mount", "--pid", "--uts", "--ipc", "--cgroup", "--net"]);
        command
    }
}

/// The first process that another has started.
fn child_of(pid: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// Where the machine sees the run's folder.
pub const SHARED: &str = "/mnt";
const BOOT: &str = include_str!("machine/boot.sh");
