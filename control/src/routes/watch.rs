//! What others change in the kernel's network, as the kernel tells it (the multicast groups of rtnetlink(7)).

use std::io;

use rtnetlink::MulticastGroup;
use rtnetlink::packet_core::{NLM_F_APPEND, NLM_F_REPLACE, NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::route::RouteMessage;
use rtnetlink::sys::constants::NETLINK_ROUTE;
use rtnetlink::sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket};
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use socket2::{SockFilter, SockRef};
use tracing::{debug, warn};

use super::message::{parse_link, parse_route, parse_rule};
use super::{Event, RouteError};

/// Listens to the kernel.
#[derive(Debug)]
pub struct Watch {
    socket: Socket,
    buffer: Vec<u8>,
}

impl Watch {
    /// Begins to listen. `ours`: the port of the socket that makes our changes, which are known already.
    pub(super) fn open(ours: u32) -> Result<Self, RouteError> {
        let mut socket = TokioSocket::new(NETLINK_ROUTE)?;
        let inner = socket.socket_mut();
        inner.bind(&SocketAddr::new(0, 0))?;
        if let Err(error) = set_socket_recv_buffer_size_force(&*inner, BACKLOG) {
            debug!(%error, "less is kept of what changes in the kernel's network: it may have to be read more often");
        }
        SockRef::from(&*inner).attach_filter(&all_but(ours))?;
        for group in GROUPS {
            inner.add_membership(group as u32)?;
        }
        Ok(Self { socket: Socket(socket), buffer: Vec::with_capacity(DATAGRAM) })
    }

    /// The changes that wait, in their order; there may be none that concern us. May be dropped and called again.
    pub async fn next(&mut self) -> Vec<Event> {
        self.buffer.clear();
        let first = self.socket.0.recv(&mut self.buffer).await;
        let mut events = Vec::new();
        self.take(first, &mut events);
        // Whoever changes thousands of routes waits for us where too much is unread.
        while events.len() < BURST {
            self.buffer.clear();
            match self.socket.0.socket_ref().recv(&mut self.buffer, 0) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                received => self.take(received.map(drop), &mut events),
            }
        }
        events
    }

    fn take(&self, received: io::Result<()>, events: &mut Vec<Event>) {
        if let Err(error) = received {
            events.push(lost(&error));
            return;
        }
        let mut rest = self.buffer.as_slice();
        while !rest.is_empty() {
            let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest) else {
                events.push(Event::Lost);
                break;
            };
            let length =
                usize::try_from(message.header.length).unwrap_or(usize::MAX).next_multiple_of(ALIGNED);
            rest = rest.get(length.max(ALIGNED)..).unwrap_or_default();
            events.extend(event(message));
        }
    }
}

/// A socket filter of the kernel that drops what this port has caused (`nlmsg_pid`). It must not even wait for us: the
/// kernel makes a sender yield after each message once half of a listener's buffer is full, and ours is not read while we
/// send. 20,000 routes took 14 s on a busy machine, and 0.1 s with the filter.
const fn all_but(port: u32) -> [SockFilter; 4] {
    let loaded = u32::from_be_bytes(port.to_ne_bytes());
    [
        SockFilter::new(LOAD_WORD, 0, 0, NLMSG_PID),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, loaded),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ]
}

/// Without it [`Watch`] could not be shown.
struct Socket(TokioSocket);

impl core::fmt::Debug for Socket {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Socket")
    }
}

fn event(message: NetlinkMessage<RouteNetlinkMessage>) -> Option<Event> {
    let flags = message.header.flags;
    let NetlinkPayload::InnerMessage(inner) = message.payload else { return None };
    if let RouteNetlinkMessage::NewLink(link) = inner {
        parse_link(&link).map(Event::Link)
    } else if let RouteNetlinkMessage::DelLink(link) = inner {
        Some(Event::LinkGone(link.header.index))
    } else if let RouteNetlinkMessage::NewRoute(route) = inner {
        added(&route, flags)
    } else if let RouteNetlinkMessage::DelRoute(route) = inner {
        parse_route(&route).map(Event::RouteGone)
    } else if let RouteNetlinkMessage::DelRule(rule) = inner {
        parse_rule(&rule).map(Event::RuleGone)
    } else {
        None
    }
}

fn added(route: &RouteMessage, flags: u16) -> Option<Event> {
    let route = parse_route(route)?;
    // A next hop that joined those of a route is told as if it were all of them, or alone: it depends on the family.
    if flags & NLM_F_APPEND != 0 {
        return Some(Event::Lost);
    }
    Some(Event::Route { route, replaces: flags & NLM_F_REPLACE != 0 })
}

fn lost(error: &io::Error) -> Event {
    if error.raw_os_error() != Some(Errno::NOBUFS.raw_os_error()) {
        warn!(%error, "what changes in the kernel's network is not told");
    }
    Event::Lost
}

/// `BPF_LD | BPF_W | BPF_ABS`.
const LOAD_WORD: u16 = 0x20;
/// `BPF_JMP | BPF_JEQ | BPF_K`.
const JUMP_IF_EQUAL: u16 = 0x15;
/// `BPF_RET | BPF_K`: how many octets are kept.
const RETURN: u16 = 0x06;
/// Where in a message the port of who caused it is.
const NLMSG_PID: u32 = 12;

const GROUPS: [MulticastGroup; 5] = [
    MulticastGroup::Link,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
    MulticastGroup::Ipv4Rule,
    MulticastGroup::Ipv6Rule,
];
/// Octets of notifications that wait for us: some thousand routes.
const BACKLOG: usize = 4 << 20;
/// So many events are taken at once; the rest at the next turn.
const BURST: usize = 4096;
/// No notification is larger.
const DATAGRAM: usize = 64 << 10;
/// Messages in a datagram begin at multiples of this (`NLMSG_ALIGNTO`).
const ALIGNED: usize = 4;
