//! `recvmmsg` and `sendmmsg`: many datagrams a system call, each with its control data.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};

use super::cmsg::{CONTROL_LEN, Control, Incoming, NAME_SOCKLEN, Name};

/// Most messages that one call carries.
pub const MESSAGES: usize = 64;

/// What came with one datagram.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Octets written to the buffer.
    pub len: usize,
    /// The datagram was longer than its buffer.
    pub truncated: bool,
    /// The sender.
    pub remote: SocketAddr,
    /// What came with it.
    pub control: Incoming,
}

/// Receives datagrams; keeps its tables between calls.
pub struct Receiver {
    names: Box<[Name]>,
    controls: Box<[Control]>,
    iovecs: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

impl Receiver {
    /// Ready for [`MESSAGES`] datagrams a call.
    pub fn new() -> Self {
        Self {
            names: vec![Name::new(); MESSAGES].into(),
            controls: vec![Control::new(); MESSAGES].into(),
            iovecs: Vec::with_capacity(MESSAGES),
            headers: Vec::with_capacity(MESSAGES),
        }
    }

    /// Receives into `buffers`, one datagram each, without waiting; returns how many came.
    pub fn receive<'b>(
        &mut self,
        fd: BorrowedFd<'_>,
        buffers: impl Iterator<Item = &'b mut [u8]>,
    ) -> io::Result<usize> {
        self.iovecs.clear();
        self.iovecs.extend(
            buffers.take(MESSAGES).map(|b| libc::iovec { iov_base: b.as_mut_ptr().cast(), iov_len: b.len() }),
        );
        self.headers.clear();
        for ((iovec, name), control) in self.iovecs.iter_mut().zip(&mut self.names).zip(&mut self.controls) {
            let mut header = empty_header();
            header.msg_hdr.msg_name = name.as_mut_ptr().cast();
            header.msg_hdr.msg_namelen = NAME_SOCKLEN;
            header.msg_hdr.msg_iov = iovec;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL_LEN;
            self.headers.push(header);
        }
        // SAFETY: every header points to a name, a control buffer and an iovec of `self`, which is borrowed exclusively
        // until the call returns, with their true sizes; every iovec points to a distinct slice of `buffers`, exclusively
        // borrowed for `'b`, which outlives the call. The kernel keeps none of them (MSG_DONTWAIT, no timeout).
        let count = unsafe {
            libc::recvmmsg(
                fd.as_raw_fd(),
                self.headers.as_mut_ptr(),
                count_of(&self.headers),
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }

    /// What came with datagram `index` of the last call; `None` where it has no address.
    pub fn arrival(&mut self, index: usize) -> Option<Arrival> {
        let header = self.headers.get(index)?;
        let control = self.controls.get_mut(index)?;
        control.set_len(header.msg_hdr.msg_controllen);
        Some(Arrival {
            len: header.msg_len as usize,
            truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            remote: self.names.get(index)?.decode()?,
            control: control.incoming(),
        })
    }
}

/// One message to send: a datagram, or several of equal size where the kernel cuts it into segments.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Where to; for a raw socket the port is zero.
    pub to: SocketAddr,
    /// Source address; `None` or unspecified: the kernel's choice.
    pub from: Option<IpAddr>,
    /// The TOS or traffic class octet of the outer header.
    pub tos: u8,
    /// Size of each datagram but the last (`UDP_SEGMENT`); `None`: one datagram.
    pub segment: Option<u16>,
    /// The octets.
    pub data: &'a [u8],
}

/// Sends datagrams; keeps its tables between calls.
pub struct Sender {
    names: Vec<Name>,
    controls: Vec<Control>,
    iovecs: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

impl Sender {
    /// Ready for [`MESSAGES`] messages a call.
    pub fn new() -> Self {
        Self {
            names: Vec::with_capacity(MESSAGES),
            controls: Vec::with_capacity(MESSAGES),
            iovecs: Vec::with_capacity(MESSAGES),
            headers: Vec::with_capacity(MESSAGES),
        }
    }

    /// Sends the first [`MESSAGES`] of `messages` without waiting; returns how many were taken. An error is that of the
    /// first message, and then none was taken.
    pub fn send<'a>(
        &mut self,
        fd: BorrowedFd<'_>,
        messages: impl IntoIterator<Item = Message<'a>>,
    ) -> io::Result<usize> {
        self.names.clear();
        self.controls.clear();
        self.iovecs.clear();
        self.headers.clear();
        for message in messages.into_iter().take(MESSAGES) {
            let (name, name_len) = Name::encode(message.to);
            let control = Control::outgoing(message.from, message.tos, message.to.is_ipv6(), message.segment);
            let mut header = empty_header();
            header.msg_hdr.msg_namelen = name_len;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_controllen = control.len();
            self.names.push(name);
            self.controls.push(control);
            self.iovecs.push(libc::iovec {
                iov_base: message.data.as_ptr().cast_mut().cast(),
                iov_len: message.data.len(),
            });
            self.headers.push(header);
        }
        // Pointers are taken once the tables have their final place.
        for (index, header) in self.headers.iter_mut().enumerate() {
            header.msg_hdr.msg_name = self.names[index].as_mut_ptr().cast();
            header.msg_hdr.msg_iov = &raw mut self.iovecs[index];
            header.msg_hdr.msg_control = self.controls[index].as_mut_ptr().cast();
        }
        // SAFETY: every header points to a name, a control buffer and an iovec of `self`, which is borrowed exclusively
        // until the call returns, with their true sizes; every iovec points to octets borrowed for `'a`, which
        // outlives the call, and which the kernel only reads. It keeps none of them.
        let count = unsafe {
            libc::sendmmsg(
                fd.as_raw_fd(),
                self.headers.as_mut_ptr(),
                count_of(&self.headers),
                libc::MSG_DONTWAIT,
            )
        };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }
}

/// At most [`MESSAGES`].
fn count_of(headers: &[libc::mmsghdr]) -> libc::c_uint {
    libc::c_uint::try_from(headers.len()).unwrap_or(0)
}

impl Default for Receiver {
    fn default() -> Self {
        Self::new()
    }
}

impl Default for Sender {
    fn default() -> Self {
        Self::new()
    }
}

fn empty_header() -> libc::mmsghdr {
    // SAFETY: `mmsghdr` is a C struct of integers and pointers; all zeros is a valid value of each.
    unsafe { std::mem::zeroed() }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    use super::*;
    use crate::sys::sockopt;

    #[test]
    fn datagrams_arrive_with_sender_local_address_and_tos() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        sockopt::receive_packet_info_v4(&receiver).unwrap();
        rustix::net::sockopt::set_ip_recvtos(&receiver, true).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = receiver.local_addr().unwrap();
        let message = |data, tos| Message { to, from: Some(to.ip()), tos, segment: None, data };

        let sent =
            Sender::new().send(sender.as_fd(), [message(b"one", 1), message(b"three", 0x2e << 2)]).unwrap();
        assert_eq!(sent, 2);

        let mut buffers = [[0_u8; 4], [0; 4], [0; 4]];
        let mut receive = Receiver::new();
        let count = receive.receive(receiver.as_fd(), buffers.iter_mut().map(|b| &mut b[..])).unwrap();
        assert_eq!(count, 2);
        let (one, three) = (receive.arrival(0).unwrap(), receive.arrival(1).unwrap());
        assert_eq!((one.len, one.truncated, one.control.tos), (3, false, 1));
        assert_eq!((three.len, three.truncated, three.control.tos), (4, true, 0xb8));
        assert_eq!((one.remote, one.control.local), (sender.local_addr().unwrap(), Some(to.ip())));
    }

    #[test]
    fn the_kernel_cuts_a_message_into_segments_where_it_can() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        if !sockopt::segments_udp(&sender) {
            eprintln!("skipped: this kernel has no UDP_SEGMENT");
            return;
        }
        let to = receiver.local_addr().unwrap();
        let message = Message { to, from: None, tos: 0, segment: Some(1000), data: &[7; 2500] };
        assert_eq!(Sender::new().send(sender.as_fd(), [message]).unwrap(), 1);
        let mut buffer = [0; 2000];
        let lengths: Vec<_> = (0..3).map(|_| receiver.recv(&mut buffer).unwrap()).collect();
        assert_eq!(lengths, [1000, 1000, 500]);
    }
}
