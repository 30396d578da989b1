//! The bound of every table and the time of everything that waits (RFC 7296 leaves them to us).

use core::time::Duration;

/// Half-open IKE SAs as responder, over all sources.
pub const HALF_OPEN: usize = 1024;

/// Half-open IKE SAs of one source address.
pub const HALF_OPEN_PER_ADDRESS: usize = 16;

/// Half-open IKE SAs of one IPv4 /24 or IPv6 /64.
pub const HALF_OPEN_PER_PREFIX: usize = 64;

/// Half-open IKE SAs over all sources above which every initiator is asked for a cookie (RFC 7296 §2.6).
pub const COOKIE_HALF_OPEN: usize = 64;

/// Half-open IKE SAs of one address above which it is asked for a cookie.
pub const COOKIE_HALF_OPEN_PER_ADDRESS: usize = 4;

/// Half-open IKE SAs of one IPv4 /24 or IPv6 /64 above which it is asked for a cookie.
pub const COOKIE_HALF_OPEN_PER_PREFIX: usize = 16;

/// Time a secret makes cookies; it is good for checking them once as long.
pub const COOKIE_SECRET_LIFETIME: Duration = Duration::from_mins(1);

/// Refusals in the clear that may follow each other at once.
pub const REFUSALS: u32 = 64;

/// How many of them are kept for initiators that sent a cookie back.
pub const REFUSALS_RESERVE: u32 = 32;

/// Time after which one more may be refused in the clear.
pub const REFUSAL_INTERVAL: Duration = Duration::from_millis(10);

/// Time an initiator has to authenticate after IKE_SA_INIT.
pub const HALF_OPEN_LIFETIME: Duration = Duration::from_secs(30);

/// IKE SAs of one peer at a time: the one in use, those that linger, those that are being replaced.
pub const IKE_SAS_PER_PEER: usize = 8;

/// Child SAs of one IKE SA: the one in use and those that were rekeyed and wait for their Delete.
pub const CHILDREN: usize = 8;

/// Deleted child SAs of one IKE SA whose inbound still takes late packets; beyond it the oldest goes before its time.
pub const CHILDREN_IN_GRACE: usize = 64;

/// Requests that wait for the window of one IKE SA.
pub const TASKS: usize = 16;

/// Messages and requests of all IKE SAs that wait for a value which is being computed.
pub const PARKED: usize = 4096;

/// Certificates that a peer sends, its own and those up to the authority.
pub const CERTIFICATES: usize = 8;

/// Octets of one certificate; one of RSA-4096 with many names has 3 KiB.
pub const CERTIFICATE_LEN: usize = 16 * 1024;

/// COOKIE and INVALID_KE_PAYLOAD answers that one attempt or rekey follows (RFC 7296 §2.6.1).
pub const INIT_ROUNDS: u32 = 6;

/// IP datagram in octets that a path is expected to carry: the least MTU of IPv6, and below that of every usual tunnel.
pub const FRAGMENT_SIZE: u16 = 1280;

/// IP datagram in octets that every IPv4 path carries in practice (RFC 7383 §2.5.1).
pub const LEAST_DATAGRAM_V4: u16 = 576;

/// IP datagram in octets that every IPv6 path carries (RFC 8200 §5).
pub const LEAST_DATAGRAM_V6: u16 = 1280;

/// Transmissions of a message before it is cut into the smallest fragments: a lost datagram is likelier than a narrow path.
pub const WIDE_TRANSMISSIONS: u32 = 2;

/// Longest cookie (RFC 7296 §2.6).
pub const COOKIE: usize = 64;

/// Time a COOKIE waits for a genuine answer that overtakes it: who forges one must also silence the peer.
pub const COOKIE_GRACE: Duration = Duration::from_millis(50);

/// Time a clear-text NO_PROPOSAL_CHOSEN waits for a genuine answer before the attempt ends.
pub const HINT_GRACE: Duration = Duration::from_millis(1500);

/// Shortest time between two liveness checks that hints start.
pub const HINT_INTERVAL: Duration = Duration::from_secs(10);

/// Time an ended IKE SA still answers retransmissions of the peer's last request.
pub const LINGER: Duration = Duration::from_secs(10);

/// Time the inbound of a child SA outlives its Delete: packets that are under way still arrive.
pub const INBOUND_GRACE: Duration = Duration::from_secs(5);

/// Time after which we send on a child SA that the peer's rekey made, if no sign came that the answer arrived: longer
/// than an initiator like us goes on asking, since all of what it asks may be lost.
pub const SWITCH_OUTBOUND: Duration = Duration::from_secs(12);

/// Time the peer has to delete the IKE SA that it rekeyed or that lost against another one.
pub const REDUNDANT_LIFETIME: Duration = Duration::from_secs(30);

/// Time after which we delete the IKE SA of ours that lost against one that the peer made at the same time: until then
/// it may have to carry our packets.
pub const GIVE_WAY: Duration = Duration::from_secs(15);

/// Longest time after which a rekey is tried again that the peer has put off (RFC 7296 §2.25).
pub const REKEY_RETRY: Duration = Duration::from_secs(8);

/// Shortest time that an authentication lasts, however soon the peer wants to see the next: two IKE SAs overlap for half
/// of it.
pub const AUTHENTICATION: Duration = Duration::from_secs(20);

/// Time after which another IKE SA is asked for again where a new authentication is due (RFC 4478).
pub const REAUTHENTICATE_AGAIN: Duration = Duration::from_secs(30);

/// Silence of ours after which the translator before us is reminded of our mapping (RFC 3948 §4).
pub const KEEPALIVE: Duration = Duration::from_secs(20);

/// Time that both IKE SAs live after a new authentication: longer than [`SWITCH_OUTBOUND`], so that the peer sends with
/// the new one when the old one goes.
pub const OVERLAP: Duration = Duration::from_secs(10);

/// Time an IKE SA may live without a child: the peer may be about to make a new one.
pub const CHILDLESS: Duration = Duration::from_secs(5);

/// Shortest time between two reports of one peer's requests that we refuse.
pub const REFUSAL_REPORT: Duration = Duration::from_secs(1);

/// Shortest time between two reports that a peer speaks IKEv1.
pub const IKE_V1_REPORT: Duration = Duration::from_mins(1);
