//! `cargo xtask guard`: the instructions that each kernel of `benches/` takes, against a committed baseline.
//!
//! A count, not a time: the same on a busy machine and on an idle one. valgrind counts inside one function of the kernels'
//! program, so that inputs and start-up are left out. Its CPU has AES-NI and AVX2 and neither AVX-512, VAES nor SHA-NI,
//! whatever the machine has: code that chooses at run time is counted on the way that it takes there.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, anyhow, bail};

/// How far a count may be from its baseline, either way: what a gain leaves room for, a loss would hide in.
const BAND: f64 = 0.05;

/// Passes that are counted: they differ by what the allocator does, if at all.
const PASSES: u64 = 4;

/// What became of a comparison.
pub(crate) enum Verdict {
    /// Every count is within the band.
    Kept,
    /// Nothing could be compared, and why.
    Skipped(String),
}

/// A kernel, as its program lists it.
struct Kernel {
    name: String,
    /// What one pass handles: packets, lookups, messages.
    units: u64,
}

/// Instructions a unit, by kernel.
type Counts = BTreeMap<String, f64>;

/// Counts, and the CPU that valgrind showed when they were made.
#[derive(Debug, PartialEq)]
struct Baseline {
    cpu: String,
    counts: Counts,
}

/// Counts every kernel and compares; an error, with a table, where one left the band.
pub(crate) fn check() -> Result<Verdict> {
    let path = baseline_path();
    let Ok(text) = std::fs::read_to_string(&path) else {
        return Ok(Verdict::Skipped(format!("no baseline for {}", std::env::consts::ARCH)));
    };
    if !has_valgrind() {
        return Ok(Verdict::Skipped("valgrind is not installed".to_owned()));
    }
    let baseline = Baseline::parse(&text).with_context(|| path.display().to_string())?;
    let program = build()?;
    let cpu = cpu(&program)?;
    if cpu != baseline.cpu {
        return Ok(Verdict::Skipped(format!(
            "the baseline is of a CPU with {:?}, not {cpu:?}",
            baseline.cpu
        )));
    }
    let counts = count_all(&program)?;
    let outside = compare(&baseline.counts, &counts);
    if outside.is_empty() {
        println!("{} kernels within {:.0} % of {}", counts.len(), BAND * 100.0, path.display());
        return Ok(Verdict::Kept);
    }
    println!("{}", table(&outside));
    bail!(
        "{} of {} kernels left the band of {:.0} % round {}; `cargo xtask guard --bless` accepts the new counts",
        outside.len(),
        counts.len(),
        BAND * 100.0,
        path.display(),
    );
}

/// Counts every kernel and makes that the baseline.
pub(crate) fn bless() -> Result<()> {
    let program = build()?;
    let baseline = Baseline { cpu: cpu(&program)?, counts: count_all(&program)? };
    let path = baseline_path();
    std::fs::write(&path, baseline.to_text()).with_context(|| path.display().to_string())?;
    println!("{} kernels written to {}", baseline.counts.len(), path.display());
    Ok(())
}

impl Baseline {
    fn parse(text: &str) -> Result<Self> {
        let mut lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let cpu = lines.next().and_then(|line| line.strip_prefix("cpu ")).context("no line \"cpu …\"")?;
        let counts = lines.map(|line| {
            let (name, count) = line.split_once(' ').with_context(|| format!("no count in {line:?}"))?;
            Ok((name.to_owned(), count.trim().parse().with_context(|| format!("no number in {line:?}"))?))
        });
        Ok(Self { cpu: cpu.to_owned(), counts: counts.collect::<Result<_>>()? })
    }

    fn to_text(&self) -> String {
        let mut text = format!("{HEADING}cpu {}\n", self.cpu);
        let width = self.counts.keys().map(String::len).max().unwrap_or_default();
        for (name, count) in &self.counts {
            let _ = writeln!(text, "{name:width$} {count:12.1}");
        }
        text
    }
}

/// A kernel that is not what its baseline says.
#[derive(Debug, PartialEq)]
struct Outside {
    name: String,
    before: Option<f64>,
    now: Option<f64>,
}

/// What left the band, came, or went.
fn compare(baseline: &Counts, counts: &Counts) -> Vec<Outside> {
    let mut names: Vec<_> = baseline.keys().chain(counts.keys()).collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .map(|name| Outside {
            name: name.clone(),
            before: baseline.get(name).copied(),
            now: counts.get(name).copied(),
        })
        .filter(|row| !row.ratio().is_some_and(|ratio| (1.0 - BAND..=1.0 + BAND).contains(&ratio)))
        .collect()
}

impl Outside {
    fn ratio(&self) -> Option<f64> {
        Some(self.now? / self.before?)
    }
}

fn table(rows: &[Outside]) -> String {
    let show = |count: Option<f64>| count.map_or("-".to_owned(), |count| format!("{count:.1}"));
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or_default();
    let mut text = format!("{:width$} {:>12} {:>12}\n", "instructions", "baseline", "here");
    for row in rows {
        let change = match row.ratio() {
            Some(ratio) => format!("{:+.1} %", (ratio - 1.0) * 100.0),
            None if row.now.is_some() => "has no baseline".to_owned(),
            None => "is gone".to_owned(),
        };
        let (before, now) = (show(row.before), show(row.now));
        let _ = writeln!(text, "{:width$} {before:>12} {now:>12}  {change}", row.name);
    }
    text
}

fn baseline_path() -> PathBuf {
    Path::new("benches/baselines").join(std::env::consts::ARCH).with_extension("txt")
}

fn has_valgrind() -> bool {
    Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Builds the kernels' program.
fn build() -> Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    // Without what the side-by-side bench needs: most of the build.
    cargo.args(["build", "--release", "--package", "gotthard-benches", "--no-default-features"]);
    cargo.args(["--bin", PROGRAM]);
    let status = cargo.status().with_context(|| format!("{cargo:?}"))?;
    if !status.success() {
        bail!("{cargo:?}: {status}");
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    Ok(target.join("release").join(PROGRAM))
}

/// The features that run-time detection finds under valgrind.
fn cpu(program: &Path) -> Result<String> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--tool=none"]).arg(program).arg("cpu");
    Ok(output(valgrind)?.0.trim().to_owned())
}

fn list(program: &Path) -> Result<Vec<Kernel>> {
    let mut command = Command::new(program);
    command.arg("list");
    let (names, _) = output(command)?;
    let parse = |line: &str| {
        let (name, units) = line.split_once(' ')?;
        Some(Kernel { name: name.to_owned(), units: units.parse().ok().filter(|units| *units > 0)? })
    };
    names.lines().map(|line| parse(line).with_context(|| format!("no kernel in {line:?}"))).collect()
}

/// Counts all kernels, as many at a time as there are cores: how busy they are changes nothing.
fn count_all(program: &Path) -> Result<Counts> {
    let kernels = list(program)?;
    let next = AtomicUsize::new(0);
    let work = || -> Result<Counts> {
        let take = || kernels.get(next.fetch_add(1, Ordering::Relaxed));
        let counts =
            std::iter::from_fn(take).map(|kernel| Ok((kernel.name.clone(), count(program, kernel)?)));
        counts.collect()
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let parts = workers.into_iter().map(|worker| worker.join().map_err(|_| anyhow!("a panic"))?);
        parts.collect::<Result<Vec<_>>>().map(|parts| parts.into_iter().flatten().collect())
    })
}

/// Instructions a unit.
fn count(program: &Path, kernel: &Kernel) -> Result<f64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", COUNTED]);
    valgrind.arg(program).arg(&kernel.name).arg(PASSES.to_string());
    let (_, report) = output(valgrind)?;
    let instructions = instructions(&report)
        .filter(|instructions| *instructions > 0)
        .with_context(|| format!("nothing counted in valgrind's report:\n{report}"))?;
    #[expect(clippy::cast_precision_loss, reason = "instructions of a moment have far less than 52 bits")]
    Ok(instructions as f64 / (PASSES * kernel.units) as f64)
}

/// Reads the line `==PID== Collected : 1234567`.
fn instructions(report: &str) -> Option<u64> {
    let (_, count) = report.lines().find_map(|line| line.split_once("Collected :"))?;
    count.trim().parse().ok()
}

/// Standard output and standard error of a command that succeeds.
fn output(mut command: Command) -> Result<(String, String)> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let [out, err] =
        [output.stdout, output.stderr].map(|octets| String::from_utf8_lossy(&octets).into_owned());
    if !output.status.success() {
        bail!("{command:?}: {}\n{err}", output.status);
    }
    Ok((out, err))
}

const PROGRAM: &str = "gotthard-benches-kernels";

/// The function of [`PROGRAM`] whose instructions are counted, its callees' included.
const COUNTED: &str = "--toggle-collect=*counted_passes*";

const HEADING: &str = "\
# Instructions under valgrind of a packet, a lookup, a message or a handshake: `cargo xtask guard --bless`.
";

#[cfg(test)]
mod tests {
    use super::*;

    fn counts<const N: usize>(counts: [(&str, f64); N]) -> Counts {
        counts.map(|(name, count)| (name.to_owned(), count)).into()
    }

    #[test]
    fn a_count_within_the_band_passes_and_one_outside_does_not_either_way() {
        let baseline = counts([("a", 100.0), ("b", 100.0), ("c", 100.0), ("d", 100.0)]);
        let here = counts([("a", 104.9), ("b", 95.1), ("c", 105.1), ("d", 94.9)]);
        let outside: Vec<_> = compare(&baseline, &here).into_iter().map(|row| row.name).collect();
        assert_eq!(outside, ["c", "d"]);
    }

    #[test]
    fn a_kernel_without_a_baseline_and_a_baseline_without_a_kernel_are_outside() {
        let (baseline, here) =
            (counts([("gone", 1.0), ("kept", 1.0)]), counts([("kept", 1.0), ("new", 1.0)]));
        let outside = compare(&baseline, &here);
        let text = table(&outside);
        assert_eq!(outside.len(), 2, "{text}");
        assert!(text.contains("has no baseline") && text.contains("is gone"), "{text}");
    }

    #[test]
    fn what_is_no_number_is_outside() {
        let baseline = counts([("a", 0.0)]);
        assert_eq!(compare(&baseline, &counts([("a", 1.0)])).len(), 1);
        assert_eq!(compare(&baseline, &counts([("a", f64::NAN)])).len(), 1);
    }

    #[test]
    fn the_table_names_the_change() {
        let text = table(&compare(&counts([("a", 200.0)]), &counts([("a", 230.0)])));
        assert!(text.contains("200.0") && text.contains("230.0") && text.contains("+15.0 %"), "{text}");
    }

    #[test]
    fn a_baseline_is_read_as_it_was_written() {
        let baseline =
            Baseline { cpu: "aes avx2".to_owned(), counts: counts([("esp/64", 12.5), ("b", 1e6)]) };
        assert_eq!(Baseline::parse(&baseline.to_text()).unwrap(), baseline);
        assert!(Baseline::parse("esp/64 12.5").is_err());
        assert!(Baseline::parse("cpu aes\nesp/64 many").is_err());
    }

    #[test]
    fn the_count_is_found_in_valgrinds_report() {
        let report =
            "==1== Events    : Ir\n==1== Collected : 1053107\n==1== \n==1== I   refs:      1,053,107\n";
        assert_eq!(instructions(report), Some(1_053_107));
        assert_eq!(instructions("==1== Events    : Ir\n"), None);
    }
}
