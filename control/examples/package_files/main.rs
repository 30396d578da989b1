//! What the packages hold beside the binary: completions for shells, and manual pages of the commands, the failure codes and the events.
//! `cargo xtask package` runs it; the binary itself needs none of this.

mod page;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::CommandFactory as _;
use clap_complete::{Shell, generate_to};
use gotthard::cli::Cli;
use gotthard::events::kind;

fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1).context("usage: package_files FOLDER")?;
    let folder = Path::new(&folder);
    completions(&folder.join("completions"))?;
    commands(&folder.join("man1"))?;
    failures(&folder.join("man7"))?;
    events(&folder.join("man7"))
}

fn completions(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut Cli::command(), "gotthard", folder)?;
    }
    Ok(())
}

fn commands(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    clap_mangen::generate_to(Cli::command(), folder)?;
    Ok(())
}

fn failures(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/failures");
    for entry in fs::read_dir(&pages).with_context(|| pages.display().to_string())? {
        let file: PathBuf = entry?.path();
        let code = file.file_stem().context("a code")?.to_string_lossy().into_owned();
        let page = page::roff(&code, "Failure codes", &fs::read_to_string(&file)?);
        fs::write(folder.join(format!("{code}.7")), page)?;
    }
    Ok(())
}

fn events(folder: &Path) -> Result<()> {
    for kind in kind::ALL {
        fs::write(folder.join(format!("{}.7", kind.code)), page::roff(kind.code, "Events", &kind.page()))?;
    }
    Ok(())
}
