//! The buffers of one worker, for what it reads and receives: allocated at start, handed round by value.
//!
//! A buffer is owned by exactly one of the pool, the back end and the packets in work, so no two packets can share one,
//! whatever the order in which an asynchronous back end completes.

/// Octets of a buffer: the longest IP packet or UDP payload, and room for what a back end puts before it. A TUN read cuts
/// silently what is longer.
pub const BUFFER_LEN: usize = 65_536 + HEAD;

/// One buffer; by default without octets, to stand in for one that is lent.
#[derive(Debug, Default)]
pub struct Buffer(Box<[u8]>);

impl Buffer {
    /// Every page is touched, so that the gateway has all its memory at start: a long packet, even a forged one, neither waits
    /// for a page nor makes the gateway larger.
    fn new() -> Self {
        let mut octets: Box<[u8]> = vec![0; BUFFER_LEN].into();
        for page in octets.chunks_mut(PAGE) {
            page[0] = 1;
        }
        Self(octets)
    }

    /// All its octets.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// All its octets, to write.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

/// A fixed number of buffers; the one used last is used next, while it is still in the cache.
#[derive(Debug)]
pub struct Pool {
    free: Vec<Buffer>,
}

impl Pool {
    /// Allocates `count` buffers; there will never be more.
    pub fn new(count: usize) -> Self {
        Self { free: (0..count).map(|_| Buffer::new()).collect() }
    }

    /// A buffer, unless all are in use.
    pub fn take(&mut self) -> Option<Buffer> {
        self.free.pop()
    }

    /// Puts a buffer back; one without octets only stood in for another.
    pub fn give(&mut self, buffer: Buffer) {
        if !buffer.bytes().is_empty() {
            self.free.push(buffer);
        }
    }

    /// How many buffers are free.
    pub fn available(&self) -> usize {
        self.free.len()
    }
}

/// The smallest page.
const PAGE: usize = 4096;

/// A virtio header, or the address and control data that a ring puts before a datagram. No multiple of a page, so that
/// consecutive buffers do not start at the same set of the L1 cache.
const HEAD: usize = 5 * 64;
