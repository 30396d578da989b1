//! The service under systemd: keys that are credentials, a state folder that is full and holds torn files, the journal, and
//! a daemon that hangs or dies and is started anew.

use core::fmt::Write as _;
use core::time::Duration;
use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use gotthard_lab::gotthard::{Config, binary};
use gotthard_lab::machine::SHARED;
use gotthard_lab::secrecy::Secrets;
use gotthard_lab::site::{CLOUD_HOST, Site};
use gotthard_lab::status::{Status, Tunnel};
use gotthard_lab::strongswan::posture;
use gotthard_lab::traffic::await_ping;
use gotthard_lab::{Machine, Netns, Suite, run, wait};
use serde_json::Value;

#[test]
fn the_service_keeps_its_keys_outlives_a_full_disk_and_comes_back() -> run::Outcome {
    run::scenario("service", Suite::Gcm, |run| {
        let site = Site::new()?;
        let _charons = site.aws(run)?;
        std::fs::copy(binary()?, run.dir().join("gotthard"))?;
        let machine = Machine::boot(run, &site.gateway, SOON)?;
        let before = site.gateway.configuration()?;
        install(&machine, run.suite)?;
        spoil_the_state(&machine)?;

        machine.output("systemctl", &["start", "gotthard"]).with_context(|| journal(&machine))?;
        carries(&machine, &site)?;
        credentials_are_nobody_elses(&machine)?;
        the_state_is_told(&machine)?;
        leaves_nothing(&machine, &site.gateway, &before)?;
        the_full_disk_was_told_once(&machine)?;
        hooks_were_told_to_the_end(&machine)?;

        machine.output("sh", &["-c", &format!("rm {STATE}/ballast && systemctl start gotthard")])?;
        carries(&machine, &site)?;
        let routes = routes(&site.gateway)?;
        comes_back_from_a_hang(&machine)?;
        carries(&machine, &site)?;
        comes_back_from_its_death(&machine)?;
        carries(&machine, &site)?;
        let again = self::routes(&site.gateway)?;
        ensure!(routes == again, "routes before: {routes}\nafter: {again}");
        the_journal_has_it_all(&machine)?;

        leaves_nothing(&machine, &site.gateway, &before)?;
        does_not_try_again_what_cannot_be(&machine)
    })
}

/// The unit as it is packaged, keys for systemd to load, and what makes the test quick.
fn install(machine: &Machine, suite: Suite) -> Result<()> {
    machine.output("install", &[&format!("{SHARED}/gotthard"), "/usr/bin/gotthard"])?;
    machine.write("/etc/systemd/system/gotthard.service", "0644", UNIT)?;
    let mut config = Config::aws(suite).with("ecmp = true");
    config.gateway.push(format!("debug_keys = \"{KEYS}\""));
    let mut drop_in = DROP_IN.to_owned();
    for (index, tunnel) in config.tunnels.iter_mut().enumerate() {
        let (name, file) = (format!("aws-{index}"), format!("/root/keys/aws-{index}.psk"));
        machine.write(&file, "0600", core::mem::take(&mut tunnel.psk) + "\n")?;
        tunnel.options.push(format!("psk_file = \"credential:{name}\""));
        writeln!(drop_in, "LoadCredential={name}:{file}")?;
    }
    machine.write("/etc/gotthard/gotthard.toml", "0640", config.render()?)?;
    machine.write("/etc/gotthard/hooks.d/10-tell", "0755", HOOK)?;
    machine.write("/etc/elsewhere/word", "0644", REACHED)?;
    machine.write("/etc/systemd/system/gotthard.service.d/test.conf", "0644", drop_in)?;
    machine.output("systemctl", &["daemon-reload"]).map(drop)
}

/// A state folder on a file system of its own, without an octet of room, and in it what a disk makes of files.
fn spoil_the_state(machine: &Machine) -> Result<()> {
    machine.output("mkdir", &["-p", STATE])?;
    machine.output("mount", &["-t", "tmpfs", "-o", "size=64k", "tmpfs", STATE])?;
    for (file, torn) in TORN {
        machine.write(&format!("{STATE}/{file}"), "0600", torn)?;
    }
    let fill = format!("cat /dev/zero > {STATE}/ballast; test -s {STATE}/ballast");
    machine.output("sh", &["-c", &fill]).map(drop)
}

/// Both tunnels are up, and what is behind the cloud answers.
fn carries(machine: &Machine, site: &Site) -> Result<()> {
    wait::until_true(SOON, "both tunnels to be up", || {
        // 3 while nobody answers, 5 while a tunnel is down.
        let asked = machine.command("gotthard").args(["status", "--output", "json"]).output()?;
        let Ok(status) = Status::parse(&String::from_utf8_lossy(&asked.stdout)) else { return Ok(false) };
        Ok(status.tunnels().count() == 2 && status.tunnels().all(Tunnel::is_up))
    })
    .and_then(|()| await_ping(&site.lan, CLOUD_HOST, SOON))
    .with_context(|| journal(machine))
}

/// No file that anybody can read holds a key, nor does what systemd shows of the service.
fn credentials_are_nobody_elses(machine: &Machine) -> Result<()> {
    let pid = main_pid(machine)?;
    let shown = [
        machine.output("systemctl", &["show", "gotthard"])?,
        machine.output("systemctl", &["cat", "gotthard"])?,
        machine.output(
            "sh",
            &["-c", &format!("tr '\\0' '\\n' < /proc/{pid}/environ; cat /proc/{pid}/cmdline")],
        )?,
    ];
    for key in posture::PSKS {
        ensure!(shown.iter().all(|text| !text.contains(key)), "systemd or /proc shows {key}");
        let held = format!(
            "grep --recursive --devices=skip --files-with-matches --fixed-strings {key} {PLACES} || true"
        );
        let files = machine.output("sh", &["-c", &held])?;
        ensure!(files.lines().any(|file| file.starts_with("/root/keys/")), "nothing was found: {files}");
        for file in files.lines() {
            let as_nobody = ["--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "cat", file];
            let read = machine.command("setpriv").args(as_nobody).output()?;
            ensure!(!read.status.success(), "anybody can read {file}");
        }
    }
    Ok(())
}

/// What is torn is set aside, and what cannot be noted is not changed; neither keeps a tunnel from coming up.
fn the_state_is_told(machine: &Machine) -> Result<()> {
    let text = journal(machine);
    for (file, _) in TORN {
        let told = text.lines().filter(|line| line.contains(SET_ASIDE) && line.contains(file)).count();
        ensure!(told == 1, "{file} is told of {told} times:\n{text}");
        machine.output("test", &["-e", &format!("{STATE}/{file}.damaged")])?;
    }
    wait::until_true(SOON, "the kernel's hash to be told", || Ok(journal(machine).contains(NOT_NOTED)))?;
    let policy = machine.output("cat", &["/proc/sys/net/ipv4/fib_multipath_hash_policy"])?;
    ensure!(policy.trim() == "0", "what could not be noted was changed: {policy}");
    Ok(())
}

/// Of each file that could not be written, up to the end.
fn the_full_disk_was_told_once(machine: &Machine) -> Result<()> {
    let journal = journal(machine);
    for (file, _) in TORN {
        let full = |line: &&str| line.contains("No space left") && line.contains(file);
        let told = journal.lines().filter(full).count();
        ensure!(told == 1, "that {file} cannot be written is told {told} times:\n{journal}");
    }
    Ok(())
}

/// The last of them after systemd has told the daemon to end; they read what the daemon cannot.
fn hooks_were_told_to_the_end(machine: &Machine) -> Result<()> {
    let journal = journal(machine);
    for event in ["tunnel-up", "tunnel-down"] {
        let told = journal.lines().filter(|line| line.contains(&format!("{REACHED} {event}"))).count();
        ensure!(told == 2, "{event} was told {told} times:\n{journal}");
    }
    Ok(())
}

/// The watchdog's: it does not answer, and does not end either.
fn comes_back_from_a_hang(machine: &Machine) -> Result<()> {
    let hung = main_pid(machine)?;
    machine.output("kill", &["-STOP", &hung])?;
    await_other(machine, &hung)?;
    ensure!(journal(machine).contains("Watchdog timeout"), "{}", journal(machine));
    Ok(())
}

/// And would for ever: systemd has no limit of its own.
fn comes_back_from_its_death(machine: &Machine) -> Result<()> {
    let killed = main_pid(machine)?;
    machine.output("kill", &["-KILL", &killed])?;
    await_other(machine, &killed)?;
    let shown = show(machine, &["StartLimitIntervalUSec", "NRestarts"])?;
    ensure!(
        shown["StartLimitIntervalUSec"] == "0" && shown["NRestarts"] == "2",
        "{shown:?}:\n{}",
        journal(machine)
    );
    Ok(())
}

/// Waits until systemd has another process for the service, and that one is ready.
fn await_other(machine: &Machine, before: &str) -> Result<()> {
    wait::until_true(SOON, "the service to run again", || {
        let shown = show(machine, &["MainPID", "ActiveState"])?;
        Ok(shown["ActiveState"] == "active" && shown["MainPID"] != before)
    })
    .with_context(|| journal(machine))
}

/// Every event has the MESSAGE_ID that the documents say, its fields, and no entry a secret.
fn the_journal_has_it_all(machine: &Machine) -> Result<()> {
    let all = machine.output("journalctl", &["--unit", "gotthard", "--output", "json", "--all"])?;
    let entries: Vec<Value> = all.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let documented = message_ids();
    let mut seen = BTreeMap::new();
    for entry in &entries {
        let Some(code) = entry["GOTTHARD_EVENT"].as_str() else { continue };
        let id = entry["MESSAGE_ID"].as_str();
        ensure!(id.is_some() && id == documented.get(code).copied(), "{code} has {id:?}: {entry:#}");
        *seen.entry(code).or_insert(0) += 1;
    }
    ensure!(seen.get("GTH-EVT-40") == Some(&STARTS), "of {STARTS} starts: {seen:?}");
    ensure!(seen.get("GTH-EVT-41") == Some(&1), "of one end: {seen:?}");
    let up = entries.iter().find(|entry| entry["GOTTHARD_EVENT"] == "GTH-EVT-01").context("no tunnel-up")?;
    for (field, value) in [
        ("GOTTHARD_CONNECTION", "aws-prod"),
        ("PRIORITY", "6"),
        ("SYSLOG_IDENTIFIER", "gotthard"),
        ("_SYSTEMD_UNIT", "gotthard.service"),
    ] {
        ensure!(up[field] == value, "{field}: {up:#}");
    }
    ensure!(["1", "2"].map(Some).contains(&up["GOTTHARD_TUNNEL"].as_str()), "{up:#}");
    let peer = up["GOTTHARD_PEER"].as_str().unwrap_or_default();
    ensure!(posture::ENDPOINTS.contains(&peer), "{up:#}");
    // As an operator asks for them.
    let id = documented.get("GTH-EVT-01").context("no MESSAGE_ID")?;
    let asked = [&format!("MESSAGE_ID={id}"), "GOTTHARD_CONNECTION=aws-prod", "--output", "cat"];
    ensure!(machine.output("journalctl", &asked)?.lines().count() >= 2, "no tunnel-up by its MESSAGE_ID");

    let tables = ["", ".esp"].map(|end| machine.output("cat", &[&format!("{KEYS}{end}")]));
    let tables = tables.into_iter().collect::<Result<Vec<_>>>()?;
    Secrets::in_tables(&tables, &posture::PSKS)?.expect_absent("the journal", &all)
}

/// Stopped, it has put back what it changed, and what one that was killed before it has.
fn leaves_nothing(machine: &Machine, host: &Netns, before: &str) -> Result<()> {
    machine.output("systemctl", &["stop", "gotthard"])?;
    let after = host.configuration()?;
    let changed: Vec<_> = after.lines().filter(|line| !before.contains(line)).collect();
    ensure!(before == after, "left in the network: {changed:#?}\n{}", journal(machine));
    Ok(())
}

/// A configuration that does not hold is refused, and no second attempt finds the same.
fn does_not_try_again_what_cannot_be(machine: &Machine) -> Result<()> {
    machine.write("/etc/gotthard/conf.d/wrong.toml", "0640", "wrong = 1\n")?;
    let started = machine.command("systemctl").args(["start", "gotthard"]).output()?;
    ensure!(!started.status.success(), "a configuration that does not hold was taken");
    let shown = show(machine, &["ActiveState", "ExecMainStatus"])?;
    ensure!(shown["ActiveState"] == "failed" && shown["ExecMainStatus"] == "4", "{shown:?}");
    Ok(())
}

/// The IPv4 routes. IPv6 addresses of their devices are new each time.
fn routes(host: &Netns) -> Result<String> {
    let listed = host.ip_output("-4 route show table all")?;
    let mut lines: Vec<_> = listed.lines().map(str::trim_end).collect();
    lines.sort_unstable();
    Ok(lines.join("\n"))
}

fn main_pid(machine: &Machine) -> Result<String> {
    show(machine, &["MainPID"])?.remove("MainPID").context("no process")
}

/// Properties of the service.
fn show(machine: &Machine, properties: &[&str]) -> Result<BTreeMap<String, String>> {
    let property = format!("--property={}", properties.join(","));
    let shown = machine.output("systemctl", &["show", &property, "gotthard"])?;
    let pairs = shown.lines().filter_map(|line| line.split_once('='));
    Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn journal(machine: &Machine) -> String {
    let read = machine.output("journalctl", &["--unit", "gotthard", "--no-pager", "--output", "cat"]);
    read.unwrap_or_else(|error| error.to_string())
}

/// By the event's code, of the table of docs/events.md.
fn message_ids() -> BTreeMap<&'static str, &'static str> {
    let cell = |cell: &'static str| cell.trim().trim_matches('`');
    let rows = include_str!("../../docs/events.md").lines().filter(|line| line.starts_with("| `GTH-EVT-"));
    rows.filter_map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(cell).collect();
        Some((*cells.first()?, *cells.last()?))
    })
    .collect()
}

const UNIT: &str = include_str!("../../contrib/systemd/gotthard.service");
/// A hang is noticed soon; nothing that is logged is left out.
const DROP_IN: &str =
    "[Service]\nWatchdogSec=3s\nLogRateLimitIntervalSec=0\nEnvironment=GOTTHARD_LOG=debug\n";
const HOOK: &str = "#!/bin/sh\necho \"$(/bin/cat /etc/elsewhere/word) $GOTTHARD_EVENT\"\n";
/// What stands in a file of no concern to the daemon.
const REACHED: &str = "hook-reached";
const STATE: &str = "/var/lib/gotthard";
/// Where a key could have been left, and where it is: the files of the host's own below them are few.
const PLACES: &str =
    "/etc/gotthard /etc/systemd /root/keys /run /tmp /var/lib/gotthard /var/lib/systemd /var/log";
/// In the folder that systemd makes for the service.
const KEYS: &str = "/run/gotthard/keys";
/// Files of the state folder as a crash may leave them.
const TORN: [(&str, &[u8]); 2] =
    [("flow-hash", b"\xff\xfe\0\0binary"), ("traffic.json", b"{\"schema_version\":1,\"months\":[{")];
const SET_ASIDE: &str = "is set aside";
const NOT_NOTED: &str = "it cannot be noted that the kernel";
/// On a full disk, on one that is not, after a hang and after a death.
const STARTS: u64 = 4;
const SOON: Duration = Duration::from_mins(1);
