//! The two text formats: OpenMetrics 1.0, and for those who do not ask for it Prometheus' older one, version 0.0.4, which has
//! neither units nor an end mark, and where the name of a counter's family ends as its samples do.
//!
//! Written here and not by a crate: a scrape of a thousand tunnels is tens of thousands of lines, and an encoder that puts every
//! label of each together anew took longer than all the rest of it. Names and labels are strings that are made once.

use core::fmt::Write as _;

use super::families::{Kind, Unit, Value};
use super::histogram::Histogram;

/// What a page is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    Open,
    /// Prometheus' text format 0.0.4.
    Classic,
}

/// A page that grows.
pub(super) struct Text {
    format: Format,
    out: String,
}

/// The name that the samples of a family begin with.
pub(super) struct Name(String);

/// Those of a histogram.
pub(super) struct HistogramName<const BOUNDS: usize> {
    bucket: String,
    sum: String,
    count: String,
    /// The last label of each bucket but the last, with what closes them: `le="1.0"}`.
    bounds: [String; BOUNDS],
}

/// The labels of a sample with the braces around them.
#[derive(Clone, Debug)]
pub(super) struct Labels {
    closed: String,
    /// The same where another follows.
    open: String,
}

impl Text {
    /// An empty page with room for so many octets.
    pub(super) fn new(format: Format, capacity: usize) -> Self {
        Self { format, out: String::with_capacity(capacity) }
    }

    /// Begins a family.
    pub(super) fn family(&mut self, name: &str, unit: Option<Unit>, kind: Kind, help: &str) -> Name {
        let mut family = [PREFIX, name].concat();
        if let Some(unit) = unit {
            family.extend(["_", unit.name()]);
        }
        let samples = if kind == Kind::Counter { [&family, "_total"].concat() } else { family.clone() };
        let declared = match self.format {
            Format::Open => &family,
            Format::Classic => &samples,
        };
        self.extend(["# HELP ", declared, " "]);
        // RFC-like escapes of both formats; our own sentences need none.
        escape(&mut self.out, help);
        self.extend(["\n# TYPE ", declared, " ", kind.name(), "\n"]);
        if let (Format::Open, Some(unit)) = (self.format, unit) {
            self.extend(["# UNIT ", declared, " ", unit.name(), "\n"]);
        }
        Name(samples)
    }

    /// Begins a family of histograms.
    pub(super) fn histograms<const BOUNDS: usize>(
        &mut self,
        name: &str,
        unit: Option<Unit>,
        help: &str,
        bounds: &[f64; BOUNDS],
    ) -> HistogramName<BOUNDS> {
        let Name(name) = self.family(name, unit, Kind::Histogram, help);
        let [bucket, sum, count] = ["_bucket", "_sum", "_count"].map(|end| [&name, end].concat());
        // `1.0`: whole numbers have a point here.
        HistogramName { bucket, sum, count, bounds: bounds.map(|bound| format!("le=\"{bound:?}\"}}")) }
    }

    /// A counter or gauge.
    pub(super) fn sample(&mut self, name: &Name, labels: &Labels, value: Value) {
        self.extend([&name.0, &labels.closed]);
        self.value(value);
    }

    /// All samples of a histogram.
    pub(super) fn histogram<const BOUNDS: usize>(
        &mut self,
        name: &HistogramName<BOUNDS>,
        labels: &Labels,
        histogram: &Histogram<BOUNDS>,
    ) {
        for (bound, (_, count)) in name.bounds.iter().zip(histogram.buckets()) {
            self.extend([&name.bucket, &labels.open, bound]);
            self.value(Value::Counter(count));
        }
        self.extend([&name.bucket, &labels.open, "le=\"+Inf\"}"]);
        self.value(Value::Counter(histogram.count()));
        self.extend([&name.sum, &labels.closed]);
        self.value(Value::Real(histogram.sum()));
        self.extend([&name.count, &labels.closed]);
        self.value(Value::Counter(histogram.count()));
    }

    /// The whole page.
    pub(super) fn end(mut self) -> String {
        if self.format == Format::Open {
            self.out.push_str("# EOF\n");
        }
        self.out
    }

    fn value(&mut self, value: Value) {
        // Writing to a String cannot fail. Most are 0 or 1.
        match value {
            Value::Counter(0) | Value::Whole(0) => self.out.push_str(" 0\n"),
            Value::Counter(1) | Value::Whole(1) => self.out.push_str(" 1\n"),
            Value::Counter(value) => drop(writeln!(self.out, " {value}")),
            Value::Whole(value) => drop(writeln!(self.out, " {value}")),
            Value::Real(value) => drop(writeln!(self.out, " {value:?}")),
        }
    }

    fn extend<const PARTS: usize>(&mut self, parts: [&str; PARTS]) {
        for part in parts {
            self.out.push_str(part);
        }
    }
}

impl Labels {
    /// Those with these names and values.
    pub(super) fn of(labels: &[(&str, &str)]) -> Self {
        let mut open = "{".to_owned();
        for (name, value) in labels {
            open.extend([name, "=\""]);
            escape(&mut open, value);
            open.push_str("\",");
        }
        let closed = match open.strip_suffix(',') {
            Some(labels) => [labels, "}"].concat(),
            None => String::new(),
        };
        Self { closed, open }
    }
}

/// Writes the value of a label, or a sentence.
fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}

/// What every name begins with.
const PREFIX: &str = "gotthard_";

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    fn page(format: Format) -> String {
        let mut text = Text::new(format, 0);
        let labels = Labels::of(&[("connection", "a\"b\\c\nd"), ("tunnel", "1")]);
        let name = text.family("carried", Some(Unit::Bytes), Kind::Counter, "All of it.");
        text.sample(&name, &labels, Value::Counter(u64::MAX));
        let name = text.family("workers", None, Kind::Gauge, "Some.");
        text.sample(&name, &Labels::of(&[]), Value::Whole(-2));
        let name = text.histograms("gap", Some(Unit::Seconds), "How long.", &[1.0]);
        let mut gaps = Histogram::new(&[1.0]);
        gaps.observe(Duration::from_millis(500));
        gaps.observe(Duration::from_secs(2));
        text.histogram(&name, &Labels::of(&[]), &gaps);
        text.histogram(&name, &Labels::of(&[("connection", "x")]), &gaps);
        text.end()
    }

    #[test]
    fn open_metrics_has_units_and_an_end() {
        let labels = r#"{connection="a\"b\\c\nd",tunnel="1"}"#;
        let expected = format!(
            "# HELP gotthard_carried_bytes All of it.\n# TYPE gotthard_carried_bytes counter\n\
             # UNIT gotthard_carried_bytes bytes\ngotthard_carried_bytes_total{labels} 18446744073709551615\n\
             # HELP gotthard_workers Some.\n# TYPE gotthard_workers gauge\ngotthard_workers -2\n\
             # HELP gotthard_gap_seconds How long.\n# TYPE gotthard_gap_seconds histogram\n\
             # UNIT gotthard_gap_seconds seconds\n\
             gotthard_gap_seconds_bucket{{le=\"1.0\"}} 1\ngotthard_gap_seconds_bucket{{le=\"+Inf\"}} 2\n\
             gotthard_gap_seconds_sum 2.5\ngotthard_gap_seconds_count 2\n\
             gotthard_gap_seconds_bucket{{connection=\"x\",le=\"1.0\"}} 1\n\
             gotthard_gap_seconds_bucket{{connection=\"x\",le=\"+Inf\"}} 2\n\
             gotthard_gap_seconds_sum{{connection=\"x\"}} 2.5\ngotthard_gap_seconds_count{{connection=\"x\"}} 2\n\
             # EOF\n"
        );
        assert_eq!(page(Format::Open), expected);
    }

    #[test]
    fn the_older_format_declares_counters_by_the_name_of_their_samples() {
        let page = page(Format::Classic);
        assert!(page.starts_with(
            "# HELP gotthard_carried_bytes_total All of it.\n# TYPE gotthard_carried_bytes_total counter\ngotthard_carried"
        ));
        assert!(!page.contains("# UNIT") && !page.contains("# EOF"), "{page}");
    }
}
