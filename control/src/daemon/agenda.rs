//! What each tunnel wants, when it is due, and how it is carried out by the IKE endpoint.

use gotthard_ike::Time;
use gotthard_ike::config::PeerId;
use tracing::error;

use super::gateway::Gateway;
use super::hooks::Seen;
use super::record::{Device, Record};
use crate::ike_driver::IkeDriver;
use crate::tunnels::{Action, Admin, Tunnel};

impl Gateway {
    /// Changes a tunnel's state, and notes when it wants to be asked what is due.
    pub(super) fn change<T>(&mut self, id: PeerId, change: impl FnOnce(&mut Tunnel) -> T) -> Option<T> {
        let record = self.records.get_mut(&id)?;
        let before = Seen::of(&record.state);
        let result = change(&mut record.state);
        self.agenda.set(id, record.state.next());
        self.tell_changes(id, before);
        Some(result)
    }

    /// Changes a tunnel's state, and notes what it wants of the endpoint.
    pub(super) fn ask(&mut self, id: PeerId, change: impl FnOnce(&mut Tunnel) -> Vec<Action>) {
        let actions = self.change(id, change).unwrap_or_default();
        self.orders.extend(actions.into_iter().map(|action| (id, action)));
    }

    /// Drains the endpoint and carries out what is due and ordered, until nothing is.
    pub(super) async fn carry_out_all(&mut self, driver: &mut IkeDriver) {
        loop {
            driver.tick();
            driver.drain(self).await;
            self.poll_probes().await;
            let now = driver.now();
            while let Some(id) = self.agenda.take_due(now) {
                self.ask(id, |state| state.poll(now));
            }
            let orders = core::mem::take(&mut self.orders);
            if orders.is_empty() {
                return;
            }
            for (id, action) in orders {
                self.carry_out(id, action, driver);
            }
        }
    }

    /// Ends a tunnel that is to be down, as the operator wants it.
    pub(super) fn take_down(&mut self, driver: &mut IkeDriver, id: PeerId) {
        let now = driver.now();
        // The endpoint answers a peer that it knows: one that is taken down must be forgotten, which ends its SAs.
        self.change(id, |state| state.set_admin(now, Admin::Down));
        driver.endpoint().remove_peer(now, id);
        if let Some(record) = self.records.get_mut(&id) {
            record.local = None;
        }
    }

    /// A tunnel must not go on with its keys: it is built anew.
    pub(super) fn renew(&mut self, id: PeerId, now: Time) {
        self.ask(id, |state| state.renew(now));
        self.unsettled = true;
    }

    /// Forgets a tunnel and removes its device.
    pub(super) async fn remove(&mut self, id: PeerId) -> Option<Record> {
        let record = self.records.remove(&id)?;
        self.tell_end(&record);
        self.agenda.set(id, None);
        self.probes.forget(id);
        if let Err(error) = self.data.remove_tunnel(id).await
            && record.device == Device::Ready
        {
            record.span().in_scope(|| error!(%error, "the device is left behind"));
        }
        Some(record)
    }

    fn carry_out(&mut self, id: PeerId, action: Action, driver: &mut IkeDriver) {
        let now = driver.now();
        match action {
            Action::Terminate => driver.endpoint().terminate(now, id),
            Action::RekeyChild => driver.endpoint().rekey_child(now, id),
            Action::CheckLiveness => driver.endpoint().check_liveness(now, id),
            Action::Replace => driver.endpoint().replace(now, id),
            Action::Initiate => {
                self.notice_new_address(id);
                self.provide_peer(id, driver);
                driver.endpoint().initiate(now, id);
            }
        }
    }
}
