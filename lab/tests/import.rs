//! `gotthard import`, from the file of a cloud to traffic: the cloud's side has the addresses, keys and AS numbers of the same
//! file, read out of it by their surroundings, and the gateway runs what is printed or written, with no edit.
//!
//! Files are ours (of the import's own tests) and, where the folder is there, those that users have published.

mod handed;

use gotthard_lab::authority::{Authority, Kind};
use gotthard_lab::cloud::Described;
use gotthard_lab::cloud::described::{End, Inside6};
use gotthard_lab::gotthard::write_secret;
use gotthard_lab::site::Site;
use gotthard_lab::strongswan::posture;
use gotthard_lab::{Run, run};
use rcgen::DnType;

use crate::handed::{Handed, end, named};

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
    Handed { cloud: "gcp", files: &["gcp.json"], key, answers: LAN, says }.written_beside_its_keys()
}

/// The session stays on the IPv4 addresses, as AWS keeps them beside those of IPv6.
#[test]
fn of_aws_with_ipv6_inside() -> run::Outcome {
    let says = Described {
        inside6: Some(Inside6 {
            host: ("2001:db8:200::1", "2001:db8:200::/48"),
            links: &["fd00:10::1/126", "fd00:11::1/126"],
        }),
        ..AWS
    };
    let answers = &["--advertise", "10.10.0.0/16", "--advertise", "2001:db8:10::/48"];
    Handed { files: &["aws-ipv6.json"], answers, says, ..PUBLISHED }.printed_and_written()
}

#[test]
fn of_aws_with_ipv6_outside() -> run::Outcome {
    let says = Described {
        ours: "2001:db8:113::10",
        ends: const {
            &[
                end("2001:db8:51::11", "169.254.10.1", "169.254.10.2/30"),
                end("2001:db8:51::12", "169.254.11.1", "169.254.11.2/30"),
            ]
        },
        ..AWS
    };
    Handed { files: &["aws-ipv6-outside.xml"], answers: LAN, says, ..PUBLISHED }.printed_and_written()
}

/// The keys go to the files that the printed connection names, from where its remark says that they are.
#[test]
fn of_aws_with_keys_in_secrets_manager() -> run::Outcome {
    Handed { files: &["aws-secrets.json"], answers: LAN, says: AWS, ..PUBLISHED }.written_beside_its_keys()
}

/// The certificates go to the files that the printed connection names; their subjects are those that AWS gives.
#[test]
fn of_aws_with_certificates() -> run::Outcome {
    let says = Described { asns: None, ..AWS };
    let handed = Handed { files: &["aws-certificates.json"], answers: VPC, says, ..PUBLISHED };
    let of_amazon = [
        (DnType::CountryName, "US"),
        (DnType::StateOrProvinceName, "WA"),
        (DnType::LocalityName, "Seattle"),
        (DnType::OrganizationName, "Amazon.com"),
        (DnType::OrganizationalUnitName, "AWS"),
    ];
    let authority = Authority::new()?;
    let cloud = |run: &Run, site: &Site| {
        let issue = |end: u64| {
            let name = format!("vpn-0a1b2c3d4e5f60718.endpoint-{end}");
            authority.issue_below(&of_amazon, &name, end + 1, Kind::RsaPkcs1)
        };
        says.start_certified(run, site, &authority, &[issue(0)?, issue(1)?])
    };
    handed.comes_up_with("certified", cloud, |handed, run, site, folder| {
        let ours = authority.issue("gw.example.org", 9, Kind::RsaPkcs1)?;
        let printed = handed.import(site, &[])?;
        std::fs::create_dir(folder.join("conf.d"))?;
        for (key, text) in [
            ("cert", [ours.certificate, authority.issuing(), authority.root()].concat()),
            ("key", ours.key),
            ("ca", [authority.issuing(), authority.root()].concat()),
        ] {
            for file in named(&printed, key) {
                write_secret(&folder.join("conf.d").join(file), &text)?;
            }
        }
        handed.write(run, site, folder)
    })
}

/// A custom policy, and selectors of the prefixes of both sides, which ours are narrowed to.
#[test]
fn of_a_policy_based_azure_connection() -> run::Outcome {
    let says = Described {
        ours: posture::CUSTOMER_GATEWAY,
        ends: const { &[end("198.51.100.21", "", ""), end("198.51.100.22", "", "")] },
        policy: Some(("aes256gcm16-prfsha384-ecp384", "aes256-sha256-ecp384")),
        selected: Some("10.10.0.0/16"),
        ..AZURE
    };
    let files = &["azure-policy-based.json", "azure-gateway.json", "azure-local.json"];
    Handed { cloud: "azure", files, key: ("\"sharedKey\": \"", '"'), answers: VPC, says }
        .printed_and_written()
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
    inside6: None,
    selected: None,
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
const AWS: Described =
    Described { ours: posture::CUSTOMER_GATEWAY, ends: &OURS, asns: Some((64512, 65010)), ..PUBLISHED_BGP };
const PUBLISHED_XML_KEY: (&str, char) = ("<pre_shared_key>", '<');
const GENERIC_KEY: (&str, char) = ("- Pre-Shared Key           :", '\n');
/// What no file of a cloud's says: the network behind us, and the one behind the cloud.
const LAN: &[&str] = &["--advertise", "10.10.0.0/16"];
const VPC: &[&str] = &["--remote", "10.200.0.0/16"];
