//! What takes long is computed elsewhere: the job leaves, what needs its result is parked and taken again.
//!
//! Other SAs are served meanwhile. A result for what is gone is dropped: nothing is undone.

use std::sync::Arc;

use super::Endpoint;
use super::parked::{Item, Place, Window};
use super::table::Slot;
use crate::Time;
use crate::codec::message::Message;
use crate::crypto::job::{Done, Job};
use crate::error::Refusal;
use crate::event::{Event, Output};
use crate::exchange::established;
use crate::exchange::init::InitSent;
use crate::sa::Peer;

impl Endpoint {
    /// Whether key exchanges leave as [`Output::Compute`] instead of being computed at once, which is the default.
    pub const fn hand_out_jobs(&mut self, hand_out: bool) {
        self.means.compute.hand_out(hand_out);
    }

    /// Takes the result of a job.
    pub fn handle_computed(&mut self, now: Time, done: Done) {
        let Done { id, value } = done;
        let Some((place, known, item)) = self.table.parked.take(id, value) else { return };
        self.means.compute.begin(known);
        let handled = self.take_again(now, place.spi, item);
        self.means.compute.end();
        self.settle(now, place.spi);
        if let Err(refusal) = handled {
            self.counters.count(refusal);
        }
    }

    /// Makes an attempt to bring up an IKE SA with our SPI `spi`.
    pub(super) fn start(&mut self, now: Time, spi: u64, peer: Arc<Peer>) {
        let id = peer.id;
        let mut cx = self.means.cx(now);
        match InitSent::start(peer.clone(), spi, &mut cx) {
            Ok(Ok(sent)) => self.table.insert(spi, Slot::InitSent(Box::new(sent))),
            Ok(Err(reason)) => {
                self.table.remove(spi);
                cx.event(Event::Failed { peer: id, reason });
            }
            Err(_) => {
                self.table.insert(spi, Slot::Starting(peer));
                self.park_request(spi);
            }
        }
        self.settle(now, spi);
    }

    /// Parks our own request, which the step that has just ended could not make.
    fn park_request(&mut self, spi: u64) {
        let parked = self.park(spi, Window::Ours, Item::Request);
        debug_assert_eq!(parked, Ok(()), "a request of ours has room, and waits once");
    }

    /// Parks what the step that has just ended could not finish.
    pub(super) fn park(&mut self, spi: u64, window: Window, item: Item) -> Result<(), Refusal> {
        let (known, wanted) = self.means.compute.end();
        let Some(work) = wanted else { return Ok(()) };
        let id = self.table.parked.park(Place { spi, window }, known, item).ok_or(Refusal::Busy)?;
        self.means.outputs.push_back(Output::Compute(Job::new(id, work)));
        Ok(())
    }

    fn take_again(&mut self, now: Time, spi: u64, item: Item) -> Result<(), Refusal> {
        match (self.table.slot(spi), item) {
            (Some(Slot::Starting(peer)), Item::Request) => {
                let peer = peer.clone();
                self.start(now, spi, peer);
            }
            (Some(Slot::Established(sa)), Item::Request) => {
                established::send_next(sa, &mut self.means.cx(now));
            }
            (Some(Slot::Answering(_)), Item::Clear { path, datagram }) => {
                self.table.take(spi);
                let answered =
                    with_message(&datagram, |message| self.answer_first(now, spi, path, message, &datagram));
                if self.table.slot(spi).is_none() {
                    self.table.remove(spi);
                }
                answered?;
            }
            (Some(Slot::InitSent(_)), Item::Clear { path, datagram }) => {
                with_message(&datagram, |message| {
                    self.receive_init_reply(now, spi, path, message, &datagram)
                })?;
            }
            _ => {}
        }
        Ok(())
    }
}

fn with_message(
    datagram: &[u8],
    step: impl FnOnce(&Message<'_>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    step(&Message::parse(datagram).map_err(|_| Refusal::Malformed)?)
}
