//! Messages: a stream in whatever pieces, OPENs and UPDATEs. What was read is written, and read again as the same.

use std::sync::Arc;

use gotthard::bgp::codec::flaw::Handling;
use gotthard::bgp::codec::header::{HEADER, MAX_MESSAGE};
use gotthard::bgp::codec::iana::{ErrorCode, MessageType};
use gotthard::bgp::codec::{
    Families, Family, Frame, Notification, Open, RouteRefresh, Session, Update, announce,
};
use gotthard::bgp::fsm::{Output, Peer, State};
use gotthard::bgp::route::{Path, Route};
use gotthard_ike::Time;

use super::{OURS, PEER_ASN, readable, shown};
use crate::script::Script;

/// Reads `data` as the lengths of two pieces and a stream of messages that comes in pieces of these lengths by turns.
pub fn bgp_message(data: &[u8]) {
    let mut script = Script::new(data);
    let lengths = [script.octet(), script.octet()].map(|length| usize::from(length).max(1));
    let stream = script.rest();
    let whole = take(&mut stream.to_vec());

    let (mut pending, mut pieces, mut rest) = (Vec::new(), Vec::new(), stream);
    let mut verdict = Ok(());
    for length in lengths.into_iter().cycle() {
        let (piece, behind) = rest.split_at(length.min(rest.len()));
        if piece.is_empty() || verdict.is_err() {
            break;
        }
        pending.extend_from_slice(piece);
        let (messages, end) = take(&mut pending);
        pieces.extend(messages);
        (rest, verdict) = (behind, end);
    }
    assert_eq!((pieces, verdict), whole, "it matters where the stream is cut");

    for (kind, body) in whole.0 {
        match kind {
            MessageType::OPEN => open(&body),
            MessageType::UPDATE => {
                for session in SESSIONS {
                    update(&body, session);
                }
            }
            MessageType::NOTIFICATION => notification(&body),
            MessageType::ROUTE_REFRESH => refresh(&body),
            _ => assert!(kind == MessageType::KEEPALIVE && body.is_empty(), "a message of no kind"),
        }
    }
}

/// Reads `data` as the body of an OPEN, and has a session judge it.
pub fn bgp_open(data: &[u8]) {
    open(data);
    let Some(message) = message(MessageType::OPEN, data) else { return };
    let mut peer = Peer::new(OURS, 1);
    peer.start(Time::ZERO);
    let Some(Output::Connect(id)) = peer.poll_output() else { panic!("it does not connect") };
    peer.connected(Time::ZERO, id);
    peer.received(Time::ZERO, id, &message);
    let outputs: Vec<Output> = std::iter::from_fn(|| peer.poll_output()).collect();
    let mut sent = Vec::new();
    for output in &outputs {
        if let Output::Send(_, octets) = output {
            sent.push(readable(octets, SESSIONS[0]));
        }
    }
    if peer.state() == State::OpenConfirm {
        assert_eq!(sent, [MessageType::OPEN, MessageType::KEEPALIVE]);
    } else {
        assert_eq!((sent.as_slice(), peer.state()), (REFUSED.as_slice(), State::Idle));
        assert!(outputs.contains(&Output::Close(id)));
        let failure = peer.failure().expect("a refusal without a reason");
        assert!(!failure.to_string().chars().any(char::is_control));
    }
}

/// Reads `data` as the terms of a session and the body of an UPDATE.
pub fn bgp_update(data: &[u8]) {
    let Some((terms, body)) = data.split_first() else { return };
    if body.len() <= MAX_MESSAGE - HEADER {
        update(body, SESSIONS[usize::from(*terms) % SESSIONS.len()]);
    }
}

/// A message, with its octets copied.
type Taken = (MessageType, Vec<u8>);

/// Takes all whole messages from `pending`, and says whether the stream can go on.
fn take(pending: &mut Vec<u8>) -> (Vec<Taken>, Result<(), Notification>) {
    let (mut taken, mut rest) = (Vec::new(), pending.as_slice());
    let verdict = loop {
        match Frame::split(rest) {
            Ok(None) => break Ok(()),
            Ok(Some((frame, behind))) => {
                taken.push((frame.kind, frame.body.to_vec()));
                rest = behind;
            }
            Err(told) => {
                assert!(told.code == ErrorCode::HEADER && readable(&told.emit(), SESSIONS[0]) == REFUSED[1]);
                break Err(told);
            }
        }
    };
    let left = rest.len();
    assert!(verdict.is_err() || left < MAX_MESSAGE, "{left} octets wait for more");
    pending.drain(..pending.len() - left);
    (taken, verdict)
}

fn open(body: &[u8]) {
    match Open::parse(body) {
        Ok(mut open) => {
            assert!(open.asn != 0 && !open.identifier.is_unspecified() && ![1, 2].contains(&open.hold_time));
            // Who names no family of ours and who names none at all are written alike.
            open.capabilities.families = open.capabilities.families.filter(|families| !families.is_empty());
            assert_eq!(read_open(&open.emit()), open);
        }
        Err(told) => assert!(told.code == ErrorCode::OPEN && told.data.len() <= body.len().max(2)),
    }
}

fn read_open(octets: &[u8]) -> Open {
    let (frame, _) = Frame::split(octets).expect("a header").expect("a whole message");
    Open::parse(frame.body).expect("what we write can be read")
}

fn notification(body: &[u8]) {
    let told = Notification::parse(body);
    shown(&told);
    shown(&told.reason());
    let emitted = told.emit();
    let (frame, _) = Frame::split(&emitted).expect("a header").expect("a whole message");
    assert_eq!(Notification::parse(frame.body), told);
}

fn refresh(body: &[u8]) {
    let Some(refresh) = RouteRefresh::parse(body) else { return };
    assert_eq!(refresh.emit()[HEADER..], *body);
}

/// RFC 7606: each route that is not taken has a flaw that says why, and each that is taken is written and read again.
fn update(body: &[u8], session: Session) {
    let read = match Update::parse(body, session) {
        Ok(read) => read,
        Err(told) => {
            assert!(told.code == ErrorCode::UPDATE && (1..=11).contains(&told.subcode), "{told:?}");
            assert!(told.data.len() <= body.len());
            return;
        }
    };
    let prefixes = read.announced.len() + read.withdrawn.len();
    assert!(prefixes <= body.len() && read.flaws.len() <= MOST_FLAWS, "more than the message has room for");
    let dearest = read.flaws.iter().map(|flaw| flaw.handling).max();
    assert!(dearest != Some(Handling::SessionReset), "{:?}", read.flaws);
    if dearest == Some(Handling::TreatAsWithdraw) {
        assert!(read.announced.is_empty(), "treated as withdrawn, and announced: {:?}", read.flaws);
    } else if session.families.contains(Family::Ipv4) && !nlri(body).is_empty() {
        assert!(!read.announced.is_empty(), "not taken, and nobody says why: {:?}", read.flaws);
    }
    for flaw in &read.flaws {
        assert!(!flaw.to_string().chars().any(char::is_control));
    }
    let told = read.announced.iter().map(|route| route.prefix).chain(read.withdrawn.iter().copied());
    assert!(
        told.into_iter()
            .all(|prefix| { session.families.contains(Family::of(prefix)) && prefix.trunc() == prefix })
    );
    // What a two-octet session lost is lost; over a four-octet one nothing is.
    again(&read.announced, Session { four_octet_as: true, ..session });
}

/// What is behind the attributes (RFC 4271 §4.3).
fn nlri(body: &[u8]) -> &[u8] {
    let behind = |octets: &'_ [u8]| -> Option<usize> {
        let length = usize::from(u16::from_be_bytes(*octets.first_chunk()?));
        Some(length + 2)
    };
    let attributes = behind(body).and_then(|length| body.get(length..)).unwrap_or_default();
    behind(attributes).and_then(|length| attributes.get(length..)).unwrap_or_default()
}

/// Writes the routes and reads them.
fn again(routes: &[Route], session: Session) {
    let mut read = Vec::new();
    for group in routes.chunk_by(|one, other| Arc::ptr_eq(&one.path, &other.path)) {
        let path: &Path = &group[0].path;
        assert!(!session.external || path.local_pref.is_none() && path.as_path.neighbor() == Some(PEER_ASN));
        let prefixes: Vec<_> = group.iter().map(|route| route.prefix).collect();
        let Ok(messages) = announce::announce(path, &prefixes, session) else {
            // Its attributes are written with lengths of two octets, and AS numbers with four: they may not fit.
            continue;
        };
        for message in messages {
            let (frame, rest) = Frame::split(&message).expect("a header").expect("a whole message");
            assert!(rest.is_empty());
            let update = Update::parse(frame.body, session).expect("what we write can be read");
            assert!(update.flaws.is_empty() && update.withdrawn.is_empty(), "{:?}", update.flaws);
            read.extend(update.announced.into_iter().map(|route| (route.prefix, route.path)));
        }
        let expected: Vec<_> = group.iter().map(|route| (route.prefix, Arc::clone(&route.path))).collect();
        assert_eq!(core::mem::take(&mut read), expected);
    }
}

/// A message around `body`, if there is one so long.
fn message(kind: MessageType, body: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(HEADER + body.len()).ok()?;
    Some([&[0xff; 16][..], &length.to_be_bytes(), &[kind.0], body].concat())
}

const SESSIONS: [Session; 6] = [
    Session { peer_asn: PEER_ASN, external: true, four_octet_as: true, families: Families::ALL },
    Session { peer_asn: PEER_ASN, external: true, four_octet_as: false, families: Families::ALL },
    Session { peer_asn: PEER_ASN, external: true, four_octet_as: true, families: Families::IPV4 },
    Session { peer_asn: PEER_ASN, external: true, four_octet_as: true, families: Families::NONE },
    Session { peer_asn: PEER_ASN, external: false, four_octet_as: true, families: Families::ALL },
    Session { peer_asn: PEER_ASN, external: false, four_octet_as: false, families: Families::ALL },
];

const REFUSED: [MessageType; 2] = [MessageType::OPEN, MessageType::NOTIFICATION];

/// Of a message full of them a few are told.
const MOST_FLAWS: usize = 8;
