//! The data plane from outside: plain, owned messages in, plain, owned messages out.
//!
//! Nothing of the insides is shared, so the data plane can run in a process of its own.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use crate::registry::Registry;
use crate::sa::spec::{InboundSpec, OutboundSpec, OuterPath, TunnelId, TunnelSpec};
use crate::stats::{Drops, TunnelStats};
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
        Ok(Self { registry: Mutex::new(Registry::start(options, &(Arc::new(notices) as Notices))?) })
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

    /// Which back end runs, as `status` shows it.
    pub fn backend(&self) -> &'static str {
        "syscalls"
    }
}

/// How the data plane runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Local addresses of the UDP sockets for ESP and IKE (RFC 3948).
    pub udp: Vec<SocketAddr>,
    /// Number of worker threads. The first receives; with more than one, the others read the TUN devices.
    pub workers: usize,
    /// Which back end.
    pub backend: BackendChoice,
}

impl Default for Options {
    fn default() -> Self {
        let any = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        let udp = any.map(|ip| SocketAddr::new(ip, 4500)).into();
        Self { udp, workers: 1, backend: BackendChoice::Auto }
    }
}

/// Which back end moves the packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendChoice {
    /// The fastest that the host permits.
    #[default]
    Auto,
    /// Plain system calls.
    Syscalls,
}

/// What the control plane says. Commands of one handle are carried out in order; each is answered by one [`Reply`].
#[derive(Debug)]
pub enum Command {
    /// Create the tunnel's TUN device and serve it.
    AddTunnel(TunnelSpec),
    /// Remove the tunnel, its SAs and its TUN device.
    RemoveTunnel(TunnelId),
    /// Accept ESP with this SPI.
    InstallInbound(InboundSpec),
    /// Send the tunnel's packets with this SA from here on.
    InstallOutbound(OutboundSpec),
    /// No longer accept this SPI.
    RemoveInbound {
        /// Whose.
        tunnel: TunnelId,
        /// Our SPI.
        spi: u32,
    },
    /// No longer send with this SPI; done already where another outbound SA has taken its place.
    RemoveOutbound {
        /// Whose.
        tunnel: TunnelId,
        /// The peer's SPI.
        spi: u32,
    },
    /// The peer moved.
    UpdatePath {
        /// Whose.
        tunnel: TunnelId,
        /// The new outer addresses.
        path: OuterPath,
    },
    /// Send an IKE message from UDP 4500; the non-ESP marker is put before it here.
    SendIke {
        /// Our outer address and port.
        local: SocketAddr,
        /// The peer's.
        remote: SocketAddr,
        /// The IKE message.
        payload: Vec<u8>,
    },
    /// Send one NAT keepalive (RFC 3948 §2.3).
    SendKeepalive {
        /// Our outer address and port.
        local: SocketAddr,
        /// The peer's.
        remote: SocketAddr,
    },
    /// Read the counters of every tunnel.
    Stats,
    /// Read what was counted for no tunnel.
    GatewayStats,
}

/// The answer to a [`Command`].
#[derive(Debug)]
pub enum Reply {
    /// Done: every worker sees it at its next batch.
    Done,
    /// Counters of every tunnel; they only ever grow while a tunnel exists.
    Stats(Vec<(TunnelId, TunnelStats)>),
    /// What was counted for no tunnel.
    GatewayStats(Box<GatewayStats>),
    /// Refused, and nothing was changed.
    Refused(String),
}

/// What was counted for no tunnel, over all workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayStats {
    /// NAT keepalives received.
    pub keepalives: u64,
    /// IKE messages handed to the control plane.
    pub ike_messages: u64,
    /// Datagrams that concern no tunnel, by reason.
    pub drops: Drops,
}

impl GatewayStats {
    /// Adds what another worker counted.
    pub fn merge(&mut self, other: &Self) {
        self.keepalives = self.keepalives.wrapping_add(other.keepalives);
        self.ike_messages = self.ike_messages.wrapping_add(other.ike_messages);
        for (reason, count) in other.drops.iter() {
            self.drops.add(reason, count);
        }
    }
}

/// What the data plane reports of itself.
#[derive(Debug)]
pub enum Notice {
    /// An IKE message arrived on UDP 4500, its non-ESP marker removed.
    Ike {
        /// Our outer address and port.
        local: SocketAddr,
        /// The sender's.
        remote: SocketAddr,
        /// The IKE message.
        payload: Vec<u8>,
    },
    /// An outbound SA has used three quarters of its sequence numbers or of its cipher's limit: replace it.
    SoftLimit {
        /// Whose.
        tunnel: TunnelId,
        /// The peer's SPI.
        spi: u32,
    },
    /// An outbound SA has used its last sequence number and sends nothing more.
    HardLimit {
        /// Whose.
        tunnel: TunnelId,
        /// The peer's SPI.
        spi: u32,
    },
    /// A worker or a device failed; the tunnel carries nothing until it is added again.
    Broken {
        /// Whose; `None`: the data plane as a whole.
        tunnel: Option<TunnelId>,
        /// What failed.
        why: String,
    },
}
