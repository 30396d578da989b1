//! The text for the vendor "Generic": `- Name : value` below headings, once a tunnel.

use super::super::super::Refused;
use super::super::super::found::{FoundConnection, FoundTunnel};
use super::super::super::json::{address, psk};
use super::{is_placeholder, our_address, value};
use crate::config::model::{Psk, Routing};

/// What was read of the tunnel whose endpoint is still to come.
#[derive(Default)]
struct Section {
    heading: Heading,
    psk: Option<Psk>,
}

/// Two headings have lines of the same names below them.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Heading {
    #[default]
    Other,
    Outside,
    Inside,
}

pub(super) fn read(text: &str, found: &mut FoundConnection) -> Result<(), Refused> {
    let mut section = Section::default();
    for line in text.lines() {
        section.take(line, found)?;
    }
    Ok(())
}

impl Section {
    fn take(&mut self, line: &str, found: &mut FoundConnection) -> Result<(), Refused> {
        let Some((name, _)) = line.trim_start_matches([' ', '\t', '-', '!', '*']).split_once(':') else {
            self.heading = heading(line).unwrap_or(self.heading);
            return Ok(());
        };
        self.heading = heading(line).unwrap_or(self.heading);
        let Some(value) = value(line) else { return Ok(()) };
        let owner = found.name.clone();
        let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
        match (name.as_str(), self.heading) {
            ("Pre-Shared Key", _) => self.psk = psk(value),
            ("Customer Gateway", Heading::Outside) => our_address(found, value)?,
            ("Virtual Private Gateway", Heading::Outside) => {
                let psk = self.psk.take();
                found.tunnels.push(FoundTunnel { psk, ..FoundTunnel::to(address(&owner, value)?) });
            }
            ("Customer Gateway", Heading::Inside) => {
                let inside = value.parse().map_err(|_| Refused::value(&owner, "inside address", value))?;
                set(found, |tunnel| tunnel.inside = Some(inside));
            }
            ("Virtual Private Gateway", Heading::Inside) => {
                let inside = address(&owner, value)?;
                set(found, |tunnel| tunnel.peer_inside = Some(inside));
            }
            ("Customer Gateway ASN", _) if !is_placeholder(value) => found.asn = Some(number(&owner, value)?),
            ("Virtual Private Gateway ASN", _) => {
                let asn = number(&owner, value)?;
                found.routing = Routing::Bgp;
                set(found, |tunnel| tunnel.peer_asn = Some(asn));
            }
            ("Neighbor Hold Time", _) => found.hold_time = value.parse().ok(),
            _ => {}
        }
        Ok(())
    }
}

fn heading(line: &str) -> Option<Heading> {
    let line = line.trim().trim_end_matches(':');
    match line {
        "Outside IP Addresses" => Some(Heading::Outside),
        "Inside IP Addresses" => Some(Heading::Inside),
        _ if line.starts_with('#')
            || line.starts_with("IPSec Tunnel")
            || line.starts_with("IPsec Tunnel") =>
        {
            Some(Heading::Other)
        }
        _ => None,
    }
}

/// Changes the tunnel that is being read.
fn set(found: &mut FoundConnection, change: impl FnOnce(&mut FoundTunnel)) {
    if let Some(tunnel) = found.tunnels.last_mut() {
        change(tunnel);
    }
}

fn number(owner: &str, text: &str) -> Result<u32, Refused> {
    text.parse().map_err(|_| Refused::value(owner, "AS number", text))
}
