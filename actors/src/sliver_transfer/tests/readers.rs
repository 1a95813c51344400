//! Readers beside each other: strangers take turns, and who reads alone does not wait.

use haulout_protocol::machine::pacing::{Limits, Rate};

use super::*;
use crate::sample::sample_network_at;

/// Whoever has company gets a sliver of its host's share and one of its own, and is told to come back for the next.
const TWO_EACH: Limits = Limits {
    host: Rate { advance: 0, bytes_per_second: 1 },
    peer: Rate { advance: 0, bytes_per_second: 1 },
    company_ms: u64::MAX,
    wait_max_ms: 0,
    readers_max: 8,
};

/// How many slivers of the node's shards come before it says that it is busy, or says that there are no more.
async fn read(world: &World, reader: &Network, blob: &Blob) -> (usize, bool) {
    let blob_id = blob.header.blob_id();
    let parameters = world.parameters();
    let pair = |shard: &ShardIndex| pair_of_shard(&parameters, &blob_id, 0, *shard).0;
    let pairs = world.shards.iter().map(pair).collect();
    let get = Request::Get {
        blob_id: *blob_id.as_bytes(),
        segment: 0,
        axis: Axis::Primary,
        part: Part::Sliver,
        pairs,
        trace: None,
    };
    let mut stream = reader.open(world.tree.network().identity(), Protocol::Sliver).await.unwrap();
    send(&mut stream, &get).await;
    let mut slivers = 0;
    loop {
        match reply(&mut stream).await {
            Reply::Sliver { bytes, .. } => {
                stream.read_bytes(bytes).await.unwrap();
                slivers += 1;
            }
            Reply::End => return (slivers, false),
            Reply::Refused(Refusal::Busy { .. }) => return (slivers, true),
            other => panic!("not a sliver: {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_alone_reads_all_and_beside_another_host_each_gets_its_share() {
    let limits = serving::Limits { readers: TWO_EACH, ..serving::Limits::default() };
    let world = World::start_with(limits, QUICK).await;
    let all = world.shards.len();
    assert!(all > 2, "there is something to wait for");
    let blob = sample_blob(&world.parameters(), 16);
    world.register(&blob).await;
    world.put(&blob).await;
    for _ in 0..3 {
        assert_eq!(read(&world, &world.client, &blob).await, (all, false), "nobody else is here");
    }
    let other = sample_network_at(3, "127.0.0.2");
    let context = sample_context(world.node.position.current(), other.identity(), 2);
    let _tree = Tree::start(context, other.clone(), Role::Client).await.unwrap();
    let addresses = world.tree.network().addresses().borrow().clone();
    other.add_addresses(world.tree.network().identity(), addresses);
    let name = "no more beside another host";
    assert_eq!(read(&world, &other, &blob).await, (2, true), "{name}");
    assert_eq!(read(&world, &world.client, &blob).await, (2, true), "{name}");
}
