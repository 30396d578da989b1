//! The data plane from outside: plain, owned messages in, plain, owned messages out.
//!
//! Nothing of the insides is shared, so the data plane can run in a process of its own.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

pub use crate::message::{Captured, Command, GatewayStats, Layer, Notice, Outer, Reply};
use crate::registry::Registry;
pub use crate::sa::in_flight::WORKERS;
use crate::sys::affinity;
use crate::worker::Notices;
pub use crate::worker::mailbox::ReplyTo;

/// The running data plane. Dropping it ends the workers and removes every TUN device.
///
/// TUN devices and sockets belong to the network namespace of the thread that starts it and adds tunnels.
pub struct Handle {
    registry: Mutex<Registry>,
}

impl Handle {
    /// Opens the outer sockets and starts the workers. `notices` is called on their threads and must not block: a full
    /// queue behind it should drop what it is given.
    pub fn start(options: &Options, notices: impl Fn(Notice) + Send + Sync + 'static) -> io::Result<Self> {
        let notices: Notices = Arc::new(notices);
        let registry = Mutex::new(Registry::start(options, &notices)?);
        Ok(Self { registry })
    }

    /// Carries out a command. `reply` is called once, when every worker has done its part: on this thread, or on one of
    /// theirs. It must neither block nor use this handle.
    pub fn send(&self, command: Command, reply: ReplyTo) {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner).execute(command, reply);
    }

    /// Carries out a command and waits for the answer: less than a millisecond unless the machine is overloaded.
    pub fn call(&self, command: Command) -> Reply {
        let (sender, receiver) = mpsc::sync_channel(1);
        // The receiver outlives the reply, and the channel has room for it.
        self.send(command, Box::new(move |reply| drop(sender.send(reply))));
        receiver.recv().unwrap_or_else(|_| Reply::Refused("the data plane gave no answer".into()))
    }

    /// What runs, as `status` shows it.
    pub fn report(&self) -> Report {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner).report()
    }
}

/// What runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The back end: "io_uring" or "syscalls".
    pub backend: &'static str,
    /// Number of worker threads.
    pub workers: usize,
    /// What the kernel does for many packets at once: "tso", "uso", "udp_segment", "udp_gro".
    pub offloads: Vec<&'static str>,
    /// What encrypts AES-CBC.
    pub cbc: &'static str,
}

/// How the data plane runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Local addresses of the UDP sockets for ESP and IKE (RFC 3948).
    pub udp: Vec<SocketAddr>,
    /// Number of worker threads, at least one, at most [`WORKERS`]. All read the TUN devices, the first receives, and the others
    /// help it to open packets.
    pub workers: usize,
    /// Which back end.
    pub backend: BackendChoice,
    /// Whether super-packets are used where the kernel has them: TSO and USO on TUN devices, `UDP_SEGMENT`, `UDP_GRO`.
    pub offloads: bool,
}

impl Default for Options {
    fn default() -> Self {
        let any = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        let udp = any.map(|ip| SocketAddr::new(ip, 4500)).into();
        Self { udp, workers: default_workers(), backend: BackendChoice::Auto, offloads: true }
    }
}

/// Which back end moves the packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendChoice {
    /// The fastest that the host permits.
    #[default]
    Auto,
    /// io_uring; an error where the host has none.
    IoUring,
    /// Plain system calls.
    Syscalls,
}

/// Half of the cores, because the kernel's share of the work and other programs need theirs; at most four, of which each
/// carries several times a cloud's tunnel.
fn default_workers() -> usize {
    (affinity::cores().len() / 2).clamp(1, 4)
}
