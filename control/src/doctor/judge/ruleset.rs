//! The chains of a ruleset that drop what no rule permits, as `nft list ruleset` and `iptables-save` print them.
//!
//! Read for hints only: a chain that jumps elsewhere is not followed, and passes for one that permits.

#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

/// Where a chain looks at packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    /// What is for this host.
    Input,
    /// What is from it.
    Output,
    /// What passes through it.
    Forward,
}

/// A chain that drops what it does not permit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) hook: Hook,
    pub(super) name: String,
    rules: String,
}

impl Chain {
    /// Its rules have this word in them.
    pub(super) fn names(&self, word: &str) -> bool {
        self.rules.contains(word)
    }

    /// UDP 500 and 4500, by number or by the names of /etc/services.
    pub(super) fn names_ike(&self) -> bool {
        let words: Vec<&str> = self.rules.split(|c: char| !c.is_alphanumeric() && c != '-').collect();
        let named = |names: [&str; 2]| names.iter().any(|name| words.contains(name));
        named(["500", "isakmp"]) && named(["4500", "ipsec-nat-t"])
    }

    /// IP protocol 50.
    pub(super) fn names_esp(&self) -> bool {
        self.rules.split_whitespace().any(|word| word == "esp" || word == "50")
    }

    /// What it permits is everything, or is decided where we do not look.
    fn is_open(&self) -> bool {
        let elsewhere = |word: &str| matches!(word, "jump" | "goto" | "vmap");
        self.rules.split_whitespace().any(elsewhere) || self.rules.lines().any(|rule| rule == "accept")
    }
}

/// The chains that drop by their policy.
pub(super) fn closed_chains(text: &str) -> Vec<Chain> {
    let mut found = if text.lines().any(|line| line.starts_with("*filter")) {
        of_iptables(text)
    } else {
        of_nftables(text)
    };
    found.retain(|chain| !chain.is_open());
    found
}

/// `chain NAME {`, its `type filter hook … policy drop;`, its rules, `}`.
fn of_nftables(text: &str) -> Vec<Chain> {
    let mut found = Vec::new();
    let (mut name, mut closed, mut rules) = ("", None, String::new());
    for line in text.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("chain ") {
            name = rest.trim_end_matches('{').trim();
            (closed, rules) = (None, String::new());
        } else if line.starts_with("type filter hook ") {
            closed = line.contains("policy drop").then(|| hook(line)).flatten();
        } else if line == "}" {
            if let Some(hook) = closed.take() {
                found.push(Chain { hook, name: name.to_owned(), rules: core::mem::take(&mut rules) });
            }
        } else {
            rules.push_str(line);
            rules.push('\n');
        }
    }
    found
}

fn hook(line: &str) -> Option<Hook> {
    let word = line.split_once(" hook ")?.1.split(' ').next()?;
    Some(match word {
        "input" => Hook::Input,
        "output" => Hook::Output,
        "forward" => Hook::Forward,
        _ => return None,
    })
}

/// `:INPUT DROP [0:0]` and `-A INPUT …` of the table `filter`.
fn of_iptables(text: &str) -> Vec<Chain> {
    let filter = text.lines().skip_while(|line| !line.starts_with("*filter"));
    let lines: Vec<&str> = filter.take_while(|line| *line != "COMMIT").collect();
    [("INPUT", Hook::Input), ("OUTPUT", Hook::Output), ("FORWARD", Hook::Forward)]
        .into_iter()
        .filter(|(name, _)| lines.iter().any(|line| line.starts_with(&format!(":{name} DROP"))))
        .map(|(name, hook)| {
            let start = format!("-A {name} ");
            let own = lines.iter().filter(|line| line.starts_with(&start));
            let rules = own.fold(String::new(), |all, line| all + line + "\n");
            // A target that is a chain of its own is written as the verdicts are.
            let verdict = |target: &str| matches!(target, "ACCEPT" | "DROP" | "REJECT" | "LOG" | "RETURN");
            let targets = rules.lines().filter_map(|line| line.split_once(" -j ")?.1.split(' ').next());
            let elsewhere = targets.filter(|target| !verdict(target)).count() > 0;
            let rules = if elsewhere { rules + "jump\n" } else { rules };
            Chain { hook, name: name.to_owned(), rules }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_that_drop_by_policy_are_found_with_what_they_permit() {
        let text = "table inet filter {\n\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n\
                    \t\tct state established,related accept\n\t\tudp dport { 500, 4500 } accept\n\
                    \t\tmeta l4proto esp accept\n\t}\n\tchain open {\n\
                    \t\ttype filter hook output priority filter; policy accept;\n\t}\n\tchain forward {\n\
                    \t\ttype filter hook forward priority filter; policy drop;\n\t\tiifname \"gth0\" accept\n\t}\n\
                    \tchain elsewhere {\n\t\ttype filter hook input priority 1; policy drop;\n\t\tjump more\n\t}\n}\n";
        let found = closed_chains(text);
        let names: Vec<_> = found.iter().map(|chain| (chain.hook, chain.name.as_str())).collect();
        assert_eq!(names, [(Hook::Input, "input"), (Hook::Forward, "forward")]);
        assert!(found[0].names_ike() && found[0].names_esp() && !found[1].names_ike());
        assert!(found[1].names("gth0"));
    }

    #[test]
    fn iptables_is_read_as_well_and_chains_of_others_are_not_followed() {
        let text = "*nat\n:INPUT DROP [0:0]\nCOMMIT\n*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n\
                    :OUTPUT ACCEPT [0:0]\n-A INPUT -p udp -m udp --dport 500 -j ACCEPT\n\
                    -A FORWARD -j DOCKER-USER\nCOMMIT\n";
        let found = closed_chains(text);
        assert_eq!(found.len(), 1);
        assert!(found[0].hook == Hook::Input && !found[0].names_ike() && !found[0].names_esp());
    }

    #[test]
    fn whatever_is_printed_is_read_without_harm() {
        for text in [
            "",
            "}",
            "chain",
            "chain {\n}\n}",
            "*filter",
            "type filter hook ",
            "type filter hook  policy drop",
        ] {
            assert!(closed_chains(text).is_empty(), "{text:?}");
        }
    }
}
