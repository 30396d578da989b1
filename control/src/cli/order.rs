//! `gotthard up`, `down`, `rekey`, `reload`: an order to the daemon, and its answer.

use std::path::Path;

use super::args::RekeyArgs;
use super::exit::Exit;
use super::text;
use crate::api::client::{AskError, ask};
use crate::api::messages::{RefusalKind, Rekey, Request, Response, Sa, Target};
use crate::api::routes::RouteTable;
use crate::api::status::Status;

pub(super) async fn up(socket: &Path, target: Target) -> Exit {
    order(socket, Request::Up(target)).await
}

pub(super) async fn down(socket: &Path, target: Target) -> Exit {
    order(socket, Request::Down(target)).await
}

pub(super) async fn rekey(socket: &Path, wanted: RekeyArgs) -> Exit {
    let RekeyArgs { target, ike, no_wait } = wanted;
    let sa = if ike { Sa::Ike } else { Sa::Child };
    order(socket, Request::Rekey(Rekey { target, sa, wait: !no_wait })).await
}

pub(super) async fn reload(socket: &Path) -> Exit {
    order(socket, Request::Reload).await
}

/// The status of all connections or of one; `Err` has been told to the operator.
pub(super) async fn status(socket: &Path, connection: Option<String>) -> Result<Status, Exit> {
    let Response::Status(status) = answer(socket, Request::Status { connection }).await? else {
        return Err(unexpected());
    };
    Ok(*status)
}

/// What is behind the peers of all connections or of one; `Err` has been told to the operator.
pub(super) async fn routes(socket: &Path, connection: Option<String>) -> Result<RouteTable, Exit> {
    let Response::Routes(table) = answer(socket, Request::Routes { connection }).await? else {
        return Err(unexpected());
    };
    Ok(*table)
}

async fn order(socket: &Path, request: Request) -> Exit {
    let answered = match answer(socket, request).await {
        Ok(answered) => answered,
        Err(exit) => return exit,
    };
    let Response::Done { message } = answered else { return unexpected() };
    println!("{}", text::lines(&message));
    Exit::Ok
}

/// The daemon's answer; refusals and failures are told to the operator here.
pub(super) async fn answer(socket: &Path, request: Request) -> Result<Response, Exit> {
    judge(ask(socket, &request).await)
}

/// What can be used of an answer; all else is told to the operator.
pub(super) fn judge(answer: Result<Response, AskError>) -> Result<Response, Exit> {
    match answer {
        Ok(Response::Refused(refusal)) => {
            eprintln!("error: {}", text::lines(&refusal.message));
            Err(match refusal.kind {
                RefusalKind::ConfigInvalid => Exit::ConfigInvalid,
                RefusalKind::Unavailable => Exit::Unreachable,
                RefusalKind::BadRequest
                | RefusalKind::Forbidden
                | RefusalKind::NotFound
                | RefusalKind::Failed => Exit::Failed,
            })
        }
        Ok(response) => Ok(response),
        Err(error) => Err(told(&error)),
    }
}

/// Tells the operator why there is no answer.
pub(super) fn told(error: &AskError) -> Exit {
    eprintln!("error: {}", text::lines(&error.to_string()));
    if let AskError::Unreachable { .. } = error {
        eprintln!("  remedy: start it (gotthard run), or name its socket: --socket FILE or GOTTHARD_SOCKET");
    }
    Exit::Unreachable
}

pub(super) fn unexpected() -> Exit {
    eprintln!("error: the daemon answered something else than was asked: is it of this version?");
    Exit::Failed
}
