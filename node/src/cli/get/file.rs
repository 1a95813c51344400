//! A file that appears under its name when it is whole.
//!
//! Promises: until then what was there stays, also after a crash; then the new one has the old one's
//! mode, and its owner where we may give it, and nobody can read it meanwhile who could not read the
//! old one. Devices, pipes, and what a process has open already are written to and not replaced.
//! Does not: keep access lists or extended attributes.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::TempPath;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::WRITE_BYTES;
use super::destination::{Destination, destination, folder_of};
use crate::error::{Error, Kind, Result};
use crate::terminal;

/// Mode of a new file, before the umask takes its part.
const MODE_NEW: u32 = 0o666;

/// Where a blob is written.
#[derive(Debug)]
pub(super) struct Target {
    file: File,
    path: PathBuf,
    /// None when the path is a device, a pipe, or something that is open already.
    replacement: Option<Replacement>,
}

/// A file beside its place, deleted unless it gets there.
#[derive(Debug)]
struct Replacement {
    temporary: TempPath,
    place: PathBuf,
    /// What lies in the place now.
    old: Option<Metadata>,
}

impl Target {
    /// Opens a place for the bytes.
    pub(super) async fn open(path: &Path) -> Result<Self> {
        let path = path.to_owned();
        crate::cli::blocking(move || Self::open_now(path)).await
    }

    fn open_now(path: PathBuf) -> Result<Self> {
        let failed = |error: io::Error| not_written(&path, error);
        let old = fs::metadata(&path).ok();
        let says_folder = path.as_os_str().as_bytes().ends_with(b"/");
        if says_folder || old.as_ref().is_some_and(Metadata::is_dir) {
            let message = format!("{} is a folder", terminal::path(&path));
            return Err(Error::new(Kind::File, message).hint("name a file"));
        }
        let (file, replacement) = match old {
            Some(special) if !special.is_file() => {
                (fs::OpenOptions::new().write(true).open(&path).map_err(failed)?, None)
            }
            old => match destination(&path).map_err(failed)? {
                Destination::Place(place) => {
                    let (file, replacement) = beside(place, old).map_err(failed)?;
                    (file, Some(replacement))
                }
                open => (continued(&path, &open).map_err(failed)?, None),
            },
        };
        let mut file = File::from_std(file);
        file.set_max_buf_size(WRITE_BYTES);
        Ok(Self { file, path, replacement })
    }

    /// Where to write.
    pub(super) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Puts a complete file in its place.
    pub(super) async fn keep(mut self) -> Result<()> {
        let path = self.path;
        self.file.flush().await.map_err(|error| not_written(&path, error))?;
        let Some(replacement) = self.replacement else { return Ok(()) };
        let file = self.file.into_std().await;
        let keep = move || replacement.keep(&file).map_err(|error| not_written(&path, error));
        crate::cli::blocking(keep).await
    }
}

/// Whether a path leads to this process's stdout.
pub(super) async fn is_stdout(path: &Path) -> Result<bool> {
    let path = path.to_owned();
    let is_it = move || matches!(destination(&path), Ok(Destination::Own(1)));
    crate::cli::blocking(move || Ok(is_it())).await
}

/// A file that is open already: written on where it stands, or, where we cannot share that, at its end.
fn continued(path: &Path, open: &Destination) -> io::Result<fs::File> {
    match open {
        Destination::Own(2) => Ok(io::stderr().as_fd().try_clone_to_owned()?.into()),
        _ => fs::OpenOptions::new().append(true).open(path),
    }
}

/// A new file in the folder of a place.
fn beside(place: PathBuf, old: Option<Metadata>) -> io::Result<(fs::File, Replacement)> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".haulout-").suffix(".part");
    if old.is_none() {
        builder.permissions(Permissions::from_mode(MODE_NEW));
    }
    // What fails is said of the file that was asked for, not of the one beside it.
    let made = builder.tempfile_in(folder_of(&place)).map_err(|error| error.kind())?;
    let (file, temporary) = made.into_parts();
    Ok((file, Replacement { temporary, place, old }))
}

impl Replacement {
    /// The bytes are durable before the old ones are gone: some disks fail only then.
    fn keep(self, file: &fs::File) -> io::Result<()> {
        if let Some(old) = &self.old {
            let mode = inherit(&self.temporary, old)?;
            fs::set_permissions(&self.temporary, Permissions::from_mode(mode))?;
        }
        file.sync_all()?;
        self.temporary.persist(&self.place).map_err(|failed| failed.error)?;
        // Best effort: a folder that we may not read cannot be opened, and after a crash either file
        // is a whole one.
        let _ = fs::File::open(folder_of(&self.place)).and_then(|folder| folder.sync_all());
        Ok(())
    }
}

/// Gives a new file the owner and group of the old one, as far as we may, and says which mode it may
/// have then: that of the old one, without what a group would get that the old one did not name, and
/// without running as somebody else.
fn inherit(new: &Path, old: &Metadata) -> io::Result<u32> {
    let facts = fs::metadata(new)?;
    let keeps =
        |same: bool, user, group| same || std::os::unix::fs::chown(new, user, group).is_ok();
    let group_kept = keeps(facts.gid() == old.gid(), None, Some(old.gid()));
    let owner_kept = keeps(facts.uid() == old.uid(), Some(old.uid()), None);
    let mode = old.mode() & 0o7777;
    Ok(match (owner_kept, group_kept) {
        (true, true) => mode,
        (false, true) => mode & 0o777,
        (_, false) => (mode & 0o707) | (mode & 0o070 & (mode & 0o007) << 3),
    })
}

fn not_written(path: &Path, error: io::Error) -> Error {
    let (kind, folder) = (error.kind(), folder_of(path));
    let error = Error::from_io("write", path, error);
    match kind == io::ErrorKind::NotFound && !folder.exists() {
        true => error.hint(crate::cli::no_such_folder(folder)),
        false => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn put(path: &Path, text: &str) {
        let mut target = Target::open(path).await.unwrap();
        target.file().write_all(text.as_bytes()).await.unwrap();
        target.keep().await.unwrap();
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it exists").mode() & 0o7777
    }

    #[tokio::test]
    async fn an_unfinished_file_never_appears_under_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.bin");
        fs::write(&path, "old").unwrap();
        drop(Target::open(&path).await.unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left behind");
    }

    #[tokio::test]
    async fn a_finished_file_replaces_the_old_one_also_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("out.bin"), folder.path().join("link"));
        fs::write(&path, "old").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        put(&link, "new").await;
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[tokio::test]
    async fn a_link_that_leads_nowhere_yet_stays_and_leads_to_the_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("out.bin", &link).unwrap();
        put(&link, "new").await;
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(folder.path().join("out.bin")).unwrap(), "new");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_file_that_is_open_already_keeps_what_is_in_it() {
        use std::os::fd::AsRawFd;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("archive.log");
        fs::write(&path, "old ").unwrap();
        let open = fs::OpenOptions::new().append(true).open(&path).unwrap();
        for of_process in ["/dev/fd", "/proc/self/fd"] {
            put(&Path::new(of_process).join(open.as_raw_fd().to_string()), "new ").await;
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "old new new ");
    }

    #[tokio::test]
    async fn a_file_keeps_the_mode_of_the_one_it_replaces_and_is_never_more_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.bin");
        for kept in [0o600, 0o640, 0o444, 0o755, 0o1666] {
            fs::write(&path, "old").unwrap();
            fs::set_permissions(&path, Permissions::from_mode(kept)).unwrap();
            let target = Target::open(&path).await.unwrap();
            let temporary = &target.replacement.as_ref().expect("a file is replaced").temporary;
            assert_eq!(mode(temporary) & 0o077, 0, "while it is written");
            drop(target);
            put(&path, "new").await;
            assert_eq!(mode(&path), kept, "{kept:o}");
            fs::remove_file(&path).unwrap();
        }
        // A new one has what the umask leaves, as any other new file.
        put(&path, "new").await;
        let other = folder.path().join("other");
        fs::write(&other, "").unwrap();
        assert_eq!(mode(&path), mode(&other));
    }

    #[tokio::test]
    async fn a_file_of_a_group_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.bin");
        fs::write(&path, "old").unwrap();
        // Only root may give a file to a group that is not its own; anybody else has no such file.
        if std::os::unix::fs::chown(&path, Some(12345), Some(54321)).is_ok() {
            fs::set_permissions(&path, Permissions::from_mode(0o660)).unwrap();
            put(&path, "new").await;
            let facts = fs::metadata(&path).unwrap();
            assert_eq!((facts.uid(), facts.gid(), mode(&path)), (12345, 54321, 0o660));
        }
    }

    #[tokio::test]
    async fn a_path_that_says_folder_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let refused = Target::open(&folder.path().join("missing/")).await.unwrap_err();
        assert!(refused.message().ends_with("is a folder"), "{refused}");
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_made_is_called_by_its_own_name() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("new dir/sub/x");
        let refused = Target::open(&missing).await.unwrap_err();
        assert!(!refused.message().contains(".part"), "{refused}");
        let parent = missing.parent().unwrap().to_string_lossy();
        assert!(refused.next_step().contains(&format!("mkdir -p '{parent}'")), "{refused:?}");
        let gone = beside(missing, None).unwrap_err();
        assert!(!gone.to_string().contains(".part"), "{gone}");
    }

    #[tokio::test]
    async fn a_device_is_written_to_and_not_replaced() {
        put(Path::new("/dev/null"), "new").await;
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }
}
