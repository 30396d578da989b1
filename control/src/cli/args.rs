//! The commands and their options.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ipnet::IpNet;

use crate::api::messages::Target;
use crate::config::{DEFAULT_CONFIG, DEFAULT_SOCKET, DEFAULT_STATE};
use crate::doctor::drop_in;
use crate::import::{self, Answers};

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
    /// Watch tunnels, rates and events on the whole terminal; q ends it
    Top,
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
    /// Copy a tunnel's packets to a file that Wireshark reads, with why one was dropped
    Capture(CaptureArgs),
    /// Show what happened, the last thousand events
    Events(EventsArgs),
    /// Have the daemon read its configuration again; untouched tunnels keep every SA
    Reload,
    /// Explain the code of a failure or an event: what it means, where it shows, what to change; without a code, list them
    Explain {
        /// As the log and `status` have it: GTH-IKE-01
        code: Option<String>,
    },
    /// Print the configuration of a connection from the file that the cloud hands out, or add it to ours
    Import(ImportArgs),
    /// Print the BGP neighbours of a configuration for FRR or BIRD beside us
    Export(ExportArgs),
    /// Look at this host: why it does not work, and how to mend it; exits with 1 where there is a problem
    Doctor(DoctorArgs),
    /// The keys of SAs, for who decrypts a capture
    Keys {
        /// What to do with them
        #[command(subcommand)]
        what: KeysCommand,
    },
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
    /// Show it again whenever something happens and every second, with rates, until interrupted
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

/// Which events are shown, and how.
#[derive(Clone, Debug, Args)]
pub struct EventsArgs {
    /// Go on with those that come, until interrupted
    #[arg(long)]
    pub follow: bool,
    /// Leave out those up to this number
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    pub since: u64,
    /// The form; with --follow, an object a line
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

/// What `capture` copies, and where to.
#[derive(Clone, Debug, Args)]
pub struct CaptureArgs {
    /// CONNECTION/TUNNEL
    #[arg(value_parser = one_tunnel)]
    pub target: Target,
    /// The packets inside, in clear; the default
    #[arg(long, conflicts_with = "outer")]
    pub inner: bool,
    /// The ESP packets
    #[arg(long)]
    pub outer: bool,
    /// The file; `-`: standard output
    #[arg(long, default_value = "-", value_name = "FILE")]
    pub write: PathBuf,
    /// End after so many packets
    #[arg(long, value_name = "NUMBER")]
    pub count: Option<u64>,
    /// End after this time, such as 30s
    #[arg(long = "for", value_name = "TIME")]
    pub time: Option<humantime::Duration>,
}

/// What `doctor` shows, and whether it writes.
#[derive(Clone, Debug, Args)]
pub struct DoctorArgs {
    /// The form
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// Write the kernel settings that mend what was found to one file, after showing it
    #[arg(long)]
    pub fix: bool,
    /// The file that --fix writes
    #[arg(long, default_value = drop_in::DEFAULT, value_name = "FILE", requires = "fix")]
    pub drop_in: PathBuf,
    /// Where the configuration is
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// What to do with keys.
#[derive(Clone, Debug, Subcommand)]
pub enum KeysCommand {
    /// Write Wireshark's tables of IKEv2 and ESP keys to a folder; needs `debug_keys` below `[gateway]`
    Export(KeysExportArgs),
}

/// Where `keys export` writes.
#[derive(Clone, Debug, Args)]
pub struct KeysExportArgs {
    /// The folder of a Wireshark profile; it is made where there is none
    pub folder: PathBuf,
    /// Replace the tables that are there
    #[arg(long)]
    pub replace: bool,
    /// Where the configuration is
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// What `import` reads, and what becomes of it.
#[derive(Clone, Debug, Args)]
pub struct ImportArgs {
    /// Whose file it is
    #[arg(value_enum)]
    pub cloud: Origin,
    /// The file; `-`: standard input. With Azure and Google, also those of the gateways beside it
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Our name of the connection
    #[arg(long)]
    pub name: Option<String>,
    /// Our outer address
    #[arg(long, value_name = "ADDRESS")]
    pub local: Option<IpAddr>,
    /// Our AS number
    #[arg(long)]
    pub asn: Option<u32>,
    /// A prefix that we offer; once each
    #[arg(long, value_name = "PREFIX")]
    pub advertise: Vec<IpNet>,
    /// A prefix behind the cloud, for static routing; once each
    #[arg(long, value_name = "PREFIX")]
    pub remote: Vec<IpNet>,
    /// The outer address of an endpoint of the cloud's, where the file names none; once each
    #[arg(long, value_name = "ADDRESS")]
    pub peer: Vec<IpAddr>,
    /// Take a connection whose tunnels allow none of our algorithms; it does not come up before the cloud is set otherwise
    #[arg(long)]
    pub legacy: bool,
    /// Write it to conf.d beside the configuration file, and each key to a file of mode 0600
    #[arg(long)]
    pub apply: bool,
    /// Show what --apply would change
    #[arg(long, conflicts_with = "apply")]
    pub dry_run: bool,
    /// Where the configuration is
    #[command(flatten)]
    pub config: ConfigArgs,
}

impl ImportArgs {
    /// What a person knows better than the file.
    pub(super) fn answers(&self) -> Answers {
        Answers {
            name: self.name.clone(),
            local: self.local,
            asn: self.asn,
            advertise: self.advertise.clone(),
            remote: self.remote.clone(),
            peers: self.peer.clone(),
            with_conflicts: self.legacy,
        }
    }
}

/// The clouds whose files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Origin {
    /// AWS: XML or JSON of the connection, Terraform's state, or the text for Generic, strongSwan, Libreswan, VyOS
    Aws,
    /// Azure: the hub's VPN configuration, or the JSON of the connection and its gateways
    Azure,
    /// Google Cloud: the JSON of the tunnels, the gateway and the router
    Gcp,
}

impl From<Origin> for import::Origin {
    fn from(origin: Origin) -> Self {
        match origin {
            Origin::Aws => Self::Aws,
            Origin::Azure => Self::Azure,
            Origin::Gcp => Self::Gcp,
        }
    }
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
