//! A question that is under way, and a stream that is on loan for one.
//!
//! Promises: frames that refuse are errors that say why; how fast the peer answers is measured as the answer is read.
//! Does not: know what the frames mean.

use haulout_protocol::crypto::PeerId;
use haulout_protocol::wire::Refusable;

use super::failure::AskError;
use super::stopwatch::Stopwatch;
use crate::network::{Borrowed, Network, OpenError, Stream, StreamError};

/// A question that was put to a peer, whose answer is read from here. Dropped, it is cancelled.
#[derive(Debug)]
pub(crate) struct Asked {
    way: Way,
    stopwatch: Stopwatch,
}

/// The stream of a question.
#[derive(Debug)]
enum Way {
    Own(Stream),
    Lent(Loan),
}

impl Asked {
    /// A question on a stream of its own.
    pub(super) fn on(stream: Stream, stopwatch: Stopwatch) -> Self {
        Asked { way: Way::Own(stream), stopwatch }
    }

    /// A question on a stream that others use before and after.
    pub(super) fn on_loan(loan: Loan, stopwatch: Stopwatch) -> Self {
        Asked { way: Way::Lent(loan), stopwatch }
    }

    fn stream(&mut self) -> &mut Stream {
        match &mut self.way {
            Way::Own(stream) => stream,
            Way::Lent(loan) => loan.stream(),
        }
    }

    /// The next frame of the answer, of at most `max` bytes, unless it refuses.
    pub(crate) async fn frame<Reply: Refusable>(&mut self, max: u32) -> Result<Reply, AskError> {
        let reply: Reply = self.stream().read_frame(max).await?;
        self.stopwatch.heard(0);
        reply.unless_refused().map_err(AskError::Refused)
    }

    /// So many raw bytes behind a frame; memory is taken only as they arrive.
    pub(crate) async fn bytes(&mut self, length: u32) -> Result<Vec<u8>, AskError> {
        let bytes = self.stream().read_bytes(length).await?;
        self.stopwatch.heard(bytes.len());
        Ok(bytes)
    }

    /// Raw bytes of a length that was checked.
    pub(crate) async fn exact(&mut self, bytes: &mut [u8]) -> Result<(), AskError> {
        self.stream().read_exact(bytes).await?;
        self.stopwatch.heard(bytes.len());
        Ok(())
    }

    /// Says whether everything that was asked for has come: only a whole answer tells how fast the peer is.
    pub(crate) fn set_whole(&mut self, is_whole: bool) {
        self.stopwatch.is_whole = is_whole;
    }

    /// Everything came: a stream on loan goes back, for the next one.
    pub(crate) fn end(self) {
        if let Way::Lent(loan) = self.way {
            loan.give_back();
        }
    }
}

/// A stream that others use before and after. Dropped, it is closed.
#[derive(Debug)]
pub(crate) struct Loan {
    network: Network,
    peer: PeerId,
    borrowed: Borrowed,
}

impl Loan {
    /// A loan of this stream.
    pub(super) fn of(network: &Network, peer: PeerId, borrowed: Borrowed) -> Self {
        Loan { network: network.clone(), peer, borrowed }
    }

    /// The stream.
    pub(crate) fn stream(&mut self) -> &mut Stream {
        self.borrowed.stream()
    }

    /// Whether an exchange ended like this because the peer had ended the stream before anybody asked: nothing was done, and
    /// the exchange is to be made again on a [renewed](Loan::renew) loan.
    pub(crate) fn had_ended<T>(&self, exchange: &Result<T, AskError>) -> bool {
        matches!(exchange, Err(AskError::Stream(error)) if self.is_of_old(error))
    }

    fn is_of_old(&self, error: &StreamError) -> bool {
        self.borrowed.had_ended(error)
    }

    /// The same loan with a stream that nobody had.
    pub(crate) async fn renew(self) -> Result<Self, OpenError> {
        let Loan { network, peer, borrowed } = self;
        let borrowed = network.replace(peer, borrowed).await?;
        Ok(Loan { network, peer, borrowed })
    }

    /// For the next one; only between two exchanges.
    pub(crate) fn give_back(self) {
        self.borrowed.give_back();
    }
}
