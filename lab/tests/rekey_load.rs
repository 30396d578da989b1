//! Rekeys under load: numbered flows both ways, rekeys from both ends and from both at once, no packet lost or repeated.
//!
//! Short unless asked otherwise: `GOTTHARD_REKEYS=1000` against strongSwan, `GOTTHARD_REKEYS_OURS=10000` between two of
//! ours; a fifth of them are collisions, and a tenth as many rekeys of the IKE SA come on top. `GOTTHARD_REKEY_RATE`
//! sets the packets a second each way.

use core::time::Duration;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use gotthard_lab::flow::{Flow, Report};
use gotthard_lab::pair::rekey::{Agreed, Kind, Starter};
use gotthard_lab::pair::{End, Pair, Plan};
use gotthard_lab::relay::Weather;
use gotthard_lab::run::{number, say};
use gotthard_lab::{Run, scenarios};

scenarios!(
    no_packet_is_lost_over_rekeys_against_strongswan,
    no_packet_is_lost_over_rekeys_between_two_of_ours
);

fn no_packet_is_lost_over_rekeys_against_strongswan(run: &Run) -> Result<()> {
    let count = number("GOTTHARD_REKEYS", 40)?;
    rekeys_under_load(run, [OURS, End::Strongswan], count)
}

fn no_packet_is_lost_over_rekeys_between_two_of_ours(run: &Run) -> Result<()> {
    let count = number("GOTTHARD_REKEYS_OURS", 200)?;
    rekeys_under_load(run, [OURS, OURS], count)
}

/// Four fifths of the rekeys over a plain link, each from one end. The rest through a relay that holds the request of one
/// end until that of the other comes; those that it did not see cross are not counted.
fn rekeys_under_load(run: &Run, ends: [End; 2], count: u32) -> Result<()> {
    let plan = |name| Plan::new(name, ends).theirs("rekey_time = 0").their_child("rekey_time = 0");
    let mut plain = Loaded::start(run, &plan("plain"))?;
    for (number, side) in (0..count - count / 5).zip([0, 1].into_iter().cycle()) {
        plain.rekey(Kind::Child, Starter::Side(side))?;
        if number % 10 == 0 {
            plain.rekey(Kind::Ike, Starter::Side(side))?;
        }
    }
    plain.finish()?;
    let held = Weather { meeting: Duration::from_millis(400), ..Weather::FAIR };
    let mut crossing = Loaded::start(run, &plan("crossing").through(held))?;
    for (kind, wanted) in [(Kind::Child, count / 5), (Kind::Ike, count.div_ceil(50))] {
        let wanted = crossing.pair.collisions()? + wanted;
        let most = crossing.rekeys.len() + 2 * usize::try_from(wanted)? + 10;
        while crossing.pair.collisions()? < wanted {
            ensure!(crossing.rekeys.len() < most, "{} collisions", crossing.pair.collisions()?);
            crossing.rekey(kind, Starter::Both)?;
        }
    }
    say(&format!("lab: crossing: {} collisions", crossing.pair.collisions()?));
    crossing.finish()
}

/// A pair with numbered flows both ways.
struct Loaded {
    pair: Pair,
    agreed: Agreed,
    flows: [Flow; 2],
    start: Instant,
    /// When a rekey was asked for, and when both ends agreed on what it made.
    rekeys: Vec<(Kind, Starter, Instant, Instant)>,
}

impl Loaded {
    fn start(run: &Run, plan: &Plan) -> Result<Self> {
        let pair = plan.start(run)?;
        let agreed = pair.await_agreed(SOON)?;
        let flows = pair.flows(number("GOTTHARD_REKEY_RATE", RATE)?)?;
        Ok(Self { pair, agreed, flows, start: Instant::now(), rekeys: Vec::new() })
    }

    fn rekey(&mut self, kind: Kind, starter: Starter) -> Result<()> {
        let asked = Instant::now();
        let rekeyed = self.pair.rekey(self.agreed, kind, starter, SOON);
        self.agreed = rekeyed.with_context(|| format!("after {} rekeys", self.rekeys.len()))?;
        self.rekeys.push((kind, starter, asked, Instant::now()));
        Ok(())
    }

    fn finish(self) -> Result<()> {
        let Self { mut pair, flows, start, rekeys, .. } = self;
        let ike = rekeys.iter().filter(|(kind, ..)| *kind == Kind::Ike).count();
        say(&format!(
            "lab: {}: {} rekeys of the child and {ike} of the IKE SA in {:.0} s",
            pair.name,
            rekeys.len() - ike,
            start.elapsed().as_secs_f32()
        ));
        for (flow, direction) in flows.into_iter().zip(["from left to right", "from right to left"]) {
            let report = flow.finish()?;
            say(&format!(
                "lab:   {} packets {direction}, {} lost, {} repeated",
                report.sent,
                report.lost.len(),
                report.repeated.len()
            ));
            if let Err(error) = report.expect_whole(direction) {
                // The relay takes the devices with it that the ledger reads.
                let ledger = pair.ledger().unwrap_or_default();
                let relay = pair.end_relay();
                return Err(error.context(format!("{}\n{ledger}\n{relay:?}", near(&report, &rekeys))));
            }
        }
        Ok(())
    }
}

/// The losses beside the rekey that was the last to begin before them.
fn near(report: &Report, rekeys: &[(Kind, Starter, Instant, Instant)]) -> String {
    let moments = report.moments_of_loss(SHOWN).into_iter().map(|moment| {
        let last = rekeys.iter().rev().find(|(_, _, asked, _)| *asked <= moment);
        last.map_or_else(
            || "lost before the first rekey\n".to_owned(),
            |(kind, starter, asked, agreed)| {
                let (since, took) = (moment - *asked, *agreed - *asked);
                format!("lost {since:?} after a rekey of {kind:?} by {starter:?} that took {took:?}\n")
            },
        )
    });
    moments.collect()
}

const OURS: End = End::Gotthard(None);
const RATE: u32 = 2000;
const SHOWN: usize = 20;
const SOON: Duration = Duration::from_secs(20);
