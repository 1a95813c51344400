//! Where a blob's bytes come from: memory, or a file that can be read at any offset.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use haulout_protocol::encoding::Parameters;

/// The bytes of a blob to store; each segment may be read more than once.
#[derive(Debug)]
pub enum Source {
    /// Bytes at hand.
    Memory(Bytes),
    /// A regular file of a known length.
    File {
        /// The open file.
        file: File,
        /// Its length in bytes when it was opened.
        length: u64,
    },
}

impl Source {
    /// An open regular file.
    pub fn file(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Source::File { file, length })
    }

    /// Length of the blob in bytes.
    pub fn length(&self) -> u64 {
        match self {
            Source::Memory(bytes) => bytes.len() as u64,
            Source::File { length, .. } => *length,
        }
    }

    /// All bytes in order, up to the length. Blocks on the disk.
    pub(super) fn reader(self: Arc<Self>) -> impl Read + Send {
        let length = self.length();
        SourceReader { source: self, offset: 0 }.take(length)
    }

    /// The bytes of one segment. Blocks on the disk.
    pub(super) fn segment(&self, parameters: &Parameters, segment: u32) -> io::Result<Bytes> {
        let start = u64::from(segment) * u64::from(parameters.segment_bytes());
        let length = parameters.segment_length(self.length(), segment) as usize;
        match self {
            Source::Memory(bytes) => {
                let start = usize::try_from(start).map_err(io::Error::other)?;
                Ok(bytes.slice(start..start + length))
            }
            Source::File { file, .. } => {
                let mut buffer = vec![0; length];
                file.read_exact_at(&mut buffer, start)?;
                Ok(buffer.into())
            }
        }
    }
}

/// Reads a source from its beginning, wherever others read it.
struct SourceReader {
    source: Arc<Source>,
    offset: u64,
}

impl Read for SourceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &*self.source {
            Source::Memory(bytes) => {
                let start = usize::try_from(self.offset).map_err(io::Error::other)?;
                bytes.get(start..).unwrap_or_default().read(buffer)?
            }
            Source::File { file, .. } => file.read_at(buffer, self.offset)?,
        };
        self.offset += read as u64;
        Ok(read)
    }
}
