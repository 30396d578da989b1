//! The commands and their options.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::api::messages::Target;
use crate::config::{DEFAULT_CONFIG, DEFAULT_SOCKET, DEFAULT_STATE};

/// Terminates cloud site-to-site VPNs (AWS, Azure, GCP, any IKEv2 gateway).
#[derive(Debug, Parser)]
#[command(name = "gotthard", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// The daemon's control socket
    #[arg(long, global = true, env = "GOTTHARD_SOCKET", default_value = DEFAULT_SOCKET, value_name = "FILE")]
    pub socket: PathBuf,
    /// The daemon's state folder
    #[arg(long, global = true, env = "GOTTHARD_STATE", default_value = DEFAULT_STATE, value_name = "FOLDER")]
    pub state: PathBuf,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Be the daemon, in the foreground
    Run {
        /// Where the configuration is
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Read and check a configuration; changes nothing
    Check {
        /// Where the configuration is
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Show how the connections are; exits with 5 unless all are up
    Status(StatusArgs),
    /// Show the prefixes behind the peers, the ways to each, which is used and why the others are not
    Routes(RoutesArgs),
    /// Want a connection or tunnel up
    Up {
        /// CONNECTION or CONNECTION/TUNNEL
        target: Target,
    },
    /// Want a connection or tunnel down
    Down {
        /// CONNECTION or CONNECTION/TUNNEL
        target: Target,
    },
    /// Rekey a tunnel now; traffic goes on
    Rekey(RekeyArgs),
    /// Test the failover of a live connection: its traffic leaves a tunnel and comes back
    Drill(DrillArgs),
    /// Have the daemon read its configuration again; untouched tunnels keep every SA
    Reload,
    /// Explain a failure code: what it means, where it shows, what to change; without a code, list them
    Explain {
        /// As the log and `status` have it: GTH-IKE-01
        code: Option<String>,
    },
    /// Print the BGP neighbours of a configuration for FRR or BIRD beside us
    Export(ExportArgs),
    /// Build a cloud side and a gateway side in namespaces, move traffic, fail over, show what was measured
    Demo,
}

/// Where the configuration is.
#[derive(Clone, Debug, Args)]
pub struct ConfigArgs {
    /// The configuration file; conf.d/*.toml beside it is read too
    #[arg(long, default_value = DEFAULT_CONFIG, value_name = "FILE")]
    pub config: PathBuf,
}

/// What `rekey` rekeys.
#[derive(Clone, Debug, Args)]
pub struct RekeyArgs {
    /// CONNECTION/TUNNEL
    #[arg(value_parser = one_tunnel)]
    pub target: Target,
    /// The IKE SA (phase 1) instead of the child SA (phase 2)
    #[arg(long)]
    pub ike: bool,
    /// Do not wait for the rekey to end
    #[arg(long)]
    pub no_wait: bool,
}

/// What `status` shows, and how.
#[derive(Clone, Debug, Args)]
pub struct StatusArgs {
    /// A connection; default: all
    pub name: Option<String>,
    /// The form
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// Show it again every second, with rates, until interrupted
    #[arg(long)]
    pub watch: bool,
}

/// What `routes` shows, and how.
#[derive(Clone, Debug, Args)]
pub struct RoutesArgs {
    /// A connection; default: all
    pub connection: Option<String>,
    /// The form
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

/// What `drill` tests, and how.
#[derive(Clone, Debug, Args)]
pub struct DrillArgs {
    /// The connection
    pub connection: String,
    /// A host behind the cloud that answers echoes; default: the peer, in whichever tunnel carries
    #[arg(long, value_name = "ADDRESS")]
    pub target: Option<IpAddr>,
    /// Our address towards the target, one that the cloud answers to
    #[arg(long, value_name = "ADDRESS", requires = "target")]
    pub source: Option<IpAddr>,
    /// Echoes a second
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rate: u32,
    /// The form
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

/// What `export` prints.
#[derive(Clone, Debug, Args)]
pub struct ExportArgs {
    /// The daemon that is to read it
    #[arg(value_enum)]
    pub daemon: Daemon,
    /// A connection; default: all whose routing is "external" or "bgp"
    pub connection: Option<String>,
    /// Where the configuration is
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// The routing daemons that `export` writes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Daemon {
    /// FRRouting, 8 and later
    Frr,
    /// BIRD, 2.0.8 and later
    Bird,
}

/// Forms of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Table,
    /// For programs: one object, the same keys in every version
    Json,
}

fn one_tunnel(text: &str) -> Result<Target, String> {
    let target: Option<Target> = text.parse().ok();
    target
        .filter(|target| target.tunnel.is_some())
        .ok_or_else(|| "write CONNECTION/TUNNEL, such as aws-prod/1".to_owned())
}

const EXIT_CODES: &str =
    "Exit codes: 0 ok, 1 failed, 2 usage, 3 daemon unreachable, 4 configuration invalid, 5 degraded or down";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
