//! Text from outside on a terminal: what a peer or a file can choose must not move the cursor.

use core::fmt::Write;

/// The text on one line, its control and direction characters escaped.
pub(super) fn line(text: &str) -> String {
    escape(text, false)
}

/// The same, with line breaks kept.
pub(super) fn lines(text: &str) -> String {
    escape(text, true)
}

fn escape(text: &str, keep_breaks: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if (c.is_control() && !(keep_breaks && c == '\n')) || is_direction(c) {
            // Writing to a String cannot fail.
            let _ = write!(escaped, "{}", c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// Characters that reorder or hide their neighbours (Unicode UAX #9, line and paragraph separators).
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(line("a\x1b[2Jb\nc\u{202e}d\u{9b}"), "a\\u{1b}[2Jb\\nc\\u{202e}d\\u{9b}");
        assert_eq!(lines("a\r\nb"), "a\\r\nb");
        assert_eq!(line("Zürich ● ▲"), "Zürich ● ▲");
    }
}
