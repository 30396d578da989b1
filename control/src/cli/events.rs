//! `gotthard events`: what happened, and with `--follow` what happens.

use core::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use super::args::{EventsArgs, Output};
use super::exit::Exit;
use super::{order, text};
use crate::api::follow::{Follow, News};
use crate::api::messages::{Request, Response};
use crate::events::Event;
use crate::events::ring::Page;

/// Shows the events that are kept; with `--follow` also those that come, until interrupted or until the daemon ends.
pub(super) async fn events(socket: &Path, wanted: EventsArgs) -> Exit {
    if wanted.follow {
        return follow(socket, &wanted).await;
    }
    match order::answer(socket, Request::Events { since: wanted.since }).await {
        Ok(Response::Events(page)) => match wanted.output {
            Output::Table => printed(&table(&page)),
            Output::Json => printed(&(serde_json::to_string_pretty(&page).unwrap_or_default() + "\n")),
        },
        Ok(_) => order::unexpected(),
        Err(exit) => exit,
    }
}

async fn follow(socket: &Path, wanted: &EventsArgs) -> Exit {
    let mut followed = match Follow::open(socket, wanted.since).await {
        Ok(followed) => followed,
        Err(error) => return order::told(&error),
    };
    loop {
        let news = match followed.next().await {
            Ok(Some(news)) => news,
            Ok(None) => {
                eprintln!("error: the daemon has ended");
                return Exit::Unreachable;
            }
            Err(error) => return order::told(&error),
        };
        let line = match (wanted.output, news) {
            (Output::Table, News::Event(event)) => line(&event),
            (Output::Table, News::Missed(missed)) => gap(missed),
            (Output::Json, News::Event(event)) => serde_json::to_string(&event).unwrap_or_default() + "\n",
            (Output::Json, News::Missed(missed)) => format!("{{\"missed\":{missed}}}\n"),
        };
        if printed(&line) != Exit::Ok {
            return Exit::Failed;
        }
    }
}

fn table(page: &Page) -> String {
    let missed = if page.missed > 0 { gap(page.missed) } else { String::new() };
    page.events.iter().fold(missed, |text, event| text + &line(event))
}

fn gap(missed: u64) -> String {
    format!("… {missed} earlier events are not kept\n")
}

/// One line: when, how bad, what, where, and the further values.
fn line(event: &Event) -> String {
    let place = match (&event.connection, &event.tunnel) {
        (Some(connection), Some(tunnel)) => format!("{connection}/{tunnel}"),
        (Some(connection), None) => connection.clone(),
        (None, _) => "gateway".to_owned(),
    };
    let Event { time, code, message, .. } = event;
    let mut line = format!("{time}  {:<7}  {code}  {place}  {message}", event.severity.name());
    if let Some(cause) = &event.cause {
        // Writing to a String cannot fail.
        let _ = write!(line, "  {cause}");
    }
    for (name, value) in &event.fields {
        let _ = write!(line, "  {name}={value}");
    }
    text::line(&line) + "\n"
}

/// Prints at once: who follows reads as it comes.
fn printed(text: &str) -> Exit {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Exit::Ok,
        Err(_) => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::events::Severity;

    #[test]
    fn an_event_is_one_line_whatever_a_peer_has_put_into_it() {
        let event = Event {
            seq: 17,
            time: "2026-11-22T03:00:00.000Z".to_owned(),
            severity: Severity::Warning,
            code: "GTH-EVT-21".to_owned(),
            name: "bgp-down".to_owned(),
            cause: Some("GTH-BGP-09".to_owned()),
            connection: Some("aws".to_owned()),
            tunnel: Some("1".to_owned()),
            message: "down: a\nb\u{1b}[2J".to_owned(),
            fields: BTreeMap::from([("routes_kept".to_owned(), true.into())]),
        };
        let page = Page { missed: 3, last: 17, events: vec![event] };
        assert_eq!(
            table(&page),
            "… 3 earlier events are not kept\n\
             2026-11-22T03:00:00.000Z  warning  GTH-EVT-21  aws/1  down: a\\nb\\u{1b}[2J  GTH-BGP-09  routes_kept=true\n"
        );
    }
}
