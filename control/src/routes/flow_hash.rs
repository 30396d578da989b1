//! How the kernel spreads packets over the paths of one route: by flow, so that none is put out of order.
//!
//! `net.ipv4.fib_multipath_hash_policy` and its like of IPv6 are 0 on a fresh host: the two addresses alone say the way, and
//! all that two hosts say to each other shares one tunnel. With 1 ports count too (ip-sysctl of the kernel's documentation).
//! They are the whole network namespace's; so they are changed only where several tunnels carry at once, only where nobody
//! else has chosen, and they are put back in the end.

use std::fs;
use std::path::{Path, PathBuf};

use tracing::{info, warn};

/// What was changed.
#[derive(Debug, Default)]
pub struct FlowHash {
    changed: Vec<PathBuf>,
}

impl FlowHash {
    /// Has ports count, where nobody has chosen.
    pub fn take() -> Self {
        Self::take_in(Path::new(SYSCTLS))
    }

    /// Has the addresses alone count again, where we changed it and nobody has since.
    pub fn give_back(self) {
        for file in self.changed {
            if fs::read_to_string(&file).is_ok_and(|value| value.trim() == PORTS)
                && let Err(error) = fs::write(&file, ADDRESSES)
            {
                warn!(file = %file.display(), %error, "the kernel goes on spreading packets by ports");
            }
        }
    }

    fn take_in(sysctls: &Path) -> Self {
        let mut taken = Self::default();
        for family in ["ipv4", "ipv6"] {
            let file = sysctls.join(family).join(SYSCTL);
            match fs::read_to_string(&file) {
                Ok(value) if value.trim() == ADDRESSES => {}
                // Somebody has chosen, or there is no such family.
                Ok(_) | Err(_) => continue,
            }
            match fs::write(&file, PORTS) {
                Ok(()) => {
                    info!(file = %file.display(), "several tunnels carry: flows are told apart by their ports too");
                    taken.changed.push(file);
                }
                Err(error) => warn!(
                    file = %file.display(),
                    %error,
                    "all packets between two hosts share one tunnel: set it to {PORTS}"
                ),
            }
        }
        taken
    }
}

const SYSCTLS: &str = "/proc/sys/net";
const SYSCTL: &str = "fib_multipath_hash_policy";
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

    fn value(host: &TempDir, family: &str) -> String {
        fs::read_to_string(host.path().join(family).join(SYSCTL)).expect("a file").trim().to_owned()
    }

    #[test]
    fn what_was_changed_is_put_back_and_nothing_else() {
        let host = host("0\n", Some("2\n"));
        let taken = FlowHash::take_in(host.path());
        assert_eq!((value(&host, "ipv4").as_str(), value(&host, "ipv6").as_str()), ("1", "2"));
        taken.give_back();
        assert_eq!((value(&host, "ipv4").as_str(), value(&host, "ipv6").as_str()), ("0", "2"));
    }

    #[test]
    fn what_somebody_changed_meanwhile_stays() {
        let host = host("0\n", None);
        let taken = FlowHash::take_in(host.path());
        fs::write(host.path().join("ipv4").join(SYSCTL), "3").expect("a file");
        taken.give_back();
        assert_eq!(value(&host, "ipv4"), "3");
    }
}
