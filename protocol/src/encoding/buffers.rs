//! Large buffers that are used again: the system's fresh memory costs more than the coding that fills it.
//!
//! Promises: keeps no more than its limit; a buffer comes back when the last slice of it is dropped. Does not: clear
//! buffers, so whoever takes one must write all of it.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Smaller buffers are left to the allocator, which reuses them anyway.
const MIN_KEPT_BYTES: usize = 64 * 1024;

/// Memory for slivers and segments, shared by its clones. Dropping all of them frees what is not in use.
#[derive(Clone, Debug)]
pub struct Buffers {
    limit: usize,
    free: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Buffers {
    /// Keeps up to this many bytes that nobody uses at the moment. An encoded segment takes 2.5 times its own bytes.
    pub fn new(limit: usize) -> Self {
        Buffers { limit, free: Arc::default() }
    }

    /// A buffer of this length with any contents.
    pub(super) fn take(&self, bytes: usize) -> Vec<u8> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |buffer: &&Vec<u8>| buffer.len() >= bytes && buffer.len() / 2 <= bytes;
        let best = free.iter().filter(fits).map(Vec::len).min();
        let place = best.and_then(|best| free.iter().position(|buffer| buffer.len() == best));
        match place.map(|place| free.swap_remove(place)) {
            Some(mut buffer) => {
                buffer.truncate(bytes);
                buffer
            }
            None => {
                drop(free);
                vec![0; bytes]
            }
        }
    }

    /// Makes a buffer shareable; it comes back here at the end.
    pub(super) fn share(&self, buffer: Vec<u8>) -> Bytes {
        if self.limit == 0 || buffer.len() < MIN_KEPT_BYTES {
            return buffer.into();
        }
        Bytes::from_owner(Lent { buffer, home: self.clone() })
    }

    fn give_back(&self, buffer: Vec<u8>) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let kept: usize = free.iter().map(Vec::capacity).sum();
        if kept + buffer.capacity() <= self.limit {
            free.push(buffer);
        }
    }
}

/// Owner of a shared buffer.
struct Lent {
    buffer: Vec<u8>,
    home: Buffers,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.home.give_back(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_its_last_slice_is_dropped() {
        let buffers = Buffers::new(1 << 20);
        let shared = buffers.share(buffers.take(100_000));
        let place = shared.as_ptr();
        let slice = shared.slice(5..10);
        drop(shared);
        assert!(buffers.free.lock().unwrap().is_empty());
        drop(slice);
        let again = buffers.take(90_000);
        assert_eq!((again.as_ptr(), again.len()), (place, 90_000));
        assert!(buffers.free.lock().unwrap().is_empty());
    }

    #[test]
    fn no_more_than_the_limit_is_kept() {
        let buffers = Buffers::new(250_000);
        let lent: Vec<_> = (0..5).map(|_| buffers.share(buffers.take(100_000))).collect();
        drop(lent);
        assert_eq!(buffers.free.lock().unwrap().len(), 2);
        let none = Buffers::new(0);
        drop(none.share(none.take(100_000)));
        assert!(none.free.lock().unwrap().is_empty());
    }
}
