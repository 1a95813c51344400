//! The names under which a person knows what they stored, kept on this machine and told to nobody.
//!
//! `names.jsonl` in the client's state folder begins with a line that says format and version; every
//! further line is the name of one object, or that it has none any more; a later line covers an earlier one.
//! Promises: whoever loses the file loses names and nothing else; a line that was cut off by a crash
//! costs that one name, wherever it was cut; the file is bounded, the oldest names go first. A file of
//! another version is neither read nor touched: the version that knows it will bring its names along.
//! Nobody waits long for another process that changes the file, and who reads it does not wait at all.
//! Does not: say what is stored (the ledger does), or notice by itself that an object has gone.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::terminal;

/// What the first line says.
const FORMAT: &str = "haulout names";
/// The layout of the lines.
const VERSION: u32 = 1;

/// More than a person remembers; at a hundred bytes a name, five megabytes.
const NAMES_MAX: usize = 50_000;
/// How many of them stay when there are more, so that not every put writes the file anew.
const NAMES_KEPT: usize = NAMES_MAX / 2;
/// The longest name: as long as file systems allow.
pub(crate) const NAME_BYTES_MAX: usize = 255;
/// A longer file is not one of ours: two escapes for every byte of the longest names.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// How often the lock is tried, and how long between tries: a change takes milliseconds, and whoever
/// paid waits for the answer behind this.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
}

/// One name, or none for an object that was removed. Ids are texts here, so that the file can be
/// read by people.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    object: Option<String>,
    blob: String,
    name: Option<String>,
}

/// All names of a state folder.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// By blob: its objects with their names, the latest last.
    by_blob: BTreeMap<String, Vec<(Option<String>, String)>>,
}

impl Names {
    /// The names kept in a state folder; none, with a warning in the log, if they cannot be read.
    pub(crate) fn read(folder: &Path) -> Self {
        let path = place(folder);
        let read = File::open(&path).map_err(|error| Error::from_io("read", &path, error));
        // Without the lock: the file grows by lines or is replaced, and half a line is left out.
        match read.and_then(|mut file| text_of(&path, &mut file)) {
            Ok(text) => Self::from_lines(lines(&text)),
            Err(_) if !path.exists() => Self::default(),
            Err(error) => {
                warn("names are not shown", &error);
                Self::default()
            }
        }
    }

    fn from_lines(lines: impl Iterator<Item = Line>) -> Self {
        let mut names = Self::default();
        for Line { object, blob, name } in lines {
            let named = names.by_blob.entry(blob).or_default();
            named.retain(|(known, _)| *known != object);
            named.extend(name.map(|name| (object, name)));
        }
        names
    }

    /// The name of an object of a blob; ids as they are printed.
    pub(crate) fn of_object(&self, object: &str, blob: &str) -> Option<&str> {
        let mut named = self.by_blob.get(blob)?.iter();
        let found = named.find(|(known, _)| known.as_deref() == Some(object));
        found.map(|(_, name)| name.as_str())
    }

    /// The latest name of a blob.
    pub(crate) fn of_blob(&self, blob: &str) -> Option<&str> {
        self.by_blob.get(blob)?.last().map(|(_, name)| name.as_str())
    }
}

/// Keeps the name of an object, or of a blob of which the wallet has no object; ids as they are
/// printed. Blocks.
pub(crate) fn remember(folder: &Path, object: Option<&str>, blob: &str, name: &str) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|error| Error::from_io("write", folder, error))?;
    let line =
        Line { object: object.map(str::to_owned), blob: blob.to_owned(), name: Some(cut(name)) };
    change(folder, OpenOptions::new().create(true), |_| vec![line])
}

/// Forgets the names of objects, each given with its blob; ids as they are printed. Blocks.
pub(crate) fn forget(folder: &Path, objects: &[(String, String)]) -> Result<()> {
    if !place(folder).exists() {
        return Ok(()); // no names at all
    }
    change(folder, &mut OpenOptions::new(), |text| {
        let names = Names::from_lines(lines(text));
        let known = objects.iter().filter(|(object, blob)| names.of_object(object, blob).is_some());
        let line = |(object, blob): &(String, String)| Line {
            object: Some(object.clone()),
            blob: blob.clone(),
            name: None,
        };
        known.map(line).collect()
    })
}

/// Says in the log that names are not as they should be. They are never worth a failure.
pub(crate) fn warn(what: &str, error: &Error) {
    tracing::warn!("{what}: {error}; {}", error.next_step());
}

/// Adds lines, chosen by what the file says already.
fn change(
    folder: &Path,
    options: &mut OpenOptions,
    choose: impl FnOnce(&[u8]) -> Vec<Line>,
) -> Result<()> {
    let path = place(folder);
    let failed = |error| Error::from_io("write", &path, error);
    // Others of the same wallet put at the same time.
    let _lock = lock(folder)?;
    let mut file = options.read(true).write(true).mode(0o600).open(&path).map_err(failed)?;
    let text = text_of(&path, &mut file)?;
    let added = choose(&text);
    let written = match rows(&text).count() > NAMES_MAX {
        true => shorten(folder, &text, &added),
        false => append(&mut file, &text, &added),
    };
    written.map_err(failed)
}

fn place(folder: &Path) -> PathBuf {
    folder.join("names.jsonl")
}

/// The right to change the file, as long as the result lives. It is a file of its own, since the
/// one with the names is replaced.
fn lock(folder: &Path) -> Result<File> {
    let path = folder.join("names.lock");
    let failed = |error| Error::from_io("lock", &path, error);
    let mut options = OpenOptions::new();
    let file = options.create(true).append(true).mode(0o600).open(&path).map_err(failed)?;
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
    let message = format!("another process holds {}", terminal::path(&path));
    Err(Error::new(Kind::File, message).hint("end that process; only names are in its way"))
}

/// The bytes of the file, if it is of this version; none if it was cut off within its first line.
fn text_of(path: &Path, file: &mut File) -> Result<Vec<u8>> {
    let failed = |error| Error::from_io("read", path, error);
    let mut text = Vec::new();
    let shown = terminal::path(path);
    file.take(FILE_BYTES_MAX).read_to_end(&mut text).map_err(failed)?;
    let whole = header().map_err(failed)?;
    if text.len() < whole.len() && whole.as_bytes().starts_with(&text) {
        return Ok(Vec::new());
    }
    let Some(first) = rows(&text).next() else { return Ok(Vec::new()) };
    match serde_json::from_slice::<Header>(first) {
        Ok(Header { format, version: VERSION }) if format == FORMAT => Ok(text),
        Ok(Header { version, .. }) => Err(Error::new(
            Kind::Version,
            format!("{shown} has version {version} of its format, this program knows {VERSION}"),
        )
        .hint(
            "use the program version that wrote it, or move the file away: only names are in it",
        )),
        Err(_) => Err(Error::new(Kind::Config, format!("{shown} is no list of names"))
            .hint("move the file away: only names are in it")),
    }
}

/// The lines of a text, the first one included; bytes, since a cut may go through a character.
fn rows(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n').filter(|row| !row.is_empty())
}

/// The names in a text; a line that was cut off is left out.
fn lines(text: &[u8]) -> impl Iterator<Item = Line> {
    rows(text).skip(1).filter_map(|row| serde_json::from_slice(row).ok())
}

/// Adds lines, or leaves the file as it was.
fn append(file: &mut File, text: &[u8], lines: &[Line]) -> io::Result<()> {
    let mut added = String::new();
    if text.is_empty() {
        file.set_len(0)?; // of a first line that was cut off
        added = header()?;
    } else if !text.ends_with(b"\n") {
        added.push('\n');
    }
    for line in lines {
        added.push_str(&to_line(line)?);
    }
    let end = file.seek(SeekFrom::End(0))?;
    file.write_all(added.as_bytes()).inspect_err(|_| {
        // Best effort: a part of a line that stays is left out by readers.
        let _ = file.set_len(end);
    })
}

/// Replaces the file by one with its latest lines only; until then the old one stays.
fn shorten(folder: &Path, text: &[u8], added: &[Line]) -> io::Result<()> {
    let old: Vec<Line> = lines(text).collect();
    let mut kept = header()?;
    for line in old[old.len().saturating_sub(NAMES_KEPT)..].iter().chain(added) {
        kept.push_str(&to_line(line)?);
    }
    let mut file = tempfile::NamedTempFile::new_in(folder)?; // nobody else may read it
    file.write_all(kept.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(place(folder))?;
    Ok(())
}

fn header() -> io::Result<String> {
    to_line(&Header { format: FORMAT.to_owned(), version: VERSION })
}

fn to_line(value: &impl Serialize) -> io::Result<String> {
    Ok(serde_json::to_string(value)? + "\n")
}

/// A name of bounded length.
pub(crate) fn cut(name: &str) -> String {
    let mut end = name.len().min(NAME_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(folder: &Path) -> String {
        std::fs::read_to_string(place(folder)).unwrap_or_default()
    }

    #[test]
    fn the_latest_name_of_an_object_and_of_a_blob_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("not there yet");
        assert_eq!(Names::read(&state).of_object("0x1", "A"), None);
        remember(&state, Some("0x1"), "A", "old.txt").unwrap();
        remember(&state, Some("0x1"), "A", "new\n\u{202e}.txt").unwrap();
        remember(&state, Some("0x2"), "A", "twin").unwrap();
        remember(&state, None, "B", "stranger's").unwrap();
        let names = Names::read(&state);
        assert_eq!(names.of_object("0x1", "A"), Some("new\n\u{202e}.txt"));
        assert_eq!((names.of_object("0x9", "A"), names.of_blob("A")), (None, Some("twin")));
        assert_eq!((names.of_blob("B"), names.of_blob("C")), (Some("stranger's"), None));
    }

    #[test]
    fn a_removed_object_is_forgotten_and_others_of_its_blob_keep_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let gone = [("0x2".to_owned(), "A".to_owned()), ("0x7".to_owned(), "Z".to_owned())];
        forget(folder.path(), &gone).unwrap();
        assert!(!place(folder.path()).exists(), "nothing to forget makes no file");
        remember(folder.path(), Some("0x1"), "A", "first").unwrap();
        remember(folder.path(), Some("0x2"), "A", "second").unwrap();
        forget(folder.path(), &gone).unwrap();
        let names = Names::read(folder.path());
        assert_eq!((names.of_object("0x2", "A"), names.of_blob("A")), (None, Some("first")));
        assert_eq!(kept(folder.path()).lines().count(), 4, "what had no name costs no line");
    }

    #[test]
    fn a_line_that_was_cut_off_costs_one_name() {
        let folder = tempfile::tempdir().unwrap();
        remember(folder.path(), Some("0x1"), "A", "first").unwrap();
        let text = kept(folder.path()) + "{\"object\":\"0x2\",\"blo";
        std::fs::write(place(folder.path()), text).unwrap();
        remember(folder.path(), Some("0x3"), "C", "third").unwrap();
        let names = Names::read(folder.path());
        assert_eq!(
            (names.of_object("0x1", "A"), names.of_object("0x2", "A")),
            (Some("first"), None)
        );
        assert_eq!(names.of_object("0x3", "C"), Some("third"));
    }

    #[test]
    fn a_line_that_was_cut_off_within_a_character_costs_one_name() {
        let folder = tempfile::tempdir().unwrap();
        remember(folder.path(), Some("0x1"), "A", "first").unwrap();
        remember(folder.path(), Some("0x2"), "B", "é").unwrap();
        let mut text = std::fs::read(place(folder.path())).unwrap();
        text.truncate(text.len() - "\"}\n".len() - 1);
        assert!(str::from_utf8(&text).is_err(), "the character is cut");
        std::fs::write(place(folder.path()), text).unwrap();
        assert_eq!(Names::read(folder.path()).of_blob("A"), Some("first"));
        remember(folder.path(), Some("0x3"), "C", "third").unwrap();
        let names = Names::read(folder.path());
        let of_blobs = ["A", "B", "C"].map(|blob| names.of_blob(blob));
        assert_eq!(of_blobs, [Some("first"), None, Some("third")]);
    }

    #[test]
    fn a_file_that_was_cut_off_within_its_first_line_is_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let first = header().unwrap();
        for end in 0..first.len() {
            std::fs::write(place(folder.path()), &first[..end]).unwrap();
            assert_eq!(Names::read(folder.path()).of_blob("A"), None);
            remember(folder.path(), Some("0x1"), "A", "name").unwrap();
            assert_eq!(Names::read(folder.path()).of_blob("A"), Some("name"));
            assert_eq!(kept(folder.path()).lines().count(), 2);
        }
    }

    #[test]
    fn a_process_that_holds_the_lock_for_ever_costs_one_name_and_no_reader_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        remember(folder.path(), Some("0x1"), "A", "first").unwrap();
        let held = lock(folder.path()).unwrap();
        let refused = remember(folder.path(), Some("0x2"), "B", "second").unwrap_err();
        assert!(refused.message().contains("another process holds"), "{refused}");
        assert_eq!(Names::read(folder.path()).of_blob("A"), Some("first"));
        drop(held);
        remember(folder.path(), Some("0x2"), "B", "second").unwrap();
    }

    #[test]
    fn a_file_of_another_version_is_neither_read_nor_touched() {
        let folder = tempfile::tempdir().unwrap();
        for (text, kind) in [
            ("{\"format\":\"haulout names\",\"version\":2}\n{\"new\":1}\n", Kind::Version),
            ("[1, 2]\n", Kind::Config),
        ] {
            std::fs::write(place(folder.path()), text).unwrap();
            let refused = remember(folder.path(), None, "A", "name").unwrap_err();
            assert_eq!(refused.kind(), kind, "{refused}");
            assert_eq!(Names::read(folder.path()).of_blob("A"), None);
            assert_eq!(kept(folder.path()), text);
        }
    }

    #[test]
    fn files_of_version_1_are_read_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let text = "{\"format\":\"haulout names\",\"version\":1}\n\
                    {\"object\":\"0x1\",\"blob\":\"A\",\"name\":\"letter\"}\n\
                    {\"object\":null,\"blob\":\"B\",\"name\":\"photo\"}\n\
                    {\"object\":\"0x2\",\"blob\":\"B\",\"name\":\"gone\"}\n\
                    {\"object\":\"0x2\",\"blob\":\"B\",\"name\":null}\n";
        std::fs::write(place(folder.path()), text).unwrap();
        let names = Names::read(folder.path());
        assert_eq!(
            (names.of_object("0x1", "A"), names.of_blob("B")),
            (Some("letter"), Some("photo"))
        );
    }

    #[test]
    fn the_oldest_names_go_when_there_are_too_many_and_a_long_one_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        remember(folder.path(), Some("0x0"), "A", "oldest").unwrap();
        let one = "{\"object\":\"0x5\",\"blob\":\"B\",\"name\":\"middle\"}\n";
        let text = kept(folder.path()) + &one.repeat(NAMES_MAX);
        std::fs::write(place(folder.path()), text).unwrap();
        let mut before = File::open(place(folder.path())).unwrap();
        remember(folder.path(), Some("0x6"), "C", &"é".repeat(200)).unwrap();
        let old = text_of(&place(folder.path()), &mut before).unwrap();
        assert_eq!(rows(&old).count(), NAMES_MAX + 2, "who has it open reads the old one");
        let names = Names::read(folder.path());
        assert_eq!(
            (names.of_object("0x0", "A"), names.of_object("0x5", "B")),
            (None, Some("middle"))
        );
        assert_eq!(names.of_object("0x6", "C").map(str::len), Some(254));
        assert_eq!(kept(folder.path()).lines().count(), NAMES_KEPT + 2);
    }

    #[test]
    fn names_that_are_kept_at_the_same_time_are_all_kept() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let folder = folder.path();
                scope.spawn(move || {
                    for number in 0..10 {
                        let object = format!("0x{writer}{number}");
                        remember(folder, Some(&object), "A", &object).unwrap();
                    }
                });
            }
        });
        let names = Names::read(folder.path());
        assert_eq!(names.by_blob["A"].len(), 80);
    }
}
