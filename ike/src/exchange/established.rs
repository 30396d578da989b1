//! Messages of an established IKE SA: the windows, then the exchange that a message belongs to.

use super::{Stop, create_child, delete, ends_sa, invalid, liveness, refusal_of, rekey_child, rekey_ike};
use crate::codec::DecodeError;
use crate::codec::header::Header;
use crate::codec::iana::{ExchangeType, NotifyType};
use crate::codec::message::Message;
use crate::codec::payload::Payload;
use crate::codec::payload::notify::Notify;
use crate::codec::payload::select::Select;
use crate::error::{Failure, Refusal, Sa, Stage};
use crate::sa::channel::Opened;
use crate::sa::compute::Pending;
use crate::sa::ike_sa::IkeSa;
use crate::sa::message_id::Place;
use crate::sa::task::{Asked, Task};
use crate::sa::{Cx, Path};

/// What is to be done beyond the SA that a message was for.
pub(crate) enum Outcome {
    /// Nothing.
    Done,
    /// Take this message again, with [`resume`], when what it needs is computed; nothing has changed.
    Pending(Opened),
    /// Keep this new IKE SA.
    Kept(Box<IkeSa>),
    /// The peer's candidate with this SPI takes the SA's place.
    Adopt {
        /// Our SPI of it.
        candidate: u64,
    },
    /// The peer has deleted the SA; its candidate, if it is still there, takes the SA's place.
    Deleted {
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

impl Outcome {
    /// The peer's candidate takes the SA's place.
    const fn adopts(&self) -> bool {
        matches!(self, Self::Adopt { .. } | Self::Lost { candidate: Some(_), .. })
    }
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
    let header = &message.header;
    if is_last_request(sa, header) {
        // Its ICV is checked all the same: who cannot write a request shall not make us answer one.
        if sa.channel.open(message, datagram)?.is_first() {
            sa.resend_response(cx);
        }
        return Ok(Outcome::Done);
    }
    admit(sa, header)?;
    let part = sa.channel.open(message, datagram)?;
    let Some(opened) = sa.channel.assemble(header, part, cx.now)? else { return Ok(Outcome::Done) };
    sa.heard_over(path, cx);
    if header.flags.response {
        sa.answered(cx);
    }
    take(sa, header, opened, cx)
}

/// Takes a message again that ended with [`Outcome::Pending`].
///
/// The peer may have deleted the SA meanwhile. An answer that tells of a new IKE SA is read all the same: the peer has
/// made that one, and waits for us to delete it.
pub(crate) fn resume(
    sa: &mut IkeSa,
    header: &Header,
    opened: Opened,
    cx: &mut Cx<'_>,
) -> Result<Outcome, Refusal> {
    let tells_of_ike = answers(sa, header) && sa.ike_request().is_some();
    if !tells_of_ike {
        admit(sa, header)?;
    }
    take(sa, header, opened, cx)
}

/// Sends the next request if the window is free and a task waits.
pub(crate) fn send_next(sa: &mut IkeSa, cx: &mut Cx<'_>) {
    while let Some((id, task)) = sa.take_task() {
        if start(sa, id, task, cx).is_err() {
            sa.put_task_back(task);
        }
    }
}

/// Does what is due.
pub(crate) fn handle_timeout(sa: &mut IkeSa, cx: &mut Cx<'_>) -> Outcome {
    sa.handle_timeout(cx);
    send_next(sa, cx);
    if sa.take_reauthentication(cx.now) { Outcome::Reauthenticate } else { Outcome::Done }
}

/// Sends the request of a task, unless what it needs has yet to be computed.
fn start(sa: &mut IkeSa, id: u32, task: Task, cx: &mut Cx<'_>) -> Result<(), Pending> {
    let (asked, payloads) = match task {
        Task::RekeyChild(spi_in) => return rekey_child::start(sa, id, Some(spi_in), cx),
        Task::MakeChild => return rekey_child::start(sa, id, None, cx),
        Task::RekeyIke => return rekey_ike::start(sa, id, cx),
        Task::Liveness => (Asked::Liveness, liveness::request()),
        Task::DeleteChild(spi_in) => (Asked::DeleteChild(spi_in), delete::child_request(spi_in)),
        Task::DeleteIke(notify) => (Asked::DeleteIke, delete::ike_request(notify)),
    };
    let message = sa.channel.seal_request(ExchangeType::INFORMATIONAL, id, &payloads, cx);
    sa.send_request(id, asked, message, cx);
    Ok(())
}

/// The peer's last request, sent again.
fn is_last_request(sa: &IkeSa, header: &Header) -> bool {
    !header.flags.response && sa.responses.place(header.message_id) == Place::Last
}

/// Whether a message may be what it says: the answer to our request in flight, or the peer's next request.
fn admit(sa: &IkeSa, header: &Header) -> Result<(), Refusal> {
    let Header { message_id, exchange, flags, .. } = *header;
    if flags.response {
        return if answers(sa, header) && !sa.is_ended() { Ok(()) } else { Err(Refusal::MessageId) };
    }
    if sa.responses.place(message_id) != Place::Next {
        return Err(Refusal::MessageId);
    }
    let known = matches!(exchange, ExchangeType::INFORMATIONAL | ExchangeType::CREATE_CHILD_SA);
    if known && !sa.is_ended() { Ok(()) } else { Err(Refusal::Unexpected) }
}

/// It is the answer to our request in flight.
fn answers(sa: &IkeSa, header: &Header) -> bool {
    let Header { message_id, exchange, flags, .. } = *header;
    flags.response && sa.asked().map(Asked::exchange) == Some(exchange) && sa.requests.awaits(message_id)
}

fn take(sa: &mut IkeSa, header: &Header, opened: Opened, cx: &mut Cx<'_>) -> Result<Outcome, Refusal> {
    let taken = match opened.payloads() {
        Err(error) => Err(Stop::Malformed(error)),
        Ok(payloads) if header.flags.response => take_answer(sa, Select(&payloads), cx).map(Ok),
        Ok(payloads) => answer(sa, header, Select(&payloads), cx),
    };
    let outcome = match taken {
        Ok(outcome) => outcome?,
        Err(Stop::Pending) => return Ok(Outcome::Pending(opened)),
        Err(Stop::Malformed(error)) if header.flags.response => {
            let stage = sa.requests.take().map_or(Stage::Informational, |in_flight| in_flight.task.stage());
            sa.close(invalid(stage, error), cx);
            Outcome::Done
        }
        Err(Stop::Malformed(error)) => {
            refuse(sa, header.message_id, header.exchange, error, cx);
            Outcome::Done
        }
    };
    // What waits is the candidate's to say where that takes this one's place.
    if !outcome.adopts() {
        send_next(sa, cx);
    }
    Ok(outcome)
}

fn take_answer(sa: &mut IkeSa, payloads: Select<'_, '_>, cx: &mut Cx<'_>) -> Result<Outcome, Stop> {
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

fn answer(
    sa: &mut IkeSa,
    header: &Header,
    payloads: Select<'_, '_>,
    cx: &mut Cx<'_>,
) -> Result<Result<Outcome, Refusal>, Stop> {
    let id = header.message_id;
    // Which of two IKE SAs takes the old one's place is not clear yet: all but the end of this one can wait for the
    // retransmission.
    if sa.is_candidate() && !delete::is_of_ike(payloads) {
        return Ok(Err(Refusal::Unexpected));
    }
    sa.peer_has_answer(&delete::deleted_children(payloads), cx);
    if header.exchange == ExchangeType::CREATE_CHILD_SA {
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
