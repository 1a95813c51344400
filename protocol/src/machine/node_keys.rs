//! Whether the keys a node has are those the ledger lists for it.
//!
//! Promises: a node whose keys belong together and to a member, or to no member at all, passes; one that would be a
//! stranger under a member's name, or sign what nobody accepts, is told which key is wrong. Does not: look at keys of
//! nodes that are no members of the committee given.

use crate::committee::{Committee, NodeId};
use crate::crypto::{PeerId, PublicKey};

/// What a node is called by others.
#[derive(Clone, Debug)]
pub struct OwnKeys {
    /// Who it is among peers.
    pub peer: PeerId,
    /// What its confirmations are checked with; clients have none.
    pub signing: Option<PublicKey>,
    /// The node it was configured to be.
    pub node: Option<NodeId>,
}

/// A key that is not the one the ledger lists.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// The key for confirmations.
    #[error(
        "the ledger lists another signing key for node {name} ({node}) than keys.protocol holds, so nobody would accept \
         what this node signs"
    )]
    Signing {
        /// The node.
        node: NodeId,
        /// Its name on the ledger.
        name: String,
    },
    /// The key it speaks to peers with.
    #[error(
        "the ledger lists peer {listed} for node {name} ({node}), but keys.network makes this node {peer}, whom nobody \
         would ask"
    )]
    Network {
        /// The node.
        node: NodeId,
        /// Its name on the ledger.
        name: String,
        /// The peer that the ledger lists.
        listed: PeerId,
        /// The peer that our key makes us.
        peer: PeerId,
    },
}

impl KeyFault {
    /// What the operator can do about it.
    pub fn next_step(&self) -> &'static str {
        match self {
            KeyFault::Signing { .. } => {
                "put the key that was registered back into keys.protocol; keys.dir is where it lies by default"
            }
            KeyFault::Network { .. } => {
                "put the key that was registered back into keys.network; keys.dir is where it lies by default"
            }
        }
    }
}

/// Which member of the committee has these keys; none is fine, half a member is not.
pub fn judge(committee: &Committee, keys: &OwnKeys) -> Result<Option<NodeId>, KeyFault> {
    let members = committee.members();
    if let Some(member) = members.iter().find(|member| member.peer_id == keys.peer) {
        return match keys.signing.as_ref().is_none_or(|key| *key == member.public_key) {
            true => Ok(Some(member.node_id)),
            false => Err(KeyFault::Signing { node: member.node_id, name: member.name.clone() }),
        };
    }
    let ours = members.iter().find(|member| {
        keys.node == Some(member.node_id) || keys.signing.as_ref() == Some(&member.public_key)
    });
    match ours {
        None => Ok(None),
        Some(member) => Err(KeyFault::Network {
            node: member.node_id,
            name: member.name.clone(),
            listed: member.peer_id,
            peer: keys.peer,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::committee::Member;
    use crate::crypto::SecretKey;
    use crate::epoch::Epoch;
    use crate::sliver::ShardIndex;

    fn signing(number: u8) -> PublicKey {
        SecretKey::from_seed(&[number; 32]).public_key()
    }

    fn peer(number: u8) -> PeerId {
        PeerId::from_key([number; 32])
    }

    fn node(number: u8) -> NodeId {
        NodeId::from_bytes([number; 32])
    }

    /// Members 1 to 4, a shard each.
    fn committee() -> Committee {
        let member = |number: u8| Member {
            node_id: node(number),
            name: format!("n{number}"),
            peer_id: peer(number),
            addresses: Vec::new(),
            public_key: signing(number),
            shards: vec![ShardIndex(u16::from(number) - 1)],
        };
        Committee::new(Epoch(1), 4, (1..=4).map(member).collect()).unwrap()
    }

    #[test]
    fn keys_must_all_be_of_one_member_or_of_none() {
        let keys = |peer_key, signing_key, configured: Option<u8>| OwnKeys {
            peer: peer(peer_key),
            signing: Some(signing(signing_key)),
            node: configured.map(node),
        };
        let wrong_signing = || Err(KeyFault::Signing { node: node(2), name: "n2".to_owned() });
        let wrong_network = |ours| {
            let (listed, peer) = (peer(2), peer(ours));
            Err(KeyFault::Network { node: node(2), name: "n2".to_owned(), listed, peer })
        };
        for (keys, verdict) in [
            (keys(2, 2, None), Ok(Some(node(2)))),
            (keys(2, 2, Some(2)), Ok(Some(node(2)))),
            (keys(9, 9, None), Ok(None)),
            (keys(9, 9, Some(9)), Ok(None)),
            (keys(2, 9, None), wrong_signing()),
            (keys(2, 3, None), wrong_signing()),
            (keys(9, 2, None), wrong_network(9)),
            (keys(9, 9, Some(2)), wrong_network(9)),
        ] {
            assert_eq!(judge(&committee(), &keys), verdict, "{keys:?}");
        }
        let client = OwnKeys { peer: peer(2), signing: None, node: None };
        assert_eq!(judge(&committee(), &client), Ok(Some(node(2))));
    }
}
