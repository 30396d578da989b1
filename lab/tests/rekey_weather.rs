//! Rekeys in bad weather: 5 % of all packets lost, 5 % overtaking, 1 % twice, up to 100 ms late. Each ends in one child
//! pair that both ends have.
//!
//! `GOTTHARD_REKEYS_WEATHER=1000` asks for so many with each peer; `GOTTHARD_LAB_SEED` replays a weather.

use core::time::Duration;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};
use gotthard_lab::pair::rekey::{Kind, Starter};
use gotthard_lab::pair::{End, Plan};
use gotthard_lab::relay::Weather;
use gotthard_lab::run::{number, say};
use gotthard_lab::{Run, scenarios};

scenarios!(
    every_rekey_in_foul_weather_ends_in_one_child_pair_with_strongswan,
    every_rekey_in_foul_weather_ends_in_one_child_pair_between_two_of_ours
);

fn every_rekey_in_foul_weather_ends_in_one_child_pair_with_strongswan(run: &Run) -> Result<()> {
    rekeys_in_foul_weather(run, [OURS, End::Strongswan])
}

fn every_rekey_in_foul_weather_ends_in_one_child_pair_between_two_of_ours(run: &Run) -> Result<()> {
    rekeys_in_foul_weather(run, [OURS, OURS])
}

/// On several pairs at once: most of a rekey in such weather is waiting.
fn rekeys_in_foul_weather(run: &Run, ends: [End; 2]) -> Result<()> {
    let count = number("GOTTHARD_REKEYS_WEATHER", 20)?;
    let plan = Plan::new("foul", ends).theirs("rekey_time = 0").their_child("rekey_time = 0");
    let plan = plan.through(Weather::FOUL);
    let plans: Vec<_> = (0..LANES).map(|number| plan.clone().lane(number.into())).collect();
    thread::scope(|scope| {
        let lanes: Vec<_> =
            plans.iter().map(|plan| scope.spawn(|| lane(run, plan, count.div_ceil(LANES)))).collect();
        let joined = lanes.into_iter().map(|lane| lane.join().map_err(|_| anyhow!("panicked"))?);
        joined.collect::<Result<Vec<_>>>().map(drop)
    })
}

/// From one end, from the other, from both at once, in turn.
fn lane(run: &Run, plan: &Plan, count: u32) -> Result<()> {
    let mut pair = plan.start(run)?;
    let starters = [Starter::Side(0), Starter::Side(1), Starter::Both];
    let mut agreed = pair.await_agreed(DEADLINE)?;
    let mut longest = Duration::ZERO;
    for (number, starter) in (0..count).zip(starters.into_iter().cycle()) {
        let start = Instant::now();
        agreed = match pair.rekey(agreed, Kind::Child, starter, DEADLINE) {
            Ok(agreed) => agreed,
            Err(error) => {
                let (name, ledger) = (pair.name.clone(), pair.ledger()?);
                let weather = pair.end_relay()?;
                return Err(error.context(format!("{name}: after {number} rekeys; {weather:?}\n{ledger}")));
            }
        };
        longest = longest.max(start.elapsed());
    }
    let (carried, collisions) = (pair.ping(100)?, pair.collisions()?);
    let weather = pair.end_relay()?.context("a relay")?;
    say(&format!(
        "lab: {}: {count} of {count} rekeys, {collisions} collisions, the longest took {:.1} s; {carried} of 100 pings \
         answered; {weather:?}",
        pair.name,
        longest.as_secs_f32()
    ));
    ensure!(carried > 50, "the tunnel does not carry");
    ensure!(weather.lost > 0 && weather.hurried > 0, "the weather was fair");
    Ok(())
}

/// Pairs at once.
const LANES: u32 = 4;
const OURS: End = End::Gotthard(None);
const DEADLINE: Duration = Duration::from_mins(1);
