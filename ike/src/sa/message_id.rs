//! The two windows of an IKE SA, each of size 1 (RFC 7296 §2.2, §2.3): our request in flight, and the answer to the
//! peer's last request. They are independent: a peer's request is answered while ours is in flight.

use super::retransmit::BackOff;
use super::sealed::Sealed;

/// Our requests: at most one is in flight, the others wait as tasks.
pub(crate) struct Requests<T> {
    next: Option<u32>,
    in_flight: Option<InFlight<T>>,
}

/// A request that awaits its answer.
pub(crate) struct InFlight<T> {
    /// Message ID.
    pub(crate) id: u32,
    /// Why it was sent.
    pub(crate) task: T,
    /// As it was sent.
    pub(crate) message: Sealed,
    /// When it is sent again.
    pub(crate) back_off: BackOff,
}

impl<T> Requests<T> {
    /// The next request has the message id `next`.
    pub(crate) const fn new(next: u32) -> Self {
        Self { next: Some(next), in_flight: None }
    }

    /// The message id for a request; `None` if one is in flight, or if the ids are used up (they never wrap).
    pub(crate) fn free(&self) -> Option<u32> {
        if self.in_flight.is_some() { None } else { self.next }
    }

    /// No request can ever be sent again.
    pub(crate) const fn is_exhausted(&self) -> bool {
        self.next.is_none()
    }

    /// A request has been sent with the id that [`Self::free`] gave.
    pub(crate) fn sent(&mut self, in_flight: InFlight<T>) {
        self.next = in_flight.id.checked_add(1);
        self.in_flight = Some(in_flight);
    }

    /// Whether a response with this id answers our request.
    pub(crate) fn awaits(&self, id: u32) -> bool {
        self.in_flight.as_ref().is_some_and(|in_flight| in_flight.id == id)
    }

    /// The request is answered, or given up.
    pub(crate) fn take(&mut self) -> Option<InFlight<T>> {
        self.in_flight.take()
    }

    pub(crate) const fn in_flight(&self) -> Option<&InFlight<T>> {
        self.in_flight.as_ref()
    }

    pub(crate) const fn in_flight_mut(&mut self) -> Option<&mut InFlight<T>> {
        self.in_flight.as_mut()
    }
}

/// The peer's requests: the next one is answered, the last one is answered again.
pub(crate) struct Responses {
    expected: Option<u32>,
    last: Option<Sealed>,
}

/// Where a request stands in the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is the next one.
    Next,
    /// It was answered, with this response kept.
    Last,
    /// Behind or ahead of the window.
    Outside,
}

impl Responses {
    /// The peer's next request has the message id `expected`.
    pub(crate) const fn new(expected: u32) -> Self {
        Self { expected: Some(expected), last: None }
    }

    pub(crate) fn place(&self, id: u32) -> Place {
        if self.expected == Some(id) {
            return Place::Next;
        }
        let last = match self.expected {
            Some(expected) => expected.checked_sub(1),
            None => Some(u32::MAX),
        };
        if last == Some(id) && self.last.is_some() { Place::Last } else { Place::Outside }
    }

    /// The request with the id `id`, which was the next, is answered with `response`.
    pub(crate) fn answered(&mut self, id: u32, response: Sealed) {
        self.expected = id.checked_add(1);
        self.last = Some(response);
    }

    /// The answer to the peer's last request.
    pub(crate) const fn last_mut(&mut self) -> Option<&mut Sealed> {
        self.last.as_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_next_and_the_last_request_are_in_the_window() {
        let mut responses = Responses::new(5);
        assert_eq!(responses.place(4), Place::Outside, "nothing is kept yet");
        assert_eq!(responses.place(5), Place::Next);
        assert_eq!(responses.place(6), Place::Outside);
        responses.answered(5, Sealed::default());
        assert_eq!(responses.place(5), Place::Last);
        assert_eq!(responses.place(6), Place::Next);
        assert_eq!(responses.place(4), Place::Outside);
        assert_eq!(responses.place(u32::MAX), Place::Outside);
    }

    #[test]
    fn message_ids_never_wrap() {
        let mut responses = Responses::new(u32::MAX);
        responses.answered(u32::MAX, Sealed::default());
        assert_eq!(responses.place(0), Place::Outside);
        assert_eq!(responses.place(u32::MAX), Place::Last);
    }
}
