//! The IKE endpoint's hands: UDP 500, the clock, the order of its outputs, and threads for what takes long.
//!
//! UDP 4500 belongs to the packet path, which shares it between ESP and IKE. Nothing here decides anything.

mod computers;

use core::future::Future;
use core::time::Duration;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket as StdUdpSocket};
use std::sync::Arc;
use std::time::SystemTime;

use gotthard_ike::crypto::Random;
use gotthard_ike::{Done, Endpoint, Event, Install, Output, RevealedKeys, Time, Transmit};
use rustix::net::sockopt;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;
use tracing::{debug, error};

use self::computers::Computers;
use crate::intake::{Datagram, Inbox};

/// The endpoint with its sockets and its clock.
pub struct IkeDriver {
    endpoint: Endpoint,
    clock: Clock,
    sockets: BTreeMap<IpAddr, Listener>,
    inbox: Inbox,
    deadline: Option<Time>,
    computers: Computers,
}

/// What the driver cannot do itself. Called in the order of the endpoint's outputs, each awaited before the next.
pub trait Outlet {
    /// Changes an SA in the packet path.
    fn install(&mut self, install: Install) -> impl Future<Output = ()>;

    /// Sends from UDP 4500.
    fn transmit(&mut self, transmit: Transmit) -> impl Future<Output = ()>;

    /// Sends a NAT keepalive from UDP 4500.
    fn keepalive(&mut self, local: SocketAddr, remote: SocketAddr) -> impl Future<Output = ()>;

    /// Takes an event.
    fn event(&mut self, event: Event) -> impl Future<Output = ()>;

    /// Takes the keys of an IKE SA; called only where the endpoint was told to reveal them.
    fn reveal(&mut self, keys: &RevealedKeys);
}

impl IkeDriver {
    /// An endpoint without peers. What arrives on UDP 500 goes into `inbox`.
    pub fn new(inbox: Inbox, clock: Clock) -> io::Result<Self> {
        let mut endpoint = Endpoint::new(Box::new(SystemRandom));
        endpoint.hand_out_jobs(true);
        let computers = Computers::start()?;
        Ok(Self { endpoint, clock, sockets: BTreeMap::new(), inbox, deadline: None, computers })
    }

    /// Listens on UDP 500 of this address, once.
    pub fn listen(&mut self, local: IpAddr) -> io::Result<()> {
        if self.sockets.contains_key(&local) {
            return Ok(());
        }
        let listener = Listener::open(SocketAddr::new(local, IKE_PORT), self.inbox.clone())?;
        self.sockets.insert(local, listener);
        Ok(())
    }

    /// The endpoint, to change something; [`Self::drain`] must follow.
    pub const fn endpoint(&mut self) -> &mut Endpoint {
        &mut self.endpoint
    }

    /// Hands the endpoint datagrams; [`Self::drain`] must follow.
    pub fn receive(&mut self, datagrams: &[Datagram]) {
        let now = self.clock.now();
        self.endpoint.set_wall_clock(now, wall_clock());
        for Datagram { local, remote, payload } in datagrams {
            self.endpoint.handle_datagram(now, *local, *remote, payload);
        }
    }

    /// The next result of what takes long to compute, for [`Self::take`].
    pub async fn computed(&mut self) -> Option<Done> {
        self.computers.done().await
    }

    /// Hands the endpoint a result; [`Self::drain`] must follow.
    pub fn take(&mut self, done: Done) {
        self.endpoint.handle_computed(self.clock.now(), done);
    }

    /// Lets the endpoint do what is due; [`Self::drain`] must follow.
    pub fn tick(&mut self) {
        let now = self.clock.now();
        if self.deadline.is_some_and(|at| at <= now) {
            self.endpoint.handle_timeout(now);
        }
    }

    /// Carries out everything the endpoint wants, in its order.
    pub async fn drain(&mut self, outlet: &mut impl Outlet) {
        loop {
            match self.endpoint.poll_output() {
                Output::Transmit(transmit) if transmit.local.port() == IKE_PORT => self.send(&transmit),
                Output::Transmit(transmit) => outlet.transmit(transmit).await,
                Output::Keepalive { local, remote } => outlet.keepalive(local, remote).await,
                Output::Install(install) => outlet.install(install).await,
                Output::Event(event) => outlet.event(event).await,
                Output::Keys(keys) => outlet.reveal(&keys),
                Output::Compute(job) => {
                    if let Some(done) = self.computers.compute(job) {
                        self.take(done);
                    }
                }
                Output::Timeout { at } => {
                    self.deadline = at;
                    return;
                }
            }
        }
    }

    /// The present, on the endpoint's clock.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// When [`Self::tick`] is due.
    pub const fn deadline(&self) -> Option<Time> {
        self.deadline
    }

    /// True when nothing is left to be told to any peer.
    pub fn is_idle(&self) -> bool {
        self.endpoint.has_told_all()
    }

    fn send(&self, transmit: &Transmit) {
        let Some(listener) = self.sockets.get(&transmit.local.ip()) else {
            debug!(local = %transmit.local, "no socket to send from");
            return;
        };
        // Past tokio's notion of readiness: it calls a socket unwritable until the first turn of the event loop, and the
        // first IKE_SA_INIT leaves before. A datagram that is not taken is one lost on the way: the exchange sends it
        // again.
        let socket = SockRef::from(&*listener.socket);
        if let Err(error) = socket.send_to(&transmit.payload, &transmit.remote.into()) {
            debug!(remote = %transmit.remote, %error, "an IKE message was not sent");
        }
    }
}

/// A socket on UDP 500 and the task that reads it; dropping it ends both.
struct Listener {
    socket: Arc<UdpSocket>,
    reader: tokio::task::JoinHandle<()>,
}

impl Listener {
    fn open(local: SocketAddr, inbox: Inbox) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        // Without the privilege the default remains: a flood then loses more of what is not part of it.
        if let Err(error) = sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER) {
            debug!(%local, %error, "the receive buffer stays small");
        }
        socket.bind(&local.into())?;
        let socket = Arc::new(UdpSocket::from_std(socket.into())?);
        let reader = tokio::spawn(read(Arc::clone(&socket), local, inbox));
        Ok(Self { socket, reader })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read(socket: Arc<UdpSocket>, local: SocketAddr, inbox: Inbox) {
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((len, remote)) => {
                if !inbox.offer(local, remote, buffer.get(..len).unwrap_or_default()) {
                    return;
                }
            }
            // ICMP errors of earlier sends surface here; they are hints and no verdict (RFC 7296 §2.4).
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(error) => {
                debug!(%local, %error, "receiving on UDP 500");
                tokio::time::sleep(RECEIVE_PAUSE).await;
            }
        }
    }
}

/// Monotonic time that goes on while the machine sleeps (CLOCK_BOOTTIME): a lifetime is not overrun by a suspend, and a
/// step of the wall clock does not show.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    epoch: Duration,
}

impl Clock {
    /// A clock whose epoch is now.
    pub fn start() -> Self {
        Self { epoch: boot_time() }
    }

    /// The present.
    pub fn now(self) -> Time {
        Time::from_epoch(boot_time().saturating_sub(self.epoch))
    }
}

/// What the wall clock shows, since 1970: for the validity of certificates, and nothing else.
fn wall_clock() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

fn boot_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    // Neither is negative after boot.
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// The source address of the kernel's route to `peer`.
pub fn source_for(peer: IpAddr) -> io::Result<IpAddr> {
    let any: SocketAddr = if peer.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0; 16], 0).into() };
    let socket = StdUdpSocket::bind(any)?;
    // Connecting a datagram socket looks up the route and sends nothing.
    socket.connect(SocketAddr::new(peer, IKE_PORT))?;
    Ok(socket.local_addr()?.ip())
}

/// Randomness of the operating system.
struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&mut self, out: &mut [u8]) {
        if let Err(error) = getrandom::fill(out) {
            // Without randomness there are no keys: going on would be worse than ending.
            error!(%error, "no randomness from the operating system");
            std::process::abort();
        }
    }
}

/// IKE (RFC 7296 §2).
pub const IKE_PORT: u16 = 500;
/// The largest UDP payload.
const MAX_DATAGRAM: usize = 65_535;
/// Octets of datagrams, with what the kernel keeps beside each, that wait while the loop does something else: some
/// thousands of first requests.
const RECEIVE_BUFFER: usize = 4 << 20;
/// Rest after a failed receive, so that a lasting error does not become a busy loop.
const RECEIVE_PAUSE: Duration = Duration::from_millis(100);
