//! The page of metrics on TCP, where it is configured.

use std::io;
use std::net::SocketAddr;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::api::server::Call;
use crate::api::{metrics, tcp};
use crate::metrics::Meters;

/// Where the page is served.
pub(super) struct Exposition {
    calls: mpsc::Sender<Call>,
    meters: Meters,
    served: Option<(SocketAddr, JoinHandle<()>)>,
}

/// The page cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("metrics = \"{address}\": {source}: see who has the port (`ss -tlnp`), or take another")]
pub(super) struct Refused {
    address: SocketAddr,
    source: io::Error,
}

impl Exposition {
    pub(super) const fn new(calls: mpsc::Sender<Call>, meters: Meters) -> Self {
        Self { calls, meters, served: None }
    }

    /// Serves the page there from here on, or nowhere; where that fails, all stays as it is.
    pub(super) fn serve(&mut self, address: Option<SocketAddr>) -> Result<(), Refused> {
        if address == self.served.as_ref().map(|(address, _)| *address) {
            return Ok(());
        }
        let served = match address {
            None => None,
            Some(address) => {
                let listener = tcp::listen(address).map_err(|source| Refused { address, source })?;
                let page = metrics::serve(listener, self.calls.clone(), self.meters.clone());
                Some((address, tokio::spawn(page)))
            }
        };
        if let Some((_, before)) = core::mem::replace(&mut self.served, served) {
            before.abort();
        }
        Ok(())
    }
}

impl Drop for Exposition {
    fn drop(&mut self) {
        if let Some((_, task)) = &self.served {
            task.abort();
        }
    }
}
