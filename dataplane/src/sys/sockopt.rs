//! Socket options that no safe crate sets.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd};

use zeroize::Zeroizing;

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

/// Sends with a hop count of 255 and takes packets with no other, which have crossed no router (GTSM, RFC 5082). `local` tells
/// the address family.
pub fn accept_neighbours_only(fd: impl AsFd, local: IpAddr) -> io::Result<()> {
    let (level, send, least) = match local {
        IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_TTL, libc::IP_MINTTL),
        IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS, IPV6_MINHOPCOUNT),
    };
    set_int(&fd, level, send, 255)?;
    set_int(&fd, level, least, 255)
}

/// Signs the TCP segments to `peer`, and takes none from it that is not signed (`TCP_MD5SIG`, RFC 2385). To be set before
/// the socket connects or listens.
pub fn sign_segments(fd: impl AsFd, peer: IpAddr, key: &[u8]) -> io::Result<()> {
    let Some(length) = u16::try_from(key.len()).ok().filter(|_| key.len() <= MAX_SIGNATURE_KEY) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    // Room for all of it, so that no copy of the key is left behind by growth.
    let mut option = Zeroizing::new(Vec::with_capacity(MD5SIG_LEN as usize));
    option.extend_from_slice(&sockaddr(peer));
    option.resize(SOCKADDR_STORAGE + 2, 0);
    option.extend_from_slice(&length.to_ne_bytes());
    option.extend_from_slice(&[0; 4]);
    option.extend_from_slice(key);
    option.resize(MD5SIG_LEN as usize, 0);
    // SAFETY: the descriptor is borrowed for the whole call; the pointer is to a live vector of as many octets as are passed,
    // laid out as `struct tcp_md5sig` of linux/tcp.h, and the kernel only reads from it during the call.
    let result = unsafe {
        let fd = fd.as_fd().as_raw_fd();
        libc::setsockopt(fd, libc::IPPROTO_TCP, libc::TCP_MD5SIG, option.as_ptr().cast(), MD5SIG_LEN)
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The start of the address's `sockaddr`: family, port, for IPv6 the flow label, address.
fn sockaddr(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => [&AF_INET.to_ne_bytes()[..], &[0; 2], &address.octets()].concat(),
        IpAddr::V6(address) => [&AF_INET6.to_ne_bytes()[..], &[0; 6], &address.octets()].concat(),
    }
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

/// linux/in6.h; the C library has no name for it.
const IPV6_MINHOPCOUNT: libc::c_int = 73;
/// `TCP_MD5SIG_MAXKEYLEN` of linux/tcp.h.
const MAX_SIGNATURE_KEY: usize = 80;
/// `struct tcp_md5sig`: a `sockaddr_storage`, flags and prefix length of one octet each, the key's length of two, the index of
/// an interface of four, the key.
const MD5SIG_LEN: libc::socklen_t = 128 + 8 + 80;
const SOCKADDR_STORAGE: usize = 128;
const AF_INET: libc::sa_family_t = 2;
const AF_INET6: libc::sa_family_t = 10;

const _: () = assert!(size_of::<libc::sockaddr_storage>() == SOCKADDR_STORAGE);
const _: () = assert!(AF_INET as libc::c_int == libc::AF_INET && AF_INET6 as libc::c_int == libc::AF_INET6);

/// `sizeof(int)`.
const INT_LEN: libc::socklen_t = 4;

const _: () = assert!(size_of::<libc::c_int>() == INT_LEN as usize);
