//! A table `[connection.NAME]`.

use core::ops::RangeInclusive;
use core::time::Duration;

use gotthard_ike::config::{Encapsulation, Mode};

use super::bgp::{Bgp, Policy};
use super::ceilings::Ceilings;
use super::certificates::{self, Certificates};
use super::document::{Table, Value};
use super::lifetimes::Lifetimes;
use super::model::{Connection, Gateway, Routing};
use super::presets::{Cloud, DPD_INTERVAL, PROBE_INTERVAL, REPLAY_WINDOW};
use super::secret::SecretSource;
use super::tunnel;
use super::unique::Taken;
use super::values;

/// What reading one connection needs of the rest of the configuration.
pub(super) struct Surroundings<'s, 'a> {
    pub(super) gateway: &'s Gateway,
    pub(super) secrets: &'s dyn SecretSource,
    pub(super) taken: &'s mut Taken<'a>,
    /// Tunnels before this connection's, in all files.
    pub(super) tunnels_before: usize,
}

/// Reads the table; every mistake in it is reported. A `Some` with errors reported beside it is thrown away.
pub(super) fn read<'a>(
    name: &str,
    table: Table<'a>,
    around: &mut Surroundings<'_, 'a>,
) -> Option<Connection> {
    if !values::is_name(name) {
        table.place().refuse(format!("{} cannot name a connection", values::shown(name)), values::NAME_RULE);
    }
    let cloud = table.read("cloud", |value| values::choice(value, &Cloud::ALL.map(|c| (c.name(), c))));
    let cloud = cloud.unwrap_or(Cloud::Generic);
    let preset = cloud.preset();
    let routing = table.require("routing", ROUTING_REMEDY, |value| values::choice(value, &ROUTING));
    let remote = remote(&table, routing);
    if routing == Some(Routing::Bgp) && around.gateway.asn.is_none() {
        table.place().refuse(
            "routing is \"bgp\", but our AS number is not known",
            "write asn = 65010 (your own) below [gateway]",
        );
    }
    let policy = Policy::read(&table, routing, cloud);
    let bgp = Bgp::read(&table, routing, around.secrets);
    let ecmp = table.read("ecmp", Value::boolean);
    let mode = table.read("mode", |value| values::choice(value, &MODES));
    let encapsulation = table.read("encapsulation", |value| values::choice(value, &ENCAPSULATIONS));
    let suites = table.read("suites", |value| values::suites(value, "aes256gcm16-sha256-ecp256"));
    let esp = table.read("esp", |value| values::suites(value, "aes256gcm16-ecp256"));
    let mtu = table.read("mtu", |value| u16::try_from(value.integer(&MTU)?).ok());
    let lifetimes = Lifetimes::read(&table, preset.lifetimes);
    let dpd_interval = table.read("dpd_interval", |value| values::duration(value, &DPD));
    let probe_interval = table.read("probe_interval", |value| values::duration(value, &PROBE));
    let replay_window = table.read("replay_window", |value| u32::try_from(value.integer(&REPLAY)?).ok());
    let peer_replay_window =
        table.read("peer_replay_window", |value| u32::try_from(value.integer(&REPLAY)?).ok());
    let ceilings = Ceilings::read(&table, cloud);
    let auth = auth(&table, around.secrets);
    let tunnels = tunnel::read_all(&table, cloud, routing, &auth, around);
    table.finish();
    Some(Connection {
        name: name.to_owned(),
        cloud,
        routing: routing?,
        remote: remote.unwrap_or_default(),
        policy,
        bgp,
        ecmp: ecmp.unwrap_or(routing == Some(Routing::Bgp)),
        mode: mode.unwrap_or(Mode::Initiator),
        encapsulation: encapsulation.unwrap_or(Encapsulation::Udp),
        suites: suites.unwrap_or(preset.suites),
        esp: esp.unwrap_or(preset.esp),
        mtu: mtu.unwrap_or(preset.mtu),
        lifetimes,
        dpd_interval: dpd_interval.unwrap_or(DPD_INTERVAL),
        probe_interval: probe_interval.unwrap_or(PROBE_INTERVAL),
        replay_window: replay_window.unwrap_or(REPLAY_WINDOW),
        peer_replay_window: peer_replay_window.unwrap_or(preset.peer_replay_window),
        ceilings,
        tunnels: tunnels?,
    })
}

/// How the tunnels of a connection prove who they are, as far as the connection says it.
pub(super) enum Auth {
    /// By pre-shared keys, one each.
    Psk,
    /// By certificates; `None` where a file of them is refused.
    Certificates(Option<Certificates>),
}

fn auth(table: &Table<'_>, secrets: &dyn SecretSource) -> Auth {
    let by_certificate = table.read("auth", |value| values::choice(value, &AUTHS)).unwrap_or_default();
    if by_certificate {
        return Auth::Certificates(Certificates::read(table, secrets));
    }
    certificates::refuse_without(table);
    Auth::Psk
}

/// `remote` is for static routing, and static routing needs it.
fn remote(table: &Table<'_>, routing: Option<Routing>) -> Option<Vec<ipnet::IpNet>> {
    let value = table.value("remote");
    match (routing, &value) {
        (Some(Routing::Static), None) => table.missing("remote", REMOTE_REMEDY),
        (Some(Routing::Static), Some(value)) => {
            let prefixes = values::prefixes(value, "10.200.0.0/16")?;
            return if prefixes.is_empty() {
                value.refuse("is empty", REMOTE_REMEDY)
            } else {
                Some(prefixes)
            };
        }
        (Some(Routing::Bgp | Routing::External), Some(value)) => return misplaced(value),
        (None, Some(value)) => return values::prefixes(value, "10.200.0.0/16"),
        (_, None) => {}
    }
    None
}

fn misplaced<T>(value: &Value<'_>) -> Option<T> {
    value.refuse("is for routing = \"static\" only", "remove it, or write routing = \"static\"")
}

/// Whether it is certificates.
const AUTHS: [(&str, bool); 2] = [("psk", false), ("cert", true)];
const ROUTING: [(&str, Routing); 3] =
    [("bgp", Routing::Bgp), ("static", Routing::Static), ("external", Routing::External)];
const MODES: [(&str, Mode); 2] = [("initiator", Mode::Initiator), ("responder", Mode::Responder)];
const ENCAPSULATIONS: [(&str, Encapsulation); 3] =
    [("auto", Encapsulation::Auto), ("udp", Encapsulation::Udp), ("esp", Encapsulation::Esp)];

const ROUTING_REMEDY: &str = "write routing = \"static\" (with remote = […]), \"bgp\" or \"external\"";
const REMOTE_REMEDY: &str = "write the prefixes behind the cloud: remote = [\"10.200.0.0/16\"]";

/// From what every IPv4 host takes (RFC 791) to a jumbo frame.
const MTU: RangeInclusive<u64> = 576..=9000;
/// From the least that RFC 4303 §3.4.3 allows to what a cloud's many cores reorder.
const REPLAY: RangeInclusive<u64> = 32..=8192;
const DPD: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(1);
const PROBE: RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_mins(1);
