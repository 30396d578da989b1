//! Beside FRR or BIRD (`routing = "external"`): devices whose carrier says what their tunnel is worth, and what of the
//! kernel's routes is theirs.

use std::collections::BTreeMap;

use gotthard_ike::config::PeerId;
use tracing::{info, warn};

use super::gateway::Gateway;
use super::record::{Device, Record};
use crate::config::model::{Connection, Routing};
use crate::failover::carrier::{Carrier, Life};
use crate::failover::facts::{Facts, Wish};
use crate::routes::{KERNEL_PROTOCOL, PROTOCOL};

/// The carrier of a tunnel's device.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    carrier: Carrier,
    /// What the kernel was told last; `None`: nothing, or it refused.
    told: Option<bool>,
}

impl Shown {
    /// Of a tunnel whose connection has another daemon for its routes.
    pub(super) fn of(connection: &Connection) -> Option<Self> {
        let external = connection.routing == Routing::External;
        external.then(|| Self { carrier: Carrier::new(connection.probe_interval), told: None })
    }

    /// The device is new: the kernel gave it a carrier.
    pub(super) const fn forget(&mut self) {
        self.told = None;
    }
}

impl Gateway {
    /// Tells the kernel which devices have a carrier, where that changed.
    pub(super) async fn show_carriers(&mut self) {
        let now = self.clock.now();
        let mut changed: Vec<(PeerId, String, bool)> = Vec::new();
        self.carriers_due = None;
        for record in self.records.values_mut() {
            let life = life(record);
            let Some(shown) = &mut record.shown else { continue };
            let on = shown.carrier.decide(now, life);
            self.carriers_due = self.carriers_due.into_iter().chain(shown.carrier.next()).min();
            if shown.told != Some(on) && record.device == Device::Ready {
                changed.push((record.id, record.tunnel.interface.clone(), on));
            }
        }
        for (id, interface, on) in changed {
            let result = self.table.kernel().set_carrier(&interface, on).await;
            let Some(record) = self.records.get_mut(&id) else { continue };
            record.span().in_scope(|| match &result {
                Ok(()) => info!(interface, carrier = if on { "on" } else { "off" }, "carrier"),
                Err(error) => {
                    warn!(%error, "the daemon beside us does not learn of the tunnel by its carrier");
                }
            });
            if let Some(shown) = &mut record.shown {
                // What the kernel has once refused it refuses again: said once, and not tried before the next change.
                shown.told = Some(on);
            }
        }
    }

    /// How many routes of whom lead into a device: of all but the kernel itself and us.
    pub(super) fn foreign_routes(&self, interface: &str) -> BTreeMap<String, u64> {
        let around = self.table.mirror().around();
        let mut counted = BTreeMap::new();
        let Some(link) = around.links().find(|link| link.name == interface) else { return counted };
        let theirs = around.routes().filter(|known| {
            ![KERNEL_PROTOCOL, PROTOCOL].contains(&known.protocol) && known.route.leads_through(link.index)
        });
        for known in theirs {
            *counted.entry(name_of(known.protocol)).or_default() += 1;
        }
        counted
    }
}

fn life(record: &Record) -> Life {
    // The daemon beside us asks its neighbour through the tunnel: it needs none of what we infer where echoes are not answered.
    let facts = Facts { probe: record.probe_hears(), ..record.facts() };
    match facts.wish {
        Wish::Up if facts.lives() => Life::Lives,
        Wish::Up if facts.may_live() => Life::Silent,
        // Without a carrier the daemon beside us moves the traffic: it has no other way to be asked to.
        Wish::Up | Wish::Drain | Wish::Down => Life::Dead,
    }
}

/// Who a protocol number of rtnetlink(7) belongs to, by iproute2's list.
fn name_of(protocol: u8) -> String {
    let name = match protocol {
        3 => "boot",
        4 => "static",
        9 => "ra",
        11 => "zebra",
        12 => "bird",
        16 => "dhcp",
        42 => "babel",
        84 => "ovn",
        186 => "bgp",
        187 => "isis",
        188 => "ospf",
        189 => "rip",
        192 => "eigrp",
        other => return other.to_string(),
    };
    name.to_owned()
}
