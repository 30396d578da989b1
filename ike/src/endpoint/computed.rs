//! What takes long is computed elsewhere: the job leaves, what needs its result is parked and taken again.
//!
//! Other SAs are served meanwhile. A result for what is gone is dropped: nothing is undone.

use std::sync::Arc;

use super::Endpoint;
use super::parked::{Item, Place, Wait};
use super::table::Slot;
use crate::Time;
use crate::codec::header::Header;
use crate::codec::message::Message;
use crate::crypto::dh::Drawn;
use crate::crypto::job::{Done, Job, Value, Work};
use crate::error::Refusal;
use crate::event::{Event, Output};
use crate::exchange::established::{self, Outcome};
use crate::exchange::init::InitSent;
use crate::sa::ike_sa::IkeSa;
use crate::sa::{Cx, Peer};

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
                let parked = self.park(spi, Wait::Request, Item::Request);
                debug_assert_eq!(parked, Ok(()), "a request of ours has room, and waits once");
            }
        }
        self.settle(now, spi);
    }

    /// Parks what the step that has just ended could not finish.
    pub(super) fn park(&mut self, spi: u64, wait: Wait, item: Item) -> Result<(), Refusal> {
        let (known, wanted) = self.means.compute.end();
        let Some(work) = wanted else { return Ok(()) };
        self.hand_out(Place { spi, wait }, known, work, item)
    }

    /// As [`Self::follow`], for what came of a message, which came at `came`.
    pub(super) fn follow_message(
        &mut self,
        (now, came): (Time, Time),
        spi: u64,
        header: &Header,
        outcome: Outcome,
    ) -> Result<(), Refusal> {
        if let Outcome::Pending(opened) = outcome {
            return self.park(spi, Wait::of(header), Item::Protected { header: *header, opened, came });
        }
        self.follow(now, spi, outcome);
        Ok(())
    }

    /// Has the secret computed that an established SA wants for a request of its own.
    pub(super) fn provide_secret(&mut self, spi: u64) {
        let wanted = self.table.established(spi).and_then(IkeSa::wanted_secret);
        if let Some(drawn) = wanted.and_then(|group| Drawn::new(group, &mut *self.means.random)) {
            let place = Place { spi, wait: Wait::Request };
            let handed_out = self.hand_out(place, Vec::new(), Work::Generate(drawn), Item::Request);
            debug_assert_eq!(handed_out, Ok(()), "a request of ours has room, and waits once");
        }
    }

    fn hand_out(&mut self, place: Place, known: Vec<Value>, work: Work, item: Item) -> Result<(), Refusal> {
        let id = self.table.parked.park(place, known, item).ok_or(Refusal::Busy)?;
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
                let mut cx = self.means.cx(now);
                if let Some(secret) = cx.compute.generated() {
                    sa.has_secret(secret);
                }
                established::send_next(sa, &mut cx);
            }
            (Some(Slot::Established(sa)), Item::Protected { header, opened, came }) => {
                let mut cx = Cx { came, ..self.means.cx(now) };
                let outcome = established::resume(sa, &header, opened, &mut cx)?;
                self.follow_message((now, came), spi, &header, outcome)?;
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
