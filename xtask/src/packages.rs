//! The Debian packages of the lab's peers, from `lab/packages.txt`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

const LIST: &str = "lab/packages.txt";

/// While it stands, no package starts its service on installation: the lab starts its peers itself.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// The packages of the list that are not installed.
pub(crate) fn missing() -> Result<Vec<String>> {
    let list = std::fs::read_to_string(LIST).context(LIST)?;
    let names = list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(names.filter(|name| !installed(name)).map(str::to_owned).collect())
}

/// True for root on a machine with apt-get.
pub(crate) fn can_install() -> bool {
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    root && Command::new("apt-get").arg("--version").output().is_ok()
}

/// Installs what is missing, without starting any service.
pub(crate) fn install() -> Result<()> {
    let missing = missing()?;
    if missing.is_empty() {
        return Ok(());
    }
    let _quiet = NoServices::new()?;
    apt_get(&["update", "--quiet=2"])?;
    let mut args = vec!["install", "--yes", "--quiet=2", "--no-install-recommends"];
    args.extend(missing.iter().map(String::as_str));
    apt_get(&args)
}

fn installed(name: &str) -> bool {
    let query =
        Command::new("dpkg-query").args(["--show", "--showformat=${db:Status-Status}", name]).output();
    query.is_ok_and(|output| output.stdout == b"installed")
}

fn apt_get(args: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.args(args).env("DEBIAN_FRONTEND", "noninteractive");
    let status = command.status().with_context(|| format!("{command:?}"))?;
    if !status.success() {
        bail!("{command:?}: {status}");
    }
    Ok(())
}

/// Puts a refusing `policy-rc.d` in place where there is none, and takes it away again.
struct NoServices {
    ours: bool,
}

impl NoServices {
    fn new() -> Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        if Path::new(POLICY).exists() {
            return Ok(Self { ours: false });
        }
        std::fs::write(POLICY, "#!/bin/sh\nexit 101\n").context(POLICY)?;
        std::fs::set_permissions(POLICY, std::fs::Permissions::from_mode(0o755)).context(POLICY)?;
        Ok(Self { ours: true })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours {
            let _ = std::fs::remove_file(POLICY);
        }
    }
}
