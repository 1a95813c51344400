//! Space is split, joined and thrown away.

use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::call::{
    DestroyStorage, Function as Callee, FuseStorage, SplitByEpoch, SplitBySize,
};
use haulout_protocol::chain::event::{Event, StorageDestroyed};
use haulout_protocol::chain::object::Storage;

use crate::steps::{Step, created, fate};
use crate::world::{Account, World};

fn by_epoch(storage: &Storage, epoch: u32) -> Step {
    Step::new(Callee::SPLIT_BY_EPOCH, SplitByEpoch { epoch }.arguments()).storage(storage)
}

fn by_size(storage: &Storage, size: u64) -> Step {
    Step::new(Callee::SPLIT_BY_SIZE, SplitBySize { size }.arguments()).storage(storage)
}

fn fuse(first: &Storage, second: &Storage) -> Step {
    let step = Step::new(Callee::FUSE_STORAGE, FuseStorage.arguments());
    step.storage(first).other_storage(second)
}

#[tokio::test(flavor = "multi_thread")]
async fn t45_space_is_split_in_time_and_size_and_fused_again() {
    let world = World::start().await;
    let alice = Account::ed25519(1);
    world.fund(&alice).await;
    let whole = world.buy(&alice, 100, 6).await;
    let done = world.step(&alice, by_epoch(&whole, 3)).await;
    let later: Storage = world.object(&created(&done)).await;
    assert_eq!((later.start_epoch, later.end_epoch, later.storage_size), (3, 6, 100));
    let done = world.step(&alice, by_size(&whole, 99)).await;
    let small: Storage = world.object(&created(&done)).await;
    assert_eq!((small.start_epoch, small.end_epoch, small.storage_size), (1, 3, 1));
    let kept: Storage = world.object(&whole.id).await;
    assert_eq!((kept.start_epoch, kept.end_epoch, kept.storage_size), (1, 3, 99));

    let size = world.step_refused(&alice, fuse(&later, &small)).await;
    assert_eq!(size, Abort::IncompatibleSize);
    assert_eq!(world.step_refused(&alice, by_epoch(&later, 6)).await, Abort::BadSplitEpoch);
    assert_eq!(world.step_refused(&alice, by_size(&small, 1)).await, Abort::ZeroSize);
    assert_eq!(world.step_refused(&alice, by_size(&small, 2)).await, Abort::IncompatibleSize);

    let done = world.step(&alice, fuse(&whole, &small)).await;
    assert_eq!(
        (fate(&done, &whole.id), fate(&done, &small.id)),
        (Some("changed"), Some("deleted"))
    );
    world.step(&alice, fuse(&whole, &later)).await;
    assert_eq!(world.object::<Storage>(&whole.id).await, whole);
    assert_eq!(world.system().await.used_capacity, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn destroyed_space_is_gone_and_stays_reserved() {
    let world = World::start().await;
    let alice = Account::ed25519(1);
    world.fund(&alice).await;
    let space = world.buy(&alice, 100, 6).await;
    let step = Step::new(Callee::DESTROY_STORAGE, DestroyStorage.arguments()).storage(&space);
    let done = world.step(&alice, step).await;
    let destroyed = StorageDestroyed { object_id: space.id };
    assert_eq!(world.events(&done), [Event::StorageDestroyed(destroyed)]);
    assert_eq!(done.events().events()[0].module(), "storage");
    assert_eq!(fate(&done, &space.id), Some("deleted"));
    assert!(world.object_bytes(&space.id).await.is_none());
    assert_eq!(world.system().await.used_capacity, 100);
}
