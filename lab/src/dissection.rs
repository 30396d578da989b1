//! A second opinion on our messages: Wireshark's dissectors read a capture, decrypted with the key file of the gateway
//! that sent it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};

use crate::process::command;
use crate::{Gotthard, Run, netns};

/// The IKE messages and the ESP packets of a capture.
#[derive(Debug)]
pub struct Dissection {
    messages: Vec<Message>,
    packets: Vec<EspPacket>,
}

/// An IKE message as Wireshark reads it.
#[derive(Clone, Debug)]
pub struct Message {
    /// The frame's number in the capture.
    pub frame: u32,
    /// Who sent it.
    pub source: IpAddr,
    /// What it is.
    pub kind: Kind,
    /// The types of its payloads, those inside of SK too where it was decrypted.
    pub payloads: Vec<u8>,
    /// True once all that was sealed is read.
    pub open: bool,
    /// What the dissector finds wrong with it.
    pub findings: String,
}

/// An exchange, and whose half of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The request of an exchange, by its number.
    Request(u8),
    /// The response.
    Response(u8),
}

/// An ESP packet as Wireshark reads it.
#[derive(Clone, Copy, Debug)]
struct EspPacket {
    frame: u32,
    source: IpAddr,
    /// `None`: there was no key to check it.
    authentic: Option<bool>,
}

impl Dissection {
    /// Dissects a capture with the keys that a gateway has written.
    pub fn new(run: &Run, capture: &Path, gateway: &Gotthard) -> Result<Self> {
        let profile = tempfile::Builder::new().prefix("wireshark-").tempdir_in(run.dir())?;
        let [ike, esp] = gateway.key_files();
        std::fs::copy(&ike, profile.path().join("ikev2_decryption_table")).context("the keys of IKE SAs")?;
        std::fs::copy(&esp, profile.path().join("esp_sa")).context("the keys of ESP SAs")?;
        let mut tshark = command("tshark");
        tshark.env("WIRESHARK_CONFIG_DIR", profile.path()).arg("-n").arg("-r").arg(capture);
        tshark.args(["-Y", "isakmp || esp", "-T", "fields", "-E", "occurrence=a", "-E", "aggregator=;"]);
        for preference in PREFERENCES {
            tshark.args(["-o", preference]);
        }
        for field in FIELDS {
            tshark.args(["-e", field]);
        }
        Self::parse(&netns::output(&mut tshark)?)
    }

    /// The messages that this address sent.
    pub fn messages_of(&self, source: IpAddr) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(move |message| message.source == source)
    }

    /// Fails unless everything of this address was decrypted and nothing of it is malformed, odd or not authentic.
    /// Returns how many messages and packets that were.
    pub fn expect_sound(&self, source: IpAddr) -> Result<(usize, usize)> {
        for message in self.messages_of(source) {
            ensure!(message.findings.is_empty(), "Wireshark objects: {message:?}");
            ensure!(message.open, "not decrypted: {message:?}");
        }
        let packets: Vec<_> = self.packets.iter().filter(|packet| packet.source == source).collect();
        for EspPacket { frame, authentic, .. } in &packets {
            ensure!(*authentic == Some(true), "the ICV of frame {frame} does not hold: {authentic:?}");
        }
        Ok((self.messages_of(source).count(), packets.len()))
    }

    /// Fails unless this address has sent a message of this kind that holds at least these payloads.
    pub fn expect_message(&self, source: IpAddr, kind: Kind, payloads: &[u8]) -> Result<()> {
        let holds = |message: &Message| payloads.iter().all(|wanted| message.payloads.contains(wanted));
        let mut of_the_kind = self.messages_of(source).filter(|message| message.kind == kind);
        if of_the_kind.any(holds) {
            return Ok(());
        }
        let mut seen = BTreeMap::<_, Vec<_>>::new();
        for message in self.messages_of(source) {
            seen.entry(message.kind).or_default().push(&message.payloads);
        }
        bail!("no {kind:?} with {payloads:?} from {source}, only {seen:?}")
    }

    fn parse(rows: &str) -> Result<Self> {
        let (mut messages, mut packets) = (Vec::new(), Vec::new());
        for row in rows.lines() {
            let values: Vec<_> = row.split('\t').collect();
            let values: [&str; FIELDS.len()] = values.try_into().ok().with_context(|| row.to_owned())?;
            let [frame, source, exchange, ..] = values;
            let place = (number(frame)?, first(source)?);
            if exchange.is_empty() {
                packets.push(esp_packet(place, &values));
            } else {
                messages.push(message(place, &values)?);
            }
        }
        Ok(Self { messages, packets })
    }
}

fn message((frame, source): (u32, IpAddr), values: &[&str; FIELDS.len()]) -> Result<Message> {
    let [_, _, exchange, flags, payloads, decrypted, severity, said, malformed, ..] = *values;
    let exchange = first(exchange)?;
    let flags = u8::from_str_radix(flags.trim_start_matches("0x"), 16)?;
    let payloads: Vec<u8> = payloads.split(';').map(number).collect::<Result<_>>()?;
    let sealed = payloads.iter().any(|payload| [payload::SK, payload::SKF].contains(payload));
    let mut findings = malformed.to_owned();
    for (severity, said) in severity.split(';').zip(said.split(';')) {
        if !severity.is_empty() && number::<u32>(severity)? >= WARNING {
            findings = format!("{findings} {said}");
        }
    }
    Ok(Message {
        frame,
        source,
        kind: if flags & RESPONSE == 0 { Kind::Request(exchange) } else { Kind::Response(exchange) },
        open: !sealed || !decrypted.is_empty(),
        payloads,
        findings,
    })
}

fn esp_packet((frame, source): (u32, IpAddr), values: &[&str; FIELDS.len()]) -> EspPacket {
    let [.., good, bad] = *values;
    let authentic = match (good, bad) {
        ("1", _) => Some(true),
        (_, "1") => Some(false),
        _ => None,
    };
    EspPacket { frame, source, authentic }
}

/// The first of several: what a decrypted packet holds repeats the fields of the packet itself.
fn first<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(values: &str) -> Result<T> {
    number(values.split(';').next().unwrap_or_default())
}

fn number<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(value: &str) -> Result<T> {
    value.parse().with_context(|| format!("{value:?} from tshark"))
}

/// Numbers of exchanges (RFC 7296 §3.1).
pub mod exchange {
    /// IKE_SA_INIT.
    pub const IKE_SA_INIT: u8 = 34;
    /// IKE_AUTH.
    pub const IKE_AUTH: u8 = 35;
    /// CREATE_CHILD_SA.
    pub const CREATE_CHILD_SA: u8 = 36;
    /// INFORMATIONAL.
    pub const INFORMATIONAL: u8 = 37;
}

/// Numbers of payloads (RFC 7296 §3.2).
pub mod payload {
    /// Security Association.
    pub const SA: u8 = 33;
    /// Key Exchange.
    pub const KE: u8 = 34;
    /// Identification of the initiator.
    pub const IDI: u8 = 35;
    /// Identification of the responder.
    pub const IDR: u8 = 36;
    /// Certificate.
    pub const CERT: u8 = 37;
    /// Authentication.
    pub const AUTH: u8 = 39;
    /// Nonce.
    pub const NONCE: u8 = 40;
    /// Notify.
    pub const NOTIFY: u8 = 41;
    /// Delete.
    pub const DELETE: u8 = 42;
    /// Traffic Selector of the initiator.
    pub const TSI: u8 = 44;
    /// Traffic Selector of the responder.
    pub const TSR: u8 = 45;
    /// Encrypted and Authenticated.
    pub const SK: u8 = 46;
    /// Encrypted and Authenticated Fragment (RFC 7383).
    pub const SKF: u8 = 53;
}

const FIELDS: [&str; 11] = [
    "frame.number",
    "ip.src",
    "isakmp.exchangetype",
    "isakmp.flags",
    "isakmp.typepayload",
    "isakmp.enc.decrypted",
    "_ws.expert.severity",
    "_ws.expert.message",
    "_ws.malformed",
    "esp.icv_good",
    "esp.icv_bad",
];
/// ESP sequence numbers are not looked at: the capture begins and ends where the scenario does.
const PREFERENCES: [&str; 3] = [
    "esp.enable_encryption_decode:TRUE",
    "esp.enable_authentication_check:TRUE",
    "esp.do_esp_sequence_analysis:FALSE",
];
/// The flag of a response (RFC 7296 §3.1).
const RESPONSE: u8 = 0x20;
/// Wireshark's `PI_WARN`.
const WARNING: u32 = 0x0060_0000;
