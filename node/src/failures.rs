//! Errors of the crates below, as kinds of our table.
//!
//! Promises: no variant is forgotten, because none is matched by `_`.
//! Does not: lose the text of the original; it stays the message.

use std::path::Path;

use haulout_actors::chain::{CallError, FollowError};
use haulout_actors::context::ContextError;
use haulout_actors::network::NetworkError;
use haulout_actors::session::download::GetError;
use haulout_actors::session::locate::LocateError;
use haulout_actors::session::upload::{PutError, SourceError, Unwitnessed};
use haulout_actors::session::{Obstacle, Unhelpful};
use haulout_protocol::blob::BlobId;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::machine::put_plan::Refusal;
use haulout_protocol::wire::blob::Registration;
use haulout_storage::StoreError;
use serde_json::{Value, json};

use crate::error::{Error, Kind};
use crate::terminal;

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        let kind = match &error {
            CallError::InvalidUrl { .. } | CallError::NotFound { .. } | CallError::Wallet(_) => {
                Kind::Config
            }
            CallError::Unreachable { .. } => Kind::LedgerUnreachable,
            CallError::InsufficientFunds { .. } => Kind::Funds,
            CallError::Refused { .. }
            | CallError::Failed { .. }
            | CallError::Rejected { .. }
            | CallError::Contended { .. }
            | CallError::Outdated { .. }
            | CallError::NotAsShown { .. }
            | CallError::Disputed { .. }
            | CallError::Untrue { .. }
            | CallError::Denied { .. }
            | CallError::Lagging { .. } => Kind::Chain,
            CallError::Unconfirmed { .. } => Kind::Timeout,
            CallError::Unreadable { .. } => Kind::Version,
            CallError::NotOurs { .. } => Kind::Permission,
            CallError::TooLarge => Kind::Usage,
        };
        let converted = Error::new(kind, error.to_string()).retryable(error.is_transient());
        match error {
            CallError::NotAsShown { .. } => converted.hint(
                "run it again; if it stays so, set chain.rpc to a server you trust, or to several of which most agree",
            ),
            CallError::Denied { .. } => converted.hint(
                "see whether it was paid before you run it again: `haulout wallet` says what the wallet holds, `haulout ls` what it \
                 owns; a second server in chain.rpc bears the first one out",
            ),
            CallError::Untrue { .. } => converted
                .hint("set chain.rpc to a server you trust, or to several of which most agree"),
            _ => converted,
        }
    }
}

impl From<FollowError> for Error {
    fn from(error: FollowError) -> Self {
        let (message, repair) = (error.to_string(), error.repair());
        let failed = match error {
            FollowError::Call(cause) => cause.into(),
            FollowError::Doubt(_) => Error::new(Kind::Chain, message).hint(
                "set chain.rpc to a server you trust, or to several of which most agree; if the ledger was started over \
                 on purpose, correct chain.trusted",
            ),
            FollowError::Moved => Error::new(Kind::Chain, message).retryable(true),
            FollowError::NoEnd { .. } | FollowError::TrustedLater { .. } => {
                Error::new(Kind::Config, message)
            }
        };
        match repair {
            Some(repair) => failed.hint(repair),
            None => failed,
        }
    }
}

impl From<ContextError> for Error {
    fn from(error: ContextError) -> Self {
        match error {
            ContextError::Ledger(cause) => cause.into(),
            ContextError::Store(cause) => cause.into(),
            ContextError::WrongNetwork { .. } => Error::new(Kind::Config, error.to_string())
                .hint("correct network.id or chain.system, or choose another context"),
        }
    }
}

impl From<NetworkError> for Error {
    fn from(error: NetworkError) -> Self {
        let kind = match &error {
            NetworkError::Address { .. } => Kind::Config,
            NetworkError::Listen { .. } => Kind::PortInUse,
            NetworkError::Setup(_) => Kind::NoNetwork,
        };
        Error::new(kind, error.to_string())
    }
}

impl From<SourceError> for Error {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Unreadable { name, error } => {
                Error::from_io("read", Path::new(&name), error)
            }
            SourceError::Changed { .. } => Error::new(Kind::File, error.to_string())
                .hint("put it again when nobody writes to it, or put a copy of it"),
        }
    }
}

impl From<PutError> for Error {
    fn from(error: PutError) -> Self {
        let message = error.to_string();
        let retryable = error.is_transient();
        let converted = match error {
            PutError::Source(cause) => cause.into(),
            PutError::NoQuorum { members, .. } => {
                Error::new(Kind::Quorum, format!("{message}{}", blamed(&members)))
                    .detail("missing", self::members(&members))
            }
            PutError::EpochEnded(_) => Error::new(Kind::Quorum, message),
            PutError::Chain(cause) => cause.into(),
            PutError::Unwitnessed(told) => unwitnessed(&told),
            PutError::NoPlan(refusal) => refusal.into(),
            PutError::Moved => Error::new(Kind::Chain, message),
            PutError::NotStored(blob_id) => Error::new(Kind::NotFound, message)
                .hint("`haulout put FILE` stores it")
                .detail("blob_id", blob_id.to_string()),
            PutError::TooLarge(_) => Error::new(Kind::Usage, message),
            PutError::Ended => Error::new(Kind::Internal, message),
        };
        converted.retryable(retryable)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let error = Error::new(Kind::Usage, refusal.to_string());
        match refusal {
            Refusal::TooFar { most, .. } => error
                .hint(format!("use --epochs {most}, and extend it in a later epoch"))
                .detail("epochs_max", most),
            Refusal::Over { .. } => error.hint("put it again: epochs are counted from now"),
            Refusal::Unpriced => error.hint("ask for fewer epochs"),
        }
    }
}

impl From<GetError> for Error {
    fn from(error: GetError) -> Self {
        let message = error.to_string();
        let retryable = error.is_transient();
        let converted = match error {
            GetError::Locate(cause) => cause.into(),
            GetError::Unavailable { blob_id, members, is_lost, .. } => {
                unreadable(message, &blob_id, &members, is_lost)
            }
            GetError::Inconsistent { .. } => Error::new(Kind::Verification, message)
                .hint("ask the writer to store it again; nothing was delivered"),
            GetError::Sink(cause) => match cause.kind() {
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                    Error::new(Kind::Full, message).because(cause)
                }
                std::io::ErrorKind::BrokenPipe => terminal::gone(),
                _ => Error::new(Kind::File, message).because(cause),
            },
            GetError::Ended => Error::new(Kind::Internal, message),
        };
        converted.retryable(retryable)
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let kind = match &error {
            StoreError::AlreadyRunning { .. } => Kind::Locked,
            StoreError::Full { .. } => Kind::Full,
            StoreError::UnknownSchema { .. } => Kind::Version,
            StoreError::Io { source, .. } => match source.kind() {
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Kind::Full,
                std::io::ErrorKind::PermissionDenied => Kind::Permission,
                _ => Kind::File,
            },
            StoreError::Corrupt { .. }
            | StoreError::Damaged { .. }
            | StoreError::Poisoned { .. }
            | StoreError::Database { .. } => Kind::Damaged,
            StoreError::Gap { .. }
            | StoreError::ShardInUse { .. }
            | StoreError::TooLarge { .. } => Kind::Internal,
        };
        let pid = match &error {
            StoreError::AlreadyRunning { pid, .. } => *pid,
            _ => None,
        };
        let retryable = error.is_transient();
        let converted = Error::new(kind, error.to_string()).because(error).retryable(retryable);
        match pid {
            Some(pid) => converted.detail("pid", pid),
            None => converted,
        }
    }
}

impl From<LocateError> for Error {
    fn from(error: LocateError) -> Self {
        let message = error.to_string();
        match error {
            LocateError::NotFound(blob_id) => Error::new(Kind::NotFound, message).hint(format!(
                "check the id and the context; `haulout status {blob_id}` says what is known"
            )),
            LocateError::NotCertified { blob_id, registration, .. } => {
                let error = Error::new(Kind::NotFound, message).retryable(true).hint(format!(
                    "its owner finishes it by putting the same file again (`haulout put FILE`), and pays for it only once; \
                     readers wait for that: `haulout status {blob_id}` says when it is certified"
                ));
                match registration {
                    Some(registration) => error.detail("registration", registered(&registration)),
                    None => error,
                }
            }
            LocateError::NoHeader { blob_id, is_lost, members } => {
                unreadable(message, &blob_id, &members, is_lost)
            }
            LocateError::Expired { end_epoch, .. } => {
                Error::new(Kind::Expired, message).detail("end_epoch", end_epoch)
            }
            LocateError::Invalid(_) => Error::new(Kind::Verification, message)
                .hint("ask the writer to store it again; nobody can read this one"),
            LocateError::Unavailable { silent, .. } => {
                Error::new(Kind::Unavailable, format!("{message}{}", blamed(&silent)))
                    .detail("missing", members(&silent))
            }
        }
    }
}

/// The error of a blob that a server of the ledger calls stored, and the committee does not.
fn unwitnessed(told: &Unwitnessed) -> Error {
    let Unwitnessed { blob_id, server, is_denied, seen, shards, members, .. } = told;
    let (kind, hint) = match is_denied {
        true => (
            Kind::Chain,
            format!(
                "`haulout status {blob_id}` says what nodes know of it; set chain.rpc to a server you trust, or to several of \
                 which most agree, and put it again: what is paid is found and not paid twice"
            ),
        ),
        false => (
            Kind::Timeout,
            format!(
                "`haulout status {blob_id}` says when they have; putting it again pays nothing twice, and sends nothing that \
                 nodes have"
            ),
        ),
    };
    Error::new(kind, format!("{told}{}", blamed(members)))
        .hint(hint)
        .detail("blob_id", blob_id.to_string())
        .detail("server", server.as_str())
        .detail("witnessed", json!({ "shards": seen, "total": shards }))
        .detail("missing", self::members(members))
}

/// The error of a blob that too few members help to read, with a next step that follows from what kept them.
fn unreadable(message: String, blob_id: &BlobId, unhelpful: &[Unhelpful], is_lost: bool) -> Error {
    let named: Vec<_> =
        unhelpful.iter().map(|one| (one.name.clone(), one.reason.clone())).collect();
    Error::new(Kind::Unavailable, format!("{message}{}", blamed(&named)))
        .detail("missing", members(&named))
        .detail("lost", is_lost)
        .hint(next_step(blob_id, unhelpful, is_lost))
        .retryable(!is_lost)
}

/// What to do about members that did not help.
fn next_step(blob_id: &BlobId, unhelpful: &[Unhelpful], is_lost: bool) -> String {
    let names = |obstacle| {
        let those = unhelpful.iter().filter(|one| one.obstacle == obstacle);
        those.map(|one| short(&one.name)).collect::<Vec<_>>().join(", ")
    };
    let (away, busy) = (names(Obstacle::Away), names(Obstacle::Busy));
    match (is_lost, away.as_str(), busy.as_str()) {
        (true, ..) => "waiting does not help, for the nodes lost so much of it that what is left does not give it back: \
                       whoever has the file brings it back: `haulout put FILE --repair`, which pays nothing"
            .to_owned(),
        (false, "", "") => format!(
            "these nodes are there and do not serve it; `haulout status {blob_id}` says what each holds"
        ),
        (false, "", busy) => format!(
            "{busy} had no time within client.timeout: try again, or raise it"
        ),
        (false, away, _) => format!(
            "try again when {away} answer; `haulout status {blob_id}` says what the others hold"
        ),
    }
}

/// An object that stands for a blob, for programs.
pub(crate) fn registered(registration: &Registration) -> Value {
    json!({
        "object_id": ObjectId::from_bytes(registration.object).to_string(),
        "registered_epoch": registration.registered_epoch,
        "end_epoch": registration.end_epoch,
        "deletable": registration.deletable,
    })
}

/// A member's name without its peer id.
pub(crate) fn short(name: &str) -> &str {
    name.split(' ').next().unwrap_or(name)
}

/// The names of members that did not help, for people; `Error::to_text` adds the reasons from the
/// details.
pub(crate) fn blamed(members: &[(String, String)]) -> String {
    if members.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = members.iter().map(|(name, _)| short(name)).collect();
    format!("; no help from {}", names.join(", "))
}

/// Members and their reasons, for programs.
pub(crate) fn members(members: &[(String, String)]) -> Value {
    members.iter().map(|(name, reason)| json!({ "node": name, "reason": reason })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get_error(is_lost: bool, obstacles: &[Obstacle]) -> Error {
        let of = |(number, obstacle): (usize, &Obstacle)| Unhelpful {
            name: format!("n{number} (12D3)"),
            reason: "so".to_owned(),
            obstacle: *obstacle,
        };
        let members = obstacles.iter().enumerate().map(of).collect();
        let blob_id = BlobId::from_bytes([1; 32]);
        let (is_short, segment, available, needed) = (false, 0, 20, 34);
        GetError::Unavailable { blob_id, is_short, segment, available, needed, is_lost, members }
            .into()
    }

    #[test]
    fn a_short_blob_has_symbols_and_no_segments_and_a_longer_one_both_segments_and_slivers() {
        let blob_id = BlobId::from_bytes([1; 32]);
        let of = |is_short| {
            let (segment, available, needed) = (2, 20, 34);
            let (is_lost, members) = (true, Vec::new());
            let missing = GetError::Unavailable {
                blob_id,
                is_short,
                segment,
                available,
                needed,
                is_lost,
                members,
            };
            (Error::from(missing), Error::from(GetError::Inconsistent { is_short, segment }))
        };
        let (missing, inconsistent) = of(true);
        assert_eq!(missing.message(), "the blob is unavailable: 20 of 34 symbols can be had");
        for text in [missing.to_text(), inconsistent.to_text()] {
            assert!(!text.contains("segment") && !text.contains("sliver"), "{text}");
        }
        let (missing, inconsistent) = of(false);
        assert_eq!(missing.message(), "segment 2 is unavailable: 20 of 34 slivers can be had");
        assert!(inconsistent.message().starts_with("segment 2 "), "{inconsistent}");
    }

    #[test]
    fn nobody_is_told_to_wait_for_slivers_that_are_lost_or_for_nodes_that_are_there() {
        let lost = get_error(true, &[Obstacle::Lacks, Obstacle::Away]);
        assert_eq!((lost.kind(), lost.is_retryable()), (Kind::Unavailable, false));
        let hint = lost.next_step();
        assert!(hint.contains("waiting does not help") && hint.contains("`haulout put"), "{hint}");
        let away = get_error(false, &[Obstacle::Lacks, Obstacle::Away]);
        let hint = away.next_step();
        assert!(away.is_retryable() && hint.starts_with("try again when n1 answer"), "{hint}");
        let busy = get_error(false, &[Obstacle::Busy, Obstacle::Lacks]);
        let hint = busy.next_step();
        assert!(hint.starts_with("n0 had no time") && hint.contains("client.timeout"), "{hint}");
        let refuses = get_error(false, &[Obstacle::Refuses]);
        assert!(!refuses.next_step().contains("try again"), "{}", refuses.next_step());
    }

    #[test]
    fn a_blob_that_was_never_certified_is_told_with_its_object_and_who_can_finish_it() {
        let registration =
            Registration { object: [0xab; 32], registered_epoch: 3, end_epoch: 8, deletable: true };
        let blob_id = BlobId::from_bytes([1; 32]);
        let error =
            LocateError::NotCertified { blob_id, end_epoch: 8, registration: Some(registration) };
        let error = Error::from(error);
        assert_eq!((error.kind(), error.is_retryable()), (Kind::NotFound, true));
        let text = error.to_text();
        let object = format!("object 0x{}, since epoch 3, storage until epoch 8", "ab".repeat(32));
        assert!(text.contains("registered, not certified") && text.contains(&object), "{text}");
        assert!(text.contains("`haulout put FILE`"), "{text}");
        let told = error.to_json();
        assert_eq!(told["error"]["details"]["registration"]["registered_epoch"], 3);
    }
}
