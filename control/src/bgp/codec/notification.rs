//! NOTIFICATION (RFC 4271 §4.5), with the text of RFC 9003 and the Hard Reset of RFC 8538.

use core::fmt;

use super::header::{HEADER, MAX_MESSAGE};
use super::iana::{ErrorCode, MessageType, cease, header_error, open_error, update_error};
use super::reader::Reader;
use super::writer;

/// Why a session is ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Error code.
    pub code: ErrorCode,
    /// Subcode, of that code.
    pub subcode: u8,
    /// What the code says it is; from a peer it can be anything.
    pub data: Vec<u8>,
}

impl Notification {
    /// One without data.
    pub const fn new(code: ErrorCode, subcode: u8) -> Self {
        Self { code, subcode, data: Vec::new() }
    }

    /// A Cease (RFC 4486).
    pub const fn cease(subcode: u8) -> Self {
        Self::new(ErrorCode::CEASE, subcode)
    }

    /// An Administrative Shutdown or Reset with a word to the peer's operator (RFC 9003 §2), cut to what every speaker takes.
    pub fn with_text(subcode: u8, text: &str) -> Self {
        let mut end = text.len().min(MAX_TEXT);
        while !text.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        let mut data = Vec::new();
        writer::block8(&mut data, text.get(..end).unwrap_or_default().as_bytes());
        Self { data, ..Self::cease(subcode) }
    }

    /// The same within a Hard Reset: the peer keeps no route of ours, graceful restart or not (RFC 8538 §3.1).
    #[must_use]
    pub fn hard(self) -> Self {
        let data = [&[self.code.0, self.subcode][..], &self.data].concat();
        Self { data, ..Self::cease(cease::HARD_RESET) }
    }

    /// Reads the body of a message. One that is too short says nothing, and says so.
    pub fn parse(body: &[u8]) -> Self {
        let mut r = Reader::new(body);
        let (code, subcode) = (r.u8().unwrap_or_default(), r.u8().unwrap_or_default());
        Self { code: ErrorCode(code), subcode, data: r.rest().to_vec() }
    }

    /// The message; data that does not fit is cut.
    pub fn emit(&self) -> Vec<u8> {
        let data = self.data.get(..MAX_DATA).unwrap_or(&self.data);
        writer::message(MessageType::NOTIFICATION, &[&[self.code.0, self.subcode], data].concat())
    }

    /// Whether it forbids to keep routes over the restart of the session (RFC 8538 §4).
    pub fn is_hard_reset(&self) -> bool {
        self.code == ErrorCode::CEASE && self.subcode == cease::HARD_RESET
    }

    /// What it says; of a Hard Reset that is inside (RFC 8538 §3.1).
    #[must_use]
    pub fn reason(&self) -> Self {
        if self.is_hard_reset() && !self.data.is_empty() { Self::parse(&self.data) } else { self.clone() }
    }

    /// The word of the peer's operator (RFC 9003), fit for a log; `None` if there is none or it is no text.
    pub fn text(&self) -> Option<String> {
        if self.code != ErrorCode::CEASE || !matches!(self.subcode, cease::SHUTDOWN | cease::RESET) {
            return None;
        }
        let octets = Reader::new(&self.data).block8()?;
        let text = core::str::from_utf8(octets).ok()?;
        Some(text.chars().flat_map(char::escape_debug).collect()).filter(|text: &String| !text.is_empty())
    }
}

/// `Cease: Administrative Shutdown ("maintenance")`, in the words of IANA's registry.
impl fmt::Display for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (code, subcode) = (self.code.0, self.subcode);
        match (name(self.code), subcode_name(self.code, subcode)) {
            (Some(name), Some(detail)) => write!(f, "{name}: {detail}")?,
            (Some(name), None) if subcode == 0 => f.write_str(name)?,
            (Some(name), None) => write!(f, "{name}: subcode {subcode}")?,
            (None, _) => write!(f, "error code {code}, subcode {subcode}")?,
        }
        if self.is_hard_reset() && !self.data.is_empty() {
            // One level deep: what is inside a Hard Reset inside a Hard Reset is nobody's concern.
            let Self { code, subcode, .. } = self.reason();
            write!(f, " (error code {}, subcode {subcode})", code.0)?;
        }
        self.text().map_or(Ok(()), |text| write!(f, " (\"{text}\")"))
    }
}

const fn name(code: ErrorCode) -> Option<&'static str> {
    Some(match code {
        ErrorCode::HEADER => "Message Header Error",
        ErrorCode::OPEN => "OPEN Message Error",
        ErrorCode::UPDATE => "UPDATE Message Error",
        ErrorCode::HOLD_TIMER => "Hold Timer Expired",
        ErrorCode::STATE_MACHINE => "Finite State Machine Error",
        ErrorCode::CEASE => "Cease",
        _ => return None,
    })
}

const fn subcode_name(code: ErrorCode, subcode: u8) -> Option<&'static str> {
    Some(match (code, subcode) {
        (ErrorCode::HEADER, header_error::NOT_SYNCHRONIZED) => "Connection Not Synchronized",
        (ErrorCode::HEADER, header_error::BAD_LENGTH) => "Bad Message Length",
        (ErrorCode::HEADER, header_error::BAD_TYPE) => "Bad Message Type",
        (ErrorCode::OPEN, open_error::VERSION) => "Unsupported Version Number",
        (ErrorCode::OPEN, open_error::BAD_PEER_AS) => "Bad Peer AS",
        (ErrorCode::OPEN, open_error::BAD_IDENTIFIER) => "Bad BGP Identifier",
        (ErrorCode::OPEN, open_error::PARAMETER) => "Unsupported Optional Parameter",
        (ErrorCode::OPEN, open_error::HOLD_TIME) => "Unacceptable Hold Time",
        (ErrorCode::OPEN, open_error::CAPABILITY) => "Unsupported Capability",
        (ErrorCode::UPDATE, update_error::ATTRIBUTE_LIST) => "Malformed Attribute List",
        (ErrorCode::UPDATE, update_error::UNRECOGNIZED) => "Unrecognized Well-known Attribute",
        (ErrorCode::UPDATE, update_error::MISSING) => "Missing Well-known Attribute",
        (ErrorCode::UPDATE, update_error::FLAGS) => "Attribute Flags Error",
        (ErrorCode::UPDATE, update_error::LENGTH) => "Attribute Length Error",
        (ErrorCode::UPDATE, update_error::ORIGIN) => "Invalid ORIGIN Attribute",
        (ErrorCode::UPDATE, update_error::NEXT_HOP) => "Invalid NEXT_HOP Attribute",
        (ErrorCode::UPDATE, update_error::OPTIONAL) => "Optional Attribute Error",
        (ErrorCode::UPDATE, update_error::NETWORK) => "Invalid Network Field",
        (ErrorCode::UPDATE, update_error::AS_PATH) => "Malformed AS_PATH",
        (ErrorCode::CEASE, cease::MAX_PREFIXES) => "Maximum Number of Prefixes Reached",
        (ErrorCode::CEASE, cease::SHUTDOWN) => "Administrative Shutdown",
        (ErrorCode::CEASE, cease::DECONFIGURED) => "Peer De-configured",
        (ErrorCode::CEASE, cease::RESET) => "Administrative Reset",
        (ErrorCode::CEASE, cease::REJECTED) => "Connection Rejected",
        (ErrorCode::CEASE, cease::CONFIGURATION) => "Other Configuration Change",
        (ErrorCode::CEASE, cease::COLLISION) => "Connection Collision Resolution",
        (ErrorCode::CEASE, cease::RESOURCES) => "Out of Resources",
        (ErrorCode::CEASE, cease::HARD_RESET) => "Hard Reset",
        _ => return None,
    })
}

/// Octets of text to a peer: RFC 9003 permits 255, but a peer of RFC 8203's time takes no more than 128.
const MAX_TEXT: usize = 128;
/// Octets of data that a message has room for, behind code and subcode.
const MAX_DATA: usize = MAX_MESSAGE - HEADER - 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bgp::codec::Frame;

    fn over_the_wire(told: &Notification) -> Notification {
        let octets = told.emit();
        let (frame, rest) = Frame::split(&octets).unwrap().unwrap();
        assert!(rest.is_empty());
        Notification::parse(frame.body)
    }

    #[test]
    fn a_text_arrives_and_is_shown_escaped() {
        let told = over_the_wire(&Notification::with_text(cease::SHUTDOWN, "back at 06:00\n\x1b[2J\u{202e}"));
        assert_eq!(told.text().as_deref(), Some("back at 06:00\\n\\u{1b}[2J\\u{202e}"));
        assert_eq!(
            Notification::with_text(cease::RESET, "filters").to_string(),
            "Cease: Administrative Reset (\"filters\")"
        );
    }

    #[test]
    fn a_long_text_is_cut_between_two_characters() {
        let told = Notification::with_text(cease::SHUTDOWN, &"ü€".repeat(100));
        let text = told.text().unwrap();
        assert!(text.len() <= MAX_TEXT && text.len() > MAX_TEXT - 4, "{}", text.len());
    }

    #[test]
    fn a_text_that_is_none_is_not_shown() {
        for data in [&[][..], &[0], &[5, b'a'], &[1, 0xff], &[2, 0xc3, 0x28]] {
            let told = Notification { data: data.to_vec(), ..Notification::cease(cease::SHUTDOWN) };
            assert_eq!(told.text(), None, "{data:?}");
            assert_eq!(told.to_string(), "Cease: Administrative Shutdown");
        }
        let told = Notification { data: vec![1, b'a'], ..Notification::cease(cease::COLLISION) };
        assert_eq!(told.text(), None);
    }

    #[test]
    fn a_hard_reset_holds_the_reason() {
        let reason = Notification::with_text(cease::SHUTDOWN, "moved");
        let told = over_the_wire(&reason.clone().hard());
        assert!(told.is_hard_reset() && !reason.is_hard_reset());
        assert_eq!(told.reason(), reason);
        let bare = Notification::cease(cease::HARD_RESET);
        assert_eq!(bare.reason(), bare);
    }

    #[test]
    fn numbers_without_a_name_survive() {
        let told = over_the_wire(&Notification { data: vec![1, 2], ..Notification::new(ErrorCode(99), 7) });
        assert_eq!(told.to_string(), "error code 99, subcode 7");
        assert_eq!(Notification::cease(77).to_string(), "Cease: subcode 77");
        assert_eq!(Notification::new(ErrorCode::HOLD_TIMER, 0).to_string(), "Hold Timer Expired");
    }

    #[test]
    fn data_beyond_a_message_is_cut() {
        let told = Notification { data: vec![0; 5000], ..Notification::new(ErrorCode::UPDATE, 5) };
        assert_eq!(told.emit().len(), MAX_MESSAGE);
    }
}
