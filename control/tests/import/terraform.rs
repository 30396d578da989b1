//! The Terraform example in `contrib/terraform/aws`: what it sets the tunnels to is what we offer, and what it hands out is read.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use gotthard::config::presets::Cloud;
use gotthard::import::Origin;
use hcl::eval::{Context, Evaluate as _};
use hcl::{Attribute, Block, Body, Value};
use serde_json::{Map, json};

use super::one;

#[test]
fn what_the_example_sets_the_tunnels_to_is_what_we_offer() {
    let body = example();
    let mut attributes = set_of_tunnels(&body);
    for (number, address) in [(1, "198.51.100.11"), (2, "198.51.100.12")] {
        // What a provider's state adds to what was set.
        attributes.insert(format!("tunnel{number}_address"), json!(address));
        for setting in SETTINGS {
            let key = format!("tunnel{number}_{setting}");
            assert!(attributes.contains_key(&key), "{key} is left to AWS");
        }
    }
    attributes.insert("customer_gateway_configuration".to_owned(), json!(include_str!("files/aws.xml")));
    let found = one(Origin::Aws, &[&json!({ "values": attributes }).to_string()]);
    assert!(found.suites.is_empty() && found.esp.is_empty(), "not our preset: {found:?}");
    let of_xml = one(Origin::Aws, &[include_str!("files/aws.xml")]);
    assert!(found.conflicts.is_empty() && found.remarks == of_xml.remarks, "{found:?}");

    let preset = Cloud::Aws.preset();
    for number in [1, 2] {
        let seconds = |key: &str| attributes[&format!("tunnel{number}_{key}")].as_u64().unwrap();
        assert_eq!(seconds("phase1_lifetime_seconds"), preset.lifetimes.ike.as_secs());
        assert_eq!(seconds("phase2_lifetime_seconds"), preset.lifetimes.child.as_secs());
        assert_eq!(seconds("replay_window_size"), u64::from(preset.peer_replay_window));
    }
}

#[test]
fn a_tunnel_of_the_example_that_allows_more_is_noticed() {
    let mut attributes = set_of_tunnels(&example());
    attributes.insert("tunnel1_address".to_owned(), json!("198.51.100.11"));
    attributes.insert("tunnel1_phase2_encryption_algorithms".to_owned(), json!(["AES256"]));
    attributes.insert("customer_gateway_configuration".to_owned(), json!(include_str!("files/aws.xml")));
    let found = one(Origin::Aws, &[&json!({ "values": attributes }).to_string()]);
    let esp: Vec<_> = found.esp.iter().map(ToString::to_string).collect();
    assert_eq!(esp, ["aes256-sha256-ecp256"]);
}

#[test]
fn the_output_that_import_reads_is_the_connections_and_is_not_shown() {
    let body = example();
    let output = labelled(&body, "output", "customer_gateway_configuration");
    let sensitive = attribute(output, "sensitive").expr().evaluate(&Context::new()).unwrap();
    assert_eq!(sensitive, Value::Bool(true));
    let value = attribute(output, "value").expr().to_string();
    assert!(value.contains("aws_vpn_connection.gotthard.customer_gateway_configuration"), "{value}");
}

#[test]
fn every_variable_that_is_used_is_declared_and_every_one_declared_is_used() {
    let declared: BTreeSet<_> = blocks(&example(), "variable").map(|block| label(block, 0)).collect();
    let text = text();
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '.');
    let used: BTreeSet<_> = words
        .filter_map(|word| word.strip_prefix("var."))
        .map(|name| name.split('.').next().unwrap().to_owned())
        .collect();
    assert_eq!(used, declared);
}

/// What `aws_vpn_connection` sets in its tunnels, evaluated.
fn set_of_tunnels(body: &Body) -> Map<String, serde_json::Value> {
    let mut context = Context::new();
    let mut locals = hcl::Map::new();
    for attribute in blocks(body, "locals").flat_map(|block| block.body().attributes()) {
        let value = attribute.expr().evaluate(&context).unwrap();
        locals.insert(attribute.key().to_owned(), value);
    }
    context.declare_var("local", Value::Object(locals));
    let connection = labelled(body, "resource", "aws_vpn_connection");
    let of_tunnels = connection.body().attributes().filter(|attribute| attribute.key().starts_with("tunnel"));
    let evaluated = of_tunnels.map(|attribute| {
        let value = attribute.expr().evaluate(&context).unwrap();
        (attribute.key().to_owned(), serde_json::to_value(value).unwrap())
    });
    evaluated.collect()
}

fn example() -> Body {
    hcl::parse(&text()).unwrap()
}

/// All files of the example, as Terraform puts them together.
fn text() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib/terraform/aws");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "tf"));
    files.map(|path| fs::read_to_string(path).unwrap()).collect::<Vec<_>>().join("\n")
}

fn blocks<'a>(body: &'a Body, kind: &'a str) -> impl Iterator<Item = &'a Block> {
    body.blocks().filter(move |block| block.identifier() == kind)
}

fn labelled<'a>(body: &'a Body, kind: &'a str, first: &str) -> &'a Block {
    blocks(body, kind).find(|block| label(block, 0) == first).unwrap()
}

fn label(block: &Block, number: usize) -> String {
    block.labels()[number].as_str().to_owned()
}

fn attribute<'a>(block: &'a Block, key: &str) -> &'a Attribute {
    block.body().attributes().find(|attribute| attribute.key() == key).unwrap()
}

/// What AWS would choose for us, and what it chooses would be more than one algorithm or another end's habits.
const SETTINGS: [&str; 13] = [
    "ike_versions",
    "phase1_encryption_algorithms",
    "phase1_integrity_algorithms",
    "phase1_dh_group_numbers",
    "phase1_lifetime_seconds",
    "phase2_encryption_algorithms",
    "phase2_integrity_algorithms",
    "phase2_dh_group_numbers",
    "phase2_lifetime_seconds",
    "startup_action",
    "dpd_timeout_action",
    "dpd_timeout_seconds",
    "replay_window_size",
];
