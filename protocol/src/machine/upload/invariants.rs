//! What holds of an upload after every input, as its file promises; debug builds and the simulation check it each time.

use super::Upload;

impl Upload {
    /// The promise that does not hold, if there is one.
    pub(super) fn broken(&self) -> Option<&'static str> {
        let is_quorum = |weight| self.committee.is_quorum(weight);
        let rules = [
            (self.in_memory.len() <= self.window, "at most the window is in memory"),
            (self.encoded.is_subset(&self.in_memory), "what is encoded is in memory"),
            (
                self.registering || self.in_memory.is_empty(),
                "nothing is encoded before a quorum answered",
            ),
            (
                self.registering || self.persistence.is_none(),
                "nothing is registered before a quorum answered",
            ),
            (
                !self.certifying || is_quorum(self.confirmed_weight()),
                "a certificate has a quorum of verified confirmations",
            ),
            (self.certifying || !self.certified, "what is certified was to be certified"),
            (
                self.failed.keys().all(|member| !self.peers.contains_key(member)),
                "who failed is not counted on",
            ),
        ];
        rules.into_iter().find(|(holds, _)| !holds).map(|(_, rule)| rule)
    }
}
