//! The configuration: from TOML text to a checked [`Config`], or to errors that say what to write instead.
//!
//! [`load`] reads the file and `conf.d/*.toml` beside it; [`parse_str`] needs no file system. Below them `document`
//! walks the TOML tree with its positions, `gateway`, `connection` and `tunnel` read one table each, [`lifetimes`], [`certificates`] and [`bgp`] a group of keys, `values` one
//! value each; [`presets`] holds what differs between clouds, [`prices`] what they bill, and [`lint`] what is allowed but unwise.

pub mod bgp;
pub mod ceilings;
pub mod certificates;
mod connection;
mod document;
pub mod error;
mod gateway;
pub mod lifetimes;
pub mod lint;
mod load;
mod locate;
pub mod model;
mod options;
pub mod presets;
pub mod prices;
pub mod secret;
mod suggest;
mod tunnel;
mod unique;
mod values;

pub use error::{ConfigError, ConfigErrors};
pub use load::{Loaded, Source, load, parse_sources, parse_str, sources, sources_beside};
pub use model::Config;
pub use options::{DEFAULT_CONFIG, DEFAULT_SOCKET, DEFAULT_STATE, RunOptions};
pub use secret::{FileKind, FileSecrets, NoSecrets, SecretError, SecretSource};
