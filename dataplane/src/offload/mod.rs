//! Work that the host leaves to its network devices: cutting a super-packet into what fits the path ([`split`]), and putting
//! consecutive packets of a flow together again ([`coalesce`]), as the virtio header before each packet says ([`virtio`]).

pub mod coalesce;
mod fields;
mod flow;
pub mod split;
pub mod virtio;
