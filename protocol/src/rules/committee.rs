//! Twin of `committee`: which node holds which shards.
//!
//! Promises: every shard has one holder before and after; a change of committee moves as few
//! shards as the new counts allow; members are sorted by id, which is the order of certificates'
//! bitmaps.
//! Does not: decide how many shards a node gets.

use std::collections::BTreeMap;

use crate::chain::ObjectId;
use crate::chain::abort::Abort;
use crate::chain::object::Entry;
use crate::chain::object::staking::ShardMap;

/// How many shards each node gets, in the order in which newcomers are served.
pub type Counts = Vec<Entry<ObjectId, u16>>;

/// The first committee: consecutive shards, by ascending node id. Nodes without shards are left
/// out.
pub fn initialize(counts: &Counts) -> ShardMap {
    let counts: BTreeMap<_, _> = counts.iter().map(|entry| (entry.key, entry.value)).collect();
    let mut shards = 0..;
    let hand_out = |(key, count): (ObjectId, u16)| Entry {
        key,
        value: shards.by_ref().take(usize::from(count)).collect(),
    };
    counts.into_iter().filter(|(_, count)| *count > 0).map(hand_out).collect()
}

/// The next committee. Leaving and shrinking members give shards back from the end of their
/// lists; newcomers in the order of `counts`, then growing members by id, take the shards that
/// were given back last.
pub fn transition(old: &ShardMap, counts: Counts) -> Result<ShardMap, Abort> {
    let held: usize = old.iter().map(|entry| entry.value.len()).sum();
    let wanted: usize = counts.iter().map(|entry| usize::from(entry.value)).sum();
    if held != wanted {
        return Err(Abort::InvalidShardAssignment);
    }
    let mut places: BTreeMap<_, _> = counts.iter().map(|entry| (entry.key, entry.value)).collect();
    let (mut free, mut next, mut growing) = (Vec::new(), ShardMap::new(), Vec::new());
    for member in old {
        let count = usize::from(places.remove(&member.key).unwrap_or(0));
        let mut shards = member.value.clone();
        if count == 0 {
            free.append(&mut shards);
        } else if count > shards.len() {
            growing.push((member.key, count, shards));
        } else {
            free.extend(shards.drain(count..).rev());
            next.push(Entry { key: member.key, value: shards });
        }
    }
    let newcomers = counts.iter().filter(|entry| places.contains_key(&entry.key));
    let newcomers = newcomers.map(|entry| (entry.key, usize::from(entry.value), Vec::new()));
    for (key, count, mut shards) in newcomers.chain(growing).filter(|(_, count, _)| *count > 0) {
        while shards.len() < count {
            shards.push(free.pop().ok_or(Abort::InvalidShardAssignment)?);
        }
        next.push(Entry { key, value: shards });
    }
    next.sort_by_key(|entry| entry.key);
    Ok(next)
}

/// The shards of a node; none for a node outside the committee.
pub fn shards_of<'a>(committee: &'a ShardMap, node: &ObjectId) -> Option<&'a [u16]> {
    let found = committee.binary_search_by_key(node, |entry| entry.key);
    found.ok().map(|at| committee[at].value.as_slice())
}

/// Whether a node is a member.
pub fn contains(committee: &ShardMap, node: &ObjectId) -> bool {
    shards_of(committee, node).is_some()
}

/// The weight of a member.
pub fn weight(shards: &[u16]) -> u16 {
    u16::try_from(shards.len()).unwrap_or(u16::MAX)
}

/// Whether so many of `shards` are a quorum.
pub fn is_quorum(weight: u64, shards: u16) -> bool {
    3 * weight > 2 * u64::from(shards)
}
