//! Files into one [`Config`]: the configuration file, and `conf.d/*.toml` beside it in the order of their names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use toml::de::DeTable;
use zeroize::Zeroizing;

use super::connection::{self, Surroundings};
use super::document::{Page, Record, Table};
use super::error::{ConfigError, ConfigErrors};
use super::gateway;
use super::locate::{self, Lines};
use super::model::{Config, Connection, Gateway};
use super::secret::{NotedSecrets, SecretSource};
use super::unique::Taken;

/// A configuration file that was read. The text may hold keys, so that it is wiped when dropped.
pub struct Source {
    /// Its name, as errors show it; relative secret files are looked up beside it.
    pub name: String,
    /// Its text.
    pub text: Zeroizing<String>,
}

/// A checked configuration, and where its keys stand.
#[derive(Debug)]
pub struct Loaded {
    /// What it says.
    pub config: Config,
    /// The folders of the files that it names and that were read.
    pub folders: BTreeSet<PathBuf>,
    /// File and line of each key.
    pub(super) places: BTreeMap<String, (String, usize)>,
}

impl Source {
    /// It has this table at its top, as far as it can be read.
    pub fn has_table(&self, name: &str) -> bool {
        DeTable::parse_recoverable(&self.text).0.into_inner().contains_key(name)
    }
}

/// Reads and checks the file and `conf.d/*.toml` beside it.
pub fn load(path: &Path) -> Result<Loaded, ConfigErrors> {
    let secrets = NotedSecrets::default();
    let mut loaded = parse_sources(&sources(path)?, &secrets)?;
    loaded.folders = secrets.folders.into_inner();
    Ok(loaded)
}

/// Reads the file and `conf.d/*.toml` beside it.
pub fn sources(path: &Path) -> Result<Vec<Source>, ConfigErrors> {
    let mut sources = vec![read_file(path)?];
    sources.extend(sources_beside(path)?);
    Ok(sources)
}

/// Reads `conf.d/*.toml` beside the file, which need not be there.
pub fn sources_beside(path: &Path) -> Result<Vec<Source>, ConfigErrors> {
    extra_files(path)?.iter().map(|path| read_file(path)).collect()
}

/// Checks one text, without a file system but for what `secrets` reads.
pub fn parse_str(text: &str, name: &str, secrets: &dyn SecretSource) -> Result<Loaded, ConfigErrors> {
    parse_sources(&[Source { name: name.to_owned(), text: Zeroizing::new(text.to_owned()) }], secrets)
}

/// Checks several texts as one configuration. Reports all mistakes that it finds, not the first alone.
pub fn parse_sources(sources: &[Source], secrets: &dyn SecretSource) -> Result<Loaded, ConfigErrors> {
    let record = Record::default();
    let lines: Vec<Lines<'_>> = sources.iter().map(|source| Lines::new(&source.text)).collect();
    let trees: Vec<DeTable<'_>> =
        sources.iter().zip(&lines).map(|(source, lines)| tree(source, lines, &record)).collect();
    let tables: Vec<Table<'_>> = sources
        .iter()
        .zip(&lines)
        .zip(&trees)
        .map(|((source, lines), tree)| Table::root(Page { name: &source.name, lines, record: &record }, tree))
        .collect();
    // With the syntax broken, what is missing or unknown may be a consequence.
    let config = record.is_clean().then(|| read(tables, secrets));
    let (mut errors, places) = record.into_parts();
    // A table's missing keys are found after its wrong ones; an operator reads from the top.
    let number = |file: &str| sources.iter().position(|source| source.name == file);
    errors.sort_by_key(|error| (number(&error.file), error.line, error.column));
    match config {
        Some(config) if errors.is_empty() => Ok(Loaded { config, folders: BTreeSet::new(), places }),
        _ => Err(ConfigErrors(errors)),
    }
}

impl Loaded {
    /// The place of a key, or of the nearest table around it.
    pub(super) fn place(&self, key: &str) -> (String, usize) {
        let mut key = key;
        loop {
            if let Some(place) = self.places.get(key) {
                return place.clone();
            }
            match key.rsplit_once('.') {
                Some((outer, _)) => key = outer,
                None => return self.places.values().next().cloned().unwrap_or_default(),
            }
        }
    }
}

/// The TOML tree of one file; its mistakes of syntax are recorded.
fn tree<'a>(source: &'a Source, lines: &Lines<'_>, record: &Record) -> DeTable<'a> {
    if source.text.len() > MAX_FILE {
        record.push(too_large(&source.name));
        return DeTable::new();
    }
    let (tree, errors) = DeTable::parse_recoverable(&source.text);
    for error in errors {
        let offset = error.span().map_or(source.text.len(), |span| span.start);
        let (line, column) = lines.position(offset);
        record.push(ConfigError {
            file: source.name.clone(),
            line,
            column,
            key: locate::key_at(&source.text, offset),
            problem: format!("is no TOML: {}", error.message()),
            remedy: "write KEY = VALUE, with strings in quotes; tables start with [NAME]".to_owned(),
        });
    }
    tree.into_inner()
}

fn read(tables: Vec<Table<'_>>, secrets: &dyn SecretSource) -> Config {
    let gateway = read_gateway(&tables);
    let mut taken = Taken::default();
    let mut connections: Vec<Connection> = Vec::new();
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut tunnels_before = 0;
    for table in tables {
        if let Some(all) = table.read("connection", |value| value.table(CONNECTION_REMEDY)) {
            for (name, value) in all.entries() {
                if let Some(first) = names.insert(name.to_owned(), value.place().line()) {
                    value.place().refuse(format!("is there already ({first})"), "write a name of its own");
                }
                let Some(table) = value.table(CONNECTION_REMEDY) else { continue };
                let tunnels = table.value("tunnel").map_or(0, |tunnels| tunnels.len());
                let mut around =
                    Surroundings { gateway: &gateway, secrets, taken: &mut taken, tunnels_before };
                connections.extend(connection::read(name, table, &mut around));
                tunnels_before += tunnels;
            }
        }
        table.finish();
    }
    Config { gateway, connections }
}

/// `[gateway]` is in one of the files, or in none.
fn read_gateway(tables: &[Table<'_>]) -> Gateway {
    let mut found: Option<(Gateway, String)> = None;
    for table in tables {
        let Some(value) = table.value("gateway") else { continue };
        if let Some((_, first)) = &found {
            value.place().refuse(format!("is there already ({first})"), "keep it in one file");
            continue;
        }
        let read = value.table("write [gateway]").map(gateway::read);
        found = Some((read.unwrap_or_default(), value.place().line()));
    }
    found.map(|(gateway, _)| gateway).unwrap_or_default()
}

/// The files of `conf.d`, in the order of their names.
fn extra_files(path: &Path) -> Result<Vec<PathBuf>, ConfigErrors> {
    let folder = path.parent().unwrap_or(Path::new("")).join("conf.d");
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(cannot_read(&folder, &error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| cannot_read(&folder, &error))?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.extension().is_some_and(|extension| extension == "toml") && !hidden {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read_file(path: &Path) -> Result<Source, ConfigErrors> {
    let name = path.display().to_string();
    let mut bytes = Zeroizing::new(Vec::new());
    let file = File::open(path).map_err(|error| cannot_read(path, &error))?;
    file.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes).map_err(|error| cannot_read(path, &error))?;
    if bytes.len() > MAX_FILE {
        return Err(too_large(&name).into());
    }
    match core::str::from_utf8(&bytes) {
        Ok(text) => Ok(Source { name, text: Zeroizing::new(text.to_owned()) }),
        Err(error) => {
            let start = String::from_utf8_lossy(bytes.get(..error.valid_up_to()).unwrap_or_default());
            let (line, column) = Lines::new(&start).position(start.len());
            Err(ConfigError {
                file: name,
                line,
                column,
                key: locate::key_at(&start, start.len()),
                problem: "is not UTF-8 text".to_owned(),
                remedy: "save the file as UTF-8".to_owned(),
            }
            .into())
        }
    }
}

fn cannot_read(path: &Path, error: &std::io::Error) -> ConfigErrors {
    let remedy = "name a readable file: --config FILE (default /etc/gotthard/gotthard.toml)";
    whole_file(&path.display().to_string(), format!("cannot be read: {error}"), remedy.to_owned()).into()
}

fn too_large(name: &str) -> ConfigError {
    let remedy = "split it into files in conf.d/".to_owned();
    whole_file(name, format!("is larger than {} KiB", MAX_FILE / 1024), remedy)
}

fn whole_file(name: &str, problem: String, remedy: String) -> ConfigError {
    ConfigError {
        file: name.to_owned(),
        line: 0,
        column: 0,
        key: locate::WHOLE_FILE.to_owned(),
        problem,
        remedy,
    }
}

const CONNECTION_REMEDY: &str = "write [connection.NAME]";
/// Largest configuration file: thousands of tunnels, and no device file without an end.
const MAX_FILE: usize = 1 << 20;
