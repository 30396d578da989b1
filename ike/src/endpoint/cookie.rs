//! Cookies of the responder (RFC 7296 §2.6): who sends one back receives at the address that it sends from. Nothing is
//! kept of who was asked.

use std::net::IpAddr;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::Time;
use crate::codec::iana::PrfAlgorithm;
use crate::crypto::Random;
use crate::crypto::prf::Prf;
use crate::limits;

/// The secret that cookies are made with, and the one before it.
#[derive(Default)]
pub(super) struct Cookies {
    current: Option<Secret>,
    previous: Option<Secret>,
    /// Version of the next secret.
    version: u8,
}

struct Secret {
    version: u8,
    born: Time,
    octets: Zeroizing<[u8; SECRET_LEN]>,
}

/// What a cookie stands for: nonce, address and SPI of the initiator.
#[derive(Clone, Copy)]
pub(super) struct Claim<'a> {
    pub(super) nonce: &'a [u8],
    pub(super) address: IpAddr,
    pub(super) spi_i: u64,
}

impl Cookies {
    /// The cookie that this initiator is asked to send back.
    pub(super) fn make(&mut self, now: Time, claim: Claim<'_>, random: &mut dyn Random) -> [u8; COOKIE_LEN] {
        self.rotate(now);
        let version = &mut self.version;
        let current = self.current.get_or_insert_with(|| {
            let mut octets = Zeroizing::new([0; SECRET_LEN]);
            random.fill(octets.as_mut_slice());
            *version = version.wrapping_add(1);
            Secret { version: *version, born: now, octets }
        });
        current.cookie(claim)
    }

    /// Whether `cookie` is one that was made for this initiator, with the secret or the one before.
    pub(super) fn verify(&mut self, now: Time, claim: Claim<'_>, cookie: &[u8]) -> bool {
        self.rotate(now);
        let secrets = self.current.iter().chain(&self.previous);
        let secret = secrets.into_iter().find(|secret| cookie.first() == Some(&secret.version));
        secret.is_some_and(|secret| bool::from(secret.cookie(claim).as_slice().ct_eq(cookie)))
    }

    /// Retires the secret at its time; a cookie is good for one lifetime at least and for two at most.
    fn rotate(&mut self, now: Time) {
        let age = |secret: &Option<Secret>| secret.as_ref().map(|secret| now - secret.born);
        if age(&self.current).is_some_and(|age| age >= limits::COOKIE_SECRET_LIFETIME) {
            self.previous = self.current.take();
        }
        if age(&self.previous).is_some_and(|age| age >= limits::COOKIE_SECRET_LIFETIME * 2) {
            self.previous = None;
        }
    }
}

impl Secret {
    fn cookie(&self, Claim { nonce, address, spi_i }: Claim<'_>) -> [u8; COOKIE_LEN] {
        let address = match address {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        };
        // The nonce comes last: the others have one length each, so that no two claims are the same octets.
        let mac = PRF.compute(self.octets.as_slice(), &[&address, &spi_i.to_be_bytes(), nonce]);
        let mut cookie = [self.version; COOKIE_LEN];
        for (to, from) in cookie.iter_mut().skip(1).zip(mac.iter()) {
            *to = *from;
        }
        cookie
    }
}

const PRF: Prf = match Prf::new(PrfAlgorithm::HMAC_SHA2_256) {
    Some(prf) => prf,
    None => panic!("it is always there"),
};

const SECRET_LEN: usize = 32;

/// Version of the secret, and half of an HMAC-SHA-256: small enough that the answer is never larger than the request.
const COOKIE_LEN: usize = 1 + 16;

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    struct Counter(u8);

    impl Random for Counter {
        fn fill(&mut self, out: &mut [u8]) {
            self.0 += 1;
            out.fill(self.0);
        }
    }

    const CLAIM: Claim<'static> = Claim { nonce: &[7; 16], address: IpAddr::V4(ADDRESS), spi_i: 9 };
    const ADDRESS: std::net::Ipv4Addr = std::net::Ipv4Addr::new(192, 0, 2, 1);

    fn at(lifetimes: u32, millis: u64) -> Time {
        Time::ZERO + limits::COOKIE_SECRET_LIFETIME * lifetimes + Duration::from_millis(millis)
    }

    #[test]
    fn a_cookie_is_good_for_its_nonce_address_and_spi_alone() {
        let mut cookies = Cookies::default();
        let cookie = cookies.make(at(0, 0), CLAIM, &mut Counter(0));
        assert!(cookies.verify(at(0, 1), CLAIM, &cookie));
        let others = [
            Claim { nonce: &[8; 16], ..CLAIM },
            Claim { nonce: &[7; 17], ..CLAIM },
            Claim { address: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)), ..CLAIM },
            Claim { spi_i: 10, ..CLAIM },
        ];
        assert!(others.into_iter().all(|claim| !cookies.verify(at(0, 1), claim, &cookie)));
    }

    #[test]
    fn a_cookie_that_was_changed_or_cut_is_not_good() {
        let mut cookies = Cookies::default();
        let cookie = cookies.make(at(0, 0), CLAIM, &mut Counter(0));
        for index in 0..cookie.len() {
            let mut changed = cookie;
            changed[index] ^= 1;
            assert!(!cookies.verify(at(0, 1), CLAIM, &changed));
            assert!(!cookies.verify(at(0, 1), CLAIM, &cookie[..index]));
        }
        assert!(!cookies.verify(at(0, 1), CLAIM, &[&cookie[..], &[0]].concat()));
    }

    #[test]
    fn a_cookie_outlives_one_rotation_of_the_secret_and_not_two() {
        let (mut cookies, mut random) = (Cookies::default(), Counter(0));
        let first = cookies.make(at(0, 0), CLAIM, &mut random);
        let second = cookies.make(at(1, 1), CLAIM, &mut random);
        assert_ne!(first, second);
        assert!(cookies.verify(at(1, 2), CLAIM, &first));
        assert!(cookies.verify(at(1, 2), CLAIM, &second));
        cookies.make(at(2, 2), CLAIM, &mut random);
        assert!(!cookies.verify(at(2, 3), CLAIM, &first));
        assert!(cookies.verify(at(2, 3), CLAIM, &second));
    }

    #[test]
    fn a_cookie_ends_also_where_nobody_else_asks_for_one() {
        let mut cookies = Cookies::default();
        let cookie = cookies.make(at(0, 0), CLAIM, &mut Counter(0));
        assert!(cookies.verify(at(1, 0), CLAIM, &cookie));
        assert!(!cookies.verify(at(2, 0), CLAIM, &cookie));
    }
}
