//! Batches on their way out of a ring: the octets, and the message headers that name them.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use io_uring::{opcode, squeue, types};

use super::{File, Kind, token};
use crate::batch::{Batch, PACKETS};
use crate::sys::cmsg::{Control, Name};

/// Where a batch goes.
#[derive(Clone, Copy, Debug)]
pub struct Destination {
    /// The socket.
    pub file: File,
    /// Source address; unspecified: the kernel's choice.
    pub from: IpAddr,
    /// Where to; for a raw socket the port is zero.
    pub to: SocketAddr,
    /// Packets that one message may carry (`UDP_SEGMENT`).
    pub longest: usize,
}

/// The flights of one ring.
pub(super) struct Sends(Box<[Flight]>);

/// Room for one batch. While it has one, the kernel may read all of it.
struct Flight {
    batch: Option<Batch>,
    name: Name,
    messages: Vec<Outgoing>,
    /// Messages whose completion is still to come.
    pending: usize,
}

/// One message. Its header points to its own control data and octets, and to the flight's name and batch.
struct Outgoing {
    packets: Range<usize>,
    control: Control,
    octets: libc::iovec,
    header: libc::msghdr,
}

impl Sends {
    /// Room for `flights` batches.
    pub(super) fn new(flights: usize) -> Self {
        let flight =
            || Flight { batch: None, name: Name::new(), messages: Vec::with_capacity(PACKETS), pending: 0 };
        Self((0..flights).map(|_| flight()).collect())
    }

    /// A flight that has no batch.
    pub(super) fn free(&self) -> Option<usize> {
        self.0.iter().position(|flight| flight.batch.is_none())
    }

    /// Puts a batch on a free flight, and gives `queue` its requests, in order.
    ///
    /// What the requests point to stays in place until [`Self::landed`] has been told of as many completions.
    pub(super) fn load(
        &mut self,
        index: usize,
        destination: &Destination,
        batch: Batch,
    ) -> impl Iterator<Item = squeue::Entry> {
        let Destination { file, from, to, longest } = *destination;
        let flight = &mut self.0[index];
        let (name, name_len) = Name::encode(to);
        flight.name = name;
        flight.messages.clear();
        let batch = flight.batch.insert(batch);
        let mut first = 0;
        for run in batch.runs(longest) {
            flight.messages.push(Outgoing {
                packets: first..first + run.packets,
                control: Control::outgoing(Some(from), run.tos, to.is_ipv6(), run.segment),
                octets: libc::iovec {
                    iov_base: run.data.as_ptr().cast_mut().cast(),
                    iov_len: run.data.len(),
                },
                header: super::empty_header(),
            });
            first += run.packets;
        }
        // Pointers are taken once the table has its final place.
        let name = flight.name.as_mut_ptr();
        for message in &mut flight.messages {
            message.header.msg_name = name.cast();
            message.header.msg_namelen = name_len;
            message.header.msg_iov = &raw mut message.octets;
            message.header.msg_iovlen = 1;
            message.header.msg_control = message.control.as_mut_ptr().cast();
            message.header.msg_controllen = message.control.len();
        }
        flight.pending = flight.messages.len();
        flight.messages.iter().enumerate().map(move |(part, message)| {
            opcode::SendMsg::new(types::Fixed(file.0), &raw const message.header)
                .flags(libc::MSG_DONTWAIT.cast_unsigned())
                .build()
                .user_data(token(Kind::Send, index, part))
        })
    }

    /// Counts one completion; returns which packets it is about, and whether it was the last of its flight.
    pub(super) fn landed(&mut self, index: usize, part: usize) -> Option<(Range<usize>, bool)> {
        let flight = self.0.get_mut(index)?;
        let packets = flight.messages.get(part)?.packets.clone();
        flight.pending = flight.pending.checked_sub(1)?;
        Some((packets, flight.pending == 0))
    }

    /// The batch of a flight; to look at, like the kernel.
    pub(super) fn batch(&self, index: usize) -> Option<&Batch> {
        self.0.get(index)?.batch.as_ref()
    }

    /// Takes the batch of a flight of which nothing is pending.
    pub(super) fn unload(&mut self, index: usize) -> Option<Batch> {
        let flight = self.0.get_mut(index)?;
        if flight.pending == 0 { flight.batch.take() } else { None }
    }
}
