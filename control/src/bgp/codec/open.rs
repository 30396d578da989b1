//! OPEN (RFC 4271 §4.2, §6.2), with long optional parameters (RFC 9072). Whether its sender is the configured peer is for
//! the session to judge.

use std::net::Ipv4Addr;

use super::capability::Capabilities;
use super::iana::{AS_TRANS, ErrorCode, MessageType, open_error};
use super::notification::Notification;
use super::reader::Reader;
use super::writer;

/// What a speaker says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// Its AS number: the four-octet one where it has said so (RFC 6793 §4.1).
    pub asn: u32,
    /// Seconds without a word after which it gives the session up; 0: never.
    pub hold_time: u16,
    /// Its BGP Identifier, any number but 0 (RFC 6286).
    pub identifier: Ipv4Addr,
    /// What it can do.
    pub capabilities: Capabilities,
}

impl Open {
    /// Reads the body of a message.
    pub fn parse(body: &[u8]) -> Result<Self, Notification> {
        let mut r = Reader::new(body);
        let version = r.u8().ok_or(refused(open_error::UNSPECIFIC))?;
        if version != VERSION {
            let data = u16::from(VERSION).to_be_bytes().to_vec();
            return Err(Notification { data, ..refused(open_error::VERSION) });
        }
        let fixed = (r.u16(), r.u16(), r.u32());
        let (Some(asn), Some(hold_time), Some(identifier)) = fixed else {
            return Err(refused(open_error::UNSPECIFIC));
        };
        let capabilities = parameters(&mut r)?;
        let asn = capabilities.four_octet_as.unwrap_or(u32::from(asn));
        let identifier = Ipv4Addr::from_bits(identifier);
        match (asn, hold_time) {
            // AS 0 is nobody's (RFC 7607 §2).
            (0, _) => Err(refused(open_error::BAD_PEER_AS)),
            (_, 1 | 2) => Err(refused(open_error::HOLD_TIME)),
            _ if identifier.is_unspecified() => Err(refused(open_error::BAD_IDENTIFIER)),
            _ => Ok(Self { asn, hold_time, identifier, capabilities }),
        }
    }

    /// The message.
    pub fn emit(&self) -> Vec<u8> {
        let mut body = vec![VERSION];
        body.extend_from_slice(&u16::try_from(self.asn).unwrap_or(AS_TRANS).to_be_bytes());
        body.extend_from_slice(&self.hold_time.to_be_bytes());
        body.extend_from_slice(&self.identifier.octets());
        let capabilities = self.capabilities.write();
        let mut parameters = Vec::new();
        if !capabilities.is_empty() {
            parameters.push(CAPABILITIES);
            writer::block8(&mut parameters, &capabilities);
        }
        writer::block8(&mut body, &parameters);
        writer::message(MessageType::OPEN, &body)
    }
}

/// The optional parameters, to the end of the message.
fn parameters(r: &mut Reader<'_>) -> Result<Capabilities, Notification> {
    let mut read = Capabilities::default();
    let (mut parameters, long) = frame(r).ok_or(refused(open_error::UNSPECIFIC))?;
    while !parameters.is_empty() {
        let kind = parameters.u8();
        let value = if long { parameters.block16() } else { parameters.block8() };
        match (kind, value) {
            (Some(CAPABILITIES), Some(value)) => {
                read.read(value).ok_or(refused(open_error::UNSPECIFIC))?;
            }
            (Some(_), Some(_)) => return Err(refused(open_error::PARAMETER)),
            (Some(_) | None, _) => return Err(refused(open_error::UNSPECIFIC)),
        }
    }
    Ok(read)
}

/// Where the parameters are and whether their lengths have two octets (RFC 9072 §2); `None` where they do not fill the message.
fn frame<'a>(r: &mut Reader<'a>) -> Option<(Reader<'a>, bool)> {
    let short = r.u8()?;
    let long = short != 0 && r.peek().first() == Some(&EXTENDED);
    let parameters = if long {
        r.u8()?;
        r.block16()?
    } else {
        r.take(usize::from(short))?
    };
    r.is_empty().then_some((Reader::new(parameters), long))
}

const fn refused(subcode: u8) -> Notification {
    Notification::new(ErrorCode::OPEN, subcode)
}

/// BGP-4.
const VERSION: u8 = 4;
/// Type of the parameter that holds capabilities (RFC 5492).
const CAPABILITIES: u8 = 2;
/// A first parameter of this type says that all lengths have two octets (RFC 9072).
const EXTENDED: u8 = 255;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bgp::codec::capability::GracefulRestart;
    use crate::bgp::codec::{Families, Frame};

    const OPEN: Open = Open {
        asn: 4_200_000_000,
        hold_time: 30,
        identifier: Ipv4Addr::new(203, 0, 113, 10),
        capabilities: Capabilities {
            families: Some(Families::ALL),
            route_refresh: true,
            four_octet_as: Some(4_200_000_000),
            graceful_restart: Some(GracefulRestart {
                restarting: true,
                notification: true,
                time: 120,
                families: Families::ALL,
                preserved: Families::IPV4,
            }),
        },
    };

    /// The fixed fields of a good OPEN, and `parameters` behind their length.
    fn body(parameters: &[u8]) -> Vec<u8> {
        let mut body = vec![4, 0xfc, 0x00, 0, 30, 192, 0, 2, 1];
        body.push(u8::try_from(parameters.len()).unwrap_or(255));
        [&body[..], parameters].concat()
    }

    fn subcode(body: &[u8]) -> u8 {
        let told = Open::parse(body).unwrap_err();
        assert_eq!(told.code, ErrorCode::OPEN);
        told.subcode
    }

    #[test]
    fn an_open_is_read_as_it_is_written() {
        let octets = OPEN.emit();
        let (frame, rest) = Frame::split(&octets).unwrap().unwrap();
        assert_eq!((frame.kind, rest.len()), (MessageType::OPEN, 0));
        assert_eq!(frame.body[1..3], AS_TRANS.to_be_bytes());
        assert_eq!(Open::parse(frame.body), Ok(OPEN));
        let bare = Open { asn: 64512, capabilities: Capabilities::default(), ..OPEN };
        assert_eq!(Open::parse(&bare.emit()[19..]), Ok(bare));
    }

    #[test]
    fn every_refusal_of_rfc_4271_section_6_2_has_its_subcode() {
        let with = |at: usize, octets: &[u8]| {
            let mut body = body(&[]);
            body[at..at + octets.len()].copy_from_slice(octets);
            body
        };
        assert_eq!(subcode(&with(0, &[3])), open_error::VERSION);
        assert_eq!(Open::parse(&with(0, &[5])).unwrap_err().data, [0, 4]);
        assert_eq!(subcode(&with(1, &[0, 0])), open_error::BAD_PEER_AS);
        assert_eq!(subcode(&body(&[2, 6, 65, 4, 0, 0, 0, 0])), open_error::BAD_PEER_AS);
        assert_eq!(subcode(&with(3, &[0, 1])), open_error::HOLD_TIME);
        assert_eq!(subcode(&with(3, &[0, 2])), open_error::HOLD_TIME);
        assert_eq!(Open::parse(&with(3, &[0, 0])).map(|open| open.hold_time), Ok(0));
        assert_eq!(subcode(&with(5, &[0, 0, 0, 0])), open_error::BAD_IDENTIFIER);
        assert_eq!(subcode(&body(&[1, 1, 0])), open_error::PARAMETER);
    }

    #[test]
    fn parameters_and_capabilities_fill_their_lengths() {
        for parameters in [
            &[2][..],             // a type without its length
            &[2, 1],              // a length beyond the end
            &[2, 1, 1],           // a capability without its length
            &[2, 2, 1, 4],        // a capability beyond its parameter
            &[2, 4, 65, 2, 0, 1], // four-octet AS of two octets
            &[2, 3, 2, 1, 0],     // route refresh with a value
            &[2, 5, 64, 3, 0, 0, 0],
            &[2, 7, 1, 5, 0, 1, 0, 1, 0],
        ] {
            assert_eq!(subcode(&body(parameters)), open_error::UNSPECIFIC, "{parameters:?}");
        }
        assert_eq!(subcode(&[&body(&[])[..], &[0]].concat()), open_error::UNSPECIFIC);
    }

    #[test]
    fn hundreds_of_capabilities_that_nobody_knows_are_passed_over() {
        let many: Vec<u8> =
            (0..=255_u8).filter(|code| ![1, 2, 64, 65].contains(code)).flat_map(|c| [c, 0]).collect();
        let mut long = vec![EXTENDED];
        long.extend_from_slice(&u16::try_from(many.len() + 3).unwrap().to_be_bytes());
        long.push(CAPABILITIES);
        long.extend_from_slice(&u16::try_from(many.len()).unwrap().to_be_bytes());
        long.extend_from_slice(&many);
        let open = Open::parse(&body(&long)).unwrap();
        assert_eq!(open.capabilities, Capabilities::default());
        let short: Vec<u8> = (0..63).flat_map(|_| [2, 2, 200, 0]).collect();
        assert_eq!(Open::parse(&body(&short)).map(|open| open.capabilities), Ok(Capabilities::default()));
    }

    #[test]
    fn families_that_are_not_ours_leave_none() {
        let open = Open::parse(&body(&[2, 6, 1, 4, 0, 25, 0, 70])).unwrap();
        assert_eq!(open.capabilities.families, Some(Families::NONE));
    }

    #[test]
    fn no_octets_make_it_panic() {
        let whole = OPEN.emit()[19..].to_vec();
        for end in 0..whole.len() {
            assert!(Open::parse(&whole[..end]).is_err());
        }
        for at in 0..whole.len() {
            for value in [0, 1, 127, 128, 255] {
                let mut broken = whole.clone();
                broken[at] = value;
                let _ = Open::parse(&broken);
            }
        }
    }
}
