//! Set-ups that are broken as users break them, one a scenario: `gotthard status` names the first broken link and what to
//! change, and where that is changed the tunnel carries.

use core::time::Duration;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use gotthard_lab::cloud::one_tunnel::{self, bird_conf};
use gotthard_lab::gotthard::{CONNECTION, Config};
use gotthard_lab::outage::{self, Kind, Vanishes};
use gotthard_lab::pair::{End, Plan};
use gotthard_lab::site::{CLOUD_HOST, LAN_HOST, OUTSIDE, Site};
use gotthard_lab::status::{Broken, Status};
use gotthard_lab::strongswan::{Charon, posture};
use gotthard_lab::traffic::{Direction, Stream, await_ping, expect_ping, ping};
use gotthard_lab::{Gotthard, Netns, Process, Run, Suite, run};

#[test]
fn a_wrong_pre_shared_key() -> run::Outcome {
    scenario("broken_psk", |run| {
        let mut config = one_tunnel();
        "notTheKeyOfTunnelOne_0123456789".clone_into(&mut config.tunnels[0].psk);
        let setup = Setup::start(run, &posture::aws()?, &config)?;
        setup.expect("ike", "GTH-IKE-06", &["compare the pre-shared key"])?;
        setup.gateway.reload(&one_tunnel())?;
        setup.expect_mended()
    })
}

#[test]
fn no_group_of_phase_1_in_common() -> run::Outcome {
    scenario("broken_dh", |run| {
        let theirs = with_group(&posture::aws()?, "proposals", Some("modp4096"));
        let setup = Setup::start(run, &theirs, &one_tunnel())?;
        setup.expect("ike", "GTH-IKE-01", &["phase 1", "DH group", "`suites`"]).map(drop)
    })
}

/// The child SA of IKE_AUTH has no key exchange of its own: only the first rekey shows that the groups differ.
#[test]
fn another_group_of_phase_2_is_told_at_the_first_rekey() -> run::Outcome {
    scenario("broken_pfs", |run| {
        let theirs = with_group(&posture::aws()?, "esp_proposals", None);
        let setup = Setup::start(run, &theirs, &one_tunnel())?;
        setup.expect_mended()?;
        ensure!(setup.gateway.rekey(1, &[]).is_err(), "the peer took a rekey with PFS");
        setup.expect("esp", "GTH-ESP-05", &["PFS group", "`esp`"])?;
        expect_ping(&setup.site.lan, CLOUD_HOST).context("the tunnel goes on")?;
        let mut config = one_tunnel();
        config.esp = vec![Suite::Gcm.esp_name().to_owned()];
        setup.gateway.reload(&config)?;
        setup.gateway.await_up(SOON)?;
        setup.gateway.rekey(1, &[])?;
        setup.expect_mended()
    })
}

#[test]
fn a_firewall_that_passes_udp_500_alone() -> run::Outcome {
    scenario("broken_port_4500", |run| {
        let site = Site::new()?;
        outage::block(&site.wan, posture::ENDPOINTS[0], Vanishes::All, Kind::Port4500)?;
        let setup = Setup::on(run, site, &posture::aws()?, &one_tunnel())?;
        setup.expect("ike", "GTH-IKE-09", &["IKE_AUTH", "UDP 500 passes: let UDP 4500 pass"])?;
        outage::mend(&setup.site.wan)?;
        setup.expect_mended()
    })
}

#[test]
fn a_firewall_that_passes_ike_alone() -> run::Outcome {
    scenario("broken_only_ike", |run| {
        let site = Site::new()?;
        outage::block(&site.wan, posture::ENDPOINTS[0], Vanishes::All, Kind::Esp)?;
        let setup = Setup::on(run, site, &posture::aws()?, &one_tunnel())?;
        let _ping = pings(run, &setup.site.lan, 100)?;
        setup.expect("esp", "GTH-ESP-03", &["IKE is answered and ESP is not", "UDP 4500 pass both ways"])?;
        ensure!(setup.gateway.status()?.tunnel(0)?.state == "down", "a tunnel that carries nothing is up");
        outage::mend(&setup.site.wan)?;
        setup.expect_mended()
    })
}

/// Between two of ours: strongSwan's ESP of user space knows UDP alone.
#[test]
fn a_firewall_that_passes_udp_and_no_protocol_50() -> run::Outcome {
    scenario("broken_protocol_50", |run| {
        let pair = Plan::new("raw", [End::Gotthard(None); 2]).raw().start(run)?;
        let gateway = pair.gateways().next().context("a gateway")?;
        ensure!(gateway.status()?.tunnel(0)?.esp.encapsulation.as_deref() == Some("esp"), "ESP is in UDP");
        ensure!(pair.ping(3)? == 3, "it does not carry");
        let rules =
            "table ip firewall { chain input { type filter hook input priority 0; ip protocol esp drop; }; }";
        pair.hosts[0].output("nft", &[rules])?;
        expect(
            gateway,
            "esp",
            "GTH-ESP-03",
            &["IKE is answered and ESP is not", "let IP protocol 50 (ESP) pass"],
        )?;
        pair.hosts[0].output("nft", &["delete table ip firewall"])?;
        await_no_trouble(gateway)
    })
}

#[test]
fn esp_that_is_lost_on_its_way_to_us() -> run::Outcome {
    scenario("broken_inbound", |run| {
        let setup = Setup::start(run, &posture::aws()?, &one_tunnel())?;
        setup.expect_mended()?;
        outage::block(&setup.site.wan, posture::ENDPOINTS[0], Vanishes::Received, Kind::Esp)?;
        setup.expect("esp", "GTH-ESP-03", &["none received", "UDP 4500 pass both ways"])?;
        outage::mend(&setup.site.wan)?;
        setup.expect_mended()
    })
}

/// What comes tells the direction that is broken.
#[test]
fn esp_that_is_lost_on_its_way_to_the_peer() -> run::Outcome {
    scenario("broken_outbound", |run| {
        let setup = Setup::start(run, &posture::aws()?, &one_tunnel())?;
        setup.expect_mended()?;
        outage::block(&setup.site.wan, posture::ENDPOINTS[0], Vanishes::Sent, Kind::Esp)?;
        let endpoint = &setup.site.endpoints[0];
        let _ping = Process::spawn(
            endpoint.command("ping").args(["-n", "-i", "0.2", "-I", "10.200.0.1", &LAN_HOST.to_string()]),
            "ping-from-the-cloud",
            run.dir(),
        )?;
        setup.expect("esp", "GTH-ESP-04", &["arrives and ours does not", "from our outer address"])?;
        outage::mend(&setup.site.wan)?;
        setup.expect_mended()
    })
}

#[test]
fn a_path_of_1300_octets() -> run::Outcome {
    scenario("broken_mtu", |run| {
        let site = Site::new()?;
        site.wan.ip("link set bridge mtu 1300")?;
        let setup = Setup::on(run, site, &posture::aws()?, &one_tunnel())?;
        setup.expect_mended()?;
        let large = pings(run, &setup.site.lan, LARGE)?;
        let broken = setup.expect("probe", "GTH-PRB-02", &["vanish", "`mtu = ", "reload"])?;
        drop(large);
        // What the status says is what is to be set, and it is all that fits.
        let word = broken.remedy.split("mtu = ").nth(1).and_then(|rest| rest.split('`').next());
        let mtu: usize = word.context("a number")?.parse()?;
        ensure!((INNER_OF_1300 - 4..=INNER_OF_1300).contains(&mtu), "{mtu} octets");
        setup.gateway.reload(&one_tunnel().with(&format!("mtu = {mtu}")))?;
        setup.expect_mended()?;
        let (seen, text) = ping(&setup.site.lan, CLOUD_HOST, 3, Some(mtu))?;
        ensure!(seen.received == 3, "{text}");
        let (seen, text) = ping(&setup.site.lan, CLOUD_HOST, 2, Some(mtu + 1))?;
        ensure!(seen.received == 0 && text.contains(&format!("mtu = {mtu}")), "{text}");
        Ok(())
    })
}

/// The clock is years ahead: with a pre-shared key nothing depends on it.
#[test]
fn a_clock_that_is_wrong_by_years_breaks_nothing() -> run::Outcome {
    scenario("broken_clock", |run| {
        let Some(library) = FAKETIME.into_iter().find(|path| Path::new(path).exists()) else {
            return run::skip("a wrong clock: the package faketime is missing");
        };
        let site = Site::new()?;
        let _charon = Charon::start(run, &site.endpoints[0], "endpoint1", &posture::aws()?)?;
        let clock = [("LD_PRELOAD", library), ("FAKETIME", "+10y"), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
        let config = one_tunnel();
        let gateway = Gotthard::start_with_environment(run, &site.gateway, "gotthard", &config, &clock)?;
        let status = gateway.await_up(SOON)?;
        await_ping(&site.lan, CLOUD_HOST, SOON)?;
        ensure!(status.tunnel(0)?.broken.is_none(), "{status:?}");
        let log = gateway.process.log();
        let stamp = log.lines().next().and_then(|line| line.split('-').next());
        let year: i32 = stamp.context("a time stamp")?.trim_start_matches('\x1b').parse()?;
        ensure!(year >= 2035, "the daemon's clock is right: {log}");
        Ok(())
    })
}

#[test]
fn another_as_at_either_end() -> run::Outcome {
    one_tunnel::scenario("broken_as", &[], |run, tunnel| {
        let _bird = tunnel.bird(run, &bird_conf(&[], &[PREFIX]))?;
        tunnel.await_session(true)?;
        let mut config = one_tunnel::config(run.suite, &[]);
        for option in &mut config.tunnels[0].options {
            *option = option.replace("peer_asn = 64512", "peer_asn = 64999");
        }
        tunnel.gateway.reload(&config)?;
        expect(&tunnel.gateway, "bgp", "GTH-BGP-04", &["64512", "64999", "peer_asn"])?;
        let mut config = one_tunnel::config(run.suite, &[]);
        for option in &mut config.gateway {
            *option = option.replace("asn = 65010", "asn = 65011");
        }
        tunnel.gateway.reload(&config)?;
        expect(&tunnel.gateway, "bgp", "GTH-BGP-07", &["65011", "customer gateway"]).map(drop)
    })
}

#[test]
fn a_cloud_that_announces_our_own_lan() -> run::Outcome {
    one_tunnel::scenario("broken_overlap", &[], |run, tunnel| {
        let bird = tunnel.bird(run, &bird_conf(&[], &["10.10.0.0/24"]))?;
        expect(&tunnel.gateway, "routes", "GTH-RTE-08", &["10.10.0.0/24", "our own network", "renumber"])?;
        bird.configure(&bird_conf(&[], &[PREFIX]))?;
        await_no_trouble(&tunnel.gateway)
    })
}

#[test]
fn a_remote_prefix_that_is_our_own_lan() -> run::Outcome {
    scenario("broken_remote", |run| {
        let config = Config { remote: vec!["10.10.0.0/24".to_owned()], ..one_tunnel() };
        let setup = Setup::start(run, &posture::aws()?, &config)?;
        setup.expect("routes", "GTH-RTE-01", &["10.10.0.0/24", "`remote`"])?;
        setup.gateway.reload(&one_tunnel())?;
        setup.expect_mended()
    })
}

/// And has nothing of ours to go by, which breaks nothing here.
#[test]
fn a_cloud_that_announces_nothing() -> run::Outcome {
    one_tunnel::scenario("broken_routes", &[], |run, tunnel| {
        let mut config = one_tunnel::config(run.suite, &[]);
        config.gateway.retain(|option| !option.starts_with("advertise"));
        tunnel.gateway.reload(&config)?;
        let bird = tunnel.bird(run, &bird_conf(&[], &[]))?;
        expect(&tunnel.gateway, "routes", "GTH-RTE-18", &["announces no prefix", "propagate"])?;
        await_note(&tunnel.gateway, "GTH-RTE-19", |_| true)?;
        tunnel.gateway.reload(&one_tunnel::config(run.suite, &[]))?;
        await_no_note(&tunnel.gateway)?;
        bird.configure(&bird_conf(&[], &[PREFIX]))?;
        await_no_trouble(&tunnel.gateway)
    })
}

#[test]
fn a_host_without_its_outer_address() -> run::Outcome {
    scenario("broken_address", |run| {
        let site = Site::new()?;
        site.gateway.ip(&format!("addr del {}/24 dev {OUTSIDE}", posture::CUSTOMER_GATEWAY))?;
        let setup = Setup::on(run, site, &posture::aws()?, &one_tunnel())?;
        setup.expect("ike", "GTH-NET-01", &["no outer address of ours", "give the host that address"])?;
        let gateway = &setup.site.gateway;
        gateway.address(&format!("{}/24", posture::CUSTOMER_GATEWAY), OUTSIDE)?;
        gateway.route("default via 203.0.113.1")?;
        setup.expect_mended()
    })
}

#[test]
fn a_device_that_somebody_has_set_down() -> run::Outcome {
    scenario("broken_device", |run| {
        let setup = Setup::start(run, &posture::aws()?, &one_tunnel())?;
        setup.expect_mended()?;
        setup.site.gateway.ip("link set gth0 down")?;
        setup.expect("esp", "GTH-ESP-01", &["somebody has set gth0 down", "ip link set"])?;
        setup.site.gateway.ip("link set gth0 up")?;
        setup.expect_mended()
    })
}

/// Nothing is broken: a note tells of it for as long as it goes on, and no SA is lost where the figure is mended.
#[test]
fn traffic_near_what_the_tunnel_carries() -> run::Outcome {
    scenario("near_ceiling", |run| {
        let config = one_tunnel().with("ceiling_mbit = 40").with("ceiling_packets = 3600");
        let setup = Setup::start(run, &posture::aws()?, &config)?;
        setup.expect_mended()?;
        let before = setup.gateway.status()?.tunnel(0)?.esp.clone();
        // 38 Mbit/s of payload are 38.8 of packets, and 3,462 of them a second: 96 % of both.
        let stream = Stream { cap_mbit: Some(38), ..setup.site.lan_stream(0, Direction::Up) };
        let flow = stream.start_udp(run, 1372)?;
        for (code, of) in [
            ("GTH-ESP-08", " % of the 40 Mb/s of ceiling_mbit"),
            ("GTH-ESP-09", " % of the 3600 packets/s of ceiling_packets"),
        ] {
            await_note(&setup.gateway, code, |message| {
                let percent = message.strip_suffix(of).and_then(|rest| rest.rsplit(' ').next()?.parse().ok());
                percent.is_some_and(|percent: u32| (94..=98).contains(&percent))
            })?;
        }
        setup.gateway.reload(&one_tunnel().with("ceiling_mbit = 100").with("ceiling_packets = 9000"))?;
        await_no_note(&setup.gateway)?;
        let esp = setup.gateway.status()?.tunnel(0)?.esp.clone();
        ensure!(esp.spi_in == before.spi_in && esp.rekeys == before.rekeys, "{before:?}, now {esp:?}");
        setup.gateway.reload(&config)?;
        await_note(&setup.gateway, "GTH-ESP-08", |_| true)?;
        drop(flow);
        await_no_note(&setup.gateway)
    })
}

fn scenario(name: &str, body: impl FnOnce(&Run) -> Result<()>) -> run::Outcome {
    run::scenario(name, Suite::Gcm, body)
}

/// One tunnel to an endpoint of AWS's, and whatever is wrong with it.
struct Setup {
    site: Site,
    gateway: Gotthard,
    _charon: Charon,
}

impl Setup {
    fn start(run: &Run, theirs: &str, ours: &Config) -> Result<Self> {
        Self::on(run, Site::new()?, theirs, ours)
    }

    fn on(run: &Run, site: Site, theirs: &str, ours: &Config) -> Result<Self> {
        let charon = Charon::start(run, &site.endpoints[0], "endpoint1", theirs)?;
        let gateway = Gotthard::start(run, &site.gateway, "gotthard", ours)?;
        Ok(Self { site, gateway, _charon: charon })
    }

    fn expect(&self, link: &str, code: &str, words: &[&str]) -> Result<Broken> {
        expect(&self.gateway, link, code, words)
    }

    /// The tunnel carries and nothing is broken.
    fn expect_mended(&self) -> Result<()> {
        await_ping(&self.site.lan, CLOUD_HOST, SOON)?;
        await_no_trouble(&self.gateway)
    }
}

/// Waits until the first broken link is this one. The table names it, its words say what to change, and its code has a page.
fn expect(gateway: &Gotthard, link: &str, code: &str, words: &[&str]) -> Result<Broken> {
    let broken = |status: &Status| status.tunnels().next().and_then(|tunnel| tunnel.broken.clone());
    let is_it = |status: &Status| broken(status).is_some_and(|broken| broken.code == code);
    let status = gateway.await_status(SOON, code, is_it)?;
    let broken = broken(&status).context("a broken link")?;
    ensure!(broken.link == link, "{broken:?}");
    let told = format!("{}: {}", broken.message, broken.remedy);
    for word in words {
        ensure!(told.contains(word), "no {word:?} in: {told}");
    }
    let table = gateway.ask(&["status", CONNECTION])?;
    ensure!(table.contains(&format!("first broken link: {}  {code}", link.to_uppercase())), "{table}");
    run::say(&format!("lab: {}  {code}  {told}", link.to_uppercase()));
    ensure!(gateway.ask(&["explain", code])?.starts_with(&format!("# {code}: ")), "no page");
    Ok(broken)
}

fn await_no_trouble(gateway: &Gotthard) -> Result<()> {
    let whole = |status: &Status| status.tunnels().all(|tunnel| tunnel.is_up() && tunnel.broken.is_none());
    gateway.await_status(SOON, "nothing to be broken", whole).map(drop)
}

/// Waits for a note of this code whose words fit. The table has it too, and its code has a page.
fn await_note(gateway: &Gotthard, code: &str, fits: impl Fn(&str) -> bool) -> Result<()> {
    let has_it = |status: &Status| {
        let mut notes = status.tunnels().flat_map(|tunnel| &tunnel.notes);
        notes.any(|note| note.code == code && fits(&note.message))
    };
    gateway.await_status(SOON, code, has_it)?;
    let table = gateway.ask(&["status", CONNECTION])?;
    let told = table.lines().find(|line| line.contains(&format!("note: {code}")));
    run::say(&format!("lab: {}", told.with_context(|| table.clone())?.trim()));
    ensure!(gateway.ask(&["explain", code])?.starts_with(&format!("# {code}: ")), "no page");
    Ok(())
}

fn await_no_note(gateway: &Gotthard) -> Result<()> {
    let none = |status: &Status| status.tunnels().all(|tunnel| tunnel.notes.is_empty());
    gateway.await_status(SOON, "no note", none).map(drop)
}

/// Pings from the LAN into the cloud, for as long as it lives. `size` is that of the whole IP packet.
fn pings(run: &Run, lan: &Netns, size: usize) -> Result<Process> {
    let (size, to) = ((size - 28).to_string(), CLOUD_HOST.to_string());
    let mut command = lan.command("ping");
    command.args(["-n", "-i", "0.5", "-M", "do", "-s", &size, &to]);
    Process::spawn(&mut command, "ping-from-the-lan", run.dir())
}

fn one_tunnel() -> Config {
    let mut config = Config::aws(Suite::Gcm);
    config.tunnels.truncate(1);
    config
}

/// The posture with this group in the place of all those that the proposals of a key have; `None`: with none.
fn with_group(posture: &str, key: &str, group: Option<&str>) -> String {
    let proposal = |proposal: &str| {
        let algorithms =
            proposal.trim().split('-').filter(|word| !["modp", "ecp"].iter().any(|dh| word.starts_with(dh)));
        algorithms.chain(group).collect::<Vec<_>>().join("-")
    };
    let line =
        |line: &str| match line.trim_start().strip_prefix(key).and_then(|rest| rest.strip_prefix(" = ")) {
            Some(list) => format!("{key} = {}", list.split(',').map(proposal).collect::<Vec<_>>().join(", ")),
            None => line.to_owned(),
        };
    posture.lines().map(line).collect::<Vec<_>>().join("\n")
}

const PREFIX: &str = "10.200.0.0/16";
/// Fits the tunnel's MTU of 1438 octets, and not the path.
const LARGE: usize = 1400;
/// What AES-GCM in UDP leaves of 1300 octets.
const INNER_OF_1300: usize = 1238;
/// Where Debian has the library of libfaketime.
const FAKETIME: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
];
/// Findings take up to half a minute by design; the rest is for a machine that is busy.
const SOON: Duration = Duration::from_mins(2);
