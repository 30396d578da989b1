//! The peer of the endpoint under test: it makes each message of IKEv2 as it should be, with the right keys, from the
//! codec and the cryptography alone. What is wrong with a message the script adds.

use gotthard_ike::codec::header::{Flags, Header};
use gotthard_ike::codec::iana::{AuthMethod, ExchangeType, NotifyType, PayloadType, ProtocolId};
use gotthard_ike::codec::message::{Message, emit_clear};
use gotthard_ike::codec::payload::auth::Authentication;
use gotthard_ike::codec::payload::id::Identification;
use gotthard_ike::codec::payload::ke::KeyExchange;
use gotthard_ike::codec::payload::nonce::Nonce;
use gotthard_ike::codec::payload::notify::Notify;
use gotthard_ike::codec::payload::select::Select;
use gotthard_ike::codec::payload::{Payload, emit_chain, parse_chain};
use gotthard_ike::crypto::Random as _;
use gotthard_ike::crypto::auth::{Signed, psk_auth};
use gotthard_ike::crypto::dh::{DhSecret, SharedSecret};
use gotthard_ike::crypto::keymat::SkeySeed;
use gotthard_ike::crypto::prf::Prf;
use gotthard_ike::crypto::protect::{seal_fragments, seal_message};
use gotthard_ike::suite::IkeSuite;

use super::draft::Draft;
use super::keyed::Keyed;
use super::offer::{esp_sa, ike_sa, selectors};
use super::world::{Counting, IKE_SUITE, PSK, THEIRS};

/// The peer.
pub(super) struct Peer {
    random: Counting,
    suite: IkeSuite,
    sas: Vec<Keyed>,
    /// Our IKE_SA_INIT request that waits for its response.
    init: Option<Asking>,
    /// Our CREATE_CHILD_SA request for an IKE SA that waits for its response.
    rekey: Option<Asking>,
    /// The endpoint's latest request.
    asked: Option<Asked>,
    /// The chains of payloads that were sealed, as octets: what the endpoint may have learned from us.
    sealed: Vec<Vec<u8>>,
    /// The value that proves our pre-shared key, of each IKE SA that has one.
    proofs: Vec<Vec<u8>>,
}

/// A key exchange that we began.
struct Asking {
    spi_i: u64,
    dh: DhSecret,
    nonce_i: Vec<u8>,
    datagram: Vec<u8>,
}

/// A request of the endpoint.
struct Asked {
    header: Header,
    /// By which of our IKE SAs; `None` in the clear.
    sa: Option<usize>,
    datagram: Vec<u8>,
    first: PayloadType,
    chain: Vec<u8>,
}

impl Peer {
    pub(super) fn new() -> Self {
        Self {
            random: Counting::new(2),
            suite: IKE_SUITE.parse().expect("a suite"),
            sas: Vec::new(),
            init: None,
            rekey: None,
            asked: None,
            sealed: Vec::new(),
            proofs: Vec::new(),
        }
    }

    /// HDR, SAi1, KEi, Ni.
    pub(super) fn init_request(&mut self) -> Option<Draft> {
        let asking = self.ask()?;
        let header = Header::new(asking.spi_i, 0, ExchangeType::IKE_SA_INIT, INITIATOR, 0);
        let draft = init_draft(header, self.suite, &asking);
        self.init = Some(asking);
        Some(draft)
    }

    /// HDR, SK {IDi, AUTH, SAi2, TSi, TSr}, with a child that we receive with `spi`.
    pub(super) fn auth_request(&mut self, spi: u32) -> Option<Draft> {
        let (place, header) = self.next_request(0, ExchangeType::IKE_AUTH)?;
        self.auth_draft(header, place, spi)
    }

    /// HDR, SK {[N(REKEY_SA)], SA, Ni, [KEi], TSi, TSr}: a child with the SPI `new`, in place of `old` if there is one.
    pub(super) fn child_request(&mut self, old: Option<u32>, new: u32, pfs: bool) -> Option<Draft> {
        let (place, header) = self.next_request(0, ExchangeType::CREATE_CHILD_SA)?;
        let mut draft = self.child_draft(header, place, new, pfs);
        if let Some(old) = old.map(u32::to_be_bytes) {
            draft.push(&Payload::Notify(Notify::of_esp(NotifyType::REKEY_SA, &old)));
        }
        Some(draft)
    }

    /// HDR, SK {SA, Ni, KEi}.
    pub(super) fn rekey_request(&mut self) -> Option<Draft> {
        let (place, header) = self.next_request(0, ExchangeType::CREATE_CHILD_SA)?;
        let asking = self.ask()?;
        let draft = rekey_draft(header, place, self.suite, &asking);
        self.rekey = Some(asking);
        Some(draft)
    }

    /// HDR, SK {...} of the `age`-latest IKE SA: an old one may still speak.
    pub(super) fn informational(&mut self, age: usize, payloads: &[Payload<'_>]) -> Option<Draft> {
        let (place, header) = self.next_request(age, ExchangeType::INFORMATIONAL)?;
        Some(Draft::new(header, Some(place), payloads))
    }

    /// The response to the endpoint's latest request as it should be; a child of ours has `spi`.
    pub(super) fn answer(&mut self, spi: u32) -> Option<Draft> {
        let asked = self.asked.take()?;
        let header = self.response_header(&asked);
        let draft = match (asked.header.exchange, asked.sa) {
            (ExchangeType::IKE_SA_INIT, None) => self.answer_init(&asked),
            (ExchangeType::IKE_AUTH, Some(place)) => self.auth_draft(header, place, spi),
            (ExchangeType::CREATE_CHILD_SA, Some(place)) => self.answer_create(&asked, place, spi),
            _ => Some(Draft::new(header, asked.sa, &[])),
        };
        self.asked = Some(asked);
        draft
    }

    /// A response that holds one notify: COOKIE, INVALID_KE_PAYLOAD, TEMPORARY_FAILURE or whatever the script wants.
    pub(super) fn answer_notify(&mut self, kind: NotifyType, data: &[u8]) -> Option<Draft> {
        let asked = self.asked.as_ref()?;
        let payloads = [Payload::Notify(Notify::new(kind, data))];
        Some(Draft::new(self.response_header(asked), asked.sa, &payloads))
    }

    /// The datagrams of a message, after the script has changed it.
    pub(super) fn seal(&mut self, draft: &Draft) -> Vec<Vec<u8>> {
        let payloads = draft.as_payloads();
        let Some(sa) = draft.sa.and_then(|place| self.sas.get_mut(place)) else {
            let datagram = emit_clear(draft.header, &payloads);
            self.note_first_message(&draft.header, &datagram);
            return vec![datagram];
        };
        let mut chain = Vec::new();
        emit_chain(&payloads, &mut chain);
        self.sealed.push(chain);
        match draft.fragment_len {
            Some(len) => seal_fragments(draft.header, &payloads, &mut sa.out, &mut self.random, len),
            None => vec![seal_message(draft.header, &payloads, &mut sa.out, &mut self.random)],
        }
    }

    /// Reads what the endpoint sent: its answers give us keys, its requests wait to be answered.
    pub(super) fn read(&mut self, datagram: &[u8]) {
        let Ok(message) = Message::parse(datagram) else { return };
        let (header, response) = (message.header, message.header.flags.response);
        if !message.is_protected() {
            if response {
                let _no_keys = self.read_init_response(&message);
            } else {
                let (chain, datagram) = (Vec::new(), datagram.to_vec());
                self.asked = Some(Asked { header, sa: None, datagram, first: PayloadType::NONE, chain });
            }
            return;
        }
        let of_it = |sa: &Keyed| sa.spis == (header.spi_i, header.spi_r);
        let Some(place) = self.sas.iter().position(of_it) else { return };
        let Some(Payload::Encrypted(sk)) = message.payloads.last() else { return };
        let Ok(chain) = self.sas[place].inn.open(datagram, sk.offset) else { return };
        if response {
            let _no_keys = self.read_rekey_response(place, sk.first, &chain);
        } else {
            let (chain, datagram) = (chain.to_vec(), datagram.to_vec());
            self.asked = Some(Asked { header, sa: Some(place), datagram, first: sk.first, chain });
        }
    }

    /// Whether a message of ours has proved the pre-shared key.
    pub(super) fn has_proved_itself(&self) -> bool {
        self.proofs.iter().any(|proof| self.has_said(proof))
    }

    /// Whether these octets were in a message that we sealed.
    pub(super) fn has_said(&self, octets: &[u8]) -> bool {
        self.sealed.iter().any(|chain| chain.windows(octets.len()).any(|window| window == octets))
    }

    /// Whether anything was sealed at all: before that nobody is known to receive at our address.
    pub(super) const fn has_sealed(&self) -> bool {
        !self.sealed.is_empty()
    }

    fn answer_init(&mut self, asked: &Asked) -> Option<Draft> {
        let message = Message::parse(&asked.datagram).ok()?;
        let (ke, nonce_i) = ke_and_nonce(message.select())?;
        let asking = self.ask()?;
        let shared = asking.dh.agree(&ke).ok()?;
        let header = Header { spi_r: asking.spi_i, ..self.response_header(asked) };
        let draft = init_draft(header, self.suite, &asking);
        let seed = SkeySeed::initial(self.prf(), &nonce_i, &asking.nonce_i, &shared);
        let spis = (header.spi_i, header.spi_r);
        self.sas.push(Keyed::derive(self.suite, &seed, spis, (nonce_i, asking.nonce_i), false)?);
        Some(draft)
    }

    fn answer_create(&mut self, asked: &Asked, place: usize, spi: u32) -> Option<Draft> {
        let request = parse_chain(asked.first, &asked.chain).ok()?;
        let select = Select(&request);
        let header = self.response_header(asked);
        let Some(spi_i) = ike_spi(select) else {
            let pfs = select.single_ke().ok()?.is_some();
            return Some(self.child_draft(header, place, spi, pfs));
        };
        let (ke, nonce_i) = ke_and_nonce(select)?;
        let asking = self.ask()?;
        let shared = asking.dh.agree(&ke).ok()?;
        let draft = rekey_draft(header, place, self.suite, &asking);
        self.succeed(place, &shared, (spi_i, asking.spi_i), (nonce_i, asking.nonce_i), false)?;
        Some(draft)
    }

    fn read_init_response(&mut self, message: &Message<'_>) -> Option<()> {
        let (ke, nonce_r) = ke_and_nonce(message.select())?;
        let init = self.init.take_if(|init| init.spi_i == message.header.spi_i)?;
        let shared = init.dh.agree(&ke).ok()?;
        let seed = SkeySeed::initial(self.prf(), &init.nonce_i, &nonce_r, &shared);
        let spis = (init.spi_i, message.header.spi_r);
        let mut keyed = Keyed::derive(self.suite, &seed, spis, (init.nonce_i, nonce_r), true)?;
        (keyed.first_message, keyed.next_id) = (init.datagram, 1);
        self.sas.push(keyed);
        Some(())
    }

    fn read_rekey_response(&mut self, place: usize, first: PayloadType, chain: &[u8]) -> Option<()> {
        let payloads = parse_chain(first, chain).ok()?;
        let spi_r = ike_spi(Select(&payloads))?;
        let (ke, nonce_r) = ke_and_nonce(Select(&payloads))?;
        let asking = self.rekey.take()?;
        let shared = asking.dh.agree(&ke).ok()?;
        self.succeed(place, &shared, (asking.spi_i, spi_r), (asking.nonce_i, nonce_r), true)
    }

    /// Keeps an IKE SA that takes the place of another (RFC 7296 §2.18).
    fn succeed(
        &mut self,
        old: usize,
        shared: &SharedSecret,
        spis: (u64, u64),
        nonces: (Vec<u8>, Vec<u8>),
        original_initiator: bool,
    ) -> Option<()> {
        let seed = SkeySeed::rekey(self.prf(), &self.sas.get(old)?.keys.d, &nonces.0, &nonces.1, shared);
        self.sas.push(Keyed::derive(self.suite, &seed, spis, nonces, original_initiator)?);
        Some(())
    }

    /// AUTH covers our first message as it was sent last, changed by the script or not.
    fn note_first_message(&mut self, header: &Header, datagram: &[u8]) {
        if let Some(init) = self.init.as_mut().filter(|init| init.spi_i == header.spi_i) {
            init.datagram = datagram.to_vec();
        }
        let spis = (header.spi_i, header.spi_r);
        if let Some(sa) = self.sas.iter_mut().find(|sa| sa.spis == spis && !sa.original_initiator) {
            sa.first_message = datagram.to_vec();
        }
    }

    /// What either end says of itself in IKE_AUTH, and the child that it wants.
    fn auth_draft(&mut self, header: Header, place: usize, spi: u32) -> Option<Draft> {
        let sa = self.sas.get(place)?;
        let id = Identification::new(THEIRS.into());
        let signed = Signed {
            sk_p: sa.our_sk_p(),
            message: &sa.first_message,
            peer_nonce: sa.their_nonce(),
            id_body: &id.body,
        };
        let proof = psk_auth(self.prf(), PSK, &signed);
        let auth = Authentication { method: AuthMethod::SHARED_KEY, data: &proof };
        let id = if sa.original_initiator { Payload::IdI(id) } else { Payload::IdR(id) };
        let [ts_i, ts_r] = selectors();
        let payloads = [id, Payload::Auth(auth), Payload::Sa(esp_sa(spi, None)), ts_i, ts_r];
        let draft = Draft::new(header, Some(place), &payloads);
        self.proofs.push(proof.to_vec());
        Some(draft)
    }

    /// SA, Ni or Nr, [KE], TSi, TSr.
    fn child_draft(&mut self, header: Header, place: usize, spi: u32, pfs: bool) -> Draft {
        let dh = if pfs { DhSecret::generate(self.suite.group, &mut self.random) } else { None };
        let nonce = self.nonce();
        let mut payloads =
            vec![Payload::Sa(esp_sa(spi, dh.as_ref().map(DhSecret::group))), Payload::Nonce(Nonce(&nonce))];
        let ke = dh.as_ref().map(|dh| KeyExchange { group: dh.group(), public: dh.public() });
        payloads.extend(ke.map(Payload::Ke));
        payloads.extend(selectors());
        Draft::new(header, Some(place), &payloads)
    }

    /// The place of the `age`-latest IKE SA, and the header of its next request.
    fn next_request(&mut self, age: usize, exchange: ExchangeType) -> Option<(usize, Header)> {
        let place = self.sas.len().checked_sub(age + 1)?;
        Some((place, self.sas.get_mut(place)?.next_request(exchange)))
    }

    fn response_header(&self, asked: &Asked) -> Header {
        let initiator =
            asked.sa.and_then(|place| self.sas.get(place)).is_some_and(|sa| sa.original_initiator);
        let flags = Flags { initiator, response: true, version: false };
        let Header { spi_i, spi_r, exchange, message_id, .. } = asked.header;
        Header::new(spi_i, spi_r, exchange, flags, message_id)
    }

    fn ask(&mut self) -> Option<Asking> {
        let dh = DhSecret::generate(self.suite.group, &mut self.random)?;
        let mut spi = [1; 8];
        self.random.fill(&mut spi[1..]);
        let nonce_i = self.nonce();
        Some(Asking { spi_i: u64::from_be_bytes(spi), dh, nonce_i, datagram: Vec::new() })
    }

    fn nonce(&mut self) -> Vec<u8> {
        let mut nonce = vec![0; 32];
        self.random.fill(&mut nonce);
        nonce
    }

    fn prf(&self) -> Prf {
        Prf::new(self.suite.prf).expect("a PRF that we have")
    }
}

fn init_draft(header: Header, suite: IkeSuite, asking: &Asking) -> Draft {
    let payloads = [
        Payload::Sa(ike_sa(suite, &[])),
        Payload::Ke(KeyExchange { group: asking.dh.group(), public: asking.dh.public() }),
        Payload::Nonce(Nonce(&asking.nonce_i)),
        Payload::Notify(Notify::new(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED, &[])),
    ];
    Draft::new(header, None, &payloads)
}

fn rekey_draft(header: Header, place: usize, suite: IkeSuite, asking: &Asking) -> Draft {
    let payloads = [
        Payload::Sa(ike_sa(suite, &asking.spi_i.to_be_bytes())),
        Payload::Nonce(Nonce(&asking.nonce_i)),
        Payload::Ke(KeyExchange { group: asking.dh.group(), public: asking.dh.public() }),
    ];
    Draft::new(header, Some(place), &payloads)
}

fn ke_and_nonce(select: Select<'_, '_>) -> Option<(Vec<u8>, Vec<u8>)> {
    let (ke, nonce) = (select.single_ke().ok()??, select.single_nonce().ok()??);
    Some((ke.public.to_vec(), nonce.0.to_vec()))
}

/// The SPI of the proposal for an IKE SA, if it is one.
fn ike_spi(select: Select<'_, '_>) -> Option<u64> {
    let proposal = select.single_sa().ok()??.proposals.first()?;
    let spi = proposal.spi.as_slice().try_into().ok().map(u64::from_be_bytes)?;
    (proposal.protocol == ProtocolId::IKE).then_some(spi)
}

const INITIATOR: Flags = Flags { initiator: true, response: false, version: false };
