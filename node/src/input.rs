//! What is put: a file, or stdin kept in a file without a name.
//!
//! The blob id must be known before the first byte is sent, so input is read twice. A file that
//! changes in between is noticed by its length and time, and by its content.
//! Promises: memory does not grow with the input; a copy of stdin vanishes with the process,
//! however it ends. Does not: read ahead.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use haulout_actors::session::upload::Source;

use crate::error::{Error, Kind, Result};

/// Bytes that can be read again at any position.
#[derive(Debug)]
pub struct Input {
    file: File,
    name: PathBuf,
    length: u64,
}

impl Input {
    /// Opens a regular file.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |error| Error::from_io("read", path, error);
        let file = File::open(path).map_err(failed)?;
        let facts = file.metadata().map_err(failed)?;
        if !facts.is_file() {
            return Err(Error::new(Kind::File, format!("{} is no regular file", path.display()))
                .hint("name a file, or pipe into `-`"));
        }
        Ok(Self { file, name: path.to_owned(), length: facts.len() })
    }

    /// Copies stdin to a file in `folder` that has no name any more.
    pub fn spool_stdin(folder: &Path) -> Result<Self> {
        Self::spool(io::stdin().lock(), folder)
    }

    /// Copies a reader to a file in `folder` that has no name any more.
    pub fn spool(mut reader: impl Read, folder: &Path) -> Result<Self> {
        let failed = |error| {
            Error::from_io("keep stdin in", folder, error)
                .hint("free space there, or name another folder in client.state_dir")
        };
        fs::create_dir_all(folder).map_err(failed)?;
        let path = folder.join(format!("stdin-{}.tmp", std::process::id()));
        // A file of this name can only be left over from a dead process of the same number.
        let _ = fs::remove_file(&path);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        fs::remove_file(&path).map_err(failed)?;
        let length = io::copy(&mut reader, &mut file).map_err(failed)?;
        Ok(Self { file, name: PathBuf::from("stdin"), length })
    }

    /// The same bytes, for a session.
    pub fn into_source(self) -> Source {
        Source::File { file: self.file, length: self.length }
    }

    /// Bytes in total.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// What to call it in messages.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// Reads exactly these bytes. Blocks.
    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        self.file.read_exact_at(buffer, offset).map_err(|error| {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                Error::new(
                    Kind::File,
                    format!("{} became shorter while it was read", self.name.display()),
                )
                .hint("put it again when nobody writes to it")
            } else {
                Error::from_io("read", &self.name, error)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spooled_input_reads_back_and_leaves_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let input = Input::spool(&b"hello network"[..], folder.path()).unwrap();
        assert_eq!(input.length(), 13);
        let mut part = [0; 7];
        input.read_exact_at(&mut part, 6).unwrap();
        assert_eq!(&part, b"network");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_and_a_missing_file_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        for path in [folder.path(), &missing] {
            let error = Input::open(path).unwrap_err();
            assert_eq!(error.kind(), Kind::File);
            assert!(error.message().contains(&path.display().to_string()), "{error}");
        }
    }

    #[test]
    fn a_file_that_shrinks_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, b"0123456789").unwrap();
        let input = Input::open(&path).unwrap();
        fs::write(&path, b"0123").unwrap();
        let error = input.read_exact_at(&mut [0; 10], 0).unwrap_err();
        assert!(error.message().contains("shorter"), "{error}");
    }
}
