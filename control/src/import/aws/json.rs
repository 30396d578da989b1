//! `describe-vpn-connections`, and what Terraform keeps of `aws_vpn_connection`: the XML with what the tunnels are set to.

use gotthard_ike::codec::payload::id::Identity;
use serde_json::Value;

use super::super::Refused;
use super::super::found::{Found, FoundConnection};
use super::super::json::{Document, Object, prefixes};
use super::options::{self, TunnelOptions};
use super::xml;
use crate::config::model::Routing;

/// Reads every connection in the document, wherever it stands: a command's output, a state, an output of Terraform.
pub(super) fn read(text: &str) -> Result<Found, Refused> {
    let document = Document::parse(text, "JSON")?;
    let mut found = Found::default();
    walk(document.root(), &mut found)?;
    if found.connections.is_empty() {
        return Err(Refused::Unknown(KNOWN));
    }
    Ok(found)
}

fn walk(value: &Value, found: &mut Found) -> Result<(), Refused> {
    match value {
        Value::Array(values) => values.iter().try_for_each(|value| walk(value, found)),
        Value::Object(entries) => {
            let object = Object(entries);
            match object.text(&["CustomerGatewayConfiguration", "customer_gateway_configuration"]) {
                Some(text) => {
                    found.connections.push(described(object, xml::read(text)?)?);
                    Ok(())
                }
                None => entries.values().try_for_each(|value| walk(value, found)),
            }
        }
        Value::String(text) if text.contains("<vpn_connection") => {
            found.connections.push(xml::read(text)?);
            Ok(())
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// What stands beside the XML.
fn described(object: Object<'_>, mut found: FoundConnection) -> Result<FoundConnection, Refused> {
    if let Some(id) = object.text(&["VpnConnectionId", "id"]) {
        id.clone_into(&mut found.name);
    }
    let name = found.name.clone();
    found.unused = object.text(&["State"]).filter(|state| state.starts_with("delet")).map(str::to_owned);
    if let Some(label) = label(object) {
        found.remark(format!("its name in the console is {label}"));
    }
    let options = object.object(&["Options"]);
    if options.is_some_and(|options| options.is(&["StaticRoutesOnly"])) || object.is(&["static_routes_only"])
    {
        found.routing = Routing::Static;
    }
    let routes = object.list(&["Routes", "routes"]).iter().filter_map(Object::of);
    let in_use = routes.filter(|route| {
        route.text(&["State", "state"]).is_none_or(|state| state == "available" || state == "pending")
    });
    let cidrs = in_use.filter_map(|route| route.text(&["DestinationCidrBlock", "destination_cidr_block"]));
    found.remote = prefixes(&name, cidrs)?;
    if !found.remote.is_empty() {
        found.remark(ROUTES);
    }
    let listed = options.map_or(&[][..], |options| options.list(&["TunnelOptions"]));
    let mut tunnels = Vec::new();
    for option in listed.iter().filter_map(Object::of) {
        tunnels.extend(TunnelOptions::read(&name, option)?);
    }
    for number in [1, 2] {
        tunnels.extend(TunnelOptions::read_terraform(&name, object, number)?);
    }
    options::apply(&mut found, tunnels);
    authentication(object, &mut found);
    Ok(found)
}

/// Where the keys are that the file does not show.
fn authentication(object: Object<'_>, found: &mut FoundConnection) {
    if found.tunnels.iter().any(|tunnel| tunnel.psk.is_some()) {
        return;
    }
    let mut ends = object.list(&["VgwTelemetry", "vgw_telemetry"]).iter().filter_map(Object::of);
    found.certificates = ends.any(|end| end.text(&["CertificateArn", "certificate_arn"]).is_some());
    if found.certificates {
        found.remark(CERTIFICATES);
        let id = object.text(&["VpnConnectionId", "id"]).unwrap_or_default();
        for (number, tunnel) in found.tunnels.iter_mut().enumerate() {
            tunnel.peer_id = subject(id, number);
        }
        return;
    }
    let secret = object.text(&["PreSharedKeyArn", "pre_shared_key_arn", "preshared_key_arn"]);
    if let Some(secret) = secret.filter(|arn| arn.starts_with("arn:") && arn.chars().all(is_of_arn)) {
        found.remark(format!(
            "the keys are in Secrets Manager, by outside address: aws secretsmanager get-secret-value --secret-id '{secret}' \
             --query SecretString --output text"
        ));
    }
}

/// The subject of the certificate that AWS gives a tunnel's end; tunnels count from 0.
fn subject(connection: &str, tunnel: usize) -> Option<Identity> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if !connection.starts_with("vpn-") || connection.len() > MAX_ID || !connection.chars().all(plain) {
        return None;
    }
    format!("C=US, ST=WA, L=Seattle, O=Amazon.com, OU=AWS, CN={connection}.endpoint-{tunnel}").parse().ok()
}

/// Nothing that a shell would read in single quotes.
const fn is_of_arn(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, ':' | '/' | '_' | '+' | '=' | '.' | '@' | '!' | '-')
}

/// The tag `Name`.
fn label(object: Object<'_>) -> Option<&str> {
    let tags = object.list(&["Tags"]).iter().filter_map(Object::of);
    let tag = tags.filter(|tag| tag.text(&["Key"]) == Some("Name")).find_map(|tag| tag.text(&["Value"]));
    tag.or_else(|| object.object(&["tags"])?.text(&["Name"]))
}

const ROUTES: &str = "remote is what the connection's static routes list; by AWS's word those are the prefixes behind the \
     customer gateway, and the VPC's own are in no file: compare, and give the VPC's with --remote";
const CERTIFICATES: &str = "the tunnels' ends have certificates of AWS Private CA, whose subject by AWS's habit is peer_id. aws acm \
     export-certificate gives the one of the customer gateway and its chain, both for the file of cert, and its key for that of \
     key, once openssl pkey -in OLD -out NEW has taken its passphrase off; aws acm-pca get-certificate-authority-certificate \
     gives the authority for the file of ca";
const KNOWN: &str = "write the output of `aws ec2 describe-vpn-connections` or `terraform show -json` to it";
/// Characters of a connection's ID; AWS's have 21.
const MAX_ID: usize = 64;
