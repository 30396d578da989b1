//! Socket options that no safe crate sets.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Asks for the local address of each datagram (`IP_PKTINFO`).
pub fn receive_packet_info_v4(fd: impl AsFd) -> io::Result<()> {
    set_int(fd, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)
}

/// Asks for the local address of each datagram (`IPV6_RECVPKTINFO`, RFC 3542 §6).
pub fn receive_packet_info_v6(fd: impl AsFd) -> io::Result<()> {
    set_int(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)
}

/// Whether the kernel segments UDP (`UDP_SEGMENT`, Linux 4.18).
pub fn segments_udp(fd: impl AsFd) -> bool {
    // Zero leaves segmentation to each message's control data; a kernel without it refuses the option.
    set_int(fd, libc::SOL_UDP, libc::UDP_SEGMENT, 0).is_ok()
}

/// Asks the kernel to give consecutive datagrams of a sender as one (`UDP_GRO`, Linux 5.0); whether it will.
pub fn coalesce_udp(fd: impl AsFd) -> bool {
    set_int(fd, libc::SOL_UDP, libc::UDP_GRO, 1).is_ok()
}

/// Sends UDP with a zero checksum (`SO_NO_CHECK`), as kernels that encapsulate ESP do; segmentation is refused then.
#[cfg(test)]
pub(crate) fn send_without_checksum(fd: impl AsFd) -> io::Result<()> {
    set_int(fd, libc::SOL_SOCKET, libc::SO_NO_CHECK, 1)
}

fn set_int(fd: impl AsFd, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the descriptor is borrowed for the whole call; the pointer is to a live `c_int` whose size is passed, and
    // the kernel only reads from it during the call.
    let result =
        unsafe { libc::setsockopt(fd.as_fd().as_raw_fd(), level, name, (&raw const value).cast(), INT_LEN) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// `sizeof(int)`.
const INT_LEN: libc::socklen_t = 4;

const _: () = assert!(size_of::<libc::c_int>() == INT_LEN as usize);
