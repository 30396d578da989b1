//! Our gateway behind one tunnel to an endpoint of AWS's, at which a scenario puts the BGP daemon of its choice.

use core::time::Duration;

use anyhow::{Context, Result};

use super::DEVICE;
use super::aws::{AS, CUSTOMER, CUSTOMER_AS};
use crate::bird::{self, Bird, Session};
use crate::gotthard::Config;
use crate::site::Site;
use crate::status::Tunnel;
use crate::strongswan::{Charon, posture};
use crate::{Gotthard, Netns, Run, Suite, run, wait};

/// Both ends.
#[derive(Debug)]
pub struct OneTunnel {
    /// The hosts.
    pub site: Site,
    /// Our gateway; its BGP has port 179 of [`OURS`].
    pub gateway: Gotthard,
    _charon: Charon,
}

/// Runs a scenario behind one tunnel, with further keys of the gateway's connection. The suite of the tunnel is none of BGP's
/// business.
pub fn scenario(
    name: &str,
    options: &[&str],
    body: impl FnOnce(&Run, &mut OneTunnel) -> Result<()>,
) -> run::Outcome {
    run::scenario(name, Suite::Gcm, |run| {
        let mut tunnel = OneTunnel::start(run, &config(run.suite, options))?;
        body(run, &mut tunnel).with_context(|| tunnel.gateway.ask(&["status"]).unwrap_or_default())
    })
}

/// A configuration of one tunnel of both families, with further keys of its connection.
pub fn config(suite: Suite, options: &[&str]) -> Config {
    let mut config = Config::aws_bgp(suite);
    config.tunnels.truncate(1);
    config.tunnels[0].options.push(format!("inside6 = \"{OURS_V6}/126\""));
    options.iter().fold(config, |config, option| config.with(option))
}

impl OneTunnel {
    fn start(run: &Run, config: &Config) -> Result<Self> {
        let site = Site::new()?;
        // As of a transit gateway, whose tunnels may carry IPv6.
        let conf = posture::aws()?.replace("0.0.0.0/0", "0.0.0.0/0,::/0");
        let charon = super::endpoint(run, &site.endpoints[0], 0, "endpoint1", &conf)?;
        for address in [format!("{PEER}/30"), format!("{PEER_V6}/126")] {
            site.endpoints[0].address(&address, DEVICE)?;
        }
        // What would give the kernel routes in the cloud is no part of these.
        site.endpoints[0].route(&format!("10.10.0.0/16 via {OURS}"))?;
        let gateway = Gotthard::start(run, &site.gateway, "gotthard", config)?;
        gateway.await_running(SOON)?;
        Ok(Self { site, gateway, _charon: charon })
    }

    /// The endpoint; its BGP has the address [`PEER`].
    pub const fn host(&self) -> &Netns {
        &self.site.endpoints[0]
    }

    /// BIRD at the endpoint; its session with us is called [`CUSTOMER`].
    pub fn bird(&self, run: &Run, conf: &str) -> Result<Bird> {
        Bird::start(run, self.host(), "bird", conf)
    }

    /// The tunnel as `gotthard status` shows it.
    pub fn status(&self) -> Result<Tunnel> {
        self.gateway.status()?.tunnels().next().cloned().context("a tunnel")
    }

    /// Waits until the session is established, or is not.
    pub fn await_session(&self, established: bool) -> Result<()> {
        let what = if established { "the session to be established" } else { "the session to end" };
        wait::until_true(SOON, what, || Ok(self.status()?.is_established() == established))
    }

    /// Waits until the first broken link has this code; returns it in one line.
    pub fn await_trouble(&self, code: &str) -> Result<String> {
        wait::until(SOON, code, || Ok(Some(self.status()?.trouble()).filter(|line| line.starts_with(code))))
    }

    /// Waits until the gateway has logged these words.
    pub fn await_log(&self, words: &str) -> Result<()> {
        wait::until_true(SOON, format!("{words:?} in the log"), || {
            Ok(self.gateway.process.log().contains(words))
        })
    }

    /// Whether the kernel sends packets to a prefix into the tunnel.
    pub fn carries(&self, prefix: &str) -> Result<bool> {
        let family = if prefix.contains(':') { "-6 " } else { "" };
        let routes = self.site.gateway.ip_output(&format!("{family}route show {prefix}"))?;
        Ok(routes.contains("dev gth0"))
    }

    /// Waits until a prefix leads into the tunnel, or no longer.
    pub fn await_route(&self, prefix: &str, there: bool) -> Result<()> {
        let what = if there { "to lead into the tunnel" } else { "to lead nowhere" };
        wait::until_true(SOON, format!("{prefix} {what}"), || Ok(self.carries(prefix)? == there))
    }
}

/// A bird.conf with one session, that announces prefixes; `options` are statements of the session.
pub fn bird_conf(options: &[&str], prefixes: &[&str]) -> String {
    let prefixes: Vec<_> = prefixes.iter().map(|prefix| (*prefix).to_owned()).collect();
    format!("{}{}", bird::originated(&prefixes), session_conf([PEER, OURS], "ipv4", options))
}

/// The same over a link of IPv6, for one prefix of IPv6.
pub fn bird_conf_v6(options: &[&str], prefix: &str) -> String {
    let session = session_conf([PEER_V6, OURS_V6], "ipv6", options);
    format!("{}{session}", bird::originated(&[prefix.to_owned()]))
}

/// The rest of a bird.conf: one session between these ends, its own first.
fn session_conf(ends: [&str; 2], family: &str, options: &[&str]) -> String {
    let quick = ["connect delay time 1;", "connect retry time 1;", "error wait time 1, 1;"];
    let [local, peer] = ends.map(str::to_owned);
    let session = Session {
        name: CUSTOMER.to_owned(),
        local: (local, AS),
        peer: (peer, CUSTOMER_AS),
        timers: (10, 30),
        options: quick.iter().chain(options).map(|option| (*option).to_owned()).collect(),
        channels: vec![format!("{family} {{ import all; export where source = RTS_STATIC; }};")],
    };
    format!("{}{session}", bird::preamble(PEER))
}

/// The endpoint's inside address.
pub const PEER: &str = "169.254.10.1";
/// Ours.
pub const OURS: &str = "169.254.10.2";
/// The endpoint's inside address of IPv6.
pub const PEER_V6: &str = "fd00:10::1";
/// Ours.
pub const OURS_V6: &str = "fd00:10::2";
/// Tunnels, sessions and routes take seconds on a machine that is busy.
pub const SOON: Duration = Duration::from_secs(40);
