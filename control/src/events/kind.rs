//! What can happen: a code, a word and a message identifier of each. None is ever given another meaning.

use core::fmt::Write;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// `GTH-EVT-01`.
    pub code: &'static str,
    /// `tunnel-up`.
    pub name: &'static str,
    /// When it is told.
    pub when: &'static str,
}

/// The constants, and the list of all of them.
macro_rules! kinds {
    ($($constant:ident = $code:literal $name:literal $when:literal;)*) => {
        $(#[doc = concat!("`", $name, "`: ", $when, ". The value of a log line's field `event`.")]
        pub const $constant: &str = $code;)*

        /// Every kind, in the order of the codes.
        pub const ALL: &[Kind] = &[$(Kind { code: $code, name: $name, when: $when },)*];
    };
}

kinds! {
    TUNNEL_UP = "GTH-EVT-01" "tunnel-up" "a tunnel has its SAs and can carry traffic";
    TUNNEL_DOWN = "GTH-EVT-02" "tunnel-down" "a tunnel has lost its SAs, or was taken down";
    TUNNEL_FAILED = "GTH-EVT-03" "tunnel-failed" "a tunnel cannot be built; it is tried again";
    IKE_REKEYED = "GTH-EVT-04" "ike-rekeyed" "the IKE SA of a tunnel was rekeyed";
    CHILD_REKEYED = "GTH-EVT-05" "child-rekeyed" "the child SA of a tunnel was rekeyed";
    REKEY_FAILED = "GTH-EVT-06" "rekey-failed" "a rekey failed; the SA lives on and it is tried again";
    IKE_REPLACED = "GTH-EVT-07" "ike-replaced" "another IKE SA took the place of a tunnel's";
    LIFETIME_NEARS_END = "GTH-EVT-08" "lifetime-nears-end" "an SA has used three quarters of what it may carry";
    LIFETIME_ENDED = "GTH-EVT-09" "lifetime-ended" "an SA was used up before it was rekeyed";
    FAILOVER = "GTH-EVT-10" "failover" "the traffic of a connection moved";
    PEER_SILENT = "GTH-EVT-11" "peer-silent" "nothing is heard of a peer inside its tunnel";
    PEER_HEARD = "GTH-EVT-12" "peer-heard" "a peer that was silent is heard again";
    PEER_MOVED = "GTH-EVT-13" "peer-moved" "a peer's outer address or port changed, as behind a NAT";
    BGP_UP = "GTH-EVT-20" "bgp-up" "the BGP session of a tunnel is established";
    BGP_DOWN = "GTH-EVT-21" "bgp-down" "the BGP session of a tunnel ended";
    BGP_FAILED = "GTH-EVT-22" "bgp-failed" "the BGP session of a tunnel cannot be established";
    ROUTE_REFUSED = "GTH-EVT-23" "route-refused" "a route of a peer is not taken";
    UPDATE_FLAWED = "GTH-EVT-24" "update-flawed" "an UPDATE of a peer is not sound";
    NOT_OFFERED = "GTH-EVT-25" "not-offered" "a prefix is not offered to a peer";
    NOT_ROUTED = "GTH-EVT-30" "not-routed" "a prefix may not be routed on this host";
    ROUTES_FAILED = "GTH-EVT-31" "routes-failed" "the kernel's routes are not as they should be";
    OVERLAP = "GTH-EVT-32" "overlap" "two networks claim the same prefix";
    STARTED = "GTH-EVT-40" "started" "the daemon runs";
    ENDING = "GTH-EVT-41" "ending" "the daemon ends";
    RELOADED = "GTH-EVT-42" "reloaded" "a configuration was taken";
    RELOAD_REFUSED = "GTH-EVT-43" "reload-refused" "a configuration does not hold; the one before stays in force";
    WANTED = "GTH-EVT-44" "wanted" "an operator wants tunnels up or down";
    DRILLED = "GTH-EVT-45" "drilled" "a drill ended";
    HOOK_FAILED = "GTH-EVT-46" "hook-failed" "a hook failed or is not run";
    CLIENT_REFUSED = "GTH-EVT-47" "client-refused" "somebody may not use the control socket";
    PAGE_FAILED = "GTH-EVT-48" "page-failed" "a page on TCP cannot be served; it is tried again";
    DEVICE_FAILED = "GTH-EVT-50" "device-failed" "the device of a tunnel is not there, or failed";
    NO_PATH = "GTH-EVT-51" "no-path" "a peer cannot be asked: this host has no way to it";
    SA_REFUSED = "GTH-EVT-52" "sa-refused" "the packet path refuses an SA";
    PEERS_REFUSED = "GTH-EVT-53" "peers-refused" "IKE messages were refused, from whomever they came";
    LINES_LEFT_OUT = "GTH-EVT-54" "lines-left-out" "input from outside made more lines than are logged";
}

/// The kind with this code.
pub fn of(code: &str) -> Option<&'static Kind> {
    ALL.iter().find(|kind| kind.code == code)
}

impl Kind {
    /// The MESSAGE_ID of the journal (systemd.journal-fields(7)).
    pub fn message_id(&self) -> String {
        message_id(self.code)
    }

    /// Its row of docs/events.md as a page of its own, in Markdown.
    pub fn page(&self) -> String {
        let Self { code, name, when } = self;
        let id = self.message_id();
        format!(
            "# {code}: {when}\n\
             \n\
             The event `{name}`, as the log, the journal, `gotthard events` and the web page tell it. Where something failed it has a\n\
             `cause`: a code that `gotthard explain` knows too. What else an event has: docs/events.md.\n\
             \n\
             ## In the journal\n\
             \n\
             ```sh\n\
             journalctl MESSAGE_ID={id}\n\
             ```\n"
        )
    }
}

/// The MESSAGE_ID of any code: a UUID of version 8 (RFC 9562 §5.8), the first 128 bits of the SHA-256 of `gotthard:` and the
/// code. It is thereby the same in every version and on every host.
pub fn message_id(code: &str) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, format!("gotthard:{code}").as_bytes());
    let mut id = [0_u8; 16];
    for (octet, hashed) in id.iter_mut().zip(hash.as_ref()) {
        *octet = *hashed;
    }
    id[6] = (id[6] & 0x0f) | 0x80;
    id[8] = (id[8] & 0x3f) | 0x80;
    id.iter().fold(String::with_capacity(32), |mut text, octet| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{octet:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_words_and_message_identifiers_are_each_of_one_kind() {
        for of in [|kind: &Kind| kind.code.to_owned(), |kind: &Kind| kind.name.to_owned(), Kind::message_id] {
            assert_eq!(ALL.iter().map(of).collect::<BTreeSet<_>>().len(), ALL.len());
        }
        assert!(ALL.iter().all(|kind| kind.code.starts_with("GTH-EVT-")));
    }

    #[test]
    fn the_message_identifier_of_a_code_never_changes() {
        assert_eq!(message_id("GTH-EVT-01"), "61bc5fe6d1db87f390f8cdb3608480f2");
    }

    #[test]
    fn a_page_has_what_the_row_of_a_kind_has() {
        let kind = of(FAILOVER).unwrap();
        let page = kind.page();
        assert!(
            page.starts_with("# GTH-EVT-10: the traffic of a connection moved\n\nThe event `failover`, "),
            "{page}"
        );
        assert!(page.contains("\njournalctl MESSAGE_ID=228e759f7a4387f78ccd57947ca3e1be\n"), "{page}");
    }

    #[test]
    fn the_page_of_the_events_lists_every_kind_with_its_message_identifier() {
        let page = include_str!("../../../docs/events.md");
        for kind in ALL {
            let row =
                format!("| `{}` | `{}` | {} | `{}` |", kind.code, kind.name, kind.when, kind.message_id());
            assert!(page.contains(&row), "docs/events.md lacks the row\n{row}");
        }
        assert_eq!(page.matches("| `GTH-EVT-").count(), ALL.len(), "docs/events.md has a row too many");
    }
}
