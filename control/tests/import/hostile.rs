//! Files that nobody honest hands out: an error, at once, and no line of a configuration.

use gotthard::import::emit::{Keys, emit};
use gotthard::import::{MAX_FILE, Origin, Refused, read};
use proptest::prelude::*;

const XML: &str = include_str!("files/aws.xml");
const FILES: [(Origin, &str); 9] = [
    (Origin::Aws, XML),
    (Origin::Aws, include_str!("files/aws-generic.txt")),
    (Origin::Aws, include_str!("files/aws-strongswan.txt")),
    (Origin::Aws, include_str!("files/aws-libreswan.txt")),
    (Origin::Azure, include_str!("files/azure-connection.json")),
    (Origin::Azure, include_str!("files/azure-gateway.json")),
    (Origin::Azure, include_str!("files/azure-local.json")),
    (Origin::Azure, include_str!("files/azure-device.txt")),
    (Origin::Gcp, include_str!("files/gcp.json")),
];

#[test]
fn what_is_too_large_is_not_looked_at() {
    let large = " ".repeat(MAX_FILE + 1);
    for origin in [Origin::Aws, Origin::Azure, Origin::Gcp] {
        assert_eq!(read(origin, &[&large]).unwrap_err(), Refused::TooLarge);
    }
}

#[test]
fn nothing_and_nonsense_are_refused_with_what_to_give_instead() {
    for origin in [Origin::Aws, Origin::Azure, Origin::Gcp] {
        for text in ["", "\u{feff}", "{}", "[]", "{", "<", "null", "hello", "<?xml version=\"1.0\"?><html/>"]
        {
            let refused = read(origin, &[text]).unwrap_err().to_string();
            assert!(!refused.is_empty(), "{origin:?} {text:?}");
        }
    }
}

#[test]
fn a_document_type_and_deep_nesting_are_refused() {
    let bomb = XML.replace("<vpn_connection ", "<!DOCTYPE x [<!ENTITY a \"aaaa\">]><vpn_connection ");
    assert!(matches!(read(Origin::Aws, &[&bomb]), Err(Refused::Malformed { .. })));
    let deep = "[".repeat(100_000);
    assert!(matches!(read(Origin::Aws, &[&deep]), Err(Refused::Malformed { .. })));
    let nested = format!("<vpn_connection>{}", "<a>".repeat(100_000));
    assert!(read(Origin::Aws, &[&nested]).is_err());
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_refused_or_says_less() {
    for (origin, text) in FILES {
        for end in (0..text.len()).step_by(7).filter(|end| text.is_char_boundary(*end)) {
            let _ = read(origin, &[&text[..end]]);
        }
    }
    assert!(read(Origin::Aws, &[&XML[..XML.len() / 2]]).is_err(), "XML is whole or nothing");
}

#[test]
fn a_name_writes_no_line_and_a_key_no_second_string() {
    let key = XML.replace("exampleTunnelOne_0123456789.abcd", "k&quot;&#10;psk_file = &quot;/etc/shadow");
    assert!(matches!(read(Origin::Aws, &[&key]), Err(Refused::Key { .. })));
    let name = XML
        .replace("vpn-0a1b2c3d4e5f60718", "x]&#10;[gateway]&#10;local = &quot;192.0.2.66")
        .replace("exampleTunnelOne_0123456789.abcd", "k&quot;#, psk_file = &quot;/etc/shadow");
    let found = read(Origin::Aws, &[&name]).unwrap();
    let text = emit(&found, true, Keys::Inline);
    assert_eq!(text.lines().filter(|line| line.starts_with("[gateway]")).count(), 1, "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("psk_file")).count(), 0, "{text}");
    super::config(&found);
}

#[test]
fn an_error_quotes_no_key() {
    let broken = include_str!("files/azure-connection.json").replace("\"name\"", "name");
    let refused = read(Origin::Azure, &[&broken]).unwrap_err();
    assert!(!format!("{refused} {refused:?}").contains("abc123"), "{refused:?}");
    let number = include_str!("files/gcp.json").replace("\"exampleTunnelOne_0123456789.abcd\"", "12345678");
    let found = read(Origin::Gcp, &[&number]).unwrap();
    assert!(
        !format!("{found:?}").contains("12345678") && !format!("{found:?}").contains("example"),
        "{found:?}"
    );
}

proptest! {
    #[test]
    fn anything_ends_in_a_connection_or_an_error(text in "\\PC{0,400}") {
        for origin in [Origin::Aws, Origin::Azure, Origin::Gcp] {
            let _ = read(origin, &[&text]);
        }
    }

    /// What is changed in a file that is fine is found or refused, and what is found can be written.
    #[test]
    fn a_changed_file_ends_in_a_connection_or_an_error(
        file in 0..FILES.len(), at in any::<prop::sample::Index>(), change in "[ -~\\n\\t\"'<>:=\\[\\]{},0-9/]{0,6}",
    ) {
        let (origin, text) = FILES[file];
        let at = at.index(text.len());
        prop_assume!(text.is_char_boundary(at) && text.is_char_boundary(at + 1));
        let changed = [&text[..at], change.as_str(), &text[at + 1..]].concat();
        if let Ok(found) = read(origin, &[&changed]) {
            let written = emit(&found, true, Keys::Inline);
            prop_assert!(toml::from_str::<toml::Table>(&written).is_ok(), "{written}");
        }
    }
}
