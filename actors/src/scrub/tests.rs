//! The actor over a store on disk, with a period of milliseconds.

use std::path::Path;

use haulout_protocol::blob::BlobId;
use haulout_protocol::sliver::{Axis, ShardIndex};
use haulout_storage::{Options, Store};

use super::*;
use crate::sample::{eventually, sample_context, sample_position};

const BLOB: BlobId = BlobId::from_bytes([3; 32]);
const SLIVER: usize = 20_000;

/// A context over a store in that folder, with one pair in one file.
async fn stored(folder: &Path, scrub_every: Duration) -> Context {
    let position = sample_position(4);
    let peer = position.committee.members()[0].peer_id;
    let mut context = sample_context(position, peer, 0);
    let options = Options { reserve_bytes: 0, ..Options::default() };
    (context.store, context.scrub_every) = (Store::open(folder, options).unwrap(), scrub_every);
    let mut writer = context.store.segment_writer(BLOB, 0, 0).unwrap();
    writer.append_proof(ShardIndex(0), &[2]).unwrap();
    for axis in Axis::BOTH {
        writer.append(ShardIndex(0), axis, &[7; SLIVER]).unwrap();
    }
    writer.commit().await.unwrap();
    context
}

/// Changes the first byte of the only bundle.
fn flip(folder: &Path) {
    let group = std::fs::read_dir(folder.join("bundles")).unwrap().next().unwrap().unwrap();
    let file = std::fs::read_dir(group.path()).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[0] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rotted_is_found_though_nobody_reads_it_and_tours_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let context = stored(folder.path(), Duration::from_millis(200)).await;
    let arguments = Arguments { context: context.clone() };
    let (actor, ended) = Actor::spawn(None, ScrubActor, arguments).await.unwrap();
    let vitals = context.vitals.clone();
    let tours = |vitals: &crate::vitals::Vitals| vitals.scrubbing().tours;
    eventually("everything was read twice", || tours(&vitals) >= 2).await;
    let scrubbing = vitals.scrubbing();
    assert_eq!((scrubbing.rotten, scrubbing.unreadable), (0, 0));
    assert!(scrubbing.last_tour_ms.is_some() && scrubbing.tour_per_mille < 1000);
    assert!(scrubbing.read_bytes >= 2 * 2 * 20_000);
    flip(folder.path());
    eventually("the rot is found", || vitals.scrubbing().rotten == 1).await;
    let whole = context.store.stored_segments(&BLOB, &[ShardIndex(0)]).unwrap();
    assert!(whole.is_empty(), "it counts as missing");
    let so_far = tours(&vitals);
    eventually("tours go on", || tours(&vitals) > so_far + 1).await;
    assert_eq!(vitals.scrubbing().rotten, 1, "what is known is no news");
    let text = context.metrics.encode();
    for line in ["haulout_scrub_rot_total 1", "haulout_scrub_unreadable_total 0"] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    actor.stop(None);
    ended.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn with_no_period_nothing_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let context = stored(folder.path(), Duration::ZERO).await;
    let arguments = Arguments { context: context.clone() };
    let (actor, ended) = Actor::spawn(None, ScrubActor, arguments).await.unwrap();
    actor.cast(Message::TimeReached).unwrap();
    actor.drain().unwrap();
    ended.await.unwrap();
    assert_eq!(context.vitals.scrubbing(), crate::vitals::Scrubbing::default());
}
