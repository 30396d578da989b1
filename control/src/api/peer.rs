//! Who is at the other end of the control socket: the kernel's word, not the client's.

use std::io;
use std::os::unix::fs::MetadataExt;

use tokio::net::{UnixListener, UnixStream};

/// Credentials of the process that connected, as they were when it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pid: Option<i32>,
}

impl Peer {
    pub(super) fn of(stream: &UnixStream) -> io::Result<Self> {
        let credentials = stream.peer_cred()?;
        Ok(Self { uid: credentials.uid(), gid: credentials.gid(), pid: credentials.pid() })
    }

    /// Whether the group is the process's own or among its further ones.
    fn is_in(self, group: u32) -> bool {
        self.gid == group || self.pid.is_some_and(|pid| further_groups(pid).contains(&group))
    }
}

/// Who is let in: root, our own user, and the socket's group.
///
/// The file's mode says the same; this holds also where somebody widened it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Door {
    us: u32,
    group: Option<u32>,
}

impl Door {
    pub(super) fn of(listener: &UnixListener) -> Self {
        let address = listener.local_addr().ok();
        let file = address.as_ref().and_then(|address| std::fs::metadata(address.as_pathname()?).ok());
        Self { us: rustix::process::geteuid().as_raw(), group: file.map(|file| file.gid()) }
    }

    pub(super) fn admits(self, peer: Peer) -> bool {
        peer.uid == 0 || peer.uid == self.us || self.group.is_some_and(|group| peer.is_in(group))
    }
}

/// Supplementary groups of a process; none where it cannot be asked.
fn further_groups(pid: i32) -> Vec<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let groups = status.lines().find_map(|line| line.strip_prefix("Groups:")).unwrap_or_default();
    groups.split_whitespace().filter_map(|group| group.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_our_user_and_the_sockets_group_are_let_in() {
        let door = Door { us: 1000, group: Some(27) };
        let peer = |uid, gid| Peer { uid, gid, pid: None };
        assert!(door.admits(peer(0, 0)) && door.admits(peer(1000, 1000)) && door.admits(peer(1001, 27)));
        assert!(!door.admits(peer(1001, 1001)));
        assert!(!Door { group: None, ..door }.admits(peer(1001, 27)));
    }
}
