//! Where a gateway keeps what a second one on the same host would collide on.

use std::path::PathBuf;

/// What `gotthard run` is told on its command line or by the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOptions {
    /// The configuration file; `conf.d/*.toml` beside it is read too.
    pub config: PathBuf,
    /// The control socket.
    pub socket: PathBuf,
    /// The state folder.
    pub state: PathBuf,
}

/// Where the configuration is if nobody says otherwise.
pub const DEFAULT_CONFIG: &str = "/etc/gotthard/gotthard.toml";
/// Where the control socket is if nobody says otherwise.
pub const DEFAULT_SOCKET: &str = "/run/gotthard/gotthard.sock";
/// Where the state folder is if nobody says otherwise.
pub const DEFAULT_STATE: &str = "/var/lib/gotthard";
