//! Both families over one session on IPv4 addresses, against BIRD at one endpoint and FRR at the other: prefixes both ways, and
//! traffic of both families through the tunnel that they lead into. Without `inside6` there is no IPv6, and no peer is told
//! of a next hop that it would refuse.

use core::time::Duration;
use std::net::{IpAddr, Ipv6Addr};

use anyhow::{Context, Result, ensure};
use gotthard_lab::bird::{self, Bird, Session};
use gotthard_lab::cloud::aws::{AS, CUSTOMER_AS};
use gotthard_lab::cloud::{self, DEVICE};
use gotthard_lab::gotthard::{CONNECTION, Config};
use gotthard_lab::site::{CLOUD_HOST, Site, inside_of};
use gotthard_lab::strongswan::{Charon, posture};
use gotthard_lab::traffic::await_ping;
use gotthard_lab::{Frr, Gotthard, Netns, Run, Suite, run, wait};

#[test]
fn both_families_cross_one_session_to_bird_and_frr_and_so_does_their_traffic() -> run::Outcome {
    scenario("bgp_families", |run, ends| {
        let mut config = config(run);
        for (index, tunnel) in config.tunnels.iter_mut().enumerate() {
            tunnel.options.push(format!("inside6 = \"{}/126\"", inside6(index, 2)));
        }
        let gateway = Gotthard::start(run, &ends.site.gateway, "gotthard", &config)?;
        gateway.await_up(SOON)?;
        let capture = ends.site.capture(run)?;
        ends.await_told(&OURS)?;
        // One after the other, so that the traffic has but one way.
        for (carries, other) in [("1", "2"), ("2", "1")] {
            gateway.ask(&["down", &format!("{CONNECTION}/{other}")])?;
            for prefix in THEIRS {
                await_route(&ends.site.gateway, prefix, |route| {
                    route.contains(device(carries)) && !route.contains(device(other))
                })?;
            }
            await_ping(&ends.site.lan, CLOUD_HOST, SOON)?;
            await_ping(&ends.site.lan, CLOUD_HOST_V6, SOON)?;
            gateway.ask(&["up", &format!("{CONNECTION}/{other}")])?;
            gateway.await_up(SOON)?;
        }
        capture.expect_no_inner_packet().map(drop)
    })
}

#[test]
fn a_tunnel_without_an_ipv6_address_leaves_ipv6_out_and_keeps_the_session() -> run::Outcome {
    scenario("bgp_one_family", |run, ends| {
        let gateway = Gotthard::start(run, &ends.site.gateway, "gotthard", &config(run))?;
        gateway.await_up(SOON)?;
        ends.await_told(&OURS[..1])?;
        await_route(&ends.site.gateway, THEIRS[0], |route| {
            ["1", "2"].iter().all(|tunnel| route.contains(device(tunnel)))
        })?;
        await_ping(&ends.site.lan, CLOUD_HOST, SOON)?;
        ensure!(!ends.site.gateway.ip_output(&format!("-6 route show {}", THEIRS[1]))?.contains("gth"));
        let log = gateway.process.log();
        for tunnel in ["tunnel=1", "tunnel=2"] {
            let told = |line: &str| line.contains(tunnel) && line.contains("write inside6");
            ensure!(log.lines().any(told), "nothing of {tunnel}:\n{log}");
        }
        Ok(())
    })
}

/// Two endpoints: strongSwan with BIRD, and strongSwan with FRR.
struct Ends {
    site: Site,
    _charons: [Charon; 2],
    bird: Bird,
    frr: Frr,
}

impl Ends {
    fn start(run: &Run) -> Result<Self> {
        let site = Site::new()?;
        let [one, two] = [0, 1].map(|index| endpoint(run, &site, index));
        let charons = [one?, two?];
        let bird = Bird::start(run, &site.endpoints[0], "endpoint1-bgp", &bird_conf())?;
        let frr = Frr::start(run, &site.endpoints[1], "endpoint2-bgp", &frr_conf())?;
        Ok(Self { site, _charons: charons, bird, frr })
    }

    /// Waits until both have these of our prefixes, and says so if they have others too.
    fn await_told(&self, expected: &[&str]) -> Result<()> {
        wait::until_true(SOON, format!("BIRD to have {expected:?}"), || {
            Ok(self.bird.prefixes("customer")? == expected)
        })
        .with_context(|| self.bird.details("customer").unwrap_or_default())?;
        wait::until_true(SOON, format!("FRR to have {expected:?}"), || {
            let known = [self.frr.prefixes("ipv4")?, self.frr.prefixes("ipv6")?].concat();
            Ok(OURS.iter().all(|ours| known.iter().any(|known| known == ours) == expected.contains(ours)))
        })
        .with_context(|| self.frr.log())
    }
}

fn scenario(name: &str, body: impl FnOnce(&Run, &Ends) -> Result<()>) -> run::Outcome {
    run::scenario(name, Suite::Gcm, |run| body(run, &Ends::start(run)?))
}

fn config(run: &Run) -> Config {
    let mut config = Config::aws_bgp(run.suite);
    config.gateway = vec![format!("asn = {CUSTOMER_AS}"), format!("advertise = {OURS:?}")];
    config
}

/// Its selectors and its device have both families.
fn endpoint(run: &Run, site: &Site, index: usize) -> Result<Charon> {
    let host = &site.endpoints[index];
    host.forward()?;
    let conf = posture::aws()?.replace("= 0.0.0.0/0", "= 0.0.0.0/0, ::/0");
    let charon = cloud::endpoint(run, host, index, ["endpoint1", "endpoint2"][index], &conf)?;
    host.address(&format!("{}/30", inside_of(index)), DEVICE)?;
    host.address(&format!("{}/126", inside6(index, 1)), DEVICE)?;
    host.address(&format!("{CLOUD_HOST_V6}/128"), "lo")?;
    Ok(charon)
}

fn bird_conf() -> String {
    let session = Session {
        name: "customer".to_owned(),
        local: (inside_of(0).to_string(), AS),
        peer: ("169.254.10.2".to_owned(), CUSTOMER_AS),
        timers: (10, 30),
        options: ["connect delay time 1;", "connect retry time 1;", "error wait time 1, 1;"]
            .map(str::to_owned)
            .to_vec(),
        channels: ["ipv4", "ipv6"]
            .map(|family| format!("{family} {{ import all; export where source = RTS_STATIC; }};"))
            .to_vec(),
    };
    let originated = bird::originated(&THEIRS.map(str::to_owned));
    format!("{}{originated}{session}", bird::preamble("169.254.10.1"))
}

fn frr_conf() -> String {
    let customer = "169.254.11.2";
    format!(
        "router bgp {AS}\n bgp router-id 169.254.11.1\n no bgp ebgp-requires-policy\n no bgp network import-check\n \
         neighbor {customer} remote-as {CUSTOMER_AS}\n neighbor {customer} timers 10 30\n \
         neighbor {customer} timers connect 1\n \
         address-family ipv4 unicast\n  network {}\n exit-address-family\n \
         address-family ipv6 unicast\n  network {}\n  neighbor {customer} activate\n exit-address-family\n",
        THEIRS[0], THEIRS[1]
    )
}

fn await_route(gateway: &Netns, prefix: &str, fits: impl Fn(&str) -> bool) -> Result<()> {
    let family = if prefix.contains(':') { "-6" } else { "-4" };
    let shown = || gateway.ip_output(&format!("{family} route show {prefix} proto 71"));
    wait::until_true(SOON, format!("the route to {prefix}"), || Ok(fits(&shown()?)))
        .with_context(|| shown().unwrap_or_default())
}

/// The device of a tunnel.
fn device(tunnel: &str) -> &'static str {
    if tunnel == "1" { "dev gth0" } else { "dev gth1" }
}

/// The link of a tunnel in IPv6: the endpoint's host is 1, ours 2.
fn inside6(index: usize, host: u16) -> Ipv6Addr {
    let link = if index == 0 { 0x10 } else { 0x11 };
    Ipv6Addr::new(0xfd00, link, 0, 0, 0, 0, 0, host)
}

const OURS: [&str; 2] = ["10.10.0.0/16", "2001:db8:10::/48"];
const THEIRS: [&str; 2] = ["10.200.0.0/16", "2001:db8:200::/48"];
const CLOUD_HOST_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x200, 0, 0, 0, 0, 1));
const SOON: Duration = Duration::from_mins(1);
