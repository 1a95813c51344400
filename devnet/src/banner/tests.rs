//! What the card says, and that it says the truth.

use super::*;
use crate::state::{AccountCard, ChainCard, Packages};

pub(crate) fn sample_card(nodes: u16, shards: u16) -> Card {
    let node = |index: u16| NodeCard {
        name: format!("n{}", index + 1),
        peer_id: format!("12D3KooWsample{}", index + 1),
        node_id: "0x1".into(),
        pid: 1,
        address: format!("/ip4/127.0.0.1/udp/{}/quic-v1/p2p/12D3KooWsample", 32_010 + index),
        http: "http://127.0.0.1:32011".into(),
        metrics: "http://127.0.0.1:32011/metrics".into(),
        log: "/n1/node.log".into(),
        state: "running".into(),
        is_leaving: false,
        shards: (index..shards).step_by(usize::from(nodes)).collect(),
    };
    Card {
        schema: 1,
        name: "default".into(),
        seed: 1,
        state: "ready".into(),
        version: "0.1.0".into(),
        supervisor_pid: 1,
        shards,
        segment_bytes: 1 << 25,
        epoch_ms: 86_400_000,
        chain: ChainCard {
            kind: "embedded".into(),
            network: "0xab".into(),
            rpc: "http://127.0.0.1:32000".into(),
            faucet: "http://127.0.0.1:32001".into(),
            pid: 1,
            state: "running".into(),
            packages: Packages { haulout: "0xcd".into() },
            system_object: "0x1".into(),
            staking_object: "0x2".into(),
            params_object: "0x3".into(),
            treasury_object: "0x4".into(),
            trusted: None,
        },
        bootstrap: vec![],
        accounts: vec![AccountCard {
            name: "alice".into(),
            address: format!("0x{}", "7d20".repeat(16)),
            key_file: "/keys/alice.key".into(),
        }],
        nodes: (0..nodes).map(node).collect(),
        removed: vec![],
        context: "devnet".into(),
        client_config: "/client.toml".into(),
    }
}

#[test]
fn the_card_names_every_endpoint_and_node() {
    let text = card(&sample_card(5, 100));
    for expected in ["http://127.0.0.1:32000", "0xcd", "alice  0x7d20…7d20", "n5", "20 shards"] {
        assert!(text.contains(expected), "{expected} is missing in\n{text}");
    }
    assert!(text.contains("tolerates 1 dead for writes, 3 for reads"), "{text}");
}

#[test]
fn tolerance_counts_the_largest_nodes_first() {
    for (nodes, shards, writes, reads) in [(4, 4, 1, 2), (4, 7, 1, 2), (7, 7, 2, 4), (1, 4, 0, 0)] {
        let expected = Tolerance { writes, reads };
        assert_eq!(
            Tolerance::of(&sample_card(nodes, shards)),
            expected,
            "{nodes} nodes, {shards} shards"
        );
    }
}

#[test]
fn the_live_line_counts_hours() {
    let pulse =
        Pulse { seconds: 3_725, epoch: Some(1), checkpoint: Some(42), running: 4, nodes: 5 };
    assert!(live(&pulse).starts_with("01:02:05 │ epoch 1 │ checkpoint 42 │ 4/5 nodes"));
    assert!(live(&Pulse::default()).contains("checkpoint ?"));
}
