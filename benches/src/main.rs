//! `gotthard-benches`: the side-by-side throughput bench with the gateway with fixed keys that it measures, and the benches
//! of many tunnels.

#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool speaks on its standard streams"
)]
#![allow(clippy::cast_precision_loss, reason = "counts of a second of traffic have far less than 52 bits")]

mod failover;
mod gateway;
mod ike;
mod interrupt;
mod machine;
mod peers;
mod report;
mod scaling;
mod scrape;

use std::process::ExitCode;

use clap::Parser;

/// Benchmarks of Gotthard that need a whole machine; the others are `cargo bench -p gotthard-benches`.
#[derive(Debug, Parser)]
#[command(version)]
enum Command {
    /// One tunnel with fixed keys and no IKE. Not for traffic that matters: everybody knows the keys.
    Gateway(gateway::Arguments),
    /// Measures Gotthard and its peers side by side in network namespaces.
    Peers(peers::Arguments),
    /// Measures how far workers share the work of one SA, in memory.
    Scaling(scaling::Arguments),
    /// Counts the IKE SAs that a responder makes in a second, ours and strongSwan's.
    Handshakes(ike::handshakes::Arguments),
    /// Our endpoint as the responder of that bench.
    Respond(ike::respond::Arguments),
    /// Times the liveness checks of a tunnel while the daemon answers a storm of handshakes.
    Storm(ike::storm::Arguments),
    /// Keeps many tunnels up between two endpoints on a virtual clock.
    Pairs(ike::pairs::Arguments),
    /// Measures how long traffic stands still when a tunnel ends, ours beside strongSwan and BIRD.
    Failover(failover::Arguments),
    /// Measures what scraping the metrics of a thousand tunnels costs the daemon.
    Scrape(scrape::Arguments),
    /// Draws the pictures of an earlier run again, from its JSON.
    Plot(report::PlotArguments),
}

fn main() -> ExitCode {
    let done = match Command::parse() {
        Command::Gateway(arguments) => gateway::run(&arguments),
        Command::Peers(arguments) => peers::run(&arguments),
        Command::Scaling(arguments) => scaling::run(&arguments),
        Command::Handshakes(arguments) => ike::handshakes::run(&arguments),
        Command::Respond(arguments) => ike::respond::run(&arguments),
        Command::Storm(arguments) => ike::storm::run(&arguments),
        Command::Pairs(arguments) => ike::pairs::run(&arguments),
        Command::Failover(arguments) => failover::run(&arguments),
        Command::Scrape(arguments) => scrape::run(&arguments),
        Command::Plot(arguments) => report::plot_again(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gotthard-benches: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_command_that_the_documents_show_is_one_of_ours() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let pages = fs::read_dir(root.join("docs/performance")).unwrap().map(|entry| entry.unwrap().path());
        let pages = pages.filter(|page| page.extension().is_some_and(|extension| extension == "md"));
        for page in pages.chain([root.join("README.md")]) {
            let text = fs::read_to_string(&page).unwrap();
            let shown = text.split("-p gotthard-benches -- ").skip(1);
            for line in shown.filter_map(|rest| rest.split(['`', '\n']).next()) {
                let words = ["gotthard-benches"].into_iter().chain(line.split_whitespace());
                let wrong = Command::try_parse_from(words).err();
                assert!(wrong.is_none(), "{}: {line}: {}", page.display(), wrong.unwrap());
            }
        }
    }
}
