//! Inner packets: what reads and rewrites them between the TUN device and ESP.

use gotthard_dataplane::esp::ecn;
use gotthard_dataplane::packet::ip::{IpHeader, IpVersion, UpperLayer};
use gotthard_dataplane::{icmp, mss, natt};

/// Takes `data` as an IP packet, after two octets with the MTU.
pub fn inner_packet(data: &[u8]) {
    let Some((mtu, packet)) = data.split_first_chunk() else { return };
    let mtu = u16::from_be_bytes(*mtu);
    natt::classify(packet);
    ecn::outer_tos(packet);
    let version = IpVersion::of(packet);
    if let Some(header) = IpHeader::parse(packet) {
        assert!(version.is_some(), "a header of no version");
        UpperLayer::find(packet, &header);
    }
    clamped(packet, mtu);
    answered(packet, mtu);
}

/// What was clamped keeps its length, and need not be clamped again.
fn clamped(packet: &[u8], max: u16) {
    let mut once = packet.to_vec();
    let lowered = mss::clamp(&mut once, max);
    assert!(lowered || once == packet, "a packet that was not clamped has changed");
    assert!(!mss::clamp(&mut once, max), "a clamped packet is clamped again");
}

/// An answer is an IP packet itself, no longer than any path must carry, and is never answered.
fn answered(packet: &[u8], mtu: u16) {
    let Some(answer) = icmp::too_big(packet, mtu, None) else { return };
    let answer = answer.as_slice();
    assert!(IpHeader::parse(answer).is_some(), "an answer that is no IP packet");
    assert!(answer.len() <= 1280, "an answer of {} octets", answer.len());
    assert!(icmp::too_big(answer, mtu, None).is_none(), "an ICMP error is answered");
}
