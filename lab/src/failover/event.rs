//! What happens to the tunnel that carries the traffic.

use std::time::Instant;

use anyhow::{Result, bail};

use super::{Bed, Gateway, RETURN, Ways};
use crate::cloud::aws::CUSTOMER;
use crate::gotthard::CONNECTION;
use crate::outage::{self, Vanishes};
use crate::strongswan::posture;

/// What happens to the tunnel that carries the traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Its packets vanish, without a word.
    BlackHole(Vanishes),
    /// The endpoint deletes its IKE SA.
    Delete,
    /// The endpoint ends its BGP session with a NOTIFICATION: Cease, administrative shutdown.
    Cease,
    /// Its device at the gateway goes down.
    LinkDown,
    /// AWS's maintenance: the MED of the other endpoint is lowered; when the traffic has moved, the endpoint is killed and
    /// started again without any state.
    Maintenance,
    /// Our operator takes it down, and up again.
    Drain,
}

impl Event {
    /// True of what is announced, so that nothing need be lost.
    pub const fn is_planned(self) -> bool {
        match self {
            Self::Maintenance | Self::Drain => true,
            Self::BlackHole(_) | Self::Delete | Self::Cease | Self::LinkDown => false,
        }
    }

    /// Begins; the traffic is to move.
    pub(super) fn begin(self, bed: &mut Bed, tunnel: usize) -> Result<()> {
        match self {
            Self::BlackHole(vanishes) => outage::silence(&bed.site.wan, posture::ENDPOINTS[tunnel], vanishes),
            Self::Delete => bed.aws.charons[tunnel].terminate(&format!("tun{}", tunnel + 1)),
            Self::Cease => bed.aws.birds[tunnel].ask(&format!("disable {CUSTOMER}")).map(drop),
            Self::LinkDown => bed.link(tunnel, "down"),
            Self::Maintenance => bed.aws.prefer(1 - tunnel),
            Self::Drain => bed.command("down", tunnel),
        }
    }

    /// Ends, when the traffic has moved, and says since when the tunnel may come back.
    pub(super) fn end(self, bed: &mut Bed, tunnel: usize) -> Result<Instant> {
        if self == Self::Maintenance {
            bed.await_moved(tunnel, Ways::Both)?;
            bed.aws.kill(&bed.site, tunnel)?;
        }
        let ends = Instant::now();
        match self {
            Self::BlackHole(_) => outage::mend(&bed.site.wan)?,
            Self::Delete => {}
            Self::Cease => bed.aws.birds[tunnel].ask(&format!("enable {CUSTOMER}")).map(drop)?,
            Self::LinkDown => bed.link(tunnel, "up")?,
            Self::Maintenance => {
                bed.aws.start_again(&bed.site, tunnel)?;
                // Until then what the killed endpoint had announced may be as good as the other's.
                bed.aws.await_established(RETURN)?;
                bed.aws.prefer_neither()?;
            }
            Self::Drain => bed.command("up", tunnel)?,
        }
        Ok(ends)
    }
}

impl Bed {
    fn link(&self, tunnel: usize, state: &str) -> Result<()> {
        self.site.gateway.ip(&format!("link set {} {state}", self.devices()[tunnel]))
    }

    /// A command of our gateway about a tunnel. strongSwan and BIRD have none that covers both.
    fn command(&self, command: &str, tunnel: usize) -> Result<()> {
        let gateway = match &self.gateway {
            Gateway::Gotthard(gateway) | Gateway::Static(gateway) => gateway,
            Gateway::Customer(_) => bail!("only ours takes a tunnel down by one command"),
        };
        gateway.ask(&[command, &format!("{CONNECTION}/{}", tunnel + 1)]).map(drop)
    }
}
