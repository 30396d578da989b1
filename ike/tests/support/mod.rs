pub(crate) mod clock;
pub(crate) mod link;
pub(crate) mod pair;
pub(crate) mod scripted;
