//! The processes that share our network namespace, as /proc shows them.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use crate::doctor::facts::Program;

/// All of them that we may look at.
pub(super) struct Processes(Vec<Program>);

impl Processes {
    /// Those of the network namespace that this process is in: the others' sockets and policies are not in ours.
    pub(super) fn of_this_namespace() -> Self {
        let namespace = |process: &str| fs::read_link(Path::new(ROOT).join(process).join("ns/net")).ok();
        let own = namespace("self");
        let Ok(entries) = fs::read_dir(ROOT) else { return Self(Vec::new()) };
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let here = pids.filter(|pid| namespace(&pid.to_string()) == own);
        Self(here.filter_map(|pid| Some(Program { pid, name: name(pid)? })).collect())
    }

    /// Those of these names.
    pub(super) fn named(&self, names: &[&str]) -> Vec<Program> {
        self.0.iter().filter(|program| names.contains(&program.name.as_str())).cloned().collect()
    }

    /// Who has each of these sockets open, by their inode numbers.
    pub(super) fn owners(&self, inodes: &[u64]) -> HashMap<u64, Program> {
        let mut owners = HashMap::new();
        for program in &self.0 {
            let Ok(files) = fs::read_dir(Path::new(ROOT).join(program.pid.to_string()).join("fd")) else {
                continue;
            };
            let links = files.flatten().filter_map(|file| fs::read_link(file.path()).ok());
            let sockets = links.filter_map(|link| socket_inode(link.to_str()?));
            for inode in sockets.filter(|inode| inodes.contains(inode)) {
                owners.entry(inode).or_insert_with(|| program.clone());
            }
        }
        owners
    }
}

/// How many files a process may have open: its soft limit.
pub(super) fn open_files(pid: u32) -> Option<u64> {
    limit(&fs::read_to_string(Path::new(ROOT).join(pid.to_string()).join("limits")).ok()?)
}

/// `Max open files            1024                 524288               files`
fn limit(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

fn name(pid: u32) -> Option<String> {
    let name = fs::read_to_string(Path::new(ROOT).join(pid.to_string()).join("comm")).ok()?;
    Some(name.trim_end().to_owned())
}

/// `socket:[12345]`
fn socket_inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

const ROOT: &str = "/proc";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_the_soft_one() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max open files            1024                 524288               files     \n";
        assert_eq!(limit(text), Some(1024));
        assert_eq!(
            limit("Max open files            unlimited            unlimited            files\n"),
            Some(u64::MAX)
        );
        assert_eq!(limit("Max processes 1 1 processes\n"), None);
    }

    #[test]
    fn a_link_to_a_socket_has_its_inode() {
        assert_eq!(socket_inode("socket:[48879]"), Some(48879));
        assert_eq!(socket_inode("pipe:[48879]"), None);
    }

    #[test]
    fn this_process_is_found_with_its_own_socket() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let link = fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&socket)));
        let inode = socket_inode(link.expect("a link").to_str().expect("its text")).expect("an inode");
        let owners = Processes::of_this_namespace().owners(&[inode]);
        assert_eq!(owners.get(&inode).map(|program| program.pid), Some(std::process::id()));
    }
}
