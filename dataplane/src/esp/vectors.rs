//! Whole ESP packets that others published, through the whole line and back. They are read in place, not kept here.

use std::net::IpAddr;
use std::path::PathBuf;

use serde_json::Value;

use super::cipher::{Numbered, Opener, Sealer};
use super::decapsulate::{OuterInfo, decapsulate};
use super::encapsulate::seal;
use super::transform::{Hmac, Transform};
use crate::packet::Packet;
use crate::sa::inbound::InboundSa;
use crate::sa::outbound::OutboundSa;
use crate::sa::spec::{
    AddressRange, Encapsulation, InboundSpec, Keys, Lifetime, OutboundSpec, OuterPath, Selectors, TunnelId,
};

/// A published packet.
struct Vector {
    name: String,
    transform: Transform,
    keys: Keys,
    seq: u64,
    iv: Vec<u8>,
    inner: Vec<u8>,
    /// From the ESP header to the ICV.
    esp: Vec<u8>,
}

#[test]
fn packets_of_gcm_and_cbc_are_sealed_and_opened_as_published() {
    let Some(file) = read("esp-packets.json") else { return };
    let vectors: Vec<_> = file["vectors"].as_array().unwrap().iter().filter_map(from_esp_packets).collect();
    assert!(vectors.len() >= 8, "all but AES-192");
    for vector in vectors {
        holds(&vector);
    }
}

#[test]
fn the_packet_of_rfc_7634_appendix_a_is_sealed_and_opened_as_published() {
    let Some(file) = read("rfc7634-chacha20poly1305-esp-ikev2.json") else { return };
    let esp = &file["esp"];
    holds(&Vector {
        name: "RFC 7634 appendix A".into(),
        transform: Transform::ChaCha20Poly1305,
        keys: Keys { encryption: hex(&esp["key_and_salt"]), integrity: Vec::new() },
        seq: esp["seq"].as_u64().unwrap(),
        iv: hex(&esp["iv"]),
        inner: hex(&esp["inner_packet"]),
        esp: hex(&esp["expected_esp"]),
    });
}

/// The sample has no ICV, so it is compared up to there.
#[test]
fn the_packet_of_rfc_3602_section_4_is_encrypted_as_published() {
    let Some(file) = read("rfc3602-esp-tunnel.json") else { return };
    let expected = hex(&file["outer_packet_to_decrypt"]).split_off(20);
    let inner = hex(&file["inner_plaintext_with_trailer"])[..84].to_vec();
    let keys = Keys { encryption: hex(&file["key"]), integrity: vec![0; 32] };
    let sealed = sealed(Transform::Aes128Cbc(Hmac::Sha256), &keys, 2, &expected[8..24], &inner, 0x8765);
    assert_eq!(sealed[..sealed.len() - 16], expected);
}

fn holds(vector: &Vector) {
    let name = &vector.name;
    for packets in [2, 12, 64] {
        holds_in_a_batch(vector, packets);
    }
    let spi = u32::from_be_bytes(*vector.esp.first_chunk().unwrap());
    if spi > crate::sa::LAST_RESERVED_SPI {
        let sealed = sealed(vector.transform, &vector.keys, vector.seq, &vector.iv, &vector.inner, spi);
        assert_eq!(sealed, vector.esp, "{name}");
        let sa = InboundSa::new(&inbound(vector.transform, &vector.keys, spi)).unwrap();
        let mut opened = vector.esp.clone();
        let len = opened.len();
        let mut pkt = Packet::new(&mut opened, 0..len);
        decapsulate(&sa, &mut sa.replay_window(), &mut pkt, OuterInfo::default()).unwrap();
        assert_eq!(pkt.as_slice(), vector.inner, "{name}");
    } else {
        // The sample carries an SPI that no SA of ours may have: the cipher alone.
        let opener = Opener::new(vector.transform, &vector.keys, false).unwrap();
        let sealer = Sealer::new(vector.transform, &vector.keys, false).unwrap();
        let mut packet = vector.esp.clone();
        opener.open(vector.seq, &mut packet).unwrap();
        let inner_at = vector.transform.header_len();
        assert_eq!(packet[inner_at..inner_at + vector.inner.len()], vector.inner, "{name}");
        sealer.seal(vector.seq, &mut packet).unwrap();
        assert_eq!(packet, vector.esp, "{name}");
    }
}

/// The cipher alone, on many of the same packet.
fn holds_in_a_batch(vector: &Vector, packets: usize) {
    let opener = Opener::new(vector.transform, &vector.keys, false).unwrap();
    let sealer = Sealer::new(vector.transform, &vector.keys, false).unwrap();
    let mut batch = vec![vector.esp.clone(); packets];
    let mut numbered: Vec<_> = batch.iter_mut().map(|octets| Numbered::new(vector.seq, octets)).collect();
    opener.open_batch(&mut numbered);
    let body = vector.transform.header_len()..;
    for packet in &numbered {
        assert_eq!(packet.result, Ok(()), "{}", vector.name);
        assert!(packet.octets[body.clone()].starts_with(&vector.inner), "{}", vector.name);
    }
    sealer.seal_batch(&mut numbered);
    assert!(batch.iter().all(|packet| *packet == vector.esp), "{}", vector.name);
}

fn sealed(transform: Transform, keys: &Keys, seq: u64, iv: &[u8], inner: &[u8], spi: u32) -> Vec<u8> {
    let sa = OutboundSa::new(&outbound(transform, keys, spi)).unwrap();
    let mut buf = vec![0; sa.headroom() + inner.len() + sa.tailroom()];
    buf[sa.headroom()..][..inner.len()].copy_from_slice(inner);
    let mut pkt = Packet::new(&mut buf, sa.headroom()..sa.headroom() + inner.len());
    seal(&sa, seq, &mut pkt, |into| into.copy_from_slice(iv)).unwrap();
    pkt.as_slice().to_vec()
}

fn from_esp_packets(vector: &Value) -> Option<Vector> {
    let has = |name: &str| vector["algs"].as_array().unwrap().iter().any(|alg| alg == name);
    let key = hex(&vector["key"]);
    let transform = match (key.len(), has("AES_GCM")) {
        (16, true) => Transform::Aes128Gcm16,
        (32, true) => Transform::Aes256Gcm16,
        (16, false) if has("SHA256_HMAC") => Transform::Aes128Cbc(Hmac::Sha256),
        (16, false) if has("SHA384_HMAC") => Transform::Aes128Cbc(Hmac::Sha384),
        (16, false) if has("SHA512_HMAC") => Transform::Aes128Cbc(Hmac::Sha512),
        _ => return None,
    };
    let outer = usize::try_from(vector["outer_header_len"].as_u64().unwrap()).unwrap();
    Some(Vector {
        name: vector["name"].as_str().unwrap().into(),
        transform,
        keys: Keys { encryption: [key, hex(&vector["salt"])].concat(), integrity: hex(&vector["auth_key"]) },
        seq: vector["seq"].as_u64().unwrap(),
        iv: hex(&vector["iv"]),
        inner: hex(&vector["input"]),
        esp: hex(&vector["output"]).split_off(outer),
    })
}

fn inbound(transform: Transform, keys: &Keys, spi: u32) -> InboundSpec {
    let keys = keys.clone();
    InboundSpec {
        tunnel: TunnelId(1),
        spi,
        transform,
        keys,
        esn: false,
        replay_window: 64,
        selectors: everything(),
    }
}

fn outbound(transform: Transform, keys: &Keys, spi: u32) -> OutboundSpec {
    let path = OuterPath {
        local: ([192, 0, 2, 1], 4500).into(),
        remote: ([192, 0, 2, 2], 4500).into(),
        encapsulation: Encapsulation::Udp,
    };
    let keys = keys.clone();
    OutboundSpec {
        tunnel: TunnelId(1),
        spi,
        transform,
        keys,
        esn: false,
        peer_window: 1024,
        lifetime: Lifetime::default(),
        selectors: everything(),
        path,
    }
}

fn everything() -> Selectors {
    let v4 = AddressRange { start: IpAddr::from([0; 4]), end: IpAddr::from([255; 4]) };
    let v6 = AddressRange { start: IpAddr::from([0; 16]), end: IpAddr::from([255; 16]) };
    Selectors { local: vec![v4, v6], remote: vec![v4, v6] }
}

/// The vectors, or `None`, with a word, where they are not installed.
fn read(file: &str) -> Option<Value> {
    let folder = std::env::var_os("GOTTHARD_VECTORS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors")),
        PathBuf::from,
    );
    let Ok(text) = std::fs::read_to_string(folder.join(file)) else {
        eprintln!("not run: {file} is not in {}", folder.display());
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

fn hex(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap().as_bytes();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
