//! `gotthard import`, from the file of a cloud to traffic: the cloud's side has the addresses, keys and AS numbers of the same
//! file, read out of it by their surroundings, and the gateway runs what is printed or written, with no edit.
//!
//! Files are ours (of the import's own tests) and, where the folder is there, those that users have published.

use core::time::Duration;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use gotthard_lab::cloud::Described;
use gotthard_lab::cloud::described::End;
use gotthard_lab::gotthard::{FILE, binary, write_secret};
use gotthard_lab::site::{OUTSIDE, Site};
use gotthard_lab::strongswan::posture;
use gotthard_lab::traffic::{await_ping, expect_ping};
use gotthard_lab::{Gotthard, Run, Suite, run};

/// A file of a cloud, and how it is imported.
struct Handed {
    /// Its cloud, and the files in their order.
    cloud: &'static str,
    files: &'static [&'static str],
    /// What is answered beside it.
    answers: &'static [&'static str],
    /// What stands before a key in the first file, and behind it.
    key: (&'static str, char),
    says: Described,
}

#[test]
fn of_aws_as_it_is_described_by_bgp() -> run::Outcome {
    Handed { key: PUBLISHED_XML_KEY, says: PUBLISHED_BGP, answers: LAN, ..PUBLISHED }.printed_and_written()
}

#[test]
fn of_aws_as_it_is_described_with_static_routes() -> run::Outcome {
    let says = Described {
        ours: "1.1.1.1",
        ends: const {
            &[
                end("3.13.210.90", "169.254.58.233", "169.254.58.234/30"),
                end("18.221.157.90", "169.254.58.221", "169.254.58.222/30"),
            ]
        },
        asns: None,
        host: ("19.168.0.1", "19.168.0.0/16"),
        ..PUBLISHED_BGP
    };
    let files = &["samples/aws/batfish__describe-vpn-connections__vgw-static-NoBGP.json"];
    Handed { files, says, ..PUBLISHED }.printed()
}

#[test]
fn of_aws_as_generic_text() -> run::Outcome {
    let says = Described {
        ours: "54.255.135.113",
        ends: const {
            &[
                end("13.209.231.134", "169.254.191.153", "169.254.191.154/30"),
                end("15.164.154.116", "169.254.213.201", "169.254.213.202/30"),
            ]
        },
        asns: None,
        ..PUBLISHED_BGP
    };
    let files = &["samples/aws/cloudneta.github.io__generic-text__ikev1-static-2020.txt"];
    Handed { files, key: GENERIC_KEY, answers: VPC, says, ..PUBLISHED }.printed()
}

#[test]
fn of_aws_as_vyos_text() -> run::Outcome {
    let says = Described {
        ours: "52.76.100.41",
        ends: const {
            &[
                end("15.164.80.217", "169.254.70.181", "169.254.70.182/30"),
                end("52.78.188.212", "169.254.50.253", "169.254.50.254/30"),
            ]
        },
        asns: Some((64512, 65000)),
        ..PUBLISHED_BGP
    };
    let files = &["samples/aws/cloudneta.github.io__vyatta-vyos-text__bgp-2020.txt"];
    Handed { files, key: ("pre-shared-secret '", '\''), answers: LAN, says, ..PUBLISHED }
        .printed_and_written()
}

/// Both of its tunnels end at one address: the one that is taken comes up.
#[test]
fn of_aws_inside_a_page_of_prose() -> run::Outcome {
    let says = Described {
        ours: posture::CUSTOMER_GATEWAY,
        ends: const { &[end("72.21.209.193", "169.254.255.1", "169.254.255.2/30")] },
        asns: Some((7224, 65010)),
        ..PUBLISHED_BGP
    };
    let files = &["samples/aws/aws-network-admin-guide__generic-bgp.md"];
    let answers = &["--asn", "65010", "--advertise", "10.10.0.0/16"];
    Handed { files, key: GENERIC_KEY, answers, says, ..PUBLISHED }.printed()
}

#[test]
fn of_an_azure_hub() -> run::Outcome {
    let says = Described {
        ours: "73.239.3.208",
        ends: const { &[end("104.45.18.186", "", ""), end("104.45.13.195", "", "")] },
        host: ("10.2.0.1", "10.2.0.0/16"),
        ..AZURE
    };
    let files = &["samples/azure/azure-docs__virtual-wan-vpn-device-config-download__2018.json"];
    Handed { cloud: "azure", files, key: ("\"PSK\":\"", '"'), says, ..PUBLISHED }.printed_and_written()
}

#[test]
fn of_an_azure_connection_whose_endpoints_are_told() -> run::Outcome {
    let says = Described {
        ours: posture::CUSTOMER_GATEWAY,
        ends: const { &[end("198.51.100.21", "", ""), end("198.51.100.22", "", "")] },
        ..AZURE
    };
    let files = &["samples/azure/azure-rest-api-specs__VirtualNetworkGatewayConnectionGet__2021-08-01.json"];
    let answers = &["--peer", "198.51.100.21", "--peer", "198.51.100.22", "--remote", "10.200.0.0/16"];
    Handed { cloud: "azure", files, key: ("\"sharedKey\": \"", '"'), answers, says }.printed()
}

#[test]
fn of_an_azure_connection_as_text_for_a_device() -> run::Outcome {
    let says = Described {
        ours: posture::CUSTOMER_GATEWAY,
        ends: const { &[end("198.51.100.21", "", ""), end("198.51.100.22", "", "")] },
        host: ("10.31.0.1", "10.31.0.0/16"),
        ..AZURE
    };
    let key = ("Pre-shared key:", '\n');
    Handed { cloud: "azure", files: &["azure-device.txt"], key, answers: &[], says }.printed()
}

#[test]
fn of_aws_for_strongswan_and_libreswan() -> run::Outcome {
    let says = Described { ours: posture::CUSTOMER_GATEWAY, ends: &OURS, asns: None, ..PUBLISHED_BGP };
    let files = &["aws-strongswan.txt"];
    Handed { cloud: "aws", files, key: ("PSK \"", '"'), answers: VPC, says }.printed()?;
    let ends = const { &[end("198.51.100.11", "", ""), end("198.51.100.12", "", "")] };
    let says = Described { ends, ..says };
    Handed { cloud: "aws", files: &["aws-libreswan.txt"], key: ("PSK \"", '"'), answers: &[], says }.printed()
}

#[test]
fn of_a_transit_gateway_as_xml() -> run::Outcome {
    let asns = Some((64512, 65010));
    let says = Described { ours: posture::CUSTOMER_GATEWAY, ends: &OURS, asns, ..PUBLISHED_BGP };
    Handed { cloud: "aws", files: &["aws.xml"], key: PUBLISHED_XML_KEY, answers: LAN, says }.written()
}

/// Each instance has a session with the one BGP address that the local network gateway has.
#[test]
fn of_an_azure_gateway_with_two_instances() -> run::Outcome {
    let says = Described {
        ours: posture::CUSTOMER_GATEWAY,
        ends: const {
            &[
                end("198.51.100.21", "169.254.21.1", "10.10.255.1/32"),
                end("198.51.100.22", "10.30.0.5", "10.10.255.1/32"),
            ]
        },
        asns: Some((65515, 65010)),
        policy: Some(("aes256-sha256-modp2048", "aes256gcm16")),
        ..PUBLISHED_BGP
    };
    let files = &["azure-connection.json", "azure-gateway.json", "azure-local.json"];
    Handed { cloud: "azure", files, key: ("\"sharedKey\": \"", '"'), answers: &[], says }
        .printed_and_written()
}

/// Google shows a shared secret once: the one that the files do not have is put where the quick start says.
#[test]
fn of_google_with_a_key_that_is_put_beside_it() -> run::Outcome {
    let says = Described {
        ours: posture::CUSTOMER_GATEWAY,
        ends: const {
            &[
                end("198.51.100.31", "169.254.0.1", "169.254.0.2/30"),
                end("198.51.100.32", "169.254.1.1", "169.254.1.2/30"),
            ]
        },
        asns: Some((64514, 65010)),
        policy: Some(("aes256gcm16-prfsha256-ecp256", "aes256gcm16-ecp256")),
        ..PUBLISHED_BGP
    };
    let key = ("\"sharedSecret\": \"", '"');
    let handed = Handed { cloud: "gcp", files: &["gcp.json"], key, answers: LAN, says };
    handed.comes_up("written", |handed, run, site, folder| {
        std::fs::create_dir(folder.join("conf.d"))?;
        write_secret(&folder.join("conf.d/ha-vpn-2.psk"), &handed.keys()?[1])?;
        handed.write(run, site, folder)
    })
}

impl Handed {
    fn printed_and_written(&self) -> run::Outcome {
        self.printed()?;
        self.written()
    }

    fn printed(&self) -> run::Outcome {
        self.comes_up("printed", |handed, run, site, folder| {
            let text = handed.import(site, &[])?;
            write_secret(&folder.join(FILE), &text)?;
            Gotthard::start_there(run, &site.gateway, GATEWAY, "info")
        })
    }

    /// Into a folder that has nothing.
    fn written(&self) -> run::Outcome {
        self.comes_up("written", Self::write)
    }

    fn write(&self, run: &Run, site: &Site, folder: &Path) -> Result<Gotthard> {
        let file = folder.join(FILE);
        self.import(site, &["--apply", "--config", &file.to_string_lossy()])?;
        Gotthard::start_there(run, &site.gateway, GATEWAY, "info")
    }

    fn comes_up(
        &self,
        how: &str,
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
            let cloud = self.says.start(run, &site, &self.keys()?)?;
            let folder = run.dir().join(GATEWAY);
            std::fs::create_dir(&folder)?;
            let gateway = start(self, run, &site, &folder)?;
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
        let outside = site.gateway.ip_output(&format!("addr show dev {OUTSIDE}"))?;
        ensure!(outside.contains(self.says.ours), "the gateway has lost its address: {outside}");
        Ok(())
    }

    fn import(&self, site: &Site, options: &[&str]) -> Result<String> {
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

    /// A key for each endpoint: as many as the file shows, and the last for the rest.
    fn keys(&self) -> Result<Vec<String>> {
        let text = std::fs::read_to_string(self.paths().first().context("a file")?)?;
        let parts = text.split(self.key.0).skip(1).filter_map(|part| part.split(self.key.1).next());
        let shown = parts.map(str::trim).filter(|key| !key.starts_with('*'));
        let keys: Vec<String> = shown.map(str::to_owned).collect();
        let last = keys.last().context("a key in the file")?;
        Ok((0..self.says.ends.len()).map(|index| keys.get(index).unwrap_or(last).clone()).collect())
    }
}

const fn end(outer: &'static str, inside: &'static str, ours_inside: &'static str) -> End {
    End { outer, inside, ours_inside }
}

/// What a user of AWS has published, and which others differ from in parts.
const PUBLISHED: Handed = Handed {
    cloud: "aws",
    files: &["samples/aws/batfish__describe-vpn-connections__vgw-bgp.json"],
    answers: &[],
    key: PUBLISHED_XML_KEY,
    says: PUBLISHED_BGP,
};
const PUBLISHED_BGP: Described = Described {
    ours: "147.75.69.27",
    ends: const {
        &[
            end("52.27.166.152", "169.254.15.193", "169.254.15.194/30"),
            end("52.39.121.126", "169.254.13.237", "169.254.13.238/30"),
        ]
    },
    asns: Some((65401, 65301)),
    policy: None,
    host: ("10.200.0.1", "10.200.0.0/16"),
};
/// A gateway of Azure's that its user has given the policy which the import asks for; without BGP.
const AZURE: Described = Described {
    asns: None,
    policy: Some(("aes256gcm16-prfsha384-ecp256", "aes256gcm16-ecp256")),
    ..PUBLISHED_BGP
};
/// Of the files of our own.
const OURS: [End; 2] = [
    end("198.51.100.11", "169.254.10.1", "169.254.10.2/30"),
    end("198.51.100.12", "169.254.11.1", "169.254.11.2/30"),
];
const PUBLISHED_XML_KEY: (&str, char) = ("<pre_shared_key>", '<');
const GENERIC_KEY: (&str, char) = ("- Pre-Shared Key           :", '\n');
/// What no file of a cloud's says: the network behind us, and the one behind the cloud.
const LAN: &[&str] = &["--advertise", "10.10.0.0/16"];
const VPC: &[&str] = &["--remote", "10.200.0.0/16"];
const GATEWAY: &str = "gotthard";
const SOON: Duration = Duration::from_mins(1);
