//! What members of an upload sign: taken as it comes, verified when it may make a quorum.
//!
//! Promises: what counts as confirmed is sound together, which is what a certificate needs; whoever lied is named.
//! Does not: decide when to certify.

use super::{Blame, Effect, Peer, Upload};
use crate::crypto::{self, Signature};
use crate::epoch::Epoch;
use crate::message::{self, Persistence};

impl Upload {
    pub(super) fn confirmed(
        &mut self,
        member: usize,
        epoch: Epoch,
        signature: Signature,
    ) -> Vec<Effect> {
        if epoch != self.committee.epoch() {
            // Not a lie: an epoch ended, and one of us has not heard of it yet.
            self.other_epoch |= epoch.0.abs_diff(self.committee.epoch().0) == 1;
            let reason = format!("it is in epoch {epoch}");
            self.fail_member(member, reason.clone());
            return vec![Effect::Drop { member, reason }];
        }
        if let Some(peer) = self.peers.get_mut(&member)
            && peer.confirmed.is_none()
        {
            peer.claimed = Some(signature);
        }
        Vec::new()
    }

    /// What a member of use must sign.
    pub(super) fn message(&self, persistence: &Persistence) -> Vec<u8> {
        let epoch = self.committee.epoch();
        message::blob_certificate_message(&self.network, epoch, &self.blob_id, persistence)
    }

    /// Verifies what came as soon as it may make a quorum, all together: a pairing costs a millisecond, and honest members
    /// need one for all of them.
    pub(super) fn verify_confirmations(&mut self) -> Vec<Effect> {
        match self.certifying || self.committee.is_quorum(self.claimed_weight()) {
            true => self.verify_claimed(),
            false => Vec::new(),
        }
    }

    /// Verifies all that came, together; if that fails, each alone, and whoever lied is left.
    pub(super) fn verify_claimed(&mut self) -> Vec<Effect> {
        let Some(persistence) = self.persistence else { return Vec::new() };
        let claimed = |(member, peer): (&usize, &mut Peer)| Some((*member, peer.claimed.take()?));
        let claimed: Vec<_> = self.peers.iter_mut().filter_map(claimed).collect();
        if claimed.is_empty() {
            return Vec::new();
        }
        let message = self.message(&persistence);
        let is_sound_together = self.are_sound(&claimed, &message);
        let mut effects = Vec::new();
        for (member, signature) in claimed {
            if is_sound_together || self.are_sound(&[(member, signature)], &message) {
                self.peers.entry(member).or_default().confirmed = Some(signature);
                continue;
            }
            let (blame, reason) = (Blame::WrongProof, Blame::WrongProof.to_string());
            self.fail_member(member, reason.clone());
            effects.push(Effect::Blame { member, reason: blame });
            effects.push(Effect::Drop { member, reason });
        }
        effects
    }

    /// Whether the sum of the signatures is that of these members. That it holds for each of them is not said, and not
    /// needed: a certificate is that sum.
    fn are_sound(&self, signatures: &[(usize, Signature)], message: &[u8]) -> bool {
        let members = self.committee.members();
        let keys: Vec<_> = signatures.iter().map(|(at, _)| members[*at].public_key).collect();
        let signatures: Vec<_> = signatures.iter().map(|(_, signature)| *signature).collect();
        let key = crypto::aggregate_public_keys(&keys);
        let sum = crypto::aggregate_signatures(&signatures);
        key.ok().zip(sum.ok()).is_some_and(|(key, sum)| sum.verify(&key, message))
    }
}
