//! A file that a cloud hands out, imported beside the side of the cloud that the same file describes.

use core::time::Duration;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use gotthard_lab::cloud::Described;
use gotthard_lab::cloud::described::{End, Running};
use gotthard_lab::gotthard::{FILE, binary, write_secret};
use gotthard_lab::site::{OUTSIDE, Site};
use gotthard_lab::strongswan::posture;
use gotthard_lab::traffic::{await_ping, expect_ping};
use gotthard_lab::{Gotthard, Run, Suite, run};

/// A file of a cloud, and how it is imported.
pub(crate) struct Handed {
    /// Its cloud, and the files in their order.
    pub(crate) cloud: &'static str,
    pub(crate) files: &'static [&'static str],
    /// What is answered beside it.
    pub(crate) answers: &'static [&'static str],
    /// What stands before a key in the first file, and behind it.
    pub(crate) key: (&'static str, char),
    pub(crate) says: Described,
}

impl Handed {
    pub(crate) fn printed_and_written(&self) -> run::Outcome {
        self.printed()?;
        self.written()
    }

    pub(crate) fn printed(&self) -> run::Outcome {
        self.comes_up("printed", |handed, run, site, folder| {
            let text = handed.import(site, &[])?;
            write_secret(&folder.join(FILE), &text)?;
            Gotthard::start_there(run, &site.gateway, GATEWAY, "info")
        })
    }

    /// Into a folder that has nothing.
    pub(crate) fn written(&self) -> run::Outcome {
        self.comes_up("written", Self::write)
    }

    /// Written once the keys are in the files that the printed connection names.
    pub(crate) fn written_beside_its_keys(&self) -> run::Outcome {
        self.comes_up("written", |handed, run, site, folder| {
            let printed = handed.import(site, &[])?;
            std::fs::create_dir(folder.join("conf.d"))?;
            for (file, key) in named(&printed, "psk_file").zip(handed.keys()?) {
                write_secret(&folder.join("conf.d").join(file), &key)?;
            }
            handed.write(run, site, folder)
        })
    }

    pub(crate) fn write(&self, run: &Run, site: &Site, folder: &Path) -> Result<Gotthard> {
        let file = folder.join(FILE);
        self.import(site, &["--apply", "--config", &file.to_string_lossy()])?;
        Gotthard::start_there(run, &site.gateway, GATEWAY, "info")
    }

    /// It comes up as `start` imports it into an empty folder and starts what came of it.
    pub(crate) fn comes_up(
        &self,
        how: &str,
        start: impl FnOnce(&Self, &Run, &Site, &Path) -> Result<Gotthard>,
    ) -> run::Outcome {
        let cloud = |run: &Run, site: &Site| self.says.start(run, site, &self.keys()?);
        self.comes_up_with(how, cloud, start)
    }

    /// The same with a cloud that is not started with the keys of the file.
    pub(crate) fn comes_up_with(
        &self,
        how: &str,
        cloud: impl FnOnce(&Run, &Site) -> Result<Running>,
        start: impl FnOnce(&Self, &Run, &Site, &Path) -> Result<Gotthard>,
    ) -> run::Outcome {
        let name = format!("import_{how}");
        let missing = self.paths().into_iter().find(|path| !path.exists());
        // A folder that is named has them.
        if let Some(missing) = missing.filter(|_| std::env::var_os("GOTTHARD_SHARED").is_none()) {
            return run::skip(&format!("{name}: there is no {}", missing.display()));
        }
        run::scenario(&name, Suite::Gcm, |run| {
            let site = Site::new()?;
            let cloud = cloud(run, &site)?;
            let folder = run.dir().join(GATEWAY);
            std::fs::create_dir(&folder)?;
            let gateway = start(self, run, &site, &folder)?;
            let file = folder.join(FILE);
            site.gateway
                .output(&binary()?.to_string_lossy(), &["check", "--config", &file.to_string_lossy()])?;
            self.carries_traffic(&site, &gateway)
                .with_context(|| gateway.ask(&["status"]).unwrap_or_default())?;
            cloud.charons.iter().try_for_each(|charon| charon.await_established(SOON).map(drop))
        })
    }

    /// Every tunnel of the file is up, and so is its session; each of them carries, and so does the connection.
    fn carries_traffic(&self, site: &Site, gateway: &Gotthard) -> Result<()> {
        let status = gateway.await_up(SOON)?;
        let (count, wanted) = (status.tunnels().count(), self.says.ends.len());
        ensure!(count == wanted, "{count} tunnels, and the file has {wanted}");
        if self.says.asns.is_some() {
            gateway.await_status(SOON, "all sessions to bring prefixes", |status| {
                status
                    .tunnels()
                    .all(|one| one.is_established() && one.bgp.as_ref().is_some_and(|bgp| bgp.received > 0))
            })?;
        }
        for end in self.says.ends.iter().filter(|end| !end.inside.is_empty()) {
            expect_ping(&site.gateway, end.inside.parse()?)?;
        }
        await_ping(&site.lan, self.says.host.0.parse()?, SOON)?;
        if let Some(v6) = self.says.inside6 {
            for link in v6.links {
                let (address, _) = link.split_once('/').context("a length of the link")?;
                expect_ping(&site.gateway, address.parse()?)?;
            }
            await_ping(&site.lan, v6.host.0.parse()?, SOON)?;
        }
        let outside = site.gateway.ip_output(&format!("addr show dev {OUTSIDE}"))?;
        ensure!(outside.contains(self.says.ours), "the gateway has lost its address: {outside}");
        Ok(())
    }

    pub(crate) fn import(&self, site: &Site, options: &[&str]) -> Result<String> {
        let files: Vec<String> = self.paths().iter().map(|path| path.display().to_string()).collect();
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let words = [&["import", self.cloud], files.as_slice(), self.answers, options].concat();
        site.gateway.output(&binary()?.to_string_lossy(), &words)
    }

    fn paths(&self) -> Vec<PathBuf> {
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../control/tests/import/files");
        let folder = |file: &str| if file.contains('/') { posture::shared() } else { ours.clone() };
        self.files.iter().map(|file| folder(file).join(file)).collect()
    }

    /// A key for each endpoint: as many as the file shows, and the last for the rest. Those of a file that shows none are known
    /// from elsewhere.
    pub(crate) fn keys(&self) -> Result<Vec<String>> {
        let text = std::fs::read_to_string(self.paths().first().context("a file")?)?;
        let parts = text.split(self.key.0).skip(1).filter_map(|part| part.split(self.key.1).next());
        let shown = parts.map(str::trim).filter(|key| !key.starts_with('*'));
        let keys: Vec<String> = shown.map(str::to_owned).collect();
        let Some(last) = keys.last() else { return Ok(posture::PSKS.map(str::to_owned).to_vec()) };
        Ok((0..self.says.ends.len()).map(|index| keys.get(index).unwrap_or(last).clone()).collect())
    }
}

/// The values of a key of the printed connection, in their order.
pub(crate) fn named<'a>(printed: &'a str, key: &str) -> impl Iterator<Item = &'a str> {
    let start = format!("{key} = \"");
    printed.lines().filter_map(move |line| line.strip_prefix(start.as_str())?.strip_suffix('"'))
}

pub(crate) const fn end(outer: &'static str, inside: &'static str, ours_inside: &'static str) -> End {
    End { outer, inside, ours_inside }
}

pub(crate) const GATEWAY: &str = "gotthard";
const SOON: Duration = Duration::from_mins(1);
