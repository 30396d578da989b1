//! Network namespaces without a name: a thread enters a fresh one, and its children inherit it (namespaces(7)).
//!
//! Nothing is mounted and nothing registered: a namespace, with every link in it, ends with its last thread, process
//! and socket, however those end.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::process::{Signal, getgid, getpid, getppid, getuid, set_parent_process_death_signal};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Moves the process out of the host's network; a process that may not make namespaces also becomes root of a user
/// namespace of its own, in which it may.
///
/// For a process that has one thread: the kernel refuses a user namespace to others.
pub fn isolate() -> io::Result<()> {
    match enter_new() {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
        done => return done,
    }
    let (uid, gid) = (getuid().as_raw(), getgid().as_raw());
    unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNET)?;
    // An ordinary user may map a group only after giving up setgroups (user_namespaces(7)).
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("0 {gid} 1"))
}

/// Moves the calling thread into a fresh network namespace that holds nothing but a loopback device, which is down.
///
/// Sockets stay where they were made; threads and processes start where their maker is.
pub fn enter_new() -> io::Result<()> {
    unshare(UnshareFlags::NEWNET)
}

/// Has the kernel kill the child when the thread that starts it ends, so that it cannot be left behind.
pub fn die_with_parent(command: &mut Command) -> &mut Command {
    let parent = getpid();
    let arm = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // Whoever died before the line above sends no signal.
        if getppid() == Some(parent) { Ok(()) } else { Err(io::Error::from(rustix::io::Errno::SRCH)) }
    };
    // SAFETY: `arm` runs in the child between fork and exec. It makes two system calls, prctl(2) and getppid(2), touches
    // no memory but its own captured process id, and neither allocates nor takes a lock on either way out.
    unsafe { command.pre_exec(arm) }
}

fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: none of the callers above passes `FILES`, the one flag with which threads would no longer agree on what a
    // file descriptor is.
    Ok(unsafe { unshare_unsafe(flags) }?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Devices that the calling thread sees.
    fn devices() -> Vec<String> {
        let listed = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
        let names = listed.lines().skip(2).filter_map(|line| line.split(':').next());
        names.map(|name| name.trim().to_owned()).collect()
    }

    #[test]
    fn a_thread_enters_a_namespace_with_a_loopback_and_its_process_stays() {
        let before = devices();
        let inside = std::thread::spawn(|| enter_new().map(|()| devices())).join().unwrap();
        match inside {
            Ok(inside) => assert_eq!(inside, ["lo"]),
            Err(error) => eprintln!("not tested: no namespaces here: {error}"),
        }
        assert_eq!(devices(), before);
    }

    #[test]
    fn a_child_dies_with_the_thread_that_started_it() {
        let start = || die_with_parent(Command::new("sleep").arg("60")).spawn().unwrap();
        let mut child = std::thread::spawn(start).join().unwrap();
        let status = child.wait().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(Signal::KILL.as_raw()));
    }
}
