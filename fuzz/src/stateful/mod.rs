//! The endpoint against a peer whose input is a script: messages with the right keys, in any order, at any time, with
//! anything wrong in them. The state machines are reached, which octets alone never do.
//!
//! An input is a list of steps: an octet chooses the step, the ones behind it say how. Zero is the plainest choice
//! everywhere, and every string of octets is a script.

mod draft;
mod keyed;
mod offer;
mod peer;
mod world;

use core::time::Duration;

use gotthard_ike::codec::iana::{NotifyType, ProtocolId};
use gotthard_ike::codec::payload::Payload;
use gotthard_ike::codec::payload::delete::Delete;
use gotthard_ike::codec::payload::notify::Notify;

use self::draft::Draft;
use self::peer::Peer;
use self::world::World;
use crate::script::Script;

/// The peer starts: the endpoint answers IKE_SA_INIT, and both go on from there.
pub fn ike_responder(data: &[u8]) {
    Scene::new().play(data);
}

/// The endpoint starts, and the script answers it.
pub fn ike_initiator(data: &[u8]) {
    let mut scene = Scene::new();
    scene.command(INITIATE);
    scene.play(data);
}

/// A tunnel is up, and the script sends requests in fragments of any size, order and number (RFC 7383).
pub fn ike_fragments(data: &[u8]) {
    let mut scene = Scene::new();
    for step in [INIT, AUTH] {
        scene.step(step, &mut Script::new(&[]));
    }
    assert!(scene.world.outbound().is_some(), "a plain handshake brings the tunnel up");
    let mut script = Script::new(data);
    while let Some(first) = script.next() {
        scene.send_fragments(first, &mut script);
    }
    scene.world.end();
}

/// The endpoint, its peer, and what the peer has sent.
struct Scene {
    world: World,
    peer: Peer,
    /// The endpoint has asked by itself: what it sends is not only an answer.
    asks: bool,
    /// ESP SPIs that the peer has offered, one a child.
    spis: u32,
    port: u16,
    said: Vec<Vec<u8>>,
}

impl Scene {
    fn new() -> Self {
        Self { world: World::new(), peer: Peer::new(), asks: false, spis: 0, port: 500, said: Vec::new() }
    }

    fn play(mut self, data: &[u8]) {
        let mut script = Script::new(data);
        for _ in 0..MAX_STEPS {
            let Some(step) = script.next() else { break };
            self.step(step, &mut script);
        }
        self.world.end();
    }

    /// One step of the script.
    fn step(&mut self, step: u8, script: &mut Script<'_>) {
        let draft = match step % STEPS {
            INIT => self.peer.init_request(),
            AUTH => {
                let spi = self.new_spi();
                self.peer.auth_request(spi)
            }
            REKEY_CHILD => {
                let (old, pfs) = (script.octet(), script.octet());
                let old = (old & 0x80 == 0).then(|| self.spis.saturating_sub(old.into()) | FIRST_SPI);
                let new = self.new_spi();
                self.peer.child_request(old, new, pfs & 1 != 0)
            }
            REKEY_IKE => self.peer.rekey_request(),
            INFORM => self.inform(script),
            ANSWER => {
                let spi = self.new_spi();
                self.peer.answer(spi)
            }
            REFUSE => {
                let kind = NotifyType(script.u16());
                self.peer.answer_notify(kind, script.octets())
            }
            other => return self.aside(other, script),
        };
        if let Some(draft) = draft {
            self.send(draft, script);
        }
    }

    /// A step that seals nothing.
    fn aside(&mut self, step: u8, script: &mut Script<'_>) {
        match step {
            WAIT => {
                let unit = [Duration::from_millis(10), Duration::from_millis(500), Duration::from_secs(5)];
                let unit = unit[script.place(unit.len())];
                self.world.wait(unit * u32::from(script.octet()));
                self.listen();
            }
            COMMAND => self.command(script.octet()),
            AGAIN if !self.said.is_empty() => {
                let mut datagram = self.said[script.place(self.said.len())].clone();
                let (at, flip) = (script.place(datagram.len()), script.octet());
                datagram[at] ^= flip;
                self.deliver(&datagram);
            }
            MOVE => self.port = if script.octet() & 1 == 0 { 4500 } else { 500 },
            _ => {
                self.deliver(script.octets());
            }
        }
    }

    /// INFORMATIONAL: liveness, a Delete, or a notify.
    fn inform(&mut self, script: &mut Script<'_>) -> Option<Draft> {
        let (what, age) = (script.octet(), script.place(3));
        let (kind, spi) = (script.u16(), self.spis.saturating_sub(script.octet().into()) | FIRST_SPI);
        let payload = match what % 4 {
            0 => None,
            1 => Some(Payload::Delete(Delete { protocol: ProtocolId::ESP, spis: vec![spi] })),
            2 => Some(Payload::Delete(Delete { protocol: ProtocolId::IKE, spis: Vec::new() })),
            _ => Some(Payload::Notify(Notify::new(NotifyType(kind), script.octets()))),
        };
        self.peer.informational(age, payload.as_slice())
    }

    fn send(&mut self, mut draft: Draft, script: &mut Script<'_>) {
        draft.mutate(script);
        for datagram in self.peer.seal(&draft) {
            self.deliver(&datagram);
            self.said.push(datagram);
        }
    }

    /// A liveness check with a payload to fill it, cut at `len`; its fragments come as the script orders them.
    fn send_fragments(&mut self, len: u8, script: &mut Script<'_>) {
        let fill = vec![0; usize::from(script.u16()) % MAX_FILL];
        let notify = [Payload::Notify(Notify::new(UNKNOWN_STATUS, &fill))];
        let Some(mut draft) = self.peer.informational(0, &notify) else { return };
        draft.fragment_len = Some(FRAGMENT_LEN + usize::from(len));
        let datagrams = self.peer.seal(&draft);
        for _ in 0..script.octet() {
            let mut datagram = datagrams[script.place(datagrams.len())].clone();
            if script.octet() & 1 != 0 {
                let (at, value) = (script.place(datagram.len()), script.octet());
                datagram[at] = value;
            }
            self.deliver(&datagram);
        }
        // Whatever came before, all of them in order are the message.
        let answered = datagrams.iter().map(|datagram| self.deliver(datagram)).sum::<usize>();
        assert!(answered > 0, "a whole message is not answered");
    }

    /// Returns the octets that came back.
    fn deliver(&mut self, datagram: &[u8]) -> usize {
        let answered = self.world.receive(self.port, datagram);
        // A source that has shown nothing gets no more octets than it sent: it may be forged.
        let shown = self.asks || self.peer.has_sealed();
        assert!(answered <= datagram.len() || shown, "it amplifies");
        self.listen();
        answered
    }

    /// The peer reads what the endpoint has sent, and whose keys it sends with are looked at.
    fn listen(&mut self) {
        for datagram in self.world.take_sent() {
            self.peer.read(&datagram);
        }
        if let Some(spi) = self.world.outbound() {
            assert!(self.peer.has_proved_itself(), "a tunnel is up with a peer that has proved nothing");
            assert!(
                self.peer.has_said(&spi.to_be_bytes()),
                "it sends with SPI {spi:x}, which nobody offered"
            );
        }
    }

    fn command(&mut self, which: u8) {
        self.asks = true;
        self.world.command(which);
        self.listen();
    }

    fn new_spi(&mut self) -> u32 {
        self.spis += 1;
        FIRST_SPI | self.spis
    }
}

const INIT: u8 = 0;
const AUTH: u8 = 1;
const REKEY_CHILD: u8 = 2;
const REKEY_IKE: u8 = 3;
const INFORM: u8 = 4;
const ANSWER: u8 = 5;
const REFUSE: u8 = 6;
const WAIT: u8 = 7;
const COMMAND: u8 = 8;
const AGAIN: u8 = 9;
const MOVE: u8 = 10;
const STEPS: u8 = 12;

const INITIATE: u8 = 0;

/// A script takes time by its steps: more of them find nothing that these do not.
const MAX_STEPS: usize = 64;
const FIRST_SPI: u32 = 0x1000_0000;
/// The smallest datagram that carries something of a message.
const FRAGMENT_LEN: usize = 70;
/// With the least that a fragment carries, 16 octets, that is no more than 64 fragments.
const MAX_FILL: usize = 960;
/// A status notify that nobody knows is ignored (RFC 7296 §3.10.1).
const UNKNOWN_STATUS: NotifyType = NotifyType(40_000);
