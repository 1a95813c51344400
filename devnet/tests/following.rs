//! Running nodes carry the network from epoch to epoch, and nobody else does.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::time::{Duration, Instant};

use haulout_actors::position::Position;
use haulout_devnet::Devnet;
use haulout_protocol::chain::object::staking::EpochState;

/// Everything must happen within this time, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(120);
const EPOCH: Duration = Duration::from_secs(600);

async fn devnet(seed: u64) -> Devnet {
    let devnet = Devnet::builder().nodes(4).shards(4).seed(seed).segment_bytes(64 << 10);
    devnet.epoch(EPOCH).start().await.unwrap()
}

/// Waits until every running node sees what is expected.
async fn eventually(devnet: &Devnet, what: &str, is_so: impl Fn(&Position) -> bool) {
    let until = Instant::now() + PATIENCE;
    for node in (0..devnet.members()).filter_map(|index| devnet.node(index)) {
        loop {
            let position = node.context().position.current();
            if is_so(&position) {
                break;
            }
            assert!(Instant::now() < until, "no {what}: {:?}", position.phase);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn is_done(position: &Position, epoch: u32) -> bool {
    position.epoch.0 == epoch && matches!(position.phase, EpochState::Done { .. })
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_end_the_vote_and_the_epoch_in_time_and_report_their_shards() {
    let devnet = devnet(77).await;
    let ledger = devnet.ledger().unwrap();
    eventually(&devnet, "first epoch", |position| is_done(position, 1)).await;
    ledger.skip(EPOCH / 2).unwrap();
    eventually(&devnet, "vote", |position| {
        position.epoch.0 == 1 && matches!(position.phase, EpochState::Selected { .. })
    })
    .await;
    ledger.skip(EPOCH / 2).unwrap();
    eventually(&devnet, "second epoch", |position| is_done(position, 2)).await;
    let position = devnet.node(0).unwrap().context().position.current();
    assert_eq!((position.committee.epoch().0, position.committee.members().len()), (2, 4));
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn epochs_go_on_with_a_dead_node_and_after_a_restart_of_the_ledger() {
    let mut devnet = devnet(78).await;
    devnet.stop_node(2).await;
    for epoch in 2..4 {
        for _ in 0..2 {
            devnet.ledger().unwrap().skip(EPOCH).unwrap();
            devnet.stop_ledger().await;
            devnet.start_ledger().await.unwrap();
        }
        eventually(&devnet, "next epoch", |position| is_done(position, epoch)).await;
    }
    devnet.start_node(2).await.unwrap();
    eventually(&devnet, "common epoch", |position| position.epoch.0 >= 3).await;
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_quorum_of_reports_the_sync_ends_by_force() {
    let mut devnet = devnet(79).await;
    eventually(&devnet, "first epoch", |position| is_done(position, 1)).await;
    devnet.stop_node(1).await;
    devnet.stop_node(2).await;
    let ledger = devnet.ledger().unwrap();
    ledger.skip(EPOCH).unwrap();
    eventually(&devnet, "sync", |position| {
        position.epoch.0 == 2 && matches!(position.phase, EpochState::Sync { .. })
    })
    .await;
    ledger.skip(EPOCH).unwrap();
    eventually(&devnet, "forced end of the sync", |position| is_done(position, 2)).await;
    devnet.shutdown().await;
}
