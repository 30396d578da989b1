//! Carries out commands: knows which tunnels and SAs exist, opens TUN devices, and gives every worker its orders.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::esp::multibuffer;
use crate::handle::{BackendChoice, Command, Notice, Options, ReplyTo, Report};
use crate::io::Offloads;
use crate::io::sockets::{Socket, Sockets};
use crate::io::syscalls::Syscalls;
use crate::io::tun::TunQueue;
use crate::io::uring::{self, Uring};
use crate::message::Layer;
use crate::natt;
use crate::sa::in_flight::WORKERS;
use crate::sa::inbound::InboundSa;
use crate::sa::ledger::KeyLedger;
use crate::sa::outbound::OutboundSa;
use crate::sa::spec::{Encapsulation, InboundSpec, OutboundSpec, OuterPath, TunnelId, TunnelSpec};
use crate::sys::affinity;
use crate::sys::wake::Waker;
use crate::worker::crew::Crew;
use crate::worker::mailbox::{Mailbox, Order, Receipt};
use crate::worker::{Notices, Sending, Worker, no_socket, wire};

/// The workers, and what they were told.
pub(crate) struct Registry {
    workers: Vec<Member>,
    sockets: Arc<Sockets>,
    backend: Kind,
    /// Whether super-packets are asked for.
    offloads: bool,
    /// What the last TUN device offered.
    tun: Offloads,
    tunnels: BTreeMap<TunnelId, TunnelSpec>,
    /// Inbound SPIs, of all tunnels: a packet is known by its SPI alone (RFC 4301 §4.1).
    spis: BTreeMap<u32, TunnelId>,
    keys: KeyLedger,
}

/// The back end that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// io_uring.
    IoUring,
    Syscalls,
}

/// One worker. Each reads a queue of every TUN device; [`RECEIVER`] has the outer sockets too.
struct Member {
    mailbox: Mailbox<TunQueue>,
    thread: Option<JoinHandle<()>>,
}

/// What a new worker is told of itself.
struct Place {
    index: usize,
    /// The workers beside it, where there are others.
    crew: Option<Arc<Crew>>,
    /// Where it is to run.
    core: Option<usize>,
    waker: Waker,
}

impl Registry {
    /// Opens the sockets and starts the workers.
    pub(crate) fn start(options: &Options, notices: &Notices) -> io::Result<Self> {
        let sockets = Arc::new(Sockets::open(&options.udp, options.offloads)?);
        let mut registry = Self {
            workers: Vec::new(),
            sockets,
            backend: Kind::choose(options.backend)?,
            offloads: options.offloads,
            tun: Offloads::default(),
            tunnels: BTreeMap::new(),
            spis: BTreeMap::new(),
            keys: KeyLedger::default(),
        };
        let count = options.workers.clamp(1, WORKERS);
        let cores = spare_cores(count);
        let wakers: Vec<Waker> = (0..count).map(|_| Waker::new()).collect::<io::Result<_>>()?;
        let helpers = wakers.iter().cloned().enumerate().filter(|(index, _)| *index != RECEIVER);
        let crew = (count > 1).then(|| Arc::new(Crew::new(helpers, !cores.is_empty())));
        for (index, waker) in wakers.iter().cloned().enumerate() {
            let (crew, core) = (crew.clone(), cores.get(index).copied());
            let place = Place { index, crew, core, waker };
            registry.workers.push(Member::start(place, registry.backend, &registry.sockets, notices)?);
        }
        Ok(registry)
    }

    /// What runs.
    pub(crate) fn report(&self) -> Report {
        let backend = match self.backend {
            Kind::IoUring => "io_uring",
            Kind::Syscalls => "syscalls",
        };
        let udp = || self.sockets.iter().map(|(_, socket)| socket);
        let all = [
            ("tso", self.tun.tcp),
            ("uso", self.tun.udp),
            ("udp_segment", udp().any(Socket::segments)),
            ("udp_gro", udp().any(Socket::coalesces)),
        ];
        let offloads = all.into_iter().filter(|(_, on)| *on).map(|(name, _)| name).collect();
        Report { backend, workers: self.workers.len(), offloads, cbc: multibuffer::selected() }
    }

    /// Carries out `command`; `reply` is called when every worker has done its part.
    pub(crate) fn execute(&mut self, command: Command, reply: ReplyTo) {
        let receipt = Receipt::new(reply);
        let result = match command {
            Command::AddTunnel(spec) => self.add_tunnel(spec, &receipt),
            Command::RemoveTunnel(tunnel) => self.remove_tunnel(tunnel, &receipt),
            Command::InstallInbound(spec) => self.install_inbound(&spec, &receipt),
            Command::InstallOutbound(spec) => self.install_outbound(&spec, &receipt),
            Command::RemoveInbound { tunnel, spi } => self.remove_inbound(tunnel, spi, &receipt),
            Command::RemoveOutbound { tunnel, spi } => self.remove_outbound(tunnel, spi, &receipt),
            Command::UpdatePath { tunnel, path } => self.update_path(tunnel, path, &receipt),
            Command::SendIke { local, remote, payload } => {
                let datagram = [&natt::NON_ESP_MARKER[..], &payload].concat();
                self.send_datagram(local, remote, datagram, &receipt)
            }
            Command::SendKeepalive { local, remote } => {
                self.send_datagram(local, remote, natt::KEEPALIVE.to_vec(), &receipt)
            }
            Command::Capture { tunnel, layer } => self.capture(tunnel, layer, &receipt),
            Command::Stats => {
                self.post_all(&receipt, || Order::Stats);
                Ok(())
            }
            Command::StatsOf(tunnels) => {
                self.post_all(&receipt, || Order::StatsOf(Arc::clone(&tunnels)));
                Ok(())
            }
            Command::GatewayStats => {
                self.post_all(&receipt, || Order::GatewayStats);
                Ok(())
            }
        };
        if let Err(why) = result {
            receipt.refuse(why);
        }
    }

    fn add_tunnel(&mut self, spec: TunnelSpec, receipt: &Receipt) -> Result<(), String> {
        if self.tunnels.contains_key(&spec.id) {
            return Err(format!("tunnel {} exists", spec.id.0));
        }
        let queues = TunQueue::create(&spec.interface, self.workers.len(), RECEIVER, self.offloads)
            .map_err(|error| format!("TUN device {}: {error}", spec.interface))?;
        self.tun = queues.iter().flatten().next().map(TunQueue::offloads).unwrap_or_default();
        for (worker, queue) in self.workers.iter().zip(queues) {
            worker.mailbox.post(Order::AddTunnel(spec.clone(), queue), receipt);
        }
        self.tunnels.insert(spec.id, spec);
        Ok(())
    }

    fn remove_tunnel(&mut self, tunnel: TunnelId, receipt: &Receipt) -> Result<(), String> {
        self.tunnels.remove(&tunnel).ok_or_else(|| unknown(tunnel))?;
        self.spis.retain(|_, owner| *owner != tunnel);
        self.post_all(receipt, || Order::RemoveTunnel(tunnel));
        Ok(())
    }

    fn install_inbound(&mut self, spec: &InboundSpec, receipt: &Receipt) -> Result<(), String> {
        self.known(spec.tunnel)?;
        if self.spis.contains_key(&spec.spi) {
            return Err(format!("SPI {:08x} is in use", spec.spi));
        }
        let sa = InboundSa::new(spec).map_err(|error| format!("inbound SA {:08x}: {error}", spec.spi))?;
        let receiver = self.workers.get(RECEIVER).ok_or("no worker receives")?;
        receiver.mailbox.post(Order::InstallInbound(Box::new(sa)), receipt);
        self.spis.insert(spec.spi, spec.tunnel);
        Ok(())
    }

    fn install_outbound(&mut self, spec: &OutboundSpec, receipt: &Receipt) -> Result<(), String> {
        self.known(spec.tunnel)?;
        self.routed(&spec.path)?;
        let sa = self.keys.enter(spec).and_then(|()| OutboundSa::new(spec));
        let sa =
            Arc::new(Sending::new(sa.map_err(|error| format!("outbound SA {:08x}: {error}", spec.spi))?));
        self.post_all(receipt, || Order::InstallOutbound(Arc::clone(&sa), spec.path));
        Ok(())
    }

    fn remove_inbound(&mut self, tunnel: TunnelId, spi: u32, receipt: &Receipt) -> Result<(), String> {
        if self.spis.get(&spi) != Some(&tunnel) {
            return Err(format!("tunnel {} has no SPI {spi:08x}", tunnel.0));
        }
        self.spis.remove(&spi);
        self.post_all(receipt, || Order::RemoveInbound(spi));
        Ok(())
    }

    fn remove_outbound(&self, tunnel: TunnelId, spi: u32, receipt: &Receipt) -> Result<(), String> {
        self.known(tunnel)?;
        self.post_all(receipt, || Order::RemoveOutbound(tunnel, spi));
        Ok(())
    }

    fn update_path(&self, tunnel: TunnelId, path: OuterPath, receipt: &Receipt) -> Result<(), String> {
        self.known(tunnel)?;
        self.routed(&path)?;
        self.post_all(receipt, || Order::UpdatePath(tunnel, path));
        Ok(())
    }

    fn capture(&self, tunnel: TunnelId, layer: Option<Layer>, receipt: &Receipt) -> Result<(), String> {
        self.known(tunnel)?;
        self.post_all(receipt, || Order::Capture(tunnel, layer));
        Ok(())
    }

    /// Through the worker that receives, so that what was installed before is in place when the peer's answer comes.
    fn send_datagram(
        &self,
        local: SocketAddr,
        remote: SocketAddr,
        datagram: Vec<u8>,
        receipt: &Receipt,
    ) -> Result<(), String> {
        let path = OuterPath { local, remote, encapsulation: Encapsulation::Udp };
        self.routed(&path)?;
        let receiver = self.workers.get(RECEIVER).ok_or("no worker receives")?;
        receiver.mailbox.post(Order::Send(path, datagram), receipt);
        Ok(())
    }

    fn known(&self, tunnel: TunnelId) -> Result<(), String> {
        if self.tunnels.contains_key(&tunnel) { Ok(()) } else { Err(unknown(tunnel)) }
    }

    fn routed(&self, path: &OuterPath) -> Result<(), String> {
        if self.sockets.route(wire(path.encapsulation), path.local, path.remote).is_some() {
            return Ok(());
        }
        Err(no_socket(path))
    }

    fn post_all(&self, receipt: &Receipt, order: impl Fn() -> Order<TunQueue>) {
        for worker in &self.workers {
            worker.mailbox.post(order(), receipt);
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let receipt = Receipt::new(Box::new(drop));
        self.post_all(&receipt, || Order::Stop);
        for worker in &mut self.workers {
            if let Some(thread) = worker.thread.take() {
                // A worker that panicked has said so already, and its descriptors are closed.
                let _ = thread.join();
            }
        }
    }
}

impl Kind {
    fn choose(choice: BackendChoice) -> io::Result<Self> {
        match (choice, uring::available()) {
            (BackendChoice::Syscalls, _) => Ok(Self::Syscalls),
            (BackendChoice::Auto | BackendChoice::IoUring, Ok(())) => Ok(Self::IoUring),
            (BackendChoice::Auto, Err(why)) => {
                tracing::info!(%why, "no io_uring here");
                Ok(Self::Syscalls)
            }
            (BackendChoice::IoUring, Err(why)) => {
                Err(io::Error::new(io::ErrorKind::Unsupported, format!("io_uring: {why}")))
            }
        }
    }
}

impl Member {
    fn start(
        Place { index, crew, core, waker }: Place,
        backend: Kind,
        sockets: &Arc<Sockets>,
        notices: &Notices,
    ) -> io::Result<Self> {
        let (mailbox, orders) = Mailbox::new(waker.clone());
        let (sockets, notices) = (Arc::clone(sockets), Arc::clone(notices));
        let thread = std::thread::Builder::new().name(format!("gth-worker-{index}")).spawn(move || {
            if let Some(core) = core
                && let Err(error) = affinity::pin(core)
            {
                tracing::debug!(core, %error, "a worker runs on any core");
            }
            let result = match backend {
                Kind::IoUring => Uring::new(sockets, index == RECEIVER, waker).map(|backend| {
                    Worker::new(backend, orders, Arc::clone(&notices)).among(index, crew).run();
                }),
                Kind::Syscalls => Syscalls::new(sockets, index == RECEIVER, waker).map(|backend| {
                    Worker::new(backend, orders, Arc::clone(&notices)).among(index, crew).run();
                }),
            };
            if let Err(error) = result {
                notices(broken(&error));
            }
        })?;
        Ok(Self { mailbox, thread: Some(thread) })
    }
}

fn broken(error: &io::Error) -> Notice {
    Notice::Broken { tunnel: None, why: format!("a worker could not start: {error}") }
}

fn unknown(tunnel: TunnelId) -> String {
    format!("there is no tunnel {}", tunnel.0)
}

/// A core for each worker where there are more than enough; none otherwise, and the scheduler decides.
fn spare_cores(workers: usize) -> Vec<usize> {
    let cores = affinity::cores();
    // The first core takes most interrupts on an untuned host.
    if cores.len() > 2 * workers { cores.into_iter().skip(1).take(workers).collect() } else { Vec::new() }
}

/// The worker that receives. One alone, because it owns the replay windows.
const RECEIVER: usize = 0;
