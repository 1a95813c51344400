//! What can go wrong between us and the ledger, told apart by what the reader can do about it.

use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::amount::Token;
use haulout_protocol::machine::ledger_history::Doubt;
use sui_rpc::proto::sui::rpc::v2::ExecutionError;
use sui_rpc::proto::sui::rpc::v2::execution_error::ExecutionErrorKind;

use super::wallet::WalletError;

/// Why the ledger did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No ledger can be reached with this address.
    #[error("`{url}` is not the address of a ledger: {reason}")]
    InvalidUrl {
        /// The address as given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No answer, or the connection broke.
    #[error("the ledger at {url} {} ({reason})", silence(*is_late))]
    Unreachable {
        /// The endpoint.
        url: String,
        /// What the transport says.
        reason: String,
        /// Whether it may only be slow: it did not refuse or break the connection.
        is_late: bool,
    },
    /// The contracts refused the call.
    #[error("the ledger refused the call: {}", explain(module, *code))]
    Refused {
        /// The Move module that aborted.
        module: String,
        /// Its abort code.
        code: u64,
    },
    /// The wallet holds too little.
    #[error(
        "the wallet {wallet} holds {} and needs at least {}; send it more",
        token.amount(*available),
        token.amount(*needed)
    )]
    InsufficientFunds {
        /// The account.
        wallet: String,
        /// What it lacks.
        token: Token,
        /// What the call takes, at least, in the token's smallest unit.
        needed: u64,
        /// All that is there, in the token's smallest unit.
        available: u64,
    },
    /// The transaction ran and failed for another reason than a refusal.
    #[error("the transaction failed: {reason}")]
    Failed {
        /// What the ledger says.
        reason: String,
    },
    /// The ledger did not take the request; nothing was executed.
    #[error("the ledger rejected the request: {reason}")]
    Rejected {
        /// What the ledger says.
        reason: String,
    },
    /// Others kept spending what the transaction was to spend; nothing was executed.
    #[error(
        "another program keeps using the wallet {wallet}, so no transaction of ours was taken; try \
         again when it is done, or give it a wallet of its own"
    )]
    Contended {
        /// The account.
        wallet: String,
    },
    /// What the transaction was planned on is not so any more; nothing was executed.
    #[error("{what} changed since this was planned, so nothing was paid; try again")]
    Outdated {
        /// What changed.
        what: String,
    },
    /// An object is not what the transaction was planned on; nothing was executed.
    #[error(
        "{what} is not what the ledger at {servers} showed when this was planned: somebody changed it, or that was not \
         true; nothing was executed"
    )]
    NotAsShown {
        /// The object.
        what: String,
        /// The servers, one of which showed it so.
        servers: String,
    },
    /// The object is somebody else's; nothing was executed.
    #[error("{what} does not belong to the wallet {wallet}; nothing was executed")]
    NotOurs {
        /// The object.
        what: String,
        /// The account.
        wallet: String,
    },
    /// The ledger does not show yet what the wallet did last; nothing was executed.
    #[error(
        "the ledger at {url} does not show the wallet's last transaction {digest} yet, so nothing was \
         paid; try again"
    )]
    Lagging {
        /// The endpoint.
        url: String,
        /// The transaction that was executed.
        digest: String,
    },
    /// The transaction was sent and its fate could not be learnt.
    #[error(
        "transaction {digest} was sent, but the ledger did not say what became of it; ask again"
    )]
    Unconfirmed {
        /// The digest to ask for.
        digest: String,
    },
    /// What was signed was refused, on one server's word.
    #[error(
        "the ledger at {servers} says that it did not execute transaction {digests}, which it was sent ({reason}); if that is \
         not true, it was executed and paid for, so nothing was signed that could be paid beside it"
    )]
    Denied {
        /// The servers that were sent it.
        servers: String,
        /// The digests to ask for; at most one of them can have been executed.
        digests: String,
        /// How it was refused.
        reason: String,
    },
    /// There is no such thing on this ledger.
    #[error("the ledger has no {what}; is this the right ledger and network?")]
    NotFound {
        /// What we asked for.
        what: String,
    },
    /// The answer makes no sense to this version.
    #[error("the ledger's answer cannot be read: {what}; is it of another version?")]
    Unreadable {
        /// What was wrong.
        what: String,
    },
    /// The servers say different things of the network, and no most of them the same.
    #[error(
        "the ledger's servers {servers} contradict each other, so none of them is believed; try again, and if it stays so, \
         leave out of chain.rpc the one you trust least"
    )]
    Disputed {
        /// Those that answered.
        servers: String,
    },
    /// The server said what its own objects do not say; nothing was executed.
    #[error("the ledger at {url} says {what}; nothing was executed")]
    Untrue {
        /// The endpoint.
        url: String,
        /// What it said, and how that is known to be untrue.
        what: String,
    },
    /// The price does not fit a number.
    #[error("this much storage for this long has no price")]
    TooLarge,
    /// The key does not sign.
    #[error(transparent)]
    Wallet(#[from] WalletError),
}

/// Why the ledger's history does not go on for us.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FollowError {
    /// It did not answer, or what it said cannot be read.
    #[error(transparent)]
    Call(#[from] CallError),
    /// It answered, and is not believed.
    #[error(transparent)]
    Doubt(#[from] Doubt),
    /// Another server of the ledger is asked from now on.
    #[error("another server of the ledger is asked from now on")]
    Moved,
    /// The configuration does not say whom to believe.
    #[error(
        "chain.trusted names checkpoint {sequence}, which is not the last of a Sui epoch and so names no validators; \
         append `:` and the digest of the validators of its epoch"
    )]
    NoEnd {
        /// The checkpoint.
        sequence: u64,
    },
    /// The configuration vouches for what comes later than where we are, and nobody for what lies between.
    #[error(
        "chain.trusted names checkpoint {trusted}, and what comes next here is checkpoint {next}, of an earlier Sui \
         epoch: nothing says who signed it"
    )]
    TrustedLater {
        /// The checkpoint that is trusted.
        trusted: u64,
        /// The one that must be proven.
        next: u64,
    },
}

impl FollowError {
    /// What to do about a configuration that is the reason; nothing if it is not.
    pub fn repair(&self) -> Option<&'static str> {
        match self {
            FollowError::Call(_) | FollowError::Doubt(_) | FollowError::Moved => None,
            FollowError::NoEnd { .. } => Some(
                "set chain.trusted to the last checkpoint of a Sui epoch, or append `:` and the digest of the validators",
            ),
            FollowError::TrustedLater { .. } => Some(
                "set chain.trusted to the last checkpoint of a Sui epoch that is over where this node is, or to an \
                 earlier one; the devnet's or network's first is always right",
            ),
        }
    }
}

impl CallError {
    /// Whether trying again, unchanged, can help.
    pub fn is_transient(&self) -> bool {
        match self {
            CallError::Unreachable { .. }
            | CallError::Rejected { .. }
            | CallError::Contended { .. }
            | CallError::Outdated { .. }
            | CallError::NotAsShown { .. }
            | CallError::Lagging { .. }
            | CallError::Disputed { .. }
            | CallError::Unconfirmed { .. } => true,
            CallError::InvalidUrl { .. }
            | CallError::Refused { .. }
            | CallError::InsufficientFunds { .. }
            | CallError::Failed { .. }
            | CallError::Denied { .. }
            | CallError::NotFound { .. }
            | CallError::Unreadable { .. }
            | CallError::Untrue { .. }
            | CallError::NotOurs { .. }
            | CallError::TooLarge
            | CallError::Wallet(_) => false,
        }
    }

    /// Whether the ledger gave no answer and may only be slow.
    pub fn is_late(&self) -> bool {
        matches!(self, CallError::Unreachable { is_late: true, .. })
    }

    /// The refusal as our contracts name it, if it is one of theirs.
    pub fn abort(&self) -> Option<Abort> {
        match self {
            CallError::Refused { code, .. } => Abort::from_code(*code),
            _ => None,
        }
    }

    /// A wallet that cannot pay for gas.
    pub(super) fn no_gas(wallet: &str) -> CallError {
        let (wallet, token) = (wallet.to_owned(), Token::Sui);
        CallError::InsufficientFunds { wallet, token, needed: 1, available: 0 }
    }

    /// An answer that does not decode.
    pub(super) fn unreadable(what: impl std::fmt::Display) -> CallError {
        CallError::Unreadable { what: what.to_string() }
    }
}

/// How a ledger is silent.
fn silence(is_late: bool) -> &'static str {
    if is_late { "is slow" } else { "does not answer" }
}

/// A refusal as a sentence.
fn explain(module: &str, code: u64) -> String {
    match Abort::from_code(code) {
        Some(abort) => abort.to_string(),
        None => format!("module {module} aborted with {code}"),
    }
}

/// What a transaction that ran and failed means; `wallet` paid for it.
pub(super) fn execution_error(error: &ExecutionError, wallet: &str) -> CallError {
    if let Some(abort) = error.abort_opt() {
        let module = abort.location.as_ref().and_then(|location| location.module.clone());
        return CallError::Refused {
            module: module.unwrap_or_default(),
            code: abort.abort_code.unwrap_or_default(),
        };
    }
    let kind = error.kind.and_then(|kind| ExecutionErrorKind::try_from(kind).ok());
    if kind == Some(ExecutionErrorKind::InsufficientGas) {
        return CallError::no_gas(wallet);
    }
    let kind = kind.map_or("unknown", |kind| kind.as_str_name());
    let reason = format!("{kind} {}", error.description_opt().unwrap_or_default());
    CallError::Failed { reason: reason.trim_end().to_owned() }
}
