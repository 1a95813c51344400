//! What a put agrees with the ledger: the facts, the plan they make, and carrying the plan out.
//!
//! Promises: the plan follows from what the ledger says now, never from who answered in time; a plan that the ledger
//! refuses because its facts have moved is made anew, a bounded number of times; nothing is paid beyond a plan.
//! Does not: decide (`haulout_protocol::machine::put_plan` does), or send bytes of the blob.

use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::object::Blob;
use haulout_protocol::machine::put_plan::{self, Ask, Existing, Facts, Plan};
use haulout_protocol::machine::space::{Space, Terms};
use tracing::debug;

use super::{Earlier, PutError, PutOptions};
use crate::chain::{CallError, Chain, Cost, Registration, Wallet};
use crate::limits;

/// A plan and the terms it was made on.
#[derive(Clone, Debug)]
pub struct Agreed {
    /// What to do.
    pub plan: Plan,
    /// What the ledger sold when the plan was made.
    pub terms: Terms,
}

/// What one put wants of the ledger, and who pays.
#[derive(Clone)]
pub(super) struct Deal {
    chain: Chain,
    account: Option<ObjectId>,
    blob_id: BlobId,
    root: [u8; 32],
    length: u64,
    options: PutOptions,
    /// What attempts in earlier epochs fixed: the end, and the object to go on with.
    end_epoch: Option<u32>,
    object: Option<ObjectId>,
}

/// A blob object that stands for the put.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) existing: Existing,
    /// What it gets once it is certified.
    pub(super) extension: Option<Space>,
}

/// What became of a plan.
#[derive(Clone, Debug)]
pub(super) struct Settled {
    pub(super) agreed: Agreed,
    /// The caller's object; none if somebody's permanent object does.
    pub(super) object: Option<Object>,
    pub(super) cost: Cost,
}

impl Deal {
    pub(super) fn new(
        chain: &Chain,
        account: Option<ObjectId>,
        header: &BlobHeader,
        options: PutOptions,
        earlier: &Earlier,
    ) -> Deal {
        Deal {
            chain: chain.clone(),
            account,
            blob_id: header.blob_id(),
            root: header.blob_root(),
            length: header.length,
            options,
            end_epoch: earlier.end_epoch,
            object: earlier.object,
        }
    }

    /// The plan by what the ledger says now, and what is known of permanent objects of others.
    pub(super) async fn plan(&self, permanent_until: Option<u32>) -> Result<Agreed, PutError> {
        let (view, blobs) = tokio::try_join!(self.chain.system(), self.blobs())?;
        let position = view.position;
        let terms = position.terms();
        let quote = position.parameters.encoded_bytes(self.length, position.index_replicas);
        let ask = Ask {
            encoded_bytes: quote.ok_or(put_plan::Refusal::Unpriced)?,
            end_epoch: self.end(&terms),
            permanent: !self.options.deletable,
            force: self.options.force && self.object.is_none(),
        };
        let mut facts = Facts { terms, blobs: &blobs, storages: &[], permanent_until };
        put_plan::check_end(ask.end_epoch, &terms)?;
        if let Some(plan) = put_plan::covered(&ask, &facts) {
            return Ok(Agreed { plan, terms });
        }
        let storages = match &self.account {
            Some(account) => self.chain.storages(account).await?,
            None => Vec::new(),
        };
        facts.storages = &storages;
        let plan = put_plan::plan(&ask, &facts)?;
        debug!(?plan, "planned");
        Ok(Agreed { plan, terms })
    }

    /// The end that is asked for.
    fn end(&self, terms: &Terms) -> u32 {
        let fixed = self.end_epoch.filter(|end| *end > terms.epoch);
        fixed.unwrap_or(terms.epoch.saturating_add(self.options.epochs))
    }

    /// The caller's objects for the blob; only the one to go on with, if there is one.
    async fn blobs(&self) -> Result<Vec<Blob>, CallError> {
        let Some(account) = &self.account else { return Ok(Vec::new()) };
        let mut blobs = self.chain.blobs_of(account, &self.blob_id).await?;
        if let Some(object) = self.object {
            blobs.retain(|blob| blob.id == object);
        }
        Ok(blobs)
    }

    /// Makes sure that an object stands for the blob, by the plan or by the one the facts have moved to. What the
    /// object lacks in epochs is left to be added when it is certified.
    pub(super) async fn settle(
        &self,
        wallet: &Wallet,
        agreed: Agreed,
        permanent_until: Option<u32>,
    ) -> Result<Settled, PutError> {
        let mut agreed = agreed;
        for _ in 1..limits::PUT_PLANS_MAX {
            match self.carry_out(wallet, &agreed).await {
                Err(error) => {
                    agreed = self.moved(error, &agreed, permanent_until).await?;
                }
                Ok(settled) => return Ok(settled),
            }
        }
        Ok(self.carry_out(wallet, &agreed).await?)
    }

    /// Extends a certified object by its plan; the plan the facts have moved to, if it cannot be.
    pub(super) async fn extend(
        &self,
        wallet: &Wallet,
        agreed: &Agreed,
        (existing, space): (&Existing, &Space),
        permanent_until: Option<u32>,
    ) -> Result<Result<(Space, Cost), Agreed>, PutError> {
        let space = (&agreed.terms, space);
        match self.chain.prolong_blob(wallet, &existing.object, space).await {
            Ok(done) => Ok(Ok((done.space, done.cost))),
            Err(error) => Ok(Err(self.moved(error, agreed, permanent_until).await?)),
        }
    }

    /// The plan by the facts of now, if the ledger refused one made on facts that have moved; the refusal, if it is
    /// about something else.
    async fn moved(
        &self,
        error: CallError,
        agreed: &Agreed,
        permanent_until: Option<u32>,
    ) -> Result<Agreed, PutError> {
        let can_be = matches!(
            error,
            CallError::Refused { .. } | CallError::Rejected { .. } | CallError::NotFound { .. }
        );
        if !can_be {
            return Err(error.into());
        }
        let now = self.plan(permanent_until).await?;
        if now.plan == agreed.plan {
            return Err(error.into());
        }
        debug!(%error, "the facts have moved, planned anew");
        Ok(now)
    }

    /// One attempt at a plan.
    async fn carry_out(&self, wallet: &Wallet, agreed: &Agreed) -> Result<Settled, CallError> {
        let mut settled = Settled { agreed: agreed.clone(), object: None, cost: Cost::default() };
        match &agreed.plan {
            Plan::Nothing { existing, .. } => {
                settled.object = existing.map(|existing| Object { existing, extension: None });
            }
            Plan::Certify { existing, extension } => {
                let extension = extension.clone();
                settled.object = Some(Object { existing: *existing, extension });
            }
            Plan::Extend { existing, space } => {
                let extension = Some(space.clone());
                settled.object = Some(Object { existing: *existing, extension });
            }
            Plan::Register { space, write } => {
                let registration = Registration {
                    blob_id: self.blob_id,
                    root: self.root,
                    length: self.length,
                    deletable: self.options.deletable,
                    write: *write,
                };
                let space = (&agreed.terms, space);
                let new = self.chain.register_blob(wallet, &registration, space).await?;
                let (object, end_epoch) = (new.object, new.end_epoch.0);
                let existing = Existing { object, end_epoch, deletable: self.options.deletable };
                settled.object = Some(Object { existing, extension: None });
                settled.agreed.plan = Plan::Register { space: new.space, write: *write };
                settled.cost = new.cost;
            }
        }
        Ok(settled)
    }
}
