//! The gateway at one moment, handed to the encoder family by family.

use core::fmt::Error;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, EncodeMetric as _, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::{MetricType, TypedMetric as _};
use prometheus_client::registry::Unit;

use super::Meters;
use super::families::{
    FAILOVER_GAP, Family, Kind, MONTH_COST, OF_CLOUD, OF_CONNECTION, OF_GATEWAY, OF_TUNNEL, Value,
};
use crate::api::status::Status;

/// What a page is made of.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// How the gateway is.
    pub status: Status,
    /// The durations so far.
    pub meters: Meters,
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let Self { status, meters } = self;
        for (kind, family) in OF_GATEWAY {
            if let Some(value) = (family.read)(status) {
                put(describe(&mut encoder, *kind, family)?, value)?;
            }
        }
        for row in OF_CONNECTION {
            let all = status.connections.iter().map(|c| ([("connection", c.name.as_str())], c));
            write(&mut encoder, row, all)?;
        }
        for row in OF_TUNNEL {
            let all = status.connections.iter().flat_map(|c| {
                c.tunnels.iter().map(|t| ([("connection", c.name.as_str()), ("tunnel", t.name.as_str())], t))
            });
            write(&mut encoder, row, all)?;
        }
        let clouds = &status.traffic.this_month.clouds;
        for row in OF_CLOUD {
            write(&mut encoder, row, clouds.iter().map(|c| ([("cloud", c.cloud.as_str())], c)))?;
        }
        for row in MONTH_COST {
            let all =
                clouds.iter().map(|c| ([("cloud", c.cloud.as_str()), ("currency", c.currency.as_str())], c));
            write(&mut encoder, row, all)?;
        }
        let (name, help) = FAILOVER_GAP;
        let mut family = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), Histogram::TYPE)?;
        for (connection, histogram) in meters.failovers() {
            histogram.encode(family.encode_family(&[("connection", connection.as_str())])?)?;
        }
        Ok(())
    }
}

/// Writes a family with the value of each thing that has one.
fn write<'a, T: 'a, L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    (kind, family): &(Kind, Family<T>),
    all: impl Iterator<Item = (L, &'a T)>,
) -> Result<(), Error> {
    let mut metric = describe(encoder, *kind, family)?;
    for (labels, thing) in all {
        if let Some(value) = (family.read)(thing) {
            put(metric.encode_family(&labels)?, value)?;
        }
    }
    Ok(())
}

fn describe<'s, T>(
    encoder: &'s mut DescriptorEncoder<'_>,
    kind: Kind,
    family: &'s Family<T>,
) -> Result<MetricEncoder<'s>, Error> {
    let kind = match kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge => MetricType::Gauge,
    };
    encoder.encode_descriptor(family.name, family.help, family.unit.as_ref(), kind)
}

fn put(mut metric: MetricEncoder<'_>, value: Value) -> Result<(), Error> {
    match value {
        Value::Counter(value) => metric.encode_counter::<NoLabelSet, _, u64>(&value, None),
        Value::Whole(value) => metric.encode_gauge(&value),
        Value::Real(value) => metric.encode_gauge(&value),
    }
}
