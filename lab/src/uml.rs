//! A Linux kernel as a process (user-mode Linux): a peer whose ESP is the kernel's, in raw IP packets and with extended
//! sequence numbers, whatever this machine's own kernel was built with.
//!
//! Its root is this machine's file system, read-only, so that it has the same programs; the folder of the run is there
//! too and may be written. It is told what to do by a shell on its console.

use core::cell::Cell;
use core::time::Duration;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use anyhow::{Context, Result, bail};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

use crate::{Netns, Process, Run, wait};

/// A running kernel. It ends when dropped.
#[derive(Debug)]
pub struct Uml {
    _process: Process,
    shell: ChildStdin,
    dir: PathBuf,
    commands: Cell<u32>,
    /// What it was started by lives for as long.
    _starter: Sender<()>,
}

/// Its only network device, a TAP device of the host that it runs in.
#[derive(Clone, Copy, Debug)]
pub struct Nic<'a> {
    /// The TAP device, which must exist.
    pub tap: &'a str,
    /// Its own address, with the prefix length.
    pub address: &'a str,
}

impl Uml {
    /// Why it cannot run on this machine, if it cannot.
    pub fn obstacle() -> Option<String> {
        let missing = [KERNEL, MODULES].into_iter().find(|path| !Path::new(path).exists())?;
        Some(format!("there is no {missing}; `cargo xtask packages` installs user-mode Linux"))
    }

    /// Boots it in a host; returns when its shell takes commands. Its device is called [`DEVICE`].
    pub fn boot(run: &Run, host: &Netns, name: &str, nic: Nic<'_>) -> Result<Self> {
        let dir = run.dir().join(name);
        std::fs::create_dir(&dir)?;
        let init = dir.join("init");
        std::fs::write(&init, init_script(run.dir(), nic.address))?;
        std::fs::set_permissions(&init, std::fs::Permissions::from_mode(0o755))?;
        let mut command = host.command(KERNEL);
        // Its memory is a file here.
        command.env("TMPDIR", &dir).args(["mem=256M", "rootfstype=hostfs", "ro", "quiet", "con=null"]);
        command.arg("con0=fd:0,fd:1").arg(format!("vec0:transport=tap,ifname={},depth=128", nic.tap));
        command.arg(format!("init={}", init.display())).arg(format!("uml_dir={}/", dir.display()));
        let ((process, shell), starter) = start(command, name, run.dir())?;
        let uml = Self { _process: process, shell, dir, commands: Cell::new(0), _starter: starter };
        uml.shell("true").context("user-mode Linux does not boot")?;
        Ok(uml)
    }

    /// Its own folder, which it has under the same name.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Runs a line of shell to its end and returns what it printed, on standard error too; fails where it fails.
    pub fn shell(&self, line: &str) -> Result<String> {
        let number = self.commands.replace(self.commands.get() + 1);
        let [output, unfinished, ended] =
            ["output", "status.new", "status"].map(|kind| self.dir.join(format!("{number}.{kind}")));
        let (out, new, end) = (output.display(), unfinished.display(), ended.display());
        // The status appears when the output is on our side, and whole.
        writeln!(&self.shell, "{{ {line}\n}} >{out} 2>&1; echo $? >{new}; sync; mv {new} {end}")?;
        wait::until_true(COMMAND, format!("user-mode Linux to run `{line}`"), || Ok(ended.exists()))?;
        let (status, said) = (std::fs::read_to_string(&ended)?, std::fs::read(&output)?);
        let said = String::from_utf8_lossy(&said).into_owned();
        if status.trim() != "0" {
            bail!("`{line}` ended with {}\n{said}", status.trim());
        }
        Ok(said)
    }
}

/// Starts it without `NT_X86_XSTATE`: Linux 6.1 as a process has no room for the state of a CPU with AMX, and its first
/// program dies of that. Where it is refused, it does with the registers of old.
///
/// A filter is a thread's, and so is the end that [`Netns::command`] ties the process to: the thread lives until the
/// returned sender is dropped.
fn start(mut command: Command, name: &str, logs: &Path) -> Result<((Process, ChildStdin), Sender<()>)> {
    let filter = without_xstate()?;
    let (name, logs) = (name.to_owned(), logs.to_owned());
    let (started, start) = channel();
    let (alive, ended) = channel::<()>();
    thread::spawn(move || {
        let process = seccompiler::apply_filter(&filter).context("a filter of system calls");
        let process = process.and_then(|()| Process::spawn_with_input(&mut command, &name, &logs));
        // Nobody waits any more, or nobody will: either way this is the end.
        let _ = started.send(process);
        let _ = ended.recv();
    });
    Ok((start.recv()??, alive))
}

/// `ptrace(PTRACE_GETREGSET | PTRACE_SETREGSET, pid, NT_X86_XSTATE, …)` fails with EIO, and all else is let through.
fn without_xstate() -> Result<BpfProgram> {
    let which = SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, NT_X86_XSTATE)?;
    let rules = [(libc::SYS_ptrace, vec![SeccompRule::new(vec![which])?])].into();
    let refused = SeccompAction::Errno(libc::EIO.unsigned_abs());
    let filter =
        SeccompFilter::new(rules, SeccompAction::Allow, refused, std::env::consts::ARCH.try_into()?)?;
    Ok(filter.try_into()?)
}

/// The first process: what every program needs, ESP with its ciphers, an address.
fn init_script(shared: &Path, address: &str) -> String {
    let shared = shared.display();
    format!(
        "#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
export GLIBC_TUNABLES=glibc.cpu.hwcaps={OLD_REGISTERS}
export OPENSSL_ia32cap={NO_AVX}
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs run /run
mount -t tmpfs tmp /tmp
mkdir -p {shared}
mount -t hostfs -o {shared} shared {shared}
for module in {ESP_MODULES}; do insmod {MODULES}/$(uname -r)/kernel/$module.ko; done
ip link set lo up
ip addr add {address} dev {DEVICE}
ip link set {DEVICE} up
exec sh
"
    )
}

/// Its network device.
pub const DEVICE: &str = "vec0";

/// <linux/elf.h>
const NT_X86_XSTATE: u64 = 0x202;

/// What the C library leaves alone, since [`start`] leaves the registers of old only.
const OLD_REGISTERS: &str =
    "-AVX_Usable,-AVX2_Usable,-AVX512F_Usable,-AVX,-AVX2,-AVX512F,-AVX512VL,-AVX512BW,-XSAVE,-XSAVEC";
/// The same for OpenSSL (OPENSSL_ia32cap(3)): AVX; AVX2 and AVX-512.
const NO_AVX: &str = "~0x1000000000000000:~0xdc230020";

const KERNEL: &str = "/usr/bin/linux.uml";
const MODULES: &str = "/usr/lib/uml/modules";
/// In the order in which they need each other.
const ESP_MODULES: &str = "crypto/jitterentropy_rng crypto/sha512_generic crypto/hmac crypto/drbg crypto/gf128mul \
    crypto/ghash-generic crypto/ctr crypto/gcm crypto/cbc crypto/seqiv crypto/echainiv crypto/authenc crypto/authencesn \
    net/xfrm/xfrm_algo net/xfrm/xfrm_user net/ipv4/esp4";
/// It boots in 3 s on a machine that has nothing else to do.
const COMMAND: Duration = Duration::from_mins(1);
