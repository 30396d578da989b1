//! Rekeys of a pair: told to either end or to both at once, and awaited until both ends agree on what is left.

use core::time::Duration;
use std::thread;

use anyhow::{Context, Result, anyhow};

use super::{Daemon, Pair};
use crate::status::Status;
use crate::strongswan::Sas;
use crate::{Gotthard, wait};

/// What is rekeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The child SA.
    Child,
    /// The IKE SA.
    Ike,
}

/// Which end is told to start, by its side; or both at the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Starter {
    /// 0: left, 1: right.
    Side(usize),
    /// Both: their requests cross.
    Both,
}

/// One IKE SA and one child SA, the same at both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// Initiator's and responder's SPI.
    pub ike: (u64, u64),
    /// The SPIs that left and right receive with.
    pub child: [u32; 2],
}

/// What one end has. Of its child SAs those that it sends with: the inbound half of one that was deleted lives on for
/// a grace, and is none of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Held {
    ike: Vec<(u64, u64)>,
    /// Inbound and outbound SPI.
    children: Vec<(u32, u32)>,
    /// It is in the middle of something.
    busy: bool,
}

impl Pair {
    /// Has an end or both rekey what both agree on, and waits until both agree on a new SA of that kind and on nothing
    /// else.
    pub fn rekey(&self, before: Agreed, kind: Kind, starter: Starter, deadline: Duration) -> Result<Agreed> {
        match starter {
            Starter::Side(side) => self.start_rekey(side, kind, before)?,
            Starter::Both => self.start_rekeys(kind, before)?,
        }
        self.await_agreed_that(
            deadline,
            &format!("{kind:?} to be rekeyed by {starter:?}"),
            |now| match kind {
                Kind::Child => now.child[0] != before.child[0] && now.child[1] != before.child[1],
                Kind::Ike => now.ike != before.ike,
            },
        )
    }

    /// Waits until both ends have one IKE SA and one child SA, the same.
    pub fn await_agreed(&self, deadline: Duration) -> Result<Agreed> {
        self.await_agreed_that(deadline, "both ends to agree", |_| true)
    }

    /// What both ends agree on, if they do.
    pub fn agreed(&self) -> Result<Option<Agreed>> {
        let [left, right] = self.held()?;
        Ok(agreement(&left, &right))
    }

    fn await_agreed_that(
        &self,
        deadline: Duration,
        what: &str,
        holds: impl Fn(&Agreed) -> bool,
    ) -> Result<Agreed> {
        let agreed = || Ok(self.agreed()?.filter(&holds));
        wait::until(deadline, what, agreed).with_context(|| match self.held() {
            Ok([left, right]) => format!("left has {left:x?}\nright has {right:x?}"),
            Err(error) => format!("{error:#}"),
        })
    }

    /// Tells one end.
    fn start_rekey(&self, side: usize, kind: Kind, before: Agreed) -> Result<()> {
        match (&self.daemons[side], kind) {
            (Daemon::Gotthard(gateway), Kind::Child) => gateway.rekey(1, &[]),
            (Daemon::Gotthard(gateway), Kind::Ike) => gateway.rekey(1, &["--ike"]),
            (Daemon::Strongswan(charon), Kind::Child) => charon.rekey_child_of(before.child[side]),
            (Daemon::Strongswan(charon), Kind::Ike) => charon.rekey_ike("pair"),
        }
    }

    /// Tells both at once.
    fn start_rekeys(&self, kind: Kind, before: Agreed) -> Result<()> {
        thread::scope(|scope| {
            let right = scope.spawn(|| self.start_rekey(1, kind, before));
            let left = self.start_rekey(0, kind, before);
            right.join().map_err(|_| anyhow!("panicked"))?.and(left)
        })
    }

    fn held(&self) -> Result<[Held; 2]> {
        let [left, right] = &self.daemons;
        Ok([left.held()?, right.held()?])
    }
}

impl Daemon {
    fn held(&self) -> Result<Held> {
        match self {
            Self::Gotthard(gateway) => ours(gateway),
            Self::Strongswan(charon) => theirs(&charon.sas()?),
        }
    }
}

fn ours(gateway: &Gotthard) -> Result<Held> {
    let Status { connections, .. } = gateway.status()?;
    let mut held = Held::default();
    for tunnel in connections.iter().flat_map(|connection| &connection.tunnels) {
        held.busy |= !tunnel.is_up();
        if let (Some(spi_i), Some(spi_r)) = (&tunnel.ike.spi_i, &tunnel.ike.spi_r) {
            held.ike.push((u64::from_str_radix(spi_i, 16)?, u64::from_str_radix(spi_r, 16)?));
        }
        if let (Some(spi_in), Some(spi_out)) = (&tunnel.esp.spi_in, &tunnel.esp.spi_out) {
            held.children.push((u32::from_str_radix(spi_in, 16)?, u32::from_str_radix(spi_out, 16)?));
        }
    }
    Ok(held)
}

fn theirs(sas: &Sas) -> Result<Held> {
    let mut held = Held::default();
    for sa in sas.ike() {
        held.busy |= sa.state != "ESTABLISHED";
        held.ike.push((u64::from_str_radix(&sa.spi_i, 16)?, u64::from_str_radix(&sa.spi_r, 16)?));
    }
    for child in sas.children().iter().filter(|child| child.state != "DELETED") {
        held.busy |= child.state != "INSTALLED";
        let outbound = u32::from_str_radix(&child.spi_out, 16).unwrap_or_default();
        held.children.push((u32::from_str_radix(&child.spi_in, 16)?, outbound));
    }
    Ok(held)
}

fn agreement(left: &Held, right: &Held) -> Option<Agreed> {
    let ([ike], [other_ike]) = (left.ike.as_slice(), right.ike.as_slice()) else { return None };
    let ([(left_in, left_out)], [(right_in, right_out)]) =
        (left.children.as_slice(), right.children.as_slice())
    else {
        return None;
    };
    let same = ike == other_ike && left_in == right_out && left_out == right_in;
    (same && !left.busy && !right.busy).then_some(Agreed { ike: *ike, child: [*left_in, *right_in] })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(ike: &[(u64, u64)], children: &[(u32, u32)]) -> Held {
        Held { ike: ike.to_vec(), children: children.to_vec(), busy: false }
    }

    #[test]
    fn two_ends_agree_when_each_has_one_of_a_kind_and_the_spis_cross() {
        let left = held(&[(1, 2)], &[(3, 4)]);
        let agreed = agreement(&left, &held(&[(1, 2)], &[(4, 3)]));
        assert_eq!(agreed, Some(Agreed { ike: (1, 2), child: [3, 4] }));
        for other in [
            held(&[(1, 2)], &[(3, 4)]),
            held(&[(2, 1)], &[(4, 3)]),
            held(&[(1, 2)], &[(4, 3), (6, 5)]),
            held(&[(1, 2), (5, 6)], &[(4, 3)]),
            held(&[(1, 2)], &[]),
            Held { busy: true, ..held(&[(1, 2)], &[(4, 3)]) },
        ] {
            assert_eq!(agreement(&left, &other), None, "{other:?}");
        }
    }
}
