//! A cursor over received octets that cannot leave its bounds.

use super::error::{DecodeError, Flaw};
use super::iana::PayloadType;

/// Reads big-endian fields of one payload, and knows which payload it is, so that an error can say it.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    position: usize,
    payload: PayloadType,
}

impl<'a> Reader<'a> {
    /// A reader of `octets`, outside of any payload.
    pub const fn new(octets: &'a [u8]) -> Self {
        Self { rest: octets, position: 0, payload: PayloadType::NONE }
    }

    /// The same octets, with errors told of `payload`.
    #[must_use]
    pub const fn of(self, payload: PayloadType) -> Self {
        Self { payload, ..self }
    }

    /// The next octet.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(u8::from_be_bytes)
    }

    /// The next two octets as a number.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    /// The next four octets as a number.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// The next eight octets as a number.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_be_bytes)
    }

    /// The next `N` octets.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(self.malformed(Flaw::Truncated))?;
        self.rest = rest;
        self.position = self.position.saturating_add(N);
        Ok(*head)
    }

    /// The next `n` octets.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or(self.malformed(Flaw::Truncated))?;
        self.rest = rest;
        self.position = self.position.saturating_add(n);
        Ok(head)
    }

    /// Passes over `n` octets, reserved ones for instance.
    pub fn skip(&mut self, n: usize) -> Result<(), DecodeError> {
        self.take(n).map(|_| ())
    }

    /// A reader of the next `n` octets alone.
    pub fn sub(&mut self, n: usize) -> Result<Self, DecodeError> {
        let position = self.position;
        let rest = self.take(n)?;
        Ok(Self { rest, position, payload: self.payload })
    }

    /// A reader of the body of a structure whose 16-bit length, read here, counts `before` octets in front of the
    /// length field, the field itself and the body.
    pub fn block(&mut self, before: usize) -> Result<Self, DecodeError> {
        let length = usize::from(self.u16()?);
        let head = before.saturating_add(size_of::<u16>());
        let body = length.checked_sub(head).ok_or(self.malformed(Flaw::LengthTooSmall))?;
        self.sub(body)
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        self.position = self.position.saturating_add(self.rest.len());
        core::mem::take(&mut self.rest)
    }

    /// Fails if octets are left.
    pub const fn finish(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.malformed(Flaw::Trailing)) }
    }

    /// Nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Octets left.
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Octets from the start of the outermost reader to the cursor.
    pub const fn position(&self) -> usize {
        self.position
    }

    /// The error that says `flaw` of the payload being read.
    pub const fn malformed(&self, flaw: Flaw) -> DecodeError {
        DecodeError::Malformed { payload: self.payload, flaw }
    }
}
