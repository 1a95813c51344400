//! Strangers that have nodes dial them back, all the time, at ports that are not theirs.

use std::net::{Ipv4Addr, SocketAddr};

use haulout_actors::network::Protocol;
use haulout_protocol::wire::SMALL_FRAME_BYTES_MAX;
use haulout_protocol::wire::reach::{Door, Reply, Request, Tried};
use tokio::net::UdpSocket;

use crate::assault::Assault;

/// Streams of each stranger to each node: together more than all places there are.
const STREAMS: usize = 4;

/// A port where nobody listens, one where somebody does who says nothing, and one of the machine's own services.
pub(crate) async fn ports_of_others() {
    // Held, so that packets to it are neither refused nor answered: as behind a firewall.
    let silent = UdpSocket::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))).await.unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let silent_door = Door::Quic(silent.local_addr().unwrap().port());
    let doors = vec![Door::Tcp(closed), silent_door, Door::Tcp(22)];
    let mut attack = Assault::begin().await;
    attack.send(Protocol::Reach, STREAMS, move |mut stream| {
        let request = Request { doors: doors.clone() };
        async move {
            stream.write_frame(&request).await?;
            stream.flush().await?;
            match stream.read_frame::<Reply>(SMALL_FRAME_BYTES_MAX).await? {
                Reply::Dialled { tried, .. } => {
                    let says_no_more = [Tried::NotReached, Tried::NotTried];
                    let is_mute = tried.iter().all(|tried| says_no_more.contains(tried));
                    assert!(is_mute, "a stranger heard of ports that are not its own: {tried:?}");
                    assert_eq!(tried[2], Tried::NotTried, "a port below 1024 was dialled");
                }
                Reply::Refused(_) => {} // it has asked too often, and asks again
            }
            Ok(())
        }
    });
    attack.members_reach_each_other().await;
    attack.judge("dials back").await;
    drop(silent);
}
