//! Who is measured, and with what.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use gotthard_lab::Suite;

use super::bed::Between;
use super::cell::{Cell, EIGHT_STREAMS, ONE_STREAM};
use super::generator::FLOWS;
use super::programs::Programs;
use crate::report::Class;

/// One row of the tables.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// What the command line calls it.
    pub(super) name: String,
    /// What a reader is told.
    pub(super) title: String,
    pub(super) class: Class,
    pub(super) kind: Kind,
    pub(super) between: Between,
    pub(super) cells: Vec<Cell>,
}

impl Candidate {
    /// True if it is measured with many streams, which need many addresses.
    pub(super) fn has_flows(&self) -> bool {
        self.cells.contains(&Cell::Flows)
    }
}

/// What carries the packets.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// Nothing: the link by itself.
    Bare,
    /// `gotthard-benches gateway` on both ends.
    Gotthard(Gotthard),
    /// charon with kernel-libipsec on both ends.
    Strongswan(Suite),
    /// A program on both ends; see [`super::command`].
    Command(Source),
}

/// How our gateway is run.
#[derive(Clone, Debug)]
pub(super) struct Gotthard {
    /// Options of `gotthard-benches gateway`.
    pub(super) options: Vec<String>,
    pub(super) build: Build,
    pub(super) tunnels: u16,
}

/// Which build of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Build {
    /// This program.
    Own,
    /// One that neither encrypts nor checks.
    NoCrypto,
}

/// Where a command comes from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// Found in the path, as Debian's packages are.
    Installed { program: &'static str, package: &'static str, arguments: &'static str },
    /// Built from crates.io.
    Crate { name: &'static str, arguments: &'static str },
    /// Named on the command line.
    Given(String),
}

impl Source {
    /// The command line, with its placeholders; fails where the program cannot be had.
    pub(super) fn command(&self, programs: &Programs) -> Result<String> {
        match self {
            Self::Installed { program, package, arguments } => {
                let Some(found) = find(program) else {
                    bail!("{program} is not installed (apt-get install {package})")
                };
                Ok(format!("{} {arguments}", found.display()))
            }
            Self::Crate { name, arguments } => {
                Ok(format!("{} {arguments}", programs.installed_crate(name)?.display()))
            }
            Self::Given(command) => Ok(command.clone()),
        }
    }
}

/// All candidates, with those of the command line.
pub(super) fn all(given: &[Named]) -> Vec<Candidate> {
    let mut all = vec![
        standard("veth", "veth alone", Kind::Bare),
        ours("gotthard", "Gotthard, AES-256-GCM", &["--transform", GCM]),
        ours("gotthard-syscalls", "Gotthard, AES-256-GCM, plain system calls", &["--backend", "syscalls"]),
        ours("gotthard-cbc", "Gotthard, AES-256-CBC, HMAC-SHA2-256", &["--transform", CBC]),
        Candidate {
            class: Class::NoCrypto,
            kind: gotthard(&["--transform", GCM], Build::NoCrypto, 1),
            ..ours("gotthard-no-crypto", "Gotthard without crypto (bench build)", &[])
        },
        standard("strongswan", "strongSwan, AES-256-GCM", Kind::Strongswan(Suite::Gcm)),
        standard("strongswan-cbc", "strongSwan, AES-256-CBC, HMAC-SHA2-256", Kind::Strongswan(Suite::Cbc)),
        standard(
            "wireguard-go",
            "wireguard-go",
            Kind::Command(Source::Installed {
                program: "wireguard-go",
                package: "wireguard-go wireguard-tools",
                arguments: "-f {interface}",
            }),
        ),
        standard(
            "boringtun",
            "boringtun-cli",
            Kind::Command(Source::Crate {
                name: "boringtun-cli",
                arguments: "--foreground --disable-drop-privileges {interface}",
            }),
        ),
    ];
    all.extend(
        given.iter().map(|Named { name, command }| {
            standard(name, name, Kind::Command(Source::Given(command.clone())))
        }),
    );
    all.extend(particular());
    all
}

/// What is measured of us alone, each with the one cell that shows it.
fn particular() -> Vec<Candidate> {
    let routed = |name, title, zero_checksums| Candidate {
        class: Class::Particular,
        between: Between::Router { zero_checksums },
        cells: vec![ONE_STREAM],
        ..ours(name, title, &["--transform", GCM])
    };
    let many = |name, title, options: &[&str], tunnels| Candidate {
        class: Class::Particular,
        kind: gotthard(options, Build::Own, tunnels),
        cells: vec![Cell::Flows],
        ..ours(name, title, &[])
    };
    let with = |name, title, options: &[&str], cell| Candidate {
        class: Class::Particular,
        cells: vec![cell],
        ..ours(name, title, options)
    };
    vec![
        with("two-workers", "Gotthard, AES-256-GCM, two workers", &["--workers", "2"], EIGHT_STREAMS),
        with("chacha20", "Gotthard, ChaCha20-Poly1305", &["--transform", "chacha20poly1305"], ONE_STREAM),
        with("raw-esp", "Gotthard, AES-256-GCM, ESP as IP protocol 50", &["--wire", "esp"], ONE_STREAM),
        routed("routed", "Gotthard behind a router, checksums kept (GRO)", false),
        routed("zero-checksums", "Gotthard behind a router that zeroes UDP checksums (no GRO)", true),
        many("one-sa", "Gotthard, 1,000 flows on one SA", &[], 1),
        many(
            "many-sas",
            "Gotthard, 1,000 flows on 1,000 SAs of 10,000",
            &["--tunnels", "1000", "--inbound-sas", "10"],
            FLOWS,
        ),
    ]
}

fn standard(name: &str, title: &str, kind: Kind) -> Candidate {
    let class = match kind {
        Kind::Bare => Class::Link,
        Kind::Gotthard(_) => Class::Ours,
        Kind::Strongswan(_) => Class::Strongswan,
        Kind::Command(_) => Class::Program,
    };
    let (name, title, cells) = (name.to_owned(), title.to_owned(), Cell::STANDARD.to_vec());
    Candidate { name, title, class, kind, between: Between::Link, cells }
}

fn ours(name: &str, title: &str, options: &[&str]) -> Candidate {
    standard(name, title, gotthard(options, Build::Own, 1))
}

fn gotthard(options: &[&str], build: Build, tunnels: u16) -> Kind {
    let options = options.iter().map(|&option| option.to_owned()).collect();
    Kind::Gotthard(Gotthard { options, build, tunnels })
}

/// `NAME=COMMAND` of the command line.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(super) name: String,
    pub(super) command: String,
}

impl core::str::FromStr for Named {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, command) = text.split_once('=').context("NAME=COMMAND is expected")?;
        if name.is_empty() || command.is_empty() {
            bail!("NAME=COMMAND is expected");
        }
        Ok(Self { name: name.to_owned(), command: command.to_owned() })
    }
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([Path::new("/usr/sbin").to_owned()]);
    folders.map(|folder| folder.join(program)).find(|file| file.exists())
}

const GCM: &str = "aes256gcm16";
const CBC: &str = "aes256-sha256";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_candidates_are_called_the_same() {
        let named = "mine=run {interface}".parse().expect("a command");
        let mut names: Vec<_> = all(&[named]).into_iter().map(|candidate| candidate.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all(&[]).len() + 1);
    }

    #[test]
    fn a_command_needs_a_name() {
        for wrong in ["run", "=run", "name="] {
            wrong.parse::<Named>().expect_err(wrong);
        }
    }
}
