//! docs/rfc-coverage.md, kept: every row that must be there is, and every test that it names exists.

use core::ops::RangeInclusive;
use std::collections::BTreeSet;
use std::fs;

use crate::tree::{read, root};

/// The rows that a release needs, P0 and P1.
const RFCS: [&str; 32] = [
    "RFC 7296 §2.1-2.3",
    "RFC 7296 §2.4",
    "RFC 7296 §2.5",
    "RFC 7296 §2.6",
    "RFC 7296 §2.7, §3.3",
    "RFC 7296 §2.8, §2.25",
    "RFC 7296 §2.9",
    "RFC 7296 §2.10-2.17",
    "RFC 7296 §2.11, §2.23; RFC 3948",
    "RFC 7296 §2.21",
    "RFC 7383",
    "RFC 8247, RFC 8221",
    "RFC 6989",
    "RFC 4303, RFC 4301",
    "RFC 7427, RFC 8420",
    "RFC 9395",
    "RFC 4271 §4, §6.1-6.2; RFC 5492, RFC 9072",
    "RFC 4271 §4.3; RFC 4760",
    "RFC 4271 §6.5, §10",
    "RFC 4271 §6.8; RFC 6286",
    "RFC 4271 §8",
    "RFC 4271 §9.1",
    "RFC 1997, RFC 8092",
    "RFC 2918",
    "RFC 4486",
    "RFC 4724, RFC 8538",
    "RFC 6793",
    "RFC 7606",
    "RFC 8212, RFC 8326",
    "RFC 9003",
    "H27",
    "H35",
];

/// The kinds of hostile input to IKE and to BGP.
const HOSTILE: [RangeInclusive<usize>; 2] = [1..=18, 30..=33];

#[test]
fn every_row_is_there_and_has_a_test() {
    let rows: BTreeSet<String> =
        rows().into_iter().filter(|row| !row.tests.is_empty()).map(|row| row.name).collect();
    let hostile = HOSTILE.into_iter().flatten().map(|number| format!("H{number}"));
    let missing: Vec<String> =
        RFCS.map(str::to_owned).into_iter().chain(hostile).filter(|row| !rows.contains(row)).collect();
    assert!(missing.is_empty(), "rows without a test: {missing:?}");
}

#[test]
fn every_test_that_is_named_exists() {
    let named = rows().into_iter().flat_map(|row| row.tests);
    let missing: Vec<String> = named.filter(|test| !exists(test)).collect();
    assert!(missing.is_empty(), "no such tests:\n{}", missing.join("\n"));
}

/// A line of a table: its first cell, and the names in backquotes of its last.
struct Row {
    name: String,
    tests: Vec<String>,
}

fn rows() -> Vec<Row> {
    read(&root().join("docs/rfc-coverage.md")).lines().filter_map(row).collect()
}

fn row(line: &str) -> Option<Row> {
    let cells: Vec<&str> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
    let (name, tests) = (cells.first()?, cells.last()?);
    let tests = tests.split('`').filter(|word| word.contains("::")).map(str::to_owned).collect();
    Some(Row { name: (*name).to_owned(), tests })
}

/// `FILE::TEST`: the file has a function of that name, behind `#[test]` or among the scenarios of the lab.
fn exists(named: &str) -> bool {
    let Some((file, test)) = named.rsplit_once("::") else { return false };
    let Ok(text) = fs::read_to_string(root().join(file).with_extension("rs")) else { return false };
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let Some(at) = lines.iter().position(|line| defines(line, test)) else { return false };
    let attributes =
        lines[..at].iter().rev().take_while(|line| line.starts_with('#') || line.starts_with("//"));
    let marked = attributes.into_iter().any(|line| line.contains("test]") || line.contains("test("));
    marked || scenarios(&text).contains(&test)
}

fn defines(line: &str, test: &str) -> bool {
    let signature = line.trim_start_matches("pub ").trim_start_matches("async ");
    signature
        .strip_prefix("fn ")
        .and_then(|rest| rest.strip_prefix(test))
        .is_some_and(|rest| rest.starts_with('('))
}

/// The names in `scenarios!(…)`, behind the suite if there is one.
fn scenarios(text: &str) -> Vec<&str> {
    let list = text.split("scenarios!(").nth(1).and_then(|rest| rest.split(')').next());
    let names = list.map(|list| list.split_once(':').map_or(list, |(_, names)| names));
    names.into_iter().flat_map(|names| names.split(',')).map(str::trim).collect()
}

#[test]
fn reads_a_row_and_its_tests() {
    let row = row("| H1 | what | `a/b::c` `d::e` |").expect("a row");
    assert_eq!((row.name.as_str(), row.tests), ("H1", vec!["a/b::c".to_owned(), "d::e".to_owned()]));
    assert_eq!(scenarios("scenarios!(\n    one,\n    two\n);"), ["one", "two"]);
    assert_eq!(scenarios("scenarios!(\n    gcm:\n    one,\n    two\n);"), ["one", "two"]);
    assert!(defines("async fn a_test() {", "a_test") && !defines("fn a_test_more() {", "a_test"));
}
