//! What came from one source of a ring and was not asked for yet.

use std::collections::VecDeque;

use rustix::io::Errno;

/// Frames of a TUN queue, or datagrams of a socket, in order.
#[derive(Debug)]
pub(super) struct Stash<T> {
    items: VecDeque<T>,
    error: Option<Errno>,
    /// Reads or receives under way.
    armed: usize,
    /// Something came since a read or receive was last begun.
    fed: bool,
    /// In the list of sources to be armed.
    pub(super) unarmed: bool,
    /// In the list of sources that have something.
    pub(super) listed: bool,
}

impl<T> Stash<T> {
    pub(super) fn new() -> Self {
        Self { items: VecDeque::new(), error: None, armed: 0, fed: false, unarmed: false, listed: false }
    }

    /// A read or receive was begun.
    pub(super) fn arm(&mut self) {
        self.armed += 1;
        self.fed = false;
    }

    /// One of them is over.
    pub(super) fn disarm(&mut self) {
        self.armed = self.armed.saturating_sub(1);
    }

    /// How many are under way.
    pub(super) fn armed(&self) -> usize {
        self.armed
    }

    /// Whether something came since one was last begun.
    pub(super) fn fed(&self) -> bool {
        self.fed
    }

    pub(super) fn push(&mut self, item: T) {
        self.items.push_back(item);
        self.fed = true;
    }

    /// What comes after all that is here.
    pub(super) fn fail(&mut self, error: Errno) {
        self.error = Some(error);
    }

    /// The first item; when there is none left, the error, once.
    pub(super) fn take(&mut self) -> Result<Option<T>, Errno> {
        match self.items.pop_front() {
            Some(item) => Ok(Some(item)),
            None => self.error.take().map_or(Ok(None), Err),
        }
    }

    /// Whether there is still something, for a stash in the list of those that have.
    pub(super) fn stays_listed(&mut self) -> bool {
        self.listed = !self.is_empty();
        self.listed
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty() && self.error.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_comes_after_what_came_before_it_and_once() {
        let mut stash = Stash::new();
        stash.push(1);
        stash.fail(Errno::IO);
        assert_eq!(stash.take(), Ok(Some(1)));
        assert!(!stash.is_empty());
        assert_eq!(stash.take(), Err(Errno::IO));
        assert_eq!(stash.take(), Ok(None));
        assert!(stash.is_empty());
    }
}
