//! Many routes changed at once: their messages follow each other in one datagram, and the last alone is acknowledged.
//!
//! rtnetlink(7) has no transactions. The kernel takes the messages of a datagram in their order, answers each that it
//! refuses, and goes on with the next: a decision is carried out as far as the kernel lets it, and what is not is known.

use core::num::NonZeroI32;
use std::io;

use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::sys::constants::NETLINK_ROUTE;
use rtnetlink::sys::{Socket, SocketAddr};
use rustix::io::Errno;
use tokio::task::yield_now;

use super::message;
use super::{Edit, Failure, RouteError};

/// A socket for edits alone.
#[derive(Debug)]
pub struct Pipeline {
    socket: Socket,
    port: u32,
}

impl Pipeline {
    /// Opens the socket.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        let port = socket.bind_auto()?.port_number();
        socket.connect(&SocketAddr::new(0, 0))?;
        socket.set_non_blocking(true)?;
        // A refusal comes without the message that it refuses.
        socket.set_cap_ack(true)?;
        Ok(Self { socket, port })
    }

    /// By this number the kernel names us as who changed a route.
    pub const fn port(&self) -> u32 {
        self.port
    }

    /// Carries out the edits in their order, and returns those that were refused. Others run in between.
    pub async fn edit(&self, edits: &[Edit]) -> Result<Vec<Failure>, RouteError> {
        let mut failures = Vec::new();
        for chunk in edits.chunks(CHUNK) {
            self.send(chunk)?;
            failures.extend(self.refusals(chunk)?);
            yield_now().await;
        }
        Ok(failures)
    }

    fn send(&self, edits: &[Edit]) -> io::Result<()> {
        let mut datagram = Vec::new();
        for (number, edit) in (1_u32..).zip(edits) {
            let mut message = request(edit);
            message.header.sequence_number = number;
            if usize::try_from(number) == Ok(edits.len()) {
                message.header.flags |= NLM_F_ACK;
            }
            message.finalize();
            let start = datagram.len();
            datagram.resize(start + message.buffer_len(), 0);
            if let Some(space) = datagram.get_mut(start..) {
                message.serialize(space);
            }
        }
        self.socket.send(&datagram, 0).map(drop)
    }

    /// The kernel has carried out the edits by the time that they are sent, so its answers are there.
    fn refusals(&self, edits: &[Edit]) -> io::Result<Vec<Failure>> {
        let mut failures = Vec::new();
        loop {
            let mut answer = Vec::with_capacity(ANSWER);
            self.socket.recv(&mut answer, 0)?;
            let message =
                NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer).map_err(io::Error::other)?;
            let NetlinkPayload::Error(error) = message.payload else { continue };
            let number = usize::try_from(message.header.sequence_number).unwrap_or_default();
            let edit = number.checked_sub(1).and_then(|index| edits.get(index));
            if let (Some(edit), Some(code)) = (edit, error.code)
                && !is_done(edit, code)
            {
                failures.push(Failure { edit: edit.clone(), why: error.to_io().to_string() });
            }
            if number == edits.len() {
                return Ok(failures);
            }
        }
    }
}

fn request(edit: &Edit) -> NetlinkMessage<RouteNetlinkMessage> {
    let (payload, flags) = match edit {
        Edit::Add(route) => (RouteNetlinkMessage::NewRoute(message::route(route)), NLM_F_CREATE | NLM_F_EXCL),
        Edit::Replace(route) => {
            (RouteNetlinkMessage::NewRoute(message::route(route)), NLM_F_CREATE | NLM_F_REPLACE)
        }
        Edit::Withdraw(route) => (RouteNetlinkMessage::DelRoute(message::key(route)), 0),
        Edit::AddRule(rule) => (RouteNetlinkMessage::NewRule(message::rule(rule)), NLM_F_CREATE | NLM_F_EXCL),
        Edit::RemoveRule(rule) => (RouteNetlinkMessage::DelRule(message::rule(rule)), 0),
    };
    let mut request = NetlinkMessage::from(payload);
    request.header.flags = NLM_F_REQUEST | flags;
    request
}

/// What is to be removed may have gone by itself, and a rule may be there: there is nothing in it that could differ.
fn is_done(edit: &Edit, code: NonZeroI32) -> bool {
    let done = match edit {
        Edit::Add(_) | Edit::Replace(_) => return false,
        Edit::Withdraw(_) => Errno::SRCH,
        Edit::AddRule(_) => Errno::EXIST,
        Edit::RemoveRule(_) => Errno::NOENT,
    };
    code.get() == -done.raw_os_error()
}

/// Messages of one datagram: were all of them refused, the answers would still fit into a receive buffer of the size that
/// every kernel gives (212,992 octets).
const CHUNK: usize = 128;
/// Room for an answer: its header, the number of the error, the header of what it answers.
const ANSWER: usize = 128;
