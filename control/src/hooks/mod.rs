//! Hooks: the operator's own programs, run when a tunnel, a BGP session or the way of the traffic changes.
//!
//! Every executable of one folder is run for every event, in the order of their names, without a shell: what there is to
//! say stands in the environment and nowhere else ([`event`]). The daemon's loop never waits: each tunnel has a queue of
//! its own ([`queue`]), served by a task ([`Hooks`]). [`folder`] says which files are run, and `process` runs one: started by
//! the daemon or, where that confines itself, by the process of [`beside`].

pub mod beside;
pub mod event;
pub mod folder;
mod process;
pub mod queue;
mod round;
mod runner;

pub use beside::Beside;
pub use event::{Event, Reason, Tunnel, What};
pub use runner::Hooks;
