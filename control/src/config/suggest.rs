//! "Did you mean": the known word nearest to the one that was written.

/// The candidate with the least edits, if it is near enough to be meant.
pub(super) fn nearest<'c>(written: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if written.len() > MAX_WORD {
        return None;
    }
    candidates
        .into_iter()
        .map(|candidate| (edits(&written.to_ascii_lowercase(), candidate), candidate))
        .filter(|&(edits, candidate)| edits <= candidate.len().div_ceil(3))
        .min_by_key(|&(edits, _)| edits)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours that make `a` into `b` (optimal string alignment).
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before = vec![0; b.len() + 1];
    let mut previous: Vec<usize> = (0..=b.len()).collect();
    for (i, &from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &to) in b.iter().enumerate() {
            let replaced = previous[j] + usize::from(from != to);
            let mut best = replaced.min(previous[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && from == b[j - 1] && a[i - 1] == to {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = previous;
        previous = row;
    }
    previous.last().copied().unwrap_or_default()
}

/// Longer words are not compared: the work grows with the square.
const MAX_WORD: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_keyboard_finds_its_word() {
        let keys = ["peer", "peer_inside", "peer_asn", "psk_file", "psk", "interface"];
        assert_eq!(nearest("pere", keys), Some("peer"));
        assert_eq!(nearest("peer_insde", keys), Some("peer_inside"));
        assert_eq!(nearest("PSK-FILE", keys), Some("psk_file"));
        assert_eq!(nearest("interfaces", keys), Some("interface"));
        assert_eq!(nearest("colour", keys), None);
        assert_eq!(nearest(&"p".repeat(100_000), keys), None);
    }
}
