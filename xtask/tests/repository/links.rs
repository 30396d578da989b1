//! The links, paths and failure codes in the documents, and the documents that the code names: each leads to a file of the
//! repository, each anchor to a heading. Links to the web are not followed.

use std::collections::BTreeSet;
use std::path::Path;

use crate::tree::{files, read, root};

/// The folders whose paths a document may name.
const FOLDERS: [&str; 9] =
    ["benches", "contrib", "control", "dataplane", "docs", "fuzz", "ike", "lab", "xtask"];

#[test]
fn every_link_leads_to_a_file_and_every_anchor_to_a_heading() {
    let mut broken = Vec::new();
    for document in files(&root(), &["md"]) {
        let prose = prose(&read(&document));
        let links = links(&prose).into_iter().filter(|link| !link.contains("://"));
        let lost = links.filter_map(|link| Some(format!("{link}: {}", flaw(&document, link)?)));
        broken.extend(lost.map(|lost| format!("{}: {lost}", document.display())));
    }
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}

#[test]
fn every_path_that_a_document_names_exists() {
    let mut missing = Vec::new();
    for document in files(&root(), &["md"]) {
        let prose = prose(&read(&document));
        let lost = paths(&prose).into_iter().filter(|path| !root().join(path).exists());
        missing.extend(lost.map(|path| format!("{}: {path}", document.display())));
    }
    assert!(missing.is_empty(), "no such files:\n{}", missing.join("\n"));
}

#[test]
fn every_document_that_the_code_names_exists() {
    let mut missing = Vec::new();
    for source in files(&root(), &["rs", "toml", "yml"]) {
        let text = read(&source);
        let lost = documents(&text).into_iter().filter(|path| !root().join(path).exists());
        missing.extend(lost.map(|path| format!("{}: {path}", source.display())));
    }
    assert!(missing.is_empty(), "no such documents:\n{}", missing.join("\n"));
}

#[test]
fn every_failure_code_that_is_named_has_a_page() {
    let mut missing = Vec::new();
    let events = read(&root().join("docs/events.md"));
    for document in files(&root(), &["md"]) {
        let text = read(&document);
        let page = |code: &str| root().join("docs/failures").join(code).with_extension("md");
        // Those of events share a page.
        let is_event = |code: &str| events.contains(&format!("| `{code}` |"));
        let lost = codes(&text).into_iter().filter(|code| !page(code).exists() && !is_event(code));
        missing.extend(lost.map(|code| format!("{}: {code}", document.display())));
    }
    assert!(missing.is_empty(), "no page in docs/failures:\n{}", missing.join("\n"));
}

/// What is wrong with a link of a document.
fn flaw(document: &Path, link: &str) -> Option<&'static str> {
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let target = if path.is_empty() { document.to_path_buf() } else { document.with_file_name(path) };
    if !target.exists() {
        return Some("no such file");
    }
    let is_lost = anchor.is_some_and(|anchor| !anchors(&prose(&read(&target))).contains(anchor));
    is_lost.then_some("no such heading")
}

/// The text without its blocks of code.
fn prose(text: &str) -> String {
    // Every other piece between fences is code.
    text.split("```").step_by(2).collect::<Vec<_>>().join("\n")
}

/// Where `[…](TARGET)` and `![…](TARGET)` lead.
fn links(prose: &str) -> Vec<&str> {
    prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect()
}

/// The words in backquotes that begin with a folder of the workspace; `FILE::NAME` is a test, and another table's matter.
fn paths(prose: &str) -> Vec<&str> {
    let quoted = prose.split('`').skip(1).step_by(2);
    let words = quoted.filter(|word| !word.contains(char::is_whitespace) && !word.contains("::"));
    words.filter(|word| word.split_once('/').is_some_and(|(head, _)| FOLDERS.contains(&head))).collect()
}

/// The paths `docs/…` in any text.
fn documents(text: &str) -> Vec<&str> {
    let is_of_path = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let words = text.split(|c: char| !is_of_path(c)).filter(|word| word.starts_with("docs/"));
    // The full stop of a sentence.
    words.map(|word| word.trim_end_matches('.')).collect()
}

/// The codes `GTH-…-01` in any text.
fn codes(text: &str) -> Vec<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    words.filter(|word| word.starts_with("GTH-") && word.ends_with(|c: char| c.is_ascii_digit())).collect()
}

/// The anchors of the headings, as GitHub makes them: letters, digits, `-` and `_` of the heading, small, blanks as `-`.
fn anchors(prose: &str) -> BTreeSet<String> {
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    let shown = headings.map(|line| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-"));
    shown.map(|line| line.replace(|c: char| !c.is_alphanumeric() && c != '-' && c != '_', "")).collect()
}

#[test]
fn reads_links_paths_and_anchors() {
    let text = "# A `[b.C]`, d\n[e](f.md#g) and\n![h](i.svg)\n```text\n[j](k)\n# l\n```\nSee `docs/drill.md`, `ike/n::o`.\n";
    let prose = prose(text);
    assert_eq!(links(&prose), ["f.md#g", "i.svg"]);
    assert_eq!(paths(&prose), ["docs/drill.md"]);
    assert_eq!(anchors(&prose), BTreeSet::from(["a-bc-d".to_owned()]));
    assert_eq!(
        documents("see docs/adr/0001-ike-without-io.md. (https://docs.rs/docs/x)"),
        ["docs/adr/0001-ike-without-io.md"]
    );
}
