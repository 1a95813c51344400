//! One open stream: frames and raw bytes, every wait bounded.
//!
//! A frame is its length (u32, big endian) and then a value in the wire codec of
//! `haulout_protocol::wire`. Promises: a length is checked before anything is allocated, and a body
//! is allocated only as its bytes arrive; no progress for the idle time, or progress below the
//! minimum rate, ends the wait; on a stream that a peer opened the peer earns every wait with the
//! bytes it moves, in both directions; dropping the stream returns its permits and its place.
//! Does not: know what the frames mean, or retry.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufWriter, ReadHalf, WriteHalf,
};
use haulout_protocol::machine::credit::{Credit, Terms};
use haulout_protocol::wire;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};

use super::life::Watched;
use super::peers::Blame;
use super::place::{Place, micros};
use crate::limits;

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
    #[error("the peer moves so few bytes per second that the stream would never end")]
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
    /// The place of the stream was given to somebody who uses it.
    #[error("the place of the stream was given to another peer")]
    Evicted,
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
            | StreamError::Evicted
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
            StreamError::Closed | StreamError::Evicted | StreamError::Io(_) => None,
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
    tempo: Tempo,
    _permit: Arc<OwnedSemaphorePermit>,
}

/// The half of a stream that writes.
#[derive(Debug)]
pub struct StreamWriter {
    io: BufWriter<WriteHalf<Watched<libp2p::Stream>>>,
    tempo: Tempo,
    _permit: Arc<OwnedSemaphorePermit>,
}

/// A stream whose connection is watched for life.
type Io = Watched<libp2p::Stream>;

impl Stream {
    /// A stream that we opened.
    pub(super) fn opened(io: Io, permit: OwnedSemaphorePermit) -> Self {
        Stream::new(io, permit, || Tempo::ours(limits::STREAM_IDLE_TIMEOUT))
    }

    /// A stream that a peer opened, and the place it has.
    pub(super) fn accepted(io: Io, permit: OwnedSemaphorePermit, place: Place) -> Self {
        Stream::new(io, permit, || Tempo::theirs(limits::STREAM_CREDIT, place.clone()))
    }

    fn new(io: Io, permit: OwnedSemaphorePermit, tempo: impl Fn() -> Tempo) -> Self {
        let (read, write) = io.split();
        let permit = Arc::new(permit);
        Stream {
            reader: StreamReader {
                io: BufReader::with_capacity(limits::STREAM_BUFFER_BYTES, read),
                tempo: tempo(),
                _permit: permit.clone(),
            },
            writer: StreamWriter {
                io: BufWriter::with_capacity(limits::STREAM_BUFFER_BYTES, write),
                tempo: tempo(),
                _permit: permit,
            },
        }
    }

    /// The place of a stream that a peer opened; nothing if we did.
    pub fn place(&self) -> Option<Place> {
        self.reader.tempo.theirs.as_ref().map(|theirs| theirs.place.clone())
    }

    /// On a stream that a peer opened: the peer may pause for so long before its next bytes, once.
    pub fn allow_pause(&mut self, pause: Duration) {
        if let Some(theirs) = &mut self.reader.tempo.theirs {
            theirs.pause = pause;
        }
    }

    /// Two halves for two tasks.
    pub fn split(self) -> (StreamReader, StreamWriter) {
        (self.reader, self.writer)
    }

    /// Changes how long each wait may see no progress; both directions.
    pub fn set_idle_timeout(&mut self, idle: Duration) {
        self.reader.tempo.set_idle(idle);
        self.writer.tempo.set_idle(idle);
    }

    /// See [`StreamReader::read_frame`].
    pub async fn read_frame<T: bincode::Decode<()>>(&mut self, max: u32) -> Result<T, StreamError> {
        self.reader.read_frame(max).await
    }

    /// See [`StreamReader::read_bytes`].
    pub async fn read_bytes(&mut self, length: u32) -> Result<Vec<u8>, StreamError> {
        self.reader.read_bytes(length).await
    }

    /// See [`StreamReader::read_exact`].
    pub async fn read_exact(&mut self, bytes: &mut [u8]) -> Result<(), StreamError> {
        self.reader.read_exact(bytes).await
    }

    /// Reads so many raw bytes, and forgets them.
    pub async fn skip(&mut self, mut bytes: usize) -> Result<(), StreamError> {
        let mut some = [0; 4096];
        while bytes > 0 {
            let step = bytes.min(some.len());
            self.read_exact(&mut some[..step]).await?;
            bytes -= step;
        }
        Ok(())
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
        self.tempo.set_idle(idle);
    }

    /// Reads one frame of at most `max` bytes.
    pub async fn read_frame<T: bincode::Decode<()>>(&mut self, max: u32) -> Result<T, StreamError> {
        let body = read_body(&mut self.io, &mut self.tempo, max).await?;
        Ok(wire::decode(&body)?)
    }

    /// Reads so many raw bytes; memory is taken only as they arrive.
    pub async fn read_bytes(&mut self, length: u32) -> Result<Vec<u8>, StreamError> {
        read_growing(&mut self.io, &mut self.tempo, length).await
    }

    /// Fills the buffer.
    pub async fn read_exact(&mut self, bytes: &mut [u8]) -> Result<(), StreamError> {
        read_exact(&mut self.io, &mut self.tempo, bytes).await
    }
}

impl StreamWriter {
    /// Changes how long each wait may see no progress.
    pub fn set_idle_timeout(&mut self, idle: Duration) {
        self.tempo.set_idle(idle);
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
        write_all(&mut self.io, &mut self.tempo, bytes).await
    }

    /// Sends what the buffer holds.
    pub async fn flush(&mut self) -> Result<(), StreamError> {
        self.tempo.wait(self.io.flush()).await
    }

    /// Sends what the buffer holds and ends our direction; the peer's stays open.
    pub async fn close(&mut self) -> Result<(), StreamError> {
        self.tempo.wait(self.io.close()).await
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

/// How long one direction of a stream may keep us waiting.
#[derive(Debug)]
struct Tempo {
    idle: Duration,
    /// Of a stream that a peer opened.
    theirs: Option<Theirs>,
}

/// What a peer has left on a stream that it opened.
#[derive(Debug)]
struct Theirs {
    credit: Credit,
    place: Place,
    /// How much longer the next wait may be.
    pause: Duration,
}

fn credit_of(idle: Duration) -> Credit {
    let credit_ms = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
    Credit::new(Terms { credit_ms, bytes_per_second: limits::STREAM_CREDIT_BYTES_PER_SECOND })
}

impl Tempo {
    fn ours(idle: Duration) -> Self {
        Tempo { idle, theirs: None }
    }

    fn theirs(idle: Duration, place: Place) -> Self {
        let theirs = Theirs { credit: credit_of(idle), place, pause: Duration::ZERO };
        Tempo { idle, theirs: Some(theirs) }
    }

    fn set_idle(&mut self, idle: Duration) {
        self.idle = idle;
        if let Some(theirs) = &mut self.theirs {
            theirs.credit = credit_of(idle);
        }
    }

    /// One wait in which nothing has to move.
    async fn wait(
        &mut self,
        step: impl Future<Output = io::Result<()>>,
    ) -> Result<(), StreamError> {
        let pace = Pace::new(self.idle, 0);
        let step = async { step.await.map(|()| 0) };
        self.step(&pace, step).await.map(drop)
    }

    /// One wait of a transfer; how many bytes it moved.
    async fn step(
        &mut self,
        pace: &Pace,
        step: impl Future<Output = io::Result<usize>>,
    ) -> Result<usize, StreamError> {
        match &mut self.theirs {
            None => pace.step(step).await,
            Some(theirs) => theirs.step(self.idle, step).await,
        }
    }
}

impl Theirs {
    async fn step(
        &mut self,
        idle: Duration,
        step: impl Future<Output = io::Result<usize>>,
    ) -> Result<usize, StreamError> {
        if self.place.is_evicted() {
            return Err(StreamError::Evicted);
        }
        let left = Duration::from_micros(self.credit.left_us());
        let began = Instant::now();
        self.place.wait_began();
        let stepped = timeout(left + self.pause, step).await;
        let waited = began.elapsed();
        let moved = match &stepped {
            Ok(Ok(count)) => u64::try_from(*count).unwrap_or(u64::MAX),
            Ok(Err(_)) | Err(_) => 0,
        };
        self.place.wait_ended(moved, waited);
        self.credit.moved(moved, micros(waited.saturating_sub(self.pause)));
        match stepped {
            Ok(result) => {
                self.pause = Duration::ZERO;
                Ok(result?)
            }
            Err(_) if left >= idle => Err(StreamError::TimedOut(left + self.pause)),
            Err(_) => Err(StreamError::TooSlow),
        }
    }
}

async fn read_exact<R: AsyncRead + Unpin>(
    io: &mut R,
    tempo: &mut Tempo,
    bytes: &mut [u8],
) -> Result<(), StreamError> {
    let pace = Pace::new(tempo.idle, bytes.len());
    fill(io, tempo, &pace, bytes).await
}

/// Fills a buffer, at a pace that may span more than this buffer.
async fn fill<R: AsyncRead + Unpin>(
    io: &mut R,
    tempo: &mut Tempo,
    pace: &Pace,
    bytes: &mut [u8],
) -> Result<(), StreamError> {
    let mut filled = 0;
    while filled < bytes.len() {
        match tempo.step(pace, io.read(&mut bytes[filled..])).await? {
            0 => return Err(StreamError::Closed),
            count => filled += count,
        }
    }
    Ok(())
}

async fn write_all<W: AsyncWrite + Unpin>(
    io: &mut W,
    tempo: &mut Tempo,
    bytes: &[u8],
) -> Result<(), StreamError> {
    let pace = Pace::new(tempo.idle, bytes.len());
    let mut written = 0;
    while written < bytes.len() {
        match tempo.step(&pace, io.write(&bytes[written..])).await? {
            0 => return Err(StreamError::Closed),
            count => written += count,
        }
    }
    Ok(())
}

/// Reads a frame's body.
async fn read_body<R: AsyncRead + Unpin>(
    io: &mut R,
    tempo: &mut Tempo,
    max: u32,
) -> Result<Vec<u8>, StreamError> {
    let mut length = [0; 4];
    read_exact(io, tempo, &mut length).await?;
    let announced = u32::from_be_bytes(length);
    if announced > max {
        return Err(StreamError::TooLarge { announced, max });
    }
    read_growing(io, tempo, announced).await
}

/// Reads so many bytes. A lie about how many costs the liar the bytes and us one step.
async fn read_growing<R: AsyncRead + Unpin>(
    io: &mut R,
    tempo: &mut Tempo,
    length: u32,
) -> Result<Vec<u8>, StreamError> {
    let length = usize::try_from(length).expect("we run on at least 32 bits");
    let pace = Pace::new(tempo.idle, length);
    let mut bytes = Vec::new();
    while bytes.len() < length {
        let filled = bytes.len();
        bytes.resize((filled + limits::FRAME_STEP_BYTES).min(length), 0);
        fill(io, tempo, &pace, &mut bytes[filled..]).await?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
