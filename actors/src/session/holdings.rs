//! Asks the committee how much of a blob it holds.
//!
//! Promises: every member is asked; whoever is slow is waited for while what the others hold does not settle whether the
//! blob can be read, and a little after that; all ends with the reader's patience. Does not: prove what members say; only
//! a read does.

use haulout_protocol::blob::{BlobHeader, BlobId, Encoding};
use haulout_protocol::encoding::Parameters;
use haulout_protocol::machine::holdings::{self, Answer, Outlook, Stock};
use haulout_protocol::machine::retry::End;
use haulout_protocol::sliver::pair_of_shard;
use haulout_protocol::wire::Refusal;
use haulout_protocol::wire::blob::{Held, SEGMENTS_PER_HOLDINGS_MAX};

use super::Session;
use super::inquiry::Inquiry;
use super::locate::{self, LocateError};
use super::node::{self, AskError};
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

/// What the members hold of a blob; nothing if there is no such blob.
pub async fn holdings(session: &Session, blob_id: &BlobId) -> Option<Holdings> {
    let shape = match locate::header(session, blob_id).await {
        Ok(header) => Shape::of(&header),
        Err(LocateError::NotFound(_) | LocateError::Expired { .. } | LocateError::Invalid(_)) => {
            return None;
        }
        Err(
            LocateError::NotCertified { .. }
            | LocateError::NoHeader { .. }
            | LocateError::Unavailable { .. },
        ) => Shape::Unknown,
    };
    let heard = ask_everybody(session, blob_id, shape).await;
    Some(Holdings {
        stock: heard.stock(),
        is_short: matches!(shape, Shape::Short(_)),
        has_header: shape != Shape::Unknown,
        members: heard.members(),
    })
}

async fn ask_everybody<'a>(session: &'a Session, blob_id: &BlobId, shape: Shape) -> Tally<'a> {
    let members = session.members_by_pace();
    let ask =
        async |member: usize| (member, count(session, member, blob_id, shape.segments()).await);
    let inquiry = Inquiry::start(session, members, usize::MAX, ask);
    let mut tally = Tally::new(session, *blob_id, shape);
    let judge = |member, answer| {
        let end = tally.add(member, answer);
        (end, tally.stock().outlook != Outlook::Waiting)
    };
    inquiry.ask_everybody(limits::STATUS_STRAGGLERS_MAX, judge).await;
    tally
}

/// What one member holds of each segment.
async fn count(
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
            return Err(node::nonsense());
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
        let silent = self.session.committee.shards().saturating_sub(heard);
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
