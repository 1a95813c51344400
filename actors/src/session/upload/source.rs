//! Where a blob's bytes come from: memory, or a file that can be read at any offset.
//!
//! Promises: a file that was written to since it was opened is noticed by its length, its time or its
//! content, and named. Does not: notice a change that leaves all of these as they were.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;

use bytes::Bytes;
use haulout_protocol::encoding::Parameters;

/// The bytes of a blob to store; each segment may be read more than once.
#[derive(Debug)]
pub enum Source {
    /// Bytes at hand.
    Memory(Bytes),
    /// A regular file.
    File(SourceFile),
}

/// An open regular file, with what it was when it was opened.
#[derive(Debug)]
pub struct SourceFile {
    file: File,
    name: String,
    facts: Facts,
}

/// What shows that a file was written to. Its place in the file system does not: when another file
/// takes its name, the one that was opened is still whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Facts {
    length: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
}

/// Why the bytes of a blob cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The system does not give them.
    #[error("cannot read {name}")]
    Unreadable {
        /// The file.
        name: String,
        /// The system's reason.
        #[source]
        error: io::Error,
    },
    /// Somebody writes to the file: there is no content to certify.
    #[error("{name} {change} while it was stored; nothing was certified")]
    Changed {
        /// The file.
        name: String,
        /// How.
        change: String,
    },
}

impl From<Metadata> for Facts {
    fn from(facts: Metadata) -> Self {
        Self { length: facts.len(), modified: (facts.mtime(), facts.mtime_nsec()) }
    }
}

impl SourceFile {
    /// An open regular file and what to call it in messages.
    ///
    /// # Errors
    /// If the system does not tell the file's length.
    pub fn new(file: File, name: impl Into<String>) -> io::Result<Self> {
        let facts = file.metadata()?.into();
        Ok(Self { file, name: name.into(), facts })
    }

    /// Its length in bytes when it was opened.
    pub fn length(&self) -> u64 {
        self.facts.length
    }

    /// What to call it in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Fills the buffer with the bytes from `offset` on. Blocks on the disk.
    ///
    /// # Errors
    /// If the file has become shorter, or cannot be read.
    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), SourceError> {
        self.file.read_exact_at(buffer, offset).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.changed(),
            _ => self.unreadable(error),
        })
    }

    /// Whether the file is still what it was when it was opened. Blocks on the disk.
    ///
    /// # Errors
    /// How it changed, or that it cannot be told.
    pub fn check(&self) -> Result<(), SourceError> {
        let facts: Facts = self.file.metadata().map_err(|error| self.unreadable(error))?.into();
        if facts == self.facts { Ok(()) } else { Err(self.changed()) }
    }

    /// The error of a file that is not what it was, as exactly as can be told.
    fn changed(&self) -> SourceError {
        let before = self.facts.length;
        let change = match self.file.metadata().map_or(before, |facts| facts.len()) {
            now if now > before => format!("grew from {before} to {now} bytes"),
            now if now < before => format!("became shorter, {now} bytes in place of {before},"),
            _ => "was written to".to_owned(),
        };
        SourceError::Changed { name: self.name.clone(), change }
    }

    fn unreadable(&self, error: io::Error) -> SourceError {
        SourceError::Unreadable { name: self.name.clone(), error }
    }
}

impl Source {
    /// Length of the blob in bytes.
    pub fn length(&self) -> u64 {
        match self {
            Source::Memory(bytes) => bytes.len() as u64,
            Source::File(file) => file.length(),
        }
    }

    /// Whether the bytes are still what they were. Blocks on the disk.
    pub(super) fn check(&self) -> Result<(), SourceError> {
        match self {
            Source::Memory(_) => Ok(()),
            Source::File(file) => file.check(),
        }
    }

    /// The error of bytes that were not the same at two readings.
    pub(super) fn changed(&self) -> SourceError {
        match self {
            Source::Memory(_) => {
                SourceError::Changed { name: "the blob".into(), change: "changed".into() }
            }
            Source::File(file) => file.changed(),
        }
    }

    /// The error of a reading that failed.
    pub(super) fn unreadable(&self, error: io::Error) -> SourceError {
        match self {
            Source::Memory(_) => SourceError::Unreadable { name: "the blob".into(), error },
            Source::File(file) => file.unreadable(error),
        }
    }

    /// All bytes in order, up to the length. Blocks on the disk.
    pub(super) fn reader(self: Arc<Self>) -> impl Read + Send {
        let length = self.length();
        SourceReader { source: self, offset: 0 }.take(length)
    }

    /// The bytes of one segment. Blocks on the disk.
    pub(super) fn segment(
        &self,
        parameters: &Parameters,
        segment: u32,
    ) -> Result<Bytes, SourceError> {
        let start = u64::from(segment) * u64::from(parameters.segment_bytes());
        let length = parameters.segment_length(self.length(), segment) as usize;
        match self {
            Source::Memory(bytes) => {
                let start = usize::try_from(start).ok();
                let end = start.and_then(|start| start.checked_add(length));
                let range = start.zip(end).filter(|(_, end)| *end <= bytes.len());
                range.map(|(start, end)| bytes.slice(start..end)).ok_or_else(|| self.changed())
            }
            Source::File(file) => {
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
            Source::File(file) => file.file.read_at(buffer, self.offset)?,
        };
        self.offset += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, SystemTime};

    use super::*;

    fn opened(folder: &tempfile::TempDir) -> (SourceFile, std::path::PathBuf) {
        let path = folder.path().join("file");
        fs::write(&path, b"0123456789").unwrap();
        (SourceFile::new(File::open(&path).unwrap(), "file").unwrap(), path)
    }

    #[test]
    fn a_file_that_is_left_alone_is_what_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let (file, _) = opened(&folder);
        file.check().unwrap();
        let mut part = [0; 4];
        file.read_exact_at(&mut part, 6).unwrap();
        assert_eq!(&part, b"6789");
    }

    #[test]
    fn a_file_that_grows_shrinks_or_is_written_to_is_named_with_its_change() {
        let folder = tempfile::tempdir().unwrap();
        for (bytes, told) in [
            (&b"0123456789ab"[..], "file grew from 10 to 12 bytes"),
            (b"0123", "file became shorter, 4 bytes in place of 10,"),
            (b"9876543210", "file was written to"),
        ] {
            let (file, path) = opened(&folder);
            fs::write(&path, bytes).unwrap();
            let later = SystemTime::now() + Duration::from_secs(5);
            File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
            let error = file.check().unwrap_err().to_string();
            assert!(error.starts_with(told) && error.contains("nothing was certified"), "{error}");
        }
        let (file, path) = opened(&folder);
        fs::write(&path, b"0123").unwrap();
        let error = file.read_exact_at(&mut [0; 10], 0).unwrap_err();
        assert!(matches!(error, SourceError::Changed { .. }), "{error}");
    }
}
