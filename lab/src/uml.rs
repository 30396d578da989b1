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
use std::process::ChildStdin;

use anyhow::{Context, Result, bail};

use crate::{Netns, Process, Run, wait};

/// A running kernel. It ends when dropped.
#[derive(Debug)]
pub struct Uml {
    _process: Process,
    shell: ChildStdin,
    dir: PathBuf,
    commands: Cell<u32>,
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
        let (process, shell) = Process::spawn_with_input(&mut command, name, run.dir())?;
        let uml = Self { _process: process, shell, dir, commands: Cell::new(0) };
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

/// The first process: what every program needs, ESP with its ciphers, an address.
fn init_script(shared: &Path, address: &str) -> String {
    let shared = shared.display();
    format!(
        "#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
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

const KERNEL: &str = "/usr/bin/linux.uml";
const MODULES: &str = "/usr/lib/uml/modules";
/// In the order in which they need each other.
const ESP_MODULES: &str = "crypto/jitterentropy_rng crypto/sha512_generic crypto/hmac crypto/drbg crypto/gf128mul \
    crypto/ghash-generic crypto/ctr crypto/gcm crypto/cbc crypto/seqiv crypto/echainiv crypto/authenc crypto/authencesn \
    net/xfrm/xfrm_algo net/xfrm/xfrm_user net/ipv4/esp4";
/// It boots in 3 s on a machine that has nothing else to do.
const COMMAND: Duration = Duration::from_mins(1);
