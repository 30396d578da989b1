//! A ring of provided buffers: from it the kernel picks where a multishot read or receive puts what comes
//! (io_uring_register_buf_ring(3)).

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::mem::offset_of;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;

use crate::pool::{Buffer, Pool};

/// A group of buffers of one ring. Each is in the hands of the kernel, waits here for its turn, or is away by value.
///
/// The kernel takes what was provided first first. So that few buffers go round while few are needed, and stay in the
/// cache, it has no more than [`Self::set_depth`] says; of those that wait, the one used last is provided next.
pub(super) struct BufRing {
    group: u16,
    entries: NonNull<Entry>,
    capacity: u16,
    tail: u16,
    /// By buffer id: what the kernel has.
    provided: Box<[Option<Buffer>]>,
    ids: Vec<u16>,
    waiting: Vec<Buffer>,
    depth: usize,
}

impl BufRing {
    /// A group of `capacity` buffers, a power of two. None is provided yet.
    ///
    /// # Safety
    ///
    /// It must not be dropped before it is unregistered, or the ring of `submitter` is closed, with no request under way
    /// that uses this group.
    pub(super) unsafe fn register(submitter: &Submitter<'_>, group: u16, capacity: u16) -> io::Result<Self> {
        assert!(capacity.is_power_of_two(), "the kernel wants a power of two");
        let layout = layout(capacity);
        // SAFETY: the layout is not empty: there is at least one entry.
        let memory = unsafe { alloc_zeroed(layout) };
        #[expect(clippy::cast_ptr_alignment, reason = "the layout is aligned to a page")]
        let Some(entries) = NonNull::new(memory.cast::<Entry>()) else { handle_alloc_error(layout) };
        let mut pool = Pool::new(usize::from(capacity));
        let ring = Self {
            group,
            entries,
            capacity,
            tail: 0,
            provided: (0..capacity).map(|_| None).collect(),
            ids: (0..capacity).collect(),
            waiting: std::iter::from_fn(|| pool.take()).collect(),
            depth: usize::from(capacity),
        };
        // SAFETY: the memory holds `capacity` entries, is aligned to a page, and lives as long as `ring`, which the caller
        // keeps until the kernel has let go of it.
        unsafe {
            submitter.register_buf_ring_with_flags(entries.as_ptr() as u64, capacity, group, 0)?;
        }
        Ok(ring)
    }

    /// The group's number.
    pub(super) fn group(&self) -> u16 {
        self.group
    }

    /// How many buffers the kernel may have from the next [`Self::provide`] on.
    pub(super) fn set_depth(&mut self, depth: usize) {
        self.depth = depth;
    }

    /// How many buffers the kernel has.
    pub(super) fn provided(&self) -> usize {
        usize::from(self.capacity) - self.ids.len()
    }

    /// Takes a buffer that is to be provided again. One too many is dropped, and one without octets, which only stood in for
    /// another.
    pub(super) fn give(&mut self, buffer: Buffer) {
        if self.waiting.len() < usize::from(self.capacity) && !buffer.bytes().is_empty() {
            self.waiting.push(buffer);
        }
    }

    /// Takes the buffer that the kernel has put something into.
    pub(super) fn take(&mut self, id: u16) -> Option<Buffer> {
        let buffer = self.provided.get_mut(usize::from(id))?.take()?;
        self.ids.push(id);
        Some(buffer)
    }

    /// Provides buffers that wait, up to the depth.
    pub(super) fn provide(&mut self) {
        let before = self.tail;
        while self.provided() < self.depth
            && let Some(id) = self.ids.pop()
        {
            let Some(buffer) = self.waiting.pop() else {
                self.ids.push(id);
                break;
            };
            self.put(id, buffer);
        }
        if self.tail != before {
            // SAFETY: the tail lies in the first entry, in memory that `self` owns, at an even offset of an aligned entry; the
            // kernel reads it atomically. Release: the entries above are written before it sees them.
            let tail = unsafe { AtomicU16::from_ptr(self.entries.as_ptr().byte_add(TAIL).cast()) };
            tail.store(self.tail, Ordering::Release);
        }
    }

    fn put(&mut self, id: u16, buffer: Buffer) {
        let buffer = self.provided[usize::from(id)].insert(buffer);
        let octets = buffer.bytes_mut();
        let slot = usize::from(self.tail & (self.capacity - 1));
        // SAFETY: `slot` is below `capacity`, so the entry lies in memory that `self` owns. The kernel does not read it: it
        // has at most `capacity` entries, and this one is behind the tail it knows. `resv` is left alone, as that of the
        // first entry is the tail. The octets stay where they are and untouched: the buffer is in `provided` until the
        // kernel names its id.
        unsafe {
            let entry = self.entries.as_ptr().add(slot);
            (&raw mut (*entry).address).write(octets.as_mut_ptr() as u64);
            (&raw mut (*entry).len).write(u32::try_from(octets.len()).unwrap_or(0));
            (&raw mut (*entry).id).write(id);
        }
        self.tail = self.tail.wrapping_add(1);
    }
}

impl Drop for BufRing {
    fn drop(&mut self) {
        // SAFETY: allocated in `register` with this layout; the kernel has let go of it, as its caller promised.
        unsafe { dealloc(self.entries.as_ptr().cast(), layout(self.capacity)) }
    }
}

/// `struct io_uring_buf` of linux/io_uring.h.
#[repr(C)]
struct Entry {
    address: u64,
    len: u32,
    id: u16,
    resv: u16,
}

fn layout(capacity: u16) -> Layout {
    let entries = Layout::array::<Entry>(usize::from(capacity)).and_then(|array| array.align_to(PAGE));
    entries.unwrap_or(Layout::new::<Entry>())
}

/// Where the tail of the whole ring is kept: `struct io_uring_buf_ring` lays it over the first entry.
const TAIL: usize = offset_of!(Entry, resv);

/// The kernel wants the entries at the start of a page. 64 KiB: the largest page of the platforms we build for.
const PAGE: usize = 65_536;

const _: () = assert!(size_of::<Entry>() == 16 && TAIL == 14);
