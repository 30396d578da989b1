//! What the process denies itself: core dumps, capabilities that it has no use for, programs that would give them back, and
//! every file but those that it needs (capabilities(7), landlock(7)).
//!
//! Each of these belongs to a thread and what that thread starts, so that they are taken while there is one thread only.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, BitFlags, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetCreated, RulesetCreatedAttr as _, RulesetError, RulesetStatus, path_beneath_rules,
};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};
use tracing::{info, warn};

/// The folders that one daemon uses, beside those that every program may read.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Read, and what is executable in them run: the configuration with its hooks, and the files that it names.
    pub read: Vec<PathBuf>,
    /// Read, written, emptied: the state.
    pub written: Vec<PathBuf>,
    /// Files are added to them and written: the debug keys.
    pub added_to: Vec<PathBuf>,
    /// Files are removed from them: the control socket.
    pub cleared: Vec<PathBuf>,
}

/// Keys stay out of core dumps, and no other process of the user may trace this one.
pub fn keep_memory_private() {
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        warn!(%error, "a core dump of this process would hold its keys");
    }
}

/// Gives up, for good, whatever a gateway that runs and is reloaded does not need. What the kernel does not know is left out:
/// it runs all the same, and says what it could not deny itself. Without `places`, as the process that runs hooks has it, files are
/// not confined.
pub fn give_up(places: Option<&Places>) {
    if let Err(error) = set_no_new_privs(true) {
        warn!(%error, "programs that this process starts could gain privileges");
    }
    match places.map(confine_files).transpose() {
        Ok(None | Some(RulesetStatus::FullyEnforced)) => {}
        Ok(Some(RulesetStatus::PartiallyEnforced)) => {
            info!("the kernel confines files in part (an older Landlock)");
        }
        Ok(Some(RulesetStatus::NotEnforced)) => {
            info!("files are not confined: the kernel has no Landlock");
        }
        Err(error) => warn!(%error, "files are not confined"),
    }
    if let Err(error) = keep_capabilities() {
        warn!(%error, "capabilities that are not needed stay");
    }
}

/// Keeps [`KEPT`] of the capabilities that there are, and lets no program that is started regain another.
fn keep_capabilities() -> rustix::io::Result<()> {
    let held = capabilities(None)?;
    if held.effective.contains(CapabilitySet::SETPCAP) {
        for number in 0..u64::BITS {
            let one = CapabilitySet::from_bits_retain(1 << number);
            // The kernel knows the numbers up to its last one.
            let Ok(bounded) = capability_is_in_bounding_set(one) else { break };
            if bounded && !KEPT.contains(one) {
                remove_capability_from_bounding_set(one)?;
            }
        }
    }
    // A service manager that gives no more may deny the call too.
    if kept(held) == held { Ok(()) } else { set_capabilities(None, kept(held)) }
}

/// What is left of the capabilities.
fn kept(held: CapabilitySets) -> CapabilitySets {
    let CapabilitySets { effective, permitted, inheritable } = held;
    CapabilitySets {
        effective: effective & KEPT,
        permitted: permitted & KEPT,
        inheritable: inheritable & KEPT,
    }
}

fn confine_files(places: &Places) -> Result<RulesetStatus, RulesetError> {
    let rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(LANDLOCK))?
        .create()?;
    let rules = allow(rules, PROGRAMS, AccessFs::from_read(LANDLOCK))?;
    let rules = allow(rules, READABLE, reading())?;
    let rules = allow(rules, SYSCTLS, reading() | AccessFs::WriteFile | AccessFs::Truncate)?;
    let rules = allow(rules, DEVICES, AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev)?;
    let rules = allow(rules, &places.read, AccessFs::from_read(LANDLOCK))?;
    let rules = allow(rules, &places.written, AccessFs::from_all(LANDLOCK) & !AccessFs::Execute)?;
    let rules = allow(rules, &places.added_to, adding())?;
    let rules = allow(rules, &places.cleared, AccessFs::RemoveFile)?;
    Ok(rules.restrict_self()?.ruleset)
}

/// What is not there is passed over.
fn allow(
    rules: RulesetCreated,
    paths: impl IntoIterator<Item = impl AsRef<Path>>,
    access: impl Into<BitFlags<AccessFs>>,
) -> Result<RulesetCreated, RulesetError> {
    rules.add_rules(path_beneath_rules(paths, access))
}

fn reading() -> BitFlags<AccessFs> {
    AccessFs::ReadFile | AccessFs::ReadDir
}

fn adding() -> BitFlags<AccessFs> {
    AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::MakeReg
}

/// Devices, routes and sysctls; raw sockets for ESP and echoes; ports 179, 500 and 4500.
const KEPT: CapabilitySet =
    CapabilitySet::NET_ADMIN.union(CapabilitySet::NET_RAW).union(CapabilitySet::NET_BIND_SERVICE);
/// The latest that knows files to restrict further (ioctls of devices); older kernels enforce what they know.
const LANDLOCK: ABI = ABI::V5;
/// What hooks run.
const PROGRAMS: &[&str] = &["/usr", "/bin", "/sbin", "/lib", "/lib64"];
/// What we and the programs of hooks read: no key, no password.
const READABLE: &[&str] = &[
    "/proc",
    "/sys",
    "/dev/urandom",
    "/run/systemd/resolve",
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/gai.conf",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/iproute2",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/pki",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl",
];
/// The hash of flows, and the reverse path filter of our devices.
const SYSCTLS: &[&str] = &["/proc/sys/net"];
const DEVICES: &[&str] = &["/dev/net/tun", "/dev/null"];

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::ErrorKind;
    use std::thread;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn of_all_capabilities_those_of_the_network_stay() {
        let all = CapabilitySet::from_bits_retain(u64::MAX);
        let left =
            kept(CapabilitySets { effective: all, permitted: all, inheritable: CapabilitySet::NET_RAW });
        assert_eq!((left.effective, left.permitted), (KEPT, KEPT));
        assert_eq!(left.inheritable, CapabilitySet::NET_RAW);
    }

    /// On a thread of its own: what it gives up, the other tests keep.
    #[test]
    fn files_that_are_not_named_cannot_be_reached_any_more() {
        let folder = TempDir::new().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for name in ["config", "state", "other"] {
            fs::create_dir(at(name)).expect("a folder");
            fs::write(at(name).join("file"), "text").expect("a file");
        }
        let places = Places { read: vec![at("config")], written: vec![at("state")], ..Places::default() };
        let confined = thread::spawn(move || {
            if confine_files(&places).expect("rules") == RulesetStatus::NotEnforced {
                return None;
            }
            let kind = |result: std::io::Result<()>| result.err().map(|error| error.kind());
            let read = |name: &str| kind(fs::read(places.read[0].parent().expect("it").join(name)).map(drop));
            let write = |folder: &Path| kind(fs::write(folder.join("new"), "text"));
            Some([
                read("config/file"),
                read("state/file"),
                read("other/file"),
                write(&places.written[0]),
                write(&places.read[0]),
            ])
        });
        let denied = Some(ErrorKind::PermissionDenied);
        if let Some(found) = confined.join().expect("the thread ends") {
            assert_eq!(found, [None, None, denied, None, denied]);
        }
    }
}
