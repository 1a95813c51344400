//! Finding peers with nothing but one address.

use std::path::Path;

use haulout_devnet::Devnet;
use haulout_node::StorageNode;
use haulout_node::config::Config;
use haulout_tests::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn a_node_started_by_hand_with_one_address_finds_all_the_others() {
    let devnet = Devnet::builder().nodes(5).shards(5).seed(31).start().await.unwrap();
    let folder = devnet.folder().join("by-hand");
    let id = |bytes: &[u8; 32]| {
        bytes.iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
    };
    let ids = devnet.ids();
    let text = format!(
        "[network]\nid = \"{}\"\nbootstrap = [\"{}\"]\nlisten = [\"/ip4/127.0.0.1/udp/0/quic-v1\"]\n\
         [chain]\nrpc = \"{}\"\npackage = \"{}\"\nsystem = \"{}\"\nstaking = \"{}\"\nparams = \"{}\"\n\
         treasury = \"{}\"\n\
         [node]\ndata_dir = \"{}\"\nname = \"by hand\"\n",
        id(ids.network_id.as_bytes()),
        devnet.address(3),
        devnet.rpc(),
        id(ids.package.as_bytes()),
        id(ids.system.as_bytes()),
        id(ids.staking.as_bytes()),
        id(ids.params.as_bytes()),
        id(ids.treasury.as_bytes()),
        folder.display(),
    );
    let config = Config::from_toml(&text, Path::new("by-hand.toml")).unwrap().node().unwrap();
    let node = StorageNode::start(config).await.unwrap();
    let everybody: Vec<_> = (0..5).map(|index| devnet.node(index).unwrap().peer_id()).collect();
    eventually("it is connected to all five", async || {
        let peers = node.tree().network().peers().borrow().clone();
        everybody.iter().all(|peer| peers.is_connected(peer))
    })
    .await;
    node.shutdown().await;
    devnet.shutdown().await;
}
