//! Hostile ESP packets (RFC 4303), from outside: without the keys, with what was seen on the wire.

use super::Dice;

/// H20: unknown and reserved SPIs, runts, lengths that are no whole blocks, mangled packets. `known` is the SPI of an
/// SA that is up, where the attacker has seen it.
pub fn malformed(dice: &mut Dice, known: Option<u32>) -> Vec<u8> {
    let spi =
        known.unwrap_or_else(|| u32::try_from(256 + dice.below(usize::from(u16::MAX))).unwrap_or(u32::MAX));
    match dice.below(5) {
        0 => packet(u32::try_from(dice.word() >> 32).unwrap_or_default() | 0x8000_0000, 1, &dice.bytes(80)),
        // 0 would be the non-ESP marker of port 4500, then IKE of garbage.
        1 => packet(u32::try_from(dice.below(256)).unwrap_or_default(), 1, &dice.bytes(80)),
        2 => {
            let mut runt = packet(spi, 7, &dice.bytes(40));
            runt.truncate(dice.below(32));
            runt
        }
        3 => packet(spi, 7, &dice.some_bytes(65, 94)),
        _ => packet(spi, u32::try_from(dice.below(100_000)).unwrap_or_default(), &dice.bytes(96)),
    }
}

/// H21: packets seen before, and sequence numbers left of the window, 0, and 2³¹ ahead, all without a right ICV.
pub fn replayed(dice: &mut Dice, seen: &[Vec<u8>]) -> Vec<u8> {
    let Some(mut packet) = dice.pick(seen).cloned() else { return Vec::new() };
    let sequence = match dice.below(5) {
        0 => 0_u32,
        1 => 1 << 31,
        2 => u32::MAX,
        _ => return packet,
    };
    if let Some(place) = packet.get_mut(4..8) {
        place.copy_from_slice(&sequence.to_be_bytes());
    }
    packet
}

fn packet(spi: u32, sequence: u32, rest: &[u8]) -> Vec<u8> {
    [&spi.to_be_bytes(), &sequence.to_be_bytes(), rest].concat()
}
