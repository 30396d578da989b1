//! `gotthard doctor`: why it does not work on this host.
//!
//! [`collect`] looks at the host and changes nothing, [`facts`] is what it found, [`judge`] says what is wrong with that and
//! how to mend it, and [`drop_in`] is the one file that may be written.

pub mod collect;
pub mod drop_in;
pub mod facts;
pub mod judge;

use serde::Serialize;

/// Version of the object's meaning, as of the status.
const SCHEMA_VERSION: u32 = 1;

/// What all checks say: the object behind `gotthard doctor --output json`. Keys are never renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Always 1.
    pub schema_version: u32,
    /// No check has found a problem.
    pub healthy: bool,
    /// What each says, in the order in which a person would look.
    pub checks: Vec<Finding>,
}

/// What one check says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its stable name.
    pub check: &'static str,
    /// How it stands.
    pub verdict: Verdict,
    /// What was found.
    pub message: String,
    /// What to do about it, in one line.
    pub fix: Option<String>,
    /// The kernel setting that mends it, where one does.
    pub sysctl: Option<Setting>,
}

/// How a check stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Nothing is wrong.
    Ok,
    /// It works, and would work better otherwise; or a hint that a person should look at.
    Warning,
    /// It does not work, or not for long.
    Problem,
    /// It could not be found out here; the message says why.
    Unknown,
}

/// A kernel setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// As `sysctl` names it.
    pub name: String,
    /// What it should be.
    pub value: u32,
}

impl Report {
    /// A report of these findings.
    pub fn new(checks: Vec<Finding>) -> Self {
        let healthy = checks.iter().all(|finding| finding.verdict != Verdict::Problem);
        Self { schema_version: SCHEMA_VERSION, healthy, checks }
    }

    /// The kernel settings that mend what is wrong.
    pub fn settings(&self) -> impl Iterator<Item = &Setting> {
        self.checks.iter().filter_map(|finding| finding.sysctl.as_ref())
    }
}

impl Finding {
    fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, message: message.into(), fix: None, sysctl: None }
    }

    fn unknown(check: &'static str, message: impl Into<String>) -> Self {
        Self { verdict: Verdict::Unknown, ..Self::ok(check, message) }
    }

    fn warning(check: &'static str, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warning, fix: Some(fix.into()), ..Self::ok(check, message) }
    }

    fn problem(check: &'static str, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { verdict: Verdict::Problem, ..Self::warning(check, message, fix) }
    }

    /// The same, mended by a kernel setting; the fix names it.
    fn set(self, name: &str, value: u32) -> Self {
        let fix =
            Some(format!("sysctl -w {name}={value}; `gotthard doctor --fix` keeps it for the next boot"));
        Self { fix, sysctl: Some(Setting { name: name.to_owned(), value }), ..self }
    }
}
