//! The receive buffers of one worker: allocated at start, handed round by value.
//!
//! A buffer is owned by exactly one of the pool, the back end and the datagram in work, so no two packets can share one,
//! whatever the order in which an asynchronous back end completes.

/// Octets that one datagram may have. Longer ones are cut by the kernel, and counted: jumbo frames (9001) fit.
pub const BUFFER_LEN: usize = 9216 + CACHE_LINE;

/// One receive buffer.
#[derive(Debug)]
pub struct Buffer(Box<[u8]>);

impl Buffer {
    fn new() -> Self {
        Self(vec![0; BUFFER_LEN].into())
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

    /// Puts a buffer back.
    pub fn give(&mut self, buffer: Buffer) {
        self.free.push(buffer);
    }

    /// How many buffers are free.
    pub fn available(&self) -> usize {
        self.free.len()
    }
}

/// Keeps consecutive buffers from starting at the same set of the L1 cache.
const CACHE_LINE: usize = 64;
