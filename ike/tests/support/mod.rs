//! What the tests of the endpoint share: a clock, a link, two ends of ours, and a peer by script.

#![allow(dead_code, reason = "each test binary uses its own part of it")]

pub(crate) mod clock;
pub(crate) mod link;
pub(crate) mod pair;
pub(crate) mod scripted;
pub(crate) mod settled;
pub(crate) mod side;
pub(crate) mod watch;
