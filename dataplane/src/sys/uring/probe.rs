//! Whether this host lets us run a ring, and whether its kernel has what a ring of ours needs.

use std::io;

use io_uring::{IoUring, Probe, Submitter, opcode};

/// Why there is no io_uring here.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// The system call is refused: `kernel.io_uring_disabled`, a seccomp filter, or a kernel without it.
    #[error("the kernel refuses it: {0}")]
    Refused(#[from] io::Error),
    /// TUN devices would block a ring.
    #[error("Linux {0} is older than 6.4")]
    Old(String),
    /// An operation is missing.
    #[error("the kernel lacks the operation {0}")]
    Lacks(&'static str),
}

/// Whether [`super::Ring`] runs here.
pub fn available() -> Result<(), Unavailable> {
    // A ring that was closed ends a little later, and interrupts what its maker does then (EINTR): so that is a thread which
    // does nothing else.
    let probe = std::thread::Builder::new().name("gth-probe".into()).spawn(probe)?;
    probe.join().unwrap_or_else(|_| Err(io::Error::other("the probe panicked").into()))
}

fn probe() -> Result<(), Unavailable> {
    let uring: IoUring = IoUring::builder().setup_single_issuer().setup_defer_taskrun().build(1)?;
    let mut probe = Probe::new();
    uring.submitter().register_probe(&mut probe)?;
    if let Some((_, name)) = NEEDED.iter().find(|(code, _)| !probe.is_supported(*code)) {
        return Err(Unavailable::Lacks(name));
    }
    // What multishot reads came with is newer than what they need.
    if probe.is_supported(opcode::ReadMulti::CODE) {
        return Ok(());
    }
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    if tun_is_asynchronous(&release) { Ok(()) } else { Err(Unavailable::Old(release.trim().to_owned())) }
}

/// Whether the kernel has an operation.
pub(super) fn supports(submitter: &Submitter<'_>, code: u8) -> io::Result<bool> {
    let mut probe = Probe::new();
    submitter.register_probe(&mut probe)?;
    Ok(probe.is_supported(code))
}

/// Since Linux 6.4 a ring can ask a TUN device without blocking.
fn tun_is_asynchronous(release: &str) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else { return false };
    (major, minor) >= (6_u32, 4_u32)
}

/// What every ring uses. Multishot receives came with the flags of the ring, which were tried.
const NEEDED: [(u8, &str); 7] = [
    (opcode::PollAdd::CODE, "POLL_ADD"),
    (opcode::Read::CODE, "READ"),
    (opcode::RecvMsg::CODE, "RECVMSG"),
    (opcode::SendMsg::CODE, "SENDMSG"),
    (opcode::Write::CODE, "WRITE"),
    (opcode::Writev::CODE, "WRITEV"),
    (opcode::AsyncCancel::CODE, "ASYNC_CANCEL"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_release_tells_whether_tun_devices_are_asynchronous() {
        for new in ["6.4.0", "6.6.12-arch1-1", "6.18.44-fc-v669\n", "7.0"] {
            assert!(tun_is_asynchronous(new), "{new}");
        }
        for old in ["6.3.9", "5.14.0-427.el9", "", "six.four"] {
            assert!(!tun_is_asynchronous(old), "{old}");
        }
    }
}
