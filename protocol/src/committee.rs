//! Committees: the nodes of an epoch, their shards, and the arithmetic of quorums.
//!
//! Promises: every shard has exactly one owner, and no node, peer or key appears twice. Does not: choose committees;
//! the ledger does.

use std::collections::{BTreeMap, BTreeSet};

use crate::chain::ObjectId;
use crate::crypto::{PeerId, PublicKey};
use crate::epoch::Epoch;
use crate::sliver::ShardIndex;

/// A node's id: the id of its object on chain, written as `0x` and 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId([u8; 32]);

/// A text that is no node id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a node id; it is 0x and up to 64 hex digits")]
pub struct ParseNodeIdError;

impl NodeId {
    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        NodeId(bytes)
    }

    /// The id's bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<ObjectId> for NodeId {
    fn from(id: ObjectId) -> Self {
        NodeId(id.into())
    }
}

impl From<NodeId> for ObjectId {
    fn from(id: NodeId) -> Self {
        ObjectId::from_bytes(id.0)
    }
}

impl std::fmt::Display for NodeId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        ObjectId::from_bytes(self.0).fmt(formatter)
    }
}

impl std::fmt::Debug for NodeId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, formatter)
    }
}

impl std::str::FromStr for NodeId {
    type Err = ParseNodeIdError;

    fn from_str(text: &str) -> Result<Self, ParseNodeIdError> {
        text.parse().map(|id: ObjectId| id.into()).map_err(|_| ParseNodeIdError)
    }
}

/// One node of a committee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its object on chain.
    pub node_id: NodeId,
    /// The name it registered; for people.
    pub name: String,
    /// The peer that answers for it.
    pub peer_id: PeerId,
    /// Binary multiaddrs without the peer id, best first; hints only.
    pub addresses: Vec<Vec<u8>>,
    /// The key of its confirmations; its proof of possession was checked on chain.
    pub public_key: PublicKey,
    /// The shards it stores, ascending.
    pub shards: Vec<ShardIndex>,
}

/// A node that serves in the committee before or after the current one: it still has shards to hand out, or comes to
/// fetch them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Who it is among peers.
    pub peer_id: PeerId,
    /// Where it says that it is, as binary multiaddrs.
    pub addresses: Vec<Vec<u8>>,
}

/// The nodes responsible for an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committee {
    epoch: Epoch,
    shards: u16,
    members: Vec<Member>,
    owners: Vec<usize>,
    peers: BTreeMap<PeerId, usize>,
}

/// Why a list of members is no committee.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitteeError {
    /// A shard nobody owns, or beyond the last one.
    #[error("shard {0} has no owner or does not exist")]
    Unowned(u16),
    /// A shard with two owners.
    #[error("shard {0} has two owners")]
    SharedShard(u16),
    /// A node, peer or key listed twice.
    #[error("node {0} repeats a node id, peer id or key of another")]
    Repeated(NodeId),
}

impl Committee {
    /// Checks and indexes the members; their order is the order of bits in certificates.
    pub fn new(epoch: Epoch, shards: u16, members: Vec<Member>) -> Result<Self, CommitteeError> {
        let mut owners = vec![None; usize::from(shards)];
        let mut peers = BTreeMap::new();
        let (mut nodes, mut keys) = (BTreeSet::new(), BTreeSet::new());
        for (index, member) in members.iter().enumerate() {
            let new = nodes.insert(member.node_id) & keys.insert(member.public_key.to_bytes());
            if !new || peers.insert(member.peer_id, index).is_some() {
                return Err(CommitteeError::Repeated(member.node_id));
            }
            for shard in &member.shards {
                let owner = owners.get_mut(usize::from(shard.0));
                match owner.ok_or(CommitteeError::Unowned(shard.0))? {
                    Some(_) => return Err(CommitteeError::SharedShard(shard.0)),
                    free => *free = Some(index),
                }
            }
        }
        let owned =
            |(shard, owner): (u16, Option<usize>)| owner.ok_or(CommitteeError::Unowned(shard));
        let owners = (0..shards).zip(owners).map(owned).collect::<Result<_, _>>()?;
        Ok(Committee { epoch, shards, members, owners, peers })
    }

    /// The epoch it serves.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Number of shards, which is the total weight.
    pub fn shards(&self) -> u16 {
        self.shards
    }

    /// The members, in the order of certificate bits.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Index of the member that owns the shard. Shards outside the network have none.
    pub fn member_of_shard(&self, shard: ShardIndex) -> Option<usize> {
        self.owners.get(usize::from(shard.0)).copied()
    }

    /// Index of the member behind a peer.
    pub fn member_by_peer(&self, peer: &PeerId) -> Option<usize> {
        self.peers.get(peer).copied()
    }

    /// Index of the member with this node id.
    pub fn member_by_node(&self, node: &NodeId) -> Option<usize> {
        self.members.iter().position(|member| member.node_id == *node)
    }

    /// Weight of a member: the number of its shards. Zero for indexes outside the committee.
    pub fn weight(&self, index: usize) -> u16 {
        let shards = self.members.get(index).map_or(0, |member| member.shards.len());
        u16::try_from(shards).unwrap_or(u16::MAX)
    }

    /// Whether this weight is a quorum: `3w >= 2n + 1`.
    pub fn is_quorum(&self, weight: u16) -> bool {
        3 * u32::from(weight) > 2 * u32::from(self.shards)
    }

    /// The least weight that is a quorum.
    pub fn quorum(&self) -> u16 {
        let least = 2 * u32::from(self.shards) / 3 + 1;
        u16::try_from(least).expect("two thirds of a u16 and one fit a u16")
    }

    /// Whether this weight contains one correct node: `3w >= n + 1`.
    pub fn is_one_correct(&self, weight: u16) -> bool {
        3 * u32::from(weight) > u32::from(self.shards)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::crypto::SecretKey;

    /// `nodes` members sharing `shards` shards in turn, with their signing keys.
    pub(crate) fn sample_committee(nodes: u8, shards: u16) -> (Committee, Vec<SecretKey>) {
        let keys: Vec<_> = (1..=nodes).map(|seed| SecretKey::from_seed(&[seed; 32])).collect();
        let member = |(seed, key): (u8, &SecretKey)| Member {
            node_id: NodeId::from_bytes([seed; 32]),
            name: format!("n{seed}"),
            peer_id: PeerId::from_key([seed; 32]),
            addresses: Vec::new(),
            public_key: key.public_key(),
            shards: (u16::from(seed)..shards).step_by(usize::from(nodes)).map(ShardIndex).collect(),
        };
        let members = (0..nodes).zip(&keys).map(member).collect();
        (Committee::new(Epoch(1), shards, members).expect("a sound committee"), keys)
    }

    #[test]
    fn quorums_are_more_than_two_thirds_and_one_correct_more_than_one_third() {
        for (shards, quorum, one_correct) in
            [(4, 3, 2), (7, 5, 3), (9, 7, 4), (10, 7, 4), (1000, 667, 334)]
        {
            let (committee, _) = sample_committee(4, shards);
            assert_eq!(committee.quorum(), quorum, "of {shards}");
            assert!(committee.is_quorum(quorum) && !committee.is_quorum(quorum - 1));
            assert!(
                committee.is_one_correct(one_correct) && !committee.is_one_correct(one_correct - 1)
            );
        }
    }

    #[test]
    fn a_committee_owns_every_shard_once() {
        let (committee, _) = sample_committee(4, 10);
        let members = committee.members().to_vec();
        let with = |change: &dyn Fn(&mut Vec<Member>)| {
            let mut members = members.clone();
            change(&mut members);
            Committee::new(Epoch(1), 10, members)
        };
        assert!(with(&|_| ()).is_ok());
        let missing = with(&|members| members[0].shards.truncate(1));
        assert!(matches!(missing, Err(CommitteeError::Unowned(_))));
        let beyond = with(&|members| members[0].shards.push(ShardIndex(10)));
        assert_eq!(beyond, Err(CommitteeError::Unowned(10)));
        let twice = with(&|members| members[0].shards.push(ShardIndex(1)));
        assert_eq!(twice, Err(CommitteeError::SharedShard(1)));
        let repeated = with(&|members| members[1].peer_id = members[0].peer_id);
        assert!(matches!(repeated, Err(CommitteeError::Repeated(_))));
    }

    #[test]
    fn members_are_found_by_peer_by_node_and_by_shard() {
        let (committee, _) = sample_committee(4, 10);
        for (index, seed) in (0_u8..4).enumerate() {
            assert_eq!(committee.member_by_peer(&PeerId::from_key([seed; 32])), Some(index));
            assert_eq!(committee.member_by_node(&NodeId::from_bytes([seed; 32])), Some(index));
            assert_eq!(committee.member_of_shard(ShardIndex(u16::from(seed) + 4)), Some(index));
        }
        assert_eq!(committee.member_by_peer(&PeerId::from_key([9; 32])), None);
        assert_eq!(committee.member_by_node(&NodeId::from_bytes([9; 32])), None);
        assert_eq!(committee.member_of_shard(ShardIndex(10)), None);
        assert_eq!(committee.weight(0), 3, "of shards 0, 4 and 8");
        assert_eq!(committee.weight(4), 0, "there is no such member");
    }

    #[test]
    fn a_repeated_node_or_key_is_refused_by_the_name_of_the_second() {
        let (committee, _) = sample_committee(4, 8);
        let repeated = |repeat: &dyn Fn(&Member, &mut Member)| {
            let mut members = committee.members().to_vec();
            let first = members[0].clone();
            repeat(&first, &mut members[1]);
            let second = members[1].node_id;
            assert_eq!(Committee::new(Epoch(1), 8, members), Err(CommitteeError::Repeated(second)));
        };
        repeated(&|first, second| second.node_id = first.node_id);
        repeated(&|first, second| second.public_key = first.public_key);
        repeated(&|first, second| second.peer_id = first.peer_id);
    }

    #[test]
    fn a_node_id_reads_what_it_writes() {
        let id = NodeId::from_bytes([0xa7; 32]);
        assert_eq!(id.to_string(), format!("0x{}", "a7".repeat(32)));
        assert_eq!(format!("{id:?}"), id.to_string());
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("0xa7zz".parse::<NodeId>(), Err(ParseNodeIdError));
    }
}
