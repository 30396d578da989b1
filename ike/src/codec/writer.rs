//! Appends big-endian fields to a buffer. Writing cannot fail.

/// Writes fields behind what the buffer holds.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    /// A writer behind the end of `out`.
    pub const fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// One octet.
    pub fn u8(&mut self, value: u8) {
        self.out.push(value);
    }

    /// Two octets.
    pub fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    /// Four octets.
    pub fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    /// Eight octets.
    pub fn u64(&mut self, value: u64) {
        self.bytes(&value.to_be_bytes());
    }

    /// Octets as they are.
    pub fn bytes(&mut self, octets: &[u8]) {
        self.out.extend_from_slice(octets);
    }

    /// `n` octets of zero, for what is reserved.
    pub fn zeros(&mut self, n: usize) {
        self.out.resize(self.out.len().saturating_add(n), 0);
    }

    /// A structure of the form that payloads, proposals, transforms and traffic selectors share: two octets, a 16-bit
    /// length of the whole, and the body that `body` writes.
    ///
    /// A whole beyond 65,535 octets has no such form: the length says 65,535 and no peer will read it.
    pub fn block(&mut self, lead: [u8; 2], body: impl FnOnce(&mut Writer<'_>)) {
        let start = self.out.len();
        self.bytes(&lead);
        let field = self.out.len();
        self.u16(0);
        body(&mut Writer::new(self.out));
        let length = length16(self.out.len().saturating_sub(start));
        if let Some(place) = self.out.get_mut(field..).and_then(|rest| rest.first_chunk_mut()) {
            *place = length.to_be_bytes();
        }
    }
}

/// A length for a 16-bit field; what does not fit is the largest.
pub(super) fn length16(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

/// A count for an 8-bit field; what does not fit is the largest.
pub(super) fn length8(length: usize) -> u8 {
    u8::try_from(length).unwrap_or(u8::MAX)
}
