//! The capabilities of an OPEN (RFC 5492) that this speaker has a use for. A capability without a name here is passed over.

use super::family::{Families, Family};
use super::iana::CapabilityCode;
use super::reader::Reader;
use super::writer;

/// What an OPEN announces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Multiprotocol extensions (RFC 4760); `None`: the sender does not know of families and speaks IPv4.
    pub families: Option<Families>,
    /// It takes ROUTE-REFRESH (RFC 2918).
    pub route_refresh: bool,
    /// It knows AS numbers of four octets (RFC 6793), and this is its own.
    pub four_octet_as: Option<u32>,
    /// Graceful restart.
    pub graceful_restart: Option<GracefulRestart>,
}

/// Graceful restart (RFC 4724 §3, RFC 8538 §2). With no family it says: I mark the end of my routes, and keep none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GracefulRestart {
    /// R: the sender has restarted, and waits for no end of routes of a peer that has too.
    pub restarting: bool,
    /// N: a NOTIFICATION, or a hold time that is over, is no end of the routes either (RFC 8538).
    pub notification: bool,
    /// Seconds that the sender's restart takes at most, up to 4095.
    pub time: u16,
    /// Families whose routes are to be kept meanwhile.
    pub families: Families,
    /// F: those of them whose packets the sender has forwarded throughout its restart.
    pub preserved: Families,
}

impl Capabilities {
    /// Takes over what one Capabilities parameter holds; `None` where a length contradicts itself or its code.
    ///
    /// Of a capability that comes twice the last one counts (RFC 4724 §3); those of RFC 4760 come once a family.
    pub(super) fn read(&mut self, parameter: &[u8]) -> Option<()> {
        let mut r = Reader::new(parameter);
        while !r.is_empty() {
            let (code, value) = (CapabilityCode(r.u8()?), r.block8()?);
            let mut r = Reader::new(value);
            match code {
                CapabilityCode::MULTIPROTOCOL => {
                    let (afi, _reserved, safi) = (r.u16()?, r.u8()?, r.u8()?);
                    let families = self.families.get_or_insert_default();
                    if let Some(family) = Family::from_iana(afi, safi) {
                        families.insert(family);
                    }
                }
                CapabilityCode::ROUTE_REFRESH => self.route_refresh = true,
                CapabilityCode::FOUR_OCTET_AS => self.four_octet_as = Some(r.u32()?),
                CapabilityCode::GRACEFUL_RESTART => {
                    self.graceful_restart = Some(GracefulRestart::read(&mut r)?);
                }
                _ => _ = r.rest(),
            }
            if !r.is_empty() {
                return None;
            }
        }
        Some(())
    }

    /// The value of one Capabilities parameter that holds them all.
    pub(super) fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut put = |code: CapabilityCode, value: &[u8]| {
            out.push(code.0);
            writer::block8(&mut out, value);
        };
        for family in self.families.iter().flat_map(|families| families.iter()) {
            let [high, low] = family.afi().to_be_bytes();
            put(CapabilityCode::MULTIPROTOCOL, &[high, low, 0, family.safi()]);
        }
        if self.route_refresh {
            put(CapabilityCode::ROUTE_REFRESH, &[]);
        }
        if let Some(restart) = &self.graceful_restart {
            put(CapabilityCode::GRACEFUL_RESTART, &restart.write());
        }
        if let Some(asn) = self.four_octet_as {
            put(CapabilityCode::FOUR_OCTET_AS, &asn.to_be_bytes());
        }
        out
    }
}

impl GracefulRestart {
    fn read(r: &mut Reader<'_>) -> Option<Self> {
        let head = r.u16()?;
        let (restarting, notification) = (head & RESTARTING != 0, head & NOTIFICATION != 0);
        let mut read = Self { restarting, notification, time: head & MAX_TIME, ..Self::default() };
        while !r.is_empty() {
            let (afi, safi, flags) = (r.u16()?, r.u8()?, r.u8()?);
            let Some(family) = Family::from_iana(afi, safi) else { continue };
            read.families.insert(family);
            if flags & PRESERVED != 0 {
                read.preserved.insert(family);
            }
        }
        Some(read)
    }

    fn write(self) -> Vec<u8> {
        let flag = |set: bool, bit: u16| if set { bit } else { 0 };
        let flags = flag(self.restarting, RESTARTING) | flag(self.notification, NOTIFICATION);
        let mut out = (flags | self.time.min(MAX_TIME)).to_be_bytes().to_vec();
        for family in self.families.iter() {
            let preserved = if self.preserved.contains(family) { PRESERVED } else { 0 };
            out.extend_from_slice(&family.afi().to_be_bytes());
            out.extend_from_slice(&[family.safi(), preserved]);
        }
        out
    }
}

/// R, of the first 16 bits.
const RESTARTING: u16 = 0x8000;
/// N, of the first 16 bits.
const NOTIFICATION: u16 = 0x4000;
/// The restart time has the lower twelve.
const MAX_TIME: u16 = 0x0fff;
/// F, of a family's flags.
const PRESERVED: u8 = 0x80;
