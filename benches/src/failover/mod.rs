//! How long traffic stands still when a tunnel ends: ours beside a gateway of strongSwan and BIRD.

use core::time::Duration;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use gotthard_lab::customer::Customer;
use gotthard_lab::failover::{Bed, Event, Gateway, Ways};
use gotthard_lab::flow::Report;
use gotthard_lab::gotthard::Config;
use gotthard_lab::outage::Vanishes;
use gotthard_lab::site::Site;
use gotthard_lab::{Gotthard, Run, Suite};

use crate::{interrupt, machine};

mod report;

use report::Row;

/// What is measured, and how often.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Runs of each event with our gateway
    #[arg(long, default_value_t = 100)]
    runs: u32,
    /// Runs of each event with our gateway and static routes
    #[arg(long = "static", default_value_t = 10)]
    fixed: u32,
    /// Runs of each event with strongSwan and BIRD, which take half a minute each
    #[arg(long, default_value_t = 10)]
    beside: u32,
    /// Of the runs with our gateway those that wait until the cloud has moved the other direction too
    #[arg(long, default_value_t = 10)]
    ingress: u32,
    /// Only these events
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Show>,
    /// The page that the table is written to
    #[arg(long)]
    out: Option<PathBuf>,
}

/// What happens to the tunnel that carries the traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Show {
    /// Its packets vanish, both ways
    BlackHole,
    /// Those that the endpoint sends vanish
    OneWay,
    /// The endpoint deletes its IKE SA
    Delete,
    /// The endpoint ends the BGP session
    Cease,
    /// Its device at the gateway goes down
    LinkDown,
    /// AWS's maintenance of its endpoint
    Maintenance,
    /// Our operator takes it down and up again
    Drain,
}

/// Whose gaps these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contender {
    Gotthard,
    Static,
    Beside,
}

/// Measures, prints the table, and writes it where that is asked for.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    ensure!(
        std::env::var_os("GOTTHARD_BIN").is_some() || arguments.runs == 0,
        "GOTTHARD_BIN names the daemon: target/release/gotthard"
    );
    let _turn = machine::take()?;
    let mut rows = Vec::new();
    for (contender, runs) in [
        (Contender::Gotthard, arguments.runs),
        (Contender::Static, arguments.fixed),
        (Contender::Beside, arguments.beside),
    ] {
        if runs > 0 {
            arguments.contend(contender, runs, &mut rows)?;
        }
    }
    println!("{}", report::table(&rows));
    Ok(())
}

impl Arguments {
    /// Each row is written when it is complete: what comes after it may fail.
    fn contend(&self, contender: Contender, runs: u32, rows: &mut Vec<Row>) -> Result<()> {
        let dir = tempfile::Builder::new().prefix("gotthard-failover-").tempdir()?;
        let run = Run::new(Suite::Gcm, dir.path().to_owned());
        let mut bed = Bed::start(&run, |site| contender.start(&run, site))?;
        eprintln!("{contender:?}: everything is up after {} ms", bed.startup.as_millis());
        let shows = Show::value_variants().iter().copied();
        let shows = shows.filter(|show| self.only.is_empty() || self.only.contains(show));
        let shows = shows.filter(|show| contender.can(*show));
        for show in shows {
            rows.push(self.repeat(&run, &mut bed, contender, show, runs)?);
            if let Some(page) = &self.out {
                report::write(page, rows).with_context(|| page.display().to_string())?;
            }
        }
        Ok(())
    }

    /// All runs of one event.
    fn repeat(&self, run: &Run, bed: &mut Bed, contender: Contender, show: Show, runs: u32) -> Result<Row> {
        let mut row = Row::new(contender, show);
        for number in 0..runs {
            interrupt::check()?;
            bed.renew(|site| contender.start(run, site))?;
            let both = match contender {
                Contender::Gotthard => number < self.ingress || show.event().is_planned(),
                Contender::Static => false,
                Contender::Beside => true,
            };
            // A tunnel whose SA was deleted is back before the cloud would send by the other.
            let both = both && show != Show::Delete;
            let gaps = bed.measure(show.event(), if both { Ways::Both } else { Ways::Egress })?;
            let [egress, ingress] = [&gaps.egress, &gaps.ingress].map(Report::gap);
            eprintln!("{contender:?} {show:?} {number}: {}", shown(egress, both.then_some(ingress)));
            row.lost = row.lost.max(gaps.egress.lost.len());
            row.back = row.back.max(gaps.back);
            row.egress.push(egress);
            row.ingress.extend(both.then_some(ingress));
        }
        Ok(row)
    }
}

impl Contender {
    const ALL: [Self; 3] = [Self::Gotthard, Self::Static, Self::Beside];

    /// strongSwan and BIRD have no command that takes a tunnel down and leaves the traffic whole, and without BGP neither
    /// has the cloud a way to say that it ends a session or prefers the other.
    fn can(self, show: Show) -> bool {
        match self {
            Self::Gotthard => true,
            Self::Static => !matches!(show, Show::Cease | Show::Maintenance),
            Self::Beside => show != Show::Drain,
        }
    }

    fn start(self, run: &Run, site: &Site) -> Result<Gateway> {
        Ok(match self {
            Self::Gotthard => Gateway::Gotthard(ours(run, site, &Config::aws_bgp(run.suite))?),
            Self::Static => Gateway::Static(ours(run, site, &Config::aws(run.suite))?),
            Self::Beside => Gateway::Customer(Box::new(Customer::start(run, site)?)),
        })
    }
}

impl Show {
    const fn event(self) -> Event {
        match self {
            Self::BlackHole => Event::BlackHole(Vanishes::All),
            Self::OneWay => Event::BlackHole(Vanishes::Received),
            Self::Delete => Event::Delete,
            Self::Cease => Event::Cease,
            Self::LinkDown => Event::LinkDown,
            Self::Maintenance => Event::Maintenance,
            Self::Drain => Event::Drain,
        }
    }
}

fn ours(run: &Run, site: &Site, config: &Config) -> Result<Box<Gotthard>> {
    Ok(Box::new(Gotthard::start(run, &site.gateway, "gotthard", config)?))
}

fn shown(egress: Duration, ingress: Option<Duration>) -> String {
    let ingress = ingress.map_or_else(String::new, |gap| format!(", ingress {} ms", gap.as_millis()));
    format!("egress {} ms{ingress}", egress.as_millis())
}
