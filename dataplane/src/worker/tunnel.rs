//! What a worker knows of a tunnel: how its packets leave, and what was counted.

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::io::{QueueId, Route};
use crate::message::{Layer, Notice};
use crate::mtu;
use crate::rate::TokenBucket;
use crate::sa::lifetime::LimitState;
use crate::sa::outbound::OutboundSa;
use crate::sa::spec::{OuterPath, TunnelId, TunnelSpec};
use crate::stats::Counters;

/// A tunnel.
pub(super) struct Tunnel {
    spec: TunnelSpec,
    /// Its queues: one, and behind it another to write to where several workers read the device.
    pub(super) lanes: Vec<QueueId>,
    /// Inner MTU: the cap, until an outbound SA says what it can carry.
    mtu: u16,
    /// How its packets leave; without it they are dropped.
    pub(super) outbound: Option<Outbound>,
    /// Permits ICMP to the senders of packets that are too big.
    pub(super) icmp: TokenBucket,
    /// Which of its packets somebody asks to see.
    pub(super) captured: Option<Layer>,
    /// What this worker counted.
    pub(super) counters: Counters,
}

/// An outbound SA in use.
#[derive(Clone)]
pub(super) struct Outbound {
    pub(super) sa: Arc<Sending>,
    pub(super) route: Route,
}

/// An outbound SA as the workers share it, with what the control plane was told of it.
#[derive(Debug)]
pub struct Sending {
    sa: OutboundSa,
    soft_told: AtomicBool,
    hard_told: AtomicBool,
}

impl Tunnel {
    pub(super) fn new(spec: &TunnelSpec, lanes: Vec<QueueId>, now: Instant) -> Self {
        Self {
            spec: spec.clone(),
            lanes,
            mtu: spec.mtu_cap,
            outbound: None,
            icmp: TokenBucket::new(ICMP_BURST, ICMP_INTERVAL, now),
            captured: None,
            counters: Counters::default(),
        }
    }

    pub(super) fn install_outbound(&mut self, sa: Arc<Sending>, path: &OuterPath, route: Route) {
        self.outbound = Some(Outbound { sa, route });
        self.update_path(path, route);
    }

    pub(super) fn update_path(&mut self, path: &OuterPath, route: Route) {
        let Some(outbound) = &mut self.outbound else { return };
        outbound.route = route;
        let (v6, transform) = (path.remote.is_ipv6(), outbound.sa.transform());
        self.mtu =
            mtu::inner_mtu(self.spec.outer_mtu, v6, path.encapsulation, transform).min(self.spec.mtu_cap);
    }

    pub(super) fn remove_outbound(&mut self, spi: u32) {
        self.outbound.take_if(|outbound| outbound.sa.spi() == spi);
    }

    pub(super) fn id(&self) -> TunnelId {
        self.spec.id
    }

    /// The queue for packets to the host.
    pub(super) fn writer(&self) -> Option<QueueId> {
        self.lanes.last().copied()
    }

    pub(super) fn mtu(&self) -> u16 {
        self.mtu
    }

    /// The peer's outer address, where there is an outbound SA.
    pub(super) fn peer(&self) -> Option<IpAddr> {
        self.outbound.as_ref().map(|outbound| outbound.route.remote.ip())
    }
}

impl Sending {
    /// An SA of which nothing was told yet.
    pub fn new(sa: OutboundSa) -> Self {
        Self { sa, soft_told: AtomicBool::new(false), hard_told: AtomicBool::new(false) }
    }

    /// What the control plane must learn of how far it is used up: each once, over all workers.
    pub(super) fn limit_notice(&self) -> Option<Notice> {
        let (tunnel, spi) = (self.sa.tunnel(), self.sa.spi());
        let untold = |told: &AtomicBool| !told.load(Ordering::Relaxed) && !told.swap(true, Ordering::Relaxed);
        match self.sa.limit_state() {
            LimitState::Fresh => None,
            LimitState::Soft => untold(&self.soft_told).then_some(Notice::SoftLimit { tunnel, spi }),
            LimitState::Hard => untold(&self.hard_told).then_some(Notice::HardLimit { tunnel, spi }),
        }
    }
}

impl Deref for Sending {
    type Target = OutboundSa;

    fn deref(&self) -> &OutboundSa {
        &self.sa
    }
}

/// ICMP a tunnel may send at once: one for each of many flows that start together.
const ICMP_BURST: u32 = 64;

/// And how often after that.
const ICMP_INTERVAL: Duration = Duration::from_millis(10);
