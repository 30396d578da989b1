//! The keys of a connection that concern BGP: the policy, which a daemon beside us can be told too (`gotthard export`), and
//! what only the embedded speaker has.

use core::ops::RangeInclusive;
use core::str::FromStr;
use core::time::Duration;

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use zeroize::Zeroizing;

use super::document::{Table, Value};
use super::model::{Config, Psk, Routing, Tunnel};
use super::presets::Cloud;
use super::secret::{FileKind, SecretSource};
use super::values;
use crate::bgp::guard::Site;
use crate::bgp::overlap::{Claim, Owner};
use crate::bgp::policy::{Action, CommunityRule, Export, Filter, Import, PrefixList, PrefixRule};
use crate::bgp::quota::{DEFAULT_LIMIT, Excess};

/// What the BGP sessions of a connection take and offer, whoever speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What is taken from the peers.
    pub import: Import,
    /// What is offered to them.
    pub export: Export,
    /// How many prefixes each session takes.
    pub max_prefixes: usize,
    /// Silence in seconds after which a peer is lost; the lower one of both ends counts.
    pub hold_time: u16,
}

/// The sessions of the embedded speaker.
#[derive(Clone, Debug, PartialEq)]
pub struct Bgp {
    /// What happens to a session above the most prefixes that it takes.
    pub excess: Excess,
    /// The peers open the TCP connections.
    pub passive: bool,
    /// Packets of the peer must not have crossed a router (RFC 5082).
    pub ttl_security: bool,
    /// The key that TCP segments are signed with (RFC 2385).
    pub password: Option<Psk>,
    /// Seconds that routes outlive a session that restarts (RFC 4724); `None`: they do not.
    pub restart_time: Option<u16>,
}

impl Policy {
    /// Reads the keys; `None` where routing is static, and each of them is refused.
    pub(super) fn read(table: &Table<'_>, routing: Option<Routing>, cloud: Cloud) -> Option<Self> {
        if !matches!(routing, Some(Routing::Bgp | Routing::External)) {
            for value in POLICY_KEYS.into_iter().filter_map(|key| table.value(key)) {
                value.refuse::<()>(
                    "is for routing = \"bgp\" or \"external\" only",
                    "remove it, or write routing = \"bgp\"",
                );
            }
            return None;
        }
        let filter = |key| table.read(key, prefix_list).map_or(Filter::Guarded, Filter::Listed);
        let default_route = table.read("default_route", Value::boolean).unwrap_or(false);
        Some(Self {
            import: Import {
                filter: filter("import"),
                default_route,
                local_pref: table.read("local_pref", local_pref),
                communities: table.read("communities", communities).unwrap_or_default(),
            },
            export: Export {
                filter: filter("export"),
                default_route,
                limit: table.read("max_advertised", count).unwrap_or(cloud.max_advertised()),
            },
            max_prefixes: table.read("max_prefixes", count).unwrap_or(DEFAULT_LIMIT),
            hold_time: table.read("hold_time", |value| seconds(value, &HOLD)).unwrap_or(cloud.hold_time()),
        })
    }
}

impl Bgp {
    /// Reads the keys; `None` where the sessions are not ours, and each of them is refused.
    pub(super) fn read(
        table: &Table<'_>,
        routing: Option<Routing>,
        secrets: &dyn SecretSource,
    ) -> Option<Self> {
        if routing != Some(Routing::Bgp) {
            let remedy = match routing {
                Some(Routing::External) => {
                    "remove it, and set it in FRR or BIRD: `gotthard export` writes nothing of it"
                }
                Some(Routing::Static | Routing::Bgp) | None => "remove it, or write routing = \"bgp\"",
            };
            for value in SPEAKER_KEYS.into_iter().filter_map(|key| table.value(key)) {
                value.refuse::<()>("is for routing = \"bgp\" only", remedy);
            }
            return None;
        }
        let restart = table.read("graceful_restart", |value| seconds(value, &RESTART));
        Some(Self {
            excess: table
                .read("max_prefixes_action", |value| values::choice(value, &EXCESS))
                .unwrap_or(Excess::Keep),
            passive: table.read("passive", Value::boolean).unwrap_or(false),
            ttl_security: table.read("ttl_security", Value::boolean).unwrap_or(false),
            password: password(table, secrets),
            restart_time: Some(restart.unwrap_or(RESTART_TIME)).filter(|time| *time > 0),
        })
    }
}

impl Config {
    /// What of our own is kept from all peers.
    pub fn site(&self) -> Site {
        let tunnels = || self.tunnels().map(|(_, tunnel)| tunnel);
        let linked = tunnels().flat_map(Tunnel::insides).map(|inside| inside.trunc());
        let peers = tunnels().filter_map(|tunnel| tunnel.peer_inside).map(IpNet::from);
        Site {
            asn: self.gateway.asn.unwrap_or_default(),
            networks: self.gateway.advertise.clone(),
            outer: tunnels().map(|tunnel| tunnel.peer).chain(self.gateway.local.address()).collect(),
            insides: linked.chain(peers).collect(),
        }
    }

    /// The prefixes that the file itself gives to a network: ours, and those behind connections with static routes.
    pub fn claims(&self) -> Vec<Claim> {
        let ours = self.gateway.advertise.iter().map(|prefix| (prefix, Owner::Ourselves));
        let behind = self.connections.iter().flat_map(|connection| {
            // `remote` states no preference.
            let owner = Owner::Connection { name: connection.name.clone(), local_pref: 0 };
            connection.remote.iter().map(move |prefix| (prefix, owner.clone()))
        });
        ours.chain(behind).map(|(prefix, owner)| Claim { prefix: prefix.trunc(), owner }).collect()
    }

    /// Our BGP Identifier, the same in every session (RFC 4271 §4.2): our outer address, else the first inside one; `None`:
    /// all is IPv6.
    pub fn router_id(&self) -> Option<Ipv4Addr> {
        let insides = self.tunnels().filter_map(|(_, tunnel)| tunnel.inside).map(|inside| inside.addr());
        let mut known = self.gateway.local.address().into_iter().chain(insides);
        known.find_map(|address| if let IpAddr::V4(v4) = address { Some(v4) } else { None })
    }
}

/// `["10.200.0.0/16 le 24", "deny 10.200.9.0/24"]`.
fn prefix_list(value: &Value<'_>) -> Option<PrefixList> {
    let remedy = "write a list of rules, such as [\"10.200.0.0/16 le 24\", \"deny 10.200.9.0/24\"]";
    let rules: Option<Vec<PrefixRule>> =
        value.array(remedy)?.iter().map(|rule| parsed(rule, remedy)).collect();
    rules.map(PrefixList)
}

/// `[{ match = "12076:*", local_pref = 200 }, { match = "64512:666", refuse = true }]`.
fn communities(value: &Value<'_>) -> Option<Vec<CommunityRule>> {
    let rules = value.array(COMMUNITIES_REMEDY)?;
    let rules: Vec<Option<CommunityRule>> = rules.iter().map(community_rule).collect();
    rules.into_iter().collect()
}

fn community_rule(value: &Value<'_>) -> Option<CommunityRule> {
    let table = value.table(COMMUNITIES_REMEDY)?;
    let pattern = table.require("match", COMMUNITIES_REMEDY, |value| parsed(value, COMMUNITIES_REMEDY));
    let preference = table.read("local_pref", local_pref);
    let refuse = table.read("refuse", Value::boolean).unwrap_or(false);
    table.finish();
    let action = match (preference, refuse) {
        (Some(preference), false) => Action::LocalPref(preference),
        (None, true) => Action::Refuse,
        (Some(_), true) | (None, false) => {
            return value.refuse("says not what to do, or two things", COMMUNITIES_REMEDY);
        }
    };
    Some(CommunityRule { pattern: pattern?, action })
}

fn parsed<T: FromStr>(value: &Value<'_>, remedy: &str) -> Option<T> {
    let written = value.string(remedy)?;
    written.parse().ok().or_else(|| value.refuse(format!("{} is no rule", values::shown(written)), remedy))
}

/// At most one of `bgp_password` and `bgp_password_file`.
fn password(table: &Table<'_>, secrets: &dyn SecretSource) -> Option<Psk> {
    let (text, file) = (table.value("bgp_password"), table.value("bgp_password_file"));
    let (value, secret) = match (&text, &file) {
        (None, None) => return None,
        (Some(_), Some(file)) => return file.refuse("is there beside bgp_password", "remove one of the two"),
        (Some(text), None) => (text, Zeroizing::new(text.string(PASSWORD_REMEDY)?.as_bytes().to_vec())),
        (None, Some(file)) => {
            let name = file.string(PASSWORD_REMEDY)?;
            match secrets.read(file.place().file(), name, FileKind::BgpPassword) {
                Ok(secret) => (file, secret),
                Err(error) => return file.refuse(error.problem, error.remedy),
            }
        }
    };
    if !(1..=MAX_PASSWORD).contains(&secret.len()) {
        return value.refuse(
            format!("a BGP password has 1 to {MAX_PASSWORD} octets"),
            "write the key that both ends are given",
        );
    }
    Some(Psk(secret))
}

fn local_pref(value: &Value<'_>) -> Option<u32> {
    u32::try_from(value.integer(&(0..=u64::from(u32::MAX)))?).ok()
}

fn count(value: &Value<'_>) -> Option<usize> {
    usize::try_from(value.integer(&COUNT)?).ok()
}

fn seconds(value: &Value<'_>, bounds: &RangeInclusive<Duration>) -> Option<u16> {
    u16::try_from(values::duration(value, bounds)?.as_secs()).ok()
}

const POLICY_KEYS: [&str; 8] = [
    "import",
    "export",
    "default_route",
    "local_pref",
    "communities",
    "max_prefixes",
    "max_advertised",
    "hold_time",
];
const SPEAKER_KEYS: [&str; 6] = [
    "max_prefixes_action",
    "passive",
    "ttl_security",
    "graceful_restart",
    "bgp_password",
    "bgp_password_file",
];
const EXCESS: [(&str, Excess); 2] = [("keep", Excess::Keep), ("tear-down", Excess::TearDown)];
const COMMUNITIES_REMEDY: &str =
    "write [{ match = \"12076:*\", local_pref = 200 }] or [{ match = \"64512:666\", refuse = true }]";
const PASSWORD_REMEDY: &str =
    "write bgp_password_file = \"FILE\" (a file of mode 0640 or less) or bgp_password = \"…\"";

/// 100,000 prefixes are some tens of megabytes a session.
const COUNT: RangeInclusive<u64> = 1..=100_000;
/// RFC 4271 §4.2: less than three seconds is no hold time.
const HOLD: RangeInclusive<Duration> = Duration::from_secs(3)..=Duration::from_secs(65_535);
/// The field has twelve bits (RFC 4724 §3).
const RESTART: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(4095);
/// What BIRD, FRR and the clouds ask for.
const RESTART_TIME: u16 = 120;
/// `TCP_MD5SIG_MAXKEYLEN` of Linux.
const MAX_PASSWORD: usize = 80;
