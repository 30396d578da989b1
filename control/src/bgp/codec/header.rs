//! The header of every message (RFC 4271 §4.1, §6.1), and where in the stream of octets a message ends.

use super::iana::{ErrorCode, MessageType, header_error};
use super::notification::Notification;
use super::reader::Reader;
use super::writer::{self, MARKER};

/// One message of the stream: its type and what is behind its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Type, one of those that RFC 4271 and RFC 2918 define.
    pub kind: MessageType,
    /// What is behind the header; at least as long as the fixed fields of its type.
    pub body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The first message of `stream` and what follows it; `None` while it is not there as a whole.
    ///
    /// The header is judged as soon as it is there: nobody waits for 65,535 octets that a header announces.
    pub fn split(stream: &'a [u8]) -> Result<Option<(Self, &'a [u8])>, Notification> {
        let mut r = Reader::new(stream);
        let (Some(marker), Some(length), Some(kind)) = (r.array(), r.u16(), r.u8()) else { return Ok(None) };
        if marker != MARKER {
            return Err(Notification::new(ErrorCode::HEADER, header_error::NOT_SYNCHRONIZED));
        }
        let kind = MessageType(kind);
        let body = body_length(kind, length)?;
        Ok(r.take(body).map(|body| (Self { kind, body }, r.rest())))
    }
}

/// A KEEPALIVE (RFC 4271 §4.4).
pub fn keepalive() -> Vec<u8> {
    writer::message(MessageType::KEEPALIVE, &[])
}

/// Octets behind the header, where type and length agree.
fn body_length(kind: MessageType, length: u16) -> Result<usize, Notification> {
    let bad_length = || {
        let data = length.to_be_bytes().to_vec();
        Notification { data, ..Notification::new(ErrorCode::HEADER, header_error::BAD_LENGTH) }
    };
    let whole = usize::from(length);
    let body = whole.checked_sub(HEADER).filter(|_| whole <= MAX_MESSAGE).ok_or_else(bad_length)?;
    let (least, most) = match kind {
        MessageType::OPEN => (OPEN_FIXED, MAX_MESSAGE),
        MessageType::UPDATE => (UPDATE_FIXED, MAX_MESSAGE),
        MessageType::NOTIFICATION => (NOTIFICATION_FIXED, MAX_MESSAGE),
        MessageType::KEEPALIVE => (0, 0),
        MessageType::ROUTE_REFRESH => (ROUTE_REFRESH, ROUTE_REFRESH),
        MessageType(number) => {
            let data = vec![number];
            return Err(Notification {
                data,
                ..Notification::new(ErrorCode::HEADER, header_error::BAD_TYPE)
            });
        }
    };
    Some(body).filter(|body| (least..=most).contains(body)).ok_or_else(bad_length)
}

/// Octets of the header.
pub const HEADER: usize = 19;
/// The longest message (RFC 4271 §4.1); longer ones (RFC 8654) are not offered.
pub const MAX_MESSAGE: usize = 4096;
/// Version, AS, hold time, identifier, length of the optional parameters.
const OPEN_FIXED: usize = 10;
/// The two lengths.
const UPDATE_FIXED: usize = 4;
/// Code and subcode.
const NOTIFICATION_FIXED: usize = 2;
/// AFI, subtype, SAFI.
const ROUTE_REFRESH: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn header(length: u16, kind: u8) -> Vec<u8> {
        [&MARKER[..], &length.to_be_bytes(), &[kind]].concat()
    }

    #[test]
    fn a_message_is_taken_when_it_is_whole_and_the_rest_stays() {
        let stream = [keepalive(), keepalive()].concat();
        for end in 0..HEADER {
            assert_eq!(Frame::split(&stream[..end]), Ok(None));
        }
        let (frame, rest) = Frame::split(&stream).unwrap().unwrap();
        assert_eq!(frame, Frame { kind: MessageType::KEEPALIVE, body: &[] });
        assert_eq!(rest, keepalive());
    }

    #[test]
    fn a_wrong_marker_length_or_type_is_told_as_rfc_4271_section_6_1_says() {
        let refused = |octets: &[u8]| {
            let told = Frame::split(octets).unwrap_err();
            (told.code, told.subcode, told.data)
        };
        let mut marker = keepalive();
        marker[15] = 0xfe;
        assert_eq!(refused(&marker), (ErrorCode::HEADER, header_error::NOT_SYNCHRONIZED, vec![]));
        for (length, kind) in
            [(0_u16, 4), (18, 4), (20, 4), (4097, 2), (65535, 2), (28, 1), (22, 2), (20, 3), (22, 5), (24, 5)]
        {
            let told = (ErrorCode::HEADER, header_error::BAD_LENGTH, length.to_be_bytes().to_vec());
            assert_eq!(refused(&header(length, kind)), told, "type {kind}, length {length}");
        }
        for kind in [0, 6, 255] {
            assert_eq!(refused(&header(19, kind)), (ErrorCode::HEADER, header_error::BAD_TYPE, vec![kind]));
        }
    }
}
