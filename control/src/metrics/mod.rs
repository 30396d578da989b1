//! The page of metrics (OpenMetrics 1.0), made when somebody asks for it: nothing is counted for its sake but the durations in
//! [`meters`].
//!
//! Labels are the connection and the tunnel, or the cloud with its currency, and nothing else, so that the number of series is
//! known from the configuration. Counters are those of the status: they survive rekeys and reconnects. [`families`] is the list of what there is.

pub mod families;
mod histogram;
pub mod meters;
mod snapshot;
mod text;

pub use meters::Meters;
pub use snapshot::Snapshot;
pub use text::Format;

/// The page.
pub fn page(snapshot: &Snapshot, format: Format) -> String {
    snapshot.write(format)
}
