//! Azure: the hub's download, and what `az` shows.

use gotthard::config::model::Routing;
use gotthard::import::{Answers, Origin, Refused, read};
use serde_json::{Value, json};

use super::{config, ends, keys, one};

const CONNECTION: &str = include_str!("files/azure-connection.json");
const GATEWAY: &str = include_str!("files/azure-gateway.json");
const LOCAL: &str = include_str!("files/azure-local.json");

#[test]
fn a_connection_with_both_its_gateways_is_whole() {
    let found = one(Origin::Azure, &[LOCAL, CONNECTION, GATEWAY]);
    assert_eq!((found.name.as_str(), found.routing, found.asn), ("site-to-azure", Routing::Bgp, Some(65010)));
    assert_eq!(found.advertise, ["10.10.0.0/16".parse().unwrap()]);
    let expected = [
        ("198.51.100.21", "169.254.21.1", "10.10.255.1/32"),
        ("198.51.100.22", "10.30.0.5", "10.10.255.1/32"),
    ];
    assert_eq!(ends(&found), expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned())));
    assert_eq!(found.suites, ["aes256-sha256-modp2048".parse().unwrap()]);
    assert_eq!(found.esp, ["aes256gcm16".parse().unwrap()], "no PFS");
    assert_eq!(keys(&found), [Some("abc123-example"); 2]);
}

#[test]
fn the_text_for_a_device_has_its_summary_with_and_without_bgp() {
    let text = include_str!("files/azure-device.txt");
    let found = one(Origin::Azure, &[text]);
    assert_eq!((found.name.as_str(), found.routing), ("site-to-azure", Routing::Static));
    assert_eq!(found.local, Some("203.0.113.10".parse().unwrap()));
    assert_eq!(found.remote, ["10.30.0.0/16".parse().unwrap(), "10.31.0.0/16".parse().unwrap()]);
    assert_eq!(found.advertise, ["10.10.0.0/16".parse().unwrap()]);
    assert_eq!(keys(&found), [Some("abc123-example"); 2]);
    assert!(found.remarks.iter().any(|remark| remark.contains("DH group is 2")), "{:?}", found.remarks);

    let by_bgp = text
        .replace("BGP:            False", "BGP:            True")
        .replace("VNG_ASN", "65515\n!     + Azure BGP IP 1: 10.30.0.4\n!     + Azure BGP IP 2: 10.30.0.5")
        .replace("LNG_ASN", "65010")
        .replace("LNG_BGPIP", "10.10.255.1")
        .replace("group:  2", "group:  14");
    let found = read(Origin::Azure, &[&by_bgp]).unwrap().answered(&Answers::default()).unwrap();
    let expected =
        [("198.51.100.21", "10.30.0.4", "10.10.255.1/32"), ("198.51.100.22", "10.30.0.5", "10.10.255.1/32")];
    let one = &found.connections[0];
    assert_eq!(ends(one), expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned())));
    assert_eq!((one.asn, one.tunnels[1].peer_asn, one.remarks.len()), (Some(65010), Some(65515), 0));
    assert_eq!(config(&found).connections[0].routing, Routing::Bgp);
    let old = text.replace("IKEv2\n", "IKEv1\n");
    assert!(read(Origin::Azure, &[&old]).unwrap().answered(&Answers::default()).is_err());
}

#[test]
fn a_connection_alone_asks_for_the_endpoints() {
    let found = read(Origin::Azure, &[CONNECTION]).unwrap();
    let missing = found.clone().answered(&Answers::default()).unwrap().connections[0].missing();
    assert!(matches!(
        missing[0],
        Refused::Missing { what: "the outer addresses of the cloud's endpoints", .. }
    ));
    let peers = vec!["198.51.100.21".parse().unwrap()];
    let found = found.answered(&Answers { peers, ..Answers::default() }).unwrap();
    assert_eq!(keys(&found.connections[0]), [Some("abc123-example")]);
}

#[test]
fn the_hubs_download_has_two_tunnels_and_with_bgp_their_sessions() {
    let text = |bgp: bool| {
        let mut hub = json!({
            "hubConfiguration": { "AddressSpace": "10.30.0.0/24", "Region": "West Europe", "ConnectedSubnets": ["10.31.0.0/16"] },
            "gatewayConfiguration": { "IpAddresses": { "Instance0": "198.51.100.21", "Instance1": "198.51.100.22" } },
            "connectionConfiguration": { "IsBgpEnabled": bgp, "PSK": "abc123-example",
                "IPsecParameters": { "SADataSizeInKilobytes": 102_400_000, "SALifeTimeInSeconds": 3600 } },
        });
        let mut site = json!({ "Name": "my site", "IPAddress": "203.0.113.10" });
        if bgp {
            site["BgpSetting"] = json!({ "Asn": 65010, "BgpPeeringAddress": "169.254.21.2" });
            let addresses = json!({ "Instance0": "169.254.21.1", "Instance1": "169.254.22.1" });
            hub["gatewayConfiguration"]["BgpSetting"] =
                json!({ "Asn": 65515, "BgpPeeringAddresses": addresses });
        }
        json!([{ "vpnSiteConfiguration": site, "vpnSiteConnections": [hub] }]).to_string()
    };
    let routed = read(Origin::Azure, &[&text(false)]).unwrap().answered(&Answers::default()).unwrap();
    let routed = config(&routed);
    assert_eq!(routed.connections[0].name, "my-site");
    assert_eq!(
        routed.connections[0].remote,
        ["10.30.0.0/24".parse().unwrap(), "10.31.0.0/16".parse().unwrap()]
    );
    let by_bgp = one(Origin::Azure, &[&text(true)]);
    assert_eq!((by_bgp.routing, by_bgp.asn), (Routing::Bgp, Some(65010)));
    assert_eq!(ends(&by_bgp)[1].1, "169.254.22.1");
    assert!(by_bgp.remarks.iter().any(|remark| remark.contains("DH group is 2")), "{:?}", by_bgp.remarks);
}

#[test]
fn what_azure_cannot_do_with_us_is_a_conflict() {
    let mut connection: Value = serde_json::from_str(CONNECTION).unwrap();
    connection["ipsecPolicies"][0]["dhGroup"] = json!("DHGroup2");
    connection["connectionProtocol"] = json!("IKEv1");
    let found = one(Origin::Azure, &[&connection.to_string(), GATEWAY]);
    let conflicts: Vec<_> = found.conflicts.iter().map(ToString::to_string).collect();
    assert_eq!(conflicts.len(), 2, "{conflicts:?}");
    assert!(conflicts[0].contains("IKEv2") && conflicts[1].contains("DHGroup2"), "{conflicts:?}");
}
