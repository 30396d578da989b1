//! Prefixes that two networks claim: told by name, because the packets of one of them go to the other.
//!
//! The more specific prefix wins in the kernel, the same prefix by [`super::best_path`]. Where the claims differ in local
//! preference somebody meant it so, a Direct Connect beside a VPN for instance, and nothing is told.

use core::fmt;

use ipnet::IpNet;

/// A prefix and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// The prefix.
    pub prefix: IpNet,
    /// Whose.
    pub owner: Owner,
}

/// Who claims a prefix.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// We: it is one of our networks.
    Ourselves,
    /// The peers of a connection.
    Connection {
        /// Its name.
        name: String,
        /// How much it is preferred.
        local_pref: u32,
    },
}

/// Two claims of which the second lies in the first, or is for the same prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// The wider one.
    pub outer: Claim,
    /// The narrower one, whose packets go to its owner alone.
    pub inner: Claim,
}

impl Overlap {
    /// Stable code.
    pub const fn code(&self) -> &'static str {
        match (&self.outer.owner, &self.inner.owner) {
            (Owner::Connection { .. }, Owner::Connection { .. }) => "GTH-RTE-15",
            (Owner::Ourselves, _) | (_, Owner::Ourselves) => "GTH-RTE-16",
        }
    }

    /// One of the two claims is that connection's.
    pub fn is_of(&self, connection: &str) -> bool {
        let of = |claim: &Claim| matches!(&claim.owner, Owner::Connection { name, .. } if name == connection);
        of(&self.outer) || of(&self.inner)
    }

    /// What to do about it.
    pub const fn remedy() -> &'static str {
        "renumber one of the two, or give the one that is meant a higher local preference"
    }
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { outer, inner } = self;
        if outer.prefix == inner.prefix {
            return write!(f, "{} is both {} and {}", outer.prefix, outer.owner, inner.owner);
        }
        write!(f, "{} ({}) lies in {} ({})", inner.prefix, inner.owner, outer.prefix, outer.owner)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ourselves => f.write_str("ours"),
            Self::Connection { name, .. } => write!(f, "of {name}"),
        }
    }
}

/// The overlaps among the claims, each prefix with the nearest that it lies in; at most [`MOST`].
pub fn overlaps(mut claims: Vec<Claim>) -> Vec<Overlap> {
    // In this order a prefix comes after those that it lies in, and before all that lie beside it.
    claims.sort_unstable();
    claims.dedup();
    let mut around: Vec<Claim> = Vec::new();
    let mut found = Vec::new();
    for claim in claims {
        // What is shorter is a default route, which holds everything and collides with nothing.
        if claim.prefix.prefix_len() < WIDEST {
            continue;
        }
        while around.last().is_some_and(|outer| !outer.prefix.contains(&claim.prefix)) {
            around.pop();
        }
        if let Some(outer) = around.iter().rev().find(|outer| collide(&outer.owner, &claim.owner)) {
            found.push(Overlap { outer: outer.clone(), inner: claim.clone() });
            if found.len() >= MOST {
                break;
            }
        }
        around.push(claim);
    }
    found
}

fn collide(one: &Owner, other: &Owner) -> bool {
    match (one, other) {
        (
            Owner::Connection { name, local_pref },
            Owner::Connection { name: other_name, local_pref: other_pref },
        ) => name != other_name && local_pref == other_pref,
        (Owner::Ourselves, Owner::Ourselves) => false,
        (Owner::Ourselves, Owner::Connection { .. }) | (Owner::Connection { .. }, Owner::Ourselves) => true,
    }
}

/// Overlaps that are told at once: what they have in common shows in the first few.
pub const MOST: usize = 32;
/// The shortest prefix that is a network and no default route.
const WIDEST: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(prefix: &str, owner: &str, local_pref: u32) -> Claim {
        let owner = match owner {
            "" => Owner::Ourselves,
            name => Owner::Connection { name: name.to_owned(), local_pref },
        };
        Claim { prefix: prefix.parse().expect("a prefix"), owner }
    }

    fn told(claims: &[Claim]) -> Vec<(&'static str, String)> {
        overlaps(claims.to_vec()).iter().map(|overlap| (overlap.code(), overlap.to_string())).collect()
    }

    #[test]
    fn two_clouds_with_one_prefix_are_named() {
        let claims = [claim("10.0.0.0/16", "azure", 100), claim("10.0.0.0/16", "aws", 100)];
        assert_eq!(told(&claims), [("GTH-RTE-15", "10.0.0.0/16 is both of aws and of azure".to_owned())]);
    }

    #[test]
    fn a_prefix_in_anothers_is_named_with_the_nearest_around_it() {
        let claims = [
            claim("10.0.0.0/8", "aws", 100),
            claim("10.1.0.0/16", "azure", 100),
            claim("10.1.2.0/24", "aws", 100),
            claim("10.2.0.0/16", "aws", 100),
            claim("11.0.0.0/16", "azure", 100),
        ];
        let expected = [
            "10.1.0.0/16 (of azure) lies in 10.0.0.0/8 (of aws)",
            "10.1.2.0/24 (of aws) lies in 10.1.0.0/16 (of azure)",
        ];
        assert_eq!(told(&claims), expected.map(|text| ("GTH-RTE-15", text.to_owned())));
    }

    #[test]
    fn our_own_network_in_a_clouds_is_named() {
        let claims =
            [claim("10.0.0.0/8", "aws", 200), claim("10.10.0.0/16", "", 0), claim("fd00::/16", "aws", 200)];
        let expected = "10.10.0.0/16 (ours) lies in 10.0.0.0/8 (of aws)".to_owned();
        assert_eq!(told(&claims), [("GTH-RTE-16", expected)]);
    }

    #[test]
    fn what_is_meant_is_not_told() {
        let claims = [
            claim("10.0.0.0/8", "vpn", 100),
            claim("10.0.0.0/16", "direct-connect", 200),
            claim("10.0.0.0/16", "vpn", 100),
            claim("0.0.0.0/0", "azure", 100),
            claim("::/0", "azure", 100),
            claim("172.16.0.0/16", "", 0),
            claim("172.16.1.0/24", "", 0),
        ];
        assert_eq!(told(&claims), []);
    }

    #[test]
    fn ten_thousand_prefixes_twice_are_told_within_the_bound() {
        let nets = |owner: &'static str| {
            (0..10_000).map(move |n| claim(&format!("10.{}.{}.0/24", n / 256, n % 256), owner, 100))
        };
        assert_eq!(overlaps(nets("aws").chain(nets("azure")).collect()).len(), MOST);
    }
}
