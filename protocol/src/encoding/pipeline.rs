//! Blobs of any length through a fixed number of segments in memory: read, coded and handed over at the same time.
//!
//! Promises: the header of the bytes that were read, the same for any number of threads; segments in order. Does not: open
//! what it reads or keep what it made; reader and sink are the caller's, and so are their threads.

use std::io::{self, Read};

use bytes::Bytes;

use super::buffers::Buffers;
use super::parameters::{Parameters, index};
use super::short::{ShortEncoder, identify_short};
use super::threads::{both, run_with};
use super::{EncodedSegment, SegmentPosition, encode_segment_into, identify_segment_into};
use crate::blob::{BlobHeader, Encoding, SegmentCommitment};

/// Fewest segments that can be in memory: one that is read, one that is coded, and one that is handed over.
pub const MIN_IN_FLIGHT: usize = 3;

/// A coder of blobs that holds so many segments and no more.
#[derive(Clone, Debug)]
pub struct Pipeline {
    parameters: Parameters,
    /// Segments that are read, coded or handed over together.
    batch: usize,
    buffers: Buffers,
}

impl Pipeline {
    /// With at most this many segments in memory, [`MIN_IN_FLIGHT`] at least. While slivers are made, a segment takes up to
    /// four times its own bytes.
    pub fn new(parameters: &Parameters, in_flight: usize) -> Self {
        let in_flight = in_flight.max(MIN_IN_FLIGHT);
        let buffers = Buffers::new(2 * in_flight * index(parameters.segment_bytes()));
        Pipeline { parameters: *parameters, batch: in_flight / 3, buffers }
    }

    /// Encodes all that the reader gives; `sink` takes each segment, with its number, while the next is encoded.
    ///
    /// # Errors
    /// The reader's and the sink's, whichever comes first; and if the blob is short in this network, so that it has symbols
    /// rather than slivers: see [`super::encode_short`].
    pub fn encode<E: From<io::Error> + Send>(
        &self,
        reader: impl Read + Send,
        mut sink: impl FnMut(u32, EncodedSegment) -> Result<(), E> + Send,
    ) -> Result<BlobHeader, E> {
        let work =
            |position, bytes| encode_segment_into(&self.buffers, &self.parameters, position, bytes);
        let header = self.stream(reader, work, |segment, encoded| {
            let commitment = encoded.commitment();
            sink(segment, encoded).map(|()| commitment)
        })?;
        match header.encoding {
            Encoding::Segments => Ok(header),
            Encoding::Short => {
                let message = "a short blob has no slivers; encode it as a short blob";
                Err(io::Error::new(io::ErrorKind::InvalidInput, message).into())
            }
        }
    }

    /// Computes the header of all that the reader gives, short or not, without slivers; `progress` hears the number of each
    /// segment.
    ///
    /// # Errors
    /// The reader's.
    pub fn identify(
        &self,
        reader: impl Read + Send,
        mut progress: impl FnMut(u32) + Send,
    ) -> io::Result<BlobHeader> {
        let work = |position: SegmentPosition, bytes: Bytes| {
            if !self.parameters.is_short(position.blob_bytes) {
                return identify_segment_into(&self.buffers, &self.parameters, position, &bytes);
            }
            ShortEncoder::new(&self.parameters, &self.buffers).encode(&bytes).commitment()
        };
        self.stream(reader, work, |segment, commitment| {
            progress(segment);
            Ok(commitment)
        })
    }

    fn stream<T: Send, E: From<io::Error> + Send>(
        &self,
        reader: impl Read + Send,
        work: impl Fn(SegmentPosition, Bytes) -> T + Send + Sync,
        mut sink: impl FnMut(u32, T) -> Result<SegmentCommitment, E> + Send,
    ) -> Result<BlobHeader, E> {
        let mut input = Input::new(self, reader);
        let mut segments = Vec::new();
        let (mut read, mut made) = (input.batch()?, Vec::new());
        while !read.is_empty() || !made.is_empty() {
            let make = |_: &mut (), (position, bytes): (SegmentPosition, Bytes)| {
                (position.segment, work(position, bytes))
            };
            let hand_over = |(segment, made)| sink(segment, made);
            let ((next, coded), handed) = both(
                || both(|| input.batch(), || run_with(read, || (), make)),
                || made.into_iter().map(hand_over).collect::<Result<Vec<_>, E>>(),
            );
            segments.extend(handed?);
            (read, made) = (next?, coded);
        }
        Ok(BlobHeader::new(&self.parameters, input.length, segments))
    }
}

/// The header of a blob in memory, whatever its length: what names it.
pub fn header_of(parameters: &Parameters, blob: &[u8]) -> BlobHeader {
    if parameters.is_short(blob.len() as u64) {
        return identify_short(parameters, blob);
    }
    let header = Pipeline::new(parameters, MIN_IN_FLIGHT).identify(blob, |_| ());
    header.expect("bytes in memory can be read")
}

/// The segments of a reader.
struct Input<'a, R> {
    pipeline: &'a Pipeline,
    reader: R,
    /// The first byte of the next segment; none if no segment comes. A blob's first segment comes even if it is empty.
    next: Option<Option<u8>>,
    segment: u32,
    /// Bytes read.
    length: u64,
}

impl<'a, R: Read> Input<'a, R> {
    fn new(pipeline: &'a Pipeline, reader: R) -> Self {
        Input { pipeline, reader, next: Some(None), segment: 0, length: 0 }
    }

    fn batch(&mut self) -> io::Result<Vec<(SegmentPosition, Bytes)>> {
        let mut batch = Vec::with_capacity(self.pipeline.batch);
        while batch.len() < self.pipeline.batch
            && let Some(first) = self.next.take()
        {
            let bytes = self.read(first)?;
            // Of a blob that goes on, a segment's commitment depends on no more than that it does.
            let position = SegmentPosition { segment: self.segment, blob_bytes: self.length };
            self.segment = self.segment.checked_add(1).ok_or(io::ErrorKind::FileTooLarge)?;
            batch.push((position, bytes));
        }
        Ok(batch)
    }

    /// A whole segment and the first byte after it, or what is left.
    fn read(&mut self, first: Option<u8>) -> io::Result<Bytes> {
        let full = index(self.pipeline.parameters.segment_bytes());
        let mut buffer = self.pipeline.buffers.take(full);
        let mut filled = first.iter().len();
        buffer[..filled].copy_from_slice(first.as_slice());
        filled += self.fill(&mut buffer[filled..])?;
        let mut byte = [0];
        if filled == full && self.fill(&mut byte)? == 1 {
            self.next = Some(Some(byte[0]));
        }
        Ok(self.pipeline.buffers.share(buffer).slice(..filled))
    }

    /// Reads until the buffer is full or nothing is left.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.reader.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                Err(error) => return Err(error),
            }
        }
        self.length += filled as u64;
        Ok(filled)
    }
}
