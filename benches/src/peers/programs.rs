//! The programs that the bench builds itself, in the target folder that it was built in.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::candidate::Build;

/// Where they are.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    own: PathBuf,
    target: PathBuf,
}

impl Programs {
    pub(super) fn new() -> Result<Self> {
        let own = std::env::current_exe()?;
        // TARGET/PROFILE/gotthard-benches
        let target = own.ancestors().nth(2).context("target folder")?.to_owned();
        Ok(Self { own, target })
    }

    /// Our gateway; what is not this program is built or brought up to date.
    pub(super) fn gateway(&self, build: Build) -> Result<PathBuf> {
        match build {
            Build::Own => Ok(self.own.clone()),
            Build::NoCrypto => {
                let target = self.target.join("no-crypto");
                let mut command = cargo();
                command.args([
                    "build",
                    "--release",
                    "--package",
                    "gotthard-benches",
                    "--bin",
                    "gotthard-benches",
                ]);
                command.arg("--target-dir").arg(&target).current_dir(env!("CARGO_MANIFEST_DIR"));
                command.env("RUSTFLAGS", "--cfg gotthard_no_crypto");
                run(command, "the gateway without crypto")?;
                Ok(target.join("release/gotthard-benches"))
            }
        }
    }

    /// A program of crates.io, installed below the target folder.
    pub(super) fn installed_crate(&self, name: &str) -> Result<PathBuf> {
        let root = self.target.join("peers");
        let program = root.join("bin").join(name);
        if !program.exists() {
            let mut command = cargo();
            command.args(["install", name, "--root"]).arg(&root).current_dir(&self.target);
            // Ours is not meant for it.
            command.env_remove("CARGO_TARGET_DIR");
            run(command, name)?;
        }
        Ok(program)
    }
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn run(mut command: Command, what: &str) -> Result<()> {
    eprintln!("building {what} …");
    let output = command.output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let error = said.lines().find(|line| line.starts_with("error")).unwrap_or("cargo failed");
        bail!("{what} does not build: {error}");
    }
    Ok(())
}
