//! What an operator asks of the running daemon, and what is answered.

use gotthard_ike::config::PeerId;
use sd_notify::NotifyState;
use tracing::{error, info, warn};

use super::route_table::route_table;
use super::{Daemon, gateway, notify, status};
use crate::api::messages::{RefusalKind, Request, Response, Target};
use crate::api::server::Call;
use crate::config;
use crate::events::kind;
use crate::events::ring::KEPT;
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
            Request::Events { since } => Response::Events(Box::new(self.logs.events.since(since, KEPT))),
            Request::Up(target) => self.set_admin(&target, Admin::Up),
            Request::Down(target) => self.set_admin(&target, Admin::Down),
            Request::Rekey(rekey) => return self.gateway.rekey(&mut self.driver, rekey, answer),
            Request::Drill(order) => self.gateway.start_drill(order),
            Request::DrillState => self.gateway.ask_drill(),
            Request::DrillEnd => self.gateway.end_drill(),
            Request::Capture(order) => self.gateway.start_capture(&order).await,
            Request::CaptureMore => self.gateway.fetch_capture(),
            Request::CaptureEnd => self.gateway.end_capture().await,
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
        info!(%target, event = kind::WANTED, "wanted {wish}");
        Response::Done { message: format!("{target}: wanted {wish}, {} tunnel(s)", ids.len()) }
    }

    pub(super) async fn reload(&mut self) -> Response {
        notify_reloading();
        let loaded = config::load(&self.options.config).map_err(|errors| errors.to_string());
        let loaded = loaded.and_then(|loaded| {
            let config = loaded.config;
            self.reveal_keys(&config).map_err(|refused| refused.to_string())?;
            Ok(config)
        });
        let response = match loaded {
            Ok(config) => {
                self.take_hooks(&config, None);
                self.pages.serve(&config.gateway).await;
                let stays = config.gateway.packet_path == self.gateway.data.settings();
                let difference = self.gateway.configure(&mut self.driver, config).await;
                let gateway::Difference { added, removed, kept } = difference;
                info!(added, removed, kept, event = kind::RELOADED, "reloaded");
                let mut message = format!("{kept} tunnel(s) untouched, {removed} removed, {added} added");
                if !stays {
                    warn!("{PACKET_PATH_STAYS}");
                    message = format!("{message}; {PACKET_PATH_STAYS}");
                }
                Response::Done { message }
            }
            Err(errors) => {
                error!(
                    event = kind::RELOAD_REFUSED,
                    "the new configuration does not hold, the old one stays in force: {errors}"
                );
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
