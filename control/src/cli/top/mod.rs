//! `gotthard top`: the tunnels on the whole terminal. What is shown is in [`state`], how in [`draw`]; here is the terminal.

mod draw;
mod state;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal};
use std::path::Path;

use crossterm::event::{Event as Input, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use futures_util::StreamExt as _;
use ratatui::DefaultTerminal;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use self::state::{Key, Top};
use super::exit::Exit;
use super::feed::{Change, Feed};
use super::order;
use crate::api::client::AskError;
use crate::api::messages::Response;

/// Shows it until `q`, or until the daemon no longer answers.
pub(super) async fn top(socket: &Path) -> Exit {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        eprintln!("error: `gotthard top` needs a terminal\n  remedy: gotthard status --watch");
        return Exit::Usage;
    }
    let mut feed = Feed::open(socket, None, 0).await;
    // Before the screen is taken, so that who has no daemon is told so in the place of the command.
    let mut top = Top::default();
    let begin = Instant::now();
    loop {
        match feed.next().await {
            Change::Event(event) => top.happened(*event),
            Change::Answer(Ok(Response::Status(status))) => break top.take(begin.elapsed(), *status),
            Change::Answer(other) => return order::judge(other).err().unwrap_or_else(order::unexpected),
        }
    }
    let ended = match Screen::take() {
        Ok(mut screen) => screen.show(feed, top, begin).await,
        Err(error) => Err(error),
    };
    match ended {
        Ok(None) => Exit::Ok,
        Ok(Some(answer)) => order::judge(answer).err().unwrap_or_else(order::unexpected),
        Err(error) => {
            eprintln!("error: the terminal: {error}");
            Exit::Failed
        }
    }
}

/// The terminal in raw mode; as it was before when dropped, and when the program panics.
struct Screen {
    terminal: DefaultTerminal,
    keys: EventStream,
    terminate: Signal,
}

impl Screen {
    fn take() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminal: ratatui::try_init()?, keys: EventStream::new(), terminate })
    }

    /// Returns an answer that is no status.
    async fn show(
        &mut self,
        mut feed: Feed,
        mut top: Top,
        begin: Instant,
    ) -> io::Result<Option<Result<Response, AskError>>> {
        loop {
            self.terminal.draw(|frame| draw::draw(frame, &top))?;
            tokio::select! {
                change = feed.next() => match change {
                    Change::Event(event) => top.happened(*event),
                    Change::Answer(Ok(Response::Status(status))) => top.take(begin.elapsed(), *status),
                    Change::Answer(other) => return Ok(Some(other)),
                },
                input = self.keys.next() => match input.transpose()? {
                    Some(Input::Key(key)) if ends(&key) => return Ok(None),
                    Some(Input::Key(key)) => meaning(&key).into_iter().for_each(|key| top.press(key)),
                    Some(_) => {}
                    None => return Ok(None),
                },
                _ = self.terminate.recv() => return Ok(None),
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// In raw mode the terminal makes no signal of Ctrl-C.
fn ends(key: &KeyEvent) -> bool {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    matches!((key.code, control), (KeyCode::Char('q') | KeyCode::Esc, false) | (KeyCode::Char('c'), true))
}

fn meaning(key: &KeyEvent) -> Option<Key> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    [
        (KeyCode::Up, Key::Up),
        (KeyCode::Down, Key::Down),
        (KeyCode::Home, Key::First),
        (KeyCode::End, Key::Last),
        (KeyCode::Char('s'), Key::Sort),
    ]
    .into_iter()
    .find_map(|(code, meaning)| (key.code == code).then_some(meaning))
}
