//! The rules of an operator: prefix lists and communities, as a configuration file has them.

use gotthard::bgp::policy::{CommunityPattern, PrefixList, PrefixRule};
use ipnet::IpNet;

/// Reads each line of `data` as a rule for prefixes, a community and a prefix, and asks the rules about the prefixes.
pub fn prefix_list(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let rules: Vec<PrefixRule> = text.lines().filter_map(|line| line.parse().ok()).collect();
    for rule in &rules {
        let (least, most) = (*rule.lengths.start(), *rule.lengths.end());
        assert!(rule.within.prefix_len() <= least && least <= most && most <= rule.within.max_prefix_len());
        assert_eq!(rule.within, rule.within.trunc());
    }
    for pattern in text.lines().filter_map(|line| line.parse::<CommunityPattern>().ok()) {
        assert_eq!(pattern.to_string().parse(), Ok(pattern), "not read as it is shown");
    }
    let list = PrefixList(rules);
    for prefix in text.lines().filter_map(|line| line.trim().parse::<IpNet>().ok()) {
        let matches =
            |rule: &&PrefixRule| rule.within.contains(&prefix) && rule.lengths.contains(&prefix.prefix_len());
        let first = list.0.iter().find(matches);
        assert_eq!(list.permits(&prefix), first.is_some_and(|rule| rule.permit));
    }
}
