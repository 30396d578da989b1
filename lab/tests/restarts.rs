//! What is left in the kernel of a gateway that uses all of it: two tunnels that share prefixes of both families, in a table
//! of its own with rules, and the hash of flows. SIGTERM leaves nothing, and neither does a daemon that takes over from a
//! killed one; meanwhile nothing inner leaves in clear, and the way to the peers leads into no tunnel.

use core::time::Duration;
use std::net::{IpAddr, Ipv6Addr};

use anyhow::{Context, Result, ensure};
use gotthard_lab::cloud::Aws;
use gotthard_lab::cloud::aws::Announced;
use gotthard_lab::gotthard::{CONNECTION, Config};
use gotthard_lab::outage::{self, Vanishes};
use gotthard_lab::process::Signal;
use gotthard_lab::site::{CLOUD_HOST, OUTSIDE, Site};
use gotthard_lab::strongswan::posture;
use gotthard_lab::traffic::{await_ping, ping};
use gotthard_lab::{Gotthard, Run, Suite, run, wait};

#[test]
fn static_routes_of_both_families_leave_nothing_behind() -> run::Outcome {
    scenario("restart_static", |run, site| {
        let _aws = site.aws(run)?;
        let mut config = Config::aws(run.suite).with("ecmp = true");
        config.remote.push(PREFIX_V6.to_owned());
        comes_and_goes(run, site, config)
    })
}

#[test]
fn routes_of_bgp_leave_nothing_behind_and_never_take_the_way_to_the_peers() -> run::Outcome {
    scenario("restart_bgp", |run, site| {
        let mut aws = Aws::start(run, site)?;
        // Networks that hold the ends of both tunnels: they may be the cloud's, and are routed.
        let prefixes = ["10.200.0.0/16", "198.51.100.0/24", "198.51.0.0/16"].map(str::to_owned).to_vec();
        for endpoint in 0..2 {
            aws.announce(endpoint, Announced { prefixes: prefixes.clone(), ..Announced::usual() })?;
        }
        comes_and_goes(run, site, Config::aws_bgp(run.suite))
    })
}

fn scenario(name: &str, body: impl FnOnce(&Run, &Site) -> Result<()>) -> run::Outcome {
    run::scenario(name, Suite::Gcm, |run| body(run, &Site::new()?))
}

/// Ended by SIGTERM; killed, and then another, whose tunnels are all lost before it is ended by SIGTERM.
fn comes_and_goes(run: &Run, site: &Site, mut config: Config) -> Result<()> {
    config.gateway.extend([format!("table = {TABLE}"), "rule_priority = 1000".to_owned()]);
    let before = site.gateway.configuration()?;
    let mut gateway = start(run, site, &config)?;
    terminate(&mut gateway)?;
    same(&before, &site.gateway.configuration()?).context("after SIGTERM")?;

    let mut gateway = start(run, site, &config)?;
    let capture = site.capture(run)?;
    gateway.process.kill()?;
    expect_shut(site, &config)?;
    let mut gateway = start(run, site, &config)?;
    outage::silence(&site.wan, posture::CUSTOMER_GATEWAY, Vanishes::All)?;
    gateway.await_status(SOON, "both tunnels to be missed", |status| {
        status.tunnels().all(|tunnel| !tunnel.is_up())
    })?;
    expect_shut(site, &config)?;
    gateway.ask(&["down", CONNECTION])?;
    gateway.await_status(SOON, "both tunnels to be down", |status| {
        status.tunnels().all(|tunnel| tunnel.state == "admin-down" && tunnel.esp.state == "down")
    })?;
    expect_shut(site, &config)?;
    capture.expect_no_inner_packet()?;
    terminate(&mut gateway)?;
    same(&before, &site.gateway.configuration()?).context("after SIGKILL, another start and SIGTERM")
}

/// Returns when all of it is in the kernel and carries.
fn start(run: &Run, site: &Site, config: &Config) -> Result<Gotthard> {
    let gateway = Gotthard::start(run, &site.gateway, "gotthard", config)?;
    gateway.await_up(SOON)?;
    let families = [("-4", "10.200.0.0/16")].into_iter();
    let longer = has_v6(config).then_some(("-6", PREFIX_V6));
    for (family, prefix) in families.chain(longer) {
        let shown = || site.gateway.ip_output(&format!("{family} route show table {TABLE} {prefix}"));
        let whole = |shown: &str| ["unreachable", "gth0", "gth1"].iter().all(|part| shown.contains(part));
        // Before its first route there is no such table, and ip fails.
        wait::until_true(SOON, format!("both tunnels to share {prefix}"), || {
            Ok(shown().is_ok_and(|shown| whole(&shown)))
        })
        .with_context(|| shown().unwrap_or_default())?;
        ensure!(site.gateway.ip_output(&format!("{family} rule"))?.contains("1000:"), "no rule of {family}");
    }
    for family in ["ipv4", "ipv6"] {
        let policy = format!("net.{family}.fib_multipath_hash_policy");
        ensure!(site.gateway.output("sysctl", &["-n", &policy])?.trim() == "1", "{policy}");
    }
    await_ping(&site.lan, CLOUD_HOST, SOON)?;
    expect_outer_path(site)?;
    Ok(gateway)
}

/// No packet to a peer is led into a tunnel, though the prefixes that hold it may be.
fn expect_outer_path(site: &Site) -> Result<()> {
    for peer in posture::ENDPOINTS {
        let way = site.gateway.ip_output(&format!("route get {peer}"))?;
        ensure!(way.contains(&format!("dev {OUTSIDE}")), "{peer} leaves elsewhere: {way}");
    }
    Ok(())
}

/// What is behind the tunnels cannot be reached, and the peers can.
fn expect_shut(site: &Site, config: &Config) -> Result<()> {
    for host in [&site.lan, &site.gateway] {
        for target in [Some(CLOUD_HOST), has_v6(config).then_some(CLOUD_HOST_V6)].into_iter().flatten() {
            let (seen, text) = ping(host, target, 5, None)?;
            ensure!(seen.received == 0, "an answer without a tunnel: {text}");
        }
    }
    expect_outer_path(site)
}

/// A prefix of IPv6 is behind the tunnels too.
fn has_v6(config: &Config) -> bool {
    config.remote.iter().any(|prefix| prefix == PREFIX_V6)
}

fn terminate(gateway: &mut Gotthard) -> Result<()> {
    gateway.process.signal(Signal::TERM)?;
    gateway.process.success(SOON)
}

fn same(before: &str, after: &str) -> Result<()> {
    let [before, after] = [before, after].map(|text| text.lines().collect::<Vec<_>>());
    let gone: Vec<_> = before.iter().filter(|line| !after.contains(line)).collect();
    let left: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
    ensure!(before == after, "gone: {gone:#?}\nleft: {left:#?}");
    Ok(())
}

/// Of ours, before the main one.
const TABLE: u32 = 71;
const PREFIX_V6: &str = "2001:db8:200::/48";
const CLOUD_HOST_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x200, 0, 0, 0, 0, 1));
const SOON: Duration = Duration::from_mins(1);
