//! What other programs say of the kernel, where they are installed: its firewall's rules and its IPsec policies.

use core::time::Duration;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

/// The rules of nftables, or of iptables where there are none of those.
pub(super) fn ruleset() -> Option<String> {
    let nftables = output("nft", &["list", "ruleset"]);
    let iptables = || output("iptables-save", &["-t", "filter"]);
    match nftables {
        Some(text) if !text.trim().is_empty() => Some(text),
        empty => iptables().or(empty),
    }
}

/// How many IPsec policies the kernel has.
pub(super) fn policies() -> Option<usize> {
    let listed = output("ip", &["-o", "xfrm", "policy"])?;
    Some(listed.lines().filter(|line| line.starts_with("src ")).count())
}

/// Standard output of a program that ends well within [`PATIENCE`]; no more than [`MOST`] of it.
fn output(program: &str, args: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let said = read(&mut child);
    if said.is_none() {
        // One that hangs, and one that has ended already: neither is to be left behind.
        let _ = child.kill();
    }
    child.wait().ok().filter(std::process::ExitStatus::success).and(said)
}

fn read(child: &mut Child) -> Option<String> {
    let stdout = child.stdout.take()?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut text = Vec::new();
        let read = stdout.take(MOST).read_to_end(&mut text);
        // Nobody waits any more where the program took too long.
        let _ = sender.send(read.map(|_| String::from_utf8_lossy(&text).into_owned()));
    });
    receiver.recv_timeout(PATIENCE).ok()?.ok()
}

const PATIENCE: Duration = Duration::from_secs(5);
/// Octets: a ruleset of some 10,000 rules.
const MOST: u64 = 1 << 20;
