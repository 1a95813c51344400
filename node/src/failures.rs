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
use haulout_actors::session::upload::{PutError, SourceError};
use haulout_protocol::machine::put_plan::Refusal;
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
            | CallError::Disputed { .. }
            | CallError::Lagging { .. } => Kind::Chain,
            CallError::Unconfirmed { .. } => Kind::Timeout,
            CallError::Unreadable { .. } => Kind::Version,
            CallError::TooLarge => Kind::Usage,
        };
        Error::new(kind, error.to_string()).retryable(error.is_transient())
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
            PutError::NoPlan(refusal) => refusal.into(),
            PutError::Moved => Error::new(Kind::Chain, message),
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
            GetError::Unavailable { members, .. } => {
                Error::new(Kind::Unavailable, format!("{message}{}", blamed(&members)))
                    .detail("missing", self::members(&members))
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
            StoreError::Gap { .. } | StoreError::TooLarge { .. } => Kind::Internal,
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
            LocateError::NotFound(blob_id) | LocateError::NotCertified(blob_id) => {
                Error::new(Kind::NotFound, message).hint(format!(
                    "check the id and the context; `haulout status {blob_id}` says what is known"
                ))
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

/// The names of members that did not help, for people; `Error::to_text` adds the reasons from the
/// details.
pub(crate) fn blamed(members: &[(String, String)]) -> String {
    if members.is_empty() {
        return String::new();
    }
    let names: Vec<&str> =
        members.iter().map(|(name, _)| name.split(' ').next().unwrap_or(name)).collect();
    format!("; no help from {}", names.join(", "))
}

/// Members and their reasons, for programs.
pub(crate) fn members(members: &[(String, String)]) -> Value {
    members.iter().map(|(name, reason)| json!({ "node": name, "reason": reason })).collect()
}
