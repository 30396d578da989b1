//! What a scrape of the metrics of a thousand tunnels costs the daemon, and that a strict parser takes the whole page.

use core::time::Duration;

use anyhow::{Result, ensure};
use gotthard_lab::exposition::{self, Wants};
use gotthard_lab::fleet::{End, Fleet, PAGE};
use gotthard_lab::run::say;
use gotthard_lab::{Run, scenarios, wait};

scenarios!(gcm: a_scrape_of_a_thousand_tunnels_costs_less_than_a_hundredth_of_a_second);

/// Of tunnels that wait for their peers. Processor time and not the clock's: a busy machine makes no difference.
fn a_scrape_of_a_thousand_tunnels_costs_less_than_a_hundredth_of_a_second(run: &Run) -> Result<()> {
    let fleet = Fleet::new(run, CONNECTIONS)?;
    let gateway = fleet.start(run, End::Responder)?;
    let host = fleet.host(End::Responder);
    let answers =
        || Ok(gateway.socket().exists() && exposition::on_socket(gateway.socket(), Wants::Open).is_ok());
    wait::until_true(READY, "the page", answers)?;
    // The devices of so many are made one after the other.
    wait::until_true(READY, "the daemon to be idle", || {
        let before = gateway.process.cpu_time()?;
        std::thread::sleep(QUIET);
        Ok(gateway.process.cpu_time()? == before)
    })?;

    let page = exposition::on_tcp(host, PAGE, Wants::Open)?;
    let samples = exposition::open_metrics(&page)?;
    ensure!(samples > 10_000, "{samples} samples");
    ensure!(exposition::open_metrics(page.trim_end_matches("# EOF\n")).is_err(), "the parser takes anything");
    exposition::promtool(&exposition::on_tcp(host, PAGE, Wants::Anything)?)?;

    let before = gateway.process.cpu_time()?;
    for _ in 0..SCRAPES {
        exposition::on_socket(gateway.socket(), Wants::Open)?;
    }
    let cost = gateway.process.cpu_time()?.saturating_sub(before) / SCRAPES;
    say(&format!("lab: a scrape of {} tunnels, {samples} samples: {cost:?}", 2 * CONNECTIONS));
    ensure!(cost < MOST, "{cost:?}");
    // For some twenty seconds the sockets and devices of no other gateway would end.
    drop(gateway);
    let devices = || host.output("ip", &["-brief", "link", "show", "type", "tun"]);
    wait::until_true(READY, "the kernel to end a thousand devices", || Ok(devices()?.is_empty()))
}

const CONNECTIONS: u32 = 500;
const READY: Duration = Duration::from_mins(2);
const QUIET: Duration = Duration::from_millis(200);
const SCRAPES: u32 = 25;
/// A scrape a second then takes less than a hundredth of a core.
const MOST: Duration = Duration::from_millis(10);
