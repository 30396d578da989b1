//! `gotthard capture` at work: one tunnel's packets for one client at a time, as long as it fetches them.

use core::time::Duration;

use gotthard_ike::Time;
use gotthard_ike::config::PeerId;
use tracing::info;

use super::gateway::Gateway;
use super::orders::unknown;
use crate::api::capture::{CaptureOrder, CapturePage, CapturedPacket, Layer};
use crate::api::messages::{RefusalKind, Response};
use crate::capture::Packet;
use crate::capture::queue::Outlet;

/// What the daemon knows of captures.
#[derive(Debug)]
pub(super) struct Captures {
    packets: Outlet,
    running: Option<Running>,
}

/// A capture.
#[derive(Debug)]
struct Running {
    tunnel: PeerId,
    interface: String,
    /// When somebody last asked after it.
    asked: Time,
}

impl Captures {
    pub(super) const fn new(packets: Outlet) -> Self {
        Self { packets, running: None }
    }
}

impl Gateway {
    /// Begins one, in the place of one that nobody asks after.
    pub(super) async fn start_capture(&mut self, order: &CaptureOrder) -> Response {
        self.end_stale_capture().await;
        if self.captures.running.is_some() {
            return refused("another capture is under way: one at a time");
        }
        let Some(record) = self.records.values().find(|record| record.is_at(&order.target)) else {
            return unknown(&order.target.to_string());
        };
        let (tunnel, interface) = (record.id, record.tunnel.interface.clone());
        // What an earlier one has left.
        drop(self.captures.packets.take());
        let outer = order.layer == Layer::Outer;
        if let Err(error) = self.data.capture(tunnel, Some(outer)).await {
            return refused(&error.to_string());
        }
        info!(target = %order.target, outer, "a capture begins");
        self.captures.running = Some(Running { tunnel, interface, asked: self.clock.now() });
        self.fetch_capture()
    }

    /// What came since the last request; asking keeps it going.
    pub(super) fn fetch_capture(&mut self) -> Response {
        let now = self.clock.now();
        let Some(running) = &mut self.captures.running else { return refused("no capture is under way") };
        running.asked = now;
        let (packets, lost) = self.captures.packets.take();
        let own = packets.into_iter().filter(|packet| packet.peer == running.tunnel);
        let page = CapturePage {
            interface: running.interface.clone(),
            packets: own.map(|packet| shown(&packet)).collect(),
            lost,
        };
        Response::Capture(Box::new(page))
    }

    /// Ends it; what came last is in the answer.
    pub(super) async fn end_capture(&mut self) -> Response {
        if let Some(running) = &self.captures.running {
            // A tunnel that is gone reports nothing any more.
            drop(self.data.capture(running.tunnel, None).await);
        }
        let last = self.fetch_capture();
        self.captures.running = None;
        last
    }

    /// Ends one whose client is gone. To be called now and then.
    pub(super) async fn end_stale_capture(&mut self) {
        let now = self.clock.now();
        let stale = |running: &Running| now.saturating_since(running.asked) > LEASE;
        if self.captures.running.as_ref().is_some_and(stale) {
            info!("the capture ends: nobody fetches its packets");
            drop(self.end_capture().await);
        }
    }
}

fn shown(packet: &Packet) -> CapturedPacket {
    CapturedPacket {
        time: packet.time,
        outbound: packet.outbound,
        octets: CapturedPacket::encode(&packet.octets),
        comment: packet.drop.map(|(name, sentence)| format!("dropped: {name}: {sentence}")),
    }
}

fn refused(why: &str) -> Response {
    Response::refused(RefusalKind::Failed, why)
}

/// A client that has not asked for so long is gone.
const LEASE: Duration = Duration::from_secs(3);
