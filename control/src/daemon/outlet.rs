//! What the IKE endpoint wants done, done: SAs into the packet path, messages out, events into the tunnels.

use std::net::SocketAddr;

use gotthard_ike::config::PeerId;
use gotthard_ike::{Event, Install, RevealedKeys, Transmit};
use tracing::{debug, error, info, warn};

use super::gateway::Gateway;
use crate::events::kind;
use crate::ike_driver::Outlet;
use crate::routes::Kernel;
use crate::tunnels::Change;

impl Outlet for Gateway {
    async fn install(&mut self, install: Install) {
        let id = match &install {
            Install::Inbound(sa) | Install::Outbound(sa) => sa.peer,
            Install::RemoveInbound { peer, .. }
            | Install::RemoveOutbound { peer, .. }
            | Install::Path { peer, .. } => *peer,
        };
        if let Some(keys) = &mut self.keys {
            keys.installed(&install);
        }
        if let Install::Path { remote, .. } = &install
            && let Some(record) = self.records.get(&id)
        {
            record
                .span()
                .in_scope(|| info!(%remote, event = kind::PEER_MOVED, "the peer's outer address changed"));
        }
        let adds = matches!(install, Install::Inbound(_) | Install::Outbound(_));
        let Some(record) = self.records.get_mut(&id) else { return };
        let settings = record.esp_settings();
        let result = self.data.install(install, settings).await;
        let Some(record) = self.records.get_mut(&id) else { return };
        match result {
            Ok(()) if adds => record.no_sa = None,
            Ok(()) => {}
            Err(refused) if adds => {
                record.span().in_scope(
                    || error!(%refused, event = kind::SA_REFUSED, "the packet path refuses the SA"),
                );
                record.no_sa = Some(refused.to_string());
            }
            // What is to be removed may have gone with its device.
            Err(refused) => {
                record.span().in_scope(|| debug!(%refused, "nothing to change in the packet path"));
            }
        }
    }

    async fn transmit(&mut self, transmit: Transmit) {
        // What is not sent is lost on the way as far as the exchange is concerned, and sent again.
        if let Err(refused) = self.data.send_ike(transmit).await {
            debug!(%refused, "an IKE message was not sent");
        }
    }

    async fn keepalive(&mut self, local: SocketAddr, remote: SocketAddr) {
        if let Err(refused) = self.data.send_keepalive(local, remote).await {
            debug!(%refused, "a NAT keepalive was not sent");
        }
    }

    fn reveal(&mut self, keys: &RevealedKeys) {
        if let Some(file) = &mut self.keys {
            file.ike_sa(keys);
        }
    }

    async fn event(&mut self, event: Event) {
        let id = peer_of(&event);
        let now = self.clock.now();
        let change = self.change(id, |state| state.on_event(now, &event)).flatten();
        if let Event::ChildUp { .. } = event {
            self.tunnel_up(id).await;
        } else if let Event::Alive { .. } = event {
            self.peer_alive(id, now);
        }
        let Some(record) = self.records.get(&id) else { return };
        self.waiters.on_event(record, &event);
        if let Some(change) = change {
            record.log(&change);
            self.unsettled |= matches!(change, Change::Up | Change::Down(_));
        }
    }
}

impl Gateway {
    async fn tunnel_up(&mut self, id: PeerId) {
        let Some(record) = self.records.get_mut(&id) else { return };
        record.begin_child();
        let mtu = record.negotiated_mtu();
        let before = core::mem::replace(&mut record.mtu, mtu);
        let Some(mtu) = mtu else { return };
        // A rekey seldom changes it.
        if before == Some(mtu) {
            return;
        }
        let interface = record.tunnel.interface.clone();
        if let Err(error) = self.table.kernel().set_mtu(&interface, mtu).await {
            warn!(%error, "packets that do not fit are answered with ICMP instead");
        }
    }
}

const fn peer_of(event: &Event) -> PeerId {
    match event {
        Event::IkeUp { peer, .. }
        | Event::IkeRekeyed { peer, .. }
        | Event::RekeyFailed { peer, .. }
        | Event::IkeDown { peer, .. }
        | Event::ChildUp { peer, .. }
        | Event::ChildDown { peer, .. }
        | Event::Alive { peer }
        | Event::Failed { peer, .. } => *peer,
    }
}
