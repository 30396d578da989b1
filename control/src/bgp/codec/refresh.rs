//! ROUTE-REFRESH (RFC 2918): the peer wants our routes once more.

use super::family::Family;
use super::iana::MessageType;
use super::reader::Reader;
use super::writer;

/// A request for the routes of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteRefresh {
    /// Of which family.
    pub family: Family,
}

impl RouteRefresh {
    /// Reads the body; `None` for a family that was not agreed on or a subtype (RFC 7313) that was not offered, which
    /// RFC 2918 §4 has us ignore.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let mut r = Reader::new(body);
        let (afi, subtype, safi) = (r.u16()?, r.u8()?, r.u8()?);
        Family::from_iana(afi, safi).filter(|_| subtype == NORMAL).map(|family| Self { family })
    }

    /// The message.
    pub fn emit(self) -> Vec<u8> {
        let [high, low] = self.family.afi().to_be_bytes();
        writer::message(MessageType::ROUTE_REFRESH, &[high, low, NORMAL, self.family.safi()])
    }
}

/// A request; the other subtypes mark begin and end of an answer.
const NORMAL: u8 = 0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bgp::codec::Frame;

    #[test]
    fn a_request_is_read_as_it_is_written_and_anything_else_ignored() {
        for family in Family::ALL {
            let octets = RouteRefresh { family }.emit();
            let (frame, _) = Frame::split(&octets).unwrap().unwrap();
            assert_eq!(RouteRefresh::parse(frame.body), Some(RouteRefresh { family }));
        }
        for other in [[0, 1, 1, 1], [0, 1, 0, 2], [0, 25, 0, 70], [255; 4]] {
            assert_eq!(RouteRefresh::parse(&other), None);
        }
    }
}
