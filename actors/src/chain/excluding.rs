//! Transactions that were signed for one order and refused: what is signed in their place cannot happen beside them.
//!
//! A refusal is one server's word: it may have executed what it refuses. But whoever names a version of an object of its own
//! uses it up, also if it fails, and a ledger executes no second transaction that names it. So two that name the same version
//! exclude each other. If the object has moved on, the new one names a later version, and its past is asked for: the bytes of
//! an object name the transaction that wrote it, and a transaction's digest is one of all that it names. Both are hashes, and
//! the new transaction names where they begin. If that is made up, no ledger executes the new one; if it is true, so is the
//! past, and whoever used up the version that the old one names is somebody else, or the old one itself.
//!
//! Promises: holds with one server, whatever it says, and on a ledger that forgets nothing sooner than
//! [`limits::CHAIN_PAST_MAX`] versions; where it cannot be had, nothing is signed. What pays for gas is in all of them, so that
//! they share an object whatever coins they pay with.
//! Does not: find out what became of the first one (`submit` asks all servers), or keep it over a restart.

use std::collections::BTreeSet;
use std::sync::{Arc, MutexGuard, PoisonError};

use haulout_protocol::chain::ObjectId;
use sui_rpc::field::{FieldMask, FieldMaskUtil};
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_sdk_types::{Address, Digest, Object, ObjectReference, Owner, StructTag, Transaction};
use tracing::debug;

use super::error::CallError;
use super::handle::Chain;
use super::named::references;
use super::rivals::{Fate, Known, Past, Rival, Rivals};
use super::wallet::Wallet;
use crate::limits;

impl Chain {
    /// A handle whose transactions are all for one order: at most one of them is to happen. Whoever keeps it may plan the order
    /// anew when the facts have moved.
    pub(crate) fn for_one_order(&self) -> Chain {
        Chain { rivals: Some(Arc::default()), ..self.clone() }
    }

    /// The same for the same order as another one.
    pub(super) fn for_order_of(&self, other: &Chain) -> Chain {
        Chain { rivals: other.rivals.clone(), ..self.clone() }
    }

    /// Whether its caller keeps it for one order.
    pub(super) fn is_for_one_order(&self) -> bool {
        self.rivals.is_some()
    }

    /// Takes over what was refused for another order that this one is a part of, or has taken part in.
    pub(super) fn take_over(&self, other: &Chain) {
        let theirs = other.rivals().map(|rivals| (rivals.sent.clone(), rivals.is_open));
        let (Some((sent, is_open)), Some(mut ours)) = (theirs, self.rivals()) else { return };
        for rival in sent {
            if ours.sent.iter().all(|known| known.digest != rival.digest) {
                ours.sent.push(rival);
            }
        }
        ours.is_open |= is_open;
    }

    fn rivals(&self) -> Option<MutexGuard<'_, Rivals>> {
        Some(self.rivals.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes that a transaction of the order was refused, and how many servers say that it was not executed.
    pub(super) fn was_refused(&self, transaction: &Transaction, denied_by: usize) {
        let Some(mut rivals) = self.rivals() else { return };
        let gas = transaction.gas_payment.objects.iter().map(|coin| *coin.object_id()).collect();
        let (digest, named) = (transaction.digest(), references(transaction));
        rivals.sent.push(Rival { digest, named, gas, denied_by });
    }

    /// The error for an order that ends with this one.
    pub(crate) fn doubted(&self, error: CallError) -> CallError {
        match self.rivals() {
            Some(rivals) if !rivals.sent.is_empty() => rivals.doubted(error, self.places()),
            _ => error,
        }
    }

    /// The same, unless the caller keeps the order and may plan it anew: nothing of that is paid beside what was refused.
    pub(super) fn ended(&self, error: CallError, is_kept: bool) -> CallError {
        let is_open = self.rivals().is_some_and(|rivals| rivals.is_open);
        let may_be_planned_anew = matches!(
            error,
            CallError::Outdated { .. }
                | CallError::NotAsShown { .. }
                | CallError::Refused { .. }
                | CallError::Rejected { .. }
                | CallError::NotFound { .. }
        );
        match is_kept && !is_open && may_be_planned_anew {
            true => error,
            false => self.doubted(error),
        }
    }

    /// The transaction, paid by such coins that it and those of its order that were refused exclude each other; nothing if that
    /// cannot be had.
    pub(super) async fn instead_of_rivals(
        &self,
        wallet: &Wallet,
        mut transaction: Transaction,
    ) -> Result<Option<Transaction>, CallError> {
        let Some((sent, known)) =
            self.rivals().map(|rivals| (rivals.sent.clone(), rivals.known.clone()))
        else {
            return Ok(Some(transaction));
        };
        let mut search = Search { chain: self, sent, known, open: BTreeSet::new() };
        search.open = (0..search.sent.len()).collect();
        let paid = search.sent.len() < limits::CHAIN_RIVALS_MAX
            && search.exclude_by_named(&transaction).await?
            && search.exclude_by_gas(wallet, &mut transaction).await?;
        let mut rivals = self.rivals().expect("they were there before");
        rivals.known = search.known;
        rivals.is_open |= !paid;
        Ok(paid.then_some(transaction))
    }
}

/// The search for objects that a transaction and all before it have in common.
struct Search<'a> {
    chain: &'a Chain,
    sent: Vec<Rival>,
    known: Vec<Known>,
    /// The places of those that are not excluded yet.
    open: BTreeSet<usize>,
}

impl Search<'_> {
    /// Looks at what the transaction names already; `false` if one of the others was executed.
    async fn exclude_by_named(&mut self, transaction: &Transaction) -> Result<bool, CallError> {
        for named in references(transaction) {
            if !self.exclude_by(&named).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Pays for gas with coins that the others would have paid with, as far as needed; `false` if that is not enough.
    async fn exclude_by_gas(
        &mut self,
        wallet: &Wallet,
        transaction: &mut Transaction,
    ) -> Result<bool, CallError> {
        let mut tried: BTreeSet<Address> = transaction_ids(transaction);
        let mut is_first = self.open.len() == self.sent.len();
        while let Some(coin) = self.open.iter().rev().find_map(|place| {
            self.sent[*place].gas.iter().find(|coin| !tried.contains(*coin)).copied()
        }) {
            tried.insert(coin);
            let Some((version, balance)) = self.gas_coin(wallet, coin).await? else { continue };
            let open = self.open.len();
            if !self.exclude_by(&version).await? {
                return Ok(false);
            }
            if self.open.len() == open {
                continue;
            }
            let payment = &mut transaction.gas_payment;
            // Coins that pay together become one: none is merged away without need.
            if is_first && balance >= payment.budget {
                payment.objects.clear();
            }
            is_first = false;
            payment.objects.insert(0, version);
        }
        Ok(self.open.is_empty())
    }

    /// Finds out which of the others are excluded by a version that is named; `false` if one of them was executed.
    async fn exclude_by(&mut self, named: &ObjectReference) -> Result<bool, CallError> {
        if self.open.is_empty() {
            return Ok(true);
        }
        let fates = self.chain.fates(&self.sent, &self.known, named).await?;
        if fates.contains(&Fate::Happened) {
            return Ok(false);
        }
        self.open.retain(|place| fates[*place] != Fate::Excluded);
        if fates.iter().all(|fate| *fate == Fate::Excluded) {
            self.known.push(Known { version: named.clone(), excludes: self.sent.len() });
        }
        Ok(true)
    }

    /// A coin of the wallet that can pay for gas, in its present version, and what it holds.
    async fn gas_coin(
        &self,
        wallet: &Wallet,
        coin: Address,
    ) -> Result<Option<(ObjectReference, u64)>, CallError> {
        let id = ObjectId::from_bytes(coin.into_inner());
        let found = match self.chain.exact(&[id], "coin").await {
            Ok(found) => found,
            Err(error @ CallError::Unreachable { .. }) => return Err(error),
            Err(error) => {
                debug!(%error, "a coin that paid for gas cannot be used");
                return Ok(None);
            }
        };
        let coin = found.first().filter(|coin| *coin.owner() == Owner::Address(wallet.sender()));
        Ok(coin.and_then(|coin| Some((reference(coin), gas_of(coin)?))))
    }
}

impl Chain {
    /// What follows for each rival if this version of an object is a true one.
    async fn fates(
        &self,
        rivals: &[Rival],
        known: &[Known],
        named: &ObjectReference,
    ) -> Result<Vec<Fate>, CallError> {
        let (mut past, mut at) = (Past::of(named), named.clone());
        for _ in 0..limits::CHAIN_PAST_MAX {
            let excludes = known.iter().filter(|known| known.version == at);
            let excludes = excludes.map(|known| known.excludes).max().unwrap_or_default();
            past.excludes = past.excludes.max(excludes);
            if !past.fates(rivals).contains(&Fate::Unknown) {
                break;
            }
            let Some(writer) = self.writer_of(&at).await? else { break };
            past.writers.push(writer);
            if past.fates(rivals).contains(&Fate::Happened) {
                break;
            }
            let Some(before) = self.used_up_by(&writer, at.object_id()).await? else { break };
            past.oldest = Some(before.version());
            at = before;
        }
        Ok(past.fates(rivals))
    }

    /// The transaction that wrote a version of an object, by the bytes of that version.
    async fn writer_of(&self, version: &ObjectReference) -> Result<Option<Digest>, CallError> {
        let request = proto::GetObjectRequest::new(version.object_id())
            .with_version(version.version())
            .with_read_mask(FieldMask::from_paths(["bcs"]));
        let answer = self.ask("object", |client| {
            let (mut client, request) = (client.clone().ledger_client(), request.clone());
            async move { client.get_object(request).await }
        });
        let Some(answer) = known(answer.await)? else { return Ok(None) };
        let object = answer.object().bcs().deserialize::<Object>().ok();
        let object = object.filter(|object| reference(object) == *version);
        Ok(object.map(|object| object.previous_transaction()))
    }

    /// The version of an object that a transaction used up, by the bytes of that transaction.
    async fn used_up_by(
        &self,
        digest: &Digest,
        id: &Address,
    ) -> Result<Option<ObjectReference>, CallError> {
        let request = proto::GetTransactionRequest::default()
            .with_digest(digest.to_string())
            .with_read_mask(FieldMask::from_paths(["transaction.bcs"]));
        let answer = self.ask("transaction", |client| {
            let (mut client, request) = (client.clone().ledger_client(), request.clone());
            async move { client.get_transaction(request).await }
        });
        let Some(answer) = known(answer.await)? else { return Ok(None) };
        let bytes = answer.transaction().transaction().bcs();
        let transaction = bytes.deserialize::<Transaction>().ok();
        let transaction = transaction.filter(|transaction| transaction.digest() == *digest);
        let named = transaction.map(|transaction| references(&transaction)).unwrap_or_default();
        Ok(named.into_iter().find(|named| named.object_id() == id))
    }
}

/// What was answered; nothing if there is no such thing or it makes no sense.
fn known<T>(answer: Result<T, CallError>) -> Result<Option<T>, CallError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error @ CallError::Unreachable { .. }) => Err(error),
        Err(error) => {
            debug!(%error, "the past of an object is not known");
            Ok(None)
        }
    }
}

fn reference(object: &Object) -> ObjectReference {
    ObjectReference::new(object.object_id(), object.version(), object.digest())
}

fn transaction_ids(transaction: &Transaction) -> BTreeSet<Address> {
    references(transaction).iter().map(|named| *named.object_id()).collect()
}

/// What a coin holds that can pay for gas, in MIST.
fn gas_of(coin: &Object) -> Option<u64> {
    let value = coin.as_struct()?;
    let balance = value.contents().get(32..).and_then(|rest| rest.try_into().ok());
    let is_gas = *value.object_type() == StructTag::gas_coin();
    balance.filter(|_| is_gas).map(u64::from_le_bytes)
}
