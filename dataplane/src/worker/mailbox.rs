//! How a worker is told what to do: a queue of orders, and an eventfd that ends its wait.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::tunnel::Sending;
use crate::message::{GatewayStats, Layer, Reply};
use crate::sa::inbound::InboundSa;
use crate::sa::spec::{OuterPath, TunnelId, TunnelSpec};
use crate::stats::{Counters, TunnelStats};
use crate::sys::wake::Waker;

/// What a worker is told. `T` is the back end's TUN queue.
pub enum Order<T> {
    /// Serve a tunnel: over one queue, or writing to several.
    AddTunnel(TunnelSpec, Vec<T>),
    /// Forget a tunnel and close its queue.
    RemoveTunnel(TunnelId),
    /// Accept an SPI.
    InstallInbound(Box<InboundSa>),
    /// Send with this SA from here on.
    InstallOutbound(Arc<Sending>, OuterPath),
    /// No longer accept an SPI.
    RemoveInbound(u32),
    /// No longer send with an SPI.
    RemoveOutbound(TunnelId, u32),
    /// The peer moved.
    UpdatePath(TunnelId, OuterPath),
    /// Send one datagram of UDP 4500.
    Send(OuterPath, Vec<u8>),
    /// Report copies of a tunnel's packets, or no longer.
    Capture(TunnelId, Option<Layer>),
    /// Report the counters of every tunnel.
    Stats,
    /// Report those of these.
    StatsOf(Arc<[TunnelId]>),
    /// Report what belongs to no tunnel.
    GatewayStats,
    /// End.
    Stop,
}

/// An order with the receipt for it.
pub struct Posted<T> {
    /// What to do.
    pub order: Order<T>,
    /// Dropped when done.
    pub receipt: Receipt,
}

/// The sender's end of a worker's queue.
pub struct Mailbox<T> {
    orders: Sender<Posted<T>>,
    waker: Waker,
}

impl<T> Mailbox<T> {
    /// A queue; `waker` is the one that the worker's back end waits on.
    pub fn new(waker: Waker) -> (Self, Receiver<Posted<T>>) {
        let (orders, receiver) = mpsc::channel();
        (Self { orders, waker }, receiver)
    }

    /// Puts an order in; a worker that has ended refuses it.
    pub fn post(&self, order: Order<T>, receipt: &Receipt) {
        if self.orders.send(Posted { order, receipt: receipt.clone() }).is_err() {
            receipt.refuse("a worker of the data plane has ended");
        }
        self.waker.wake();
    }
}

/// Held by every worker that has an order still to carry out; the last one to let go answers the command.
#[derive(Clone)]
pub struct Receipt(Arc<Pending>);

struct Pending {
    outcome: Mutex<Outcome>,
    reply: Mutex<Option<ReplyTo>>,
}

/// Takes the answer to a command. Called on a thread of the data plane: it must not block.
pub type ReplyTo = Box<dyn FnOnce(Reply) + Send>;

#[derive(Default)]
enum Outcome {
    #[default]
    Done,
    Refused(String),
    Stats(BTreeMap<TunnelId, TunnelStats>),
    Gateway(Box<GatewayStats>),
}

impl Receipt {
    /// A receipt that answers through `reply`.
    pub fn new(reply: ReplyTo) -> Self {
        Self(Arc::new(Pending { outcome: Mutex::default(), reply: Mutex::new(Some(reply)) }))
    }

    /// The command could not be carried out.
    pub fn refuse(&self, why: impl Into<String>) {
        *self.outcome() = Outcome::Refused(why.into());
    }

    /// Adds one worker's counters of its tunnels; none is an answer too.
    pub fn tunnel_stats<'c>(&self, now: Instant, counters: impl Iterator<Item = (TunnelId, &'c Counters)>) {
        let mut outcome = self.outcome();
        if !matches!(*outcome, Outcome::Stats(_)) {
            *outcome = Outcome::Stats(BTreeMap::new());
        }
        if let Outcome::Stats(all) = &mut *outcome {
            for (tunnel, counters) in counters {
                all.entry(tunnel).or_default().merge(counters, now);
            }
        }
    }

    /// Adds what one worker counted for no tunnel.
    pub fn gateway_stats(&self, stats: &GatewayStats) {
        let mut outcome = self.outcome();
        match &mut *outcome {
            Outcome::Gateway(sum) => sum.merge(stats),
            Outcome::Done | Outcome::Refused(_) | Outcome::Stats(_) => {
                *outcome = Outcome::Gateway(Box::new(stats.clone()));
            }
        }
    }

    fn outcome(&self) -> MutexGuard<'_, Outcome> {
        self.0.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let outcome = std::mem::take(self.outcome.get_mut().unwrap_or_else(PoisonError::into_inner));
        let reply = self.reply.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(reply) = reply {
            reply(match outcome {
                Outcome::Done => Reply::Done,
                Outcome::Refused(why) => Reply::Refused(why),
                Outcome::Stats(stats) => Reply::Stats(stats.into_iter().collect()),
                Outcome::Gateway(stats) => Reply::GatewayStats(stats),
            });
        }
    }
}
