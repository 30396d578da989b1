//! `gotthard capture`: what Wireshark reads in it, with the keys of `gotthard keys export` and without.

use core::time::Duration;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use gotthard_lab::gotthard::{CONNECTION, Config};
use gotthard_lab::process::{Process, Signal};
use gotthard_lab::site::{CLOUD_HOST, Site};
use gotthard_lab::traffic::{expect_ping, ping};
use gotthard_lab::{Gotthard, Netns, Run, Suite, scenarios, wait};

scenarios!(what_crosses_a_tunnel_is_read_by_wireshark_inside_and_outside);

fn what_crosses_a_tunnel_is_read_by_wireshark_inside_and_outside(run: &Run) -> Result<()> {
    let site = Site::new()?;
    let _aws = site.aws(run)?;
    let config = Config { reveals_keys: true, ..Config::aws(run.suite) };
    let gateway = Gotthard::start(run, &site.gateway, "gotthard", &config)?;
    let active = gateway.await_up(SOON)?.active()? + 1;
    expect_ping(&site.lan, CLOUD_HOST)?;

    let inner = captured(run, &gateway, active, "inner", || ping(&site.lan, CLOUD_HOST, 5, None).map(drop))?;
    let host = &site.gateway;
    let echoes = tshark(host, &inner, &["-Y", "icmp && ip.addr == 10.200.0.1"], None)?;
    ensure!(echoes.lines().count() >= 10, "five echoes and their replies are not in:\n{echoes}");

    let outer = captured(run, &gateway, active, "outer", || ping(&site.lan, CLOUD_HOST, 5, None).map(drop))?;
    let sealed = tshark(host, &outer, &["-Y", "icmp"], None)?;
    ensure!(sealed.is_empty(), "in clear: {sealed}");
    let profile = run.dir().join("profile");
    let exported = gateway.ask_in(&site.gateway, &["keys", "export", &profile.display().to_string()])?;
    ensure!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    let opened = tshark(host, &outer, &["-Y", "icmp && ip.addr == 10.200.0.1"], Some(&profile))?;
    ensure!(opened.lines().count() >= 10, "five echoes and their replies are not in:\n{opened}");
    if run.suite == Suite::Cbc {
        return Ok(());
    }
    it_ends_by_itself(run, &site, &gateway, active)?;
    what_a_tunnel_drops_that_is_not_up_has_its_reason(run, &site, &gateway, 3 - active)
}

/// After so many packets, on standard output too; or after so long, though nothing crosses.
fn it_ends_by_itself(run: &Run, site: &Site, gateway: &Gotthard, active: usize) -> Result<()> {
    let tunnel = format!("{CONNECTION}/{active}");
    let mut counted = gateway.command()?;
    counted.args(["capture", &tunnel, "--count", "3", "--write", "-"]);
    let (mut counted, output) = Process::spawn_with_output(&mut counted, "counted", run.dir())?;
    wait::until_true(SOON, "the capture to begin", || Ok(output.metadata()?.len() > 0))?;
    expect_ping(&site.lan, CLOUD_HOST)?;
    counted.success(SOON)?;
    let packets = tshark(&site.gateway, &output, &[], None)?;
    ensure!(packets.lines().count() == 3, "three packets were asked for:\n{packets}");

    let file = run.dir().join("timed.pcapng");
    let mut timed = gateway.command()?;
    timed.args(["capture", &tunnel, "--for", "500ms", "--write"]).arg(&file);
    Process::spawn(&mut timed, "timed", run.dir())?.success(SOON)?;
    tshark(&site.gateway, &file, &[], None).map(drop)
}

fn what_a_tunnel_drops_that_is_not_up_has_its_reason(
    run: &Run,
    site: &Site,
    gateway: &Gotthard,
    tunnel: usize,
) -> Result<()> {
    let device = gateway.status()?.tunnel(tunnel - 1)?.interface.clone();
    gateway.ask(&["down", &format!("{CONNECTION}/{tunnel}")])?;
    gateway.await_status(SOON, "the tunnel to be down", |status| {
        status.tunnel(tunnel - 1).is_ok_and(|tunnel| tunnel.esp.state == "down")
    })?;
    let host = &site.gateway;
    let file = captured(run, gateway, tunnel, "inner", || {
        let mut ping = host.command("ping");
        let to = CLOUD_HOST.to_string();
        let output = ping.args(["-n", "-c", "2", "-i", "0.2", "-W", "1", "-I", &device, &to]).output()?;
        ensure!(output.status.code() == Some(1), "somebody answers: {output:?}");
        Ok(())
    })?;
    let dropped =
        tshark(host, &file, &["-Y", "ip.dst == 10.200.0.1 && frame.comment contains \"no_sa\""], None)?;
    ensure!(dropped.lines().count() == 2, "two echoes with the reason are not in:\n{dropped}");
    Ok(())
}

/// Captures one layer of a tunnel while something happens.
fn captured(
    run: &Run,
    gateway: &Gotthard,
    tunnel: usize,
    layer: &str,
    happens: impl FnOnce() -> Result<()>,
) -> Result<PathBuf> {
    let file = run.dir().join(format!("{tunnel}-{layer}.pcapng"));
    let mut capture = gateway.command()?;
    capture.args(["capture", &format!("{CONNECTION}/{tunnel}"), &format!("--{layer}")]);
    capture.arg("--write").arg(&file);
    let mut capture = Process::spawn(&mut capture, layer, run.dir())?;
    // Its head is written when the daemon has begun.
    wait::until_true(SOON, "the capture to begin", || Ok(file.metadata().is_ok_and(|file| file.len() > 0)))?;
    happens()?;
    capture.signal(Signal::INT)?;
    capture.success(SOON)?;
    Ok(file)
}

/// What tshark prints of a capture, with the keys of a profile where there is one.
fn tshark(host: &Netns, file: &Path, options: &[&str], profile: Option<&Path>) -> Result<String> {
    let file = file.display().to_string();
    let read = [&["tshark", "-n", "-r", file.as_str()], options].concat();
    let Some(profile) = profile else { return host.output("env", &read) };
    let profile = format!("WIRESHARK_CONFIG_DIR={}", profile.display());
    let decoding = ["-o", "esp.enable_encryption_decode:TRUE"];
    host.output("env", &[&[profile.as_str()], read.as_slice(), &decoding].concat())
}

const SOON: Duration = Duration::from_secs(20);
