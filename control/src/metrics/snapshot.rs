//! The gateway at one moment, written family by family.

use super::families::{
    FAILOVER_GAP, Family, Kind, MONTH_COST, OF_CLOUD, OF_CONNECTION, OF_GATEWAY, OF_TUNNEL, REKEYS, Unit,
};
use super::text::{Format, Labels, Text};
use super::{Meters, meters};
use crate::api::status::Status;

/// What a page is made of.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// How the gateway is.
    pub status: Status,
    /// The durations so far.
    pub meters: Meters,
}

impl Snapshot {
    pub(super) fn write(&self, format: Format) -> String {
        let Self { status, meters: durations } = self;
        let connections: Vec<_> =
            status.connections.iter().map(|c| (Labels::of(&[("connection", &c.name)]), c)).collect();
        let tunnels = status.connections.iter().flat_map(|c| c.tunnels.iter().map(move |t| (c, t)));
        let tunnels: Vec<_> =
            tunnels.map(|(c, t)| (Labels::of(&[("connection", &c.name), ("tunnel", &t.name)]), t)).collect();

        let mut text = Text::new(format, FAMILIES + ONE_TUNNEL * tunnels.len());
        for row in OF_GATEWAY {
            write(&mut text, row, &[(Labels::of(&[]), status)]);
        }
        for row in OF_CONNECTION {
            write(&mut text, row, &connections);
        }
        for row in OF_TUNNEL {
            write(&mut text, row, &tunnels);
        }
        let clouds = &status.traffic.this_month.clouds;
        let of_clouds: Vec<_> = clouds.iter().map(|c| (Labels::of(&[("cloud", &c.cloud)]), c)).collect();
        for row in OF_CLOUD {
            write(&mut text, row, &of_clouds);
        }
        let costs = clouds.iter().map(|c| (Labels::of(&[("cloud", &c.cloud), ("currency", &c.currency)]), c));
        let costs: Vec<_> = costs.collect();
        for row in MONTH_COST {
            write(&mut text, row, &costs);
        }
        let durations = durations.of(status.connections.iter().map(|connection| connection.name.as_str()));
        let durations: Vec<_> = connections.iter().map(|(labels, _)| labels).zip(&durations).collect();
        let (name, help) = FAILOVER_GAP;
        let name = text.histograms(name, Some(Unit::Seconds), help, &meters::GAPS);
        for (labels, durations) in &durations {
            durations.gaps.iter().for_each(|gaps| text.histogram(&name, labels, gaps));
        }
        for (sa, (name, help)) in REKEYS {
            let name = text.histograms(name, Some(Unit::Seconds), help, &meters::REKEYS);
            for (labels, durations) in &durations {
                durations.rekeys(sa).into_iter().for_each(|took| text.histogram(&name, labels, took));
            }
        }
        text.end()
    }
}

/// Writes a family with the value of each thing that has one.
fn write<T>(text: &mut Text, (kind, family): &(Kind, Family<T>), all: &[(Labels, &T)]) {
    let name = text.family(family.name, family.unit, *kind, family.help);
    for (labels, thing) in all {
        if let Some(value) = (family.read)(thing) {
            text.sample(&name, labels, value);
        }
    }
}

/// Octets of a page for what there is once, and for a tunnel with all that it may have: room that is taken at once.
const FAMILIES: usize = 8 << 10;
const ONE_TUNNEL: usize = 5 << 10;
