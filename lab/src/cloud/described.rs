//! A cloud's gateway of somebody's own: outer addresses, keys, links and AS numbers as the file says that the cloud hands out.
//!
//! The hosts are those of the [`Site`]; what the file has stands beside their own addresses. strongSwan at each endpoint takes
//! the posture of AWS, or one policy, and BIRD or, as Azure's gateway, FRR speaks BGP.

use anyhow::{Context, Result, ensure};

use super::DEVICE;
use super::azure;
use crate::authority::{Authority, Issued};
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
    /// The same in IPv6, where the tunnels carry that too.
    pub inside6: Option<Inside6>,
    /// Our network, where phase 2 is for it and the host's alone, as of a policy-based gateway.
    pub selected: Option<&'static str>,
}

/// IPv6 inside the tunnels.
#[derive(Clone, Copy, Debug)]
pub struct Inside6 {
    /// A host behind the cloud, and the network that it is in.
    pub host: (&'static str, &'static str),
    /// The cloud's address in the link of each tunnel, with the length of the link.
    pub links: &'static [&'static str],
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
                speakers.push(self.speaker(run, host, index, asns, &name)?);
            } else {
                charons.push(Charon::start(run, host, &name, &conf)?);
                own_inside(host, end)?;
            }
        }
        Ok(Running { charons, _speakers: speakers })
    }

    /// Starts it with a certificate of this authority for each endpoint, in the place of keys; routes are static. As AWS it
    /// takes whatever certificate of the authority's its peer has.
    pub fn start_certified(
        &self,
        run: &Run,
        site: &Site,
        authority: &Authority,
        issued: &[Issued],
    ) -> Result<Running> {
        self.address(site)?;
        let mut charons = Vec::new();
        for (index, (end, issued)) in self.ends.iter().zip(issued).enumerate() {
            let host = &site.endpoints[index];
            let files = [
                ("x509/endpoint.pem", issued.certificate.clone()),
                ("private/endpoint.pem", issued.key.clone()),
                ("x509ca/root.pem", authority.root()),
                ("x509ca/issuing.pem", authority.issuing()),
            ];
            let (name, conf) = (format!("endpoint{}", index + 1), self.certified_conf(end)?);
            charons.push(Charon::start_with_files(run, host, &name, &conf, &files)?);
            own_inside(host, end)?;
        }
        Ok(Running { charons, _speakers: Vec::new() })
    }

    fn certified_conf(&self, end: &End) -> Result<String> {
        let connection =
            self.connection("certified", end, "", ("aes256gcm16-prfsha256-ecp256", "aes256gcm16-ecp256"));
        let conf = Connection::render(&[connection])?;
        let (connections, _) = conf.split_once("secrets {").context("secrets")?;
        let local = format!("auth = psk\n      id = {}", end.outer);
        let remote = format!("auth = psk\n      id = {}", self.ours);
        ensure!(connections.contains(&local) && connections.contains(&remote), "no keys in:\n{connections}");
        Ok(connections
            .replace(&local, "auth = pubkey\n      certs = endpoint.pem")
            .replace(&remote, "auth = pubkey"))
    }

    /// The file's outer addresses, each where it belongs, and the host behind the cloud.
    fn address(&self, site: &Site) -> Result<()> {
        if self.ours.contains(':') {
            return self.address_v6(site);
        }
        site.gateway.ip(&format!("addr replace {}/32 dev {OUTSIDE}", self.ours))?;
        site.wan.ip(&format!("route replace {}/32 via 203.0.113.10", self.ours))?;
        for (endpoint, (own, end)) in site.endpoints.iter().zip(posture::ENDPOINTS.iter().zip(self.ends)) {
            endpoint.ip(&format!("addr replace {}/32 dev {OUTSIDE}", end.outer))?;
            self.own_hosts(endpoint)?;
            endpoint.ip(&format!("route replace {}/32 via 198.51.100.1", self.ours))?;
            if end.outer != *own {
                site.wan.ip(&format!("route replace {}/32 via {own}", end.outer))?;
            }
        }
        Ok(())
    }

    /// Outer addresses of IPv6: ours is the site's own, and the endpoints' are in the network of [`ROUTER_V6`].
    fn address_v6(&self, site: &Site) -> Result<()> {
        site.wan.address(&format!("{ROUTER_V6}/64"), "bridge")?;
        for (endpoint, end) in site.endpoints.iter().zip(self.ends) {
            endpoint.address(&format!("{}/64", end.outer), OUTSIDE)?;
            endpoint.ip(&format!("route replace {}/128 via {ROUTER_V6}", self.ours))?;
            self.own_hosts(endpoint)?;
        }
        Ok(())
    }

    /// An endpoint has the addresses of the hosts behind the cloud.
    fn own_hosts(&self, endpoint: &Netns) -> Result<()> {
        endpoint.ip(&format!("addr replace {}/32 dev lo", self.host.0))?;
        self.inside6.map_or(Ok(()), |v6| endpoint.ip(&format!("addr replace {}/128 dev lo", v6.host.0)))
    }

    fn swanctl_conf(&self, keys: &[String]) -> Result<String> {
        let ends = self.ends.iter().zip(keys);
        let Some((ike, esp)) = self.policy else {
            let mut conf = posture::aws()?.replace(posture::CUSTOMER_GATEWAY, self.ours);
            for ((end, key), (own, own_key)) in ends.zip(posture::ENDPOINTS.into_iter().zip(posture::PSKS)) {
                conf = conf.replace(own, end.outer).replace(own_key, key);
            }
            if self.inside6.is_some() {
                conf = conf.replace("= 0.0.0.0/0", "= 0.0.0.0/0, ::/0");
            }
            return Ok(conf);
        };
        let connections = ends
            .enumerate()
            .map(|(index, (end, key))| self.connection(&format!("tun{}", index + 1), end, key, (ike, esp)));
        Connection::render(&connections.collect::<Vec<_>>())
    }

    fn connection(&self, name: &str, end: &End, key: &str, (ike, esp): (&str, &str)) -> Connection {
        let (local_ts, remote_ts) =
            self.selected.map_or(("0.0.0.0/0", "0.0.0.0/0"), |network| (self.host.1, network));
        Connection {
            name: name.to_owned(),
            local: end.outer.to_owned(),
            remote: self.ours.to_owned(),
            psk: key.to_owned(),
            ike: ike.to_owned(),
            esp: esp.to_owned(),
            local_ts: local_ts.to_owned(),
            remote_ts: remote_ts.to_owned(),
            options: Vec::new(),
            child_options: Vec::new(),
        }
    }

    fn speaker(
        &self,
        run: &Run,
        host: &Netns,
        index: usize,
        asns: (u32, u32),
        name: &str,
    ) -> Result<Speaker> {
        let end = &self.ends[index];
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
        if let Some(v6) = self.inside6 {
            host.address(v6.links[index], DEVICE)?;
        }
        let families: &[&str] = if self.inside6.is_some() { &["ipv4", "ipv6"] } else { &["ipv4"] };
        let session = Session {
            name: super::aws::CUSTOMER.to_owned(),
            local: (end.inside.to_owned(), asns.0),
            peer: (ours.to_owned(), asns.1),
            timers: (10, 30),
            options: ["error wait time 1, 5;", "connect delay time 1;", "connect retry time 5;"]
                .map(str::to_owned)
                .to_vec(),
            channels: families
                .iter()
                .map(|family| format!("{family} {{ import all; export where source = RTS_STATIC; }};"))
                .collect(),
        };
        let networks = core::iter::once(self.host.1).chain(self.inside6.map(|v6| v6.host.1));
        let networks: Vec<String> = networks.map(str::to_owned).collect();
        let [preamble, originated] = [bird::preamble(end.inside), bird::originated(&networks)];
        let bird = Bird::start(run, host, &name, &format!("{preamble}{originated}{session}"))?;
        Ok(Speaker::Bird { _bird: bird })
    }
}

/// Where routes are static, the address inside is the host's own.
fn own_inside(host: &Netns, end: &End) -> Result<()> {
    if end.inside.is_empty() {
        return Ok(());
    }
    host.ip(&format!("addr replace {}/32 dev lo", end.inside))
}

/// The router of the endpoints' network, where outer addresses are of IPv6.
const ROUTER_V6: &str = "2001:db8:51::1";
