//! Files as their users published them: in `GOTTHARD_SHARED`, else in `../shared` beside the workspace if that is there.

use std::path::PathBuf;

use gotthard::config::model::Routing;
use gotthard::import::{Answers, Found, Origin, read};

use super::skipped::skip;
use super::{config, ends};

/// The file's text; `None` where there is no folder, which is said. One that is named is there.
fn published(file: &str) -> Option<String> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");
    let named = std::env::var_os("GOTTHARD_SHARED").map(PathBuf::from);
    let folder = named.clone().unwrap_or_else(|| PathBuf::from(beside)).join("samples");
    if named.is_none() && !folder.exists() {
        skip(
            &format!("import of {file}"),
            "the folder of published files is not there; name it by GOTTHARD_SHARED",
        );
        return None;
    }
    Some(std::fs::read_to_string(folder.join(file)).unwrap())
}

fn found(origin: Origin, file: &str) -> Option<Found> {
    Some(read(origin, &[&published(file)?]).unwrap())
}

/// A tunnel's outside address, the peer's inside address and ours.
type Ends = (String, String, String);

/// Our address and the ends of the tunnels, of each connection.
fn described(found: &Found) -> Vec<(String, Vec<Ends>)> {
    found
        .connections
        .iter()
        .map(|one| (one.local.map(|a| a.to_string()).unwrap_or_default(), ends(one)))
        .collect()
}

fn tunnels(rows: &[(&str, &str, &str)]) -> Vec<Ends> {
    rows.iter().map(|(a, b, c)| ((*a).to_owned(), (*b).to_owned(), (*c).to_owned())).collect()
}

#[test]
fn of_aws_by_bgp() {
    for file in ["vgw-bgp", "tunneloptions-multi-alg"] {
        let Some(found) = found(Origin::Aws, &format!("aws/batfish__describe-vpn-connections__{file}.json"))
        else {
            return;
        };
        let both = tunnels(&[
            ("52.27.166.152", "169.254.15.193", "169.254.15.194/30"),
            ("52.39.121.126", "169.254.13.237", "169.254.13.238/30"),
        ]);
        for one in described(&found) {
            assert_eq!(one, ("147.75.69.27".to_owned(), both.clone()));
        }
        for one in &found.connections {
            assert_eq!((one.routing, one.asn), (Routing::Bgp, Some(65301)));
            assert!(one.tunnels.iter().all(|tunnel| tunnel.peer_asn == Some(65401)));
            assert!(
                one.tunnels.iter().all(|tunnel| tunnel.psk.as_ref().is_some_and(|psk| psk.0.len() == 32))
            );
        }
        if file == "vgw-bgp" {
            assert_eq!(found.connections.len(), 2);
            config(&found.answered(&Answers::default()).unwrap());
        } else {
            assert_eq!(found.connections[0].conflicts.len(), 2, "{:?}", found.connections[0].conflicts);
            found.answered(&Answers::default()).unwrap_err();
        }
    }
}

#[test]
fn of_aws_with_static_routes() {
    let Some(found) = found(Origin::Aws, "aws/batfish__describe-vpn-connections__vgw-static-NoBGP.json")
    else {
        return;
    };
    let both = tunnels(&[
        ("3.13.210.90", "169.254.58.233", "169.254.58.234/30"),
        ("18.221.157.90", "169.254.58.221", "169.254.58.222/30"),
    ]);
    assert_eq!(described(&found), [("1.1.1.1".to_owned(), both)]);
    let one = &found.connections[0];
    assert_eq!(
        (one.routing, one.remote.as_slice()),
        (Routing::Static, &["19.168.0.0/16".parse().unwrap()][..])
    );
    config(&found.answered(&Answers::default()).unwrap());
}

#[test]
fn of_aws_as_text() {
    let Some(generic) = found(Origin::Aws, "aws/cloudneta.github.io__generic-text__ikev1-static-2020.txt")
    else {
        return;
    };
    let both = tunnels(&[
        ("13.209.231.134", "169.254.191.153", "169.254.191.154/30"),
        ("15.164.154.116", "169.254.213.201", "169.254.213.202/30"),
    ]);
    assert_eq!(described(&generic), [("54.255.135.113".to_owned(), both)]);
    assert_eq!(generic.connections[0].name, "vpn-006dfdf3f4989c4df");
    config(&generic.answered(&super::remote("10.200.0.0/16")).unwrap());

    let vyos = found(Origin::Aws, "aws/cloudneta.github.io__vyatta-vyos-text__bgp-2020.txt").unwrap();
    let both = tunnels(&[
        ("15.164.80.217", "169.254.70.181", "169.254.70.182/30"),
        ("52.78.188.212", "169.254.50.253", "169.254.50.254/30"),
    ]);
    assert_eq!(described(&vyos), [("52.76.100.41".to_owned(), both)]);
    let one = &vyos.connections[0];
    assert_eq!((one.routing, one.asn, one.hold_time), (Routing::Bgp, Some(65000), Some(30)));
    assert!(one.tunnels.iter().all(|tunnel| tunnel.peer_asn == Some(64512)));
    config(&vyos.answered(&Answers::default()).unwrap());
}

#[test]
fn of_aws_inside_a_page_of_prose_whose_placeholders_are_no_values() {
    let Some(prose) = found(Origin::Aws, "aws/aws-network-admin-guide__generic-bgp.md") else { return };
    let both = tunnels(&[
        ("72.21.209.193", "169.254.255.1", "169.254.255.2/30"),
        ("72.21.209.193", "169.254.255.5", "169.254.255.6/30"),
    ]);
    assert_eq!(described(&prose), [(String::new(), both)]);
    assert_eq!((prose.connections[0].routing, prose.connections[0].asn), (Routing::Bgp, None));
    assert_eq!(prose.connections[0].missing().len(), 1, "our AS number is asked for");
    let answers = Answers { asn: Some(65010), ..Answers::default() };
    config(&prose.answered(&answers).unwrap());
}

#[test]
fn of_azure() {
    let Some(hub) =
        found(Origin::Azure, "azure/azure-docs__virtual-wan-vpn-device-config-download__2018.json")
    else {
        return;
    };
    let both = tunnels(&[("104.45.18.186", "", ""), ("104.45.13.195", "", "")]);
    assert_eq!(described(&hub), [("73.239.3.208".to_owned(), both)]);
    let one = &hub.connections[0];
    assert_eq!((one.name.as_str(), one.routing), ("testsite1", Routing::Static));
    let remote: Vec<_> = one.remote.iter().map(ToString::to_string).collect();
    assert_eq!(remote, ["10.1.0.0/24", "10.2.0.0/16", "10.3.0.0/16"]);
    assert_eq!(one.tunnels[0].psk, one.tunnels[1].psk);
    config(&hub.answered(&Answers::default()).unwrap());

    let file = "azure/azure-rest-api-specs__VirtualNetworkGatewayConnectionGet__2021-08-01.json";
    let connection = found(Origin::Azure, file).unwrap();
    let one = &connection.connections[0];
    assert_eq!((one.name.as_str(), one.routing, one.tunnels.len()), ("connS2S", Routing::Static, 0));
    assert!(
        one.psk.is_some() && one.remarks.iter().any(|remark| remark.contains("DH group is 2")),
        "{:?}",
        one.remarks
    );
    assert!(one.remarks.iter().any(|remark| remark.contains("30 s")), "{:?}", one.remarks);
    assert_eq!(one.missing().len(), 2, "the endpoints, and the prefixes behind them");
}
