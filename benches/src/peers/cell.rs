//! What is measured: the columns of the tables.

use serde::{Deserialize, Serialize};

use super::bed::{INNER_MTU, Path};
use super::generator::FLOWS;

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "traffic")]
pub(crate) enum Cell {
    /// TCP streams as fast as they go, by iperf3.
    Tcp {
        /// How many.
        flows: u8,
        /// Who sends.
        sender: Sender,
        /// Over which path.
        path: Path,
    },
    /// The highest rate of UDP packets of which at most 1 % are lost.
    Udp {
        /// Octets of the inner packets.
        size: Size,
        /// Over which path.
        path: Path,
    },
    /// The same of [`FLOWS`] flows that send super-packets in turn.
    Flows,
}

/// Which end sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sender {
    /// The client.
    Left,
    /// The server.
    Right,
}

/// Sizes of inner packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Size {
    /// All the same.
    Fixed(u16),
    /// Seven of 64 octets, four of 576 and one of 1400, mixed.
    Imix,
}

impl Cell {
    /// What every candidate is measured with, in the order of the tables.
    pub(crate) const STANDARD: [Self; 11] = [
        tcp(1, Sender::Left, Path::Friendly),
        tcp(1, Sender::Right, Path::Friendly),
        tcp(8, Sender::Left, Path::Friendly),
        tcp(8, Sender::Right, Path::Friendly),
        udp(Size::Fixed(64), Path::Friendly),
        udp(Size::Fixed(512), Path::Friendly),
        udp(Size::Fixed(1400), Path::Friendly),
        udp(Size::Imix, Path::Friendly),
        tcp(1, Sender::Left, Path::Hostile),
        tcp(8, Sender::Left, Path::Hostile),
        udp(Size::Fixed(1400), Path::Hostile),
    ];

    /// All there are.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Self::STANDARD.into_iter().chain([Self::Flows])
    }

    /// The path that it needs.
    pub(crate) fn path(self) -> Path {
        match self {
            Self::Tcp { path, .. } | Self::Udp { path, .. } => path,
            Self::Flows => Path::Friendly,
        }
    }

    /// As the head of a column.
    pub(crate) fn title(self) -> String {
        let hostile = if self.path() == Path::Hostile { ", hostile" } else { "" };
        match self {
            Self::Tcp { flows, sender, .. } => {
                let arrow = if sender == Sender::Left { "→" } else { "←" };
                format!("TCP {flows} {arrow}{hostile}")
            }
            Self::Udp { size: Size::Fixed(size), .. } => format!("UDP {size}{hostile}"),
            Self::Udp { size: Size::Imix, .. } => format!("UDP IMIX{hostile}"),
            Self::Flows => format!("UDP {INNER_MTU}, {FLOWS} flows"),
        }
    }
}

/// One TCP stream from left to right: the figure that everybody asks for first.
pub(crate) const ONE_STREAM: Cell = tcp(1, Sender::Left, Path::Friendly);
/// The same over a path that carries no super-packets.
pub(crate) const ONE_STREAM_HOSTILE: Cell = tcp(1, Sender::Left, Path::Hostile);
/// Eight TCP streams from left to right.
pub(crate) const EIGHT_STREAMS: Cell = tcp(8, Sender::Left, Path::Friendly);
/// UDP packets of full size.
pub(crate) const LARGE_UDP: Cell = udp(Size::Fixed(1400), Path::Friendly);

const fn tcp(flows: u8, sender: Sender, path: Path) -> Cell {
    Cell::Tcp { flows, sender, path }
}

const fn udp(size: Size, path: Path) -> Cell {
    Cell::Udp { size, path }
}

impl Size {
    /// The sizes of the packets that are sent one after another, again and again.
    pub(crate) fn pattern(self) -> Vec<u16> {
        match self {
            Self::Fixed(size) => vec![size],
            Self::Imix => vec![64, 576, 64, 64, 576, 64, 1400, 64, 576, 64, 576, 64],
        }
    }
}
