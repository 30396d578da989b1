//! The commands that README, docs and contrib show: the lines of their blocks of shell, and those behind a prompt in a block of
//! text. A block that begins with `#!` is a program and not a list of commands.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A page of the documentation.
#[derive(Debug)]
pub struct Document {
    /// Its path in the repository.
    pub name: String,
    text: String,
}

impl Document {
    /// README, CONTRIBUTING and all that is below docs and contrib.
    pub fn all() -> Result<Vec<Self>> {
        let root = root();
        let mut files = vec![root.join("README.md"), root.join("CONTRIBUTING.md")];
        let mut folders = vec![root.join("docs"), root.join("contrib")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "md") {
                    files.push(path);
                }
            }
        }
        files.sort();
        files.iter().map(|file| Self::of(&file.strip_prefix(&root)?.to_string_lossy())).collect()
    }

    /// The page of this path in the repository.
    pub fn of(name: &str) -> Result<Self> {
        let text = std::fs::read_to_string(root().join(name)).with_context(|| name.to_owned())?;
        Ok(Self { name: name.to_owned(), text })
    }

    /// All of it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its commands in their order, each with its comment; one that goes on behind `\` is one.
    pub fn commands(&self) -> Vec<String> {
        let blocks = self.text.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
        blocks.flat_map(|(language, block)| commands(language, block)).collect()
    }

    /// Its first block in this language that has a text in it.
    pub fn block(&self, language: &str, holds: &str) -> Result<&str> {
        let blocks = self.text.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
        let mut found = blocks.filter(|(own, block)| *own == language && block.contains(holds));
        Ok(found.next().with_context(|| format!("{}: no block of {language}", self.name))?.1)
    }
}

fn commands(language: &str, block: &str) -> Vec<String> {
    let whole = block.split("\\\n").map(str::trim).collect::<Vec<_>>().join(" ");
    let lines = whole.lines().map(str::trim_end).filter(|line| !line.is_empty());
    match language {
        "sh" | "bash" | "shell" | "console" if block.starts_with("#!") => Vec::new(),
        "sh" | "bash" | "shell" | "console" => {
            lines.map(|line| prompted(line).unwrap_or(line).to_owned()).collect()
        }
        _ => lines.filter_map(prompted).map(str::to_owned).collect(),
    }
}

/// What stands behind a prompt. `# ` is one before our own command alone: before anything else it begins a comment.
fn prompted(line: &str) -> Option<&str> {
    let of_root = || line.strip_prefix("# ").filter(|command| command.starts_with("gotthard "));
    line.strip_prefix("$ ").or_else(of_root)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
