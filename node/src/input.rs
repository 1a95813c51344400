//! What is put: a file, or bytes of a stream kept in a file without a name.
//!
//! The blob id must be known before the first byte is sent, so input is read twice. A file that
//! changes in between is noticed by its length and time, and by its content. What cannot be read
//! twice (stdin, pipes) or does not say how long it is (`/proc`, `/sys`) is copied first.
//! Promises: memory does not grow with the input; a copy vanishes with the process, however it
//! ends; a failure blames the side that failed. Does not: read ahead.

use std::fs::{self, File, Metadata};
use std::io::{self, IsTerminal, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::{Path, PathBuf};

use haulout_actors::session::upload::{Source, SourceFile};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Error, Kind, Result};
use crate::terminal;

/// Bytes copied at a time.
const COPY_BYTES: usize = 1 << 20;

/// Bytes that can be read again at any position.
#[derive(Debug)]
pub struct Input {
    file: SourceFile,
    /// Whether it was copied from something that ends when its writer does.
    from_stream: bool,
}

impl Input {
    /// What `name` names: stdin for `-`, else a file, a pipe, or a terminal. Blocks; `spool` says in
    /// which folder to keep what can be read only once, if it must be kept.
    ///
    /// # Errors
    /// If it is a folder or a device, or cannot be read or kept.
    pub fn named(name: &Path, spool: impl FnOnce() -> Result<PathBuf>) -> Result<Self> {
        if name.as_os_str() == "-" {
            let file = io::stdin().as_fd().try_clone_to_owned();
            return Self::redirected(
                file.map_err(|error| unreadable("stdin", error))?.into(),
                spool,
            );
        }
        let failed = |error| Error::from_io("read", name, error);
        // Looked at before it is opened: to open a device can do something.
        let is_stream = is_stream(name, &fs::metadata(name).map_err(failed)?)?;
        let file = File::open(name).map_err(failed)?;
        if is_stream {
            return Self::copy_of(file, &terminal::path(name), true, &spool()?);
        }
        let length = file.metadata().map_err(failed)?.len();
        Self::of_file(file, name, length, spool)
    }

    /// A regular file that was found in a folder. Blocks; of what took its place meanwhile nothing is read, and no link that took
    /// it is followed. Does not see links that took the place of the folders above it.
    ///
    /// # Errors
    /// If it is no regular file any more, or cannot be read or kept.
    pub fn found(name: &Path, spool: impl FnOnce() -> Result<PathBuf>) -> Result<Self> {
        let failed = |error| Error::from_io("read", name, error);
        let replaced = |what: &str| {
            let message = format!(
                "{} was a file when its folder was read, and is {what} now",
                terminal::path(name)
            );
            Error::new(Kind::File, message)
                .hint("nothing of it was stored; name it itself if you mean what it leads to")
        };
        // To open a pipe would wait for its writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::open(name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::LOOP) => return Err(replaced("a link")),
            Err(error) => return Err(failed(error.into())),
        };
        let facts = file.metadata().map_err(failed)?;
        if !facts.is_file() {
            return Err(replaced("none"));
        }
        Self::of_file(file, name, facts.len(), spool)
    }

    /// A regular file, or a copy of it if it does not say how long it is.
    fn of_file(
        file: File,
        name: &Path,
        length: u64,
        spool: impl FnOnce() -> Result<PathBuf>,
    ) -> Result<Self> {
        let failed = |error| Error::from_io("read", name, error);
        let shown = terminal::path(name);
        if !has_bytes_at_end(&file, length).map_err(failed)? {
            return Self::copy_of(file, &shown, false, &spool()?);
        }
        Ok(Self { file: SourceFile::new(file, shown).map_err(failed)?, from_stream: false })
    }

    /// What stdin is connected to: the rest of a stream is copied; a regular file at its beginning is read
    /// in place and watched, as if it had been named, and a later part of one is watched while it is copied.
    fn redirected(mut file: File, spool: impl FnOnce() -> Result<PathBuf>) -> Result<Self> {
        let failed = |error| unreadable("stdin", error);
        let facts = file.metadata().map_err(failed)?;
        if !facts.is_file() {
            return Self::copy_of(file, "stdin", true, &spool()?);
        }
        let is_whole = file.stream_position().map_err(failed)? == 0
            && has_bytes_at_end(&file, facts.len()).map_err(failed)?;
        let read = file.try_clone().map_err(failed)?;
        let watched = SourceFile::new(file, "stdin").map_err(failed)?;
        if is_whole {
            return Ok(Self { file: watched, from_stream: true });
        }
        let copy = Self::copy_of(read, "stdin", true, &spool()?)?;
        watched.check()?;
        Ok(copy)
    }

    /// Copies a reader to a file in `folder` that has no name. What it is called and whether it is
    /// a stream is for messages.
    fn copy_of(reader: impl Read, name: &str, from_stream: bool, folder: &Path) -> Result<Self> {
        let failed = |error| {
            Error::from_io(&format!("keep {name} in"), folder, error)
                .hint("free space there, or name another folder in client.state_dir")
        };
        fs::create_dir_all(folder).map_err(failed)?;
        let file = tempfile::tempfile_in(folder).map_err(failed)?;
        copy(reader, &file).map_err(|error| match error {
            Stopped::Reading(error) => unreadable(name, error),
            Stopped::Writing(error) => failed(error),
        })?;
        Ok(Self { file: SourceFile::new(file, name).map_err(failed)?, from_stream })
    }

    /// Refuses a stream without a byte: most likely what should have filled it failed.
    ///
    /// # Errors
    /// If it is one. An empty file is none: somebody made it so.
    pub fn not_empty(self) -> Result<Self> {
        if self.length() > 0 || !self.from_stream {
            return Ok(self);
        }
        let message = format!("{} is empty or closed: not a byte came", self.name());
        Err(Error::new(Kind::File, message)
            .hint("see whether what writes it failed; --allow-empty stores no bytes on purpose"))
    }

    /// The same bytes, for a session.
    pub fn into_source(self) -> Source {
        Source::File(self.file)
    }

    /// Bytes in total.
    pub fn length(&self) -> u64 {
        self.file.length()
    }

    /// Whether its bytes came from something that ends when its writer does, and so has no name.
    pub fn is_stream(&self) -> bool {
        self.from_stream
    }

    /// What to call it in messages: on one line, and without anything a terminal would obey.
    pub fn name(&self) -> &str {
        self.file.name()
    }

    /// Reads exactly these bytes. Blocks.
    ///
    /// # Errors
    /// If the file became shorter, or cannot be read.
    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        Ok(self.file.read_exact_at(buffer, offset)?)
    }
}

/// Whether it can be read only once; refuses what is no input at all.
fn is_stream(name: &Path, facts: &Metadata) -> Result<bool> {
    let kind = facts.file_type();
    if kind.is_file() {
        return Ok(false);
    }
    if kind.is_fifo() || is_terminal(name, &kind) {
        return Ok(true);
    }
    let (what, hint) = match () {
        () if kind.is_dir() => (
            "a folder",
            "`haulout put -r` stores each file in it; or pipe an archive (`tar c .`) into `haulout put -`",
        ),
        () if kind.is_socket() => ("a socket", "pipe what it says into `haulout put -`"),
        () => (
            "a device, which may never end",
            "pipe a part of it (`head -c 1MiB`) into `haulout put -`",
        ),
    };
    Err(Error::new(Kind::File, format!("{} is {what}", terminal::path(name))).hint(hint))
}

/// Whether it is a device at which a person types.
fn is_terminal(name: &Path, kind: &fs::FileType) -> bool {
    kind.is_char_device() && File::open(name).is_ok_and(|device| device.is_terminal())
}

/// Whether a file has the length it says: files of `/proc` and `/sys` say something else, and an
/// empty one has no end to look at.
fn has_bytes_at_end(file: &File, length: u64) -> io::Result<bool> {
    match length.checked_sub(1) {
        Some(last) => Ok(file.read_at(&mut [0], last)? == 1),
        None => Ok(false),
    }
}

/// Which side of a copy failed.
enum Stopped {
    Reading(io::Error),
    Writing(io::Error),
}

fn copy(mut reader: impl Read, mut writer: impl Write) -> Result<(), Stopped> {
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => writer.write_all(&buffer[..count]).map_err(Stopped::Writing)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Stopped::Reading(error)),
        }
    }
}

fn unreadable(name: &str, error: io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::IsADirectory => {
            "it is a folder: redirect a file (`< FILE`), or pipe into it"
        }
        _ => "see what it is connected to, and put it again when it can be read",
    };
    Error::from_io("read", Path::new(name), error).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(path: &Path, folder: &Path) -> Result<Input> {
        Input::named(path, || Ok(folder.to_owned()))
    }

    fn content(input: &Input) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(input.length()).unwrap()];
        input.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    #[test]
    fn a_copy_reads_back_and_leaves_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let input = Input::copy_of(&b"hello network"[..], "stdin", true, folder.path()).unwrap();
        assert_eq!(input.length(), 13);
        let mut part = [0; 7];
        input.read_exact_at(&mut part, 6).unwrap();
        assert_eq!(&part, b"network");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_was_found_is_read_and_what_took_its_place_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let [file, other] = ["file", "other"].map(|name| folder.path().join(name));
        fs::write(&file, b"mine").unwrap();
        fs::write(&other, b"another's").unwrap();
        let found = |path: &Path| Input::found(path, || Ok(folder.path().to_owned()));
        let before = found(&file).unwrap();
        assert_eq!((content(&before), before.is_stream()), (b"mine".to_vec(), false));
        assert_eq!(before.name(), terminal::path(&file));
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink(&other, &file).unwrap();
        let refused = found(&file).unwrap_err();
        assert_eq!(refused.kind(), Kind::File);
        assert!(refused.message().ends_with("is a link now"), "{refused}");
        assert_eq!(content(&named(&file, folder.path()).unwrap()), b"another's", "it was named");
        fs::remove_file(&file).unwrap();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &file, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let refused = found(&file).unwrap_err();
        assert!(refused.message().ends_with("is none now"), "nobody waits for a writer: {refused}");
    }

    #[test]
    fn a_folder_a_device_and_a_missing_file_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        for path in [folder.path(), &missing, Path::new("/dev/zero"), Path::new("/dev/null")] {
            let error = named(path, folder.path()).unwrap_err();
            assert_eq!(error.kind(), Kind::File);
            assert!(error.message().contains(&path.display().to_string()), "{error}");
        }
    }

    #[test]
    fn a_file_that_shrinks_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, b"0123456789").unwrap();
        let input = named(&path, folder.path()).unwrap();
        fs::write(&path, b"0123").unwrap();
        let error = input.read_exact_at(&mut [0; 10], 0).unwrap_err();
        assert!(error.message().contains("became shorter"), "{error}");
        assert!(error.message().contains(&path.display().to_string()), "{error}");
    }

    #[test]
    fn a_file_behind_stdin_is_watched_and_only_what_is_left_of_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let redirected = |skipped: u64| {
            fs::write(&path, b"0123456789").unwrap();
            let mut file = File::open(&path).unwrap();
            file.seek(io::SeekFrom::Start(skipped)).unwrap();
            Input::redirected(file, || Ok(folder.path().to_owned())).unwrap()
        };
        let rest = redirected(4);
        assert_eq!((content(&rest), rest.is_stream()), (b"456789".to_vec(), true));
        let whole = redirected(0);
        assert_eq!((content(&whole), whole.is_stream()), (b"0123456789".to_vec(), true));
        whole.file.check().unwrap();
        fs::write(&path, b"0123456789ab").unwrap();
        let error = whole.file.check().unwrap_err().to_string();
        assert!(error.starts_with("stdin grew from 10 to 12 bytes"), "{error}");
        fs::write(&path, b"").unwrap();
        let empty = Input::redirected(File::open(&path).unwrap(), || Ok(folder.path().to_owned()));
        assert!(empty.unwrap().not_empty().is_err(), "as of any stream");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_that_does_not_say_how_long_it_is_is_read_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let spool = folder.path();
        for path in ["/proc/version", "/sys/kernel/mm/transparent_hugepage/enabled"] {
            let Ok(bytes) = fs::read(path) else { continue };
            assert_eq!(content(&named(Path::new(path), spool).unwrap()), bytes, "{path}");
        }
        let input = named(Path::new("/proc/version"), spool).unwrap();
        assert!(input.length() > 0, "/proc always is");
        // Holes are bytes, and an empty file is an empty file.
        let path = folder.path().join("file");
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(named(&path, spool).unwrap().length(), 1 << 40);
        File::create(&path).unwrap();
        assert_eq!(named(&path, spool).unwrap().not_empty().unwrap().length(), 0);
    }

    #[test]
    fn a_pipe_is_read_to_its_end_and_one_without_a_byte_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        for bytes in [&b"from a pipe"[..], b""] {
            let fifo = path.clone();
            let writer = std::thread::spawn(move || fs::write(fifo, bytes));
            let input = named(&path, folder.path()).unwrap();
            writer.join().unwrap().unwrap();
            assert_eq!(content(&input), bytes);
            match input.not_empty() {
                Ok(input) => assert!(input.length() > 0),
                Err(error) => assert!(error.next_step().contains("--allow-empty"), "{error}"),
            }
        }
    }

    /// A source, or a sink, that breaks.
    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }

    #[test]
    fn reading_and_writing_are_blamed_apart() {
        let folder = tempfile::tempdir().unwrap();
        let error = Input::copy_of(Broken, "stdin", true, folder.path()).unwrap_err();
        assert!(error.message().starts_with("cannot read stdin"), "{error}");
        assert!(!error.next_step().contains("state_dir"), "{error}");
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = Input::copy_of(&b"x"[..], "stdin", true, &file).unwrap_err();
        assert!(error.message().starts_with("cannot keep stdin in"), "{error}");
        assert!(error.next_step().contains("state_dir"), "{error}");
    }
}
