//! A valid configuration, mutated at random: each result is accepted, or refused with file, line, key and remedy.
//!
//! `GOTTHARD_TEST_SEED` repeats a failing run; the seed of the failing mutation is in the message.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use gotthard::config::{NoSecrets, lint, parse_str};

const VALID: &str = r#"[gateway]
local = "203.0.113.10"
asn = 65010
advertise = ["10.10.0.0/16", "2001:db8::/32"]
backend = "io_uring"
workers = 2
offloads = true

[connection.aws-prod]
cloud = "aws"
routing = "static"
remote = ["10.200.0.0/16"]
mode = "initiator"
mtu = 1446
ike_lifetime = "8h"
rekey_margin = "270s"
child_bytes = 104857600000
replay_window = 8192

[[connection.aws-prod.tunnel]]
name = "1"
peer = "198.51.100.11"
inside = "169.254.10.2/30"
peer_asn = 64512
psk = "hunter2hunter2"

[[connection.aws-prod.tunnel]]
name = "2"
peer = "198.51.100.12"
inside = "169.254.11.2/30"
psk = "hunter2hunter3"
interface = "gth7"
"#;

const TOKENS: &[&str] = &[
    "\"",
    "=",
    "[",
    "]",
    "[[",
    "\n",
    "#",
    ".",
    ",",
    "{",
    "}",
    "'''",
    "\"\"\"",
    "\\",
    "\u{0}",
    "\u{feff}",
    "ü",
    "1e999",
    "-1",
    "0x",
    "18446744073709551616",
    "true",
    "1979-05-27",
    "inf",
    "\"auto\"",
    "\"0.0.0.0/0\"",
    "\"::/126\"",
    "gateway",
    "connection",
    "tunnel",
    "peer",
    "psk_file = \"x\"",
    "routing = \"bgp\"",
    "inside = \"fd00::1/127\"",
    "\"8h\"",
];

#[test]
fn a_thousand_mutations_are_each_accepted_or_refused_with_place_and_remedy() {
    let base = std::env::var("GOTTHARD_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1_u64);
    let mut refused = 0;
    for seed in base..base + 1000 {
        let text = mutated(seed);
        match parse_str(&text, "g.toml", &NoSecrets) {
            Ok(loaded) => {
                for warning in lint::lint(&loaded) {
                    assert!(
                        !warning.key.is_empty() && !warning.remedy.is_empty(),
                        "seed {seed}: {warning:?}"
                    );
                }
            }
            Err(errors) => {
                refused += 1;
                assert!(!errors.0.is_empty(), "seed {seed}: refused without a reason");
                for error in errors.0 {
                    let whole = error.file == "g.toml"
                        && (1..=text.split('\n').count()).contains(&error.line)
                        && ![&error.key, &error.problem, &error.remedy].into_iter().any(String::is_empty);
                    assert!(whole, "seed {seed}: {error:?}\n{text}");
                }
            }
        }
    }
    // Both outcomes are there, or the mutations are not what they should be.
    assert!((300..1000).contains(&refused), "{refused} of 1000 refused");
}

/// The valid text with one to four mutations, of octets and of tokens in turn.
fn mutated(seed: u64) -> String {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut text = VALID.as_bytes().to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(text.len());
        match random.below(7) {
            0 => text[at] ^= 1 << random.below(8),
            1 => text[at] = random.below(256).to_le_bytes()[0],
            2 => drop(text.remove(at)),
            3 => text.truncate(at.max(1)),
            4 => drop(text.splice(at..at, TOKENS[random.below(TOKENS.len())].bytes())),
            5 => swap_lines(&mut text, &mut random),
            _ => replace_word(&mut text, at, TOKENS[random.below(TOKENS.len())]),
        }
        if text.is_empty() {
            break;
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Puts one line in the place of another, so that keys meet twice or in a table not their own.
fn swap_lines(text: &mut Vec<u8>, random: &mut Random) {
    let mut lines: Vec<Vec<u8>> = text.split(|&octet| octet == b'\n').map(<[u8]>::to_vec).collect();
    let (from, to) = (random.below(lines.len()), random.below(lines.len()));
    let line = lines[from].clone();
    lines[to] = line;
    *text = lines.join(&b'\n');
}

fn replace_word(text: &mut Vec<u8>, at: usize, token: &str) {
    let is_word = |octet: &u8| octet.is_ascii_alphanumeric() || b"_.-/".contains(octet);
    let start = text[..at].iter().rposition(|octet| !is_word(octet)).map_or(0, |before| before + 1);
    let end = text[at..].iter().position(|octet| !is_word(octet)).map_or(text.len(), |length| at + length);
    text.splice(start..end.max(start), token.bytes());
}

/// xorshift64*: repeatable, and good enough to choose from.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap() % bound
    }
}
