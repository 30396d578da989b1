//! Whether tests that need root can run here.

#[path = "../skipped/mod.rs"]
mod skipped;

use std::path::Path;

/// Whether these tests can run; says plainly why not.
pub(crate) fn permitted(test: &str) -> bool {
    let why = if !rustix::process::geteuid().is_root() {
        "needs root, for network namespaces"
    } else if !Path::new("/dev/net/tun").exists() {
        "needs /dev/net/tun"
    } else if !["ip", "ping"].iter().all(|program| installed(program)) {
        "needs ip and ping (Debian: iproute2, iputils-ping)"
    } else {
        return true;
    };
    skipped::skip(test, why);
    false
}

fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).exists())
}
