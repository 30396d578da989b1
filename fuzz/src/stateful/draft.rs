//! A message before it is sealed, and what a hostile or broken peer would do to it.

use gotthard_ike::codec::header::{Flags, Header};
use gotthard_ike::codec::iana::{ExchangeType, NotifyType, PayloadType};
use gotthard_ike::codec::payload::notify::Notify;
use gotthard_ike::codec::payload::unknown::Unknown;
use gotthard_ike::codec::payload::{GENERIC_HEADER_LEN, Payload, emit_chain};

use crate::script::Script;

/// A message that can still be changed.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) header: Header,
    /// The IKE SA that protects it, by its place among the peer's; `None` for a message in the clear.
    pub(super) sa: Option<usize>,
    pub(super) payloads: Vec<Raw>,
    /// Longest datagram: what is longer is sent in fragments.
    pub(super) fragment_len: Option<usize>,
}

/// A payload as octets, whatever they mean.
#[derive(Clone, Debug)]
pub(super) struct Raw {
    kind: PayloadType,
    critical: bool,
    body: Vec<u8>,
}

impl From<&Payload<'_>> for Raw {
    fn from(payload: &Payload<'_>) -> Self {
        let mut chain = Vec::new();
        let kind = emit_chain(core::slice::from_ref(payload), &mut chain);
        Self { kind, critical: false, body: chain.split_off(GENERIC_HEADER_LEN) }
    }
}

impl Draft {
    pub(super) fn new(header: Header, sa: Option<usize>, payloads: &[Payload<'_>]) -> Self {
        Self { header, sa, payloads: payloads.iter().map(Raw::from).collect(), fragment_len: None }
    }

    pub(super) fn push(&mut self, payload: &Payload<'_>) {
        self.payloads.push(payload.into());
    }

    /// The payloads as the codec takes them: it emits them as they are.
    pub(super) fn as_payloads(&self) -> Vec<Payload<'_>> {
        let unknown = self.payloads.iter().map(|Raw { kind, critical, body }| Unknown {
            kind: *kind,
            critical: *critical,
            body,
        });
        unknown.map(Payload::Unknown).collect()
    }

    /// Changes the message as the script says: up to seven changes, none where the next octet is 0.
    pub(super) fn mutate(&mut self, script: &mut Script<'_>) {
        for _ in 0..script.octet() % 8 {
            match script.octet() % 4 {
                0 => self.mutate_order(script),
                1 => self.mutate_payload(script),
                2 => self.mutate_header(script),
                _ => self.fragment_len = Some(usize::from(script.u16())),
            }
        }
    }

    /// Drops, doubles or moves a payload.
    fn mutate_order(&mut self, script: &mut Script<'_>) {
        let len = self.payloads.len();
        let (how, here, there) = (script.octet(), script.place(len), script.place(len));
        if len == 0 {
            return;
        }
        match how % 4 {
            0 => drop(self.payloads.remove(here)),
            1 => self.payloads.insert(there, self.payloads[here].clone()),
            2 => self.payloads.swap(here, there),
            _ => self.payloads.reverse(),
        }
    }

    /// Writes over a payload's octets, or adds a payload of the script's own.
    fn mutate_payload(&mut self, script: &mut Script<'_>) {
        let (how, here) = (script.octet(), script.place(self.payloads.len()));
        match (how % 4, self.payloads.get_mut(here)) {
            (0, Some(raw)) => {
                let (at, value) = (script.place(raw.body.len()), script.octet());
                raw.body.iter_mut().skip(at).take(1).for_each(|octet| *octet = value);
            }
            (1, Some(raw)) => raw.body = script.octets().to_vec(),
            (2, _) => {
                let kind = NotifyType(script.u16());
                let notify = Payload::Notify(Notify::new(kind, script.octets()));
                self.payloads.insert(here, Raw::from(&notify));
            }
            _ => {
                let kind = PayloadType(script.octet());
                let (critical, body) = (script.octet() & 1 != 0, script.octets().to_vec());
                self.payloads.insert(here, Raw { kind, critical, body });
            }
        }
    }

    fn mutate_header(&mut self, script: &mut Script<'_>) {
        let (how, value) = (script.octet(), script.octet());
        let header = &mut self.header;
        match how % 6 {
            0 => header.message_id = header.message_id.wrapping_add_signed(i32::from(value.cast_signed())),
            1 => header.flags = Flags::from_octet(header.flags.to_octet() ^ value),
            2 => header.exchange = ExchangeType(value),
            3 => header.spi_i ^= u64::from(value),
            4 => header.spi_r ^= u64::from(value),
            _ => (header.major, header.minor) = (value >> 4, value & 0x0f),
        }
    }
}
