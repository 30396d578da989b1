//! What a way carries, measured by echoes that may not be fragmented (RFC 1191, RFC 8201): of falling sizes, until one is
//! answered. The kernel's own idea of the path's MTU is not asked: anybody can forge the ICMP that lowers it.

use core::time::Duration;
use std::io;
use std::net::IpAddr;
use std::thread;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::{self, Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery};
use socket2::Socket;

use crate::doctor::facts::Reach;
use crate::probe::echo::{self, Family, Framing, IDENTIFIER, LENGTH, Token};
use crate::probe::socket;

/// A way to be measured.
#[derive(Clone, Debug)]
pub(super) struct Way {
    /// Through this device, whatever the routes say.
    pub(super) device: Option<String>,
    /// From this address of ours.
    pub(super) source: Option<IpAddr>,
    /// To this one.
    pub(super) target: IpAddr,
    /// Packets of how many octets are to cross.
    pub(super) most: u16,
}

/// Measures all ways, [`AT_ONCE`] at a time, and returns what they carry in their order.
pub(super) fn measure(ways: &[Way]) -> Vec<Reach> {
    let reach = |way: &Way| Echoes::open(way).map_or(Reach::Silent, |mut echoes| echoes.reach(way.most));
    let mut reached = Vec::with_capacity(ways.len());
    for some in ways.chunks(AT_ONCE) {
        thread::scope(|scope| {
            let threads: Vec<_> = some.iter().map(|way| scope.spawn(|| reach(way))).collect();
            reached.extend(threads.into_iter().map(|thread| thread.join().unwrap_or(Reach::Silent)));
        });
    }
    reached
}

/// The largest size that crosses, between one that does and one that does not, to within [`STEP`].
fn largest(mut crosses: u16, mut fails: u16, mut try_size: impl FnMut(u16) -> bool) -> u16 {
    while fails.saturating_sub(crosses) > STEP {
        let middle = crosses.midpoint(fails);
        if try_size(middle) {
            crosses = middle;
        } else {
            fails = middle;
        }
    }
    crosses
}

/// A socket for the echoes of one way.
struct Echoes {
    socket: Socket,
    family: Family,
    framing: Framing,
    token: Token,
    sequence: u16,
}

impl Echoes {
    fn open(way: &Way) -> io::Result<Self> {
        let (socket, family, framing) = socket::open(way.device.as_deref(), way.source, way.target)?;
        match family {
            Family::V4 => sockopt::set_ip_mtu_discover(&socket, Ipv4PathMtuDiscovery::PROBE)?,
            Family::V6 => sockopt::set_ipv6_mtu_discover(&socket, Ipv6PathMtuDiscovery::PROBE)?,
        }
        Ok(Self { socket, family, framing, token: Token::random()?, sequence: 0 })
    }

    fn reach(&mut self, most: u16) -> Reach {
        let least = match self.family {
            Family::V4 => LEAST_V4,
            Family::V6 => LEAST_V6,
        };
        if self.crosses(most) {
            return Reach::Whole(most);
        }
        if least >= most || !self.crosses(least) {
            return Reach::Silent;
        }
        Reach::UpTo(largest(least, most, |size| self.crosses(size)))
    }

    /// Whether an echo in a packet of so many octets is answered: each is tried [`TRIES`] times, since any may be lost.
    fn crosses(&mut self, octets: u16) -> bool {
        (0..TRIES).any(|_| self.is_answered(octets))
    }

    fn is_answered(&mut self, octets: u16) -> bool {
        self.sequence = self.sequence.wrapping_add(1);
        let message = echo::padded_request(self.family, IDENTIFIER, self.sequence, self.token, octets);
        // What is larger than our own link is refused here.
        if self.socket.send(&message).is_err() {
            return false;
        }
        let start = Instant::now();
        while let Some(left) = PATIENCE.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) {
            if !self.is_readable(left) {
                return false;
            }
            if self.receive() == Some(self.sequence) {
                return true;
            }
        }
        false
    }

    fn is_readable(&self, patience: Duration) -> bool {
        let mut fds = [PollFd::new(&self.socket, PollFlags::IN)];
        let patience = Timespec::try_from(patience).ok();
        poll(&mut fds, patience.as_ref()).is_ok_and(|ready| ready > 0)
    }

    /// The sequence number of a reply; only its beginning is read, so that its length does not matter. The zeros behind it
    /// leave the checksum as it is.
    fn receive(&self) -> Option<u16> {
        use std::io::Read as _;
        let mut buffer = [0; HEADER + LENGTH];
        let room = match self.framing {
            Framing::Bare => LENGTH,
            Framing::Ipv4Header => buffer.len(),
        };
        let buffer = buffer.get_mut(..room)?;
        let length = (&self.socket).read(buffer).ok()?;
        echo::reply(self.family, self.framing, buffer.get(..length)?, self.token)
    }
}

/// Ways that are measured beside each other.
const AT_ONCE: usize = 32;
/// Echoes of each size.
const TRIES: usize = 3;
/// How long each has: more than any round trip on earth.
const PATIENCE: Duration = Duration::from_millis(400);
/// Octets that do not matter.
const STEP: u16 = 4;
/// What every path carries (RFC 791), and what IPv6 does (RFC 8200 §5).
const LEAST_V4: u16 = 576;
const LEAST_V6: u16 = 1280;
/// Octets of an IPv4 header without options, as a raw socket delivers it.
const HEADER: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_size_is_found_to_within_a_step() {
        for limit in [577, 1000, 1300, 1420, 1499] {
            let found = largest(576, 1500, |size| size <= limit);
            assert!(found <= limit && limit - found < STEP, "{found} of {limit}");
        }
    }
}
