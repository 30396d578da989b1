//! From an octet offset in a file to what an operator looks for: line, column, key.

/// The lines of a text.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    text: &'a str,
    /// Offset of the start of every line.
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let starts = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { text, starts: core::iter::once(0).chain(starts).collect() }
    }

    /// The line of an offset, counted from 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|&start| start <= offset)
    }

    /// Line and column of an offset, both counted from 1; the column in characters.
    pub(super) fn position(&self, offset: usize) -> (usize, usize) {
        let line = self.line(offset);
        let start = self.starts.get(line - 1).copied().unwrap_or_default();
        let before = head(self.text, offset);
        (line, before.get(start..).unwrap_or_default().chars().count() + 1)
    }
}

/// The key whose line an offset is in, for text that is not TOML and therefore has no tree to ask.
///
/// The last table header above, and what stands before the `=` of the line; nothing of the value, which may be a
/// secret.
pub(super) fn key_at(text: &str, offset: usize) -> String {
    let before = head(text, offset);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    let header = table_name(line).or_else(|| before.lines().rev().find_map(table_name));
    let key = bare_key(line);
    match (header, key) {
        (Some(table), "") => table.to_owned(),
        (Some(table), key) => format!("{table}.{key}"),
        (None, "") => WHOLE_FILE.to_owned(),
        (None, key) => key.to_owned(),
    }
}

/// The name in a line that is a table header.
fn table_name(line: &str) -> Option<&str> {
    let name = bare_key(line.trim_start().strip_prefix('[')?.trim_start_matches('['));
    (!name.is_empty()).then_some(name)
}

/// The bare and dotted key that a line starts with.
fn bare_key(line: &str) -> &str {
    let line = line.trim_start();
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || "_-.".contains(c))).unwrap_or(line.len());
    line.get(..end).unwrap_or_default()
}

fn head(text: &str, offset: usize) -> &str {
    let end = (0..=offset.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

/// Stands for a key where the file as a whole is meant.
pub(super) const WHOLE_FILE: &str = "(file)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_and_column_count_from_one_and_in_characters() {
        let text = "a = 1\nü = [\n]";
        assert_eq!(Lines::new(text).position(0), (1, 1));
        assert_eq!(Lines::new(text).position(6), (2, 1));
        assert_eq!(Lines::new(text).position(8), (2, 2));
        assert_eq!(Lines::new(text).position(7), (2, 1), "inside the ü");
        assert_eq!(Lines::new(text).position(9_999), (3, 2));
    }

    #[test]
    fn a_broken_line_is_named_by_its_table_and_key() {
        let text = "[connection.a]\nrouting = \"static\n[[connection.a.tunnel]]\npsk \"hunter2\"\n";
        assert_eq!(key_at(text, 30), "connection.a.routing");
        assert_eq!(key_at(text, 60), "connection.a.tunnel.psk");
        assert_eq!(key_at(text, 3), "connection.a");
        assert_eq!(key_at("= 3", 0), WHOLE_FILE);
    }
}
