//! Messages of an established IKE SA: the windows, then the exchange that a message belongs to.

use super::{create_child, delete, liveness, refusal_of};
use crate::codec::DecodeError;
use crate::codec::iana::{ExchangeType, NotifyType};
use crate::codec::message::Message;
use crate::codec::payload::Payload;
use crate::codec::payload::notify::Notify;
use crate::codec::payload::select::Select;
use crate::error::{Failure, Refusal, Stage};
use crate::sa::channel::Opened;
use crate::sa::ike_sa::{IkeSa, Task};
use crate::sa::message_id::Place;
use crate::sa::{Cx, Path};

/// Takes a message for an established SA. A rekey of the IKE SA returns the one that takes its place.
pub(crate) fn handle(
    sa: &mut IkeSa,
    message: &Message<'_>,
    datagram: &[u8],
    path: Path,
    cx: &mut Cx<'_>,
) -> Result<Option<Box<IkeSa>>, Refusal> {
    if !message.is_protected() {
        // Nobody can prove who wrote it: at most we ask the peer (RFC 7296 §2.21.4).
        if path == sa.path {
            sa.hint(cx.now);
            send_next(sa, cx);
        }
        return Err(Refusal::Hint);
    }
    if message.header.flags.response {
        handle_response(sa, message, datagram, path, cx).map(|()| None)
    } else {
        handle_request(sa, message, datagram, path, cx)
    }
}

/// Sends the next request if the window is free and a task waits.
pub(crate) fn send_next(sa: &mut IkeSa, cx: &mut Cx<'_>) {
    let Some((id, task)) = sa.take_task() else { return };
    let exchange = ExchangeType::INFORMATIONAL;
    match task {
        Task::Liveness => sa.send_request(id, task, exchange, &liveness::request(), cx),
        Task::DeleteChild(spi_in) => {
            sa.send_request(id, task, exchange, &delete::child_request(spi_in), cx);
        }
        Task::DeleteIke(notify) => sa.send_request(id, task, exchange, &delete::ike_request(notify), cx),
    }
}

/// Does what is due.
pub(crate) fn handle_timeout(sa: &mut IkeSa, cx: &mut Cx<'_>) {
    sa.handle_timeout(cx);
    send_next(sa, cx);
}

fn handle_response(
    sa: &mut IkeSa,
    message: &Message<'_>,
    datagram: &[u8],
    path: Path,
    cx: &mut Cx<'_>,
) -> Result<(), Refusal> {
    // Every request of ours is an INFORMATIONAL so far.
    let ours = message.header.exchange == ExchangeType::INFORMATIONAL;
    if sa.is_ended() || !ours || !sa.requests.awaits(message.header.message_id) {
        return Err(Refusal::MessageId);
    }
    let part = sa.channel.open(message, datagram)?;
    let Some(opened) = sa.channel.assemble(&message.header, part, cx.now)? else { return Ok(()) };
    sa.heard_over(path, cx);
    let Some(answered) = sa.requests.take() else { return Ok(()) };
    match opened.payloads() {
        Ok(payloads) => take_answer(sa, answered.task, Select(&payloads), cx),
        Err(error) => sa.close(invalid(Stage::Informational, error), cx),
    }
    send_next(sa, cx);
    Ok(())
}

fn take_answer(sa: &mut IkeSa, task: Task, payloads: Select<'_, '_>, cx: &mut Cx<'_>) {
    match task {
        Task::DeleteIke(_) => sa.vanish(cx),
        Task::Liveness | Task::DeleteChild(_) => {
            // These two end the SA without a Delete (RFC 7296 §2.21.3).
            let fatal = payloads
                .notifies()
                .map(|notify| notify.kind)
                .find(|kind| matches!(*kind, NotifyType::INVALID_SYNTAX | NotifyType::AUTHENTICATION_FAILED));
            if let Some(notify) = fatal {
                sa.end(Failure::Refused { exchange: Stage::Informational, notify }, cx);
            }
        }
    }
}

fn handle_request(
    sa: &mut IkeSa,
    message: &Message<'_>,
    datagram: &[u8],
    path: Path,
    cx: &mut Cx<'_>,
) -> Result<Option<Box<IkeSa>>, Refusal> {
    let id = message.header.message_id;
    match sa.responses.place(id) {
        Place::Outside => return Err(Refusal::MessageId),
        Place::Last => {
            // Its ICV is checked all the same: who cannot write a request shall not make us answer one.
            if sa.channel.open(message, datagram)?.is_first() {
                sa.resend_response(cx);
            }
            return Ok(None);
        }
        Place::Next => {}
    }
    let exchange = message.header.exchange;
    let known = matches!(exchange, ExchangeType::INFORMATIONAL | ExchangeType::CREATE_CHILD_SA);
    if sa.is_ended() || !known {
        return Err(Refusal::Unexpected);
    }
    let part = sa.channel.open(message, datagram)?;
    let Some(opened) = sa.channel.assemble(&message.header, part, cx.now)? else { return Ok(None) };
    sa.heard_over(path, cx);
    // The peer's window is 1: with its next request it says that it has our last answer.
    sa.switch_outbound(cx);
    let successor = answer(sa, id, exchange, &opened, cx);
    send_next(sa, cx);
    Ok(successor)
}

fn answer(
    sa: &mut IkeSa,
    id: u32,
    exchange: ExchangeType,
    opened: &Opened,
    cx: &mut Cx<'_>,
) -> Option<Box<IkeSa>> {
    let answered = opened.payloads().and_then(|payloads| {
        let payloads = Select(&payloads);
        if exchange == ExchangeType::CREATE_CHILD_SA {
            return create_child::answer(sa, id, payloads, cx);
        }
        delete::answer(sa, id, payloads, cx);
        Ok(None)
    });
    match answered {
        Ok(successor) => successor,
        Err(error) => {
            refuse(sa, id, exchange, error, cx);
            None
        }
    }
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
