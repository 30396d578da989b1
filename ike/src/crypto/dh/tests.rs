//! Known answers and hostile public values.

use super::*;

struct Octets(u8);

impl Random for Octets {
    fn fill(&mut self, out: &mut [u8]) {
        for octet in out {
            self.0 = self.0.wrapping_mul(5).wrapping_add(113);
            *octet = self.0;
        }
    }
}

const GROUPS: [Group; 6] =
    [Group::MODP_2048, Group::MODP_3072, Group::MODP_4096, Group::ECP_256, Group::ECP_384, Group::CURVE25519];

#[test]
fn both_ends_agree_in_every_group() {
    for group in GROUPS {
        let a = DhSecret::generate(group, &mut Octets(1)).unwrap();
        let b = DhSecret::generate(group, &mut Octets(2)).unwrap();
        let shared = a.agree(b.public()).unwrap();
        assert_eq!(shared.as_bytes(), b.agree(a.public()).unwrap().as_bytes(), "{group}");
        assert_ne!(a.public(), b.public(), "{group}");
        assert!(DhSecret::supports(group));
    }
}

#[test]
fn a_public_value_of_another_length_is_refused() {
    for group in GROUPS {
        let secret = DhSecret::generate(group, &mut Octets(1)).unwrap();
        let public = secret.public();
        for peer in [&public[1..], &[public, &[0]].concat(), &[]] {
            assert_eq!(secret.agree(peer).err(), Some(DhError::Length(peer.len())), "{group}");
        }
    }
}

#[test]
fn a_modp_value_outside_2_to_p_minus_2_is_refused() {
    for group in [Group::MODP_2048, Group::MODP_3072, Group::MODP_4096] {
        let secret = DhSecret::generate(group, &mut Octets(1)).unwrap();
        let len = secret.public().len();
        let small = |value: u8| [vec![0; len - 1], vec![value]].concat();
        // All these primes end in 64 bits of one, so p - 1 and p - 2 differ from p in the last octet alone.
        let p = modp::prime(group);
        let near = |octet: u8| [&p[..len - 1], &[octet]].concat();
        for peer in [small(0), small(1), near(0xfe), near(0xff), vec![0xff; len]] {
            assert_eq!(secret.agree(&peer).err(), Some(DhError::Value), "{group}");
        }
        assert!(secret.agree(&small(2)).is_ok() && secret.agree(&near(0xfd)).is_ok(), "{group}");
    }
}

#[test]
fn a_modp_public_value_is_the_power_of_two() {
    for (group, len) in [(Group::MODP_2048, 32), (Group::MODP_3072, 40), (Group::MODP_4096, 48)] {
        let mut drawn = vec![0; len];
        Octets(7).fill(&mut drawn);
        let (mut one, mut top) = (vec![0; len], vec![0; len]);
        (one[len - 1], top[0]) = (1, 0x80);
        for exponent in [drawn, one, top, vec![0xff; len]] {
            let secret = ModpSecret::from_octets(group, &exponent).unwrap();
            let public = secret.public();
            let two = [vec![0; public.len() - 1], vec![2]].concat();
            assert_eq!(public, *secret.agree(&two).unwrap(), "{group}");
        }
    }
}

#[test]
fn a_point_off_the_curve_is_refused() {
    for group in [Group::ECP_256, Group::ECP_384] {
        let secret = DhSecret::generate(group, &mut Octets(1)).unwrap();
        let mut off = secret.public().to_vec();
        *off.last_mut().unwrap() ^= 1;
        for peer in [off, vec![0; secret.public().len()], vec![0xff; secret.public().len()]] {
            assert_eq!(secret.agree(&peer).err(), Some(DhError::Value), "{group}");
        }
    }
}

#[test]
fn a_curve25519_point_of_small_order_is_refused() {
    let secret = DhSecret::generate(Group::CURVE25519, &mut Octets(1)).unwrap();
    let mut one = [0; 32];
    one[0] = 1;
    for peer in [[0; 32], one] {
        assert_eq!(secret.agree(&peer).err(), Some(DhError::Value));
    }
}

#[test]
fn an_unknown_group_and_a_dead_source_of_randomness_give_no_secret() {
    struct Zeros;
    impl Random for Zeros {
        fn fill(&mut self, out: &mut [u8]) {
            out.fill(0);
        }
    }
    assert!(DhSecret::generate(Group::MODP_1024, &mut Octets(1)).is_none());
    assert!(DhSecret::generate(Group::NONE, &mut Octets(1)).is_none());
    for group in [Group::MODP_2048, Group::ECP_256, Group::ECP_384] {
        assert!(DhSecret::generate(group, &mut Zeros).is_none(), "{group}");
    }
}

/// Public values and secrets of `ke-modp-ecp-x25519.json`, from the private values that the file calls `seed`.
#[test]
fn published_exchanges_are_reproduced() {
    let dir = std::env::var("GOTTHARD_VECTORS")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors").into());
    let Ok(text) = std::fs::read_to_string(format!("{dir}/ke-modp-ecp-x25519.json")) else {
        eprintln!("no vectors in {dir}: not checked");
        return;
    };
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut checked = 0;
    for vector in file["vectors"].as_array().unwrap() {
        let name = vector["name"].as_str().unwrap();
        let octets = |field: &str| hex(vector[field].as_str().unwrap());
        let seed = octets("seed");
        let (initiator, responder) = seed.split_at(seed.len() / 2);
        let Some([initiator, responder]) = secrets(name, [initiator, responder]) else { continue };
        let (public_i, public_r) = (octets("pub_i"), octets("pub_r"));
        assert_eq!(public_of(&initiator), public_i, "{name}");
        assert_eq!(public_of(&responder), public_r, "{name}");
        assert_eq!(*initiator.agree(&public_r).unwrap(), octets("shared"), "{name}");
        assert_eq!(*responder.agree(&public_i).unwrap(), octets("shared"), "{name}");
        checked += 1;
    }
    assert_eq!(checked, 7);
}

/// The private values of a vector; none for a group that we do not have.
fn secrets(name: &str, privates: [&[u8]; 2]) -> Option<[Private; 2]> {
    let modp = |group| privates.map(|octets| Private::Modp(ModpSecret::from_octets(group, octets).unwrap()));
    let given = |group| privates.map(|octets| Private::draw(group, &mut Given(octets)).unwrap());
    match name {
        "modp2048" => Some(modp(Group::MODP_2048)),
        "modp3072" => Some(modp(Group::MODP_3072)),
        "modp4096" => Some(modp(Group::MODP_4096)),
        "ecp256" => Some(given(Group::ECP_256)),
        "ecp384" => Some(given(Group::ECP_384)),
        _ if name.starts_with("curve25519") => Some(given(Group::CURVE25519)),
        _ => None,
    }
}

/// The exponents of the file are longer than those that we draw: 2 is raised as a peer's value would be.
fn public_of(private: &Private) -> Vec<u8> {
    match private {
        Private::Modp(secret) => {
            let len = secret.public().len();
            let two = [vec![0; len - 1], vec![2]].concat();
            secret.agree(&two).unwrap().to_vec()
        }
        Private::Ecp256(_) | Private::Ecp384(_) | Private::Curve25519(_) => private.public(),
    }
}

struct Given<'a>(&'a [u8]);

impl Random for Given<'_> {
    fn fill(&mut self, out: &mut [u8]) {
        out.copy_from_slice(self.0);
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}
