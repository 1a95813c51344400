//! The memory that all repairs of a node hold together.
//!
//! Promises: no more is given out than [`limits::REPAIR_MEMORY`]; what needs more than there is has all of it, and nobody
//! else any; nobody waits for room while it holds some. Does not: measure what is used.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits;

/// The memory of all repairs, in KiB; a cheap clone.
#[derive(Clone, Debug)]
pub(super) struct Memory(Arc<Semaphore>);

/// A part of it, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Room {
    memory: Memory,
    permit: OwnedSemaphorePermit,
}

impl Default for Memory {
    fn default() -> Self {
        Memory(Arc::new(Semaphore::new(limits::REPAIR_MEMORY / 1024)))
    }
}

impl Memory {
    /// Waits for room for so many bytes.
    pub(super) async fn room(&self, bytes: usize) -> Room {
        let kib = bytes.div_ceil(1024).clamp(1, limits::REPAIR_MEMORY / 1024);
        let permits = u32::try_from(kib).unwrap_or(u32::MAX);
        let permit = self.0.clone().acquire_many_owned(permits).await;
        let permit = permit.expect("we never close the semaphore");
        Room { memory: self.clone(), permit }
    }
}

impl Room {
    /// Gives it back, and waits for room for so many bytes: two that want more while they hold some would wait for ever.
    pub(super) async fn instead(self, bytes: usize) -> Room {
        let Room { memory, permit } = self;
        drop(permit);
        memory.room(bytes).await
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn who_wants_more_gives_back_first_and_what_is_too_large_is_alone() {
        let memory = Memory::default();
        let half = limits::REPAIR_MEMORY / 2;
        let (one, other) = (memory.room(half).await, memory.room(half).await);
        assert!(memory.room(1).now_or_never().is_none(), "all of it is given out");
        let mut large = Box::pin(one.instead(usize::MAX));
        assert!(large.as_mut().now_or_never().is_none(), "the other one is still here");
        drop(other);
        let large = large.await;
        assert!(memory.room(1).now_or_never().is_none());
        drop(large);
        assert!(memory.room(limits::REPAIR_MEMORY).now_or_never().is_some());
    }
}
