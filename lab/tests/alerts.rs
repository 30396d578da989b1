//! The alerts of `contrib/prometheus`, as Prometheus' own tool judges them against series: each fires for the case that it is for.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

#[test]
fn every_alert_fires_for_its_case_and_not_for_the_one_beside_it() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib/prometheus");
    let (rules, tests) = (folder.join("gotthard.rules.yml"), folder.join("tests/gotthard.test.yml"));
    let [named, tested] = [&rules, &tests].map(std::fs::read_to_string);
    let (named, tested) = (named?, tested?);
    for row in named.lines().filter_map(|line| line.trim().strip_prefix("- ")) {
        let case = match row.split_once(": ") {
            Some(("alert", name)) => format!("alertname: {name}\n        exp_alerts:"),
            Some(("record", name)) => name.to_owned(),
            Some(_) | None => continue,
        };
        ensure!(tested.contains(&case), "no case of {row}");
    }
    for (words, file) in [(["check", "rules"], &rules), (["test", "rules"], &tests)] {
        let said = Command::new("promtool").args(words).arg(file).output().context("promtool")?;
        let text = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
        ensure!(said.status.success() && text.contains("SUCCESS"), "{text}");
    }
    Ok(())
}
