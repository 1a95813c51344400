//! Asks the committee until when a blob stays stored whatever its owners do.
//!
//! Promises: what is answered was read on chain by a correct member; no clock decides, only what members say and who
//! fails to say anything. Does not: take silence for a reason to believe.

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use haulout_protocol::blob::BlobId;
use haulout_protocol::machine::permanence::{Verdict, verdict};

use crate::session::client::Session;
use crate::session::node;

/// The end of a permanent object that lasts until `wanted` at least; nothing if there is none, or nobody can say.
pub(super) async fn until(session: &Session, blob_id: &BlobId, wanted: u32) -> Option<u32> {
    let committee = &session.committee;
    let members = (0..committee.members().len()).filter(|member| committee.weight(*member) > 0);
    let ask = async |member: usize| (member, node::permanence(session, member, blob_id).await);
    let mut asked: FuturesUnordered<_> = members.map(ask).collect();
    let (mut answers, mut awaited) = (Vec::new(), committee.shards());
    loop {
        match verdict(committee, &answers, awaited, wanted) {
            Verdict::Until(end_epoch) => return Some(end_epoch),
            Verdict::No => return None,
            Verdict::Open => {}
        }
        let (member, answer) = asked.next().await?;
        let weight = committee.weight(member);
        awaited = awaited.saturating_sub(weight);
        if let Ok(end_epoch) = answer {
            answers.push((weight, end_epoch));
        }
    }
}
