//! The one file that `gotthard doctor --fix` writes: kernel settings for `sysctl --system` and the next boot.

use core::fmt::Write as _;
use std::collections::BTreeMap;

use super::Setting;

/// Where it is if nobody says otherwise.
pub const DEFAULT: &str = "/etc/sysctl.d/90-gotthard.conf";
/// Everybody may read it.
pub const MODE: u32 = 0o644;

/// The file with these settings, and with those that it had before: what was mended once stays so.
pub fn render<'s>(before: &str, settings: impl Iterator<Item = &'s Setting>) -> String {
    let assigned = |line: &str| {
        let (name, value) = line.split_once('=')?;
        Some((name.trim().to_owned(), value.trim().to_owned()))
    };
    let kept = before.lines().filter(|line| !line.starts_with(['#', ';'])).filter_map(assigned);
    let mut all: BTreeMap<String, String> = kept.collect();
    all.extend(settings.map(|setting| (setting.name.clone(), setting.value.to_string())));
    let mut text = HEAD.to_owned();
    for (name, value) in all {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name} = {value}");
    }
    text
}

const HEAD: &str = "# Written by `gotthard doctor --fix`: what the gateway needs of the kernel.\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_join_those_of_before_and_replace_their_namesakes() {
        let before = "# a remark\n; another = 1\nnet.ipv4.ip_forward = 0\nvm.swappiness=10\nnonsense\n";
        let setting = |name: &str| Setting { name: name.to_owned(), value: 1 };
        let settings = [setting("net.ipv4.ip_forward"), setting("net.ipv6.conf.all.forwarding")];
        let once = render(before, settings.iter());
        let lines =
            "net.ipv4.ip_forward = 1\nnet.ipv6.conf.all.forwarding = 1\nvm.swappiness = 10\n".to_owned();
        assert_eq!(once, HEAD.to_owned() + &lines);
        assert_eq!(render(&once, settings.iter()), once);
    }
}
