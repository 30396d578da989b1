//! A peer that does as scripted: it is made of the codec and the cryptography alone, and shares no state machine with
//! the endpoint that it tests.

use std::net::SocketAddr;

use gotthard_ike::Time;
use gotthard_ike::codec::header::{Flags, Header};
use gotthard_ike::codec::iana::{AuthMethod, ExchangeType, NotifyType, PayloadType};
use gotthard_ike::codec::iana::{EncryptionAlgorithm, EsnId, Group, PrfAlgorithm, ProtocolId, TransformType};
use gotthard_ike::codec::message::{self, Message};
use gotthard_ike::codec::payload::auth::Authentication;
use gotthard_ike::codec::payload::id::Identification;
use gotthard_ike::codec::payload::ke::KeyExchange;
use gotthard_ike::codec::payload::nonce::Nonce;
use gotthard_ike::codec::payload::notify::Notify;
use gotthard_ike::codec::payload::sa::{Proposal, SecurityAssociation, Transform};
use gotthard_ike::codec::payload::ts::TrafficSelector;
use gotthard_ike::codec::payload::{Payload, parse_chain};
use gotthard_ike::config::PeerConfig;
use gotthard_ike::crypto::auth::{Signed, psk_auth};
use gotthard_ike::crypto::dh::DhSecret;
use gotthard_ike::crypto::keymat::{IkeKeys, SkeySeed, child_keymat};
use gotthard_ike::crypto::prf::Prf;
use gotthard_ike::crypto::protect::{SkCipher, seal_fragments, seal_message};
use gotthard_ike::suite::IkeSuite;

use super::clock::Seeded;
use super::link::{Link, Weather};
use super::side::{A, B, PEER, Side, config};

/// An initiator by script, and the endpoint that answers it. There is no link: every datagram arrives at once.
pub(crate) struct Scripted {
    pub(crate) b: Side,
    pub(crate) now: Time,
    pub(crate) random: Seeded,
    pub(crate) config: PeerConfig,
    pub(crate) suite: IkeSuite,
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) sa: Option<Keyed>,
    link: Link,
}

/// An IKE SA of which the script holds the original initiator's end.
pub(crate) struct Keyed {
    pub(crate) spi_i: u64,
    pub(crate) spi_r: u64,
    pub(crate) keys: IkeKeys,
    pub(crate) suite: IkeSuite,
    out: SkCipher,
    inn: SkCipher,
    pub(crate) next_id: u32,
    pub(crate) request: Vec<u8>,
    pub(crate) response: Vec<u8>,
    pub(crate) nonce_r: Vec<u8>,
}

impl Keyed {
    fn new((spi_i, spi_r): (u64, u64), suite: IkeSuite, keys: IkeKeys, nonce_r: Vec<u8>) -> Self {
        let out = SkCipher::new(&suite, keys.ei.as_bytes(), keys.ai.as_bytes()).unwrap();
        let inn = SkCipher::new(&suite, keys.er.as_bytes(), keys.ar.as_bytes()).unwrap();
        let (request, response) = (Vec::new(), Vec::new());
        Self { spi_i, spi_r, keys, suite, out, inn, next_id: 0, request, response, nonce_r }
    }

    /// The datagram of a message of the script.
    pub(crate) fn seal(
        &mut self,
        exchange: ExchangeType,
        response: bool,
        id: u32,
        payloads: &[Payload<'_>],
        random: &mut Seeded,
    ) -> Vec<u8> {
        let flags = Flags { initiator: true, response, version: false };
        let header = Header::new(self.spi_i, self.spi_r, exchange, flags, id);
        seal_message(header, payloads, &mut self.out, random)
    }

    /// As [`Self::seal`], in fragments.
    pub(crate) fn seal_fragments(
        &mut self,
        exchange: ExchangeType,
        id: u32,
        payloads: &[Payload<'_>],
        max_len: usize,
        random: &mut Seeded,
    ) -> Vec<Vec<u8>> {
        let flags = Flags { initiator: true, response: false, version: false };
        let header = Header::new(self.spi_i, self.spi_r, exchange, flags, id);
        seal_fragments(header, payloads, &mut self.out, random, max_len)
    }

    /// Opens a message of the endpoint.
    pub(crate) fn open(&self, datagram: &[u8]) -> Inner {
        let message = Message::parse(datagram).unwrap();
        let Some(Payload::Encrypted(sk)) = message.payloads.last() else { panic!("it is not protected") };
        let octets = self.inn.open(datagram, sk.offset).unwrap().to_vec();
        Inner { header: message.header, first: sk.first, octets }
    }
}

/// What was inside SK.
pub(crate) struct Inner {
    pub(crate) header: Header,
    first: PayloadType,
    octets: Vec<u8>,
}

impl Inner {
    pub(crate) fn payloads(&self) -> Vec<Payload<'_>> {
        parse_chain(self.first, &self.octets).unwrap()
    }

    pub(crate) fn notify(&self, kind: NotifyType) -> bool {
        self.payloads().iter().any(|payload| matches!(payload, Payload::Notify(n) if n.kind == kind))
    }
}

impl Scripted {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// `change` changes the endpoint's configuration.
    pub(crate) fn with(change: impl FnOnce(&mut PeerConfig)) -> Self {
        let mut config_b = config(B, A);
        change(&mut config_b);
        let suite = config_b.ike_suites[0];
        let mut b = Side::new(7, B);
        b.endpoint.add_peer(PEER, config_b.clone());
        Self {
            b,
            now: Time::ZERO,
            random: Seeded::new(8),
            config: config_b,
            suite,
            from: (A, 500).into(),
            to: (B, 500).into(),
            sa: None,
            link: Link::unwatched(0, Weather::FAIR),
        }
    }

    /// A script whose tunnel is up; its ESP SPI is `SPI`.
    pub(crate) fn established() -> Self {
        Self::established_with(|_| {})
    }

    pub(crate) fn established_with(change: impl FnOnce(&mut PeerConfig)) -> Self {
        let mut script = Self::with(change);
        script.init();
        script.authenticate(|_, _| {});
        assert_eq!(script.b.child_up(), 1, "{:?}", script.b.events);
        script
    }

    /// Sends a datagram, and returns what comes back.
    pub(crate) fn send(&mut self, datagram: &[u8]) -> Vec<Vec<u8>> {
        self.b.endpoint.handle_datagram(self.now, self.to, self.from, datagram);
        self.answers()
    }

    /// Moves the clock, and returns what the endpoint sends by itself.
    pub(crate) fn wait(&mut self, duration: core::time::Duration) -> Vec<Vec<u8>> {
        let end = self.now + duration;
        while let Some(at) = self.b.next_timeout().filter(|at| *at <= end) {
            self.now = at;
            self.b.endpoint.handle_timeout(at);
            self.b.drain(at, &mut self.link);
        }
        self.now = end;
        self.answers()
    }

    /// HDR, SAi1, KEi, Ni; and HDR, SAr1, KEr, Nr.
    pub(crate) fn init(&mut self) {
        self.init_shuffled(|_, _| {});
    }

    pub(crate) fn init_shuffled(&mut self, change: impl FnOnce(&mut Vec<Payload<'_>>, &mut Seeded)) {
        let spi_i = self.random.next();
        let dh = DhSecret::generate(self.suite.group, &mut self.random).unwrap();
        let nonce_i: Vec<u8> = (0..32).collect();
        let mut payloads = vec![
            Payload::Sa(ike_sa(self.suite, &[])),
            Payload::Ke(KeyExchange { group: dh.group(), public: dh.public() }),
            Payload::Nonce(Nonce(&nonce_i)),
            Payload::Notify(Notify::new(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED, &[])),
        ];
        change(&mut payloads, &mut self.random);
        let request = message::emit_clear(init_header(spi_i), &payloads);
        let answers = self.send(&request);
        let [response] = answers.as_slice() else { panic!("{} answers", answers.len()) };
        let message = Message::parse(response).unwrap();
        let select = message.select();
        let ke = select.single_ke().unwrap().expect("KEr");
        let nonce_r = select.single_nonce().unwrap().expect("Nr").0.to_vec();
        let shared = dh.agree(ke.public).unwrap();
        let prf = Prf::new(self.suite.prf).unwrap();
        let spis = (spi_i, message.header.spi_r);
        let seed = SkeySeed::initial(prf, &nonce_i, &nonce_r, &shared);
        let keys = IkeKeys::derive(&self.suite, &seed, &nonce_i, &nonce_r, spis.0, spis.1).unwrap();
        let keyed = Keyed::new(spis, self.suite, keys, nonce_r);
        self.sa = Some(Keyed { request, response: response.clone(), next_id: 1, ..keyed });
    }

    /// The pre-shared key of both ends.
    pub(crate) fn psk(&self) -> Vec<u8> {
        self.config.auth.as_psk().expect("a pre-shared key").to_vec()
    }

    /// HDR, SK {IDi, AUTH, SAi2, TSi, TSr}, changed as the script says; returns what came back inside.
    pub(crate) fn authenticate(&mut self, change: impl FnOnce(&mut Vec<Payload<'_>>, &mut Seeded)) -> Inner {
        let psk = self.psk();
        self.authenticate_as(Identification::new(A.into()), &psk, change)
    }

    pub(crate) fn authenticate_as(
        &mut self,
        id: Identification<'static>,
        psk: &[u8],
        change: impl FnOnce(&mut Vec<Payload<'_>>, &mut Seeded),
    ) -> Inner {
        let datagram = self.auth_request(id, psk, change);
        let answers = self.send(&datagram);
        self.sa().next_id = 2;
        self.sa().open(&answers[0])
    }

    /// What a signature of the script must be over to show `id`.
    pub(crate) fn signed_octets(&self, id: &Identification<'_>) -> Vec<u8> {
        let sa = self.sa.as_ref().expect("IKE_SA_INIT comes first");
        let (sk_p, message) = (sa.keys.pi.as_bytes(), &sa.request);
        Signed { sk_p, message, peer_nonce: &sa.nonce_r, id_body: &id.body }
            .octets(Prf::new(sa.suite.prf).unwrap())
    }

    pub(crate) fn auth_request(
        &mut self,
        id: Identification<'static>,
        psk: &[u8],
        change: impl FnOnce(&mut Vec<Payload<'_>>, &mut Seeded),
    ) -> Vec<u8> {
        let sa = self.sa.as_ref().expect("IKE_SA_INIT comes first");
        let prf = Prf::new(sa.suite.prf).unwrap();
        let signed = Signed {
            sk_p: sa.keys.pi.as_bytes(),
            message: &sa.request,
            peer_nonce: &sa.nonce_r,
            id_body: &id.body,
        };
        let auth = psk_auth(prf, psk, &signed);
        let mut payloads = vec![
            Payload::IdI(id),
            Payload::Auth(Authentication { method: AuthMethod::SHARED_KEY, data: &auth }),
            Payload::Sa(esp_sa(SPI, None)),
            Payload::TsI(vec![TrafficSelector::any_v4()].into()),
            Payload::TsR(vec![TrafficSelector::any_v4()].into()),
        ];
        change(&mut payloads, &mut self.random);
        let sa = self.sa.as_mut().expect("IKE_SA_INIT comes first");
        sa.seal(ExchangeType::IKE_AUTH, false, 1, &payloads, &mut self.random)
    }

    pub(crate) fn sa(&mut self) -> &mut Keyed {
        self.sa.as_mut().expect("IKE_SA_INIT comes first")
    }

    /// Seals the next request.
    pub(crate) fn seal(&mut self, exchange: ExchangeType, payloads: &[Payload<'_>]) -> Vec<u8> {
        let sa = self.sa.as_mut().expect("IKE_SA_INIT comes first");
        let id = sa.next_id;
        sa.next_id += 1;
        sa.seal(exchange, false, id, payloads, &mut self.random)
    }

    /// Sends the next request and opens its answer; whatever else the endpoint sends is left aside.
    pub(crate) fn exchange(&mut self, exchange: ExchangeType, payloads: &[Payload<'_>]) -> Inner {
        let datagram = self.seal(exchange, payloads);
        let answers = self.send(&datagram);
        self.sa().open(answers.first().expect("an answer"))
    }

    /// Answers a request of the endpoint with nothing inside.
    pub(crate) fn acknowledge(&mut self, request: &[u8]) -> Vec<Vec<u8>> {
        self.answer(request, &[])
    }

    /// Answers a request of the endpoint.
    pub(crate) fn answer(&mut self, request: &[u8], payloads: &[Payload<'_>]) -> Vec<Vec<u8>> {
        let sa = self.sa.as_mut().expect("IKE_SA_INIT comes first");
        let header = sa.open(request).header;
        let datagram = sa.seal(header.exchange, true, header.message_id, payloads, &mut self.random);
        self.send(&datagram)
    }

    /// The only request that the endpoint sends at this moment.
    pub(crate) fn request(&mut self) -> Inner {
        let sent = self.wait(core::time::Duration::ZERO);
        let [request] = sent.as_slice() else { panic!("{} requests", sent.len()) };
        let request = self.sa().open(request);
        assert!(!request.header.flags.response);
        request
    }

    /// Answers a request of the endpoint, and returns what it sends thereupon.
    pub(crate) fn respond(&mut self, request: &Inner, payloads: &[Payload<'_>]) -> Vec<Vec<u8>> {
        let header = request.header;
        let sa = self.sa.as_mut().expect("IKE_SA_INIT comes first");
        let datagram = sa.seal(header.exchange, true, header.message_id, payloads, &mut self.random);
        self.send(&datagram)
    }

    /// HDR, SK {SA, Nr, TSi, TSr}: takes a request for a child without a key exchange.
    pub(crate) fn accept_child(&mut self, request: &Inner, spi: u32) -> Vec<Vec<u8>> {
        let nonce: Vec<u8> = (128..160).collect();
        let payloads = [
            Payload::Sa(esp_sa(spi, None)),
            Payload::Nonce(Nonce(&nonce)),
            Payload::TsI(vec![TrafficSelector::any_v4()].into()),
            Payload::TsR(vec![TrafficSelector::any_v4()].into()),
        ];
        self.respond(request, &payloads)
    }

    /// HDR, SK {N(REKEY_SA), SA, Ni, [KEi], TSi, TSr} for a child with `new_spi`; checks both ends' keys of what comes.
    pub(crate) fn rekey_child(&mut self, old_spi: u32, new_spi: u32, group: Option<Group>) -> Inner {
        let nonce_i: Vec<u8> = (64..96).collect();
        let dh = group.map(|group| DhSecret::generate(group, &mut self.random).unwrap());
        let old_spi = old_spi.to_be_bytes();
        let mut payloads = vec![
            Payload::Notify(Notify::of_esp(NotifyType::REKEY_SA, &old_spi)),
            Payload::Sa(esp_sa(new_spi, group)),
            Payload::Nonce(Nonce(&nonce_i)),
        ];
        payloads
            .extend(dh.iter().map(|dh| Payload::Ke(KeyExchange { group: dh.group(), public: dh.public() })));
        payloads.extend([
            Payload::TsI(vec![TrafficSelector::any_v4()].into()),
            Payload::TsR(vec![TrafficSelector::any_v4()].into()),
        ]);
        let inner = self.exchange(ExchangeType::CREATE_CHILD_SA, &payloads);
        let chain = inner.payloads();
        let select = gotthard_ike::codec::payload::select::Select(&chain);
        let (Some(sa), Some(nonce_r)) = (select.single_sa().unwrap(), select.single_nonce().unwrap()) else {
            return inner;
        };
        let shared = dh.map(|dh| dh.agree(select.single_ke().unwrap().expect("KEr").public).unwrap());
        let spi_in = u32::from_be_bytes(sa.proposals[0].spi.as_slice().try_into().unwrap());
        let keyed = self.sa.as_ref().unwrap();
        let prf = Prf::new(keyed.suite.prf).unwrap();
        let suite = self.config.esp_suites[0];
        let (ours, _) = child_keymat(prf, &keyed.keys.d, shared.as_ref(), &nonce_i, nonce_r.0, &suite);
        let installed = self.b.inbound.get(&spi_in).expect("its inbound is installed");
        assert_eq!(installed.keys.encryption, ours.encryption, "the same keys at both ends");
        inner
    }

    /// HDR, SK {SA, Ni, KEi} for an IKE SA; the script holds it from here on. Returns the old one.
    pub(crate) fn rekey_ike(&mut self) -> Keyed {
        let suite = self.suite;
        let spi_i = self.random.next();
        let nonce_i: Vec<u8> = (96..128).collect();
        let dh = DhSecret::generate(suite.group, &mut self.random).unwrap();
        let payloads = [
            Payload::Sa(ike_sa(suite, &spi_i.to_be_bytes())),
            Payload::Nonce(Nonce(&nonce_i)),
            Payload::Ke(KeyExchange { group: dh.group(), public: dh.public() }),
        ];
        let inner = self.exchange(ExchangeType::CREATE_CHILD_SA, &payloads);
        let chain = inner.payloads();
        let select = gotthard_ike::codec::payload::select::Select(&chain);
        let sa = select.single_sa().unwrap().expect("SA");
        let nonce_r = select.single_nonce().unwrap().expect("Nr").0.to_vec();
        let shared = dh.agree(select.single_ke().unwrap().expect("KEr").public).unwrap();
        let spi_r = u64::from_be_bytes(sa.proposals[0].spi.as_slice().try_into().unwrap());
        let old = self.sa.take().unwrap();
        let prf = Prf::new(old.suite.prf).unwrap();
        let seed = SkeySeed::rekey(prf, &old.keys.d, &nonce_i, &nonce_r, &shared);
        let keys = IkeKeys::derive(&suite, &seed, &nonce_i, &nonce_r, spi_i, spi_r).unwrap();
        self.sa = Some(Keyed::new((spi_i, spi_r), suite, keys, nonce_r));
        old
    }

    fn answers(&mut self) -> Vec<Vec<u8>> {
        self.b.drain(self.now, &mut self.link);
        self.link.sent.drain(..).map(|transmit| transmit.payload).collect()
    }
}

/// The header of a first request.
pub(crate) fn init_header(spi_i: u64) -> Header {
    let flags = Flags { initiator: true, response: false, version: false };
    Header::new(spi_i, 0, ExchangeType::IKE_SA_INIT, flags, 0)
}

/// One proposal with the transforms of an AEAD suite.
pub(crate) fn ike_sa(suite: IkeSuite, spi: &[u8]) -> SecurityAssociation {
    let transforms = vec![
        Transform::new(TransformType::ENCRYPTION, EncryptionAlgorithm::AES_GCM_16.0).with_key_bits(256),
        Transform::new(TransformType::PRF, PrfAlgorithm::HMAC_SHA2_256.0),
        Transform::new(TransformType::KEY_EXCHANGE, suite.group.0),
    ];
    one_proposal(ProtocolId::IKE, spi, transforms)
}

/// One proposal for AES-256-GCM-16 with ESN.
pub(crate) fn esp_sa(spi: u32, group: Option<Group>) -> SecurityAssociation {
    let mut transforms = vec![
        Transform::new(TransformType::ENCRYPTION, EncryptionAlgorithm::AES_GCM_16.0).with_key_bits(256),
        Transform::new(TransformType::ESN, EsnId::YES.0),
    ];
    transforms.extend(group.map(|group| Transform::new(TransformType::KEY_EXCHANGE, group.0)));
    one_proposal(ProtocolId::ESP, &spi.to_be_bytes(), transforms)
}

fn one_proposal(protocol: ProtocolId, spi: &[u8], transforms: Vec<Transform>) -> SecurityAssociation {
    SecurityAssociation { proposals: vec![Proposal { number: 1, protocol, spi: spi.to_vec(), transforms }] }
}

/// The ESP SPI of the script's first child.
pub(crate) const SPI: u32 = 0x1000_0001;
