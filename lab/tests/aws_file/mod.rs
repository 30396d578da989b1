//! The connection that the importer's tests have from AWS, with a real peer at its other end.

use core::time::Duration;
use std::path::Path;

use anyhow::Result;
use gotthard_lab::cloud::Described;
use gotthard_lab::cloud::described::{End, Running};
use gotthard_lab::site::Site;
use gotthard_lab::status::{Status, Tunnel};
use gotthard_lab::strongswan::posture;
use gotthard_lab::traffic::await_ping;
use gotthard_lab::{Machine, Run, wait};

/// Starts AWS's side as the file says, and puts the file in the run's folder as `aws.xml`.
pub(crate) fn start(run: &Run, site: &Site) -> Result<Running> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../control/tests/import/files/aws.xml");
    let text = std::fs::read_to_string(file)?;
    let running = AWS.start(run, site, &keys(&text))?;
    std::fs::write(run.dir().join("aws.xml"), text)?;
    Ok(running)
}

/// Both tunnels are up, and what is behind the cloud answers.
pub(crate) fn carries(machine: &Machine, site: &Site) -> Result<()> {
    wait::until_true(SOON, "both tunnels to be up", || {
        let status = status(machine)?;
        Ok(status.tunnels().count() == 2 && status.tunnels().all(Tunnel::is_up))
    })?;
    await_ping(&site.lan, AWS.host.0.parse()?, SOON)
}

/// The status of the machine's daemon.
pub(crate) fn status(machine: &Machine) -> Result<Status> {
    // 5 is its exit code while a tunnel is down.
    let asked = machine.command("gotthard").args(["status", "--output", "json"]).output()?;
    Status::parse(&String::from_utf8_lossy(&asked.stdout))
}

/// What the daemon wrote to the journal.
pub(crate) fn journal(machine: &Machine) -> String {
    let read = machine.output("journalctl", &["--unit", "gotthard", "--no-pager", "--output", "cat"]);
    read.unwrap_or_else(|error| error.to_string())
}

/// The keys of the file's tunnels.
fn keys(xml: &str) -> Vec<String> {
    let parts = xml.split("<pre_shared_key>").skip(1).filter_map(|part| part.split('<').next());
    parts.map(|key| key.trim().to_owned()).collect()
}

/// What the file says.
const AWS: Described = Described {
    ours: posture::CUSTOMER_GATEWAY,
    ends: &[
        End { outer: "198.51.100.11", inside: "169.254.10.1", ours_inside: "169.254.10.2/30" },
        End { outer: "198.51.100.12", inside: "169.254.11.1", ours_inside: "169.254.11.2/30" },
    ],
    asns: Some((64512, 65010)),
    policy: None,
    host: ("10.200.0.1", "10.200.0.0/16"),
    inside6: None,
    selected: None,
};
/// How long anything here may take on a busy machine.
pub(crate) const SOON: Duration = Duration::from_mins(1);
