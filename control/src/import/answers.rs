//! What a person answers where a file is silent, or knows better.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Refused;
use super::found::{Found, FoundConnection, FoundTunnel};
use crate::config::model::Routing;

/// The answers; what is not given is left as it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Our name of the connection.
    pub name: Option<String>,
    /// Our outer address.
    pub local: Option<IpAddr>,
    /// Our AS number.
    pub asn: Option<u32>,
    /// Prefixes that we offer.
    pub advertise: Vec<IpNet>,
    /// Prefixes behind the cloud.
    pub remote: Vec<IpNet>,
    /// Outer addresses of the cloud's endpoints.
    pub peers: Vec<IpAddr>,
    /// Take what cannot come up before the cloud is set otherwise.
    pub with_conflicts: bool,
}

impl Found {
    /// Fills in the answers.
    ///
    /// # Errors
    ///
    /// The cloud allows nothing that we speak, or one name is given to several connections.
    pub fn answered(mut self, answers: &Answers) -> Result<Self, Refused> {
        if answers.name.is_some() && self.connections.iter().filter(|one| one.unused.is_none()).count() > 1 {
            return Err(Refused::OneName);
        }
        for connection in &mut self.connections {
            connection.answer(answers)?;
        }
        Ok(self)
    }
}

impl FoundConnection {
    fn answer(&mut self, answers: &Answers) -> Result<(), Refused> {
        if let Some(name) = answers.name.as_ref().filter(|_| self.unused.is_none()) {
            name.clone_into(&mut self.name);
        }
        self.local = answers.local.or(self.local);
        self.asn = answers.asn.or(self.asn);
        for (given, found) in [(&answers.advertise, &mut self.advertise), (&answers.remote, &mut self.remote)]
        {
            if !given.is_empty() {
                given.clone_into(found);
            }
        }
        if self.tunnels.is_empty() {
            let tunnel = |peer: &IpAddr| FoundTunnel { psk: self.psk.clone(), ..FoundTunnel::to(*peer) };
            self.tunnels = answers.peers.iter().map(tunnel).collect();
        }
        if self.unused.is_some() {
            return Ok(());
        }
        if let Some(conflict) = self.conflicts.first().filter(|_| !answers.with_conflicts) {
            return Err(conflict.clone());
        }
        Ok(())
    }

    /// What it cannot do without, and has not.
    pub fn missing(&self) -> Vec<Refused> {
        if self.unused.is_some() {
            return Vec::new();
        }
        let bgp = self.routing == Routing::Bgp;
        let rows = [
            (self.tunnels.is_empty(), "the outer addresses of the cloud's endpoints", PEER),
            (bgp && self.asn.is_none(), "our AS number", ASN),
            (
                bgp && self.tunnels.iter().any(|tunnel| tunnel.inside.is_none()),
                "our addresses inside",
                INSIDE,
            ),
            (!bgp && self.remote.is_empty(), "the prefixes behind the cloud, and routing is static", REMOTE),
        ];
        let missing = rows.into_iter().filter(|(is_missing, ..)| *is_missing);
        missing
            .map(|(_, what, remedy)| Refused::Missing { connection: self.name.clone(), what, remedy })
            .collect()
    }
}

const PEER: &str = "give them: --peer ADDRESS, once each; with Azure, give the JSON of the gateway and of the local network gateway \
     in files beside it";
const ASN: &str = "give the one of the customer gateway: --asn 65010";
const INSIDE: &str = "give the file that has them: with Azure that of the local network gateway, with Google that of the router";
const REMOTE: &str = "give those of the VPC or the virtual network: --remote 10.200.0.0/16";
