//! What the process denies itself.

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use tracing::warn;

/// Keys stay out of core dumps, and no other process of the user may trace this one.
pub fn keep_memory_private() {
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        warn!(%error, "a core dump of this process would hold its keys");
    }
}
