//! The status page, served where the configuration says so. The tunnels do not depend on it: an address that cannot be had
//! is told, and the gateway runs.

use std::net::SocketAddr;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{error, info};

use crate::api::server::Call;
use crate::api::tcp;
use crate::events::Events;
use crate::web;

/// What the page is served with, and where it is.
pub(super) struct StatusPage {
    calls: mpsc::Sender<Call>,
    events: Events,
    served: Option<(SocketAddr, JoinSet<()>)>,
}

impl StatusPage {
    pub(super) const fn new(calls: mpsc::Sender<Call>, events: Events) -> Self {
        Self { calls, events, served: None }
    }

    /// Serves it there from here on, or nowhere. Where it is already it stays, with its history and its readers.
    pub(super) async fn serve(&mut self, wanted: Option<SocketAddr>) {
        if self.served.as_ref().map(|(address, _)| *address) == wanted {
            return;
        }
        if let Some((_, mut task)) = self.served.take() {
            // The port is free when the task has ended.
            task.shutdown().await;
        }
        let Some(address) = wanted else { return };
        match tcp::listen(address) {
            Ok(listener) => {
                let mut task = JoinSet::new();
                task.spawn(web::serve(listener, self.calls.clone(), self.events.clone()));
                self.served = Some((address, task));
                info!(%address, "the status page is served");
            }
            Err(error) => error!(%address, %error, "the status page is not served"),
        }
    }
}
