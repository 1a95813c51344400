//! Puts questions to peers, and remembers how each of them does.
//!
//! Promises: a question is bounded by the bounds of its stream; whatever it ends in can be told, blamed and tried again in
//! one way (`AskError`). Does not: try again by itself, but on a stream that had ended before anybody asked.

use std::time::Duration;

use haulout_protocol::crypto::PeerId;
use haulout_protocol::machine::Blame;
use haulout_protocol::machine::responsiveness::{Pace, order};
use haulout_protocol::wire::Refusable;
use tokio::time::timeout;

use super::asked::{Asked, Loan};
use super::failure::AskError;
use super::stopwatch::Stopwatch;
use crate::network::{Errand, Network, OpenError, Protocol, Stream};

/// Asks peers; a cheap handle. What peers do is remembered by the network's handle, for all who ask.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    network: Network,
}

impl Asker {
    /// Asks over this network.
    pub(crate) fn new(network: &Network) -> Self {
        Asker { network: network.clone() }
    }

    /// Puts a question to a peer, on a stream of its own.
    pub(crate) async fn ask(
        &self,
        peer: PeerId,
        protocol: Protocol,
        request: &impl bincode::Encode,
    ) -> Result<Asked, AskError> {
        let mut stream = self.open(peer, protocol).await?;
        let stopwatch = Stopwatch::start(&self.network, peer);
        send(&mut stream, request).await?;
        Ok(Asked::on(stream, stopwatch))
    }

    /// Puts a question of [`Protocol::Sliver`] to a peer, on a stream that was used before if one is kept, which saves a
    /// round trip; the first frame of the answer comes with it.
    pub(crate) async fn ask_on_kept<Reply: Refusable>(
        &self,
        peer: PeerId,
        request: &impl bincode::Encode,
        max: u32,
    ) -> Result<(Asked, Reply), AskError> {
        let mut loan = Loan::of(&self.network, peer, self.network.reuse(peer).await?);
        let mut stopwatch = Stopwatch::start(&self.network, peer);
        let mut reply = exchange::<Reply>(loan.stream(), request, max).await;
        if loan.had_ended(&reply) {
            loan = loan.renew().await?;
            stopwatch = Stopwatch::start(&self.network, peer);
            reply = exchange(loan.stream(), request, max).await;
        }
        let reply = reply?;
        stopwatch.heard(0);
        Ok((Asked::on_loan(loan, stopwatch), reply.unless_refused().map_err(AskError::Refused)?))
    }

    /// A stream for an exchange of many frames both ways, which is not measured.
    pub(crate) async fn open(&self, peer: PeerId, protocol: Protocol) -> Result<Stream, OpenError> {
        self.network.open(peer, protocol).await
    }

    /// A stream that others use after us, for those who come by the hundred; those before us take their time, and ours does
    /// not pass meanwhile without end.
    pub(crate) async fn borrow(
        &self,
        peer: PeerId,
        errand: Errand,
        patience: Duration,
    ) -> Result<Loan, OpenError> {
        let borrowed = timeout(patience, self.network.borrow(peer, errand)).await;
        let borrowed = borrowed.unwrap_or(Err(OpenError::Overloaded))?;
        Ok(Loan::of(&self.network, peer, borrowed))
    }

    /// What to expect of each of these peers if it is asked for so many bytes now.
    pub(crate) fn paces(&self, peers: impl Iterator<Item = PeerId>, bytes: u64) -> Vec<Pace> {
        self.network.paces(peers, bytes)
    }

    /// The candidates in the order in which to ask them for so many bytes each, when those with `needed` shares together are
    /// enough: places in `candidates`, which are peers with their shares; who has none is left out. `noise` shuffles equals.
    pub(crate) fn ranked(
        &self,
        candidates: &[(PeerId, usize)],
        bytes: u64,
        needed: usize,
        noise: u64,
    ) -> Vec<usize> {
        let paces = self.paces(candidates.iter().map(|(peer, _)| *peer), bytes);
        let shares: Vec<_> = candidates.iter().map(|(_, share)| *share).collect();
        order(&paces, &shares, needed, noise)
    }

    /// A peer owes an answer for so long that others were asked: until it answers, it is asked last.
    pub(crate) fn fell_silent(&self, peer: PeerId) {
        self.network.fell_silent(peer);
    }

    /// Blames a peer for what a question to it ended in, if that is its fault; a broken connection is nobody's.
    pub(crate) fn report(&self, peer: PeerId, error: &AskError) {
        if let Some(blame) = error.blame() {
            self.blame(peer, blame);
        }
    }

    /// Blames a peer for what it sent.
    pub(crate) fn blame(&self, peer: PeerId, blame: Blame) {
        self.network.blame(peer, blame);
    }
}

async fn send(stream: &mut Stream, request: &impl bincode::Encode) -> Result<(), AskError> {
    stream.write_frame(request).await?;
    Ok(stream.flush().await?)
}

/// One frame there, and one back.
async fn exchange<Reply: Refusable>(
    stream: &mut Stream,
    request: &impl bincode::Encode,
    max: u32,
) -> Result<Reply, AskError> {
    send(stream, request).await?;
    Ok(stream.read_frame(max).await?)
}
