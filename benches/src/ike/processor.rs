//! Time on a core.

use core::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How long this thread has been on a core, in all.
pub(super) fn own_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}
