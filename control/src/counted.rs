//! Counts in sentences.

/// A count with its noun: `1 prefix`, `2 prefixes`.
pub(crate) fn counted(count: u64, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular() {
        let counts = [0, 1, 2].map(|count| counted(count, "prefix", "prefixes"));
        assert_eq!(counts, ["0 prefixes", "1 prefix", "2 prefixes"]);
    }
}
