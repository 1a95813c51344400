//! What every session of a client knows: the network, the committee, and how long a request may take.
//!
//! Promises: cheap to clone; members are known by their index in the committee. Does not: ask anybody.

use std::sync::Arc;
use std::time::Duration;

use haulout_protocol::blob::BlobId;
use haulout_protocol::committee::{Committee, Member};
use haulout_protocol::crypto::PeerId;
use haulout_protocol::encoding::Parameters;
use haulout_protocol::machine::responsiveness::Pace;
use haulout_protocol::machine::roster::Roster;
use haulout_protocol::message::NetworkId;
use tracing::{Span, debug_span};

use crate::asking::{Asker, Terms};
use crate::network::{Network, Protocol};

/// What a session needs to know and hold: cheap to clone, made anew for each put or get.
#[derive(Clone, Debug)]
pub struct Session {
    /// The network handle of the moment.
    pub network: Network,
    /// Which network it is.
    pub network_id: NetworkId,
    /// The committee to write to, and whose word counts.
    pub committee: Arc<Committee>,
    /// Whom to read from: its members, and behind them those that served before and may have what moves.
    pub roster: Arc<Roster>,
    /// Shards and segment size.
    pub parameters: Parameters,
    /// The checkpoint of the ledger that was the last when the request began, as far as we know.
    pub checkpoint: u64,
    /// A read that gets nothing new for so long is given up.
    pub patience: Duration,
}

impl Session {
    /// A member of the roster; those of the committee have the same index in both.
    pub(crate) fn member(&self, index: usize) -> &Member {
        self.roster.member(index).expect("who is asked is on the roster")
    }

    pub(crate) fn peer(&self, member: usize) -> PeerId {
        self.member(member).peer_id
    }

    pub(crate) fn name(&self, member: usize) -> String {
        let member = self.member(member);
        format!("{} ({})", member.name, member.peer_id)
    }

    /// Whoever asks members.
    pub(crate) fn asker(&self) -> Asker {
        Asker::new(&self.network)
    }

    /// What to expect of each on the roster that is asked for so many bytes now.
    pub(crate) fn paces(&self, bytes: u64) -> Vec<Pace> {
        let paces = self.asker().paces(self.roster.members().map(|member| member.peer_id), bytes);
        let is_own = |(member, pace): (&Member, Pace)| match member.peer_id {
            // A node that is a member itself has nothing to ask itself for.
            peer if peer == self.network.identity() => Pace::Banned,
            _ => pace,
        };
        self.roster.members().zip(paces).map(is_own).collect()
    }

    /// Everybody who has or had shards; whoever answers fast comes first.
    pub(super) fn readers_by_pace(&self) -> Vec<usize> {
        let members = self.roster.members().enumerate();
        let share = |index| self.roster.share(index);
        let candidates: Vec<_> = members.map(|(index, it)| (it.peer_id, share(index))).collect();
        self.asker().ranked(&candidates, 0, usize::from(self.committee.quorum()), self.noise())
    }

    /// The members that own shards; whoever answers fast comes first.
    pub(crate) fn members_by_pace(&self) -> Vec<usize> {
        let weight = |member: usize| usize::from(self.committee.weight(member));
        let members = self.committee.members().iter().enumerate();
        let candidates: Vec<_> = members.map(|(member, it)| (it.peer_id, weight(member))).collect();
        self.asker().ranked(&candidates, 0, usize::from(self.committee.quorum()), self.noise())
    }

    /// The terms of an inquiry among members, so many of them at once.
    pub(crate) fn inquiry(&self, width: usize) -> Terms {
        Terms { width, patience_ms: self.patience_ms(), noise: self.noise() }
    }

    /// The span of what one member is sent in a put.
    pub(super) fn send_span(&self, member: usize, blob_id: &BlobId) -> Span {
        let member = self.member(member);
        debug_span!(
            "send",
            otel.kind = "client",
            rpc.system = "libp2p",
            rpc.service = Protocol::Sliver.service(),
            rpc.method = "put",
            node = %member.name,
            haulout.peer.id = %member.peer_id,
            haulout.blob.id = %blob_id,
        )
    }

    /// The span of what one member is asked for in a get.
    pub(crate) fn fetch_span(&self, member: usize, blob_id: &BlobId, segment: u32) -> Span {
        let member = self.member(member);
        debug_span!(
            "fetch",
            otel.kind = "client",
            rpc.system = "libp2p",
            rpc.service = Protocol::Sliver.service(),
            rpc.method = "get",
            node = %member.name,
            haulout.peer.id = %member.peer_id,
            haulout.blob.id = %blob_id,
            haulout.segment = segment,
        )
    }

    pub(crate) fn patience_ms(&self) -> u64 {
        u64::try_from(self.patience.as_millis()).unwrap_or(u64::MAX)
    }

    /// A number of this client's own, so that clients which were refused together do not come back together.
    pub(crate) fn noise(&self) -> u64 {
        let identity = self.network.identity();
        let key = identity.key().iter().take(8);
        key.fold(0, |noise, byte| (noise << 8) | u64::from(*byte))
    }
}
