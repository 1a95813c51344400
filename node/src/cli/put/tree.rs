//! `haulout put -r`: the files below folders.
//!
//! Promises: each regular file once for each time it is named, a folder's in the order of their names, byte by byte, hidden
//! ones included; symbolic links inside a folder are not followed, and they and what is no file are counted, not stored;
//! what cannot be read is an error before anything is stored. Does not: read files, remember which folder one was in,
//! or see what takes a file's place before it is read (`Input::found` does, for those that nobody named himself).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::terminal;

/// Files of one command: their names are in memory, a hundred bytes each. Thousands are usual, and a multiple of this is
/// better put folder by folder, each with an end that one sees.
const FILES_MAX: usize = 200_000;
/// Folders inside each other: more than paths of systems allow.
const DEPTH_MAX: usize = 2_048;

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tree {
    pub(super) files: Vec<PathBuf>,
    /// Those of them that were named, and not found in a folder.
    pub(super) named: BTreeSet<PathBuf>,
    /// Links, sockets, pipes and devices.
    pub(super) left_out: usize,
}

impl Tree {
    /// The files among these paths and below them, in their order. Blocks.
    pub(super) fn of(paths: &[PathBuf]) -> Result<Tree> {
        let mut tree = Tree::default();
        for path in paths {
            // Whoever names a link means what it points to.
            let facts = fs::metadata(path).map_err(|error| unreadable(path, error))?;
            match facts.is_dir() {
                true => tree.add_folder(path, 0)?,
                false => {
                    tree.named.insert(path.clone());
                    tree.add(path.clone())?;
                }
            }
        }
        if tree.files.is_empty() {
            let named: Vec<_> = paths.iter().map(|path| terminal::path(path)).collect();
            let message = format!("there is no file in {}", named.join(", "));
            return Err(Error::new(Kind::File, message).hint("name a folder that has files"));
        }
        Ok(tree)
    }

    fn add(&mut self, file: PathBuf) -> Result<()> {
        self.check_room(1)?;
        self.files.push(file);
        Ok(())
    }

    /// Refuses so many more.
    fn check_room(&self, more: usize) -> Result<()> {
        if self.files.len() + more > FILES_MAX {
            let message = format!("these are more than {FILES_MAX} files, so none is stored");
            return Err(Error::new(Kind::Usage, message).hint("put their folders one by one"));
        }
        Ok(())
    }

    fn add_folder(&mut self, folder: &Path, depth: usize) -> Result<()> {
        let failed = |error| unreadable(folder, error);
        if depth == DEPTH_MAX {
            let message = format!("{} is too deep inside", terminal::path(folder));
            return Err(Error::new(Kind::File, message).hint("put it by a command of its own"));
        }
        let mut entries = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            self.check_room(entries.len())?; // folders count, too, while their names are in memory
            entries.push((entry.file_name(), entry.file_type().map_err(failed)?));
        }
        entries.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        for (name, kind) in entries {
            let path = folder.join(name);
            match (kind.is_dir(), kind.is_file()) {
                (true, _) => self.add_folder(&path, depth + 1)?,
                (_, true) => self.add(path)?,
                _ => self.left_out += 1,
            }
        }
        Ok(())
    }
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    Error::from_io("read", path, error).also("nothing was stored")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn write(folder: &Path, names: &[&str]) {
        for name in names {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
    }

    #[test]
    fn every_file_of_a_folder_comes_in_order_hidden_ones_too_and_no_link_is_followed() {
        let home = tempfile::tempdir().unwrap();
        let (folder, other) = (home.path().join("d"), home.path().join("other"));
        write(&folder, &["b", "a/z", "a/.hidden", "c", ".first", "a/deep/er"]);
        write(&other, &["elsewhere"]);
        symlink(&other, folder.join("linked")).unwrap();
        symlink(other.join("elsewhere"), folder.join("a/link")).unwrap();
        symlink(&folder, folder.join("a/round")).unwrap();
        let _socket = UnixListener::bind(folder.join("socket")).unwrap();
        fs::create_dir(folder.join("empty")).unwrap();
        let alone = other.join("elsewhere");
        let found = Tree::of(&[alone.clone(), folder.clone(), alone.clone()]).unwrap();
        let inside = [".first", "a/.hidden", "a/deep/er", "a/z", "b", "c"];
        let inside = inside.map(|name| folder.join(name));
        let all = [vec![alone.clone()], inside.to_vec(), vec![alone.clone()]].concat();
        assert_eq!(found, Tree { files: all, named: [alone].into(), left_out: 4 });
        // A link that is named is what it points to.
        let named = Tree::of(&[folder.join("linked")]).unwrap();
        assert_eq!(named.files, [folder.join("linked/elsewhere")]);
        assert!(named.named.is_empty(), "the file in it is found");
    }

    #[test]
    fn what_is_not_there_and_what_has_no_file_is_named_and_nothing_is_stored() {
        let home = tempfile::tempdir().unwrap();
        write(home.path(), &["file"]);
        let missing = home.path().join("missing");
        let error = Tree::of(&[home.path().to_owned(), missing]).unwrap_err();
        assert_eq!(error.kind(), Kind::File);
        assert!(error.message().contains("missing: "), "{error}");
        assert!(error.message().ends_with("nothing was stored"), "{error}");
        let empty = home.path().join("empty");
        fs::create_dir(&empty).unwrap();
        let error = Tree::of(&[empty]).unwrap_err();
        assert!(error.message().starts_with("there is no file in "), "{error}");
    }
}
