pub(crate) mod clock;
pub(crate) mod link;
pub(crate) mod pair;
