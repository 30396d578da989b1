//! Rekeys that an operator asks for: started at once, and answered when they have ended.

use core::fmt::Display;
use core::time::Duration;

use gotthard_ike::config::PeerId;
use gotthard_ike::error::{self, Failure};
use gotthard_ike::{Event, Time};
use tokio::sync::oneshot;

use super::gateway::Gateway;
use super::orders::unknown;
use super::record::{Record, escaped};
use crate::api::messages::{RefusalKind, Rekey, Response, Sa, Target};
use crate::ike_driver::IkeDriver;
use crate::tunnels::Phase;

/// Those who wait for a rekey to end. The control socket bounds how many there are.
#[derive(Debug, Default)]
pub(super) struct Waiters(Vec<Waiter>);

#[derive(Debug)]
struct Waiter {
    peer: PeerId,
    sa: Sa,
    target: Target,
    until: Time,
    answer: oneshot::Sender<Response>,
}

impl Gateway {
    /// Starts a rekey, and answers now or when it has ended.
    pub(super) fn rekey(&mut self, driver: &mut IkeDriver, order: Rekey, answer: oneshot::Sender<Response>) {
        let now = driver.now();
        let Rekey { target, sa, wait } = order;
        let started = self.start_rekey(driver, &target, sa);
        if wait && let Ok(peer) = started {
            return self.waiters.0.push(Waiter { peer, sa, target, until: now + PATIENCE, answer });
        }
        let response = started
            .map_or_else(|refused| refused, |_| done(&target, format_args!("rekey of the {sa} started")));
        // Who asked may be gone.
        drop(answer.send(response));
    }

    fn start_rekey(&self, driver: &mut IkeDriver, target: &Target, sa: Sa) -> Result<PeerId, Response> {
        let now = driver.now();
        let Some(record) = self.records.values().find(|record| record.is_at(target)) else {
            return Err(unknown(&target.to_string()));
        };
        if record.state.phase() != Phase::Up {
            return Err(Response::refused(
                RefusalKind::Failed,
                format!("{target} is not up: there is no {sa} to rekey; `gotthard status` says why"),
            ));
        }
        match sa {
            Sa::Ike => driver.endpoint().rekey_ike(now, record.id),
            Sa::Child => driver.endpoint().rekey_child(now, record.id),
        }
        Ok(record.id)
    }
}

impl Waiters {
    /// Answers those who wait for what has happened to this tunnel.
    pub(super) fn on_event(&mut self, record: &Record, event: &Event) {
        match event {
            Event::ChildUp { rekey: Some(took), .. } => {
                let child = record.child_text().unwrap_or_default();
                let count = record.state.child_rekeys();
                self.done(record.id, Sa::Child, *took, &format!("{child}, rekeys {count}"));
            }
            Event::IkeRekeyed { took, .. } => {
                let ike = record.ike_text().unwrap_or_default();
                let count = record.state.ike_rekeys();
                self.done(record.id, Sa::Ike, *took, &format!("{ike}, rekeys {count}"));
            }
            Event::RekeyFailed { what, reason, .. } => self.failed(record.id, &[of(*what)], reason),
            Event::IkeDown { reason, .. } | Event::ChildDown { reason, .. } => {
                self.failed(record.id, &[Sa::Ike, Sa::Child], reason);
            }
            // Somebody else's attempt, or what a rekey gave way to.
            Event::IkeUp { .. }
            | Event::ChildUp { rekey: None, .. }
            | Event::Alive { .. }
            | Event::Failed { .. } => {}
        }
    }

    /// Tells those whose rekey takes too long that it does, and forgets those who are gone.
    pub(super) fn expire(&mut self, now: Time) {
        self.0.retain(|waiter| !waiter.answer.is_closed());
        for waiter in self.0.extract_if(.., |waiter| waiter.until <= now) {
            waiter.fail(format_args!("not done within {PATIENCE:?}; `gotthard status` counts it when it is"));
        }
    }

    /// When [`Self::expire`] is due.
    pub(super) fn next(&self) -> Option<Time> {
        self.0.iter().map(|waiter| waiter.until).min()
    }

    fn done(&mut self, peer: PeerId, sa: Sa, took: Duration, what: &str) {
        let took = took.as_millis();
        for Waiter { target, answer, .. } in self.0.extract_if(.., |w| w.peer == peer && w.sa == sa) {
            drop(answer.send(done(&target, format_args!("{sa} rekeyed in {took} ms: {what}"))));
        }
    }

    fn failed(&mut self, peer: PeerId, sas: &[Sa], reason: &Failure) {
        for waiter in self.0.extract_if(.., |waiter| waiter.peer == peer && sas.contains(&waiter.sa)) {
            let (code, remedy) = (reason.code(), reason.remedy());
            waiter.fail(format_args!("{code}  {}\n  remedy: {remedy}", escaped(reason)));
        }
    }
}

impl Waiter {
    fn fail(self, why: impl Display) {
        let Self { target, sa, answer, .. } = self;
        let message = format!("{target}: the {sa} was not rekeyed: {why}");
        drop(answer.send(Response::refused(RefusalKind::Failed, message)));
    }
}

/// As the control socket calls it.
const fn of(what: error::Sa) -> Sa {
    match what {
        error::Sa::Ike => Sa::Ike,
        error::Sa::Child => Sa::Child,
    }
}

fn done(target: &Target, what: impl Display) -> Response {
    Response::Done { message: format!("{target}: {what}") }
}

/// Longer than a peer has to answer, shorter than the control socket keeps a connection.
const PATIENCE: Duration = Duration::from_secs(25);
