//! Remembers which keys were installed for sending, so that no nonce is used twice (RFC 4106 §3.1).
//!
//! A sequence starts at 1 with its SA. The same keys installed again, also after the SA was removed, would repeat every
//! nonce. Keys do not outlive the process, so its memory is enough.

use std::collections::{HashSet, VecDeque};

use ring::digest;

use super::SpecError;
use super::spec::OutboundSpec;

/// Fingerprints of the keys of every outbound SA, the latest 65,536.
///
/// Keys come from fresh Diffie-Hellman secrets and nonces: to see the same again after that many others is a fault that
/// no correct control plane has, and the ledger is there for one that has just become faulty.
#[derive(Debug, Default)]
pub struct KeyLedger {
    known: HashSet<Fingerprint>,
    /// In the order of their arrival.
    order: VecDeque<Fingerprint>,
}

/// SHA-256 over cipher key and salt.
type Fingerprint = [u8; digest::SHA256_OUTPUT_LEN];

impl KeyLedger {
    /// Enters the keys of an SA that is to be built; [`SpecError::Reinstalled`] if they are known.
    pub fn enter(&mut self, spec: &OutboundSpec) -> Result<(), SpecError> {
        let fingerprint = fingerprint(spec);
        if !self.known.insert(fingerprint) {
            return Err(SpecError::Reinstalled);
        }
        if self.order.len() == CAPACITY
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.order.push_back(fingerprint);
        Ok(())
    }
}

/// The SPI does not count: the same keys under another SPI repeat the nonces just as well.
fn fingerprint(spec: &OutboundSpec) -> Fingerprint {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&spec.keys.encryption);
    let mut fingerprint = Fingerprint::default();
    fingerprint.copy_from_slice(context.finish().as_ref());
    fingerprint
}

const CAPACITY: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::esp::transform::Transform;
    use crate::sa::spec::{Encapsulation, Keys, Lifetime, OuterPath, Selectors, TunnelId};

    fn spec(spi: u32, key: u64) -> OutboundSpec {
        let encryption = key.to_be_bytes().repeat(5)[..36].to_vec();
        OutboundSpec {
            tunnel: TunnelId(1),
            spi,
            transform: Transform::Aes256Gcm16,
            keys: Keys { encryption, integrity: Vec::new() },
            esn: true,
            peer_window: 1024,
            lifetime: Lifetime::default(),
            selectors: Selectors::default(),
            path: OuterPath {
                local: ([192, 0, 2, 1], 4500).into(),
                remote: ([192, 0, 2, 2], 4500).into(),
                encapsulation: Encapsulation::Udp,
            },
        }
    }

    #[test]
    fn the_same_keys_are_refused_for_ever_after_under_any_spi() {
        let mut ledger = KeyLedger::default();
        ledger.enter(&spec(300, 1)).unwrap();
        ledger.enter(&spec(300, 2)).unwrap();
        assert_eq!(ledger.enter(&spec(300, 1)), Err(SpecError::Reinstalled));
        assert_eq!(ledger.enter(&spec(301, 1)), Err(SpecError::Reinstalled));
    }

    #[test]
    fn the_ledger_is_bounded_and_forgets_the_oldest() {
        let mut ledger = KeyLedger::default();
        for key in 0..CAPACITY as u64 + 10 {
            ledger.enter(&spec(300, key)).unwrap();
        }
        assert_eq!((ledger.known.len(), ledger.order.len()), (CAPACITY, CAPACITY));
        assert_eq!(ledger.enter(&spec(300, 10)), Err(SpecError::Reinstalled));
        assert_eq!(ledger.enter(&spec(300, 9)), Ok(()));
    }
}
