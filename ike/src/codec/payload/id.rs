//! Identification payload (RFC 7296 §3.5), and identities as people write them.

use core::fmt::{self, Write as _};
use core::str::FromStr;
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::dn;
use crate::codec::DecodeError;
use crate::codec::iana::IdType;
use crate::codec::reader::Reader;
use crate::codec::writer::Writer;

/// Identification payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identification<'a> {
    /// Who.
    pub identity: Identity,
    /// ID Type, RESERVED and data as on the wire: what AUTH covers (RFC 7296 §2.15), reserved octets and all.
    pub body: Cow<'a, [u8]>,
}

impl Identification<'static> {
    /// The payload that shows `identity`.
    pub fn new(identity: Identity) -> Self {
        let body = Cow::Owned(identity.payload_body());
        Self { identity, body }
    }
}

impl<'a> Identification<'a> {
    pub(super) fn parse(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut fields = *r;
        let body = Cow::Borrowed(r.rest());
        let kind = IdType(fields.u8()?);
        fields.skip(3)?; // RESERVED
        Ok(Self { identity: Identity::from_wire(kind, fields.rest()), body })
    }

    pub(super) fn emit(&self, w: &mut Writer<'_>) {
        w.bytes(&self.body);
    }
}

/// Who one end of an IKE SA is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// ID_IPV4_ADDR.
    Ipv4(Ipv4Addr),
    /// ID_IPV6_ADDR.
    Ipv6(Ipv6Addr),
    /// ID_FQDN.
    Fqdn(String),
    /// ID_RFC822_ADDR.
    Rfc822(String),
    /// ID_DER_ASN1_DN: a distinguished name in DER.
    Dn(Vec<u8>),
    /// ID_KEY_ID: octets that the two ends agreed on.
    KeyId(Vec<u8>),
    /// Another type, or data that is not of its type's form. Never equal to a configured identity.
    Other {
        /// ID Type.
        kind: IdType,
        /// Identification Data.
        data: Vec<u8>,
    },
}

impl Identity {
    /// ID Type.
    pub const fn kind(&self) -> IdType {
        match self {
            Self::Ipv4(_) => IdType::IPV4_ADDR,
            Self::Ipv6(_) => IdType::IPV6_ADDR,
            Self::Fqdn(_) => IdType::FQDN,
            Self::Rfc822(_) => IdType::RFC822_ADDR,
            Self::Dn(_) => IdType::DER_ASN1_DN,
            Self::KeyId(_) => IdType::KEY_ID,
            Self::Other { kind, .. } => *kind,
        }
    }

    /// ID Type, RESERVED and data: what AUTH covers when we show this identity.
    pub fn payload_body(&self) -> Vec<u8> {
        let mut body = Vec::new();
        let mut w = Writer::new(&mut body);
        w.u8(self.kind().0);
        w.zeros(3);
        match self {
            Self::Ipv4(address) => w.bytes(&address.octets()),
            Self::Ipv6(address) => w.bytes(&address.octets()),
            Self::Fqdn(name) | Self::Rfc822(name) => w.bytes(name.as_bytes()),
            Self::Dn(data) | Self::KeyId(data) | Self::Other { data, .. } => w.bytes(data),
        }
        body
    }

    /// Whether a peer that shows `shown` is this one. Names are compared without regard to case.
    pub fn matches(&self, shown: &Self) -> bool {
        match (self, shown) {
            (Self::Fqdn(ours), Self::Fqdn(theirs)) | (Self::Rfc822(ours), Self::Rfc822(theirs)) => {
                ours.eq_ignore_ascii_case(theirs)
            }
            (Self::Dn(ours), Self::Dn(theirs)) => dn::same(ours, theirs),
            (Self::Other { .. }, _) => false,
            _ => self == shown,
        }
    }

    fn from_wire(kind: IdType, data: &[u8]) -> Self {
        Self::known(kind, data).unwrap_or_else(|| Self::Other { kind, data: data.to_vec() })
    }

    fn known(kind: IdType, data: &[u8]) -> Option<Self> {
        let text = || core::str::from_utf8(data).ok().map(str::to_owned);
        match kind {
            IdType::IPV4_ADDR => <[u8; 4]>::try_from(data).ok().map(|octets| Self::Ipv4(octets.into())),
            IdType::IPV6_ADDR => <[u8; 16]>::try_from(data).ok().map(|octets| Self::Ipv6(octets.into())),
            IdType::FQDN => text().map(Self::Fqdn),
            IdType::RFC822_ADDR => text().map(Self::Rfc822),
            IdType::DER_ASN1_DN => Some(Self::Dn(data.to_vec())),
            IdType::KEY_ID => Some(Self::KeyId(data.to_vec())),
            _ => None,
        }
    }
}

impl From<IpAddr> for Identity {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::Ipv4(address),
            IpAddr::V6(address) => Self::Ipv6(address),
        }
    }
}

/// As in the configuration: an address, a name, `user@name`, `C=CH, CN=name`, `keyid:text`, `keyid:0xHEX`. What a peer
/// may choose freely is escaped, and cut where it is longer than any name.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipv4(address) => fmt::Display::fmt(address, f),
            Self::Ipv6(address) => fmt::Display::fmt(address, f),
            Self::Fqdn(name) | Self::Rfc822(name) if name.is_empty() => f.write_str("\"\""),
            Self::Fqdn(name) | Self::Rfc822(name) => {
                name.chars().take(MAX_SHOWN).try_for_each(|c| write!(f, "{}", c.escape_debug()))?;
                write_cut(f, name.chars().nth(MAX_SHOWN).is_some())
            }
            Self::Dn(data) => match dn::text(data) {
                Some(name) => {
                    name.chars().take(MAX_SHOWN).try_for_each(|c| f.write_char(c))?;
                    write_cut(f, name.chars().nth(MAX_SHOWN).is_some())
                }
                None => write_octets(f, "dn:", data),
            },
            Self::KeyId(data) => write_octets(f, "keyid:", data),
            Self::Other { kind, data } => write_octets(f, &format!("{kind}:"), data),
        }
    }
}

/// An identity that cannot be read from a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no identity: write an address, a name, user@name, C=…, CN=…, keyid:TEXT or keyid:0xHEX")]
pub struct InvalidIdentity(String);

impl FromStr for Identity {
    type Err = InvalidIdentity;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidIdentity(text.to_owned());
        if let Some(key) = text.strip_prefix("keyid:") {
            let octets = match key.strip_prefix("0x") {
                Some(hex) => octets_of_hex(hex).ok_or_else(invalid)?,
                None => key.as_bytes().to_vec(),
            };
            return if octets.is_empty() { Err(invalid()) } else { Ok(Self::KeyId(octets)) };
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(address.into());
        }
        if let Some(name) = dn::parse(text) {
            return Ok(Self::Dn(name));
        }
        // "@name" is how strongSwan's files force a name to be one.
        let (user, name) = text.split_once('@').map_or((None, text), |(user, name)| (Some(user), name));
        if !is_name(name) || user.is_some_and(|user| !user.chars().all(|c| c.is_ascii_graphic())) {
            return Err(invalid());
        }
        Ok(match user {
            None | Some("") => Self::Fqdn(name.to_owned()),
            Some(_) => Self::Rfc822(text.to_owned()),
        })
    }
}

/// Text where it is plain text, else hexadecimal.
fn write_octets(f: &mut fmt::Formatter<'_>, prefix: &str, octets: &[u8]) -> fmt::Result {
    f.write_str(prefix)?;
    let (octets, cut) =
        octets.split_at_checked(MAX_SHOWN).map_or((octets, false), |(head, rest)| (head, !rest.is_empty()));
    let plain = octets.iter().all(u8::is_ascii_graphic) && !octets.starts_with(b"0x");
    match core::str::from_utf8(octets) {
        Ok(text) if plain => f.write_str(text)?,
        _ => {
            f.write_str("0x")?;
            octets.iter().try_for_each(|octet| write!(f, "{octet:02x}"))?;
        }
    }
    write_cut(f, cut)
}

fn write_cut(f: &mut fmt::Formatter<'_>, cut: bool) -> fmt::Result {
    if cut { f.write_str("…") } else { Ok(()) }
}

fn octets_of_hex(hex: &str) -> Option<Vec<u8>> {
    let (pairs, []) = hex.as_bytes().as_chunks::<2>() else { return None };
    let digit = |octet: u8| char::from(octet).to_digit(16).and_then(|value| u8::try_from(value).ok());
    pairs.iter().map(|[high, low]| Some((digit(*high)? << 4) | digit(*low)?)).collect()
}

/// Letters, digits, dots, hyphens and underscores. Digits and dots alone are a mistyped address.
fn is_name(name: &str) -> bool {
    let permitted = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    name.chars().all(permitted) && name.chars().any(|c| !c.is_ascii_digit() && c != '.')
}

/// Characters or octets of an identity that are shown; a domain name has no more (RFC 1035 §2.3.4).
const MAX_SHOWN: usize = 255;
