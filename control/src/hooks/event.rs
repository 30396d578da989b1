//! What a hook is told: an event as environment variables. Pure.
//!
//! `GOTTHARD_*` is our own contract. The two events that strongSwan's updown plugin knows have its `PLUTO_*` names too, so
//! that a script written for it runs unchanged. Every variable of an event is there, empty where there is nothing to say.

use core::fmt::Display;
use core::time::Duration;
use std::net::IpAddr;

use ipnet::IpNet;

/// Something that hooks are run for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Name of the connection.
    pub connection: String,
    /// The tunnel; `None` where the event is the connection's.
    pub tunnel: Option<Tunnel>,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A tunnel has its SAs.
    TunnelUp,
    /// A tunnel has lost them, or they are being deleted.
    TunnelDown(Reason),
    /// The traffic of a connection moved. Names of tunnels; empty: none carries it.
    Failover {
        /// Who carried.
        from: Vec<String>,
        /// Who carries.
        to: Vec<String>,
        /// How long nobody did in between, where somebody broke.
        gap: Option<Duration>,
    },
    /// A BGP session is established.
    BgpUp,
    /// A BGP session ended.
    BgpDown(Reason),
    /// An SA was rekeyed.
    Rekey {
        /// `ike` or `child`.
        sa: &'static str,
        /// From the request to the new SA in use.
        took: Duration,
    },
}

/// Why something ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reason {
    /// Stable code, such as `GTH-IKE-10`; empty: there is none.
    pub code: &'static str,
    /// One sentence. A peer may have had a hand in it.
    pub message: String,
}

/// The tunnel of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// Its name.
    pub name: String,
    /// Name of the TUN device.
    pub interface: String,
    /// Our outer address, once it is known.
    pub local: Option<IpAddr>,
    /// Outer address of the peer.
    pub peer: IpAddr,
    /// The identity that we show.
    pub local_id: String,
    /// The identity that the peer shows.
    pub peer_id: String,
    /// Our inside address with its prefix length.
    pub inside: Option<IpNet>,
    /// The peer's inside address.
    pub peer_inside: Option<IpAddr>,
    /// The peer's AS number.
    pub peer_asn: Option<u32>,
    /// Largest inner packet in octets, while there is a child SA.
    pub mtu: Option<u16>,
    /// ESP goes in UDP.
    pub in_udp: bool,
}

/// What of a tunnel or connection an event tells: a later event of the same subject makes an earlier one old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Up or down.
    Tunnel,
    /// The BGP session.
    Bgp,
    /// Who carries.
    Failover,
    /// Rekeys.
    Rekey,
}

impl Event {
    /// `GOTTHARD_EVENT`.
    pub const fn name(&self) -> &'static str {
        match self.what {
            What::TunnelUp => "tunnel-up",
            What::TunnelDown(_) => "tunnel-down",
            What::Failover { .. } => "failover",
            What::BgpUp => "bgp-up",
            What::BgpDown(_) => "bgp-down",
            What::Rekey { .. } => "rekey",
        }
    }

    /// What it tells.
    pub const fn subject(&self) -> Subject {
        match self.what {
            What::TunnelUp | What::TunnelDown(_) => Subject::Tunnel,
            What::BgpUp | What::BgpDown(_) => Subject::Bgp,
            What::Failover { .. } => Subject::Failover,
            What::Rekey { .. } => Subject::Rekey,
        }
    }

    /// Whose events are run one after the other.
    pub fn lane(&self) -> (String, Option<String>) {
        (self.connection.clone(), self.tunnel.as_ref().map(|tunnel| tunnel.name.clone()))
    }

    /// The whole environment of a hook. `missed`: events of the same lane that were dropped right before this one.
    pub fn environment(&self, missed: u64) -> Vec<(&'static str, String)> {
        let tunnel = self.tunnel.as_ref();
        let of = |read: fn(&Tunnel) -> String| tunnel.map(read).unwrap_or_default();
        let reason = match &self.what {
            What::TunnelDown(reason) | What::BgpDown(reason) => reason.clone(),
            What::TunnelUp | What::Failover { .. } | What::BgpUp | What::Rekey { .. } => Reason::default(),
        };
        let (from, to, gap) = if let What::Failover { from, to, gap } = &self.what {
            (from.join(" "), to.join(" "), optional(gap.map(|gap| gap.as_millis())))
        } else {
            (String::new(), String::new(), String::new())
        };
        let (sa, took) = if let What::Rekey { sa, took } = self.what {
            (sa, took.as_millis().to_string())
        } else {
            ("", String::new())
        };
        let mut variables = vec![
            ("GOTTHARD_EVENT", self.name().to_owned()),
            ("GOTTHARD_CONNECTION", value(&self.connection)),
            ("GOTTHARD_TUNNEL", of(|tunnel| value(&tunnel.name))),
            ("GOTTHARD_INTERFACE", of(|tunnel| value(&tunnel.interface))),
            ("GOTTHARD_LOCAL", of(|tunnel| optional(tunnel.local))),
            ("GOTTHARD_PEER", of(|tunnel| tunnel.peer.to_string())),
            ("GOTTHARD_INSIDE", of(|tunnel| optional(tunnel.inside))),
            ("GOTTHARD_PEER_INSIDE", of(|tunnel| optional(tunnel.peer_inside))),
            ("GOTTHARD_PEER_ASN", of(|tunnel| optional(tunnel.peer_asn))),
            ("GOTTHARD_MTU", of(|tunnel| optional(tunnel.mtu))),
            ("GOTTHARD_REASON", reason.code.to_owned()),
            ("GOTTHARD_MESSAGE", value(&reason.message)),
            ("GOTTHARD_FROM", value(from)),
            ("GOTTHARD_TO", value(to)),
            ("GOTTHARD_GAP_MS", gap),
            ("GOTTHARD_SA", sa.to_owned()),
            ("GOTTHARD_TOOK_MS", took),
            ("GOTTHARD_MISSED", missed.to_string()),
        ];
        if let Some(tunnel) = tunnel {
            match self.what {
                What::TunnelUp => variables.extend(self.pluto("up-client", tunnel)),
                What::TunnelDown(_) => variables.extend(self.pluto("down-client", tunnel)),
                What::Failover { .. } | What::BgpUp | What::BgpDown(_) | What::Rekey { .. } => {}
            }
        }
        variables
    }

    /// The interface of strongSwan's updown plugin, version 1.1. Our traffic selectors are everything, of the family of
    /// the inside address; `-v6` at the end of the verb says that this is IPv6.
    fn pluto(&self, verb: &str, tunnel: &Tunnel) -> Vec<(&'static str, String)> {
        let v6 = tunnel.inside.is_some_and(|inside| inside.addr().is_ipv6());
        let (verb, everything) =
            if v6 { (format!("{verb}-v6"), "::/0") } else { (verb.to_owned(), "0.0.0.0/0") };
        let mut variables = vec![
            ("PLUTO_VERSION", "1.1".to_owned()),
            ("PLUTO_VERB", verb),
            ("PLUTO_CONNECTION", value(&self.connection)),
            ("PLUTO_INTERFACE", value(&tunnel.interface)),
            ("PLUTO_PROTO", "esp".to_owned()),
            ("PLUTO_ME", optional(tunnel.local)),
            ("PLUTO_MY_ID", value(&tunnel.local_id)),
            ("PLUTO_MY_CLIENT", everything.to_owned()),
            ("PLUTO_MY_PORT", "0".to_owned()),
            ("PLUTO_MY_PROTOCOL", "0".to_owned()),
            ("PLUTO_PEER", tunnel.peer.to_string()),
            ("PLUTO_PEER_ID", value(&tunnel.peer_id)),
            ("PLUTO_PEER_CLIENT", everything.to_owned()),
            ("PLUTO_PEER_PORT", "0".to_owned()),
            ("PLUTO_PEER_PROTOCOL", "0".to_owned()),
        ];
        if tunnel.in_udp {
            variables.push(("PLUTO_UDP_ENC", UDP_ENCAPSULATION.to_owned()));
        }
        variables
    }
}

fn optional(value: Option<impl Display>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// A text on one line, of bounded length: a peer or a certificate may have had a hand in it.
fn value(text: impl Display) -> String {
    let plain = |c: char| if c.is_control() { '?' } else { c };
    text.to_string().chars().take(MAX_VALUE).map(plain).collect()
}

/// Characters of a variable.
const MAX_VALUE: usize = 512;
/// Where ESP in UDP is sent to (RFC 3948).
const UDP_ENCAPSULATION: &str = "4500";

#[cfg(test)]
mod tests {
    use super::*;

    fn tunnel(inside: &str) -> Tunnel {
        Tunnel {
            name: "1".to_owned(),
            interface: "gth0".to_owned(),
            local: Some([203, 0, 113, 10].into()),
            peer: [198, 51, 100, 11].into(),
            local_id: "203.0.113.10".to_owned(),
            peer_id: "C=CH, CN=a\nb".to_owned(),
            inside: inside.parse().ok(),
            peer_inside: Some([169, 254, 10, 1].into()),
            peer_asn: None,
            mtu: Some(1438),
            in_udp: true,
        }
    }

    fn event(inside: &str, what: What) -> Event {
        Event { connection: "aws-prod".to_owned(), tunnel: Some(tunnel(inside)), what }
    }

    fn lines(event: &Event) -> Vec<String> {
        event.environment(2).iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    #[test]
    fn a_tunnel_that_comes_up_has_our_names_and_strongswans() {
        let expected = "GOTTHARD_EVENT=tunnel-up GOTTHARD_CONNECTION=aws-prod GOTTHARD_TUNNEL=1 GOTTHARD_INTERFACE=gth0 \
             GOTTHARD_LOCAL=203.0.113.10 GOTTHARD_PEER=198.51.100.11 GOTTHARD_INSIDE=169.254.10.2/30 \
             GOTTHARD_PEER_INSIDE=169.254.10.1 GOTTHARD_PEER_ASN= GOTTHARD_MTU=1438 GOTTHARD_REASON= GOTTHARD_MESSAGE= \
             GOTTHARD_FROM= GOTTHARD_TO= GOTTHARD_GAP_MS= GOTTHARD_SA= GOTTHARD_TOOK_MS= GOTTHARD_MISSED=2 PLUTO_VERSION=1.1 PLUTO_VERB=up-client \
             PLUTO_CONNECTION=aws-prod PLUTO_INTERFACE=gth0 PLUTO_PROTO=esp PLUTO_ME=203.0.113.10 \
             PLUTO_MY_ID=203.0.113.10 PLUTO_MY_CLIENT=0.0.0.0/0 PLUTO_MY_PORT=0 PLUTO_MY_PROTOCOL=0 \
             PLUTO_PEER=198.51.100.11 PLUTO_PEER_ID=C=CH,|CN=a?b PLUTO_PEER_CLIENT=0.0.0.0/0 PLUTO_PEER_PORT=0 \
             PLUTO_PEER_PROTOCOL=0 PLUTO_UDP_ENC=4500";
        let expected: Vec<String> = expected.split(' ').map(|word| word.replace('|', " ")).collect();
        assert_eq!(lines(&event("169.254.10.2/30", What::TunnelUp)), expected);
    }

    #[test]
    fn a_tunnel_that_goes_down_says_why_and_which_family() {
        let reason = Reason { code: "GTH-IKE-10", message: "x\u{1b}[2J".repeat(1000) };
        let lines = lines(&event("fd00::2/126", What::TunnelDown(reason)));
        for expected in ["GOTTHARD_REASON=GTH-IKE-10", "PLUTO_VERB=down-client-v6", "PLUTO_PEER_CLIENT=::/0"]
        {
            assert!(lines.iter().any(|line| line == expected), "{expected}: {lines:?}");
        }
        let message = lines.iter().find(|line| line.starts_with("GOTTHARD_MESSAGE=")).unwrap();
        assert_eq!(message.len(), "GOTTHARD_MESSAGE=".len() + MAX_VALUE);
        assert!(message.starts_with("GOTTHARD_MESSAGE=x?[2Jx?[2J"));
    }

    #[test]
    fn a_failover_is_the_connections_and_unknown_to_strongswan() {
        let what = What::Failover {
            from: vec!["1".to_owned()],
            to: vec!["2".to_owned(), "3".to_owned()],
            gap: Some(Duration::from_millis(950)),
        };
        let event = Event { connection: "aws-prod".to_owned(), tunnel: None, what };
        let lines = lines(&event);
        assert!(
            lines.contains(&"GOTTHARD_FROM=1".to_owned()) && lines.contains(&"GOTTHARD_TO=2 3".to_owned())
        );
        assert!(lines.contains(&"GOTTHARD_GAP_MS=950".to_owned()), "{lines:?}");
        assert!(lines.contains(&"GOTTHARD_PEER=".to_owned()), "every variable of ours is there: {lines:?}");
        assert!(lines.iter().all(|line| !line.starts_with("PLUTO_")), "{lines:?}");
        assert_eq!(event.lane(), ("aws-prod".to_owned(), None));
    }
}
