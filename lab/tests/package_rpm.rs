//! The rpm on a machine with systemd: its files are as they were packed, the service is enabled and not started, and removed it
//! leaves nothing. RPM's own programs install it; what it needs of a distribution with RPM is not there, and not asked for.

use core::time::Duration;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use gotthard_lab::{Machine, Netns, Suite, run};

#[test]
fn the_rpm_is_installed_whole_and_leaves_nothing() -> run::Outcome {
    let Some(rpm) = std::env::var_os("GOTTHARD_RPM").map(PathBuf::from) else {
        return run::skip("package_rpm: GOTTHARD_RPM names no package; `cargo xtask package` builds one");
    };
    run::scenario("package_rpm", Suite::Gcm, |run| {
        std::fs::copy(&rpm, run.dir().join("gotthard.rpm")).with_context(|| rpm.display().to_string())?;
        let host = Netns::new("rpm")?;
        let machine = Machine::boot(run, &host, SOON)?;
        asks_for_what_every_distribution_has(&machine)?;

        machine.output("rpm", &["--install", "--nodeps", "--force-debian", FILE])?;
        // Sizes, digests, modes and owners of all files; silent where they are as packed.
        let differs = machine.output("rpm", &["--verify", "--nodeps", "gotthard"])?;
        ensure!(differs.is_empty(), "{differs}");
        let mode = machine.output("stat", &["--format=%a %U", "/etc/gotthard/gotthard.toml"])?;
        ensure!(mode.trim() == "640 root", "the configuration, which may hold keys, has {mode}");
        let enabled = machine.output("systemctl", &["is-enabled", "gotthard"])?;
        ensure!(enabled.trim() == "enabled" && !is_active(&machine)?, "{enabled}");
        machine.output("gotthard", &["check", "--help"])?;

        // A configuration of the operator's outlives an upgrade.
        machine.output("sh", &["-c", "echo '# ours' >> /etc/gotthard/gotthard.toml"])?;
        machine.output("rpm", &["--upgrade", "--nodeps", "--force-debian", "--replacepkgs", FILE])?;
        machine.output("grep", &["# ours", "/etc/gotthard/gotthard.toml"])?;
        let enabled = machine.output("systemctl", &["is-enabled", "gotthard"])?;
        ensure!(enabled.trim() == "enabled", "after an upgrade: {enabled}");

        machine.output("rpm", &["--erase", "gotthard"])?;
        let left = machine.changes("gotthard")?;
        // RPM keeps what the operator wrote; the rest is gone.
        let kept =
            |path: &&String| path.ends_with("/etc/gotthard") || path.ends_with("gotthard.toml.rpmsave");
        let (kept, others): (Vec<_>, Vec<_>) = left.iter().partition(kept);
        ensure!(others.is_empty() && kept.len() == 2, "left behind: {left:#?}");
        Ok(())
    })
}

/// A shell, the C library and its like, and nothing of the machine that it was built on.
fn asks_for_what_every_distribution_has(machine: &Machine) -> Result<()> {
    let needed = machine.output("rpm", &["--query", "--package", "--requires", FILE])?;
    let usual = |line: &&str| {
        ["/bin/sh", "config(gotthard)", "rpmlib(", "rtld(", "ld-linux", "libc.so", "libm.so", "libgcc_s.so"]
            .iter()
            .any(|start| line.starts_with(start))
    };
    let unusual: Vec<_> = needed.lines().filter(|line| !usual(line)).collect();
    ensure!(unusual.is_empty() && needed.contains("libc.so"), "it needs {unusual:?} of\n{needed}");
    Ok(())
}

fn is_active(machine: &Machine) -> Result<bool> {
    Ok(machine.command("systemctl").args(["is-active", "--quiet", "gotthard"]).status()?.success())
}

/// The package, in the folder that the machine sees.
const FILE: &str = "/mnt/gotthard.rpm";
const SOON: Duration = Duration::from_mins(1);
