//! How the kernel spreads packets over the paths of one route: by flow, so that none is put out of order.
//!
//! `net.ipv4.fib_multipath_hash_policy` and its like of IPv6 are 0 on a fresh host: the two addresses alone say the way, and
//! all that two hosts say to each other shares one tunnel. With 1 ports count too (ip-sysctl of the kernel's documentation).
//! They are the whole network namespace's; so they are changed only where several tunnels carry at once, only where nobody
//! else has chosen, and they are put back in the end. What was changed is noted in the state folder: a daemon that is killed
//! leaves it to the next one to put back.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tracing::{info, warn};

use crate::whole_file;

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
        self.changed.retain(|family| !fresh.contains(family));
        self.changed.extend_from_slice(&fresh);
        if let Err(error) = self.write_note() {
            let note = self.note.display();
            warn!(%note, %error, "were we killed, nobody would know that the kernel is to spread packets as before");
        }
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
        let written = fs::read_to_string(&note).unwrap_or_default();
        let mut lines = written.lines();
        let ours = lines.next().is_some_and(|line| line == place);
        let named = |family: &Family| ours && lines.clone().any(|line| line == family.folder());
        let changed = Family::ALL.into_iter().filter(named).collect();
        Self { sysctls, note, place, changed, taken: false }
    }

    fn write_note(&self) -> io::Result<()> {
        if self.changed.is_empty() {
            return Ok(());
        }
        let families = self.changed.iter().map(|family| family.folder());
        let lines: Vec<&str> = core::iter::once(self.place.as_str()).chain(families).collect();
        whole_file::write(&self.note, lines.join("\n").as_bytes(), NOTE_MODE)
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
/// In the state folder: the place, and the families whose policy was changed, one a line.
const NOTE: &str = "flow-hash";
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
    fn the_note_is_the_owners_alone_and_takes_the_place_of_a_torn_one() {
        use std::os::unix::fs::PermissionsExt as _;
        let host = host("0\n", None);
        let note = host.path().join("state").join(NOTE);
        fs::create_dir(host.path().join("state")).expect("a folder");
        fs::write(&note, b"her\xff").expect("a file");
        daemon(&host, "here").take();
        assert_eq!(fs::read_to_string(&note).expect("a note"), "here\nipv4");
        assert_eq!(fs::metadata(&note).expect("a note").permissions().mode() & 0o777, NOTE_MODE);
        assert_eq!(
            fs::read_dir(host.path().join("state")).expect("a folder").count(),
            1,
            "nothing beside it"
        );
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
