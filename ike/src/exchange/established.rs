//! Messages of an established IKE SA: the windows, then the exchange that a message belongs to.

use super::{create_child, delete, ends_sa, liveness, refusal_of, rekey_child, rekey_ike};
use crate::codec::DecodeError;
use crate::codec::iana::{ExchangeType, NotifyType};
use crate::codec::message::Message;
use crate::codec::payload::Payload;
use crate::codec::payload::notify::Notify;
use crate::codec::payload::select::Select;
use crate::error::{Failure, Refusal, Sa, Stage};
use crate::sa::ike_sa::IkeSa;
use crate::sa::message_id::Place;
use crate::sa::task::{Again, Asked, Task};
use crate::sa::{Cx, Path};

/// What is to be done beyond the SA that a message was for.
pub(crate) enum Outcome {
    /// Nothing.
    Done,
    /// Keep this new IKE SA.
    Kept(Box<IkeSa>),
    /// The peer's candidate with this SPI takes the SA's place.
    Adopt {
        /// Our SPI of it.
        candidate: u64,
    },
    /// Keep the IKE SA that we asked for, which is to be deleted; the candidate takes the old one's place.
    Lost {
        /// What we asked for.
        ours: Box<IkeSa>,
        /// Our SPI of the peer's.
        candidate: Option<u64>,
    },
    /// Make another IKE SA with the peer, with a new authentication.
    Reauthenticate,
}

/// Takes a message for an established SA.
pub(crate) fn handle(
    sa: &mut IkeSa,
    message: &Message<'_>,
    datagram: &[u8],
    path: Path,
    cx: &mut Cx<'_>,
) -> Result<Outcome, Refusal> {
    if !message.is_protected() {
        // Nobody can prove who wrote it: at most we ask the peer (RFC 7296 §2.21.4).
        if path == sa.path {
            sa.hint(cx.now);
            send_next(sa, cx);
        }
        return Err(Refusal::Hint);
    }
    if message.header.flags.response {
        handle_response(sa, message, datagram, path, cx)
    } else {
        handle_request(sa, message, datagram, path, cx)
    }
}

/// Sends the next request if the window is free and a task waits.
pub(crate) fn send_next(sa: &mut IkeSa, cx: &mut Cx<'_>) {
    while let Some((id, task)) = sa.take_task() {
        match task {
            Task::Liveness => inform(sa, id, Asked::Liveness, &liveness::request(), cx),
            Task::RekeyChild(spi_in) => rekey_child::ask(sa, id, Some(spi_in), Again::default(), cx),
            Task::MakeChild => rekey_child::ask(sa, id, None, Again::default(), cx),
            Task::RekeyIke => rekey_ike::ask(sa, id, Again::default(), cx),
            Task::DeleteChild(spi_in) => {
                inform(sa, id, Asked::DeleteChild(spi_in), &delete::child_request(spi_in), cx);
            }
            Task::DeleteIke(notify) => inform(sa, id, Asked::DeleteIke, &delete::ike_request(notify), cx),
        }
    }
}

/// Does what is due.
pub(crate) fn handle_timeout(sa: &mut IkeSa, cx: &mut Cx<'_>) -> Outcome {
    sa.handle_timeout(cx);
    send_next(sa, cx);
    if sa.take_reauthentication(cx.now) { Outcome::Reauthenticate } else { Outcome::Done }
}

fn inform(sa: &mut IkeSa, id: u32, asked: Asked, payloads: &[Payload<'_>], cx: &mut Cx<'_>) {
    let message = sa.channel.seal_request(ExchangeType::INFORMATIONAL, id, payloads, cx);
    sa.send_request(id, asked, message, cx);
}

fn handle_response(
    sa: &mut IkeSa,
    message: &Message<'_>,
    datagram: &[u8],
    path: Path,
    cx: &mut Cx<'_>,
) -> Result<Outcome, Refusal> {
    let exchange = sa.asked().map(Asked::exchange);
    let ours = exchange == Some(message.header.exchange) && sa.requests.awaits(message.header.message_id);
    if sa.is_ended() || !ours {
        return Err(Refusal::MessageId);
    }
    let part = sa.channel.open(message, datagram)?;
    let Some(opened) = sa.channel.assemble(&message.header, part, cx.now)? else { return Ok(Outcome::Done) };
    sa.heard_over(path, cx);
    sa.take_proof(cx);
    let taken = opened.payloads().and_then(|payloads| take_answer(sa, Select(&payloads), cx));
    let outcome = taken.unwrap_or_else(|error| {
        let stage = sa.requests.take().map_or(Stage::Informational, |in_flight| in_flight.task.stage());
        sa.close(invalid(stage, error), cx);
        Outcome::Done
    });
    send_next(sa, cx);
    Ok(outcome)
}

fn take_answer(sa: &mut IkeSa, payloads: Select<'_, '_>, cx: &mut Cx<'_>) -> Result<Outcome, DecodeError> {
    match sa.asked() {
        Some(Asked::Child(_)) => return rekey_child::take_answer(sa, payloads, cx).map(|()| Outcome::Done),
        Some(Asked::Ike(_)) => return rekey_ike::take_answer(sa, payloads, cx),
        Some(Asked::Liveness | Asked::DeleteChild(_) | Asked::DeleteIke) | None => {}
    }
    let asked = sa.requests.take().map(|in_flight| in_flight.task);
    if matches!(asked, Some(Asked::DeleteIke)) {
        sa.deleted(cx);
    } else if let Some(notify) = payloads.notifies().map(|n| n.kind).find(|kind| ends_sa(*kind)) {
        sa.end(Failure::Refused { exchange: Stage::Informational, notify }, cx);
    } else if let Some(Asked::DeleteChild(spi_in)) = asked {
        sa.forget_child(spi_in, cx);
        sa.note_childless(Failure::PeerDeleted { what: Sa::Child }, cx);
    }
    Ok(Outcome::Done)
}

fn handle_request(
    sa: &mut IkeSa,
    message: &Message<'_>,
    datagram: &[u8],
    path: Path,
    cx: &mut Cx<'_>,
) -> Result<Outcome, Refusal> {
    let id = message.header.message_id;
    match sa.responses.place(id) {
        Place::Outside => return Err(Refusal::MessageId),
        Place::Last => {
            // Its ICV is checked all the same: who cannot write a request shall not make us answer one.
            if sa.channel.open(message, datagram)?.is_first() {
                sa.resend_response(cx);
            }
            return Ok(Outcome::Done);
        }
        Place::Next => {}
    }
    let exchange = message.header.exchange;
    let known = matches!(exchange, ExchangeType::INFORMATIONAL | ExchangeType::CREATE_CHILD_SA);
    if sa.is_ended() || !known {
        return Err(Refusal::Unexpected);
    }
    let part = sa.channel.open(message, datagram)?;
    let Some(opened) = sa.channel.assemble(&message.header, part, cx.now)? else { return Ok(Outcome::Done) };
    sa.heard_over(path, cx);
    let answered = opened.payloads().and_then(|payloads| answer(sa, id, exchange, Select(&payloads), cx));
    let outcome = match answered {
        Ok(outcome) => outcome?,
        Err(error) => {
            refuse(sa, id, exchange, error, cx);
            Outcome::Done
        }
    };
    send_next(sa, cx);
    Ok(outcome)
}

fn answer(
    sa: &mut IkeSa,
    id: u32,
    exchange: ExchangeType,
    payloads: Select<'_, '_>,
    cx: &mut Cx<'_>,
) -> Result<Result<Outcome, Refusal>, DecodeError> {
    // Which of two IKE SAs takes the old one's place is not clear yet: all but the end of this one can wait for the
    // retransmission.
    if sa.is_candidate() && !delete::is_of_ike(payloads) {
        return Ok(Err(Refusal::Unexpected));
    }
    sa.peer_has_answer(&delete::deleted_children(payloads), cx);
    if exchange == ExchangeType::CREATE_CHILD_SA {
        return create_child::answer(sa, id, payloads, cx).map(Ok);
    }
    Ok(Ok(delete::answer(sa, id, payloads, cx)))
}

/// A request that cannot be read. A malformed one ends the SA, without a Delete (RFC 7296 §2.21.3).
fn refuse(sa: &mut IkeSa, id: u32, exchange: ExchangeType, error: DecodeError, cx: &mut Cx<'_>) {
    let (notify, data) = refusal_of(error);
    sa.send_response(id, exchange, &[Payload::Notify(Notify::new(notify, &data))], cx);
    if notify == NotifyType::INVALID_SYNTAX {
        let create = exchange == ExchangeType::CREATE_CHILD_SA;
        let stage = if create { Stage::CreateChild } else { Stage::Informational };
        sa.end(invalid(stage, error), cx);
    }
}

fn invalid(exchange: Stage, error: DecodeError) -> Failure {
    Failure::InvalidSyntax { exchange, detail: error.to_string() }
}
