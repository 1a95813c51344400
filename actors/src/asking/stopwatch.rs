//! Measures how fast a peer answers.
//!
//! Promises: what was measured is noted when the question ends, be it answered, cancelled or broken. Does not: judge it
//! (`haulout_protocol::machine::responsiveness` does).

use haulout_protocol::crypto::PeerId;
use haulout_protocol::machine::responsiveness::Sample;
use tokio::time::Instant;

use crate::network::Network;

/// Measures one answer of a peer; what it measured is noted when it is dropped, be the request done or cancelled.
#[derive(Debug)]
pub(super) struct Stopwatch {
    network: Network,
    peer: PeerId,
    asked: Instant,
    first: Option<Instant>,
    last: Instant,
    bytes: u64,
    /// Whether everything asked for came.
    pub(super) is_whole: bool,
}

impl Stopwatch {
    /// Starts with the question. Reaching the peer is not measured: that says more of us than of the peer.
    pub(super) fn start(network: &Network, peer: PeerId) -> Self {
        let asked = Instant::now();
        let network = network.clone();
        Stopwatch { network, peer, asked, first: None, last: asked, bytes: 0, is_whole: false }
    }

    /// A frame of the answer came, or so many bytes behind one.
    pub(super) fn heard(&mut self, bytes: usize) {
        self.last = Instant::now();
        self.first.get_or_insert(self.last);
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}

impl Drop for Stopwatch {
    fn drop(&mut self) {
        let Some(first) = self.first else { return };
        let between = |from: Instant, to: Instant| {
            u64::try_from(to.saturating_duration_since(from).as_millis()).unwrap_or(u64::MAX)
        };
        let end = if self.is_whole { self.last } else { Instant::now() };
        let sample = Sample {
            wait_ms: between(self.asked, first),
            bytes: self.bytes,
            transfer_ms: between(first, end),
            is_whole: self.is_whole,
        };
        self.network.answered(self.peer, self.last, sample);
    }
}
