//! What an operator asks of the running daemon, and what is answered.

use gotthard_ike::config::PeerId;
use sd_notify::NotifyState;
use tracing::{error, info, warn};

use super::route_table::route_table;
use super::{Daemon, gateway, notify, status};
use crate::api::messages::{RefusalKind, Request, Response, Target};
use crate::api::server::Call;
use crate::config;
use crate::tunnels::Admin;

impl Daemon {
    /// Carries out a request and answers it; a rekey that is waited for is answered when it ends.
    pub(super) async fn answer(&mut self, call: Call) {
        let Call { request, answer } = call;
        let response = match request {
            Request::Status { connection } => {
                self.count().await;
                let counters = *self.driver.endpoint().counters();
                match status::status(&self.gateway, &counters, self.driver.now(), connection.as_deref()) {
                    Some(status) => Response::Status(Box::new(status)),
                    None => unknown(&connection.unwrap_or_default()),
                }
            }
            Request::Routes { connection } => match route_table(&self.gateway, connection.as_deref()) {
                Some(table) => Response::Routes(Box::new(table)),
                None => unknown(&connection.unwrap_or_default()),
            },
            Request::Up(target) => self.set_admin(&target, Admin::Up),
            Request::Down(target) => self.set_admin(&target, Admin::Down),
            Request::Rekey(rekey) => return self.gateway.rekey(&mut self.driver, rekey, answer),
            Request::Drill(order) => self.gateway.start_drill(order),
            Request::DrillState => self.gateway.ask_drill(),
            Request::DrillEnd => self.gateway.end_drill(),
            Request::Reload => self.reload().await,
        };
        // Who asked may be gone.
        drop(answer.send(response));
    }

    fn set_admin(&mut self, target: &Target, admin: Admin) -> Response {
        let records = self.gateway.records.values();
        let ids: Vec<PeerId> =
            records.filter(|record| record.is_at(target)).map(|record| record.id).collect();
        if ids.is_empty() {
            return unknown(&target.to_string());
        }
        for id in &ids {
            self.gateway.set_admin(&mut self.driver, *id, admin);
        }
        let wish = match admin {
            Admin::Up => "up",
            Admin::Down => "down",
        };
        info!(%target, "wanted {wish}");
        Response::Done { message: format!("{target}: wanted {wish}, {} tunnel(s)", ids.len()) }
    }

    pub(super) async fn reload(&mut self) -> Response {
        notify_reloading();
        let loaded = config::load(&self.options.config).map_err(|errors| errors.to_string());
        let loaded = loaded.map(|loaded| loaded.config).and_then(|config| match self.reveal_keys(&config) {
            Ok(()) => Ok(config),
            Err(refused) => Err(refused.to_string()),
        });
        let response = match loaded {
            Ok(config) => {
                self.take_hooks(&config);
                let stays = config.gateway.packet_path == self.gateway.data.settings();
                let difference = self.gateway.configure(&mut self.driver, config).await;
                let gateway::Difference { added, removed, kept } = difference;
                info!(added, removed, kept, "reloaded");
                let mut message = format!("{kept} tunnel(s) untouched, {removed} removed, {added} added");
                if !stays {
                    warn!("{PACKET_PATH_STAYS}");
                    message = format!("{message}; {PACKET_PATH_STAYS}");
                }
                Response::Done { message }
            }
            Err(errors) => {
                error!("the new configuration does not hold, the old one stays in force: {errors}");
                Response::refused(RefusalKind::ConfigInvalid, errors)
            }
        };
        notify(&[NotifyState::Ready]);
        response
    }
}

/// There is no such connection or tunnel.
pub(super) fn unknown(name: &str) -> Response {
    Response::refused(
        RefusalKind::NotFound,
        format!("there is no {name}: `gotthard status` lists connections and tunnels"),
    )
}

fn notify_reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => warn!(%error, "systemd was not told of the reload"),
    }
}

/// The packet path holds every SA: to start it anew would be to build every tunnel anew.
const PACKET_PATH_STAYS: &str =
    "backend, workers and offloads below [gateway] take effect when gotthard is started again";
