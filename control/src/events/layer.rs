//! From the log to the stream: a line with a field `event` is an event, with the connection and the tunnel of its span.

use core::fmt::Debug;
use std::collections::BTreeMap;
use std::time::SystemTime;

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::event::{Event, Severity};
use super::kind;
use super::stream::Events;

/// Puts events into the stream; every other line passes without being looked at.
pub fn layer<S>(events: Events) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    Tap(events).with_filter(filter_fn(concerns))
}

/// Asked once for each place of the source that logs.
fn concerns(metadata: &Metadata<'_>) -> bool {
    let field = if metadata.is_span() { CONNECTION } else { EVENT };
    metadata.fields().field(field).is_some()
}

struct Tap(Events);

/// The names that a span gives to what is logged within.
struct Names {
    connection: Option<String>,
    tunnel: Option<String>,
}

impl<S> Layer<S> for Tap
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut said = Said::default();
        attributes.record(&mut said);
        span.extensions_mut().insert(Names { connection: said.take(CONNECTION), tunnel: said.take(TUNNEL) });
    }

    fn on_event(&self, line: &tracing::Event<'_>, context: Context<'_, S>) {
        let Line { level, event, cause, connection, tunnel, message, fields, .. } = Line::of(line, &context);
        let Some(code) = event else { return };
        self.0.tell(Event {
            seq: 0,
            time: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            severity: severity(level),
            name: kind::of(&code).map(|kind| kind.name.to_owned()).unwrap_or_default(),
            code,
            cause,
            connection,
            tunnel,
            message,
            fields,
        });
    }
}

/// A line of the log, taken apart.
pub(crate) struct Line {
    pub(crate) level: Level,
    pub(crate) target: &'static str,
    /// The code of the event that it is.
    pub(crate) event: Option<String>,
    /// The code of the failure behind it.
    pub(crate) cause: Option<String>,
    pub(crate) connection: Option<String>,
    pub(crate) tunnel: Option<String>,
    pub(crate) message: String,
    /// Further values.
    pub(crate) fields: BTreeMap<String, Value>,
}

impl Line {
    pub(crate) fn of<S>(line: &tracing::Event<'_>, context: &Context<'_, S>) -> Self
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let mut said = Said::default();
        line.record(&mut said);
        let (mut connection, mut tunnel) = (said.take(CONNECTION), said.take(TUNNEL));
        for span in context.event_scope(line).into_iter().flatten() {
            if let Some(names) = span.extensions().get::<Names>() {
                connection = connection.or_else(|| names.connection.clone());
                tunnel = tunnel.or_else(|| names.tunnel.clone());
            }
        }
        Self {
            level: *line.metadata().level(),
            target: line.metadata().target(),
            event: said.take(EVENT),
            cause: said.take(CODE),
            connection,
            tunnel,
            message: said.take(MESSAGE).unwrap_or_default(),
            fields: said.0,
        }
    }
}

fn severity(level: Level) -> Severity {
    match level {
        Level::ERROR => Severity::Error,
        Level::WARN => Severity::Warning,
        _ => Severity::Info,
    }
}

/// The values of a line or a span.
#[derive(Default)]
struct Said(BTreeMap<String, Value>);

impl Said {
    /// Takes a value out, as text.
    fn take(&mut self, field: &str) -> Option<String> {
        let value = self.0.remove(field)?;
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }

    fn keep(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Said {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.keep(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.keep(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.keep(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.keep(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.keep(field, value.chars().take(MAX_VALUE).collect::<String>());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

const EVENT: &str = "event";
const MESSAGE: &str = "message";
const CODE: &str = "code";
const CONNECTION: &str = "connection";
const TUNNEL: &str = "tunnel";
/// Characters of a value: a peer may have had a hand in it.
const MAX_VALUE: usize = 1024;

#[cfg(test)]
mod tests {
    use tracing::subscriber::with_default;
    use tracing::{info, info_span, warn};
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::registry;

    use super::super::kind::{BGP_DOWN, FAILOVER};
    use super::*;

    fn told(log: impl FnOnce()) -> Vec<Event> {
        let events = Events::default();
        with_default(registry().with(layer(events.clone())), log);
        events.since(0, usize::MAX).events
    }

    #[test]
    fn a_line_with_an_event_is_told_with_the_names_of_its_span() {
        let told = told(|| {
            info_span!("tunnel", connection = %"aws", tunnel = %"1").in_scope(|| {
                info!("no event");
                warn!(code = "GTH-BGP-01", routes_kept = true, gap_ms = 7, event = BGP_DOWN, "down: {}", "x");
            });
        });
        assert_eq!(told.len(), 1);
        let event = &told[0];
        assert_eq!((event.seq, event.severity), (1, Severity::Warning));
        assert_eq!((event.code.as_str(), event.name.as_str()), ("GTH-EVT-21", "bgp-down"));
        assert_eq!(event.cause.as_deref(), Some("GTH-BGP-01"));
        assert_eq!((event.connection.as_deref(), event.tunnel.as_deref()), (Some("aws"), Some("1")));
        assert_eq!(event.message, "down: x");
        let fields = [("gap_ms".to_owned(), Value::from(7)), ("routes_kept".to_owned(), Value::from(true))];
        assert_eq!(event.fields, BTreeMap::from(fields));
    }

    #[test]
    fn a_line_may_name_its_connection_itself_and_no_value_is_long() {
        let long = "x".repeat(5000);
        let told = told(|| info!(connection = %"azure", from = long, event = FAILOVER, "traffic moves"));
        assert_eq!((told[0].connection.as_deref(), told[0].tunnel.as_deref()), (Some("azure"), None));
        assert_eq!(told[0].fields["from"].as_str().map(str::len), Some(MAX_VALUE));
    }
}
