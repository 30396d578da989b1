//! How long the traffic of a connection stands still when the tunnel that carries it ends.
//!
//! Two numbered flows of 1,000 packets a second run between the LAN and the cloud, one each way. Then something happens
//! to the tunnel that carries them, and what is missing at the other end is the gap. The gateway is ours, or the one of
//! strongSwan and BIRD that stands beside it; the cloud is the AWS posture with BGP.

use core::time::Duration;
use std::net::IpAddr;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::cloud::Aws;
use crate::cloud::aws::VPC_HOST;
use crate::customer::Customer;
use crate::flow::{Flow, Report};
use crate::process::Signal;
use crate::site::{CLOUD_HOST, LAN_HOST, Site};
use crate::{Gotthard, Run, wait};

mod event;

pub use event::Event;

/// The gateway under test.
#[derive(Debug)]
pub enum Gateway {
    /// Ours, with BGP.
    Gotthard(Box<Gotthard>),
    /// Ours, with static routes. Nothing but its egress is measured: AWS would need routes of its own.
    Static(Box<Gotthard>),
    /// strongSwan and BIRD.
    Customer(Box<Customer>),
}

/// Everything that a measurement needs, connected.
#[derive(Debug)]
pub struct Bed {
    /// The hosts.
    pub site: Site,
    /// The cloud.
    pub aws: Aws,
    /// The gateway.
    pub gateway: Gateway,
    /// From the gateway's start to both sessions established and the cloud's prefix in the kernel.
    pub startup: Duration,
}

/// What became of the two flows.
#[derive(Debug)]
pub struct Gaps {
    /// From the LAN to the cloud.
    pub egress: Report,
    /// From the VPC to the LAN; it moves when the cloud notices, or is told.
    pub ingress: Report,
    /// From the end of what happened until both tunnels and sessions were up again, where that was waited for.
    pub back: Option<Duration>,
}

/// How long a measurement goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ways {
    /// Until the egress has moved.
    Egress,
    /// Until the ingress has moved too, which takes as long as the cloud does.
    Both,
}

impl Bed {
    /// Starts the cloud, and then the gateway by the function; returns when both tunnels and sessions are up.
    pub fn start(run: &Run, gateway: impl FnOnce(&Site) -> Result<Gateway>) -> Result<Self> {
        let site = Site::new()?;
        let aws = Aws::start(run, &site)?;
        let start = Instant::now();
        let gateway = gateway(&site)?;
        let mut bed = Self { site, aws, gateway, startup: Duration::ZERO };
        bed.await_healthy()?;
        bed.startup = start.elapsed();
        Ok(bed)
    }

    /// Ends our gateway and starts it by the function: it holds a tunnel down for longer after each of its failures, and a
    /// measurement is to begin with two that are as good.
    pub fn renew(&mut self, gateway: impl FnOnce(&Site) -> Result<Gateway>) -> Result<()> {
        match &mut self.gateway {
            Gateway::Gotthard(old) | Gateway::Static(old) => {
                old.process.signal(Signal::TERM)?;
                old.process.wait(DEADLINE)?;
            }
            Gateway::Customer(_) => return self.await_healthy(),
        }
        self.gateway = gateway(&self.site)?;
        self.await_healthy()
    }

    /// Waits until both tunnels and sessions are up, and each end has heard of the other's prefix over both: then the
    /// traffic has moved for the last time.
    pub fn await_healthy(&self) -> Result<()> {
        match &self.gateway {
            Gateway::Static(gateway) => return gateway.await_up(RETURN).map(drop),
            Gateway::Gotthard(gateway) => {
                gateway.await_up(RETURN)?;
                self.aws.await_established(RETURN)?;
                wait::until_true(RETURN, "a route into both tunnels", || {
                    let route = self.site.gateway.ip_output("route show 10.200.0.0/16")?;
                    Ok(self.devices().iter().all(|device| route.contains(&format!("dev {device} "))))
                })
                .with_context(|| gateway.ask(&["status"]).unwrap_or_default())?;
            }
            Gateway::Customer(customer) => customer.await_prefixes(&self.site, RETURN)?,
        }
        self.aws.await_prefixes(RETURN)
    }

    /// The tunnel that the kernel routes the flow into, by its index.
    pub fn carries(&self) -> Result<Option<usize>> {
        let flow = format!("from {LAN_HOST} iif lan ipproto udp sport {EGRESS} dport {EGRESS}");
        // Where no route leads there, ip fails.
        let Ok(route) = self.site.gateway.ip_output(&format!("route get {CLOUD_HOST} {flow}")) else {
            return Ok(None);
        };
        let words: Vec<_> = route.split_whitespace().collect();
        let device = words.windows(2).find_map(|pair| (pair[0] == "dev").then_some(pair[1]));
        Ok(device.and_then(|device| self.devices().iter().position(|name| *name == device)))
    }

    /// Lets something happen to the tunnel that carries the traffic, and says what was missing until the traffic had
    /// moved; of what is planned, until the tunnel was back too.
    pub fn measure(&mut self, event: Event, ways: Ways) -> Result<Gaps> {
        let carrying = self.carries()?.context("nothing carries")?;
        let flows = self.flows()?;
        let flowing = if matches!(self.gateway, Gateway::Static(_)) { Ways::Egress } else { Ways::Both };
        if ways == Ways::Both {
            // Else what happens might not concern the ingress at all.
            self.aws.send_by(carrying)?;
        }
        await_some(&flows, flowing)?;
        event.begin(self, carrying)?;
        self.await_moved(carrying, ways)?;
        await_some(&flows, ways)?;
        let ends = event.end(self, carrying)?;
        let mut back = None;
        if event.is_planned() {
            self.await_healthy()?;
            back = Some(ends.elapsed());
            await_some(&flows, flowing)?;
        }
        let [egress, ingress] = flows.map(Flow::finish);
        Ok(Gaps { egress: egress?, ingress: ingress?, back })
    }

    /// Both flows, started.
    pub fn flows(&self) -> Result<[Flow; 2]> {
        let Site { lan, endpoints: [one, two], .. } = &self.site;
        let vpc: IpAddr = VPC_HOST.parse()?;
        Ok([
            Flow::at(RATE, lan, (LAN_HOST, EGRESS).into(), &[one, two], (CLOUD_HOST, EGRESS).into())?,
            Flow::at(RATE, &self.aws.vpc, (vpc, INGRESS).into(), &[lan], (LAN_HOST, INGRESS).into())?,
        ])
    }

    fn await_moved(&self, from: usize, ways: Ways) -> Result<()> {
        let elsewhere = |carries: Option<usize>| carries.is_some_and(|index| index != from);
        wait::until_true(DEADLINE, "the egress to move", || Ok(elsewhere(self.carries()?)))?;
        if ways == Ways::Egress {
            return Ok(());
        }
        wait::until_true(DEADLINE, "the ingress to move", || Ok(elsewhere(self.aws.carries()?)))
            .with_context(|| self.aws.routes().unwrap_or_default())
    }

    /// The tunnels' devices at the gateway.
    const fn devices(&self) -> [&'static str; 2] {
        match self.gateway {
            Gateway::Gotthard(_) | Gateway::Static(_) => ["gth0", "gth1"],
            Gateway::Customer(_) => crate::customer::DEVICES,
        }
    }
}

/// Waits until something more has arrived of the flows that matter.
fn await_some([egress, ingress]: &[Flow; 2], ways: Ways) -> Result<()> {
    egress.await_arrivals(SOME, DEADLINE)?;
    if ways == Ways::Both { ingress.await_arrivals(SOME, DEADLINE) } else { Ok(()) }
}

/// Packets a second of each flow: the gap is known to a millisecond.
const RATE: u32 = 1000;
const EGRESS: u16 = 7001;
const INGRESS: u16 = 7002;
/// Packets that have to arrive before a flow counts as flowing.
const SOME: u64 = 200;
/// BGP alone takes 30 s to notice.
const DEADLINE: Duration = Duration::from_mins(1);
/// Dead peer detection of the slower kind, and a session after it.
const RETURN: Duration = Duration::from_mins(2);
