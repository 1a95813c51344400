//! Dialling back whoever asks, over real sockets.

use std::net::{IpAddr, Ipv4Addr};

use haulout_protocol::wire::reach::{Door, Tried};

use super::*;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The doors of a node.
async fn doors_of(node: &Node, count: usize) -> Vec<Door> {
    let mut addresses = node.network.addresses();
    let shown = tokio::time::timeout(PATIENCE, addresses.wait_for(|shown| shown.len() >= count));
    let shown = shown.await.expect("it listens in time").expect("the handle lives").clone();
    super::doors(&shown)
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_listens_is_reached_and_a_closed_port_and_another_node_are_told_apart() {
    let host = start(1, &[QUIC], &[]).await;
    let bootstrap = [host.address().await];
    let asker = start(2, &[QUIC, TCP], &bootstrap).await;
    let other = start(3, &[TCP], &[]).await;
    asker.wait_for_connections(1).await;
    for door in doors_of(&asker, 2).await {
        let tried = host.network.dial_back(asker.peer(), HERE, door).await;
        assert_eq!(tried, Tried::Reached, "{door:?}");
    }
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let tried = host.network.dial_back(asker.peer(), HERE, Door::Tcp(closed)).await;
    assert_eq!(tried, Tried::Refused);
    let door = doors_of(&other, 1).await[0];
    assert_eq!(host.network.dial_back(asker.peer(), HERE, door).await, Tried::Stranger);
    // What was opened for it was closed again; the connection from before stands.
    let mut peers = host.network.peers();
    let one = peers.wait_for(|peers| peers.is_connected(&asker.peer()));
    let _ = tokio::time::timeout(PATIENCE, one).await.expect("they stay connected");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_a_network_that_we_are_not_in_is_not_dialled_and_one_that_never_answers_soon_no_more()
 {
    let host = start(1, &[TCP], &[]).await;
    let nobody = PeerId::from_key([9; 32]);
    let private: IpAddr = "10.1.2.3".parse().unwrap();
    assert_eq!(host.network.dial_back(nobody, private, Door::Tcp(9)).await, Tried::NotTried);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut refused = 0;
    for _ in 0..20 {
        refused += u32::from(
            host.network.dial_back(nobody, HERE, Door::Tcp(closed)).await == Tried::Refused,
        );
    }
    assert!(
        (1..=9).contains(&refused),
        "{refused} of 20: its budget is eight, and refills in ten seconds"
    );
}
