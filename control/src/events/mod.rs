//! What happened, as one stream: the log, the journal, `gotthard events` and the web page tell the same.
//!
//! A line of the log with a field `event` is an event: [`layer`] takes it as it is logged, with the names that its span has,
//! gives it a number and keeps the last of them ([`ring`]). Who follows ([`stream`]) is told how many it has missed, and
//! nobody waits for it. [`kind`] is the list of what there is, with codes that are never given another meaning.

pub mod event;
pub mod kind;
pub mod layer;
pub mod ring;
pub mod stream;

pub use event::{Event, Severity};
pub use kind::Kind;
pub use stream::{Events, Follower};
