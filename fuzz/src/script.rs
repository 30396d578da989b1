//! The input of a stateful target, read as a script: octets become choices, and the end of the input ends the script.

/// What is left of the script.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Script<'d>(&'d [u8]);

impl<'d> Script<'d> {
    pub(crate) const fn new(data: &'d [u8]) -> Self {
        Self(data)
    }

    /// The next octet; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// The next octet; 0 behind the end, where every choice is the plainest.
    pub(crate) fn octet(&mut self) -> u8 {
        self.next().unwrap_or_default()
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.octet(), self.octet()])
    }

    /// As many octets as the next one says, or as there are.
    pub(crate) fn octets(&mut self) -> &'d [u8] {
        let wanted = usize::from(self.octet());
        let (octets, rest) = self.0.split_at(wanted.min(self.0.len()));
        self.0 = rest;
        octets
    }

    /// All that is left, which ends the script.
    pub(crate) fn rest(&mut self) -> &'d [u8] {
        core::mem::take(&mut self.0)
    }

    /// A place in a list of `len`; 0 where the list is empty.
    pub(crate) fn place(&mut self, len: usize) -> usize {
        usize::from(self.octet()).checked_rem(len).unwrap_or_default()
    }
}
