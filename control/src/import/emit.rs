//! What was found, as TOML of ours with comments.
//!
//! Every value is written by the TOML library from a value of its own type, and every comment on one line, so that nothing in
//! a cloud's file can write a line of the configuration.

use core::fmt::{Display, Write};
use std::net::IpAddr;

use ipnet::IpNet;
use toml::Value;

use super::found::{Found, FoundConnection, FoundTunnel};
use crate::config::model::Routing;

/// Where the keys are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// In the text itself.
    Inline,
    /// In a file each, beside it: [`key_file`].
    Files,
}

/// The text of all connections. `gateway`: with the table `[gateway]`, which a configuration has once.
pub fn emit(found: &Found, gateway: bool, keys: Keys) -> String {
    let mut out = Page::default();
    for remark in &found.remarks {
        out.comment(remark);
    }
    if gateway {
        out.gateway(found);
    }
    let mut peers = Vec::new();
    for connection in &found.connections {
        out.connection(connection, keys, &mut peers);
    }
    out.text
}

/// The file of a tunnel's key, beside the configuration's.
pub fn key_file(connection: &FoundConnection, tunnel: usize) -> String {
    format!("{}-{}.psk", table_name(&connection.name), tunnel + 1)
}

/// The name as the configuration can have it: letters, digits, `-` and `_`.
pub fn table_name(name: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
    let name: String = name.chars().take(MAX_NAME).map(allowed).collect();
    let name = name.trim_matches(['-', '_']);
    if name.is_empty() { "imported".to_owned() } else { name.to_owned() }
}

/// The same for another of that name; no longer than any.
pub(super) fn numbered(name: &str, number: usize) -> String {
    let number = format!("-{number}");
    let kept: String = name.chars().take(MAX_NAME.saturating_sub(number.len())).collect();
    table_name(&kept) + &number
}

#[derive(Default)]
struct Page {
    text: String,
    /// What follows is commented out.
    off: bool,
}

impl Page {
    fn line(&mut self, line: impl Display) {
        let off = if self.off { "# " } else { "" };
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{off}{line}");
    }

    fn gap(&mut self) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
    }

    /// A comment of one line, whatever is in it.
    fn comment(&mut self, comment: &str) {
        let one_line: String = comment.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.line(format_args!("# {one_line}"));
    }

    fn key(&mut self, key: &str, value: impl Into<Value>) {
        let value: Value = value.into();
        self.line(format_args!("{key} = {value}"));
    }

    /// A key that somebody has to fill in.
    fn open(&mut self, key: &str, example: &str, what: &str) {
        self.line(format_args!("# {key} = {example}   # not in the file: {what}"));
    }

    fn gateway(&mut self, found: &Found) {
        let used = || found.connections.iter().filter(|connection| connection.unused.is_none());
        let Some(first) = used().next() else { return };
        self.gap();
        self.line("[gateway]");
        self.local(first);
        for (what, differs) in [
            ("outer addresses", used().any(|other| other.local.is_some() && other.local != first.local)),
            ("AS numbers", used().any(|other| other.asn.is_some() && other.asn != first.asn)),
        ] {
            if differs {
                self.comment(&format!(
                    "the connections below name different {what} of ours; a gateway has one"
                ));
            }
        }
        match first.asn {
            Some(asn) => self.key("asn", i64::from(asn)),
            None if used().any(|connection| connection.routing == Routing::Bgp) => {
                self.open("asn", "65010", "our AS number, as the customer gateway has it");
            }
            None => {}
        }
        let mut advertise: Vec<IpNet> = used().flat_map(|connection| connection.advertise.clone()).collect();
        advertise.sort_unstable();
        advertise.dedup();
        if advertise.is_empty() {
            self.open("advertise", "[\"10.10.0.0/16\"]", "the prefixes of our own network");
        } else {
            self.key("advertise", prefixes(&advertise));
        }
    }

    /// Our outer address.
    fn local(&mut self, connection: &FoundConnection) {
        match connection.local {
            Some(local) if connection.translated => {
                self.comment(&format!("this host has no address {local}: it is behind a NAT"));
                self.key("local", "auto");
            }
            Some(local) => {
                self.comment("the customer gateway's address; behind a NAT write local = \"auto\"");
                self.key("local", local.to_string());
            }
            None => self.open(
                "local",
                "\"203.0.113.10\"",
                "our outer address; without it the route to the peer decides",
            ),
        }
    }

    fn connection(&mut self, connection: &FoundConnection, keys: Keys, peers: &mut Vec<IpAddr>) {
        self.gap();
        self.reservations(connection);
        self.off = connection.unused.is_some();
        self.line(format_args!("[connection.{}]", table_name(&connection.name)));
        self.key("cloud", connection.cloud.name());
        self.key("routing", connection.routing.name());
        self.routes(connection);
        self.proofs(connection);
        if connection.tunnels.is_empty() {
            self.open("[[connection.NAME.tunnel]] with peer", "\"198.51.100.11\"", "the cloud's endpoints");
        }
        for (number, tunnel) in connection.tunnels.iter().enumerate() {
            let was_off = self.off;
            self.gap();
            if peers.contains(&tunnel.peer) && !was_off {
                self.comment(&format!(
                    "{} is another tunnel's endpoint already: this one is left out",
                    tunnel.peer
                ));
                self.off = true;
            } else if !was_off {
                peers.push(tunnel.peer);
            }
            self.tunnel(connection, number, tunnel, keys);
            self.off = was_off;
        }
        self.off = false;
    }

    /// What a person should know before it is taken.
    fn reservations(&mut self, connection: &FoundConnection) {
        if let Some(state) = &connection.unused {
            let name = table_name(&connection.name);
            self.comment(&format!("the cloud says that {name} is {state}: it is left out"));
        }
        for remark in &connection.remarks {
            self.comment(remark);
        }
        for conflict in &connection.conflicts {
            self.comment(&format!("it does not come up before this is changed: {conflict}"));
        }
    }

    fn routes(&mut self, connection: &FoundConnection) {
        match connection.routing {
            Routing::Static if connection.remote.is_empty() => {
                self.open("remote", "[\"10.200.0.0/16\"]", "the prefixes behind the cloud");
            }
            Routing::Static => self.key("remote", prefixes(&connection.remote)),
            Routing::Bgp | Routing::External => {
                let ours = connection.cloud.hold_time();
                if let Some(seconds) = connection.hold_time.filter(|seconds| *seconds != ours) {
                    self.key("hold_time", format!("{seconds}s"));
                }
            }
        }
    }

    /// What both ends prove themselves and protect packets with.
    fn proofs(&mut self, connection: &FoundConnection) {
        for (key, suites) in [("suites", texts(&connection.suites)), ("esp", texts(&connection.esp))] {
            if !suites.is_empty() {
                self.key(key, suites);
            }
        }
        if connection.certificates {
            self.key("auth", "cert");
            let name = table_name(&connection.name);
            for (key, end) in CERTIFICATE_FILES {
                self.key(key, format!("{name}{end}"));
            }
        }
    }

    fn tunnel(&mut self, connection: &FoundConnection, number: usize, tunnel: &FoundTunnel, keys: Keys) {
        self.line(format_args!("[[connection.{}.tunnel]]", table_name(&connection.name)));
        self.key("name", (number + 1).to_string());
        self.key("peer", tunnel.peer.to_string());
        match tunnel.inside {
            Some(inside) => self.key("inside", inside.to_string()),
            None if connection.routing == Routing::Bgp => {
                self.open("inside", "\"169.254.21.2/30\"", "our address inside the tunnel");
            }
            None => {}
        }
        if let Some(inside6) = tunnel.inside6 {
            self.key("inside6", inside6.to_string());
        }
        if let (Some(peer), Some(_)) = (tunnel.peer_inside, tunnel.inside) {
            self.key("peer_inside", peer.to_string());
        }
        if let Some(asn) = tunnel.peer_asn {
            self.key("peer_asn", i64::from(asn));
        }
        if let Some(local) = connection.local.filter(|_| connection.translated) {
            self.key("local_id", local.to_string());
        }
        if connection.certificates {
            match &tunnel.peer_id {
                Some(subject) => self.key("peer_id", subject.to_string()),
                None => self.open(
                    "peer_id",
                    "\"C=US, ST=WA, L=Seattle, O=Amazon.com, OU=AWS, CN=vpn-0a1b2c3d4e5f60718.endpoint-0\"",
                    "the subject of AWS's certificate, where that has not its address",
                ),
            }
            return;
        }
        match (&tunnel.psk, keys) {
            (Some(psk), Keys::Inline) => self.key("psk", String::from_utf8_lossy(&psk.0).into_owned()),
            (Some(_), Keys::Files) => self.key("psk_file", key_file(connection, number)),
            (None, _) => {
                self.comment(
                    "the file shows no key: write it to this file, of mode 0600, and nothing else into it",
                );
                self.key("psk_file", key_file(connection, number));
            }
        }
    }
}

fn prefixes(prefixes: &[IpNet]) -> Vec<String> {
    texts(prefixes)
}

fn texts(values: &[impl Display]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

/// The files of `auth = "cert"`, by how they end; they begin with the connection's name.
const CERTIFICATE_FILES: [(&str, &str); 3] = [("cert", ".pem"), ("key", ".key"), ("ca", "-ca.pem")];
/// Characters of a connection's name.
const MAX_NAME: usize = 32;
