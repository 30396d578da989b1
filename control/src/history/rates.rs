//! What a tunnel carries a second, from its counters at two times.

use core::time::Duration;

use serde::Serialize;

use crate::api::status::EspStatus;

/// What a tunnel carries a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Rates {
    /// Bits a second received.
    pub rx_bps: f32,
    /// Bits a second sent.
    pub tx_bps: f32,
    /// Packets a second dropped, for whatever reason.
    pub drops: f32,
}

impl Rates {
    /// The rates between two counts; `None` where no time has passed. Counters that fell back, those of a tunnel that was
    /// configured anew, count as nothing.
    pub fn between(then: &EspStatus, now: &EspStatus, elapsed: Duration) -> Option<Self> {
        let seconds = elapsed.as_secs_f32();
        let rate = |now: u64, then: u64| approximate(now.saturating_sub(then)) / seconds;
        (seconds > 0.0).then(|| Self {
            rx_bps: rate(now.rx_bytes, then.rx_bytes) * 8.0,
            tx_bps: rate(now.tx_bytes, then.tx_bytes) * 8.0,
            drops: rate(now.drops.total(), then.drops.total()),
        })
    }
}

#[allow(clippy::cast_precision_loss, reason = "rates are shown with a few digits")]
const fn approximate(count: u64) -> f32 {
    count as f32
}
