//! The customer's gateway as many have built it: strongSwan for the tunnels and BIRD for the routes, on one host.
//!
//! What stands beside our figures. Dead peer detection and hold time have AWS's values: three times 10 s, and 30 s.
//!
//! Each tunnel has a charon of its own, and with it a device of its own: kernel-libipsec has one for all tunnels of a
//! charon, and between two with selectors of 0.0.0.0/0 it could not choose. The second charon takes other ports, as a
//! NAT gateway would give it.

use core::time::Duration;

use anyhow::{Context, Result};

use crate::bird::{self, Bird, Session};
use crate::cloud::aws;
use crate::site::{Site, inside_of};
use crate::strongswan::settings::{Patience, Ports, Routes, Settings};
use crate::strongswan::{Charon, Connection, posture};
use crate::{Netns, Run, wait};

/// A running gateway.
#[derive(Debug)]
pub struct Customer {
    /// One a tunnel.
    pub charons: [Charon; 2],
    /// Its sessions are called after [`SESSIONS`].
    pub bird: Bird,
}

impl Customer {
    /// Starts it on the site's gateway and initiates both tunnels.
    pub fn start(run: &Run, site: &Site) -> Result<Self> {
        let [charon1, charon2] = [0, 1].map(|index| charon(run, &site.gateway, index));
        let charons = [charon1?, charon2?];
        let bird = Bird::start(run, &site.gateway, "customer-bgp", &conf(1))?;
        Ok(Self { charons, bird })
    }

    /// Waits until both sessions have brought the cloud's prefix and the kernel has a route to it.
    pub fn await_prefixes(&self, site: &Site, deadline: Duration) -> Result<()> {
        for session in SESSIONS {
            self.bird.await_established(session, deadline)?;
            wait::until_true(deadline, format!("a prefix over {session}"), || {
                Ok(!self.bird.prefixes(session)?.is_empty())
            })?;
        }
        wait::until_true(deadline, "a route to the cloud", || Ok(carries(&site.gateway)?.is_some()))
    }

    /// Announces so many prefixes over both sessions, the LAN among them.
    pub fn announce(&self, prefixes: u32) -> Result<()> {
        self.bird.configure(&conf(prefixes))
    }
}

/// The tunnel that the kernel's route to the cloud leads into, if there is one.
pub fn carries(gateway: &Netns) -> Result<Option<usize>> {
    let route = gateway.ip_output("route show 10.200.0.0/16")?;
    Ok((0..2).find(|index| route.contains(&format!("dev {}", DEVICES[*index]))))
}

fn charon(run: &Run, gateway: &Netns, index: usize) -> Result<Charon> {
    let mut connection = Connection {
        name: format!("tun{}", index + 1),
        local: posture::CUSTOMER_GATEWAY.to_owned(),
        remote: posture::ENDPOINTS[index].to_owned(),
        psk: posture::PSKS[index].to_owned(),
        ike: "aes256-sha256-modp2048".to_owned(),
        esp: "aes256gcm16-modp2048".to_owned(),
        local_ts: "0.0.0.0/0".to_owned(),
        remote_ts: "0.0.0.0/0".to_owned(),
        options: Vec::new(),
        child_options: vec!["dpd_action = restart".to_owned()],
    };
    let ports = [Ports::WellKnown, Ports::Any][index];
    if ports == Ports::Any {
        connection.options.push("remote_port = 4500".to_owned());
    }
    let settings = Settings { routes: Routes::Daemon, ports, patience: Patience::Aws, ..Settings::default() };
    let conf = Connection::render(&[connection])?;
    let name = format!("customer{}", index + 1);
    let charon = Charon::start_with_settings(run, gateway, &name, &conf, settings)?;
    let inside = format!("169.254.{}.2/30", 10 + index);
    gateway.address(&inside, DEVICES[index]).context("the device of a charon")?;
    charon.initiate(&format!("tun{}-c", index + 1))?;
    Ok(charon)
}

fn conf(prefixes: u32) -> String {
    let mut conf = bird::preamble(posture::CUSTOMER_GATEWAY);
    let lan: Vec<_> = (0..prefixes).map(|number| format!("10.{}.0.0/16", 10 + number)).collect();
    conf.push_str(&bird::originated(&lan));
    for (index, name) in SESSIONS.into_iter().enumerate() {
        let session = Session {
            name: name.to_owned(),
            local: (format!("169.254.{}.2", 10 + index), aws::CUSTOMER_AS),
            peer: (inside_of(index).to_string(), aws::AS),
            timers: (10, 30),
            // BIRD would pause for a minute after an error; the gap does not depend on it, the time between runs does.
            options: ["error wait time 1, 5;", "connect delay time 1;", "connect retry time 5;"]
                .map(str::to_owned)
                .to_vec(),
            channels: vec!["ipv4 { import all; export where source = RTS_STATIC; };".to_owned()],
        };
        conf.push_str(&session.to_string());
    }
    conf
}

/// The names of its sessions, by tunnel.
pub const SESSIONS: [&str; 2] = ["tunnel1", "tunnel2"];

/// A second charon takes the next name that is free.
pub(crate) const DEVICES: [&str; 2] = ["ipsec0", "ipsec1"];
