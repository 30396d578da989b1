//! Puts the fragments of one message together (RFC 7383 §2.6). Each was opened on its own, so what is kept is the
//! peer's; what is not authenticated never gets here.

use core::time::Duration;

use zeroize::Zeroizing;

use crate::Time;
use crate::codec::iana::PayloadType;
use crate::codec::payload::encrypted::EncryptedFragment;

/// The fragments of the one message that is under way in one direction of an IKE SA.
#[derive(Default)]
pub(crate) struct Reassembly {
    under_way: Option<Partial>,
}

/// A message of which fragments are missing.
struct Partial {
    message_id: u32,
    started: Time,
    first: PayloadType,
    octets: usize,
    /// One place a fragment, in their order.
    fragments: Vec<Option<Zeroizing<Vec<u8>>>>,
}

/// A whole message: the chain that an SK payload would have held.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Whole {
    /// Type of the first payload.
    pub(crate) first: PayloadType,
    /// The chain.
    pub(crate) octets: Zeroizing<Vec<u8>>,
}

/// Why a fragment is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// Number 0, or above the total.
    #[error("fragment {number} of {total}")]
    Number {
        /// Fragment Number.
        number: u16,
        /// Total Fragments.
        total: u16,
    },
    /// More fragments than [`MAX_FRAGMENTS`].
    #[error("{0} fragments are more than a message needs")]
    TooMany(u16),
    /// More octets than [`MAX_OCTETS`].
    #[error("the fragments hold more octets than a message")]
    TooLong,
    /// This fragment is here already; the first one counts.
    #[error("fragment {0} is here already")]
    Duplicate(u16),
    /// A smaller total than that of the fragments that are here: of an older, larger-MTU round of the same message.
    #[error("a total of {0} is smaller than that of the fragments before")]
    TotalShrinks(u16),
}

impl Reassembly {
    /// Whether a fragment is worth opening. Nothing changes: it may be forged.
    pub(crate) fn admit(&self, message_id: u32, number: u16, total: u16) -> Result<(), Refused> {
        if number == 0 || number > total {
            return Err(Refused::Number { number, total });
        }
        if usize::from(total) > MAX_FRAGMENTS {
            return Err(Refused::TooMany(total));
        }
        let Some(partial) = self.under_way.as_ref().filter(|partial| partial.message_id == message_id) else {
            return Ok(());
        };
        if usize::from(total) < partial.fragments.len() {
            return Err(Refused::TotalShrinks(total));
        }
        let here = partial.fragments.get(index(number)).is_some_and(Option::is_some);
        if here && usize::from(total) == partial.fragments.len() {
            return Err(Refused::Duplicate(number));
        }
        Ok(())
    }

    /// Keeps the plaintext of a fragment whose ICV was right, and returns the whole message when it was the last that
    /// was missing.
    ///
    /// A message with another id, and a larger total for the same one (the peer split it anew for a smaller MTU), take
    /// the place of what was here (RFC 7383 §2.6).
    pub(crate) fn insert(
        &mut self,
        now: Time,
        message_id: u32,
        fragment: &EncryptedFragment<'_>,
        plain: Zeroizing<Vec<u8>>,
    ) -> Result<Option<Whole>, Refused> {
        let EncryptedFragment { number, total, first, .. } = *fragment;
        self.admit(message_id, number, total)?;
        let total = usize::from(total);
        let same = |partial: &Partial| partial.message_id == message_id && partial.fragments.len() == total;
        let mut partial = match self.under_way.take_if(|partial| same(partial)) {
            Some(partial) => partial,
            None => Partial::new(now, message_id, total),
        };
        partial.octets = partial.octets.saturating_add(plain.len());
        if partial.octets > MAX_OCTETS {
            self.under_way = None;
            return Err(Refused::TooLong);
        }
        if number == 1 {
            partial.first = first;
        }
        if let Some(place) = partial.fragments.get_mut(index(number)) {
            *place = Some(plain);
        }
        if partial.fragments.iter().all(Option::is_some) {
            self.under_way = None;
            return Ok(Some(partial.whole()));
        }
        self.under_way = Some(partial);
        Ok(None)
    }

    /// When [`Self::expire`] is due.
    pub(crate) fn expires(&self) -> Option<Time> {
        self.under_way.as_ref().map(Partial::expires)
    }

    /// Drops a message that was not completed in time.
    pub(crate) fn expire(&mut self, now: Time) {
        self.under_way.take_if(|partial| partial.expires() <= now);
    }
}

impl Partial {
    fn new(started: Time, message_id: u32, total: usize) -> Self {
        let fragments = vec![None; total];
        Self { message_id, started, first: PayloadType::NONE, octets: 0, fragments }
    }

    fn expires(&self) -> Time {
        self.started + LIFETIME
    }

    fn whole(self) -> Whole {
        // Of the right size from the start: a growing vector would leave copies behind that nobody wipes.
        let mut octets = Zeroizing::new(Vec::with_capacity(self.octets));
        for fragment in self.fragments.iter().flatten() {
            octets.extend_from_slice(fragment);
        }
        Whole { first: self.first, octets }
    }
}

/// Fragments are numbered from 1.
fn index(number: u16) -> usize {
    usize::from(number).saturating_sub(1)
}

/// Fragments of one message. 64 KiB in fragments of the smallest IPv6 MTU are 55.
pub(crate) const MAX_FRAGMENTS: usize = 64;

/// Octets of one message, as large as a datagram could be.
pub(crate) const MAX_OCTETS: usize = 64 * 1024;

/// Time from the first fragment to the last. A peer that still wants its message sends all of it again.
pub(crate) const LIFETIME: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_in_any_order_become_the_message() {
        let mut reassembly = Reassembly::default();
        assert!(insert(&mut reassembly, 1, 3, 3, b"ge").is_none());
        assert!(insert(&mut reassembly, 1, 1, 3, b"mes").is_none());
        assert_eq!(reassembly.admit(1, 1, 3), Err(Refused::Duplicate(1)));
        let whole = insert(&mut reassembly, 1, 2, 3, b"sa").unwrap();
        assert_eq!(whole.octets.as_slice(), b"message");
        assert_eq!(whole.first, PayloadType::ID_I);
        assert_eq!(reassembly.expires(), None);
    }

    #[test]
    fn a_single_fragment_is_a_message() {
        let whole = insert(&mut Reassembly::default(), 7, 1, 1, b"all").unwrap();
        assert_eq!(whole.octets.as_slice(), b"all");
    }

    #[test]
    fn impossible_numbers_are_refused_before_anything_is_opened() {
        let reassembly = Reassembly::default();
        for (number, total) in [(0, 0), (0, 2), (3, 2), (1, 0)] {
            assert_eq!(reassembly.admit(1, number, total), Err(Refused::Number { number, total }));
        }
        assert_eq!(reassembly.admit(1, 1, 65), Err(Refused::TooMany(65)));
        assert_eq!(reassembly.admit(1, u16::MAX, u16::MAX), Err(Refused::TooMany(u16::MAX)));
        assert_eq!(reassembly.admit(1, 64, 64), Ok(()));
    }

    #[test]
    fn a_duplicate_with_other_content_does_not_replace_the_first() {
        let mut reassembly = Reassembly::default();
        insert(&mut reassembly, 1, 1, 2, b"good");
        let again = reassembly.insert(Time::ZERO, 1, &fragment(1, 2), plain(b"evil"));
        assert!(matches!(again, Err(Refused::Duplicate(1))));
        assert_eq!(insert(&mut reassembly, 1, 2, 2, b"!").unwrap().octets.as_slice(), b"good!");
    }

    #[test]
    fn a_larger_total_starts_anew_and_a_smaller_one_is_refused() {
        let mut reassembly = Reassembly::default();
        insert(&mut reassembly, 1, 1, 2, b"large ");
        insert(&mut reassembly, 1, 1, 3, b"sm");
        assert_eq!(reassembly.admit(1, 2, 2), Err(Refused::TotalShrinks(2)));
        insert(&mut reassembly, 1, 2, 3, b"al");
        assert_eq!(insert(&mut reassembly, 1, 3, 3, b"l").unwrap().octets.as_slice(), b"small");
    }

    #[test]
    fn another_message_takes_the_place_of_an_unfinished_one() {
        let mut reassembly = Reassembly::default();
        insert(&mut reassembly, 1, 1, 2, b"old");
        insert(&mut reassembly, 2, 2, 2, b"w");
        assert_eq!(insert(&mut reassembly, 2, 1, 2, b"ne").unwrap().octets.as_slice(), b"new");
    }

    #[test]
    fn more_than_a_message_is_dropped_as_a_whole() {
        let mut reassembly = Reassembly::default();
        insert(&mut reassembly, 1, 1, 3, &vec![0; MAX_OCTETS]);
        let refused = reassembly.insert(Time::ZERO, 1, &fragment(2, 3), plain(b"x"));
        assert!(matches!(refused, Err(Refused::TooLong)));
        assert_eq!(reassembly.expires(), None);
    }

    #[test]
    fn a_message_never_completed_is_dropped_after_its_time() {
        let mut reassembly = Reassembly::default();
        insert(&mut reassembly, 1, 1, 2, b"half");
        let due = reassembly.expires().unwrap();
        assert_eq!(due, Time::ZERO + LIFETIME);
        reassembly.expire(Time::ZERO + Duration::from_secs(14));
        assert_eq!(reassembly.expires(), Some(due));
        reassembly.expire(due);
        assert_eq!(reassembly.expires(), None);
    }

    fn insert(r: &mut Reassembly, message_id: u32, number: u16, total: u16, octets: &[u8]) -> Option<Whole> {
        r.insert(Time::ZERO, message_id, &fragment(number, total), plain(octets)).unwrap()
    }

    fn fragment(number: u16, total: u16) -> EncryptedFragment<'static> {
        let first = if number == 1 { PayloadType::ID_I } else { PayloadType::NONE };
        EncryptedFragment { first, number, total, offset: 36, body: &[] }
    }

    fn plain(octets: &[u8]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(octets.to_vec())
    }
}
