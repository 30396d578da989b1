//! A cloud's gateway of somebody's own: outer addresses, keys, links and AS numbers as the file says that the cloud hands out.
//!
//! The hosts are those of the [`Site`]; what the file has stands beside their own addresses. strongSwan at each endpoint takes
//! the posture of AWS, or one policy, and BIRD or, as Azure's gateway, FRR speaks BGP.

use anyhow::{Context, Result};

use super::DEVICE;
use super::azure;
use crate::bird::{self, Session};
use crate::site::{OUTSIDE, Site};
use crate::strongswan::{Charon, Connection, posture};
use crate::{Bird, Frr, Netns, Run};

/// What a file says, as far as the cloud's side needs it.
#[derive(Clone, Copy, Debug)]
pub struct Described {
    /// Our outer address.
    pub ours: &'static str,
    /// The cloud's endpoints.
    pub ends: &'static [End],
    /// The cloud's AS number and ours, where routes come by BGP.
    pub asns: Option<(u32, u32)>,
    /// What phase 1 and phase 2 allow; `None`: what AWS allows.
    pub policy: Option<(&'static str, &'static str)>,
    /// A host behind the cloud, and the network that it is in.
    pub host: (&'static str, &'static str),
}

/// One endpoint.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// Its outer address.
    pub outer: &'static str,
    /// Its address inside the tunnel; empty where the file has none.
    pub inside: &'static str,
    /// Ours, with the length of the link.
    pub ours_inside: &'static str,
}

/// Its daemons.
#[derive(Debug)]
pub struct Running {
    /// strongSwan of each endpoint.
    pub charons: Vec<Charon>,
    _speakers: Vec<Speaker>,
}

/// Who speaks BGP at an endpoint.
#[derive(Debug)]
enum Speaker {
    Bird { _bird: Bird },
    Frr { _frr: Frr },
}

impl Described {
    /// Starts it at the site's endpoints, with a key for each.
    pub fn start(&self, run: &Run, site: &Site, keys: &[String]) -> Result<Running> {
        self.address(site)?;
        let (mut charons, mut speakers) = (Vec::new(), Vec::new());
        for (index, end) in self.ends.iter().enumerate() {
            let host = &site.endpoints[index];
            let conf = self.swanctl_conf(keys)?;
            let name = format!("endpoint{}", index + 1);
            if let Some(asns) = self.asns {
                charons.push(super::endpoint(run, host, index, &name, &conf)?);
                speakers.push(self.speaker(run, host, end, asns, &name)?);
            } else {
                charons.push(Charon::start(run, host, &name, &conf)?);
                if !end.inside.is_empty() {
                    host.ip(&format!("addr replace {}/32 dev lo", end.inside))?;
                }
            }
        }
        Ok(Running { charons, _speakers: speakers })
    }

    /// The file's outer addresses, each where it belongs, and the host behind the cloud.
    fn address(&self, site: &Site) -> Result<()> {
        site.gateway.ip(&format!("addr replace {}/32 dev {OUTSIDE}", self.ours))?;
        site.wan.ip(&format!("route replace {}/32 via 203.0.113.10", self.ours))?;
        for (endpoint, (own, end)) in site.endpoints.iter().zip(posture::ENDPOINTS.iter().zip(self.ends)) {
            endpoint.ip(&format!("addr replace {}/32 dev {OUTSIDE}", end.outer))?;
            endpoint.ip(&format!("addr replace {}/32 dev lo", self.host.0))?;
            endpoint.ip(&format!("route replace {}/32 via 198.51.100.1", self.ours))?;
            if end.outer != *own {
                site.wan.ip(&format!("route replace {}/32 via {own}", end.outer))?;
            }
        }
        Ok(())
    }

    fn swanctl_conf(&self, keys: &[String]) -> Result<String> {
        let ends = self.ends.iter().zip(keys);
        let Some((ike, esp)) = self.policy else {
            let mut conf = posture::aws()?.replace(posture::CUSTOMER_GATEWAY, self.ours);
            for ((end, key), (own, own_key)) in ends.zip(posture::ENDPOINTS.into_iter().zip(posture::PSKS)) {
                conf = conf.replace(own, end.outer).replace(own_key, key);
            }
            return Ok(conf);
        };
        let connections = ends.enumerate().map(|(index, (end, key))| Connection {
            name: format!("tun{}", index + 1),
            local: end.outer.to_owned(),
            remote: self.ours.to_owned(),
            psk: key.clone(),
            ike: ike.to_owned(),
            esp: esp.to_owned(),
            local_ts: "0.0.0.0/0".to_owned(),
            remote_ts: "0.0.0.0/0".to_owned(),
            options: Vec::new(),
            child_options: Vec::new(),
        });
        Connection::render(&connections.collect::<Vec<_>>())
    }

    fn speaker(&self, run: &Run, host: &Netns, end: &End, asns: (u32, u32), name: &str) -> Result<Speaker> {
        let (ours, length) = end.ours_inside.split_once('/').context("a length of the link")?;
        let name = format!("{name}-bgp");
        if length == "32" {
            // The peer is not on a link: Azure.
            host.address(&format!("{}/32", end.inside), "lo")?;
            host.route(&format!("{ours}/32 dev {DEVICE} src {}", end.inside))?;
            let conf = azure::frr_conf(end.inside, ours, asns, self.host.1);
            return Ok(Speaker::Frr { _frr: Frr::start(run, host, &name, &conf)? });
        }
        host.address(&format!("{}/{length}", end.inside), DEVICE)?;
        let session = Session {
            name: super::aws::CUSTOMER.to_owned(),
            local: (end.inside.to_owned(), asns.0),
            peer: (ours.to_owned(), asns.1),
            timers: (10, 30),
            options: ["error wait time 1, 5;", "connect delay time 1;", "connect retry time 5;"]
                .map(str::to_owned)
                .to_vec(),
            channels: vec!["ipv4 { import all; export where source = RTS_STATIC; };".to_owned()],
        };
        let [preamble, originated] =
            [bird::preamble(end.inside), bird::originated(&[self.host.1.to_owned()])];
        let bird = Bird::start(run, host, &name, &format!("{preamble}{originated}{session}"))?;
        Ok(Speaker::Bird { _bird: bird })
    }
}
