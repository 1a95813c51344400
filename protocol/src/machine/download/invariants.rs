//! What holds of a download after every input, as its file promises; debug builds and the simulation check it each time.

use super::{Phase, SegmentDownload};

impl SegmentDownload {
    /// The promise that does not hold, if there is one.
    pub(super) fn broken(&self) -> Option<&'static str> {
        let is_gathering = self.phase == Phase::Gathering;
        let known = [&self.claimed, &self.verified, &self.held, &self.lost];
        let mut pairs = known.into_iter().flatten();
        let rules = [
            (
                self.phase != Phase::Decoding || self.held.len() >= self.needed(),
                "only as many slivers as are needed are decoded",
            ),
            (
                is_gathering || self.questions.are_none(),
                "nothing is asked for any more once there is enough",
            ),
            (self.held.is_disjoint(&self.lost), "what came is not lost"),
            (self.held.is_disjoint(&self.claimed), "what came with its proof needs none"),
            (
                pairs.all(|pair| pair.0 < self.parameters.shards()),
                "a segment has a pair for each shard",
            ),
        ];
        rules.into_iter().find(|(holds, _)| !holds).map(|(_, rule)| rule)
    }
}
