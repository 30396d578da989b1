//! What a run of the side-by-side bench found: kept as JSON, shown as tables and pictures.

mod aims;
mod chart;
mod machine;
mod model;
mod pictures;
mod table;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

pub(crate) use self::model::{Class, Figure, Report, Row, Sample, Settings};
pub(crate) use self::table::markdown;

/// Which run, and where its pictures go.
#[derive(Args, Debug)]
pub(crate) struct PlotArguments {
    /// The JSON of a run
    #[arg(long, default_value = "docs/performance/peers.json", value_name = "FILE")]
    from: PathBuf,
    /// Folder for the tables and the pictures
    #[arg(long, default_value = "docs/performance", value_name = "DIR")]
    out: PathBuf,
}

/// Writes JSON, tables and pictures into a folder.
pub(crate) fn write(report: &Report, out: &Path) -> Result<()> {
    let json = format!("{}\n", serde_json::to_string_pretty(report)?);
    put(&out.join("peers.json"), json.as_bytes())?;
    show(report, out)
}

/// Writes tables and pictures of an earlier run.
pub(crate) fn plot_again(arguments: &PlotArguments) -> Result<()> {
    let from = &arguments.from;
    let json = fs::read_to_string(from).with_context(|| from.display().to_string())?;
    let report = serde_json::from_str(&json).with_context(|| from.display().to_string())?;
    show(&report, &arguments.out)
}

fn show(report: &Report, out: &Path) -> Result<()> {
    put(
        &out.join("peers.md"),
        format!("# A run of the side-by-side bench\n\n{}", markdown(report).trim_end()).as_bytes(),
    )?;
    for (name, chart) in pictures::all(report) {
        let svg = chart.svg();
        put(&out.join(format!("{name}.svg")), svg.as_bytes())?;
        put(&out.join(format!("{name}.png")), &chart::png(&svg)?)?;
    }
    Ok(())
}

fn put(file: &Path, octets: &[u8]) -> Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    fs::write(file, octets).with_context(|| file.display().to_string())?;
    eprintln!("wrote {}", file.display());
    Ok(())
}
