//! What a multishot receive puts into its buffer: a header, the sender, control data, and the payload
//! (`struct io_uring_recvmsg_out` of linux/io_uring.h; io_uring_prep_recvmsg_multishot(3)).

use std::net::SocketAddr;
use std::ops::Range;

use crate::sys::cmsg::{CONTROL_LEN, Incoming, NAME_LEN, NAME_SOCKLEN, Name};

/// One message, as it lies in its buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Where its octets are.
    pub payload: Range<usize>,
    /// It was longer than the buffer.
    pub truncated: bool,
    /// The sender.
    pub remote: SocketAddr,
    /// What came with it.
    pub control: Incoming,
}

impl Received {
    /// Reads the `len` octets that were put into a buffer; `None` where the kernel gave no address.
    pub fn parse(buffer: &[u8], len: usize) -> Option<Self> {
        let buffer = buffer.get(..len)?;
        let word = |at: usize| buffer.get(at..)?.first_chunk().copied().map(u32::from_ne_bytes);
        let (control_len, flags) = (usize::try_from(word(4)?).ok()?, word(12)?);
        let name = buffer.get(NAME..CONTROL)?;
        let control = buffer.get(CONTROL..PAYLOAD)?;
        Some(Self {
            payload: PAYLOAD..len,
            truncated: flags & libc::MSG_TRUNC.cast_unsigned() != 0,
            remote: Name::decode_from(name)?,
            control: Incoming::parse(control.get(..control_len).unwrap_or(control)),
        })
    }
}

/// The header that says how much room the address and the control data have.
pub(super) fn template() -> libc::msghdr {
    let mut header = super::empty_header();
    header.msg_namelen = NAME_SOCKLEN;
    header.msg_controllen = CONTROL_LEN;
    header
}

/// Where the parts lie.
const NAME: usize = 16;
const CONTROL: usize = NAME + NAME_LEN;
const PAYLOAD: usize = CONTROL + CONTROL_LEN;

const _: () = assert!(PAYLOAD + 65_536 <= crate::pool::BUFFER_LEN);
