//! A connection that is closed within a deadline, whatever the other side does.
//!
//! Closing says goodbye first, and a peer that reads nothing never takes the message: its connection would stay for as
//! long as it likes, after we gave its place to somebody else.
//!
//! Promises: closing ends within the time it was given, and then the sockets go. Does not: change anything
//! while the connection is open.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use tokio::time::Sleep;

/// The connection, and since closing began, how long that may still take.
#[derive(Debug)]
pub(super) struct Farewell<Muxer> {
    inner: Muxer,
    within: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<Muxer> Farewell<Muxer> {
    /// A connection that closes within this time.
    pub(super) fn new(inner: Muxer, within: Duration) -> Self {
        Farewell { inner, within, deadline: None }
    }
}

impl<Muxer> StreamMuxer for Farewell<Muxer>
where
    Muxer: StreamMuxer<Error = io::Error> + Unpin,
{
    type Substream = Muxer::Substream;
    type Error = io::Error;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Self::Substream>> {
        Pin::new(&mut self.inner).poll_inbound(context)
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Self::Substream>> {
        Pin::new(&mut self.inner).poll_outbound(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(closed) = Pin::new(&mut self.inner).poll_close(context) {
            return Poll::Ready(closed);
        }
        let within = self.within;
        let start = || Box::pin(tokio::time::sleep(within));
        let deadline = self.deadline.get_or_insert_with(start);
        deadline.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<StreamMuxerEvent>> {
        Pin::new(&mut self.inner).poll(context)
    }
}

#[cfg(test)]
mod tests {
    use libp2p::core::muxing::StreamMuxerExt;

    use super::*;

    /// A connection whose peer reads nothing.
    struct Stuck;

    impl StreamMuxer for Stuck {
        type Substream = futures::io::Cursor<Vec<u8>>;
        type Error = io::Error;

        fn poll_inbound(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<io::Result<Self::Substream>> {
            Poll::Pending
        }

        fn poll_outbound(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<io::Result<Self::Substream>> {
            Poll::Pending
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn a_peer_that_reads_nothing_cannot_keep_its_connection_open() {
        let stuck = Farewell::new(Stuck, Duration::ZERO);
        let closed = tokio::time::timeout(Duration::from_secs(120), stuck.close()).await;
        let error = closed.expect("it ends within its deadline").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
