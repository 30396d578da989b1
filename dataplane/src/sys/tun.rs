//! TUN devices: opening their queues. Reading and writing is plain `read` and `write`.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags};

/// Creates the TUN device `name` and opens `queues` queues of it, non-blocking, without a packet-information header.
///
/// The device lives as long as one of the queues is open. A device of that name must not exist: a second owner would
/// read the first one's packets.
pub fn create(name: &str, queues: usize) -> io::Result<Vec<OwnedFd>> {
    (0..queues.max(1)).map(|index| open_queue(name, index == 0)).collect()
}

fn open_queue(name: &str, first: bool) -> io::Result<OwnedFd> {
    let fd = rustix::fs::open(DEVICE, OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
    let exclusive = if first { IFF_TUN_EXCL } else { 0 };
    set_interface(&fd, name, libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_MULTI_QUEUE | exclusive)?;
    Ok(fd)
}

fn set_interface(fd: &OwnedFd, name: &str, flags: libc::c_int) -> io::Result<()> {
    if name.is_empty() || name.len() >= libc::IFNAMSIZ || name.contains(['/', '%', '\0']) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} cannot name a device")));
    }
    let mut request = InterfaceRequest {
        name: [0; libc::IFNAMSIZ],
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the flags fill 16 bits"
        )]
        flags: flags as u16,
        padding: [0; 22],
    };
    for (to, from) in request.name.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    // SAFETY: `fd` is open for the call, and `request` has the layout and the size of the kernel's `struct ifreq` on
    // 64-bit Linux (checked below); the kernel reads and writes no more than that, and keeps no pointer to it.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNSETIFF as _, &raw mut request) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// `struct ifreq` with `ifr_flags` in use.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; libc::IFNAMSIZ],
    flags: u16,
    padding: [u8; 22],
}

const _: () = assert!(size_of::<InterfaceRequest>() == size_of::<libc::ifreq>());

const DEVICE: &str = "/dev/net/tun";

/// Refuse a name that is taken (`IFF_TUN_EXCL` of linux/if_tun.h).
const IFF_TUN_EXCL: libc::c_int = 0x8000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_the_kernel_would_cut_or_expand_is_refused() {
        for name in ["", "sixteen-octets-x", "a/b", "gth%d", "a\0b"] {
            let fd = rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty()).unwrap();
            assert_eq!(
                set_interface(&fd, name, 0).unwrap_err().kind(),
                io::ErrorKind::InvalidInput,
                "{name:?}"
            );
        }
    }
}
