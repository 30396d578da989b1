//! The deb on a machine with systemd: installed, given the file that AWS hands out, started, it carries traffic, confined as
//! the unit says; a reload that is refused says so; purged, it leaves nothing.

mod aws_file;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use aws_file::{SOON, carries, journal};
use gotthard_lab::machine::SHARED;
use gotthard_lab::site::Site;
use gotthard_lab::{Machine, Suite, run, wait};

#[test]
fn the_deb_brings_traffic_and_leaves_nothing() -> run::Outcome {
    let Some(deb) = std::env::var_os("GOTTHARD_DEB").map(PathBuf::from) else {
        return run::skip("package_deb: GOTTHARD_DEB names no package; `cargo xtask package` builds one");
    };
    run::scenario("package_deb", Suite::Gcm, |run| {
        let site = Site::new()?;
        let _cloud = aws_file::start(run, &site)?;
        std::fs::copy(&deb, run.dir().join("gotthard.deb")).with_context(|| deb.display().to_string())?;
        let machine = Machine::boot(run, &site.gateway, SOON)?;
        // systemd has set sysctls of its own by then.
        let before = site.gateway.configuration()?;

        machine.output("apt-get", &["install", "--yes", "--quiet=2", &at("gotthard.deb")])?;
        let import = ["import", "aws", &at("aws.xml"), "--advertise", "10.10.0.0/16", "--apply"];
        machine.output("gotthard", &import)?;
        machine.output("systemctl", &["start", "gotthard"])?;
        carries(&machine, &site).with_context(|| journal(&machine))?;
        is_confined(&machine)?;
        refuses_to_reload(&machine)?;
        documents_are_there(&machine)?;

        machine.output("apt-get", &["purge", "--yes", "--quiet=2", "gotthard"])?;
        let left = || machine.changes("gotthard");
        // systemd removes the service's folder of temporary files after its end.
        wait::until_true(SOON, "nothing to be left", || Ok(left()?.is_empty()))
            .with_context(|| format!("{:#?}", left()))?;
        let after = site.gateway.configuration()?;
        let changed: Vec<_> = after.lines().filter(|line| !before.contains(line)).collect();
        ensure!(before == after, "left in the network: {changed:#?}\n{}", journal(&machine));
        Ok(())
    })
}

/// Three capabilities, no new ones, and none of the files that it does not need.
fn is_confined(machine: &Machine) -> Result<()> {
    let shown = ["show", "--property=MainPID", "--value", "gotthard"];
    let pid = machine.output("systemctl", &shown)?.trim().to_owned();
    let status = machine.output("cat", &[&format!("/proc/{pid}/status")])?;
    let row = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    for set in ["CapPrm:", "CapEff:", "CapBnd:"] {
        ensure!(row(set) == Some(NETWORK), "{set} {:?}", row(set));
    }
    ensure!(row("NoNewPrivs:") == Some("1") && row("Seccomp:") == Some("2"), "{status}");
    Ok(())
}

/// The answer of the daemon is the answer of systemd's, and what runs goes on.
fn refuses_to_reload(machine: &Machine) -> Result<()> {
    machine.output("sh", &["-c", "echo wrong = 1 > /etc/gotthard/conf.d/wrong.toml"])?;
    let reload = machine.command("systemctl").args(["reload", "gotthard"]).output()?;
    ensure!(!reload.status.success(), "a configuration that does not hold was taken");
    machine.output("rm", &["/etc/gotthard/conf.d/wrong.toml"])?;
    machine.output("systemctl", &["reload", "gotthard"]).with_context(|| journal(machine))?;
    machine.output("gotthard", &["status"]).map(drop)
}

fn documents_are_there(machine: &Machine) -> Result<()> {
    for (page, word) in
        [("gotthard-import", "apply"), ("GTH-IKE-01", "Where to look"), ("GTH-EVT-10", "MESSAGE_ID")]
    {
        let file = machine.output("find", &["/usr/share/man", "-name", &format!("{page}.[17]*")])?;
        let shown = machine.output("groff", &["-man", "-Tascii", "-P-cbou", file.trim()])?;
        ensure!(shown.to_lowercase().contains(&word.to_lowercase()), "{page}: {shown}");
    }
    machine.output("bash", &["-n", "/usr/share/bash-completion/completions/gotthard"]).map(drop)
}

/// A file of the run's folder, in the machine.
fn at(file: &str) -> String {
    format!("{SHARED}/{file}")
}

/// `CAP_NET_BIND_SERVICE`, `CAP_NET_ADMIN` and `CAP_NET_RAW`.
const NETWORK: &str = "0000000000003400";
