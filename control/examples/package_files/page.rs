//! A page of `docs/failures` or of an event as a manual page (man(7)): headings, paragraphs, lists and blocks of code, which is all that these
//! pages have.

use core::fmt::Write as _;

/// The page of a code in section 7, below the title of all that are like it.
pub(crate) fn roff(code: &str, title: &str, markdown: &str) -> String {
    let mut page = format!(".TH \"{code}\" 7 \"\" \"Gotthard\" \"{title}\"\n");
    let mut in_block = false;
    for line in markdown.lines() {
        if line.starts_with("```") {
            page.push_str(if in_block { ".EE\n.RE\n" } else { ".RS 4\n.EX\n" });
            in_block = !in_block;
        } else if in_block {
            push_text(&mut page, &escaped(line));
        } else {
            push_prose(&mut page, line);
        }
    }
    page
}

fn push_prose(page: &mut String, line: &str) {
    if let Some(title) = line.strip_prefix("# ") {
        let (code, what) = title.split_once(": ").unwrap_or((title, ""));
        let _ = writeln!(page, ".SH NAME\n{code} \\- {}\n.SH DESCRIPTION", inline(what));
    } else if let Some(heading) = line.strip_prefix("## ") {
        let _ = writeln!(page, ".SH \"{}\"", inline(heading));
    } else if let Some(item) = line.strip_prefix("- ") {
        page.push_str(".IP \\(bu 2\n");
        push_text(page, &inline(item));
    } else if line.trim().is_empty() {
        page.push_str(".PP\n");
    } else {
        push_text(page, &inline(line.trim_start()));
    }
}

/// A line of text, which must not begin as a request of roff's does.
fn push_text(page: &mut String, line: &str) {
    if line.starts_with(['.', '\'']) {
        page.push_str("\\&");
    }
    page.push_str(line);
    page.push('\n');
}

/// Code and strong text in bold, emphasis in italics, of a link its text.
fn inline(line: &str) -> String {
    let mut text = String::new();
    for (index, piece) in line.split('`').enumerate() {
        if index % 2 == 1 {
            let _ = write!(text, "\\fB{}\\fR", escaped(piece));
        } else {
            text.push_str(&marked(&marked(&escaped(&without_links(piece)), "**", "\\fB"), "*", "\\fI"));
        }
    }
    text
}

fn marked(text: &str, mark: &str, font: &str) -> String {
    let mut result = String::new();
    for (index, piece) in text.split(mark).enumerate() {
        if index > 0 {
            result.push_str(if index % 2 == 1 { font } else { "\\fR" });
        }
        result.push_str(piece);
    }
    result
}

fn without_links(text: &str) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, shown, behind)) = first_link(rest) {
        result.push_str(before);
        result.push_str(shown);
        rest = behind;
    }
    result + rest
}

/// What is before `[SHOWN](TARGET)`, SHOWN, and what is behind it.
fn first_link(text: &str) -> Option<(&str, &str, &str)> {
    let (head, tail) = text.split_once("](")?;
    let (before, shown) = head.rsplit_once('[')?;
    Some((before, shown, tail.split_once(')')?.1))
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}
