//! Asking peers to dial us back.
//!
//! Promises: each peer is asked once, and its answer counts once. Does not: choose peers, or judge.

use std::net::IpAddr;

use futures::future::join_all;
use haulout_protocol::crypto::PeerId;
use haulout_protocol::machine::reachability::Reachability;
use haulout_protocol::wire::SMALL_FRAME_BYTES_MAX;
use haulout_protocol::wire::reach::{Door, Reply, Request, Tried};

use crate::asking::{AskError, Asker, nonsense};
use crate::network::{Network, Protocol};

/// Asks these peers, side by side, to dial us back at these doors. Each answer takes seconds at most.
pub async fn ask(network: &Network, peers: &[PeerId], doors: &[Door]) -> Reachability {
    let mut found = Reachability::of(doors);
    if doors.is_empty() {
        return found;
    }
    let request = Request { doors: doors.to_vec() };
    let asker = Asker::new(network);
    let answers = join_all(peers.iter().map(|peer| ask_one(&asker, *peer, &request))).await;
    for (peer, answer) in peers.iter().zip(answers) {
        found.note(*peer, answer.map_err(|error| error.to_string()));
    }
    found
}

async fn ask_one(
    asker: &Asker,
    peer: PeerId,
    request: &Request,
) -> Result<(IpAddr, Vec<Tried>), AskError> {
    let answer = async {
        let mut asked = asker.ask(peer, Protocol::Reach, request).await?;
        match asked.frame::<Reply>(SMALL_FRAME_BYTES_MAX).await? {
            Reply::Dialled { seen_at, tried } if tried.len() == request.doors.len() => {
                asked.set_whole(true);
                Ok((IpAddr::from(seen_at).to_canonical(), tried))
            }
            _ => Err(nonsense()),
        }
    };
    answer.await.inspect_err(|error| asker.report(peer, error))
}
