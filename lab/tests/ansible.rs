//! The Ansible role on a machine with systemd: it brings traffic and mends the host, a second run changes nothing, and what
//! changes later is reloaded, with the tunnels as they are. From the deb, and from the rpm with DNF: of a distribution that
//! has it there is its package manager alone, the libraries are Debian's.

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
    scenario(&DEB, |run, machine, site| {
        let before = running(machine)?;
        let third = play(run, machine, &DEB, &["10.10.0.0/16", "10.11.0.0/16"])?;
        ensure!(third.changed == 2, "not the one file and its reload: {}", third.said);
        wait::until_true(SOON, "both prefixes to be offered", || {
            let offered = |tunnel: &gotthard_lab::status::Tunnel| tunnel.bgp.as_ref().map(|bgp| bgp.sent);
            Ok(status(machine)?.tunnels().all(|tunnel| offered(tunnel) == Some(2)))
        })?;
        ensure!(running(machine)? == before, "the daemon or an SA is another than before");
        carries(machine, site)
    })
}

#[test]
fn the_role_does_the_same_with_an_rpm() -> run::Outcome {
    scenario(&RPM, |_, machine, _| {
        let owner = machine.output("rpm", &["--query", "--file", "/usr/bin/gotthard"])?;
        ensure!(owner.starts_with("gotthard-"), "{owner}");
        Ok(())
    })
}

/// The package that a run hands to the role.
struct Package {
    /// The environment variable that names it.
    variable: &'static str,
    /// Its name in the run's folder.
    file: &'static str,
    /// The package manager, as Ansible's facts have it, where it is not the machine's own.
    manager: Option<&'static str>,
}

const DEB: Package = Package { variable: "GOTTHARD_DEB", file: "gotthard.deb", manager: None };
const RPM: Package = Package { variable: "GOTTHARD_RPM", file: "gotthard.rpm", manager: Some("dnf") };

/// Runs the role twice, and then what is left to see.
fn scenario(package: &Package, more: impl FnOnce(&Run, &Machine, &Site) -> Result<()>) -> run::Outcome {
    let Package { variable, file, manager } = package;
    let Some(path) = std::env::var_os(variable).map(PathBuf::from) else {
        return run::skip(&format!("ansible: {variable} names no package; `cargo xtask package` builds one"));
    };
    run::scenario("ansible", Suite::Gcm, |run| {
        let site = Site::new()?;
        let _cloud = aws_file::start(run, &site)?;
        std::fs::copy(&path, run.dir().join(file)).with_context(|| path.display().to_string())?;
        let roles = concat!(env!("CARGO_MANIFEST_DIR"), "/../contrib/ansible/roles");
        let copied = Command::new("cp").args(["--recursive", roles]).arg(run.dir()).status()?;
        ensure!(copied.success(), "{roles} could not be copied");
        let machine = Machine::boot(run, &site.gateway, SOON)?;
        machine.output("sysctl", &["--quiet", "--write", "net.ipv4.ip_forward=0"])?;
        if manager.is_some() {
            provide_what_it_requires(run, &machine, file)?;
        }

        let first = play(run, &machine, package, &["10.10.0.0/16"])?;
        ensure!(first.changed > 0, "{}", first.said);
        carries(&machine, &site).with_context(|| journal(&machine))?;
        keys_are_nowhere_else(&machine)?;

        let second = play(run, &machine, package, &["10.10.0.0/16"])?;
        ensure!(second.changed == 0, "the second run changed something: {}", second.said);
        more(run, &machine, &site)
    })
}

/// Tells RPM of what the machine has from Debian's packages: what the package requires, under one name.
fn provide_what_it_requires(run: &Run, machine: &Machine, file: &str) -> Result<()> {
    let file = format!("{SHARED}/{file}");
    let required = machine.output("rpm", &["--query", "--package", "--requires", &file])?;
    // What is left are the package's own file and the abilities of RPM itself.
    let others = required.lines().filter(|line| !line.starts_with("config(") && !line.starts_with("rpmlib("));
    let provided: Vec<_> = others.map(|line| format!("Provides: {line}")).collect();
    let text = format!("{SPEC}{}\n%description\n%files\n", provided.join("\n"));
    std::fs::write(run.dir().join("debian.spec"), text)?;
    let folder = "_rpmdir /tmp/rpms";
    let spec = format!("{SHARED}/debian.spec");
    machine.output("rpmbuild", &["--quiet", "--define", folder, "-bb", &spec])?;
    let built = "/tmp/rpms/noarch/debian-12-1.noarch.rpm";
    machine.output("rpm", &["--install", "--force-debian", built]).map(drop)
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
fn play(run: &Run, machine: &Machine, package: &Package, advertise: &[&str]) -> Result<Recap> {
    let play = serde_json::json!([{
        "hosts": "localhost",
        "gather_facts": false,
        "pre_tasks": package.manager.into_iter().map(|name| serde_json::json!({
            "ansible.builtin.set_fact": { "pkg_mgr": name, "cacheable": true },
        })).collect::<Vec<_>>(),
        "roles": [{
            "role": "gotthard",
            "gotthard_package": format!("{SHARED}/{}", package.file),
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

/// The keys are in the two files of the configuration, and of the cloud's file no copy is left, nor in the journal.
fn keys_are_nowhere_else(machine: &Machine) -> Result<()> {
    let files = machine.files_with("exampleTunnel")?;
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

/// A package without files.
const SPEC: &str = "Name: debian
Version: 12
Release: 1
Summary: What the machine has
License: none
BuildArch: noarch
Provides: system-release(releasever) = 9
";
