//! `gotthard doctor` on a host that works, and on the same host with one thing after another broken on purpose.

use core::time::Duration;

use anyhow::{Context, Result, ensure};
use gotthard_lab::gotthard::{Config, FILE, binary, write_secret};
use gotthard_lab::site::Site;
use gotthard_lab::strongswan::posture;
use gotthard_lab::{Gotthard, Netns, Run, scenarios};
use serde_json::Value;

scenarios!(
    gcm:
    what_is_broken_on_a_host_is_named_with_its_fix,
    who_has_our_ports_is_named_before_the_daemon_starts,
    what_a_gateway_lacks_behind_a_translator_is_named,
);

fn what_is_broken_on_a_host_is_named_with_its_fix(run: &Run) -> Result<()> {
    let site = Site::new()?;
    let _aws = site.aws(run)?;
    let config = Config::aws(run.suite);
    let gateway = Gotthard::start(run, &site.gateway, "gotthard", &config)?;
    gateway.await_up(SOON)?;
    let host = &site.gateway;
    let doctor = Doctor { host, gateway: &gateway };

    let report = doctor.examine()?;
    for check in
        ["forwarding", "ports", "other-ipsec", "nat", "outer-mtu", "black-hole", "overlaps", "open-files"]
    {
        report.expect(check, "ok")?;
    }
    ensure!(report.0["healthy"] == true, "{report:?}");

    host.sysctl("net.ipv4.ip_forward=0")?;
    doctor.finds("forwarding", "problem", "net.ipv4.ip_forward=1")?;
    host.sysctl("net.ipv4.ip_forward=1")?;

    // The larger of the two counts: neither of `all` nor of the device may be what the host of the test has.
    host.sysctl("net.ipv4.conf.all.rp_filter=0")?;
    host.sysctl("net.ipv4.conf.gth0.rp_filter=1")?;
    doctor.finds("reverse-path", "problem", "net.ipv4.conf.all.rp_filter=2")?;
    drop_in_mends_it(run, &doctor)?;
    doctor.examine()?.expect("reverse-path", "ok")?;

    // All passes: the rule that lets it does not say so in words that can be understood.
    let rules = "add table inet filter; \
                 add chain inet filter output { type filter hook output priority 0; policy drop; }; \
                 add rule inet filter output meta mark 0 accept";
    host.output("nft", &[rules])?;
    doctor.finds("firewall", "warning", "UDP 500 and 4500")?;
    host.output("nft", &["delete", "table", "inet", "filter"])?;

    // Our own link is as wide as before, and the next one no longer.
    site.wan.ip("link set bridge mtu 1300")?;
    let narrow = doctor.examine()?;
    let found = narrow.message("outer-mtu")?;
    let measured = ["1297", "1298", "1299", "1300"].iter().any(|octets| found.contains(octets));
    ensure!(measured, "a way of 1300 octets is said to be: {found}");
    narrow.expect("black-hole", "problem")
}

/// The file that `--fix` writes is what the kernel's own program takes.
fn drop_in_mends_it(run: &Run, doctor: &Doctor<'_>) -> Result<()> {
    let file = run.dir().join("sysctl.d").join("90-gotthard.conf");
    let (_, shown) = doctor.run(&["--fix", "--drop-in", &file.display().to_string()])?;
    let text = std::fs::read_to_string(&file)?;
    ensure!(shown.contains(&text), "the file was not shown before it was written: {shown}");
    doctor.host.output("sysctl", &["-q", "-p", &file.display().to_string()]).map(drop)
}

fn who_has_our_ports_is_named_before_the_daemon_starts(run: &Run) -> Result<()> {
    let site = Site::new()?;
    let gateway = Gotthard::start(run, &site.gateway, "gotthard", &Config::aws(run.suite))?;
    gateway.await_running(SOON)?;
    // In the endpoint's namespace strongSwan has the ports.
    let _aws = site.aws(run)?;
    let doctor = Doctor { host: &site.endpoints[0], gateway: &gateway };
    let report = doctor.examine()?;
    report.expect("ports", "problem")?;
    report.expect("other-ipsec", "problem")?;
    let message = report.message("ports")?;
    ensure!(message.contains("charon"), "{message}");
    Ok(())
}

/// All at once, because each examination takes its time: a translator, flows told apart by addresses, a prefix of the cloud's that
/// is ours, a unit that permits few files, and sockets whose buffers are the kernel's to grant.
fn what_a_gateway_lacks_behind_a_translator_is_named(run: &Run) -> Result<()> {
    let site = Site::behind_nat()?;
    let _aws = site.aws(run)?;
    let mut config =
        Config { local: "192.168.77.2".to_owned(), ..Config::aws(run.suite) }.with("ecmp = true");
    config.gateway =
        ["multipath_hash = \"keep\"", "advertise = [\"10.200.7.0/24\"]"].map(str::to_owned).into();
    for tunnel in &mut config.tunnels {
        tunnel.options.push(format!("local_id = \"{}\"", posture::CUSTOMER_GATEWAY));
    }
    site.gateway.sysctl("net.ipv4.fib_multipath_hash_policy=0")?;
    let gateway = Gotthard::start(run, &site.gateway, "gotthard", &config)?;
    gateway.await_up(SOON)?;
    // The daemon goes on in UDP: what is wrong with the file is told before it is taken.
    config.encapsulation = "esp";
    let file = run.dir().join("gotthard").join(FILE);
    write_secret(&file, &config.render()?)?;
    site.gateway.output("prlimit", &["--pid", &gateway.process.pid().to_string(), "--nofile=140:140"])?;

    let report = Doctor { host: &site.gateway, gateway: &gateway }.examine()?;
    report.finds("multipath-hash", "warning", "net.ipv4.fib_multipath_hash_policy=1")?;
    report.finds("open-files", "problem", "LimitNOFILE=")?;
    report.finds("overlaps", "problem", "GTH-RTE-16")?;
    report.finds("nat", "problem", "remove `encapsulation = \"esp\"`")?;
    let granted: usize = std::fs::read_to_string("/proc/sys/net/core/rmem_max")?.trim().parse()?;
    if granted >= WANTED {
        return Ok(());
    }
    // As root, and without the capability by which a socket gets what it asks for.
    let mut doctor = site.gateway.command("setpriv");
    doctor.args(["--bounding-set", "-net_admin"]).arg(binary()?);
    doctor.args(["doctor", "--output", "json", "--config"]).arg(&file);
    doctor.env("GOTTHARD_SOCKET", run.dir().join("gotthard").join("control.sock"));
    let output = doctor.output()?;
    let report = serde_json::from_slice(&output.stdout);
    let report = Report(report.with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?);
    report.finds("socket-buffers", "warning", &format!("net.core.rmem_max={WANTED}"))
}

/// The command, in a host that need not be the daemon's.
struct Doctor<'a> {
    host: &'a Netns,
    gateway: &'a Gotthard,
}

impl Doctor<'_> {
    /// What it prints: the report on standard output, all else on standard error.
    fn run(&self, options: &[&str]) -> Result<(String, String)> {
        let output = self.gateway.ask_in(self.host, &[&["doctor"], options].concat())?;
        let [stdout, stderr] =
            [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
        ensure!(matches!(output.status.code(), Some(0 | 1)), "{}: {stderr}", output.status);
        Ok((stdout, stderr))
    }

    fn examine(&self) -> Result<Report> {
        let (report, _) = self.run(&["--output", "json"])?;
        Ok(Report(serde_json::from_str(&report)?))
    }

    /// Examines, and expects this verdict of a check, with these words in its message or fix.
    fn finds(&self, check: &str, verdict: &str, words: &str) -> Result<()> {
        self.examine()?.finds(check, verdict, words)
    }
}

#[derive(Debug)]
struct Report(Value);

impl Report {
    fn of(&self, check: &str) -> Result<&Value> {
        let checks = self.0["checks"].as_array().context("checks")?;
        checks.iter().find(|one| one["check"] == check).with_context(|| format!("no check {check}"))
    }

    fn expect(&self, check: &str, verdict: &str) -> Result<()> {
        let found = self.of(check)?;
        ensure!(found["verdict"] == verdict, "{verdict} was expected: {found}");
        Ok(())
    }

    /// This verdict of a check, with these words in its message or fix.
    fn finds(&self, check: &str, verdict: &str, words: &str) -> Result<()> {
        self.expect(check, verdict)?;
        let found = self.of(check)?;
        let said = [&found["message"], &found["fix"]].map(|text| text.as_str().unwrap_or_default());
        ensure!(said.iter().any(|text| text.contains(words)), "{said:?}");
        Ok(())
    }

    fn message(&self, check: &str) -> Result<&str> {
        self.of(check)?["message"].as_str().context("a message")
    }
}

/// Octets that a socket of the packet path asks for.
const WANTED: usize = 8 << 20;
const SOON: Duration = Duration::from_secs(20);
