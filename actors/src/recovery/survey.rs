//! Asks others what they say they hold of a blob, before much of it is fetched.
//!
//! Promises: one small question to each member; whoever does not answer soon said nothing. Does not: believe that anybody
//! holds what it says; only that it does not hold more.

use std::collections::BTreeMap;
use std::time::Duration;

use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::machine::retry::End;
use haulout_protocol::wire::blob::Held;
use tracing::debug;

use crate::asking::{AskError, Inquiry, Terms};
use crate::limits;
use crate::session::{self, Session};

/// What members said that they hold of each segment of a blob.
#[derive(Clone, Debug, Default)]
pub(super) struct Survey(BTreeMap<usize, Vec<Held>>);

impl Survey {
    /// Asks everybody but ourselves. Where shards move nobody is asked: whoever had them before does not count them.
    pub(super) async fn of(session: &Session, blob_id: &BlobId, header: &BlobHeader) -> Survey {
        let mut heard = BTreeMap::new();
        if session.roster.moved() > 0 {
            return Survey(heard);
        }
        let segments = u32::try_from(header.segments.len()).unwrap_or(u32::MAX);
        let own = session.committee.member_by_peer(&session.network.identity());
        let mut members = session.members_by_pace();
        members.retain(|member| Some(*member) != own);
        let ask = async |member: usize| {
            (member, session::held_segments(session, member, blob_id, segments).await)
        };
        let patience_ms = u64::try_from(limits::REPAIR_SURVEY_MAX.as_millis()).unwrap_or(u64::MAX);
        let terms = Terms { width: usize::MAX, patience_ms, noise: session.noise() };
        let inquiry = Inquiry::start(terms, members, ask);
        let judge = |member: usize, answer: Result<Vec<Held>, AskError>| {
            match answer {
                Ok(held) => drop(heard.insert(member, held)),
                Err(error) => {
                    debug!(member = %session.name(member), %error, "does not say what it holds");
                }
            }
            (End::Never, false)
        };
        inquiry.ask_everybody(Duration::ZERO, judge).await;
        Survey(heard)
    }

    /// What each of them said of one segment: primary and secondary slivers.
    pub(super) fn of_segment(&self, segment: u32) -> BTreeMap<usize, [u16; 2]> {
        let index = usize::try_from(segment).unwrap_or(usize::MAX);
        let said = |(member, held): (&usize, &Vec<Held>)| {
            // Whoever has nothing of the blob answers without any segment.
            let held = held.get(index).copied().unwrap_or_default();
            (*member, [held.primary, held.secondary])
        };
        self.0.iter().map(said).collect()
    }
}
