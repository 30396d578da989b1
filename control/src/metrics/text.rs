//! The page for those who do not ask for OpenMetrics: Prometheus' older text format, version 0.0.4.
//!
//! It has neither units nor an end mark, and the name of a counter's family ends as its samples do.

/// The same page in the older format.
pub fn classic(page: &str) -> String {
    let mut out = String::with_capacity(page.len());
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        let declared = line.strip_prefix("# HELP ").map(|rest| ("# HELP ", rest));
        let declared = declared.or_else(|| line.strip_prefix("# TYPE ").map(|rest| ("# TYPE ", rest)));
        match declared.and_then(|(mark, rest)| Some((mark, rest.split_once(' ')?))) {
            Some((mark, (name, rest))) if is_counter(line, lines.peek().copied()) => {
                out.extend([mark, name, "_total ", rest, "\n"]);
            }
            _ => out.extend([line, "\n"]),
        }
    }
    out
}

/// Whether a family is one of counters: its type stands in the line itself, or in the one behind its help.
fn is_counter(line: &str, next: Option<&str>) -> bool {
    let ends = |line: &str| line.starts_with("# TYPE ") && line.ends_with(" counter");
    ends(line) || (line.starts_with("# HELP ") && next.is_some_and(ends))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_declared_by_the_name_of_their_samples_and_units_are_left_out() {
        let page = "# HELP a_bytes All of it.\n# TYPE a_bytes counter\n# UNIT a_bytes bytes\na_bytes_total 1\n\
                    # HELP b Some.\n# TYPE b gauge\nb 2.0\n# EOF\n";
        assert_eq!(
            classic(page),
            "# HELP a_bytes_total All of it.\n# TYPE a_bytes_total counter\na_bytes_total 1\n\
             # HELP b Some.\n# TYPE b gauge\nb 2.0\n"
        );
    }
}
