//! One open stream: frames and raw bytes, every wait bounded.
//!
//! A frame is its length (u32, big endian) and then a value in the wire codec of
//! `haulout_protocol::wire`. Promises: a length is checked before anything is allocated, and a body
//! is allocated only as its bytes arrive; no progress for the idle time, or progress below the
//! minimum rate, ends the wait; dropping the stream returns its permits. Does not: know what the
//! frames mean, or retry.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufWriter, ReadHalf, WriteHalf,
};
use haulout_protocol::wire;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};

use crate::limits;
use crate::network::Blame;
use crate::network::streams::Watched;

/// Why a stream did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The peer closed the stream, or the connection is gone.
    #[error("the peer closed the stream")]
    Closed,
    /// Nothing moved for the idle time.
    #[error("the peer was silent for {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// Something moved, but more slowly than an honest peer would.
    #[error("the peer is slower than {} bytes per second", limits::STREAM_BYTES_PER_SECOND_MIN)]
    TooSlow,
    /// The peer announced a frame above its limit.
    #[error("the peer announced a frame of {announced} bytes; at most {max} are allowed here")]
    TooLarge {
        /// What the peer announced.
        announced: u32,
        /// What is allowed.
        max: u32,
    },
    /// The peer sent a frame that cannot be decoded.
    #[error(transparent)]
    Malformed(#[from] wire::DecodeError),
    /// The transport failed.
    #[error("the connection failed: {0}")]
    Io(#[source] io::Error),
}

impl StreamError {
    /// Whether the same request, to the same peer, may succeed.
    pub fn is_transient(&self) -> bool {
        match self {
            StreamError::Closed
            | StreamError::TimedOut(_)
            | StreamError::TooSlow
            | StreamError::Io(_) => true,
            StreamError::TooLarge { .. } | StreamError::Malformed(_) => false,
        }
    }

    /// What the peer is to blame for, if it is the peer.
    pub fn blame(&self) -> Option<Blame> {
        match self {
            StreamError::TimedOut(_) | StreamError::TooSlow => Some(Blame::Silent),
            StreamError::TooLarge { .. } => Some(Blame::TooLarge),
            StreamError::Malformed(_) => Some(Blame::Malformed),
            StreamError::Closed | StreamError::Io(_) => None,
        }
    }
}

impl From<io::Error> for StreamError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::NotConnected
            | io::ErrorKind::WriteZero => StreamError::Closed,
            _ => StreamError::Io(error),
        }
    }
}

/// What an open stream holds; dropped with its last half.
#[derive(Debug)]
pub(super) struct Permits {
    pub(super) _held: Vec<OwnedSemaphorePermit>,
}

/// A stream to a peer, for one request.
#[derive(Debug)]
pub struct Stream {
    reader: StreamReader,
    writer: StreamWriter,
}

/// The half of a stream that reads.
#[derive(Debug)]
pub struct StreamReader {
    io: BufReader<ReadHalf<Watched<libp2p::Stream>>>,
    idle: Duration,
    _permits: Arc<Permits>,
}

/// The half of a stream that writes.
#[derive(Debug)]
pub struct StreamWriter {
    io: BufWriter<WriteHalf<Watched<libp2p::Stream>>>,
    idle: Duration,
    _permits: Arc<Permits>,
}

impl Stream {
    pub(super) fn new(io: Watched<libp2p::Stream>, permits: Permits) -> Self {
        let (read, write) = io.split();
        let (permits, idle) = (Arc::new(permits), limits::STREAM_IDLE_TIMEOUT);
        Stream {
            reader: StreamReader {
                io: BufReader::with_capacity(limits::STREAM_BUFFER_BYTES, read),
                idle,
                _permits: permits.clone(),
            },
            writer: StreamWriter {
                io: BufWriter::with_capacity(limits::STREAM_BUFFER_BYTES, write),
                idle,
                _permits: permits,
            },
        }
    }

    /// Two halves for two tasks.
    pub fn split(self) -> (StreamReader, StreamWriter) {
        (self.reader, self.writer)
    }

    /// Changes how long each wait may see no progress; both directions.
    pub fn set_idle_timeout(&mut self, idle: Duration) {
        self.reader.idle = idle;
        self.writer.idle = idle;
    }

    /// See [`StreamReader::read_frame`].
    pub async fn read_frame<T: bincode::Decode<()>>(&mut self, max: u32) -> Result<T, StreamError> {
        self.reader.read_frame(max).await
    }

    /// See [`StreamReader::read_exact`].
    pub async fn read_exact(&mut self, bytes: &mut [u8]) -> Result<(), StreamError> {
        self.reader.read_exact(bytes).await
    }

    /// See [`StreamWriter::write_frame`].
    pub async fn write_frame<T: bincode::Encode>(&mut self, value: &T) -> Result<(), StreamError> {
        self.writer.write_frame(value).await
    }

    /// See [`StreamWriter::write_all`].
    pub async fn write_all(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        self.writer.write_all(bytes).await
    }

    /// See [`StreamWriter::flush`].
    pub async fn flush(&mut self) -> Result<(), StreamError> {
        self.writer.flush().await
    }

    /// See [`StreamWriter::close`].
    pub async fn close(&mut self) -> Result<(), StreamError> {
        self.writer.close().await
    }
}

impl StreamReader {
    /// Changes how long each wait may see no progress.
    pub fn set_idle_timeout(&mut self, idle: Duration) {
        self.idle = idle;
    }

    /// Reads one frame of at most `max` bytes.
    pub async fn read_frame<T: bincode::Decode<()>>(&mut self, max: u32) -> Result<T, StreamError> {
        let body = read_body(&mut self.io, self.idle, max).await?;
        Ok(wire::decode(&body)?)
    }

    /// Fills the buffer.
    pub async fn read_exact(&mut self, bytes: &mut [u8]) -> Result<(), StreamError> {
        read_exact(&mut self.io, self.idle, bytes).await
    }
}

impl StreamWriter {
    /// Changes how long each wait may see no progress.
    pub fn set_idle_timeout(&mut self, idle: Duration) {
        self.idle = idle;
    }

    /// Writes one frame. Small frames stay in the buffer until it is full, flushed or closed.
    pub async fn write_frame<T: bincode::Encode>(&mut self, value: &T) -> Result<(), StreamError> {
        let body = wire::encode(value);
        let length = u32::try_from(body.len())
            .map_err(|_| StreamError::TooLarge { announced: u32::MAX, max: u32::MAX })?;
        self.write_all(&length.to_be_bytes()).await?;
        self.write_all(&body).await
    }

    /// Writes all the bytes; large ones go past the buffer.
    pub async fn write_all(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        write_all(&mut self.io, self.idle, bytes).await
    }

    /// Sends what the buffer holds.
    pub async fn flush(&mut self) -> Result<(), StreamError> {
        within(self.idle, self.io.flush()).await
    }

    /// Sends what the buffer holds and ends our direction; the peer's stays open.
    pub async fn close(&mut self) -> Result<(), StreamError> {
        within(self.idle, self.io.close()).await
    }
}

/// One wait, bounded.
async fn within<T>(
    patience: Duration,
    step: impl Future<Output = io::Result<T>>,
) -> Result<T, StreamError> {
    match timeout(patience, step).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(StreamError::TimedOut(patience)),
    }
}

/// Bounds a transfer of known size: each step by the idle time, all of it by the minimum rate.
struct Pace {
    idle: Duration,
    deadline: Instant,
}

impl Pace {
    fn new(idle: Duration, bytes: usize) -> Self {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let all = 2 * idle + Duration::from_secs(bytes / limits::STREAM_BYTES_PER_SECOND_MIN);
        Pace { idle, deadline: Instant::now() + all }
    }

    async fn step<T>(&self, step: impl Future<Output = io::Result<T>>) -> Result<T, StreamError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        match within(self.idle.min(left), step).await {
            Err(StreamError::TimedOut(_)) if left < self.idle => Err(StreamError::TooSlow),
            result => result,
        }
    }
}

async fn read_exact<R: AsyncRead + Unpin>(
    io: &mut R,
    idle: Duration,
    bytes: &mut [u8],
) -> Result<(), StreamError> {
    let pace = Pace::new(idle, bytes.len());
    fill(io, &pace, bytes).await
}

/// Fills a buffer, at a pace that may span more than this buffer.
async fn fill<R: AsyncRead + Unpin>(
    io: &mut R,
    pace: &Pace,
    bytes: &mut [u8],
) -> Result<(), StreamError> {
    let mut filled = 0;
    while filled < bytes.len() {
        match pace.step(io.read(&mut bytes[filled..])).await? {
            0 => return Err(StreamError::Closed),
            count => filled += count,
        }
    }
    Ok(())
}

async fn write_all<W: AsyncWrite + Unpin>(
    io: &mut W,
    idle: Duration,
    bytes: &[u8],
) -> Result<(), StreamError> {
    let pace = Pace::new(idle, bytes.len());
    let mut written = 0;
    while written < bytes.len() {
        match pace.step(io.write(&bytes[written..])).await? {
            0 => return Err(StreamError::Closed),
            count => written += count,
        }
    }
    Ok(())
}

/// Reads a frame's body. A lie about the length costs the liar the bytes and us one step.
async fn read_body<R: AsyncRead + Unpin>(
    io: &mut R,
    idle: Duration,
    max: u32,
) -> Result<Vec<u8>, StreamError> {
    let mut length = [0; 4];
    read_exact(io, idle, &mut length).await?;
    let announced = u32::from_be_bytes(length);
    if announced > max {
        return Err(StreamError::TooLarge { announced, max });
    }
    let length = usize::try_from(announced).expect("we run on at least 32 bits");
    let pace = Pace::new(idle, length);
    let mut body = Vec::new();
    while body.len() < length {
        let filled = body.len();
        body.resize((filled + limits::FRAME_STEP_BYTES).min(length), 0);
        fill(io, &pace, &mut body[filled..]).await?;
    }
    Ok(body)
}

#[cfg(test)]
mod tests;
