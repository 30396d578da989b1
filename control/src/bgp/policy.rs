//! What the operator lets in and out: prefix lists, communities, local preference. Without a policy nothing passes
//! (RFC 8212). What no policy can permit is kept out by [`super::guard`].

use core::fmt;
use core::ops::RangeInclusive;
use core::str::FromStr;
use std::net::IpAddr;

use ipnet::IpNet;

use super::guard::{self, Neighbour, Site};
use super::refusal::Refusal;
use super::route::{Community, LargeCommunity, Path, Route};

/// What is taken from a peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Import {
    /// Which prefixes.
    pub filter: Filter,
    /// Whether a default route is.
    pub default_route: bool,
    /// How much its paths are preferred: [`LOCAL_PREF`], or [`LOCAL_PREF_PRIVATE_LINE`] for a line beside a VPN.
    pub local_pref: Option<u32>,
    /// What communities change; the first rule that matches.
    pub communities: Vec<CommunityRule>,
}

/// What is offered to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Which prefixes.
    pub filter: Filter,
    /// Whether a default route is.
    pub default_route: bool,
    /// How many the peer takes: AWS ends the session above 100 (VGW) or 1,000 (TGW), Azure above 4,000.
    pub limit: usize,
}

/// How the other side is asked to see a tunnel beside the connection's others: by MED, which it honours as we honour its.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rank {
    /// Before them: one of them is lost, which the other side may not notice before its hold time is over.
    First,
    /// Like them.
    #[default]
    Equal,
    /// After them: it is drained. GRACEFUL_SHUTDOWN (RFC 8326) says the same where that is honoured.
    Last,
}

/// Which prefixes a policy permits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Filter {
    /// None: nobody said which (RFC 8212 §2).
    #[default]
    Nothing,
    /// Each that the guards let through.
    Guarded,
    /// Those that the list permits.
    Listed(PrefixList),
}

/// Rules for prefixes: the first that matches decides; what none matches is denied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrefixList(pub Vec<PrefixRule>);

/// A rule for prefixes: `10.200.0.0/16` (that one alone), `10.200.0.0/16 le 24` (it and what lies in it, up to that
/// length), `10.0.0.0/8 ge 16 le 24`, `deny 10.200.9.0/24`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixRule {
    /// Whether a match is permitted or denied.
    pub permit: bool,
    /// What the prefix must lie in.
    pub within: IpNet,
    /// How long it may be.
    pub lengths: RangeInclusive<u8>,
}

/// What to do with routes that have a community.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommunityRule {
    /// Which.
    pub pattern: CommunityPattern,
    /// What.
    pub action: Action,
}

/// What is done with a route that has a community.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is not taken.
    Refuse,
    /// It is preferred so much.
    LocalPref(u32),
}

/// Communities: `12076:51004`, `12076:*` (all of Azure's), `64512:1:2`, `64512:1:*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommunityPattern {
    /// Standard ones (RFC 1997), and with `value` open the large ones of the same AS too.
    Standard {
        /// The AS that gives them their meaning.
        asn: u16,
        /// Which; `None`: all.
        value: Option<u16>,
    },
    /// Large ones (RFC 8092).
    Large {
        /// The AS that gives them their meaning.
        global: u32,
        /// First value.
        local1: u32,
        /// Second value; `None`: all.
        local2: Option<u32>,
    },
}

impl Import {
    /// The local preference of a route that is taken; else why it is not. The guards are asked first: what they refuse is
    /// wrong, what the policy refuses is unwanted.
    pub fn admit(&self, site: &Site, neighbour: &Neighbour, route: &Route) -> Result<u32, Refusal> {
        guard::inspect(site, neighbour, self.default_route, route)?;
        self.filter.permit(&route.prefix)?;
        let path = &route.path;
        if let Some(rule) = self.communities.iter().find(|rule| rule.pattern.matches(path)) {
            match rule.action {
                Action::Refuse => return Err(Refusal::Community(rule.pattern.to_string())),
                Action::LocalPref(preference) => return Ok(preference),
            }
        }
        if path.communities.contains(&Community::GRACEFUL_SHUTDOWN) {
            // RFC 8326 §4.2: any other path is better.
            return Ok(0);
        }
        Ok(self.local_pref.unwrap_or(LOCAL_PREF))
    }
}

impl Export {
    /// Which of the prefixes that we would offer are offered, and why the others are not.
    pub fn offers(&self, prefixes: &[IpNet]) -> Vec<(IpNet, Result<(), Refusal>)> {
        let mut offered: usize = 0;
        let mut verdict = |prefix: &IpNet| {
            self.filter.permit(prefix)?;
            guard::offerable(prefix, self.default_route)?;
            if offered >= self.limit {
                // To offer one more would cost the session, and with it all the others.
                return Err(Refusal::TooMany(self.limit));
            }
            offered = offered.saturating_add(1);
            Ok(())
        };
        prefixes.iter().map(|prefix| (*prefix, verdict(prefix))).collect()
    }

    /// The path that we offer through one tunnel: never longer than our AS alone, because a cloud moves traffic by MED
    /// during its maintenance, which it compares among equal paths only.
    pub fn path(asn: u32, next_hop: IpAddr, rank: Rank) -> Path {
        let mut path = Path::local(next_hop);
        path.as_path.prepend(asn);
        path.med = Some(rank.med());
        if rank == Rank::Last {
            path.communities.push(Community::GRACEFUL_SHUTDOWN);
        }
        path
    }
}

impl Rank {
    /// MED, said and not left out, because peers differ in what they count a missing one as.
    pub const fn med(self) -> u32 {
        match self {
            Self::First => 50,
            Self::Equal => 100,
            Self::Last => 200,
        }
    }
}

impl Filter {
    fn permit(&self, prefix: &IpNet) -> Result<(), Refusal> {
        match self {
            Self::Nothing => Err(Refusal::NoPolicy),
            Self::Guarded => Ok(()),
            Self::Listed(list) if list.permits(prefix) => Ok(()),
            Self::Listed(_) => Err(Refusal::NotListed),
        }
    }
}

impl PrefixList {
    /// Whether the first rule that matches permits it.
    pub fn permits(&self, prefix: &IpNet) -> bool {
        self.0.iter().find(|rule| rule.matches(prefix)).is_some_and(|rule| rule.permit)
    }
}

impl PrefixRule {
    fn matches(&self, prefix: &IpNet) -> bool {
        self.within.contains(prefix) && self.lengths.contains(&prefix.prefix_len())
    }
}

impl FromStr for PrefixRule {
    type Err = NotARule;

    fn from_str(text: &str) -> Result<Self, NotARule> {
        let mut words = text.split_whitespace();
        let first = words.next().ok_or(NotARule)?;
        let permit = first != "deny";
        let prefix = if permit { first } else { words.next().ok_or(NotARule)? };
        let within: IpNet = prefix.parse().map_err(|_| NotARule)?;
        let own = within.prefix_len();
        let (mut least, mut most) = (None, None);
        while let Some(bound) = words.next() {
            let place = match bound {
                "ge" => &mut least,
                "le" => &mut most,
                _ => return Err(NotARule),
            };
            let length: u8 = words.next().and_then(|word| word.parse().ok()).ok_or(NotARule)?;
            if place.replace(length).is_some() {
                return Err(NotARule);
            }
        }
        let lengths = match (least, most) {
            (None, None) => own..=own,
            (least, most) => least.unwrap_or(own)..=most.unwrap_or(within.max_prefix_len()),
        };
        let sound = within.trunc() == within
            && own <= *lengths.start()
            && lengths.start() <= lengths.end()
            && *lengths.end() <= within.max_prefix_len();
        sound.then_some(Self { permit, within, lengths }).ok_or(NotARule)
    }
}

impl CommunityPattern {
    /// Whether a path has such a community.
    pub fn matches(&self, path: &Path) -> bool {
        let standard = |asn, value: Option<u16>| {
            path.communities.iter().any(|Community(community)| {
                let [a, b, c, d] = community.to_be_bytes();
                u16::from_be_bytes([a, b]) == asn && value.is_none_or(|v| u16::from_be_bytes([c, d]) == v)
            })
        };
        let large = |wanted: &dyn Fn(&LargeCommunity) -> bool| path.large_communities.iter().any(wanted);
        match *self {
            Self::Standard { asn, value: None } => {
                standard(asn, None) || large(&|community| community.global == u32::from(asn))
            }
            Self::Standard { asn, value } => standard(asn, value),
            Self::Large { global, local1, local2 } => large(&|community| {
                (community.global, community.local1) == (global, local1)
                    && local2.is_none_or(|value| community.local2 == value)
            }),
        }
    }
}

impl FromStr for CommunityPattern {
    type Err = NotARule;

    fn from_str(text: &str) -> Result<Self, NotARule> {
        let parts: Vec<&str> = text.split(':').collect();
        match parts.as_slice() {
            [asn, "*"] => Ok(Self::Standard { asn: number(asn)?, value: None }),
            [asn, value] => Ok(Self::Standard { asn: number(asn)?, value: Some(number(value)?) }),
            [global, local1, rest] => {
                let local2 = if *rest == "*" { None } else { Some(number(rest)?) };
                Ok(Self::Large { global: number(global)?, local1: number(local1)?, local2 })
            }
            _ => Err(NotARule),
        }
    }
}

impl fmt::Display for CommunityPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standard { asn, value: Some(value) } => write!(f, "{asn}:{value}"),
            Self::Standard { asn, value: None } => write!(f, "{asn}:*"),
            Self::Large { global, local1, local2: Some(local2) } => write!(f, "{global}:{local1}:{local2}"),
            Self::Large { global, local1, local2: None } => write!(f, "{global}:{local1}:*"),
        }
    }
}

/// A text that is no rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a rule: write a prefix, as \"10.200.0.0/16 le 24\" or \"deny 10.200.9.0/24\", or a community, as \
     \"12076:*\" or \"64512:1:2\""
)]
pub struct NotARule;

/// Digits alone: the standard library would take a sign.
fn number<T: FromStr>(text: &str) -> Result<T, NotARule> {
    let digits = text.bytes().all(|octet| octet.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or(NotARule)
}

/// Of a VPN's paths, and what others count a missing one as.
pub const LOCAL_PREF: u32 = 100;
/// Of a Direct Connect's or ExpressRoute's paths: the VPN beside it is the spare.
pub const LOCAL_PREF_PRIVATE_LINE: u32 = 200;
