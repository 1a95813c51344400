//! The memory that all repairs of a node hold together.
//!
//! Promises: no more is given out than [`limits::REPAIR_MEMORY`]; what needs more than there is has all of it, and nobody
//! else any; of those that wait for more while they hold some there is one at a time, so nobody waits for ever. Does not:
//! measure what is used.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits;

/// Whatever needs less than this is given all of it at once.
const LARGE: usize = limits::REPAIR_MEMORY / 4;

/// The memory of all repairs; a cheap clone.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    /// In KiB.
    room: Arc<Semaphore>,
    /// The right to hold some and wait for more.
    growth: Arc<Semaphore>,
}

/// A part of it, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Room {
    memory: Memory,
    permit: OwnedSemaphorePermit,
    /// How much more it will be, with the right to wait for it.
    later: Option<(usize, OwnedSemaphorePermit)>,
}

impl Default for Memory {
    fn default() -> Self {
        let room = Arc::new(Semaphore::new(limits::REPAIR_MEMORY / 1024));
        Memory { room, growth: Arc::new(Semaphore::new(1)) }
    }
}

/// So many bytes in KiB, or all there is.
fn kib(bytes: usize) -> usize {
    bytes.div_ceil(1024).clamp(1, limits::REPAIR_MEMORY / 1024)
}

async fn permit(of: &Arc<Semaphore>, count: usize) -> OwnedSemaphorePermit {
    let permits = u32::try_from(count).unwrap_or(u32::MAX);
    of.clone().acquire_many_owned(permits).await.expect("we never close the semaphore")
}

impl Memory {
    /// Waits for room for so many bytes.
    pub(super) async fn room(&self, bytes: usize) -> Room {
        let permit = permit(&self.room, kib(bytes)).await;
        Room { memory: self.clone(), permit, later: None }
    }

    /// Waits for room for so many bytes that will be `most` later: until [`Room::grow`] others have the rest.
    async fn growing(&self, bytes: usize, most: usize) -> Room {
        if most <= LARGE {
            return self.room(most).await;
        }
        let right = permit(&self.growth, 1).await;
        let first = kib(bytes);
        let mut room = self.room(bytes).await;
        room.later = Some((kib(most) - first, right));
        room
    }
}

impl Room {
    /// Gives it back, and waits for room for so many bytes that will be `most` later: two that want more while they hold some
    /// would wait for ever.
    pub(super) async fn instead(self, bytes: usize, most: usize) -> Room {
        let Room { memory, permit, later } = self;
        drop((permit, later));
        memory.growing(bytes.min(most), most).await
    }

    /// Waits until it is as much as was said.
    pub(super) async fn grow(&mut self) {
        if let Some((more, right)) = self.later.take() {
            if more > 0 {
                self.permit.merge(permit(&self.memory.room, more).await);
            }
            drop(right);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const ALL: usize = limits::REPAIR_MEMORY;

    #[tokio::test]
    async fn who_wants_more_gives_back_first_and_what_is_too_large_is_alone() {
        let memory = Memory::default();
        let (one, other) = (memory.room(ALL / 2).await, memory.room(ALL / 2).await);
        assert!(memory.room(1).now_or_never().is_none(), "all of it is given out");
        let mut large = Box::pin(one.instead(usize::MAX, usize::MAX));
        assert!(large.as_mut().now_or_never().is_none(), "the other one is still here");
        drop(other);
        let large = large.await;
        assert!(memory.room(1).now_or_never().is_none());
        drop(large);
        assert!(memory.room(ALL).now_or_never().is_some());
    }

    #[tokio::test]
    async fn what_grows_leaves_room_until_then_and_a_second_one_holds_nothing_while_it_waits() {
        let memory = Memory::default();
        let small = || async { memory.room(1).await };
        let mut one = small().await.instead(ALL / 2, ALL).await;
        let beside = memory.room(ALL / 2).now_or_never().expect("half is left while it fetches");
        let mut second = Box::pin(memory.growing(1, ALL));
        assert!(second.as_mut().now_or_never().is_none(), "one at a time");
        let mut grown = Box::pin(one.grow());
        assert!(grown.as_mut().now_or_never().is_none(), "the other half is in use");
        drop(beside);
        grown.await;
        assert!(small().now_or_never().is_none(), "it has all of it now");
        assert!(second.as_mut().now_or_never().is_none(), "it has the right, and waits for room");
        drop(one);
        second.await.grow().await;
    }

    #[tokio::test]
    async fn small_ones_have_all_of_it_at_once_and_many_at_a_time() {
        let memory = Memory::default();
        let mut one = memory.growing(1, LARGE).await;
        let second = memory.growing(1, LARGE).now_or_never();
        assert!(second.is_some());
        one.grow().await;
        assert!(memory.room(ALL / 2 + 1).now_or_never().is_none(), "half is given out");
    }
}
