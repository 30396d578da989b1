//! The largest inner packet that one outer packet carries, and the TCP segment that fits in it.

use crate::esp::trailer;
use crate::esp::transform::Transform;
use crate::sa::spec::Encapsulation;

/// Octets of the largest inner packet: what outer IP, UDP, ESP header, IV and ICV leave, cut to whole cipher blocks, less
/// pad length and next header. 0 where not even those fit.
///
/// This one formula gives every figure that AWS publishes for its VPN.
pub const fn inner_mtu(
    outer_mtu: u16,
    outer_v6: bool,
    encapsulation: Encapsulation,
    transform: Transform,
) -> u16 {
    let ip = if outer_v6 { 40 } else { 20 };
    let udp = match encapsulation {
        Encapsulation::Udp => 8,
        Encapsulation::Esp => 0,
    };
    let block = transform.block_len();
    let sealed = (outer_mtu as usize).saturating_sub(ip + udp + transform.header_len() + transform.icv_len());
    let inner = (sealed - sealed % block).saturating_sub(trailer::LEN);
    #[expect(clippy::cast_possible_truncation, reason = "it is below the outer MTU")]
    let inner = inner as u16;
    inner
}

/// The TCP maximum segment size for an inner MTU: less the fixed IP and TCP headers (RFC 9293 §3.7.1).
pub const fn mss(mtu: u16, v6: bool) -> u16 {
    mtu.saturating_sub(if v6 { 60 } else { 40 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::esp::transform::Hmac;

    #[test]
    fn every_row_that_aws_publishes_comes_out() {
        use Encapsulation::{Esp, Udp};
        for (transform, encapsulation, mtu, mss_v4) in [
            (Transform::Aes128Gcm16, Esp, 1446, 1406),
            (Transform::Aes256Gcm16, Esp, 1446, 1406),
            (Transform::Aes128Gcm16, Udp, 1438, 1398),
            (Transform::Aes256Gcm16, Udp, 1438, 1398),
            (Transform::Aes128Cbc(Hmac::Sha256), Esp, 1438, 1398),
            (Transform::Aes256Cbc(Hmac::Sha256), Esp, 1438, 1398),
            (Transform::Aes128Cbc(Hmac::Sha256), Udp, 1422, 1382),
            (Transform::Aes256Cbc(Hmac::Sha256), Udp, 1422, 1382),
            (Transform::Aes128Cbc(Hmac::Sha512), Esp, 1422, 1382),
            (Transform::Aes256Cbc(Hmac::Sha512), Esp, 1422, 1382),
            (Transform::Aes128Cbc(Hmac::Sha512), Udp, 1406, 1366),
            (Transform::Aes256Cbc(Hmac::Sha512), Udp, 1406, 1366),
        ] {
            let inner = inner_mtu(1500, false, encapsulation, transform);
            assert_eq!((inner, mss(inner, false)), (mtu, mss_v4), "{transform:?} {encapsulation:?}");
        }
    }

    #[test]
    fn a_packet_of_the_mtu_fits_and_one_octet_more_does_not() {
        for transform in Transform::ALL {
            for outer in 576..=1600u16 {
                let inner = usize::from(inner_mtu(outer, true, Encapsulation::Udp, transform));
                let whole = |len: usize| {
                    40 + 8 + transform.header_len() + len + transform.pad_len(len) + 2 + transform.icv_len()
                };
                assert!(whole(inner) <= usize::from(outer) && whole(inner + 1) > usize::from(outer));
            }
        }
    }

    #[test]
    fn an_outer_mtu_too_small_for_anything_gives_zero() {
        assert_eq!(inner_mtu(20, false, Encapsulation::Udp, Transform::Aes256Gcm16), 0);
        assert_eq!(mss(30, true), 0);
    }
}
