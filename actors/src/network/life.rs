//! Signs that a connection lives: what has arrived on it.
//!
//! Promises: only what a living peer alone can cause is counted, which is bytes of streams and answers to negotiations
//! and pings. Does not: use a clock, count what we send (buffers take that for a dead peer, too), or judge.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures::io::{AsyncRead, AsyncWrite, IoSlice, IoSliceMut};

/// How many signs of life one connection has shown; a cheap handle.
#[derive(Clone, Debug, Default)]
pub(super) struct Life(Arc<AtomicU64>);

impl Life {
    /// Counts one more.
    pub(super) fn note(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many there were until now.
    pub(super) fn signs(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A stream whose arriving bytes are signs of life of its connection.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    life: Life,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, life: Life) -> Self {
        Watched { stream, life }
    }

    fn noted(&self, read: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(read, Poll::Ready(Ok(1..))) {
            self.life.note();
        }
        read
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let read = Pin::new(&mut self.stream).poll_read(context, bytes);
        self.noted(read)
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let read = Pin::new(&mut self.stream).poll_read_vectored(context, slices);
        self.noted(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(context)
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::io::{AsyncReadExt, AsyncWriteExt, Cursor};

    use super::*;

    #[test]
    fn bytes_that_arrive_are_signs_of_life_and_what_we_send_and_an_end_are_not() {
        let life = Life::default();
        let mut stream = Watched::new(Cursor::new(vec![0; 2]), life.clone());
        block_on(stream.write_all(&[7])).unwrap();
        assert_eq!(life.signs(), 0);
        let mut bytes = [0; 4];
        assert_eq!((block_on(stream.read(&mut bytes)).unwrap(), life.signs()), (1, 1));
        assert_eq!((block_on(stream.read(&mut bytes)).unwrap(), life.signs()), (0, 1));
    }
}
