//! What a node needs of its machine: a disk that keeps what it is given, ports, keys.
//!
//! Promises: what is tried on the disk has no name and is gone afterwards. Does not: make a folder or a key.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Check;
use crate::error::{Error, Kind};
use crate::keys::{self, Kind as KeyKind};
use crate::{ports, terminal};

/// What is written to see whether the disk takes it.
const SAMPLE_BYTES: usize = 1 << 20;
/// A disk that takes longer to make a mebibyte durable makes writers wait for its signatures.
const FSYNC_SLOW: Duration = Duration::from_millis(250);
/// Less room than this beyond what is kept free is soon full.
const ROOM_LITTLE: u64 = 10 << 30;

/// Open files of a busy node: a socket for each connection over TCP, and the files it reads and writes.
const OPEN_FILES_MIN: u64 = 4096;

/// What was found of a disk.
#[derive(Debug)]
pub struct Disk {
    /// The check.
    pub check: Check,
    /// Bytes that may be used, beyond what is kept free; nothing if that cannot be told.
    pub room: Option<u64>,
}

/// Whether a node may keep its data here, and `keep_free` bytes of the disk untouched. The folder need not exist yet.
pub fn disk(folder: &Path, keep_free: u64) -> Disk {
    match tried(folder) {
        Err(error) => Disk { check: Check::failed("disk", &error), room: None },
        Ok((free, took)) => {
            let room = free.saturating_sub(keep_free);
            Disk { check: judge(folder, free, room, took), room: Some(room) }
        }
    }
}

/// What a disk with so much room, which made a sample durable in this time, is worth.
fn judge(folder: &Path, free: u64, room: u64, took: Duration) -> Check {
    let shown = terminal::path(folder);
    let bytes = indicatif::BinaryBytes(free);
    let found = format!(
        "{shown}: {bytes} free, writable, 1 MiB durable in {:.1} ms",
        took.as_secs_f64() * 1e3
    );
    match room {
        0 => Check::bad(
            "disk",
            Kind::Full,
            format!("{found}; that is no more than is kept free (node.keep_free)"),
            "choose a disk with more room (node.data_dir), or free some",
        ),
        1..ROOM_LITTLE => Check::doubtful(
            "disk",
            found,
            "it will soon be full: a larger disk is better (node.data_dir)",
        ),
        _ if took > FSYNC_SLOW => Check::doubtful(
            "disk",
            found,
            "it is slow: every confirmation waits for it, so a solid state disk of its own is better (node.data_dir)",
        ),
        _ => Check::good("disk", found),
    }
}

/// The bytes that are free, and how long it took to make a sample durable.
fn tried(folder: &Path) -> Result<(u64, Duration), Error> {
    let place = existing(folder);
    if !place.is_dir() {
        let message = format!("{} is no folder", terminal::path(&place));
        return Err(Error::new(Kind::File, message)
            .hint("name a folder, or one that can be made (node.data_dir)"));
    }
    let refused = |error| {
        Error::from_io("write in", &place, error)
            .hint("let the user of the node own the folder, or choose another (node.data_dir)")
    };
    let began = Instant::now();
    let mut file = tempfile::tempfile_in(&place).map_err(refused)?;
    file.write_all(&vec![0x5a; SAMPLE_BYTES]).and_then(|()| file.sync_all()).map_err(refused)?;
    let took = began.elapsed();
    let facts = rustix::fs::statvfs(&place)
        .map_err(|error| Error::from_io("measure", &place, error.into()))?;
    Ok((facts.f_bavail.saturating_mul(facts.f_frsize), took))
}

/// The folder, or the nearest one above it that exists: it is on the same disk.
fn existing(folder: &Path) -> PathBuf {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let found = absolute.ancestors().find(|place| place.exists());
    found.map_or_else(|| PathBuf::from("/"), Path::to_path_buf)
}

/// Whether the system lets this user's processes open as many files as a busy node has: connections, and what it stores.
pub fn open_files() -> Check {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    judge_open_files(limit)
}

/// Nothing is no limit.
fn judge_open_files(limit: Option<u64>) -> Check {
    match limit {
        Some(limit @ ..OPEN_FILES_MIN) => Check::doubtful(
            "files",
            format!("{limit} open files are allowed, and a busy node has up to {OPEN_FILES_MIN}"),
            "start the node where more are: `ulimit -n 65536` in the shell before, or LimitNOFILE=65536 in its service file",
        ),
        Some(limit) => Check::good("files", format!("{limit} open files are allowed")),
        None => Check::good("files", "any number of open files is allowed"),
    }
}

/// Whether the ports are free, a check for each address.
pub fn ports(listen: &[String], http: Option<SocketAddr>) -> Vec<Check> {
    let taken = |error: &Error| match error.kind() {
        Kind::PortInUse => Check::bad(
            "port",
            Kind::PortInUse,
            error.message(),
            "`ss -lptun` names the program that has the port: stop it, or choose another port (network.listen, http.listen; --listen \
             and --http of a new node)",
        ),
        Kind::Permission => {
            Check::bad("port", Kind::Permission, error.message(), "choose a port of 1024 or more")
        }
        kind => Check::bad(
            "port",
            kind,
            error.message(),
            "name an address that this machine has; 0.0.0.0 is all of them",
        ),
    };
    let of_peers =
        listen.iter().map(|address| match ports::check_free(std::slice::from_ref(address)) {
            Ok(()) => Check::good("port", format!("{address} is free")),
            Err(error) => taken(&error),
        });
    let of_http = http.map(|address| match TcpListener::bind(address) {
        Ok(_) => Check::good("port", format!("http://{address} is free")),
        Err(error) => taken(&ports::not_bound(&format!("http://{address}"), error)),
    });
    of_peers.chain(of_http).collect()
}

/// Whether the keys are there, readable for their owner only, and keys; or can be made.
pub fn keys(network: &Path, protocol: &Path) -> Check {
    let found = [(network, KeyKind::Ed25519), (protocol, KeyKind::Bls12381)];
    let there = found.map(|(path, kind)| path.exists().then(|| keys::load(path, kind)));
    let shown = terminal::path(network.parent().unwrap_or(network));
    match there {
        [None, None] => Check::good("keys", format!("{shown}: none yet")),
        [Some(Err(error)), _] | [_, Some(Err(error))] => Check::failed("keys", &error),
        [Some(Ok(_)), Some(Ok(_))] => {
            Check::good("keys", format!("{shown}: both are there, mode 0600"))
        }
        [first, _] => {
            let missing = if first.is_none() { network } else { protocol };
            Check::bad(
                "keys",
                Kind::Config,
                format!(
                    "{} is missing, and the node's other key is there",
                    terminal::path(missing)
                ),
                "put the file back: the ledger knows a node by both of its keys; for a new node name another folder",
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::super::Outcome;
    use super::*;

    #[test]
    fn a_disk_is_tried_and_nothing_is_left_on_it() {
        let folder = tempfile::tempdir().unwrap();
        let later = folder.path().join("made/later");
        let found = disk(&later, 0);
        assert_ne!(found.check.outcome, Outcome::Bad, "{:?}", found.check);
        assert!(found.room.unwrap() > 0 && fs::read_dir(folder.path()).unwrap().count() == 0);
        let full = disk(&later, u64::MAX).check;
        assert_eq!((full.outcome, full.kind), (Outcome::Bad, Kind::Full));
        fs::write(folder.path().join("file"), "").unwrap();
        let blocked = disk(&folder.path().join("file/below"), 0).check;
        assert_eq!((blocked.outcome, blocked.kind), (Outcome::Bad, Kind::File));
    }

    #[test]
    fn a_slow_disk_and_a_small_one_are_told() {
        let at = Path::new("/srv");
        let of = |room, ms| judge(at, room, room, Duration::from_millis(ms)).outcome;
        assert_eq!(of(ROOM_LITTLE, 2), Outcome::Good);
        assert_eq!(of(ROOM_LITTLE, 300), Outcome::Doubtful);
        assert_eq!(of(ROOM_LITTLE - 1, 2), Outcome::Doubtful);
    }

    #[test]
    fn a_taken_port_is_told_with_what_to_do_and_the_others_are_free() {
        let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = format!("/ip4/127.0.0.1/udp/{}/quic-v1", taken.local_addr().unwrap().port());
        let http = TcpListener::bind("127.0.0.1:0")
            .and_then(|free_again| free_again.local_addr())
            .unwrap();
        let checks = ports(&[address.clone(), "/ip4/127.0.0.1/tcp/0".to_owned()], Some(http));
        let outcomes: Vec<_> = checks.iter().map(|check| check.outcome).collect();
        assert_eq!(outcomes, [Outcome::Bad, Outcome::Good, Outcome::Good]);
        assert!(checks[0].found.contains(&address), "{}", checks[0].found);
        assert!(checks[0].next_step.as_ref().unwrap().contains("`ss -lptun`"));
    }

    #[test]
    fn half_of_a_nodes_keys_and_open_ones_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (network, protocol) =
            (folder.path().join("network.key"), folder.path().join("protocol.key"));
        assert_eq!(keys(&network, &protocol).outcome, Outcome::Good);
        keys::load_or_create(&network, KeyKind::Ed25519).unwrap();
        let half = keys(&network, &protocol);
        assert_eq!(half.outcome, Outcome::Bad);
        assert!(half.found.contains("protocol.key is missing"), "{}", half.found);
        keys::load_or_create(&protocol, KeyKind::Bls12381).unwrap();
        assert_eq!(keys(&network, &protocol).outcome, Outcome::Good);
        fs::set_permissions(&protocol, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(keys(&network, &protocol).kind, Kind::Permission);
    }
}
