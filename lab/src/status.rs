//! `gotthard status --output json` as a script outside the project reads it.
//!
//! Written from the contract, not from the daemon's types: a key that the daemon renames is missing here.

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

/// The whole gateway.
#[derive(Clone, Debug, Deserialize)]
pub struct Status {
    /// How packets are moved.
    pub dataplane: Dataplane,
    /// Its connections.
    pub connections: Vec<Connection>,
}

/// How packets are moved.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Dataplane {
    /// `io_uring` or `syscalls`.
    pub backend: String,
    /// Threads that move packets.
    pub workers: usize,
    /// Of `tso`, `uso`, `udp_segment`, `udp_gro` those that are in use.
    pub offloads: Vec<String>,
    /// What encrypts AES-CBC.
    pub cbc: String,
}

/// One connection.
#[derive(Clone, Debug, Deserialize)]
pub struct Connection {
    /// Its name.
    pub name: String,
    /// `up`, `degraded` or `down`.
    pub state: String,
    /// Its tunnels.
    pub tunnels: Vec<Tunnel>,
}

/// One tunnel.
#[derive(Clone, Debug, Deserialize)]
pub struct Tunnel {
    /// Its name.
    pub name: String,
    /// Its TUN device.
    pub interface: String,
    /// `up`, `connecting`, `down` or `admin-down`.
    pub state: String,
    /// True where routes point into it.
    pub active: bool,
    /// The IKE SA.
    pub ike: Ike,
    /// The child SA.
    pub esp: Esp,
    /// The BGP session; `None` where routing is not by BGP.
    pub bgp: Option<Bgp>,
    /// The first broken link of the chain.
    pub broken: Option<Broken>,
    /// What breaks nothing and should be known.
    pub notes: Vec<Note>,
}

/// The IKE SA.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Ike {
    /// `established`, `connecting` or `down`.
    pub state: String,
    /// Negotiated transforms.
    pub suite: Option<String>,
    /// Initiator's SPI in hexadecimal.
    pub spi_i: Option<String>,
    /// Responder's SPI in hexadecimal.
    pub spi_r: Option<String>,
    /// Rekeys.
    pub rekeys: u64,
    /// Where a NAT was seen.
    pub nat: Option<String>,
}

/// The child SA and the tunnel's counters.
#[derive(Clone, Debug, Deserialize)]
pub struct Esp {
    /// `up` or `down`.
    pub state: String,
    /// Negotiated transforms.
    pub suite: Option<String>,
    /// `udp` or `esp`.
    pub encapsulation: Option<String>,
    /// Extended sequence numbers.
    pub esn: Option<bool>,
    /// The SPI that we receive with, in hexadecimal.
    pub spi_in: Option<String>,
    /// The SPI that the peer receives with, in hexadecimal.
    pub spi_out: Option<String>,
    /// Largest inner packet.
    pub mtu: Option<usize>,
    /// What the MSS of TCP over IPv4 is clamped to.
    pub mss: Option<u16>,
    /// Rekeys.
    pub rekeys: u64,
    /// Packets received.
    pub rx_packets: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Packets dropped.
    pub drops: Drops,
}

/// Packets dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Drops {
    /// Seen before, or too old.
    pub replay: u64,
    /// Integrity check failed.
    pub icv: u64,
}

/// The BGP session.
#[derive(Clone, Debug, Deserialize)]
pub struct Bgp {
    /// `established`, or how far it is.
    pub state: String,
    /// The peer's AS number.
    pub peer_asn: u32,
    /// Prefixes that are taken of the peer.
    pub received: u64,
    /// Prefixes that the peer was told.
    pub sent: u64,
    /// Why it is not established.
    pub error: Option<String>,
}

/// The first broken link.
#[derive(Clone, Debug, Deserialize)]
pub struct Broken {
    /// `ike`, `esp`, `probe`, `bgp` or `routes`.
    pub link: String,
    /// Stable code.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

/// What breaks nothing and should be known.
#[derive(Clone, Debug, Deserialize)]
pub struct Note {
    /// Stable code.
    pub code: String,
    /// What is seen.
    pub message: String,
}

impl Status {
    /// Reads the object and holds it against the contract.
    pub fn parse(text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text).with_context(|| text.to_owned())?;
        check(&value).with_context(|| text.to_owned())?;
        Ok(serde_json::from_value(value)?)
    }

    /// Every tunnel of every connection.
    pub fn tunnels(&self) -> impl Iterator<Item = &Tunnel> {
        self.connections.iter().flat_map(|connection| &connection.tunnels)
    }

    /// The place in the file of the one tunnel that routes point into. Which of two equal tunnels that is, is decided
    /// by which is up first.
    pub fn active(&self) -> Result<usize> {
        let active: Vec<_> = self.tunnels().zip(0..).filter(|(tunnel, _)| tunnel.active).collect();
        ensure!(active.len() == 1, "{} tunnels are active", active.len());
        active.first().map(|(_, index)| *index).context("active tunnel")
    }

    /// The tunnel at this place in the file.
    pub fn tunnel(&self, index: usize) -> Result<&Tunnel> {
        self.tunnels().nth(index).with_context(|| format!("tunnel {index}"))
    }
}

impl Tunnel {
    /// True if both links of the chain hold.
    pub fn is_up(&self) -> bool {
        self.state == "up" && self.ike.state == "established" && self.esp.state == "up"
    }

    /// True if its BGP session is established.
    pub fn is_established(&self) -> bool {
        self.bgp.as_ref().is_some_and(|bgp| bgp.state == "established")
    }

    /// The broken link in one line, empty where all hold.
    pub fn trouble(&self) -> String {
        let Some(broken) = &self.broken else { return String::new() };
        format!("{} {}: {}", broken.code, broken.message, broken.remedy)
    }
}

/// Fails where a key of the contract is missing or its value is of another kind.
fn check(value: &Value) -> Result<()> {
    ensure!(value["schema_version"] == 1, "schema_version is {}", value["schema_version"]);
    expect(value, "/dataplane", DATAPLANE)?;
    expect(value, "/ike_refused", IKE_REFUSED)?;
    expect(value, "/traffic", &[("this_month", "object"), ("last_month", "any")])?;
    for cloud in value["traffic"]["this_month"]["clouds"].as_array().context("clouds")? {
        expect(cloud, "", CLOUD)?;
    }
    for offload in value["dataplane"]["offloads"].as_array().context("offloads")? {
        ensure!(offload.as_str().is_some_and(|name| OFFLOADS.contains(&name)), "{offload} is no offload");
    }
    for connection in value["connections"].as_array().context("connections")? {
        expect(connection, "", &[("name", "string"), ("state", "up|degraded|down"), ("tunnels", "array")])?;
        for tunnel in connection["tunnels"].as_array().context("tunnels")? {
            expect(tunnel, "", TUNNEL)?;
            for (part, keys) in [("ike", IKE), ("esp", ESP), ("probe", PROBE)] {
                expect(tunnel, &format!("/{part}"), keys)?;
            }
            expect(tunnel, "/esp/drops", &[("replay", "number"), ("icv", "number")])?;
            if tunnel["state"] == "up" {
                up_means_all_is_known(tunnel)?;
            }
        }
    }
    Ok(())
}

/// What may be null in a tunnel that is down is known in one that is up.
fn up_means_all_is_known(tunnel: &Value) -> Result<()> {
    for key in ["/ike/suite", "/ike/spi_i", "/ike/spi_r", "/ike/nat", "/esp/suite", "/esp/encapsulation"]
        .into_iter()
        .chain(["/esp/spi_in", "/esp/spi_out"])
    {
        ensure!(tunnel.pointer(key).is_some_and(Value::is_string), "{key} of a tunnel that is up");
    }
    for key in ["/esp/mtu", "/esp/mss"] {
        ensure!(tunnel.pointer(key).is_some_and(Value::is_u64), "{key} of a tunnel that is up");
    }
    Ok(())
}

fn expect(object: &Value, at: &str, keys: &[(&str, &str)]) -> Result<()> {
    for (key, kind) in keys {
        let path = format!("{at}/{key}");
        let Some(value) = object.pointer(&path) else { bail!("no key {path}") };
        let right = match *kind {
            "string" => value.is_string(),
            "number" => value.is_u64(),
            "bool" => value.is_boolean(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            "any" => true,
            words => value.as_str().is_some_and(|word| words.split('|').any(|one| one == word)),
        };
        ensure!(right, "{path} is {value}, not {kind}");
    }
    Ok(())
}

const DATAPLANE: &[(&str, &str)] =
    &[("backend", "io_uring|syscalls"), ("workers", "number"), ("offloads", "array"), ("cbc", "string")];

const CLOUD: &[(&str, &str)] = &[
    ("cloud", "aws|azure|gcp|generic"),
    ("in_bytes", "number"),
    ("out_bytes", "number"),
    ("connection_s", "number"),
    ("cost", "any"),
    ("currency", "string"),
];

const IKE_REFUSED: &[(&str, &str)] = &[
    ("malformed", "number"),
    ("unknown_spi", "number"),
    ("unknown_peer", "number"),
    ("integrity", "number"),
];

const OFFLOADS: &[&str] = &["tso", "uso", "udp_segment", "udp_gro"];

const TUNNEL: &[(&str, &str)] = &[
    ("name", "string"),
    ("peer", "string"),
    ("interface", "string"),
    ("state", "up|connecting|down|admin-down"),
    ("active", "bool"),
    ("since_s", "number"),
    ("ike", "object"),
    ("esp", "object"),
    ("probe", "object"),
    ("bgp", "any"),
    ("broken", "any"),
    ("notes", "array"),
];

const IKE: &[(&str, &str)] = &[
    ("state", "established|connecting|down"),
    ("suite", "any"),
    ("spi_i", "any"),
    ("spi_r", "any"),
    ("rekeys", "number"),
    ("nat", "any"),
];

const ESP: &[(&str, &str)] = &[
    ("state", "up|down"),
    ("suite", "any"),
    ("encapsulation", "any"),
    ("mtu", "any"),
    ("mss", "any"),
    ("esn", "any"),
    ("spi_in", "any"),
    ("spi_out", "any"),
    ("rekeys", "number"),
    ("rx_packets", "number"),
    ("rx_bytes", "number"),
    ("tx_packets", "number"),
    ("tx_bytes", "number"),
    ("drops", "object"),
];

const PROBE: &[(&str, &str)] = &[("state", "string"), ("rtt_ms", "any")];
