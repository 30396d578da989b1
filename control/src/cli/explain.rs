//! `gotthard explain CODE`: the page of a failure, compiled in from `docs/failures`, or of an event, so that it is of this
//! version and there when the network is not.

use super::exit::Exit;
use super::text;
use crate::events::kind;

/// Shows the page of a code; without a code the list of them.
pub(super) fn explain(code: Option<&str>) -> Exit {
    let Some(code) = code else {
        for (_, page) in PAGES {
            println!("{}", title(page));
        }
        for kind in kind::ALL {
            println!("{}", title(&kind.page()));
        }
        return Exit::Ok;
    };
    let wanted = code.to_ascii_uppercase();
    if let Some((_, page)) = PAGES.iter().find(|(code, _)| *code == wanted) {
        print!("{page}");
        return Exit::Ok;
    }
    if let Some(kind) = kind::of(&wanted) {
        print!("{}", kind.page());
        return Exit::Ok;
    }
    eprintln!("error: {} is no code of a failure or an event", text::line(code));
    eprintln!("  remedy: did you mean {}? `gotthard explain` lists them all", nearest(&wanted));
    Exit::Usage
}

/// The first line without its mark: code and what it is.
fn title(page: &str) -> &str {
    page.lines().next().unwrap_or_default().trim_start_matches("# ")
}

/// The code that takes the fewest changes to become `wanted`.
fn nearest(wanted: &str) -> &'static str {
    let codes = PAGES.iter().map(|(code, _)| *code).chain(kind::ALL.iter().map(|kind| kind.code));
    codes.min_by_key(|code| distance(code, wanted)).unwrap_or_default()
}

/// Levenshtein's distance: characters to insert, remove or replace. Of a long text only the start matters.
fn distance(code: &str, text: &str) -> usize {
    let mut above: Vec<usize> = (0..=code.chars().count()).collect();
    for (row, c) in text.chars().take(MAX_COMPARED).enumerate() {
        let mut diagonal = above[0];
        above[0] = row + 1;
        for (column, d) in code.chars().enumerate() {
            let replaced = diagonal + usize::from(c != d);
            diagonal = above[column + 1];
            above[column + 1] = replaced.min(above[column] + 1).min(diagonal + 1);
        }
    }
    above.last().copied().unwrap_or_default()
}

/// Embeds the page of each code.
macro_rules! pages {
    ($($code:literal)*) => {
        &[$(($code, include_str!(concat!("../../../docs/failures/", $code, ".md"))),)*]
    };
}

/// Every code of a failure with its page, in the order of the chain.
const PAGES: &[(&str, &str)] = pages! {
    "GTH-NET-01" "GTH-NET-02"
    "GTH-IKE-01" "GTH-IKE-02" "GTH-IKE-03" "GTH-IKE-04" "GTH-IKE-05" "GTH-IKE-06" "GTH-IKE-07" "GTH-IKE-08"
    "GTH-IKE-09" "GTH-IKE-10" "GTH-IKE-11" "GTH-IKE-12" "GTH-IKE-13" "GTH-IKE-14" "GTH-IKE-15" "GTH-IKE-16"
    "GTH-IKE-17" "GTH-IKE-18" "GTH-IKE-19" "GTH-IKE-20" "GTH-IKE-21" "GTH-IKE-22" "GTH-IKE-23" "GTH-IKE-24"
    "GTH-IKE-25" "GTH-IKE-26" "GTH-IKE-27"
    "GTH-ESP-01" "GTH-ESP-02" "GTH-ESP-03" "GTH-ESP-04" "GTH-ESP-05" "GTH-ESP-06" "GTH-ESP-07" "GTH-ESP-08"
    "GTH-ESP-09"
    "GTH-PRB-01" "GTH-PRB-02"
    "GTH-BGP-01" "GTH-BGP-02" "GTH-BGP-03" "GTH-BGP-04" "GTH-BGP-05" "GTH-BGP-06" "GTH-BGP-07"
    "GTH-BGP-08" "GTH-BGP-09" "GTH-BGP-10" "GTH-BGP-11" "GTH-BGP-12" "GTH-BGP-13" "GTH-BGP-14"
    "GTH-BGP-15" "GTH-BGP-16" "GTH-BGP-17" "GTH-BGP-18" "GTH-BGP-19" "GTH-BGP-20"
    "GTH-RTE-01" "GTH-RTE-02" "GTH-RTE-03" "GTH-RTE-04" "GTH-RTE-05" "GTH-RTE-06" "GTH-RTE-07"
    "GTH-RTE-08" "GTH-RTE-09" "GTH-RTE-10" "GTH-RTE-11" "GTH-RTE-12" "GTH-RTE-13" "GTH-RTE-14"
    "GTH-RTE-15" "GTH-RTE-16" "GTH-RTE-17" "GTH-RTE-18" "GTH-RTE-19"
};

/// Longer than any code.
const MAX_COMPARED: usize = 64;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    #[test]
    fn every_code_in_the_sources_has_its_page_and_every_page_its_code() {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let bgp = ["failure.rs", "overlap.rs", "refusal.rs"].map(|file| format!("control/src/bgp/{file}"));
        let sources = ["ike/src/error.rs", "control/src/daemon", "control/src/diagnose/finding.rs"]
            .map(str::to_owned)
            .into_iter()
            .chain(bgp);
        let sources: Vec<PathBuf> = sources.map(|path| workspace.join(path)).collect();
        let used: BTreeSet<String> =
            sources.iter().flat_map(|path| files(path)).flat_map(|file| codes_in(&file)).collect();
        let explained: BTreeSet<String> = PAGES.iter().map(|(code, _)| (*code).to_owned()).collect();
        assert_eq!(used, explained);
        let pages = std::fs::read_dir(workspace.join("docs/failures")).unwrap().count();
        assert_eq!(pages, PAGES.len(), "docs/failures has a page that is not compiled in");
    }

    #[test]
    fn a_page_begins_with_its_code_and_says_where_to_look() {
        for (code, page) in PAGES {
            assert!(title(page).starts_with(&format!("{code}: ")), "{code}");
            for part in ["## In the ", "## Where to look and what to change", "- **Here**: ", "## Example"] {
                assert!(page.contains(part), "{code} has no {part:?}");
            }
        }
    }

    #[test]
    fn a_mistyped_code_finds_its_neighbour() {
        assert_eq!(nearest("GTH-IKE-9"), "GTH-IKE-09");
        assert_eq!(nearest("IKE-09"), "GTH-IKE-09");
        assert_eq!(nearest("GTH-RT-02"), "GTH-RTE-02");
        assert_eq!(nearest("EVT-42"), "GTH-EVT-42");
        assert_eq!(explain(Some("no such code")), Exit::Usage);
        assert_eq!(explain(Some("gth-evt-10")), Exit::Ok);
        assert_eq!(explain(Some("gth-ike-01")), Exit::Ok);
    }

    fn files(path: &Path) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(path) else { return vec![path.to_path_buf()] };
        entries.flat_map(|entry| files(&entry.unwrap().path())).collect()
    }

    /// What stands between quotes and has the form of a code.
    fn codes_in(file: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(file).unwrap();
        text.split('"').filter(|word| is_code(word)).map(str::to_owned).collect()
    }

    fn is_code(word: &str) -> bool {
        let parts: Vec<&str> = word.split('-').collect();
        matches!(parts.as_slice(), ["GTH", _, number] if number.parse::<u8>().is_ok())
    }
}
