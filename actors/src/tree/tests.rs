//! Kills every actor of a node in turn and asks the node something afterwards.

use haulout_protocol::wire;
use haulout_protocol::wire::blob::{Answer, Question, Request};

use super::{Role, Tree};
use crate::network::{Network, Protocol};
use crate::sample::{
    eventually, position_of, restarts, sample_committee, sample_context, sample_network,
};

/// A node and a client that knows where it listens.
async fn start() -> (Tree, Network, Tree) {
    let network = sample_network(1);
    let position = position_of(sample_committee(&[network.identity()], 4));
    let context = sample_context(position.clone(), network.identity(), 0);
    let node = Tree::start(context, network, Role::StorageNode).await.unwrap();
    let client = sample_network(2);
    let context = sample_context(position, client.identity(), 1);
    let client_tree = Tree::start(context, client.clone(), Role::Client).await.unwrap();
    let mut addresses = node.network().addresses();
    let listening = addresses.wait_for(|addresses| !addresses.is_empty()).await.unwrap().clone();
    client.add_addresses(node.network().identity(), listening);
    (node, client, client_tree)
}

/// Whether the node answers a question now.
async fn answers(node: &Tree, client: &Network) -> bool {
    let asked = async {
        let mut stream = client.open(node.network().identity(), Protocol::Blob).await.ok()?;
        let request = Request { blob_id: [1; 32], question: Question::Status, trace: None };
        stream.write_frame(&request).await.ok()?;
        stream.flush().await.ok()?;
        stream.read_frame::<Answer>(wire::SMALL_FRAME_BYTES_MAX).await.ok()
    };
    matches!(asked.await, Some(Answer::Status(_)))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_goes_on_after_any_actor_is_killed() {
    let (node, client, _client_tree) = start().await;
    assert!(answers(&node, &client).await);
    for actor in ["gossip", "sliver_transfer", "services", "shards", "network"] {
        let before = restarts(&node.health());
        assert!(node.kill(actor), "{actor} is in the tree");
        let back = || node.is_healthy() && restarts(&node.health()) > before;
        eventually("every actor runs again", back).await;
        // The client may have to notice first that its connection died.
        let mut answered = answers(&node, &client).await;
        for _ in 0..3 {
            answered = answered || answers(&node, &client).await;
        }
        assert!(answered, "the node answers after the death of {actor}");
    }
    assert!(!node.kill("nobody"));
    node.shutdown().await;
    assert_eq!(node.ended().await, Ok(()));
}
