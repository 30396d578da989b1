//! A peer with the kernel's ESP: raw IP packets, extended sequence numbers, a replay window that is not ours.

use core::time::Duration;

use anyhow::{Context, Result, ensure};
use gotthard_lab::capture::Capture;
use gotthard_lab::gotthard::{Config, Tunnel};
use gotthard_lab::run::{say, skip};
use gotthard_lab::site::OUTSIDE;
use gotthard_lab::strongswan::Connection;
use gotthard_lab::strongswan::kernel::KernelCharon;
use gotthard_lab::traffic::{EXPECT_PING, all_answered, expect_ping};
use gotthard_lab::uml::{Nic, Uml};
use gotthard_lab::{Gotthard, Netns, Run, pcap, scenarios, wait};
use serde_json::Value;

scenarios!(the_kernel_takes_and_sends_raw_esp_with_esn_through_rekeys_of_both_ends);

fn the_kernel_takes_and_sends_raw_esp_with_esn_through_rekeys_of_both_ends(run: &Run) -> Result<()> {
    if let Some(reason) = Uml::obstacle() {
        return skip(&reason);
    }
    let peered = Peered::start(run)?;
    let status = peered.gateway.await_up(SOON)?;
    let esp = &status.tunnel(0)?.esp;
    ensure!(esp.encapsulation.as_deref() == Some("esp") && esp.esn == Some(true), "{esp:?}");
    ensure!(peered.kernel.states()?.contains(" esn"), "{}", peered.kernel.states()?);
    let capture = Capture::start(run, &peered.host, OUTSIDE, "outside")?;
    peered.carries_traffic(run)?;

    for (what, esp, ike) in [("ours", 1, 1), ("the kernel's", 2, 2)] {
        let by_us = what == "ours";
        peered.rekey_child(by_us).and_then(|()| peered.await_rekeys(esp, ike - 1)).context(what)?;
        peered.rekey_ike(by_us).and_then(|()| peered.await_rekeys(esp, ike)).context(what)?;
        peered.carries_traffic(run).with_context(|| format!("after {what} rekeys"))?;
    }

    peered.kernel.expect_no_drop()?;
    let drops = peered.gateway.status()?.tunnel(0)?.esp.drops;
    ensure!(drops.replay == 0 && drops.icv == 0, "{drops:?}");
    let packets = capture.expect_no_inner_packet()?;
    ensure!(packets.iter().filter_map(pcap::Packet::ip).any(|ip| ip.protocol == pcap::ESP));
    Ok(())
}

/// Our gateway and a kernel with strongSwan, on one link.
struct Peered {
    host: Netns,
    gateway: Gotthard,
    kernel: KernelCharon,
}

impl Peered {
    fn start(run: &Run) -> Result<Self> {
        let host = Netns::new("gateway")?;
        host.ip(&format!("tuntap add dev {OUTSIDE} mode tap"))?;
        host.ip(&format!("link set {OUTSIDE} up"))?;
        host.address(&format!("{OURS}/24"), OUTSIDE)?;
        let nic = Nic { tap: OUTSIDE, address: &format!("{THEIRS}/24") };
        let inner = [format!("{PEER_INSIDE}/32")];
        let kernel =
            KernelCharon::start(run, &host, nic, &inner.each_ref().map(String::as_str), &connection(run))?;
        let gateway = Gotthard::start(run, &host, "gotthard", &config(run))?;
        Ok(Self { host, gateway, kernel })
    }

    fn rekey_child(&self, by_us: bool) -> Result<()> {
        if by_us { self.gateway.rekey(1, &[]) } else { self.kernel.rekey_installed_child() }
    }

    fn rekey_ike(&self, by_us: bool) -> Result<()> {
        if by_us { self.gateway.rekey(1, &["--ike"]) } else { self.kernel.rekey_ike("kernel") }
    }

    /// Waits until so many rekeys have happened and each end has one child.
    fn await_rekeys(&self, esp: u64, ike: u64) -> Result<()> {
        wait::until_true(SOON, format!("{esp} rekeys of the child and {ike} of the IKE SA"), || {
            let status = self.gateway.status()?;
            let tunnel = status.tunnel(0)?;
            let sas = self.kernel.sas()?;
            let counted = (tunnel.esp.rekeys, tunnel.ike.rekeys) == (esp, ike);
            Ok(counted && tunnel.is_up() && (sas.established(), sas.installed()) == (1, 1))
        })
    }

    /// Ping and a few megabytes, in both directions.
    fn carries_traffic(&self, run: &Run) -> Result<()> {
        expect_ping(&self.host, PEER_INSIDE.parse()?)?;
        let ping = EXPECT_PING.join(" ");
        all_answered(&self.kernel.shell(&format!("ping {ping} -I {PEER_INSIDE} {OUR_INSIDE}"))?)?;
        for direction in ["", "-R"] {
            // It goes to the background before it listens.
            self.kernel.shell(&format!(
                "iperf3 -s -1 -D -B {PEER_INSIDE}; until ss -Hltn 'sport = :5201' | grep -q .; do sleep 0.1; done"
            ))?;
            let client = ["-J", "--connect-timeout", "5000", "-n", OCTETS, "-w", WINDOW];
            let ends = ["-B", OUR_INSIDE, "-c", PEER_INSIDE];
            let direction = [direction].into_iter().filter(|word| !word.is_empty());
            let args: Vec<_> = client.into_iter().chain(ends).chain(direction).collect();
            let report: Value = serde_json::from_str(&self.host.output("iperf3", &args)?)?;
            let octets = report.pointer("/end/sum_received/bytes").and_then(Value::as_u64);
            let bits = report.pointer("/end/sum_received/bits_per_second").and_then(Value::as_f64);
            let (octets, bits) = octets.zip(bits).with_context(|| report.to_string())?;
            ensure!(octets >= LEAST, "{octets} octets of {OCTETS} arrived");
            say(&format!("lab: kernel ESP, {}: {octets} octets, {:.0} Mbit/s", run.suite.word(), bits / 1e6));
        }
        Ok(())
    }
}

fn config(run: &Run) -> Config {
    let tunnel = Tunnel {
        peer: THEIRS.to_owned(),
        inside: format!("{OUR_INSIDE}/30"),
        psk: PSK.to_owned(),
        options: Vec::new(),
    };
    Config {
        local: OURS.to_owned(),
        cloud: "generic".to_owned(),
        encapsulation: "esp",
        options: Vec::new(),
        tunnels: vec![tunnel],
        ..Config::aws(run.suite)
    }
}

fn connection(run: &Run) -> Connection {
    Connection {
        name: "kernel".to_owned(),
        local: THEIRS.to_owned(),
        remote: OURS.to_owned(),
        psk: PSK.to_owned(),
        ike: run.suite.ike().to_owned(),
        esp: format!("{}-esn", run.suite.esp()),
        local_ts: "0.0.0.0/0".to_owned(),
        remote_ts: "0.0.0.0/0".to_owned(),
        options: Vec::new(),
        child_options: Vec::new(),
    }
}

const SOON: Duration = Duration::from_secs(30);
const OURS: &str = "203.0.113.10";
const THEIRS: &str = "203.0.113.11";
const OUR_INSIDE: &str = "169.254.10.2";
const PEER_INSIDE: &str = "169.254.10.1";
const PSK: &str = "exampleTunnelOne_0123456789.abcd";
/// For iperf3.
const OCTETS: &str = "6M";
/// Of the sockets, for iperf3: what the sender has handed over and the receiver has not seen when the sender ends.
const WINDOW: &str = "256K";
/// What of it must arrive: all but what may be in both sockets then, which the kernel makes twice as large as asked for.
const LEAST: u64 = 5_000_000;
