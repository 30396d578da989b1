//! Rekey of the IKE SA by the peer (RFC 7296 §1.3.2, §2.18). The children live on under the new one; the old one waits
//! for its Delete.

use super::create_child::{Refused, exchange_keys};
use crate::codec::DecodeError;
use crate::codec::iana::{ExchangeType, NotifyType};
use crate::codec::payload::Payload;
use crate::codec::payload::ke::KeyExchange;
use crate::codec::payload::nonce::Nonce;
use crate::codec::payload::select::Select;
use crate::crypto::keymat::{IkeKeys, SkeySeed};
use crate::crypto::prf::Prf;
use crate::event::Event;
use crate::sa::Cx;
use crate::sa::channel::Channel;
use crate::sa::ike_sa::{IkeSa, Seed};
use crate::sa::negotiate::choose_ike;

/// Answers a request with SA, Ni, KEi for an IKE SA, and makes it. The peer is its original initiator.
pub(super) fn answer(
    sa: &mut IkeSa,
    id: u32,
    payloads: Select<'_, '_>,
    cx: &mut Cx<'_>,
) -> Result<Result<Box<IkeSa>, Refused>, DecodeError> {
    let (Some(offer), Some(nonce)) = (payloads.single_sa()?, payloads.single_nonce()?) else {
        return Ok(Err(Refused::new(NotifyType::INVALID_SYNTAX)));
    };
    let peer = sa.peer.clone();
    let refused = || Refused::new(NotifyType::NO_PROPOSAL_CHOSEN);
    let Some(chosen) = choose_ike(&peer.config.ike_suites, offer, IKE_SPI_LEN) else {
        return Ok(Err(refused()));
    };
    let (dh, shared) = match exchange_keys(Some(chosen.suite.group), payloads.single_ke()?, cx) {
        Ok(Some(exchanged)) => exchanged,
        Ok(None) => return Ok(Err(refused())),
        Err(refused) => return Ok(Err(refused)),
    };
    let (Some(spi_i), Some(old_prf), Some(new_prf)) =
        (chosen.spi.first_chunk(), Prf::new(sa.suite.prf), Prf::new(chosen.suite.prf))
    else {
        return Ok(Err(refused()));
    };
    let spis = (u64::from_be_bytes(*spi_i), cx.ike_spi());
    let nonce_r = cx.nonce(nonce.0.len(), new_prf);
    let skeyseed = SkeySeed::rekey(old_prf, &sa.sk_d, nonce.0, &nonce_r, &shared);
    let keys = IkeKeys::derive(&chosen.suite, &skeyseed, nonce.0, &nonce_r, spis.0, spis.1);
    let channel = keys
        .as_ref()
        .and_then(|keys| Channel::new(spis, false, sa.channel.fragmentation(), &chosen.suite, keys));
    let (Some(keys), Some(channel)) = (keys, channel) else { return Ok(Err(refused())) };
    let payloads = [
        Payload::Sa(chosen.reply(&spis.1.to_be_bytes())),
        Payload::Nonce(Nonce(&nonce_r)),
        Payload::Ke(KeyExchange { group: dh.group(), public: dh.public() }),
    ];
    sa.send_response(id, ExchangeType::CREATE_CHILD_SA, &payloads, cx);
    let seed = Seed {
        peer: peer.clone(),
        suite: chosen.suite,
        sk_d: keys.d,
        channel,
        path: sa.path,
        nat: sa.nat,
        next_ids: (0, 0),
        born: cx.now,
        nonces: (nonce.0.to_vec(), nonce_r.clone()),
    };
    let mut successor = Box::new(IkeSa::new(seed, cx.now));
    sa.hand_over_to(&mut successor, cx.now);
    cx.event(Event::IkeRekeyed { peer: peer.id, suite: chosen.suite, spi_i: spis.0, spi_r: spis.1 });
    Ok(Ok(successor))
}

const IKE_SPI_LEN: usize = 8;
