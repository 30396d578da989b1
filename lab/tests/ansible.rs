//! The Ansible role on a machine with systemd: it brings traffic and mends the host, a second run changes nothing, and what
//! changes later is reloaded, with the tunnels as they are.

mod aws_file;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use aws_file::{SOON, carries, journal, status};
use gotthard_lab::machine::SHARED;
use gotthard_lab::site::Site;
use gotthard_lab::{Machine, Run, Suite, run, wait};

#[test]
fn the_role_brings_traffic_and_changes_nothing_the_second_time() -> run::Outcome {
    let Some(deb) = std::env::var_os("GOTTHARD_DEB").map(PathBuf::from) else {
        return run::skip("ansible: GOTTHARD_DEB names no package; `cargo xtask package` builds one");
    };
    run::scenario("ansible", Suite::Gcm, |run| {
        let site = Site::new()?;
        let _cloud = aws_file::start(run, &site)?;
        std::fs::copy(&deb, run.dir().join("gotthard.deb")).with_context(|| deb.display().to_string())?;
        let roles = concat!(env!("CARGO_MANIFEST_DIR"), "/../contrib/ansible/roles");
        let copied = Command::new("cp").args(["--recursive", roles]).arg(run.dir()).status()?;
        ensure!(copied.success(), "{roles} could not be copied");
        let machine = Machine::boot(run, &site.gateway, SOON)?;
        machine.output("sysctl", &["--quiet", "--write", "net.ipv4.ip_forward=0"])?;

        let first = play(run, &machine, &["10.10.0.0/16"])?;
        ensure!(first.changed > 0, "{}", first.said);
        carries(&machine, &site).with_context(|| journal(&machine))?;
        keys_are_nowhere_else(&machine)?;

        let before = running(&machine)?;
        let second = play(run, &machine, &["10.10.0.0/16"])?;
        ensure!(second.changed == 0, "the second run changed something: {}", second.said);

        let third = play(run, &machine, &["10.10.0.0/16", "10.11.0.0/16"])?;
        ensure!(third.changed == 2, "not the one file and its reload: {}", third.said);
        wait::until_true(SOON, "both prefixes to be offered", || {
            let offered = |tunnel: &gotthard_lab::status::Tunnel| tunnel.bgp.as_ref().map(|bgp| bgp.sent);
            Ok(status(&machine)?.tunnels().all(|tunnel| offered(tunnel) == Some(2)))
        })?;
        ensure!(running(&machine)? == before, "the daemon or an SA is another than before");
        Ok(())
    })
}

/// What a run ended with.
#[derive(Debug)]
struct Recap {
    /// Tasks that changed something, and their handlers.
    changed: u32,
    /// All that it said.
    said: String,
}

impl Recap {
    fn parse(said: &str) -> Option<Self> {
        let recap = said.lines().find(|line| line.starts_with("localhost ") && line.contains(" changed="))?;
        let changed = recap.split_whitespace().find_map(|word| word.strip_prefix("changed="))?;
        Some(Self { changed: changed.parse().ok()?, said: said.to_owned() })
    }
}

/// Runs the role against the machine itself, with what is advertised.
fn play(run: &Run, machine: &Machine, advertise: &[&str]) -> Result<Recap> {
    let play = serde_json::json!([{
        "hosts": "localhost",
        "gather_facts": false,
        "roles": [{
            "role": "gotthard",
            "gotthard_package": format!("{SHARED}/gotthard.deb"),
            "gotthard_gateway": { "asn": 65010, "advertise": advertise },
            "gotthard_imports": [{ "cloud": "aws", "files": [format!("{SHARED}/aws.xml")] }],
        }],
    }]);
    // JSON is YAML.
    std::fs::write(run.dir().join("play.yml"), play.to_string())?;
    let mut command = machine.command("/usr/bin/ansible-playbook");
    command.args(["--connection", "local", "--inventory", "localhost,", &format!("{SHARED}/play.yml")]);
    command.env("ANSIBLE_ROLES_PATH", format!("{SHARED}/roles")).env("ANSIBLE_NOCOLOR", "1");
    command.env("ANSIBLE_PIPELINING", "1");
    command.env("ANSIBLE_PYTHON_INTERPRETER", "/usr/bin/python3").env("HOME", "/root");
    let output = command.output().context("ansible-playbook")?;
    let [said, wrong] =
        [output.stdout, output.stderr].map(|octets| String::from_utf8_lossy(&octets).into_owned());
    ensure!(output.status.success(), "{said}{wrong}\n{}", journal(machine));
    Recap::parse(&said).with_context(|| format!("{said}{wrong}"))
}

/// The keys are in the two files of the configuration, and of the cloud's file no copy is left.
fn keys_are_nowhere_else(machine: &Machine) -> Result<()> {
    let folders = ["/etc", "/run", "/var", "/tmp", "/root"];
    // 1: nothing was found, 2: a file could not be read, such as one that ended meanwhile.
    let found = machine.command("grep").args(["-rlIs", "exampleTunnel"]).args(folders).output()?;
    let text = String::from_utf8_lossy(&found.stdout);
    let mut files: Vec<_> = text.lines().collect();
    files.sort_unstable();
    let keys = ["1", "2"].map(|number| format!("/etc/gotthard/conf.d/{CONNECTION}-{number}.psk"));
    ensure!(files == keys, "the keys are in {files:?}");
    Ok(())
}

/// The daemon and its SAs.
fn running(machine: &Machine) -> Result<(String, Vec<Option<String>>)> {
    let pid = machine.output("systemctl", &["show", "--property=MainPID", "--value", "gotthard"])?;
    let spis = status(machine)?
        .tunnels()
        .flat_map(|tunnel| [tunnel.ike.spi_i.clone(), tunnel.esp.spi_in.clone()])
        .collect();
    Ok((pid, spis))
}

/// The name of the connection in the file.
const CONNECTION: &str = "vpn-0a1b2c3d4e5f60718";
