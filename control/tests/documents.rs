//! What README and docs show an operator, kept: configurations are taken, commands are ours, every key is described.
//! The page of the status has its tests beside those of its object.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod issued;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser as _;
use clap::error::ErrorKind;
use gotthard::api::drill::{DrillMove, DrillReport};
use gotthard::api::routes::RouteTable;
use gotthard::cli::Cli;
use gotthard::config::{FileKind, NoSecrets, SecretError, SecretSource, parse_str};
use issued::{Issued, revocation_list_until};
use serde_json::Value;
use zeroize::Zeroizing;

#[test]
fn every_configuration_that_is_shown_is_taken() {
    let files = Files::new();
    for document in documents() {
        let name = document.display().to_string();
        for block in blocks(&read(&document)).filter_map(|block| block.strip_prefix("toml\n")) {
            if let Err(errors) = parse_str(&completed(block), &name, &files) {
                panic!("{name}: {errors}\n{block}");
            }
        }
    }
}

#[test]
fn every_command_that_is_shown_is_one_of_ours() {
    for document in documents() {
        let (name, text) = (document.display(), read(&document));
        for line in blocks(&text).flat_map(str::lines).filter_map(command_line) {
            let parsed = Cli::try_parse_from(words(line));
            assert!(parsed.is_ok(), "{name}: {line}: {}", parsed.unwrap_err());
        }
        for line in quoted(&text).filter(|quoted| quoted.starts_with("gotthard ")) {
            // A sentence may name a command without saying what it is for.
            let wrong = Cli::try_parse_from(words(line)).err();
            let wrong = wrong.filter(|error| error.kind() != ErrorKind::MissingRequiredArgument);
            assert!(wrong.is_none(), "{name}: {line}: {}", wrong.unwrap());
        }
    }
}

#[test]
fn every_key_is_described_and_what_is_described_is_a_key() {
    let text = read(&root().join("docs/configuration.md"));
    for (heading, context) in [
        ("## `[gateway]`", "[gateway]\n"),
        ("## `[gateway.prices.CLOUD]`", "[gateway.prices.aws]\n"),
        ("## `[connection.NAME]`", "[connection.a]\nrouting = \"bgp\"\nauth = \"cert\"\n"),
        ("## `[[connection.NAME.tunnel]]`", "[connection.a]\n[[connection.a.tunnel]]\n"),
    ] {
        assert_eq!(described(&text, heading), known(context), "{heading}");
    }
}

#[test]
fn the_table_of_routes_that_is_shown_is_as_we_give_it() {
    let text = read(&root().join("docs/routes-and-tunnels.md"));
    let block = blocks(&text).find_map(|block| block.strip_prefix("json\n")).unwrap();
    let shown: Value = serde_json::from_str(block).unwrap();
    let given: RouteTable = serde_json::from_value(shown.clone()).unwrap();
    assert_eq!(serde_json::to_value(given).unwrap(), shown);
}

#[test]
fn every_key_of_a_drills_report_is_described() {
    let step = DrillMove { from: vec![], to: vec![], took_ms: 0.0, gap_ms: 0.0, sent: 0, lost: 0 };
    let report = DrillReport {
        connection: String::new(),
        passed: true,
        reason: None,
        target: None,
        rate: 0,
        sent: 0,
        lost: 0,
        moves: vec![step],
    };
    let report = serde_json::to_value(report).unwrap();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let of_moves = keys(&report["moves"][0]).into_iter().map(|key| format!("moves[].{key}"));
    let of_report =
        keys(&report).into_iter().map(|key| if key == "moves" { "moves[]".to_owned() } else { key });
    let given: BTreeSet<String> = of_report.chain(of_moves).collect();
    assert_eq!(described(&read(&root().join("docs/drill.md")), "## JSON"), given);
}

/// README and all below docs and contrib.
fn documents() -> Vec<PathBuf> {
    let mut found = vec![root().join("README.md")];
    let mut folders = vec![root().join("docs"), root().join("contrib")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found
}

/// The blocks of code, each with its language as the first line.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    text.split("```").skip(1).step_by(2)
}

/// What is in backquotes outside the blocks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split("```").step_by(2).flat_map(|prose| prose.split('`').skip(1).step_by(2))
}

/// A block that is about the connection alone, with a tunnel.
fn completed(block: &str) -> String {
    if block.contains("[[connection.") || !block.contains("[connection.") {
        return block.to_owned();
    }
    let psk = if block.contains("auth = \"cert\"") { "" } else { "psk = \"hunter2.hunter2\"\n" };
    format!(
        "{block}[[connection.aws-prod.tunnel]]\nname = \"1\"\npeer = \"198.51.100.11\"\ninside = \"169.254.10.2/30\"\n{psk}"
    )
}

/// A line of a block that runs our binary, behind a prompt or none.
fn command_line(line: &str) -> Option<&str> {
    let line = ["# ", "$ "].iter().find_map(|prompt| line.strip_prefix(prompt)).unwrap_or(line);
    line.starts_with("gotthard ").then_some(line)
}

/// The words up to a comment or what the shell does with the output; of `[OPTIONAL]` and `one|other` what can stand there.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let ours = line.split_whitespace().take_while(|word| !["#", ">", "|", "&&"].contains(word));
    ours.filter_map(|word| word.trim_matches(['[', ']']).split('|').next())
}

/// The keys that a section has in its tables of keys.
fn described(text: &str, heading: &str) -> BTreeSet<String> {
    let section = text.split_once(&format!("\n{heading}\n")).unwrap().1;
    let section = section.split("\n## ").next().unwrap();
    let tables = section.split("\n\n").filter(|table| table.trim_start().starts_with("| key |"));
    let cells = tables.flat_map(str::lines).filter_map(|row| row.split('|').nth(1));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// The keys that are possible behind a text, as the remedy for an unknown one lists them; `tunnel` has a section of its own.
fn known(context: &str) -> BTreeSet<String> {
    let errors = parse_str(&format!("{context}qqqqqqqqqqqq = 1\n"), "g.toml", &NoSecrets).unwrap_err().0;
    let mut lists = errors.iter().filter_map(|error| error.remedy.split_once("possible here: "));
    lists.next().unwrap().1.split(", ").filter(|key| *key != "tunnel").map(str::to_owned).collect()
}

/// Whatever file a configuration names is there.
struct Files {
    issued: Issued,
    revoked: String,
}

impl Files {
    fn new() -> Self {
        Self { issued: Issued::until(2100), revoked: revocation_list_until(2100) }
    }
}

impl SecretSource for Files {
    fn read(&self, _: &Path, file: &str, kind: FileKind) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        let text = match kind {
            FileKind::PresharedKey | FileKind::BgpPassword => "hunter2.hunter2",
            FileKind::PrivateKey => &self.issued.key,
            FileKind::Certificates if file.starts_with("ca") => &self.issued.ca,
            FileKind::Certificates => &self.issued.cert,
            FileKind::RevocationLists => &self.revoked,
        };
        Ok(Zeroizing::new(text.as_bytes().to_vec()))
    }
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}
