//! Why a packet went no further: one row a reason, with its name in `status` and the sentence an operator reads.

/// Declares [`DropReason`] from its rows: variant, name in `status`, sentence.
macro_rules! drop_reasons {
    ($($(#[$doc:meta])* $variant:ident, $name:literal, $sentence:literal;)+) => {
        /// Why a packet was dropped. Every dropped packet has one, and is counted under it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum DropReason {
            $($(#[$doc])* $variant,)+
        }

        impl DropReason {
            /// Every reason, in the order of their counters.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The number of reasons.
            pub const COUNT: usize = Self::ALL.len();

            /// The stable name, as in the JSON of `status`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What an operator reads.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)+ }
            }

            /// The place of its counter, below [`DropReason::COUNT`].
            pub const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

drop_reasons! {
    // From the outer network.
    /// Shorter than the smallest ESP packet of the SA, or than an SPI.
    Runt, "runt", "The packet is too short to be ESP.";
    /// The SPI is one of 1-255, reserved by RFC 4303 §2.1.
    ReservedSpi, "reserved_spi", "The packet carries a reserved SPI (1-255).";
    /// No inbound SA has this SPI.
    UnknownSpi, "unknown_spi", "No SA has this SPI: the peer still sends on an SA that was deleted here, or somebody guesses.";
    /// The ciphertext is not a whole number of cipher blocks.
    Misaligned, "alignment", "The encrypted part is not a whole number of cipher blocks.";
    /// Sequence number 0, never sent by a correct peer (RFC 4303 §3.3.3).
    SequenceZero, "seq_zero", "The packet carries sequence number 0, which is never sent.";
    /// A sequence number received before.
    Replay, "replay", "The packet was received before: a duplicate on the path, or a replay.";
    /// A sequence number left of the replay window.
    ReplayLate, "replay_late", "The packet is older than the replay window: the path reorders by more than the window is wide.";
    /// The integrity check failed.
    Icv, "icv", "The integrity check failed: damaged, forged, or the two ends disagree about the keys or the algorithm.";
    /// The padding is not 1, 2, 3, … or is longer than the payload (RFC 4303 §2.4).
    Padding, "padding", "The padding inside the packet is wrong: a fault of the peer.";
    /// Next header 59: made to be discarded (RFC 4303 §2.6).
    DummyPacket, "dummy", "A dummy packet, sent by the peer to hide traffic patterns.";
    /// Next header neither IPv4 (4), IPv6 (41) nor none (59).
    NextHeader, "next_header", "The packet holds neither IPv4 nor IPv6: the SA is in tunnel mode.";
    /// The next header and the version of the inner packet differ.
    InnerVersion, "inner_version", "The IP version inside differs from the one announced: a fault of the peer.";
    /// The inner IP header is cut short or contradicts itself.
    InnerHeader, "inner_header", "The inner IP header is malformed.";
    /// The inner packet says that it is longer than what arrived.
    InnerLength, "inner_length", "The inner packet is shorter than its header says.";
    /// The inner addresses lie outside what was negotiated.
    Selectors, "selectors", "The inner addresses lie outside the traffic selectors that were negotiated.";
    /// Congestion was marked on a packet that cannot carry the mark (RFC 6040 §4.2).
    CongestionNotEct, "ecn", "A router marked congestion on a packet that does not take part in ECN, so that dropping it is the signal.";
    /// An IKE datagram that found its queue to the control plane full.
    IkeQueueFull, "ike_queue_full", "An IKE message was dropped because the control plane was behind.";
    /// The datagram is longer than a receive buffer.
    Truncated, "truncated", "The datagram is longer than any packet of the tunnel can be.";
    /// The TUN device took no more.
    TunFull, "tun_full", "The TUN device's queue is full.";
    /// The TUN device refused the packet.
    TunFailed, "tun_failed", "The TUN device refused the packet.";

    // From the TUN device.
    /// The tunnel has no outbound SA.
    NoOutboundSa, "no_sa", "The tunnel was not up.";
    /// The virtio header asks for a cut or a checksum that the packet does not bear out.
    Offload, "offload", "The host left the packet to be cut or its checksum to be completed, in a way that does not fit the packet.";
    /// Larger than the SA's inner MTU; answered with ICMP where that is permitted.
    TooBig, "too_big", "The packet is larger than the tunnel's MTU; the sender was told.";
    /// The addresses lie outside what was negotiated, on the way out.
    OutboundSelectors, "outbound_selectors", "A packet was routed into the tunnel whose addresses lie outside the traffic selectors that were negotiated.";
    /// The outbound SA has no sequence number left (RFC 4303 §3.3.3), or has carried all that it may.
    SequenceExhausted, "seq_exhausted", "The SA has used its last sequence number, or all that its lifetime permits, and waits for its replacement.";
    /// The buffer has no room for header, trailer and ICV.
    NoRoom, "no_room", "The packet does not fit in a send buffer.";
    /// The cipher refused the packet.
    Seal, "seal", "The cipher refused the packet.";
    /// The socket took no more.
    SendFull, "send_full", "The socket's send queue is full: the outer network is slower than the traffic.";
    /// The socket refused the packet.
    SendFailed, "send_failed", "The outer network refused the packet: no route, or a firewall.";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_snake_case_and_every_index_is_a_place() {
        let names: HashSet<_> = DropReason::ALL.iter().map(|r| r.name()).collect();
        assert_eq!(names.len(), DropReason::COUNT);
        for (place, reason) in DropReason::ALL.iter().enumerate() {
            assert_eq!(reason.index(), place);
            assert!(reason.name().chars().all(|c| c.is_ascii_lowercase() || c == '_'));
            assert!(reason.sentence().ends_with('.') && reason.sentence().len() > 10);
        }
    }
}
