//! A reload under load: of a hundred tunnels one is described otherwise. The others keep every SA, and of the numbered packets
//! that cross them meanwhile, both ways, none is lost.

use core::time::Duration;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use gotthard_lab::flow::Flow;
use gotthard_lab::gotthard::{Config, Tunnel};
use gotthard_lab::site::Site;
use gotthard_lab::status::{self, Status};
use gotthard_lab::strongswan::{Charon, Connection, posture};
use gotthard_lab::{Gotthard, Netns, Run, Suite, run};

#[test]
fn of_a_hundred_tunnels_those_that_stay_lose_no_packet() -> run::Outcome {
    run::scenario("reload", Suite::Gcm, |run| {
        let site = Site::new()?;
        let cloud = &site.endpoints[0];
        let _charon = start_cloud(run, cloud)?;
        let mut config = Config { tunnels: tunnels(), log: "info", ..Config::aws(run.suite) };
        let gateway = Gotthard::start(run, &site.gateway, "gotthard", &config)?;
        let before = sas(&gateway.await_up(SOON)?)?;

        let staying = 0..TUNNELS - 1;
        let flows: Vec<[Flow; 2]> =
            staying.map(|index| flows(&site.gateway, cloud, index)).collect::<Result<_>>()?;
        arrive(&flows)?;
        config.tunnels[TUNNELS - 1].options = vec![format!("interface = {CHANGED:?}")];
        gateway.reload(&config)?;
        let after = gateway.await_status(SOON, "the changed tunnel to be up again", |status| {
            status.tunnels().all(status::Tunnel::is_up)
                && status.tunnels().any(|tunnel| tunnel.interface == CHANGED)
        })?;
        arrive(&flows)?;

        expect_whole(flows)?;
        let after = sas(&after)?;
        let others: Vec<_> = before.iter().filter(|(name, sa)| after.get(*name) != Some(sa)).collect();
        ensure!(others.len() == 1 && others[0].0 == &TUNNELS.to_string(), "made anew: {others:?}");
        Ok(())
    })
}

/// strongSwan with an address and a connection for each tunnel, narrowed to the tunnel's two inside addresses: what the
/// kernel of the cloud's host sends finds its SA by them.
fn start_cloud(run: &Run, host: &Netns) -> Result<Charon> {
    let mut connections = Vec::new();
    for index in 0..TUNNELS {
        host.address(&format!("{}/32", outer(index)), "lo")?;
        host.address(&format!("{}/32", inside(index, 1)), "lo")?;
        connections.push(Connection {
            name: format!("tun{index}"),
            local: outer(index),
            remote: posture::CUSTOMER_GATEWAY.to_owned(),
            psk: posture::PSKS[0].to_owned(),
            ike: run.suite.ike().to_owned(),
            esp: run.suite.esp().to_owned(),
            local_ts: format!("{}/32", inside(index, 1)),
            remote_ts: format!("{}/32", inside(index, 2)),
            options: Vec::new(),
            child_options: Vec::new(),
        });
    }
    Charon::start(run, host, "cloud", &Connection::render(&connections)?)
}

fn tunnels() -> Vec<Tunnel> {
    let tunnel = |index| Tunnel {
        peer: outer(index),
        inside: format!("{}/30", inside(index, 2)),
        psk: posture::PSKS[0].to_owned(),
        options: Vec::new(),
    };
    (0..TUNNELS).map(tunnel).collect()
}

/// From the gateway through a tunnel, and back.
fn flows(gateway: &Netns, cloud: &Netns, index: usize) -> Result<[Flow; 2]> {
    let [there, here] = [1, 2].map(|host| inside(index, host));
    Ok([
        Flow::at(RATE, gateway, (here, 7001).into(), &[cloud], (there, 7001).into())?,
        Flow::at(RATE, cloud, (there, 7002).into(), &[gateway], (here, 7002).into())?,
    ])
}

/// Waits until more of each has crossed.
fn arrive(flows: &[[Flow; 2]]) -> Result<()> {
    flows.iter().flatten().try_for_each(|flow| flow.await_arrivals(1, SOON))
}

/// Ends all at once: each waits for what may still be on its way.
fn expect_whole(flows: Vec<[Flow; 2]>) -> Result<()> {
    thread::scope(|scope| {
        let finish = |(index, both): (usize, [Flow; 2])| {
            scope.spawn(move || {
                both.into_iter().zip(["there", "back"]).try_for_each(|(flow, way)| {
                    flow.finish()?.expect_whole(&format!("tunnel {}, {way}", index + 1))
                })
            })
        };
        let ends: Vec<_> = flows.into_iter().enumerate().map(finish).collect();
        ends.into_iter().try_for_each(|end| end.join().map_err(|_| anyhow!("a flow panicked"))?)
    })
}

/// The SPIs of each tunnel's IKE SA, by its name.
fn sas(status: &Status) -> Result<BTreeMap<String, (String, String)>> {
    let spis = status.tunnels().map(|tunnel| {
        let spis = tunnel.ike.spi_i.clone().zip(tunnel.ike.spi_r.clone());
        Ok((tunnel.name.clone(), spis.with_context(|| format!("no SPIs of tunnel {}", tunnel.name))?))
    });
    spis.collect()
}

/// The cloud's outer address of a tunnel.
fn outer(index: usize) -> String {
    format!("198.51.100.{}", 101 + index)
}

/// The first or second host of a tunnel's link.
fn inside(index: usize, host: u8) -> IpAddr {
    let [third, fourth] = [index / 64, index % 64 * 4].map(|octet| u8::try_from(octet).unwrap_or(u8::MAX));
    [169, 254, 100 + third, fourth + host].into()
}

const TUNNELS: usize = 100;
/// Packets a second of each flow.
const RATE: u32 = 10;
/// The new name of the changed tunnel's device.
const CHANGED: &str = "changed0";
const SOON: Duration = Duration::from_mins(2);
