//! Folders and files as a power cut may leave them.
//!
//! Promises: what was synced is in every image, a file's bytes and a folder's names apart, as POSIX has it: a synced
//! file whose folder was not may have no name, a name that is durable may lead to no bytes. Does not: know what the
//! store does with them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::files::FileChange;

/// How much of what was not synced reached the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    Nothing,
    Everything,
    /// Names and lengths: what journals keep before they keep bytes.
    Names,
    /// Bytes, but no names.
    Bytes,
    /// Each name and each file by itself, files cut off anywhere.
    Some(u64),
}

impl Kept {
    pub(super) fn all(seed: u64) -> [Kept; 5] {
        [Kept::Nothing, Kept::Everything, Kept::Names, Kept::Bytes, Kept::Some(seed)]
    }

    /// Whether the change of this name is there.
    fn name(&mut self) -> bool {
        match self {
            Kept::Nothing | Kept::Bytes => false,
            Kept::Everything | Kept::Names => true,
            Kept::Some(seed) => next(seed).is_multiple_of(2),
        }
    }

    /// The bytes of a file of which `durable` are synced.
    fn bytes(&mut self, file: &FileState) -> Vec<u8> {
        match self {
            Kept::Nothing => file.durable.clone(),
            Kept::Everything | Kept::Bytes => file.current.clone(),
            Kept::Names => {
                let mut bytes = file.durable.clone();
                bytes.resize(file.current.len(), 0);
                bytes
            }
            Kept::Some(seed) => {
                let more = file.current.len() - file.durable.len();
                let more = usize::try_from(next(seed)).expect("64 bits") % (more + 1);
                let mut bytes = file.current[..file.durable.len() + more].to_vec();
                // Of what was synced and given back since, some blocks are.
                for (block, synced) in file.durable.chunks(4096).enumerate() {
                    if next(seed).is_multiple_of(2) {
                        bytes[block * 4096..][..synced.len()].copy_from_slice(synced);
                    }
                }
                bytes
            }
        }
    }
}

/// The next of a row of numbers without pattern.
pub(super) fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    *seed >> 33
}

/// A file's bytes: files only grow here, or lose bytes to the disk.
#[derive(Clone, Debug, Default)]
struct FileState {
    durable: Vec<u8>,
    current: Vec<u8>,
}

/// A folder's names, and the number of what each leads to.
#[derive(Clone, Debug, Default)]
struct FolderState {
    durable: BTreeMap<PathBuf, usize>,
    current: BTreeMap<PathBuf, usize>,
}

#[derive(Clone, Debug)]
enum Node {
    File(FileState),
    Folder(FolderState),
}

/// Everything below one durable folder.
#[derive(Clone, Debug)]
pub(super) struct Folders {
    root: PathBuf,
    /// The first is the root. Nothing is ever taken out: a name may come back.
    nodes: Vec<Node>,
}

impl Folders {
    pub(super) fn below(root: &Path) -> Self {
        Folders { root: root.to_owned(), nodes: vec![Node::Folder(FolderState::default())] }
    }

    /// Does what was done. Bytes that came past us, as redb's do, are given with the sync of their file.
    pub(super) fn apply(&mut self, change: FileChange<'_>, unseen: Option<Vec<u8>>) {
        match change {
            FileChange::CreateFolder(path) => drop(self.create_folder(path)),
            FileChange::Create(path) => {
                let new = self.add(Node::File(FileState::default()));
                self.folder_of(path).current.insert(name(path), new);
            }
            FileChange::Append(path, bytes) => self.file(path).current.extend_from_slice(bytes),
            FileChange::Sync(path) => {
                let file = self.file(path);
                if let Some(bytes) = unseen {
                    file.current = bytes;
                }
                file.durable.clone_from(&file.current);
            }
            FileChange::Rename(from, to) => {
                let moved = self.folder_of(from).current.remove(&name(from)).expect("it is there");
                self.folder_of(to).current.insert(name(to), moved);
            }
            FileChange::Punch(path, offset, length) => {
                let range = |at: u64| usize::try_from(at).expect("small");
                self.file(path).current[range(offset)..range(offset + length)].fill(0);
            }
            FileChange::Remove(path) => drop(self.folder_of(path).current.remove(&name(path))),
            FileChange::SyncFolder(path) => {
                if let Some(at) = self.find(path)
                    && let Node::Folder(folder) = &mut self.nodes[at]
                {
                    folder.durable.clone_from(&folder.current);
                }
            }
        }
    }

    /// Writes what a power cut may leave into a folder of this machine.
    pub(super) fn leave_in(&self, target: &Path, mut kept: Kept) {
        self.leave(0, target, &mut kept);
    }

    fn leave(&self, at: usize, target: &Path, kept: &mut Kept) {
        match &self.nodes[at] {
            Node::File(file) => fs::write(target, kept.bytes(file)).expect("written"),
            Node::Folder(folder) => {
                fs::create_dir_all(target).expect("created");
                let names = folder.durable.keys().chain(folder.current.keys());
                let names: std::collections::BTreeSet<_> = names.collect();
                for name in names {
                    let (old, new) = (folder.durable.get(name), folder.current.get(name));
                    let there = if old == new || kept.name() { new } else { old };
                    there.into_iter().for_each(|node| self.leave(*node, &target.join(name), kept));
                }
            }
        }
    }

    fn add(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn parts(&self, path: &Path) -> Option<Vec<PathBuf>> {
        let below = path.strip_prefix(&self.root).ok()?;
        Some(
            below.components().map(|part: Component<'_>| PathBuf::from(part.as_os_str())).collect(),
        )
    }

    /// The number of what is at a path below the root.
    fn find(&self, path: &Path) -> Option<usize> {
        let mut at = 0;
        for part in self.parts(path)? {
            let Node::Folder(folder) = &self.nodes[at] else { return None };
            at = *folder.current.get(&part)?;
        }
        Some(at)
    }

    fn create_folder(&mut self, path: &Path) -> Option<()> {
        let mut at = 0;
        for part in self.parts(path)? {
            let Node::Folder(folder) = &self.nodes[at] else { panic!("{path:?} is below a file") };
            at = match folder.current.get(&part) {
                Some(found) => *found,
                None => {
                    let new = self.add(Node::Folder(FolderState::default()));
                    let Node::Folder(folder) = &mut self.nodes[at] else { unreachable!() };
                    folder.current.insert(part, new);
                    new
                }
            };
        }
        Some(())
    }

    fn folder_of(&mut self, path: &Path) -> &mut FolderState {
        let at = self.find(path.parent().expect("not the root")).expect("its folder exists");
        let Node::Folder(folder) = &mut self.nodes[at] else { panic!("{path:?} is below a file") };
        folder
    }

    fn file(&mut self, path: &Path) -> &mut FileState {
        let at = self.find(path).expect("it exists");
        let Node::File(file) = &mut self.nodes[at] else { panic!("{path:?} is a folder") };
        file
    }
}

fn name(path: &Path) -> PathBuf {
    PathBuf::from(path.file_name().expect("named"))
}

#[test]
fn only_what_was_synced_is_sure_to_be_there() {
    let root = Path::new("/root");
    let mut folders = Folders::below(root);
    let (folder, file) = (root.join("folder"), root.join("folder/file"));
    folders.apply(FileChange::CreateFolder(&folder), None);
    folders.apply(FileChange::SyncFolder(root), None);
    folders.apply(FileChange::Create(&file), None);
    folders.apply(FileChange::Append(&file, b"bytes"), None);
    let left = |folders: &Folders, kept| {
        let target = tempfile::tempdir().expect("created");
        folders.leave_in(target.path(), kept);
        fs::read(target.path().join("folder/file")).ok()
    };
    assert_eq!(left(&folders, Kept::Nothing), None);
    assert_eq!(left(&folders, Kept::Everything), Some(b"bytes".to_vec()));
    assert_eq!(left(&folders, Kept::Names), Some(vec![0; 5]), "a name without its bytes");
    folders.apply(FileChange::Sync(&file), None);
    assert_eq!(left(&folders, Kept::Bytes), None, "bytes without their name");
    folders.apply(FileChange::SyncFolder(&folder), None);
    for kept in Kept::all(1) {
        assert_eq!(left(&folders, kept), Some(b"bytes".to_vec()), "{kept:?}");
    }
    let other = root.join("other");
    folders.apply(FileChange::Rename(&file, &other), None);
    assert_eq!(left(&folders, Kept::Nothing), Some(b"bytes".to_vec()), "still under the old name");
    folders.apply(FileChange::Remove(&other), None);
    assert_eq!(left(&folders, Kept::Everything), None);
}
