//! The AWS posture with BGP, by a customer's gateway of strongSwan and BIRD: it does what AWS does.

use core::time::Duration;

use anyhow::{Result, ensure};
use gotthard_lab::cloud::Aws;
use gotthard_lab::cloud::aws::{CUSTOMER, MOST_PREFIXES, VPC_HOST};
use gotthard_lab::customer::{self, Customer};
use gotthard_lab::site::{CLOUD_HOST, Site};
use gotthard_lab::traffic::{await_ping, expect_ping};
use gotthard_lab::{Run, Suite, run, wait};

/// The suite of the tunnels is the customer's own: BGP does not see it.
fn scenario(name: &str, body: impl FnOnce(&Run) -> Result<()>) -> run::Outcome {
    run::scenario(name, Suite::Gcm, body)
}

#[test]
fn maintenance_moves_both_directions_and_a_killed_endpoint_comes_back() -> run::Outcome {
    scenario("maintenance", |run| {
        let site = Site::new()?;
        let mut aws = Aws::start(run, &site)?;
        let customer = Customer::start(run, &site)?;
        customer.await_prefixes(&site, UP)?;
        aws.await_established(UP)?;
        expect_ping(&site.lan, CLOUD_HOST)?;
        await_ping(&site.lan, VPC_HOST.parse()?, UP)?;

        for endpoint in [1, 0] {
            aws.prefer(endpoint)?;
            wait::until_true(UP, "the customer to follow the MED", || {
                Ok(customer::carries(&site.gateway)? == Some(endpoint))
            })?;
            expect_ping(&site.lan, CLOUD_HOST)?;
        }
        aws.kill(&site, 1)?;
        expect_ping(&site.lan, VPC_HOST.parse()?)?;
        ensure!(aws.carries()? == Some(0), "{}", aws.routes()?);
        aws.start_again(&site, 1)?;
        aws.await_established(RETURN)
    })
}

#[test]
fn a_customer_with_too_many_prefixes_loses_its_session() -> run::Outcome {
    scenario("too_many_prefixes", |run| {
        let site = Site::new()?;
        let aws = Aws::start(run, &site)?;
        let customer = Customer::start(run, &site)?;
        aws.await_established(UP)?;
        customer.announce(MOST_PREFIXES)?;
        wait::until_true(UP, "all prefixes to arrive", || {
            Ok(aws.birds[0].prefixes(CUSTOMER)?.len() == usize::try_from(MOST_PREFIXES)?)
        })?;
        customer.announce(MOST_PREFIXES + 1)?;
        wait::until_true(UP, "the session to end", || {
            Ok(aws.birds[0].state(CUSTOMER)?.contains("Route limit exceeded"))
        })
    })
}

const UP: Duration = Duration::from_secs(20);
/// A peer that has lost its state is noticed by dead peer detection: 10 s of silence, three requests 10 s apart.
const RETURN: Duration = Duration::from_secs(90);
