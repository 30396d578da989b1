//! A capture on the control socket: begun by one request, its packets fetched by others. One that nobody asks after ends by
//! itself.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::messages::Target;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureOrder {
    /// One tunnel.
    pub target: Target,
    /// Which of its packets.
    pub layer: Layer,
}

/// Which packets of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// Those inside, in clear.
    Inner,
    /// ESP, with its outer headers.
    Outer,
}

/// What came since the last request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturePage {
    /// Name of the tunnel's device.
    pub interface: String,
    /// The packets, in the order in which they were seen.
    pub packets: Vec<CapturedPacket>,
    /// How many were lost because nobody fetched them in time.
    pub lost: u64,
}

/// One packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturedPacket {
    /// When it was seen, since 1970.
    pub time: Duration,
    /// From the host to the peer.
    pub outbound: bool,
    /// The IP packet, two hexadecimal digits an octet.
    pub octets: String,
    /// Why it went no further.
    pub comment: Option<String>,
}

impl CapturedPacket {
    /// Octets as digits.
    pub fn encode(octets: &[u8]) -> String {
        let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
        octets.iter().flat_map(|octet| [digit(octet >> 4), digit(octet & 0xf)]).collect()
    }

    /// Digits as octets; `None`: they are not ours.
    pub fn decode(&self) -> Option<Vec<u8>> {
        let digits: Option<Vec<u8>> =
            self.octets.chars().map(|c| u8::try_from(c.to_digit(16)?).ok()).collect();
        let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
        Some(digits.chunks(2).map(|pair| pair.iter().fold(0, |octet, digit| octet << 4 | digit)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_survive_the_way_there_and_back() {
        let all: Vec<u8> = (0..=255).collect();
        let packet =
            |octets: String| CapturedPacket { time: Duration::ZERO, outbound: true, octets, comment: None };
        assert_eq!(packet(CapturedPacket::encode(&all)).decode(), Some(all));
        for bad in ["0", "0g", "é0"] {
            assert_eq!(packet(bad.to_owned()).decode(), None, "{bad}");
        }
    }
}
