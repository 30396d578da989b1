//! How the kernel spreads packets over the paths of one route: by flow, so that none is put out of order.
//!
//! `net.ipv4.fib_multipath_hash_policy` and its like of IPv6 are 0 on a fresh host: the two addresses alone say the way, and
//! all that two hosts say to each other shares one tunnel. With 1 ports count too (ip-sysctl of the kernel's documentation).
//! They are the whole network namespace's; so they are changed only where several tunnels carry at once, only where nobody
//! else has chosen, and they are put back in the end. What is to be changed is noted in the state folder first: a daemon that
//! is killed leaves it to the next one to put back. What cannot be noted is not changed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tracing::{info, warn};

use crate::{state_file, whole_file};

/// What was changed, by us or by a daemon before us.
#[derive(Debug)]
pub struct FlowHash {
    sysctls: PathBuf,
    note: PathBuf,
    /// The network namespace of the note: in another one, or after another boot, it says nothing.
    place: String,
    changed: Vec<Family>,
    taken: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Ipv4,
    Ipv6,
}

impl FlowHash {
    /// Takes over what a daemon before us has noted in the state folder.
    pub fn resume(state: &Path) -> Self {
        Self::resume_in(PathBuf::from(SYSCTLS), state.join(NOTE), place())
    }

    /// Has ports count, where nobody has chosen. Looked at once: who chooses later is not overruled.
    pub fn take(&mut self) {
        if core::mem::replace(&mut self.taken, true) {
            return;
        }
        let untouched = |family: &Family| self.policy(*family).is_some_and(|value| value == ADDRESSES);
        let fresh: Vec<Family> = Family::ALL.into_iter().filter(untouched).collect();
        let kept = self.changed.iter().copied().filter(|family| !fresh.contains(family));
        let changed: Vec<Family> = kept.chain(fresh.iter().copied()).collect();
        if let Err(error) = self.write_note(&changed) {
            let note = self.note.display();
            warn!(
                %note,
                %error,
                "it cannot be noted that the kernel is to spread packets as before when we are gone: all packets between two \
                 hosts share one tunnel"
            );
            return;
        }
        self.changed = changed;
        for family in fresh {
            let file = self.file(family);
            match fs::write(&file, PORTS) {
                Ok(()) => {
                    info!(file = %file.display(), "several tunnels carry: flows are told apart by their ports too");
                }
                Err(error) => warn!(
                    file = %file.display(),
                    %error,
                    "all packets between two hosts share one tunnel: set it to {PORTS}"
                ),
            }
        }
    }

    /// Has the addresses alone count again, where that was changed and nobody has chosen since.
    pub fn give_back(&mut self) {
        for family in core::mem::take(&mut self.changed) {
            let file = self.file(family);
            if self.policy(family).is_some_and(|value| value == PORTS)
                && let Err(error) = fs::write(&file, ADDRESSES)
            {
                warn!(file = %file.display(), %error, "the kernel goes on spreading packets by ports");
            }
        }
        // It is gone already where nothing was changed.
        let _ = fs::remove_file(&self.note);
    }

    fn resume_in(sysctls: PathBuf, note: PathBuf, place: String) -> Self {
        let noted = state_file::read(&note, parse);
        let changed = noted.filter(|(there, _)| *there == place).map(|(_, changed)| changed);
        Self { sysctls, note, place, changed: changed.unwrap_or_default(), taken: false }
    }

    fn write_note(&self, changed: &[Family]) -> io::Result<()> {
        if changed.is_empty() {
            return Ok(());
        }
        let families = changed.iter().map(|family| family.folder());
        let lines = core::iter::once(self.place.as_str()).chain(families).chain([END]);
        let text: String = lines.flat_map(|line| [line, "\n"]).collect();
        whole_file::write(&self.note, text.as_bytes(), NOTE_MODE)
    }

    /// `None`: there is no such family.
    fn policy(&self, family: Family) -> Option<String> {
        let value = fs::read_to_string(self.file(family)).ok()?;
        Some(value.trim().to_owned())
    }

    fn file(&self, family: Family) -> PathBuf {
        self.sysctls.join(family.folder()).join(SYSCTL)
    }
}

impl Family {
    const ALL: [Self; 2] = [Self::Ipv4, Self::Ipv6];

    const fn folder(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        }
    }
}

/// The place and the families of a note; `None`: it is not whole.
fn parse(note: &str) -> Option<(String, Vec<Family>)> {
    let lines: Vec<&str> = note.strip_suffix('\n')?.split('\n').collect();
    let [place, families @ .., END] = lines.as_slice() else { return None };
    let of = |line: &&str| Family::ALL.into_iter().find(|family| family.folder() == *line);
    Some(((*place).to_owned(), families.iter().map(of).collect::<Option<_>>()?))
}

/// This boot of the host, and our network namespace in it.
fn place() -> String {
    let boot = fs::read_to_string(BOOT).unwrap_or_default();
    let namespace = fs::read_link(NAMESPACE).unwrap_or_default();
    format!("{} {}", boot.trim(), namespace.display())
}

const SYSCTLS: &str = "/proc/sys/net";
const SYSCTL: &str = "fib_multipath_hash_policy";
const BOOT: &str = "/proc/sys/kernel/random/boot_id";
const NAMESPACE: &str = "/proc/self/ns/net";
/// In the state folder: the place, the families whose policy was changed, one a line, and [`END`].
const NOTE: &str = "flow-hash";
/// A note without it was torn.
const END: &str = "end";
/// The daemon's user alone.
const NOTE_MODE: u32 = 0o600;
/// Layer 3.
const ADDRESSES: &str = "0";
/// Layer 4.
const PORTS: &str = "1";

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// The files with these values; IPv6 may have none.
    fn host(v4: &str, v6: Option<&str>) -> TempDir {
        let host = TempDir::new().expect("a folder");
        for (family, value) in [("ipv4", Some(v4)), ("ipv6", v6)] {
            fs::create_dir(host.path().join(family)).expect("a folder");
            if let Some(value) = value {
                fs::write(host.path().join(family).join(SYSCTL), value).expect("a file");
            }
        }
        host
    }

    fn daemon(host: &TempDir, place: &str) -> FlowHash {
        FlowHash::resume_in(host.path().to_owned(), host.path().join("state").join(NOTE), place.to_owned())
    }

    fn value(host: &TempDir, family: &str) -> String {
        fs::read_to_string(host.path().join(family).join(SYSCTL)).expect("a file").trim().to_owned()
    }

    #[test]
    fn what_was_changed_is_put_back_and_nothing_else() {
        let host = host("0\n", Some("2\n"));
        let mut hash = daemon(&host, "here");
        hash.take();
        assert_eq!((value(&host, "ipv4").as_str(), value(&host, "ipv6").as_str()), ("1", "2"));
        hash.give_back();
        assert_eq!((value(&host, "ipv4").as_str(), value(&host, "ipv6").as_str()), ("0", "2"));
        assert!(!hash.note.exists());
    }

    #[test]
    fn what_cannot_be_noted_is_not_changed() {
        let host = host("0\n", Some("0\n"));
        // A state folder that no file can be written to: it is a file itself.
        fs::write(host.path().join("state"), "").expect("a file");
        let mut hash = daemon(&host, "here");
        hash.take();
        assert_eq!((value(&host, "ipv4").as_str(), value(&host, "ipv6").as_str()), ("0", "0"));
        fs::write(host.path().join("ipv4").join(SYSCTL), "1").expect("a file");
        hash.give_back();
        assert_eq!(value(&host, "ipv4"), "1", "the operator has chosen it");
    }

    #[test]
    fn what_somebody_changed_meanwhile_stays() {
        let host = host("0\n", None);
        let mut hash = daemon(&host, "here");
        hash.take();
        fs::write(host.path().join("ipv4").join(SYSCTL), "3").expect("a file");
        hash.take();
        hash.give_back();
        assert_eq!(value(&host, "ipv4"), "3");
    }

    #[test]
    fn the_next_daemon_puts_back_what_a_killed_one_has_changed() {
        let host = host("0\n", Some("1\n"));
        daemon(&host, "here").take();
        let mut next = daemon(&host, "here");
        next.take();
        next.give_back();
        assert_eq!((value(&host, "ipv4").as_str(), value(&host, "ipv6").as_str()), ("0", "1"));
        daemon(&host, "here").give_back();
        assert_eq!(value(&host, "ipv6"), "1", "nobody but the operator has changed it");
    }

    #[test]
    fn the_note_is_the_owners_alone_and_a_torn_one_is_none() {
        use std::os::unix::fs::PermissionsExt as _;
        let host = host("0\n", Some("0\n"));
        daemon(&host, "here").take();
        let note = host.path().join("state").join(NOTE);
        let whole = fs::read_to_string(&note).expect("a note");
        assert_eq!(parse(&whole), Some(("here".to_owned(), Family::ALL.to_vec())));
        assert_eq!(fs::metadata(&note).expect("a note").permissions().mode() & 0o777, NOTE_MODE);
        for length in 0..whole.len() {
            assert_eq!(parse(&whole[..length]), None, "the first {length} octets");
        }
        fs::write(&note, &whole[..8]).expect("a torn note");
        assert!(daemon(&host, "here").changed.is_empty() && !note.exists());
    }

    #[test]
    fn what_was_noted_before_a_reboot_or_in_another_namespace_says_nothing() {
        let host = host("0\n", None);
        daemon(&host, "there").take();
        let mut hash = daemon(&host, "here");
        hash.take();
        hash.give_back();
        assert_eq!(value(&host, "ipv4"), "1", "somebody has chosen it here");
    }
}
