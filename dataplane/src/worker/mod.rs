//! One worker: a thread that owns its back end and runs every packet to completion. It shares nothing per packet but the
//! sequence numbers of outbound SAs.

pub mod crew;
mod gate;
mod inbound;
pub mod mailbox;
mod outbound;
mod tap;
mod tunnel;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use self::crew::Crew;
use self::gate::IkeGate;
use self::inbound::{Inbound, Ingress};
use self::mailbox::{Order, Posted, Receipt};
pub use self::tunnel::Sending;
use self::tunnel::Tunnel;
use crate::drop_reason::DropReason;
use crate::io::{Backend, Outcome, QueueId, Route, Source, Wire};
use crate::message::{GatewayStats, Notice};
use crate::offload::coalesce::Coalescer;
use crate::sa::inbound::InboundSa;
use crate::sa::sad::Sad;
use crate::sa::spec::{Encapsulation, OuterPath, TunnelId, TunnelSpec};

/// Takes what the data plane reports; called on its threads, so it must not block.
pub type Notices = Arc<dyn Fn(Notice) + Send + Sync>;

/// One worker.
pub struct Worker<B: Backend> {
    backend: B,
    orders: Receiver<Posted<B::Tun>>,
    notices: Notices,
    /// Its number among the workers, below [`crate::sa::in_flight::WORKERS`].
    index: usize,
    /// The workers beside it, where there are others: they send with the same SAs.
    crew: Option<Arc<Crew>>,
    /// By the number of their first queue.
    tunnels: Vec<Option<Tunnel>>,
    /// The first queue of the tunnel that has each queue.
    owners: Vec<QueueId>,
    queues: BTreeMap<TunnelId, QueueId>,
    sad: Sad<Inbound>,
    gate: IkeGate,
    /// Packets of some tunnel are asked for.
    taps: bool,
    stats: GatewayStats,
    /// Read once a turn.
    now: Instant,
    ready: Vec<Source>,
    /// Lent to the burst in work.
    ingress: Option<Box<Ingress>>,
    outcomes: Vec<Outcome>,
}

/// How a turn of a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Something was done.
    Worked,
    /// Nothing was ready.
    Idle,
    /// The worker was told to stop.
    Ended,
}

impl<B: Backend> Worker<B> {
    /// A worker without tunnels.
    pub fn new(backend: B, orders: Receiver<Posted<B::Tun>>, notices: Notices) -> Self {
        let now = Instant::now();
        Self {
            backend,
            orders,
            notices,
            index: 0,
            crew: None,
            tunnels: Vec::new(),
            owners: Vec::new(),
            queues: BTreeMap::new(),
            sad: Sad::new(),
            gate: IkeGate::new(now),
            taps: false,
            stats: GatewayStats::default(),
            now,
            ready: Vec::new(),
            ingress: Some(Box::new(Ingress::new())),
            outcomes: Vec::new(),
        }
    }

    /// Works until it is told to stop.
    pub fn run(mut self) {
        loop {
            match self.turn() {
                Ok(Turn::Worked | Turn::Idle) => {}
                Ok(Turn::Ended) => return,
                Err(error) => {
                    return (self.notices)(Notice::Broken {
                        tunnel: None,
                        why: format!("a worker: {error}"),
                    });
                }
            }
        }
    }

    /// The worker as number `index` of a crew, where it is not the only one.
    #[must_use]
    pub fn among(self, index: usize, crew: Option<Arc<Crew>>) -> Self {
        Self { index, crew, ..self }
    }

    /// Waits until something is ready, and does one batch of each thing that is.
    pub fn turn(&mut self) -> io::Result<Turn> {
        let mut ready = std::mem::take(&mut self.ready);
        self.wait(&mut ready)?;
        // Before orders: one may ask for the counters.
        self.settle();
        self.now = Instant::now();
        let mut turn = if ready.is_empty() { Turn::Idle } else { Turn::Worked };
        for source in &ready {
            match source {
                Source::Mailbox => turn = self.carry_out_orders(),
                Source::Tun(queue) => self.outbound(*queue),
                Source::Socket(socket) => self.inbound(*socket),
            }
            if turn == Turn::Ended {
                break;
            }
        }
        self.ready = ready;
        Ok(turn)
    }

    /// Waits, and then helps others first: they have packets in hand.
    fn wait(&mut self, ready: &mut Vec<Source>) -> io::Result<()> {
        let Some(crew) = &self.crew else { return self.backend.wait(ready) };
        crew.rest(self.index, true);
        let result = self.backend.wait(ready);
        crew.rest(self.index, false);
        crew.help();
        result
    }

    /// The back end, to be looked at.
    pub fn backend(&self) -> &B {
        &self.backend
    }

    /// Counts what became of batches and writes.
    fn settle(&mut self) {
        let mut outcomes = std::mem::take(&mut self.outcomes);
        self.backend.outcomes(&mut outcomes);
        for outcome in outcomes.drain(..) {
            let (Outcome::Sent(lane, _) | Outcome::NotWritten { queue: lane, .. }) = outcome;
            let Some(queue) = self.owners.get(lane.0) else { continue };
            // A tunnel that was removed meanwhile counts no more.
            let Some(Some(tunnel)) = self.tunnels.get_mut(queue.0) else { continue };
            match outcome {
                Outcome::Sent(_, sent) => tunnel.counters.sent(&sent),
                Outcome::NotWritten { packets, full, .. } => {
                    let reason = if full { DropReason::TunFull } else { DropReason::TunFailed };
                    tunnel.counters.drops.add(reason, packets);
                }
            }
        }
        self.outcomes = outcomes;
    }

    fn carry_out_orders(&mut self) -> Turn {
        while let Ok(Posted { order, receipt }) = self.orders.try_recv() {
            if matches!(order, Order::Stop) {
                return Turn::Ended;
            }
            if let Err(why) = self.carry_out(order, &receipt) {
                receipt.refuse(why);
            }
        }
        Turn::Worked
    }

    fn carry_out(&mut self, order: Order<B::Tun>, receipt: &Receipt) -> Result<(), String> {
        match order {
            Order::AddTunnel(spec, tun) => return self.add_tunnel(&spec, tun),
            Order::RemoveTunnel(tunnel) => self.remove_tunnel(tunnel),
            Order::InstallInbound(sa) => return self.install_inbound(sa),
            Order::InstallOutbound(sa, path) => return self.install_outbound(sa, path),
            Order::RemoveInbound(spi) => {
                self.sad.remove(spi);
            }
            Order::RemoveOutbound(tunnel, spi) => {
                if let Some(tunnel) = self.tunnel(tunnel) {
                    tunnel.remove_outbound(spi);
                }
                self.learn_peers();
            }
            Order::UpdatePath(tunnel, path) => return self.update_path(tunnel, path),
            Order::Capture(tunnel, layer) => {
                self.tunnel(tunnel).ok_or("the tunnel is gone")?.captured = layer;
                self.taps = self.tunnels.iter().flatten().any(|tunnel| tunnel.captured.is_some());
            }
            Order::Send(path, datagram) => return self.send(&path, &datagram),
            Order::Stats => {
                self.settle();
                let counters = self.tunnels.iter().flatten().map(|t| (t.id(), &t.counters));
                receipt.tunnel_stats(self.now, counters);
            }
            Order::StatsOf(tunnels) => {
                self.settle();
                let place = |id: &TunnelId| self.tunnels.get(self.queues.get(id)?.0)?.as_ref();
                let counters = tunnels.iter().filter_map(place).map(|t| (t.id(), &t.counters));
                receipt.tunnel_stats(self.now, counters);
            }
            Order::GatewayStats => receipt.gateway_stats(&self.stats),
            Order::Stop => {}
        }
        Ok(())
    }

    fn add_tunnel(&mut self, spec: &TunnelSpec, tuns: Vec<B::Tun>) -> Result<(), String> {
        let mut lanes = Vec::new();
        for tun in tuns {
            match self.backend.attach(tun) {
                Ok(lane) => lanes.push(lane),
                Err(error) => {
                    for lane in lanes {
                        self.backend.detach(lane);
                    }
                    return Err(format!("{}: {error}", spec.interface));
                }
            }
        }
        let queue = *lanes.first().ok_or("a tunnel without a queue")?;
        let places = lanes.iter().map(|lane| lane.0 + 1).max().unwrap_or(0);
        if self.tunnels.len() < places {
            self.tunnels.resize_with(places, || None);
            self.owners.resize(places, queue);
        }
        for lane in &lanes {
            self.owners[lane.0] = queue;
        }
        let offloads = self.backend.offloads(queue);
        if let Some(ingress) = &mut self.ingress {
            ingress.coalescer = Coalescer::new(offloads.tcp, offloads.udp);
        }
        self.tunnels[queue.0] = Some(Tunnel::new(spec, lanes, self.now));
        self.queues.insert(spec.id, queue);
        Ok(())
    }

    fn remove_tunnel(&mut self, tunnel: TunnelId) {
        let Some(queue) = self.queues.remove(&tunnel) else { return };
        if let Some(tunnel) = self.tunnels[queue.0].take() {
            for lane in tunnel.lanes {
                self.backend.detach(lane);
            }
        }
        let spis: Vec<u32> =
            self.sad.iter().filter(|(_, sa)| sa.queue == queue).map(|(spi, _)| spi).collect();
        for spi in spis {
            self.sad.remove(spi);
        }
        self.learn_peers();
    }

    fn install_inbound(&mut self, sa: Box<InboundSa>) -> Result<(), String> {
        let queue = *self.queues.get(&sa.tunnel()).ok_or("the tunnel is gone")?;
        let spi = sa.spi();
        self.sad.insert(spi, Inbound::new(sa, queue)).map_err(|error| error.to_string())
    }

    fn install_outbound(&mut self, sa: Arc<Sending>, path: OuterPath) -> Result<(), String> {
        let route = self.route(&path)?;
        let tunnel = self.tunnel(sa.tunnel()).ok_or("the tunnel is gone")?;
        tunnel.install_outbound(sa, &path, route);
        self.learn_peers();
        Ok(())
    }

    fn update_path(&mut self, tunnel: TunnelId, path: OuterPath) -> Result<(), String> {
        let route = self.route(&path)?;
        self.tunnel(tunnel).ok_or("the tunnel is gone")?.update_path(&path, route);
        self.learn_peers();
        Ok(())
    }

    fn send(&mut self, path: &OuterPath, datagram: &[u8]) -> Result<(), String> {
        let route = self.route(path)?;
        self.backend.send_datagram(&route, datagram).map_err(|error| format!("to {}: {error}", path.remote))
    }

    fn route(&self, path: &OuterPath) -> Result<Route, String> {
        let route = self.backend.route(wire(path.encapsulation), path.local, path.remote);
        route.ok_or_else(|| no_socket(path))
    }

    fn learn_peers(&mut self) {
        self.gate.set_peers(self.tunnels.iter().flatten().filter_map(Tunnel::peer));
    }

    fn tunnel(&mut self, id: TunnelId) -> Option<&mut Tunnel> {
        let queue = self.queues.get(&id)?;
        self.tunnels.get_mut(queue.0)?.as_mut()
    }
}

/// What an SA's encapsulation is called below.
pub(crate) const fn wire(encapsulation: Encapsulation) -> Wire {
    match encapsulation {
        Encapsulation::Udp => Wire::Udp,
        Encapsulation::Esp => Wire::Esp,
    }
}

/// Why a path is refused.
pub(crate) fn no_socket(OuterPath { local, remote, encapsulation }: &OuterPath) -> String {
    format!("no socket for {encapsulation:?} from {local} to {remote}: not permitted, or another local port")
}
