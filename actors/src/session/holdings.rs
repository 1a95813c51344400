//! Asks the committee how much of a blob it holds.
//!
//! Promises: every member is asked but those that were silent when they were asked for the blob's status: they had their
//! time, and what they hold is not known. Of the others the slow are waited for while what the rest holds does not settle
//! whether the blob can be read, and a little after that; all ends with the reader's patience. Does not: prove what members
//! say; only a read does.

use haulout_protocol::blob::{BlobHeader, BlobId, Encoding};
use haulout_protocol::encoding::Parameters;
use haulout_protocol::machine::holdings::{self, Answer, Outlook, Stock};
use haulout_protocol::machine::retry::End;
use haulout_protocol::sliver::pair_of_shard;
use haulout_protocol::wire::Refusal;
use haulout_protocol::wire::blob::{Held, SEGMENTS_PER_HOLDINGS_MAX};

use super::client::Session;
use super::locate::HEADER_REQUESTS;
use super::node;
use crate::asking::{AskError, Inquiry, nonsense};
use crate::limits;

/// What the committee holds of a blob, as its members say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holdings {
    /// What they hold together.
    pub stock: Stock,
    /// Whether it is a short blob, and what is counted are symbols.
    pub is_short: bool,
    /// Whether any of them gave the blob's header, without which nothing can be read.
    pub has_header: bool,
    /// Each member that owns shards, in the committee's order.
    pub members: Vec<Member>,
}

/// What one member holds of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// How many shards it has.
    pub shards: u16,
    /// Shards of which it holds everything, or why it did not say.
    pub whole: Result<u16, String>,
}

impl Holdings {
    /// Whether those that answered hold enough to read it, as they say.
    pub fn can_be_read(&self) -> bool {
        self.has_header && self.stock.outlook == Outlook::Readable
    }
}

/// What is known of a blob before anybody is asked what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// So many segments.
    Segments(u32),
    /// A short blob of this length.
    Short(u32),
    /// Without a header nobody knows; every blob has a segment.
    Unknown,
}

impl Shape {
    fn of(header: &BlobHeader) -> Self {
        match (header.encoding, u32::try_from(header.length)) {
            (Encoding::Short, Ok(length)) => Shape::Short(length),
            _ => Shape::Segments(u32::try_from(header.segments.len()).unwrap_or(u32::MAX)),
        }
    }

    fn segments(self) -> u32 {
        match self {
            Shape::Segments(segments) => segments,
            Shape::Short(_) | Shape::Unknown => 1,
        }
    }

    fn is_padding(self, parameters: &Parameters, place: u16) -> bool {
        match self {
            Shape::Short(length) => {
                let data = parameters.short_data_symbols(length);
                (data..parameters.primary_source()).contains(&place)
            }
            Shape::Segments(_) | Shape::Unknown => false,
        }
    }
}

/// What the members hold of a certified blob. Those that gave no answer a moment ago, by name with why, are not asked.
pub async fn holdings(
    session: &Session,
    blob_id: &BlobId,
    silent: &[(String, String)],
) -> Holdings {
    let why = |member: usize| {
        let name = session.name(member);
        silent.iter().find(|(node, _)| *node == name).map(|(_, reason)| reason.clone())
    };
    let (away, there): (Vec<_>, Vec<_>) =
        session.members_by_pace().into_iter().partition(|member| why(*member).is_some());
    let mut readers = session.readers_by_pace();
    readers.retain(|member| why(*member).is_none());
    let shape = shape(session, blob_id, readers).await;
    let mut heard = Tally::new(session, *blob_id, shape);
    for member in away {
        heard.heard[member] = why(member).map(Err);
    }
    heard.ask(there).await;
    Holdings {
        stock: heard.stock(),
        is_short: matches!(shape, Shape::Short(_)),
        has_header: shape != Shape::Unknown,
        members: heard.members(),
    }
}

/// What one of these members' header says.
async fn shape(session: &Session, blob_id: &BlobId, members: Vec<usize>) -> Shape {
    let ask = async |member: usize| (member, node::header(session, member, blob_id).await);
    let mut headers = Inquiry::start(session.inquiry(HEADER_REQUESTS), members, ask);
    while let Some((member, header)) = headers.next().await {
        match header {
            Ok(header) => return Shape::of(&header),
            Err(error) => headers.judged(member, error.end()),
        }
    }
    Shape::Unknown
}

/// What one member says it holds of each segment; nothing at all if it has nothing of the blob.
pub(crate) async fn held_segments(
    session: &Session,
    member: usize,
    blob_id: &BlobId,
    segments: u32,
) -> Result<Vec<Held>, AskError> {
    let wanted = usize::try_from(segments).unwrap_or(usize::MAX);
    let page_max = usize::try_from(SEGMENTS_PER_HOLDINGS_MAX).unwrap_or(usize::MAX);
    let mut held = Vec::new();
    while held.len() < wanted {
        let next = u32::try_from(held.len()).unwrap_or(u32::MAX);
        let page = match node::holdings(session, member, blob_id, next).await {
            // It has not even read that there is such a blob, so it serves nothing of it.
            Err(AskError::Refused(Refusal::NotFound)) => break,
            page => page?,
        };
        if page.is_empty() || page.len() > page_max {
            return Err(nonsense());
        }
        held.extend(page);
    }
    held.truncate(wanted);
    Ok(held)
}

/// What was heard so far: of each member its answer, or why it gave none.
struct Tally<'a> {
    session: &'a Session,
    blob_id: BlobId,
    shape: Shape,
    heard: Vec<Option<Result<Answer, String>>>,
}

impl<'a> Tally<'a> {
    fn new(session: &'a Session, blob_id: BlobId, shape: Shape) -> Self {
        let heard = vec![None; session.committee.members().len()];
        Tally { session, blob_id, shape, heard }
    }

    /// Asks these members.
    async fn ask(&mut self, members: Vec<usize>) {
        let (session, blob_id, segments) = (self.session, self.blob_id, self.shape.segments());
        let ask = async |member: usize| {
            (member, held_segments(session, member, &blob_id, segments).await)
        };
        let inquiry = Inquiry::start(session.inquiry(usize::MAX), members, ask);
        let judge = |member, answer| {
            let end = self.add(member, answer);
            (end, self.stock().outlook != Outlook::Waiting)
        };
        inquiry.ask_everybody(limits::STATUS_STRAGGLERS_MAX, judge).await;
    }

    /// Takes an answer; whether the member is asked again.
    fn add(&mut self, member: usize, answer: Result<Vec<Held>, AskError>) -> End {
        let shards = self.session.committee.weight(member);
        let (said, end) = match answer {
            Ok(segments) => {
                let padding = self.padding(member);
                (Ok(Answer { shards, padding, segments }), End::Done)
            }
            Err(error) => (Err(error.to_string()), error.end()),
        };
        self.heard[member] = Some(said);
        end
    }

    /// Shards of a member on which there is only padding of the blob.
    fn padding(&self, member: usize) -> u16 {
        let parameters = &self.session.parameters;
        let shards = &self.session.committee.members()[member].shards;
        let places = shards.iter().map(|shard| pair_of_shard(parameters, &self.blob_id, 0, *shard));
        let padding = places.filter(|place| self.shape.is_padding(parameters, place.0)).count();
        u16::try_from(padding).unwrap_or(u16::MAX)
    }

    fn stock(&self) -> Stock {
        let said: Vec<_> =
            self.heard.iter().flatten().filter_map(|heard| heard.as_ref().ok()).collect();
        let heard = said.iter().map(|answer| answer.shards).fold(0_u16, u16::saturating_add);
        // Of a shard that moved, its owner before may have what its owner now does not; it is not asked.
        let moved = u16::try_from(self.session.roster.moved()).unwrap_or(u16::MAX);
        let silent = self.session.committee.shards().saturating_sub(heard).saturating_add(moved);
        let parameters = &self.session.parameters;
        match self.shape {
            Shape::Segments(segments) => holdings::stock(parameters, segments, &said, silent),
            Shape::Short(length) => holdings::stock_of_short(parameters, length, &said),
            Shape::Unknown => holdings::stock_of_unknown(parameters, &said, silent),
        }
    }

    fn members(&self) -> Vec<Member> {
        let member = |(index, heard): (usize, &Option<Result<Answer, String>>)| Member {
            name: self.session.name(index),
            shards: self.session.committee.weight(index),
            whole: match heard {
                Some(Ok(answer)) => Ok(holdings::whole_shards(answer, self.shape.segments())),
                Some(Err(reason)) => Err(reason.clone()),
                None => Err("gave no answer in time".to_owned()),
            },
        };
        let members = self.heard.iter().enumerate().map(member);
        members.filter(|member| member.shards > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use haulout_protocol::chain::object::staking::EpochState;
    use haulout_protocol::committee::Committee;
    use haulout_protocol::crypto::PeerId;
    use haulout_protocol::epoch::Epoch;
    use haulout_protocol::machine::roster::Roster;

    use super::*;
    use crate::sample::{NETWORK, sample_committee, sample_network};

    /// What is made of it that all members of a committee say that they hold nothing, when this one was before it.
    fn outlook(previous: Option<&Committee>) -> Outlook {
        let peers: Vec<_> = (1..=5).map(|byte| PeerId::from_key([byte; 32])).collect();
        let committee = Arc::new(sample_committee(&peers, 100));
        let phase = EpochState::Done { since_ms: 0 };
        let session = Session {
            network: sample_network(1),
            network_id: NETWORK,
            roster: Arc::new(Roster::new(committee.clone(), previous, &phase)),
            committee,
            parameters: Parameters::new(100, 1 << 14).expect("valid parameters"),
            checkpoint: 100,
            patience: Duration::ZERO,
        };
        let blob_id = BlobId::from_bytes([7; 32]);
        let mut tally = Tally::new(&session, blob_id, Shape::Segments(1));
        for member in 0..peers.len() {
            tally.add(member, Ok(vec![Held { primary: 0, secondary: 0 }]));
        }
        tally.stock().outlook
    }

    #[test]
    fn what_owners_before_may_have_is_not_called_lost() {
        assert_eq!(outlook(None), Outlook::Lost);
        let peers: Vec<_> = (1..=5).map(|byte| PeerId::from_key([byte; 32])).collect();
        let mut members = sample_committee(&peers, 100).members().to_vec();
        let same = Committee::new(Epoch(0), 100, members.clone()).unwrap();
        assert_eq!(outlook(Some(&same)), Outlook::Lost, "nothing moved");
        let shards: Vec<_> = members.iter().map(|member| member.shards.clone()).collect();
        let others = shards.iter().cycle().skip(1);
        members.iter_mut().zip(others).for_each(|(member, shards)| member.shards = shards.clone());
        let other = Committee::new(Epoch(0), 100, members).unwrap();
        assert_eq!(outlook(Some(&other)), Outlook::Waiting);
    }
}
