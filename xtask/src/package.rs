//! `cargo xtask package`: the deb and the rpm, with completions and manual pages, below the target folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::steps::root;

/// The profile of what is handed out.
pub(crate) const RELEASE: &str = "release";

/// What builds them, and the versions that it was written for.
const TOOLS: [(&str, &str); 2] = [("cargo-deb", "3.8.0"), ("cargo-generate-rpm", "0.21.1")];

/// Builds all of it with a profile of ours; returns the folder.
pub(crate) fn build(profile: &str) -> Result<PathBuf> {
    for (tool, version) in TOOLS {
        install(tool, version)?;
    }
    cargo(&["build", "--package", "gotthard", "--profile", profile])?;
    let target = target();
    let folder = target.join(profile).join("package");
    let folder_text = folder.to_string_lossy().into_owned();
    // What writes the pages need not be optimised.
    cargo(&["run", "--package", "gotthard", "--example", "package_files", "--", &folder_text])?;
    let package = ["--package", "gotthard", "--profile", profile];
    cargo(&[&["deb", "--no-build"][..], &package, &["--output", &format!("{folder_text}/")]].concat())?;
    // cargo-deb does so itself.
    strip(&target.join(profile).join("gotthard"), &folder.join("gotthard"))?;
    let target = target.to_string_lossy();
    let of_rpm = ["--profile", profile, "--target-dir", &target, "--output", &format!("{folder_text}/")];
    cargo(&[&["generate-rpm", "--package", "control"][..], &of_rpm].concat())?;
    Ok(folder)
}

/// Writes the binary without what only a debugger reads.
fn strip(binary: &Path, stripped: &Path) -> Result<()> {
    let mut command = Command::new("strip");
    command.arg("-o").arg(stripped).arg(binary);
    run(command)
}

/// The package of a kind in the folder: `deb` or `rpm`.
pub(crate) fn of(folder: &Path, kind: &str) -> Result<PathBuf> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
    let found = files.into_iter().find(|file| file.extension().is_some_and(|extension| extension == kind));
    found.with_context(|| format!("no {kind} in {}", folder.display()))
}

/// Where cargo builds.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

fn install(tool: &str, version: &str) -> Result<()> {
    let there = Command::new(tool).arg("--version").output().is_ok_and(|output| output.status.success());
    // They run once: building them optimised would cost more than it saves.
    if there { Ok(()) } else { cargo(&["install", "--locked", "--debug", "--version", version, tool]) }
}

fn cargo(args: &[&str]) -> Result<()> {
    let mut command = Command::new("cargo");
    command.args(args);
    run(command)
}

fn run(mut command: Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{command:?}"))?;
    if !status.success() {
        bail!("{command:?}: {status}");
    }
    Ok(())
}
