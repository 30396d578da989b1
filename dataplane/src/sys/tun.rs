//! TUN devices: opening their queues. Reading and writing is plain `read` and `write`.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags};

/// A TUN device that was created.
#[derive(Debug)]
pub struct Device {
    /// Its queues.
    pub queues: Vec<OwnedFd>,
    /// Of a device with several queues: what to write to.
    pub writer: Option<OwnedFd>,
    /// What it offers.
    pub offloads: Offloads,
}

/// What a TUN device offers beyond single packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offloads {
    /// Every frame has a virtio header of 10 octets before it (`IFF_VNET_HDR`).
    pub header: bool,
    /// TCP super-packets (`TUN_F_TSO4`, `TUN_F_TSO6`).
    pub tcp: bool,
    /// UDP super-packets (`TUN_F_USO4`, `TUN_F_USO6`, Linux 6.2).
    pub udp: bool,
}

/// Creates the TUN device `name` and opens `queues` queues of it, non-blocking, without a packet-information header; with
/// the offloads that the kernel has, if they are wanted.
///
/// The device lives as long as one of the queues is open. A device of that name must not exist: a second owner would
/// read the first one's packets.
pub fn create(name: &str, queues: usize, offloads: bool) -> io::Result<Device> {
    let header = if offloads { IFF_VNET_HDR } else { 0 };
    let mut opened = vec![open_queue(name, header | IFF_TUN_EXCL)?];
    for _ in 1..queues {
        opened.push(open_queue(name, header)?);
    }
    let offloads = match opened.first() {
        Some(fd) if offloads => probe_offloads(fd),
        _ => Offloads::default(),
    };
    let writer = if queues > 1 { Some(open_writer(name, header)?) } else { None };
    Ok(Device { queues: opened, writer, offloads })
}

fn open_queue(name: &str, flags: libc::c_int) -> io::Result<OwnedFd> {
    let fd = rustix::fs::open(DEVICE, OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
    set_interface(&fd, name, libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_MULTI_QUEUE | flags)?;
    Ok(fd)
}

/// A queue that is detached: what is written to it reaches the host, and nothing is read from it.
///
/// From a packet that is written to an attached queue the kernel learns to put the opposite direction of the flow into that
/// queue, also while packets of the flow wait in another one: who reads the two would overtake each other. Of a detached
/// queue it learns nothing, and every flow stays where its hash leads (tun.rst, "multiqueue").
fn open_writer(name: &str, flags: libc::c_int) -> io::Result<OwnedFd> {
    let fd = open_queue(name, flags)?;
    request(&fd, TUNSETQUEUE, &mut InterfaceRequest::new("", IFF_DETACH_QUEUE))?;
    Ok(fd)
}

/// Asks for all, then for less; a kernel that grants nothing still gives the header.
fn probe_offloads(fd: &OwnedFd) -> Offloads {
    let udp = set_offloads(fd, TUN_F_TCP | TUN_F_UDP);
    let tcp = udp || set_offloads(fd, TUN_F_TCP);
    Offloads { header: true, tcp, udp }
}

fn set_offloads(fd: &OwnedFd, flags: libc::c_ulong) -> bool {
    // SAFETY: `fd` is open for the call, and the argument of TUNSETOFFLOAD is a number, not a pointer.
    unsafe { libc::ioctl(fd.as_raw_fd(), TUNSETOFFLOAD as _, flags) == 0 }
}

fn set_interface(fd: &OwnedFd, name: &str, flags: libc::c_int) -> io::Result<()> {
    if name.is_empty() || name.len() >= libc::IFNAMSIZ || name.contains(['/', '%', '\0']) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} cannot name a device")));
    }
    request(fd, libc::TUNSETIFF, &mut InterfaceRequest::new(name, flags))
}

fn request(fd: &OwnedFd, code: libc::c_ulong, request: &mut InterfaceRequest) -> io::Result<()> {
    // SAFETY: `fd` is open for the call, and `request` has the layout and the size of the kernel's `struct ifreq` on
    // 64-bit Linux (checked below), which both codes take; the kernel reads and writes no more than that, and keeps no
    // pointer to it.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), code as _, &raw mut *request) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// `struct ifreq` with `ifr_flags` in use.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; libc::IFNAMSIZ],
    flags: u16,
    padding: [u8; 22],
}

impl InterfaceRequest {
    /// A name that is too long is cut.
    fn new(name: &str, flags: libc::c_int) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the flags fill 16 bits")]
        let mut request = Self { name: [0; libc::IFNAMSIZ], flags: flags as u16, padding: [0; 22] };
        for (to, from) in request.name.iter_mut().zip(name.bytes()) {
            *to = from;
        }
        request
    }
}

const _: () = assert!(size_of::<InterfaceRequest>() == size_of::<libc::ifreq>());

const DEVICE: &str = "/dev/net/tun";

// Of linux/if_tun.h.

/// Refuse a name that is taken.
const IFF_TUN_EXCL: libc::c_int = 0x8000;
const IFF_VNET_HDR: libc::c_int = 0x4000;
/// Leave the queues that packets are spread over.
const IFF_DETACH_QUEUE: libc::c_int = 0x0400;
const TUNSETQUEUE: libc::c_ulong = 0x4004_54d9;
const TUNSETOFFLOAD: libc::c_ulong = 0x4004_54d0;
/// `TUN_F_CSUM`, `TUN_F_TSO4`, `TUN_F_TSO6`, `TUN_F_TSO_ECN`.
const TUN_F_TCP: libc::c_ulong = 0x0f;
/// `TUN_F_USO4`, `TUN_F_USO6`.
const TUN_F_UDP: libc::c_ulong = 0x60;

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
