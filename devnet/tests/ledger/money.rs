//! WAL that is given away or burned.

use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::call::{AddSubsidy, BurnWal, Function as Callee};
use haulout_protocol::chain::event::{Burned, Event};
use haulout_protocol::chain::object::Treasury;
use haulout_protocol::chain::params::ParamKey;

use crate::steps::{Step, fate};
use crate::world::{Account, FAUCET, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_burned_coin_lowers_the_supply_by_exactly_its_balance() {
    let world = World::start().await;
    let alice = Account::ed25519(1);
    world.fund(&alice).await;
    let coin = world.wal_coin(&alice).await;
    let before: Treasury = world.object(&world.ledger.ids().treasury).await;
    let burn = Step::new(Callee::BURN_WAL, BurnWal.arguments()).payment(coin);
    let done = world.step(&alice, burn).await;
    let burned = Burned { amount: FAUCET.wal, reason: 0 };
    assert_eq!(world.events(&done), [Event::Burned(burned)]);
    assert_eq!(done.events().events()[0].module(), "wal");
    assert_eq!(fate(&done, &coin), Some("deleted"));
    let after: Treasury = world.object(&world.ledger.ids().treasury).await;
    assert_eq!(before.total_supply - after.total_supply, FAUCET.wal);
    assert_eq!(world.balance(&alice, &world.wal_type()).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn t51_a_gift_is_spread_over_the_next_epochs() {
    let world = World::start().await;
    let alice = Account::ed25519(1);
    world.fund(&alice).await;
    let coin = world.wal_coin(&alice).await;
    let give =
        |epochs| Step::new(Callee::ADD_SUBSIDY, AddSubsidy { epochs }.arguments()).payment(coin);
    assert_eq!(world.step_refused(&alice, give(0)).await, Abort::BadEpochs);
    assert_eq!(world.step_refused(&alice, give(54)).await, Abort::BadEpochs);
    let done = world.step(&alice, give(3)).await;
    assert_eq!(fate(&done, &coin), Some("deleted"));
    let mut ring = world.system().await.ring;
    ring.entries.rotate_left(usize::try_from(ring.current_index).unwrap());
    let rewards: Vec<_> = ring.entries.iter().map(|entry| entry.rewards).collect();
    let (each, rest) = (FAUCET.wal / 3, FAUCET.wal % 3);
    assert_eq!(rewards[..4], [each + rest, each, each, 0]);
    let numbers = ring.entries.iter().map(|entry| entry.epoch);
    assert!(numbers.eq(1..54), "genesis began the first epoch by the rules");
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_begin_with_their_defaults_and_the_epoch_of_the_genesis() {
    let world = World::start().await;
    let params = world.params().await;
    let keys: Vec<_> = params.values.iter().map(|entry| entry.key).collect();
    assert!(keys.iter().copied().eq(ParamKey::ALL.iter().map(|key| key.number())));
    let value = |key: ParamKey| params.values[usize::from(key.number()) - 1].value;
    let duration = world.ledger.genesis().epoch_duration_ms;
    assert_eq!(value(ParamKey::EpochDurationMs), duration);
    assert_eq!((value(ParamKey::BurnBps), value(ParamKey::MaxNodes)), (300, 10));
}
