//! What a multishot receive puts into its buffer: a header, the sender, control data, and the payload
//! (`struct io_uring_recvmsg_out` of linux/io_uring.h; io_uring_prep_recvmsg_multishot(3)).

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects))]

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_buffer_tells_the_sender_and_where_the_payload_is() {
        let remote: SocketAddr = "192.0.2.1:4500".parse().unwrap();
        let mut buffer = vec![0_u8; PAYLOAD + 10];
        buffer[12..16].copy_from_slice(&libc::MSG_TRUNC.to_ne_bytes());
        // `struct sockaddr_in`.
        buffer[NAME..NAME + 2].copy_from_slice(&2_u16.to_ne_bytes());
        buffer[NAME + 2..NAME + 8].copy_from_slice(&[0x11, 0x94, 192, 0, 2, 1]);
        let received = Received::parse(&buffer, PAYLOAD + 4).unwrap();
        assert_eq!((received.payload, received.remote), (PAYLOAD..PAYLOAD + 4, remote));
        assert!(received.truncated);
        assert_eq!(Received::parse(&buffer, PAYLOAD - 1), None);
    }

    proptest! {
        #[test]
        fn no_octets_lead_outside_the_buffer(
            buffer in proptest::collection::vec(any::<u8>(), 0..300),
            len in 0_usize..400,
        ) {
            if let Some(received) = Received::parse(&buffer, len) {
                prop_assert!(buffer.get(received.payload).is_some());
            }
        }
    }
}
