//! What a path leads to, link by link.
//!
//! Promises: a path to one of a process's open files (`/dev/stdout`, `/dev/fd/3`, `/proc/self/fd/3`) is
//! told from the file that is open there: the shell opened it, to append perhaps, and it is not ours to
//! replace. A link that leads nowhere yet leads to the file that will be there.
//! Does not: open anything.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// More links on one path than any system follows.
const LINKS_MAX: u32 = 40;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Destination {
    /// A place in a folder, whether there is a file or not; no link.
    Place(PathBuf),
    /// What this process has open under this number.
    Own(u32),
    /// What another process has open, or something that a number does not say.
    Foreign,
}

/// Follows a path. Blocks.
pub(super) fn destination(path: &Path) -> io::Result<Destination> {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let folder = fs::canonicalize(folder_of(&path))?;
        if let Some(open) = open_file(&folder, name) {
            return Ok(open);
        }
        let place = folder.join(name);
        match fs::read_link(&place) {
            Ok(target) => path = folder.join(target),
            Err(_) => return Ok(Destination::Place(place)), // no link, or nothing at all
        }
    }
    Err(rustix::io::Errno::LOOP.into())
}

/// What a name means in a folder of open files; none if the folder is another one.
fn open_file(folder: &Path, name: &OsStr) -> Option<Destination> {
    let in_device = folder == Path::new("/dev/fd");
    let in_process = folder.starts_with("/proc") && folder.ends_with("fd");
    if !(in_device || in_process) {
        return None;
    }
    let own = Path::new("/proc").join(std::process::id().to_string());
    let number = name.to_str().and_then(|name| name.parse().ok());
    let own_number = number.filter(|_| in_device || folder.starts_with(own));
    Some(own_number.map_or(Destination::Foreign, Destination::Own))
}

/// The folder in which a path is.
pub(super) fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn leads(path: impl AsRef<Path>) -> Destination {
        destination(path.as_ref()).unwrap()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_path_to_an_open_file_is_told_from_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        symlink("/dev/stdout", &link).unwrap();
        for stdout in ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/proc/thread-self/fd/1"] {
            assert_eq!(leads(stdout), Destination::Own(1), "{stdout}");
        }
        assert_eq!(leads(&link), Destination::Own(1));
        assert_eq!(leads("/dev/stderr"), Destination::Own(2));
        let parent = format!("/proc/{}/fd", std::os::unix::process::parent_id());
        assert_eq!(open_file(Path::new(&parent), OsStr::new("1")), Some(Destination::Foreign));
        assert_eq!(leads("/dev/null"), Destination::Place("/dev/null".into()));
        assert_eq!(leads("/dev/shm/out"), Destination::Place("/dev/shm/out".into()));
    }

    #[test]
    fn a_link_is_followed_also_to_where_nothing_is_yet() {
        let folder = tempfile::tempdir().unwrap();
        let folder = fs::canonicalize(folder.path()).unwrap();
        fs::create_dir(folder.join("inner")).unwrap();
        symlink("inner/second", folder.join("first")).unwrap();
        symlink("../missing", folder.join("inner/second")).unwrap();
        assert_eq!(leads(folder.join("first")), Destination::Place(folder.join("missing")));
        symlink("round", folder.join("round")).unwrap();
        assert!(destination(&folder.join("round")).is_err());
        assert!(destination(&folder.join("no folder/file")).is_err());
    }
}
