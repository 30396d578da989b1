//! The page of metrics (OpenMetrics 1.0), made when somebody asks for it: nothing is counted for its sake but the durations in
//! [`meters`].
//!
//! Labels are the connection and the tunnel, or the cloud with its currency, and nothing else, so that the number of series is known from the configuration.
//! Counters are those of the status: they survive rekeys and reconnects. [`families`] is the list of what there is.

pub mod families;
pub mod meters;
mod snapshot;
mod text;

use prometheus_client::encoding;
use prometheus_client::registry::Registry;

pub use meters::Meters;
pub use snapshot::Snapshot;
pub use text::classic;

/// The page, as OpenMetrics.
pub fn page(snapshot: Snapshot) -> String {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(snapshot));
    let mut page = String::new();
    // Writing to a String cannot fail.
    let _ = encoding::text::encode(&mut page, &registry);
    page
}

/// What every name begins with.
const PREFIX: &str = "gotthard";
