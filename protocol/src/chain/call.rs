//! What the ledger can be told: the functions of the Move package and the order of their
//! arguments.
//!
//! Promises: names, order and BCS encoding of arguments are written down here once, for those
//! who build transactions and for the embedded ledger that executes them.
//! Does not: build transactions, choose coins or sign.

mod staking;

use serde::Serialize;

pub use staking::*;

/// A public function of the package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// The module that declares it.
    pub module: &'static str,
    /// Its name inside the module.
    pub name: &'static str,
}

impl Function {
    /// Buys space; see [`ReserveSpace`].
    pub const RESERVE_SPACE: Self = Self { module: "system", name: "reserve_space" };
    /// Registers a blob; see [`RegisterBlob`].
    pub const REGISTER_BLOB: Self = Self { module: "system", name: "register_blob" };
    /// Certifies a blob; see [`CertifyBlob`].
    pub const CERTIFY_BLOB: Self = Self { module: "system", name: "certify_blob" };
}

/// One argument of a call: a place the caller fills with an object, or a plain value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// The shared `System`, taken by mutable or immutable reference.
    System {
        /// Whether the call changes it.
        mutable: bool,
    },
    /// The shared `Params`, taken by immutable reference.
    Params,
    /// The coin that pays, taken by mutable reference.
    Payment,
    /// The storage to live in, taken by value: an owned object or an earlier result.
    Storage,
    /// The blob, taken by mutable reference: an owned object or an earlier result.
    Blob,
    /// A plain value in BCS.
    Pure(Vec<u8>),
}

fn pure(value: &(impl Serialize + ?Sized)) -> Argument {
    Argument::Pure(bcs::to_bytes(value).expect("numbers, flags and byte vectors always serialise"))
}

/// `reserve_space(&mut System, size, start, end, &mut Coin<WAL>, max_total) -> Storage`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReserveSpace {
    /// Encoded bytes to reserve.
    pub size: u64,
    /// The first epoch; earlier than now means now.
    pub start_epoch: u32,
    /// The first epoch no longer covered.
    pub end_epoch: u32,
    /// The most the caller agrees to pay.
    pub max_total: u64,
}

impl ReserveSpace {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        vec![
            Argument::System { mutable: true },
            pure(&self.size),
            pure(&self.start_epoch),
            pure(&self.end_epoch),
            Argument::Payment,
            pure(&self.max_total),
        ]
    }
}

/// `register_blob(&mut System, &Params, Storage, blob_id, root, size, encoding, deletable,
/// &mut Coin<WAL>, max_total) -> Blob`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterBlob {
    /// The blob's id.
    pub blob_id: [u8; 32],
    /// The root the id is derived from.
    pub root: [u8; 32],
    /// Bytes before encoding.
    pub size: u64,
    /// How it is encoded.
    pub encoding_type: u8,
    /// Whether the owner may delete it before its storage ends.
    pub deletable: bool,
    /// The most the caller agrees to pay for writing.
    pub max_total: u64,
}

impl RegisterBlob {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        vec![
            Argument::System { mutable: true },
            Argument::Params,
            Argument::Storage,
            pure(&self.blob_id),
            pure(&self.root),
            pure(&self.size),
            pure(&self.encoding_type),
            pure(&self.deletable),
            Argument::Payment,
            pure(&self.max_total),
        ]
    }
}

/// `certify_blob(&System, &mut Blob, signature, signers, message)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertifyBlob {
    /// The aggregated BLS signature, 96 bytes.
    pub signature: Vec<u8>,
    /// Who signed, one bit per member, lowest bit first.
    pub signers: Vec<u8>,
    /// The bytes that were signed.
    pub message: Vec<u8>,
}

impl CertifyBlob {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        vec![
            Argument::System { mutable: false },
            Argument::Blob,
            pure(&self.signature),
            pure(&self.signers),
            pure(&self.message),
        ]
    }
}
