//! BGP: octets of a peer, scripts of a peer, and the rules that an operator writes about what it announces.

mod link;
mod message;
mod policy;
mod session;

pub use self::link::bgp_pair;
pub use self::message::{bgp_message, bgp_open, bgp_update};
pub use self::policy::prefix_list;
pub use self::session::bgp_session;

use core::time::Duration;
use std::net::Ipv4Addr;

use gotthard::bgp::codec::{Families, Frame, Notification, Open, Session, Update, iana::MessageType};
use gotthard::bgp::fsm::Config;

/// Our end of every session.
const OURS: Config = Config {
    local_asn: 65010,
    peer_asn: PEER_ASN,
    identifier: Ipv4Addr::new(192, 0, 2, 1),
    families: Families::ALL,
    hold_time: 30,
    connect_retry: Duration::from_secs(5),
    passive: false,
    restart_time: Some(120),
    preserved: Families::NONE,
};

/// The other end of [`OURS`].
const THEIRS: Config =
    Config { local_asn: PEER_ASN, peer_asn: 65010, identifier: Ipv4Addr::new(192, 0, 2, 2), ..OURS };

const PEER_ASN: u32 = 64512;

/// What we wrote is one whole message that can be read; returns its type.
fn readable(octets: &[u8], session: Session) -> MessageType {
    let (frame, rest) = Frame::split(octets).expect("a header").expect("a whole message");
    assert!(rest.is_empty(), "something behind the message");
    match frame.kind {
        MessageType::OPEN => drop(Open::parse(frame.body).expect("an OPEN of ours")),
        MessageType::UPDATE => {
            let update = Update::parse(frame.body, session).expect("an UPDATE of ours");
            assert!(update.flaws.is_empty(), "{:?}", update.flaws);
        }
        MessageType::NOTIFICATION => drop(shown(&Notification::parse(frame.body))),
        _ => {}
    }
    frame.kind
}

/// What a log or a status shows of a NOTIFICATION: its text is the peer's, and no control character of it is shown.
fn shown(told: &Notification) -> String {
    let shown = told.to_string();
    assert!(!shown.is_empty() && !shown.chars().any(char::is_control), "{shown:?}");
    shown
}
