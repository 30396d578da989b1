//! AWS's virtual private gateway with BGP: two endpoints, each strongSwan and BIRD, and a host in the VPC behind both.
//!
//! ```text
//!              endpoint 1  198.51.100.11   ipsec0 169.254.10.1/30   AS 64512 ---.
//! customer ===                                                                   >--- vpc 10.200.1.1
//!              endpoint 2  198.51.100.12   ipsec0 169.254.11.1/30   AS 64512 ---'
//! ```
//! Each endpoint owns 10.200.0.1 too, as everywhere in the site. Keepalive and hold time are AWS's 10 s and 30 s, and
//! a session that brings more than 100 prefixes ends. The VPC's host learns from both endpoints by iBGP which of them
//! leads to the customer, so that its traffic moves when an endpoint loses its session or learns a higher MED. What AWS
//! does not publish is chosen to be quick: an endpoint connects after 1 s and again after 5 s.
//!
//! The inside address is one of `ipsec0`, not of the loopback: then the peer is on the link, as BGP wants it of a
//! neighbour outside its AS, BIRD's routes have that device, and the session ends with the device.

use core::time::Duration;

use anyhow::{Context, Result};

use super::DEVICE;
use crate::bird::{self, Bird, Session};
use crate::site::{Site, inside_of};
use crate::strongswan::{Charon, posture};
use crate::{Netns, Run, wait};

/// The endpoints' daemons and the VPC.
#[derive(Debug)]
pub struct Aws {
    /// strongSwan of each endpoint.
    pub charons: [Charon; 2],
    /// BIRD of each endpoint; its session with the customer is called [`CUSTOMER`].
    pub birds: [Bird; 2],
    /// The VPC's host.
    pub vpc: Netns,
    router: Bird,
    announced: [Announced; 2],
}

/// What an endpoint announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// Prefixes of the VPC.
    pub prefixes: Vec<String>,
    /// Their MED.
    pub med: u32,
}

impl Aws {
    /// Starts all of it at the site's two endpoints. Nobody is connected before the customer's gateway makes the tunnels.
    pub fn start(run: &Run, site: &Site) -> Result<Self> {
        let announced = [(); 2].map(|()| Announced::usual());
        let vpc = Netns::new("vpc")?;
        vpc.forward()?;
        vpc.address(&format!("{VPC_HOST}/32"), "lo")?;
        for (index, endpoint) in site.endpoints.iter().enumerate() {
            connect(&vpc, endpoint, index)?;
        }
        let router = Bird::start(run, &vpc, "vpc", &router_conf(0))?;
        let [charon1, charon2] = [0, 1].map(|index| charon(run, site, index));
        let charons = [charon1?, charon2?];
        let [bird1, bird2] = [0, 1].map(|index| {
            Bird::start(run, &site.endpoints[index], BIRDS[index], &endpoint_conf(index, &announced[index]))
        });
        Ok(Self { charons, birds: [bird1?, bird2?], vpc, router, announced })
    }

    /// Changes what an endpoint announces; its session stays.
    pub fn announce(&mut self, endpoint: usize, announced: Announced) -> Result<()> {
        self.birds[endpoint].configure(&endpoint_conf(endpoint, &announced))?;
        self.announced[endpoint] = announced;
        Ok(())
    }

    /// Before an endpoint's maintenance AWS prefers the other one: it lowers the other's MED, and sends by it.
    pub fn prefer(&mut self, endpoint: usize) -> Result<()> {
        self.set_med(endpoint, PREFERRED_MED)?;
        self.set_med(1 - endpoint, USUAL_MED)?;
        self.router.configure(&router_conf(endpoint))
    }

    /// After the maintenance both have the same MED again.
    pub fn prefer_neither(&mut self) -> Result<()> {
        (0..2).try_for_each(|endpoint| self.set_med(endpoint, USUAL_MED))
    }

    /// The VPC sends by this endpoint where the customer asks for neither. Returns when it does.
    pub fn send_by(&mut self, endpoint: usize) -> Result<()> {
        self.router.configure(&router_conf(endpoint))?;
        wait::until_true(CONVERGED, "the VPC to send by another endpoint", || {
            Ok(self.carries()? == Some(endpoint))
        })
    }

    fn set_med(&mut self, endpoint: usize, med: u32) -> Result<()> {
        let Announced { prefixes, .. } = self.announced[endpoint].clone();
        self.announce(endpoint, Announced { prefixes, med })
    }

    /// Kills an endpoint's daemons. Its tunnel device goes with charon.
    pub fn kill(&mut self, site: &Site, endpoint: usize) -> Result<()> {
        self.charons[endpoint].kill()?;
        self.birds[endpoint].kill(&site.endpoints[endpoint])
    }

    /// Starts them again, without any state.
    pub fn start_again(&mut self, site: &Site, endpoint: usize) -> Result<()> {
        let host = &site.endpoints[endpoint];
        self.charons[endpoint].restart_after_kill(host)?;
        address_device(host, endpoint)?;
        self.birds[endpoint].start_again(host)
    }

    /// Waits until both endpoints' sessions are established.
    pub fn await_established(&self, deadline: Duration) -> Result<()> {
        self.birds.iter().try_for_each(|bird| bird.await_established(CUSTOMER, deadline))
    }

    /// Waits until the VPC has heard of the customer's prefix from both endpoints.
    pub fn await_prefixes(&self, deadline: Duration) -> Result<()> {
        for session in VPC_DEVICES {
            wait::until_true(deadline, format!("a prefix from {session}"), || {
                Ok(!self.router.prefixes(session)?.is_empty())
            })
            .with_context(|| self.routes().unwrap_or_default())?;
        }
        Ok(())
    }

    /// The endpoint that the VPC sends to, if there is one.
    pub fn carries(&self) -> Result<Option<usize>> {
        let route = self.vpc.ip_output("route show proto bird")?;
        Ok((0..2).find(|index| route.contains(&format!("dev {}", VPC_DEVICES[*index]))))
    }

    /// The routes of the VPC's router, for a failure's message.
    pub fn routes(&self) -> Result<String> {
        self.router.ask("show route all")
    }
}

impl Announced {
    /// The VPC, with the MED that both endpoints have when nothing is wrong.
    pub fn usual() -> Self {
        Self { prefixes: vec!["10.200.0.0/16".to_owned()], med: USUAL_MED }
    }
}

fn charon(run: &Run, site: &Site, index: usize) -> Result<Charon> {
    let host = &site.endpoints[index];
    let charon = super::endpoint(run, host, index, CHARONS[index], &posture::aws()?)?;
    address_device(host, index)?;
    Ok(charon)
}

fn address_device(host: &Netns, index: usize) -> Result<()> {
    host.address(&format!("{}/30", inside_of(index)), DEVICE)
}

fn connect(vpc: &Netns, endpoint: &Netns, index: usize) -> Result<()> {
    vpc.link(VPC_DEVICES[index], endpoint, "vpc")?;
    vpc.address(&format!("172.31.{index}.1/30"), VPC_DEVICES[index])?;
    endpoint.address(&format!("172.31.{index}.2/30"), "vpc")?;
    endpoint.route(&format!("10.200.1.0/24 via 172.31.{index}.1"))?;
    endpoint.forward()
}

fn endpoint_conf(index: usize, Announced { prefixes, med }: &Announced) -> String {
    let customer = Session {
        name: CUSTOMER.to_owned(),
        local: (inside_of(index).to_string(), AS),
        peer: (format!("169.254.{}.2", 10 + index), CUSTOMER_AS),
        timers: (10, 30),
        options: vec![
            "error wait time 1, 5;".to_owned(),
            "connect delay time 1;".to_owned(),
            "connect retry time 5;".to_owned(),
        ],
        channels: vec![format!(
            "ipv4 {{ import all; export filter {{ if source != RTS_STATIC then reject; bgp_med = {med}; accept; }}; \
             receive limit {MOST_PREFIXES} action disable; }};"
        )],
    };
    let vpc = Session {
        name: "vpc".to_owned(),
        local: (format!("172.31.{index}.2"), AS),
        peer: (format!("172.31.{index}.1"), AS),
        timers: (3, 9),
        options: QUICK.map(str::to_owned).to_vec(),
        channels: vec![format!(
            "ipv4 {{ import none; next hop self; export where proto = \"{CUSTOMER}\"; }};"
        )],
    };
    let [preamble, originated] = [bird::preamble(&inside_of(index).to_string()), bird::originated(prefixes)];
    format!("{preamble}{originated}{customer}{vpc}")
}

/// Of two endpoints whose routes are equal, down to the customer's MED, the VPC sends by the one that is nearer in it
/// (RFC 4271 §9.1.2.2 e).
fn router_conf(nearer: usize) -> String {
    let mut conf = bird::preamble(VPC_HOST);
    let links = VPC_DEVICES.into_iter().enumerate().map(|(index, name)| {
        let distance = 1 + u32::from(index != nearer);
        format!("  route 172.31.{index}.0/30 via \"{name}\" {{ igp_metric = {distance}; }};\n")
    });
    conf.push_str("protocol static links {\n  ipv4;\n");
    conf.extend(links);
    conf.push_str("}\n");
    for (index, name) in VPC_DEVICES.into_iter().enumerate() {
        let session = Session {
            name: name.to_owned(),
            local: (format!("172.31.{index}.1"), AS),
            peer: (format!("172.31.{index}.2"), AS),
            timers: (3, 9),
            options: QUICK.map(str::to_owned).to_vec(),
            channels: vec!["ipv4 { import all; export none; gateway recursive; };".to_owned()],
        };
        conf.push_str(&session.to_string());
    }
    conf
}

/// The name of an endpoint's session with the customer's gateway.
pub const CUSTOMER: &str = "customer";
/// A host of the VPC, behind both endpoints.
pub const VPC_HOST: &str = "10.200.1.1";
/// AWS's AS.
pub const AS: u32 = 64512;
/// The customer's AS.
pub const CUSTOMER_AS: u32 = 65010;
/// What a virtual private gateway takes from a customer.
pub const MOST_PREFIXES: u32 = 100;
/// The MED of both endpoints when nothing is wrong, and that of the healthy one during the other's maintenance.
pub const USUAL_MED: u32 = 200;
/// See [`USUAL_MED`].
pub const PREFERRED_MED: u32 = 100;

/// The VPC's devices, and its sessions.
const VPC_DEVICES: [&str; 2] = ["endpoint1", "endpoint2"];
const CHARONS: [&str; 2] = ["endpoint1", "endpoint2"];
const BIRDS: [&str; 2] = ["endpoint1-bgp", "endpoint2-bgp"];
const CONVERGED: Duration = Duration::from_secs(10);
/// Within the cloud nobody waits, and both ends are on one link.
const QUICK: [&str; 4] =
    ["direct;", "error wait time 1, 1;", "connect delay time 1;", "connect retry time 1;"];
