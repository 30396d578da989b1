//! Rekeys over a path of 576 octets that drops what is larger without a word. The values of group 16 alone take 512 of
//! them: requests and responses go in fragments of IKE (RFC 7383).

use core::time::Duration;

use anyhow::{Context, Result, ensure};
use gotthard_lab::pair::rekey::{Kind, Starter};
use gotthard_lab::pair::{End, Plan};
use gotthard_lab::relay::Weather;
use gotthard_lab::run::say;
use gotthard_lab::{Run, scenarios};

scenarios!(
    rekeys_larger_than_the_path_go_in_fragments_with_strongswan,
    rekeys_larger_than_the_path_go_in_fragments_between_two_of_ours
);

fn rekeys_larger_than_the_path_go_in_fragments_with_strongswan(run: &Run) -> Result<()> {
    rekeys_over_a_narrow_path(run, [OURS, End::Strongswan])
}

fn rekeys_larger_than_the_path_go_in_fragments_between_two_of_ours(run: &Run) -> Result<()> {
    rekeys_over_a_narrow_path(run, [OURS, OURS])
}

fn rekeys_over_a_narrow_path(run: &Run, ends: [End; 2]) -> Result<()> {
    let plan = Plan::new("narrow", ends).theirs("rekey_time = 0").their_child("rekey_time = 0");
    let plan = plan.esp(&format!("{}-modp4096", run.suite.esp_name()));
    let mut pair = plan.through(Weather { largest: 576, ..Weather::FAIR }).start(run)?;
    let mut agreed = pair.await_agreed(SOON)?;
    for starter in [Starter::Side(0), Starter::Side(1), Starter::Both] {
        agreed = pair.rekey(agreed, Kind::Child, starter, SOON)?;
    }
    let carried = pair.ping(20)?;
    let path = pair.end_relay()?.context("a relay")?;
    say(&format!("lab: narrow, {}: {carried} of 20 pings answered; {path:?}", run.suite.word()));
    ensure!(carried == 20, "the tunnel does not carry");
    ensure!(path.too_large > 0, "everything fitted at once");
    Ok(())
}

const OURS: End = End::Gotthard(None);
const SOON: Duration = Duration::from_secs(30);
