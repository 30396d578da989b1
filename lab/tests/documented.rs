//! Every command that README, docs and contrib show is run, as it stands there: on a machine with systemd that the deb is put on,
//! with a cloud at the other end. What cannot be run is in [`ELSEWHERE`], line by line, with the reason: a command that is in
//! none of both fails a test.

mod documented {
    pub(crate) mod elsewhere;
}

use core::time::Duration;
use std::collections::BTreeSet;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use documented::elsewhere::ELSEWHERE;
use gotthard_lab::cloud::Described;
use gotthard_lab::cloud::described::{End, Running};
use gotthard_lab::documents::Document;
use gotthard_lab::gotthard::write_secret;
use gotthard_lab::machine::SHARED;
use gotthard_lab::process::Signal;
use gotthard_lab::site::Site;
use gotthard_lab::strongswan::posture;
use gotthard_lab::traffic::await_ping;
use gotthard_lab::{Machine, Process, Run, Suite, run, wait};
use rustix::process::{Pid, kill_process_group};
use serde_json::{Value, json};

/// The pages of which every command is run here, but for those of [`ELSEWHERE`].
const FOLLOWED: &[&[&str]] = &[AWS_PAGES, &["docs/quick-start-azure.md"], &["docs/quick-start-gcp.md"]];
/// In their order: each finds what the ones before it have left.
const AWS_PAGES: &[&str] = &[
    "docs/quick-start-aws.md",
    "docs/import.md",
    "contrib/terraform/aws/README.md",
    "docs/migrating-from-strongswan-and-frr.md",
    "docs/migrating-from-vyos.md",
    "README.md",
    "docs/status.md",
    "docs/drill.md",
    "docs/capture.md",
    "docs/configuration.md",
    "docs/events.md",
    "docs/metrics.md",
    "docs/doctor.md",
    "docs/tuning.md",
];

#[test]
fn every_command_is_run_or_says_why_not() -> run::Outcome {
    let rows = ELSEWHERE.iter().map(|(command, _)| *command);
    let rows = rows.chain(ENDLESS.iter().copied()).chain(CODES.iter().map(|(command, _)| *command));
    let mut left: BTreeSet<&str> = rows.collect();
    let mut lost = Vec::new();
    for document in Document::all()? {
        let is_followed = FOLLOWED.iter().any(|pages| pages.contains(&document.name.as_str()));
        for command in document.commands() {
            left.remove(words(&command));
            if elsewhere(&command).is_none() && !is_followed {
                lost.push(format!("{}: {command}", document.name));
            }
        }
    }
    ensure!(lost.is_empty(), "nobody runs\n{}", lost.join("\n"));
    ensure!(left.is_empty(), "no document shows {left:#?}");
    Ok(())
}

#[test]
fn every_test_program_that_a_command_names_is_there() -> run::Outcome {
    let folders = ["tests", "../control/tests", "../ike/tests", "../dataplane/tests"];
    let there = |name: &str| {
        let mut paths = folders.iter().map(|folder| Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
        paths.any(|folder| folder.join(name).is_dir() || folder.join(format!("{name}.rs")).is_file())
    };
    for document in Document::all()? {
        for name in parts(document.text(), "--test ", ' ') {
            let name = name.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            let name = name.split(['`', '\n']).next().unwrap_or(name);
            ensure!(there(name), "{}: no tests {name}", document.name);
        }
    }
    Ok(())
}

#[test]
fn the_pages_of_aws_are_followed() -> run::Outcome {
    follow("documented_aws", |run, site| {
        let xml = std::fs::read_to_string(ours("aws.xml"))?;
        let keys: Vec<String> = parts(&xml, "<pre_shared_key>", '<');
        let cloud = AWS.start(run, site, &keys)?;
        let folder = files(run);
        std::fs::write(folder.join("vpn.xml"), &xml)?;
        std::fs::write(folder.join("vpn.json"), described(&xml).to_string())?;
        let vyos = posture::shared().join(VYOS);
        let has_vyos = std::fs::copy(&vyos, folder.join("vyos.txt")).is_ok();

        let reader = Reader::boot(run, site)?;
        reader.page("docs/quick-start-aws.md")?;
        await_ping(&site.lan, AWS.host.0.parse()?, SOON)?;
        reader.page("docs/import.md")?;
        reader.page("contrib/terraform/aws/README.md")?;
        reader.page("docs/migrating-from-strongswan-and-frr.md")?;
        reader.stop()?;
        if has_vyos {
            reader.page("docs/migrating-from-vyos.md")?;
            reader.stop()?;
        } else {
            run::skip(&format!("docs/migrating-from-vyos.md: there is no {}", vyos.display()))?;
        }

        // The configuration that README shows, and a file of keys for the one command that needs it, where the unit lets
        // the service write.
        let shown = Document::of("README.md")?;
        let keys_too = format!(
            "[gateway]\ndebug_keys = \"/var/lib/gotthard/debug.keys\"\n{}",
            shown.block("toml", "aws-prod")?
        );
        write_secret(&folder.join("gotthard.toml"), &keys_too)?;
        for (index, key) in keys.iter().enumerate() {
            write_secret(&folder.join(format!("aws-prod-{}.psk", index + 1)), key)?;
        }
        reader.run("install -m 600 gotthard.toml aws-prod-1.psk aws-prod-2.psk /etc/gotthard")?;
        reader.page("README.md")?;
        reader.run("systemctl start gotthard").with_context(|| journal(&reader.machine))?;
        reader.page("docs/status.md")?;
        reader.run("gotthard status")?;
        reader.page("docs/drill.md")?;
        {
            // Something to capture.
            let mut ping = site.gateway.command("ping");
            let _traffic =
                Process::spawn(ping.args(["-q", "-i", "0.004", AWS.ends[0].inside]), "ping", run.dir())?;
            reader.page("docs/capture.md")?;
        }
        reader.run("cp outside.pcapng capture.pcap")?;
        reader.page("docs/configuration.md")?;
        for page in ["docs/events.md", "docs/metrics.md", "docs/doctor.md", "docs/tuning.md"] {
            reader.page(page)?;
        }
        reader.hook()?;
        drop(cloud);
        Ok(())
    })
}

#[test]
fn the_page_of_azure_is_followed() -> run::Outcome {
    follow("documented_azure", |run, site| {
        let folder = files(run);
        let names = [
            ("azure-connection.json", "connection.json"),
            ("azure-gateway.json", "gateway.json"),
            ("azure-local.json", "local.json"),
        ];
        for (from, to) in names {
            std::fs::copy(ours(from), folder.join(to))?;
        }
        std::fs::write(folder.join("key"), posture::AZURE_PSK)?;
        let _cloud: Running = AZURE.start(run, site, &[posture::AZURE_PSK; 2].map(str::to_owned))?;
        let reader = Reader::boot(run, site)?;
        reader.page("docs/quick-start-azure.md")?;
        await_ping(&site.lan, AZURE.host.0.parse()?, SOON)
    })
}

#[test]
fn the_page_of_google_is_followed() -> run::Outcome {
    follow("documented_gcp", |run, site| {
        let folder = files(run);
        let all: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(ours("gcp.json"))?)?;
        for object in &all {
            let file = match (object["kind"].as_str(), object["vpnGatewayInterface"].as_u64()) {
                (Some("compute#vpnTunnel"), Some(number)) => format!("tunnel-{number}.json"),
                (Some("compute#vpnGateway"), _) => "gateway.json".to_owned(),
                (Some("compute#router"), _) => "router.json".to_owned(),
                other => bail!("{other:?}"),
            };
            std::fs::write(folder.join(file), object.to_string())?;
        }
        let keys = posture::PSKS.map(str::to_owned);
        for (index, key) in keys.iter().enumerate() {
            std::fs::write(folder.join(format!("secret-{index}")), key)?;
        }
        let _cloud: Running = GOOGLE.start(run, site, &keys)?;
        let reader = Reader::boot(run, site)?;
        reader.page("docs/quick-start-gcp.md")?;
        await_ping(&site.lan, GOOGLE.host.0.parse()?, SOON)
    })
}

/// A scenario with the deb, or the word that there is none.
fn follow(name: &str, body: impl FnOnce(&Run, &Site) -> Result<()>) -> run::Outcome {
    let Some(deb) = std::env::var_os("GOTTHARD_DEB").map(PathBuf::from) else {
        return run::skip(&format!(
            "{name}: GOTTHARD_DEB names no package; `cargo xtask package` builds one"
        ));
    };
    run::scenario(name, Suite::Gcm, |run| {
        std::fs::create_dir(run.dir().join(FILES))?;
        std::fs::copy(&deb, files(run).join("gotthard.deb")).with_context(|| deb.display().to_string())?;
        body(run, &Site::new()?)
    })
}

/// Who follows a page, on a machine of their own, in a folder with the files that the page speaks of.
struct Reader<'a> {
    machine: Machine,
    run: &'a Run,
}

impl<'a> Reader<'a> {
    fn boot(run: &'a Run, site: &Site) -> Result<Self> {
        Ok(Self { machine: Machine::boot(run, &site.gateway, SOON)?, run })
    }

    /// Runs all commands of a page in their order, but for those that are run elsewhere.
    fn page(&self, name: &str) -> Result<()> {
        let mut daemon = None;
        for command in Document::of(name)?.commands() {
            if elsewhere(&command).is_some() {
                continue;
            }
            let what = format!("{name}: {command}");
            if words(&command) == "gotthard run" {
                daemon = Some(self.spawn(&command, "daemon")?);
                self.run("gotthard status").context(what)?;
            } else if ENDLESS.contains(&words(&command)) {
                self.watch(&command).context(what)?;
            } else {
                self.run(&command).with_context(|| journal(&self.machine)).context(what)?;
            }
        }
        if let Some((mut daemon, _)) = daemon {
            signal(&daemon, Signal::TERM)?;
            daemon.wait(SOON)?;
            let is_gone = || Ok(!self.succeeds("test -S /run/gotthard/gotthard.sock")?);
            wait::until_true(SOON, "the end of the daemon", is_gone)?;
        }
        Ok(())
    }

    /// To its end, which is 0, or what the page says. Of a status 0 is awaited: tunnels take their time.
    fn run(&self, command: &str) -> Result<()> {
        let codes = CODES.iter().find(|(of, _)| *of == words(command)).map_or(&[0][..], |(_, codes)| codes);
        let once = || -> Result<Result<(), String>> {
            let ended = self.shell(command).output()?;
            let said =
                [ended.stdout, ended.stderr].map(|octets| String::from_utf8_lossy(&octets).into_owned());
            let is_right = ended.status.code().is_some_and(|code| codes.contains(&code));
            Ok(if is_right { Ok(()) } else { Err(format!("{}\n{}", ended.status, said.concat())) })
        };
        if command.starts_with("gotthard status") {
            return wait::until_true(SOON, command, || Ok(once()?.is_ok()))
                .with_context(|| format!("{:?}", once()));
        }
        once()?.map_err(anyhow::Error::msg)
    }

    /// Until it has said something; Ctrl-C ends it.
    fn watch(&self, command: &str) -> Result<()> {
        let (mut process, said) = self.spawn(command, "watched")?;
        let says = || Ok(said.metadata()?.len() > 0);
        wait::until_true(SOON, "a first word", says).with_context(|| process.log())?;
        signal(&process, Signal::INT)?;
        process.wait(SOON)?;
        ensure!(!process.log().contains("error"), "{}", process.log());
        Ok(())
    }

    /// In a process group of its own, as on a terminal.
    fn spawn(&self, command: &str, name: &str) -> Result<(Process, PathBuf)> {
        Process::spawn_with_output(self.shell(command).process_group(0), name, self.run.dir())
    }

    fn succeeds(&self, command: &str) -> Result<bool> {
        Ok(self.shell(command).stdout(Stdio::null()).stderr(Stdio::null()).status()?.success())
    }

    fn shell(&self, command: &str) -> Command {
        let mut shell = self.machine.command("sh");
        shell.args(["-c", &format!("cd {SHARED}/{FILES}\n{command}")]).stdin(Stdio::null());
        shell
    }

    /// Ends the service and forgets what it was told.
    fn stop(&self) -> Result<()> {
        self.run("systemctl stop gotthard; rm -rf /etc/gotthard/conf.d /etc/gotthard/gotthard.toml")
    }

    /// The hook that the page of hooks shows tells the journal of a tunnel that is up.
    fn hook(&self) -> Result<()> {
        let page = Document::of("docs/hooks.md")?;
        std::fs::write(files(self.run).join("10-tell"), page.block("sh", "#!/bin/sh")?)?;
        self.run("install -D -m 755 10-tell /etc/gotthard/hooks.d/10-tell && systemctl restart gotthard")?;
        let told = "journalctl --identifier root --grep 'gotthard: aws-prod/.: tunnel-up'";
        wait::until_true(SOON, "the hook's word", || self.succeeds(told))
            .with_context(|| journal(&self.machine))
    }
}

/// The row of the table that a command has.
fn elsewhere(command: &str) -> Option<&'static str> {
    ELSEWHERE.iter().map(|(row, _)| *row).find(|row| *row == words(command))
}

/// A command without the comment behind it.
fn words(command: &str) -> &str {
    command.split(" #").next().unwrap_or(command).trim_end()
}

fn signal(process: &Process, signal: Signal) -> Result<()> {
    let group = i32::try_from(process.pid()).ok().and_then(Pid::from_raw).context("a process")?;
    Ok(kill_process_group(group, signal)?)
}

fn journal(machine: &Machine) -> String {
    let read = machine.output("journalctl", &["--unit", "gotthard", "--no-pager", "--output", "cat"]);
    read.unwrap_or_else(|error| error.to_string())
}

/// The folder that the machine sees below [`SHARED`].
fn files(run: &Run) -> PathBuf {
    run.dir().join(FILES)
}

/// A file of the import's own tests.
fn ours(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../control/tests/import/files").join(name)
}

/// What `aws ec2 describe-vpn-connections` prints of a connection with this file.
fn described(xml: &str) -> Value {
    let id = "vpn-0a1b2c3d4e5f60718";
    json!({ "VpnConnections": [{
        "VpnConnectionId": id, "State": "available", "Type": "ipsec.1", "CustomerGatewayConfiguration": xml,
    }] })
}

fn parts(text: &str, before: &str, behind: char) -> Vec<String> {
    let parts = text.split(before).skip(1).filter_map(|part| part.split(behind).next());
    parts.map(|part| part.trim().to_owned()).collect()
}

const fn end(outer: &'static str, inside: &'static str, ours_inside: &'static str) -> End {
    End { outer, inside, ours_inside }
}

/// Commands that go on until they are interrupted.
const ENDLESS: &[&str] = &[
    "gotthard capture aws-prod/1 | tshark -r -",
    "gotthard events --follow",
    "gotthard events --follow --output json",
    "curl --no-buffer --unix-socket /run/gotthard/gotthard.sock http://gotthard/v1/events/follow",
];
/// Exit codes other than 0 alone: the doctor finds what its page is about.
const CODES: &[(&str, &[i32])] = &[("gotthard doctor", &[0, 1])];

/// What each cloud's files say.
const AWS: Described = Described {
    ours: posture::CUSTOMER_GATEWAY,
    ends: &[
        end("198.51.100.11", "169.254.10.1", "169.254.10.2/30"),
        end("198.51.100.12", "169.254.11.1", "169.254.11.2/30"),
    ],
    asns: Some((64512, 65010)),
    policy: None,
    host: ("10.200.0.1", "10.200.0.0/16"),
    inside6: None,
    selected: None,
};
const AZURE: Described = Described {
    ends: &[
        end("198.51.100.21", "169.254.21.1", "10.10.255.1/32"),
        end("198.51.100.22", "10.30.0.5", "10.10.255.1/32"),
    ],
    asns: Some((65515, 65010)),
    policy: Some(("aes256-sha256-modp2048", "aes256gcm16")),
    ..AWS
};
const GOOGLE: Described = Described {
    ends: &[
        end("198.51.100.31", "169.254.0.1", "169.254.0.2/30"),
        end("198.51.100.32", "169.254.1.1", "169.254.1.2/30"),
    ],
    asns: Some((64514, 65010)),
    policy: Some(("aes256gcm16-prfsha256-ecp256", "aes256gcm16-ecp256")),
    ..AWS
};
/// Below the shared folder: what AWS hands out for VyOS.
const VYOS: &str = "samples/aws/cloudneta.github.io__vyatta-vyos-text__bgp-2020.txt";
/// The folder of the run in which commands are run.
const FILES: &str = "files";
const SOON: Duration = Duration::from_mins(1);
