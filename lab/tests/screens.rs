//! What a person looks at: the status page in a browser, `status --watch` and `top` on a terminal, each beside two live
//! tunnels. `GOTTHARD_PICTURES` names a folder that takes pictures of them.

use core::time::Duration;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use gotthard_lab::browser::{Browser, Screen};
use gotthard_lab::cloud::Aws;
use gotthard_lab::flow::Flow;
use gotthard_lab::gotthard::{CONNECTION, Config};
use gotthard_lab::outage::Vanishes;
use gotthard_lab::process::{Process, Signal};
use gotthard_lab::site::{CLOUD_HOST, LAN_HOST, Site};
use gotthard_lab::strongswan::posture;
use gotthard_lab::{Gotthard, Run, outage, scenarios};

scenarios!(
    gcm:
    the_page_shows_the_tunnels_and_changes_live,
    top_shows_the_tunnels_and_ends_with_q,
    a_watched_status_follows_what_happens_and_ends_well
);

fn the_page_shows_the_tunnels_and_changes_live(run: &Run) -> Result<()> {
    let site = Site::new()?;
    let _aws = Aws::start(run, &site)?;
    let gateway = Gotthard::start(run, &site.gateway, "gotthard", &with_page(Config::aws_bgp(run.suite)))?;
    let flow = upward(&site)?;
    gateway.await_status(RECOVERY, "both sessions", |status| {
        status.tunnels().all(|tunnel| tunnel.is_up() && tunnel.is_established() && tunnel.active)
    })?;
    let page = Browser::open(run, &site.gateway, "http://127.0.0.1:8477/")?;
    page.show_on(DESK)?;
    page.await_true(RECOVERY, "both tunnels", &states("good", 2))?;
    page.await_true(RECOVERY, "an event", "document.querySelectorAll('#events li').length > 0")?;
    // A picture is to show more of the plots than their beginning.
    let points = if std::env::var_os(PICTURES).is_some() { 8 } else { 1 };
    page.await_true(RECOVERY, "the rates as a line", &plotted("rates", points))?;
    page.await_true(RECOVERY, "the round trips as a line", &plotted("rtt", points))?;

    picture(|folder| {
        // Answers too: traffic both ways.
        let mut ping = site.lan.command("ping");
        ping.args(["-q", "-i", "0.004", "-s", "1300", &CLOUD_HOST.to_string()]);
        let _traffic = Process::spawn(&mut ping, "ping", run.dir())?;
        std::fs::write(folder.join("top.svg"), top_picture(&gateway)?)?;
        Ok(std::fs::write(folder.join("status.svg"), status_picture(&gateway)?)?)
    })?;
    page.evaluate("window.unloaded = false")?;
    outage::silence(&site.wan, posture::ENDPOINTS[0], Vanishes::All)?;
    let shown = "[...document.querySelectorAll('.broken')].some(box => !box.hidden \
                 && box.innerText.includes('GTH-PRB-01') && box.innerText.includes('What to do:'))";
    page.await_true(RECOVERY, "the broken link and its remedy", shown)?;
    picture(|folder| page.screenshot(&folder.join("web.png")))?;
    outage::mend(&site.wan)?;
    page.await_true(RECOVERY, "both tunnels again", &states("good", 2))?;

    gateway.ask(&["down", &format!("{CONNECTION}/1")])?;
    page.await_true(
        RECOVERY,
        "what the operator took down",
        "document.body.innerText.includes('admin-down')",
    )?;
    ensure!(page.evaluate("window.unloaded")? == false, "the page was loaded again");

    page.show_on(PHONE)?;
    let fits = "document.documentElement.scrollWidth <= window.innerWidth";
    page.await_true(RECOVERY, "the page to fit on a phone", fits)?;
    ensure!(page.evaluate("getComputedStyle(document.body).backgroundColor")? == "rgb(17, 22, 29)", "dark");
    page.expect_no_complaint()?;
    flow.finish().map(drop)
}

fn top_shows_the_tunnels_and_ends_with_q(run: &Run) -> Result<()> {
    let site = Site::new()?;
    let _aws = site.aws(run)?;
    let gateway = Gotthard::start(run, &site.gateway, "gotthard", &config(run))?;
    gateway.await_up(RECOVERY)?;
    let mut terminal = gateway.terminal(80, 24, &["top"])?;
    let both = [1, 2].map(|tunnel| format!("● {CONNECTION}/{tunnel}"));
    terminal.await_text(RECOVERY, "both tunnels", |text| both.iter().all(|tunnel| text.contains(tunnel)))?;
    ensure!(terminal.is_full_screen());
    terminal.press("s")?;
    terminal.await_text(RECOVERY, "the next order", |text| text.contains("sort: broken first"))?;
    gateway.ask(&["down", &format!("{CONNECTION}/2")])?;
    terminal.await_text(RECOVERY, "what happened", |text| {
        text.contains(&format!("▲ {CONNECTION}/2")) && text.contains("GTH-EVT-02")
    })?;
    terminal.press("q")?;
    ensure!(terminal.wait(RECOVERY)?.success());
    ensure!(!terminal.is_full_screen(), "the terminal is as it was");

    // A daemon that ends is told of in the place of the command, not on a screen that is gone.
    let terminal = gateway.terminal(80, 24, &["top"])?;
    terminal.await_text(RECOVERY, "a tunnel", |text| text.contains(&both[0]))?;
    gateway.process.signal(Signal::TERM)?;
    terminal.await_text(RECOVERY, "why it ended", |text| text.contains("error: no daemon answers"))?;
    ensure!(!terminal.is_full_screen());
    Ok(())
}

fn a_watched_status_follows_what_happens_and_ends_well(run: &Run) -> Result<()> {
    let site = Site::new()?;
    let _aws = site.aws(run)?;
    let gateway = Gotthard::start(run, &site.gateway, "gotthard", &config(run))?;
    gateway.await_up(RECOVERY)?;
    let mut terminal = gateway.terminal(120, 30, &["status", "--watch"])?;
    terminal
        .await_text(RECOVERY, "rates", |text| text.contains("UP  2 of 2 tunnels") && text.contains("b/s"))?;
    gateway.ask(&["down", &format!("{CONNECTION}/2")])?;
    let text = terminal.await_text(RECOVERY, "the change", |text| text.contains("admin-down"))?;
    ensure!(text.matches("TUNNEL").count() == 1, "a screen over another: {text}");
    terminal.press("\x03")?;
    ensure!(terminal.wait(RECOVERY)?.success(), "Ctrl-C is how it is meant to end");
    Ok(())
}

fn config(run: &Run) -> Config {
    with_page(Config::aws(run.suite))
}

fn with_page(mut config: Config) -> Config {
    config.gateway.push("web = \"127.0.0.1:8477\"".to_owned());
    config
}

/// So many tunnels are in this state on the page.
fn states(state: &str, count: usize) -> String {
    format!("document.querySelectorAll('.tunnel h3 [data-is=state][data-state={state}]').length === {count}")
}

/// The first line of a plot has so many strokes.
fn plotted(plot: &str, strokes: usize) -> String {
    let path = format!("document.querySelector('[data-plot={plot}] path')");
    format!("({path}?.getAttribute('d') ?? '').split('L').length > {strokes}")
}

fn status_picture(gateway: &Gotthard) -> Result<String> {
    let terminal = gateway.terminal(150, 12, &["status"])?;
    terminal.await_text(RECOVERY, "the status", |text| text.contains("packet path"))?;
    Ok(terminal.picture("gotthard status"))
}

fn top_picture(gateway: &Gotthard) -> Result<String> {
    let terminal = gateway.terminal(110, 26, &["top"])?;
    // The first status has no rates yet.
    terminal.await_text(RECOVERY, "rates", |text| text.contains("kb/s") || text.contains("Mb/s"))?;
    Ok(terminal.picture("gotthard top"))
}

/// Takes pictures where they are wanted.
fn picture(take: impl FnOnce(PathBuf) -> Result<()>) -> Result<()> {
    std::env::var_os(PICTURES).map_or(Ok(()), |folder| take(PathBuf::from(folder)))
}

/// From the LAN to the cloud, behind whichever endpoint.
fn upward(site: &Site) -> Result<Flow> {
    let [one, two] = &site.endpoints;
    Flow::at(RATE, &site.lan, SocketAddr::new(LAN_HOST, 0), &[one, two], SocketAddr::new(CLOUD_HOST, PORT))
}

const DESK: Screen = Screen { width: 1200, height: 1150, dark: false };
const PHONE: Screen = Screen { width: 390, height: 844, dark: true };
/// Names the folder that takes pictures.
const PICTURES: &str = "GOTTHARD_PICTURES";
const RATE: u32 = 1000;
const PORT: u16 = 7001;
/// A busy machine starts a browser beside four tunnels' ends.
const RECOVERY: Duration = Duration::from_secs(90);
