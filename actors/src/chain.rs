//! The ledger: one or several Sui gRPC servers that know our contracts.
//!
//! Promises: every call ends in bounded time, which includes waiting for a ledger that is away for a
//! moment; checkpoints come each exactly once, in order and proven; a
//! transaction is signed once and only ever sent again as the same bytes, so nothing is paid twice;
//! an error says whether trying again can help. This file and those below it are the only ones that
//! name Sui crates.
//! Does not: store anything, decide what an event means for us, or keep a wallet's key on disk.

mod anchor;
mod call_error;
mod certify;
mod checkpoints;
mod coins;
mod connect;
mod draft;
mod epochs;
mod error;
mod exact;
mod excluding;
mod fusion;
mod gas;
mod handle;
mod holder;
mod memory;
mod named;
mod network_objects;
mod node_settings;
mod operator;
mod options;
mod orders;
mod owned;
mod patience;
mod proof;
mod proven_blob;
mod proven_epoch;
mod purse;
mod queues;
mod read;
mod refusal;
mod register;
mod rivals;
mod same_blob;
#[cfg(test)]
mod sample_server;
mod second_word;
mod sending;
mod server;
mod servers;
mod shared_since;
mod shared_versions;
mod space;
mod stake;
mod submit;
mod system_view;
mod tables;
mod texts;
mod together;
mod turns;
mod validators;
mod view_error;
mod waiting;
mod wallet;
mod witness;

pub use self::checkpoints::{Checkpoints, Start};
pub use self::coins::Balances;
pub use self::error::{CallError, FollowError};
pub use self::handle::Chain;
pub use self::holder::Holder;
pub use self::memory::Since;
pub use self::network_objects::NetworkObjects;
pub use self::node_settings::{Changed, Collector};
pub use self::operator::{NodeRegistration, Proofs, RegisteredNode, Votes};
pub use self::options::ChainOptions;
pub use self::orders::{Certified, Cost, Registered};
pub use self::owned::{Extension, Found, Receipt};
pub use self::proof::{Checkpoint, Written};
pub use self::read::TIME_MOVED_HEADER;
pub use self::register::{Extended, Registration};
pub use self::same_blob::OnlyOne;
pub use self::stake::{NewReceipt, Payout, ReceiptStep, StakeBook};
pub use self::system_view::{Capacity, SystemView};
pub use self::texts::BLOB_NAME;
pub use self::validators::validators_digest;
pub(crate) use self::view_error::ViewError;
pub use self::wallet::{Wallet, WalletError};
pub(crate) use self::witness::Witness;
