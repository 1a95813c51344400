//! What a put agrees with the ledger: the facts, the plan they make, and carrying the plan out.
//!
//! Promises: the plan follows from what the ledger says now, never from who answered in time; a plan that is refused
//! because its facts have moved is made anew, a bounded number of times; nothing is paid beyond a plan.
//! Does not: decide (`haulout_protocol::machine::put_plan` does), or send bytes of the blob.

use std::pin::pin;

use haulout_protocol::blob::{BlobHeader, BlobId, Encoding};
use haulout_protocol::certificate::Certificate;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::object::Blob;
use haulout_protocol::machine::put_plan::{self, Ask, Existing, Facts, Plan};
use haulout_protocol::machine::space::{Space, Terms};
use haulout_protocol::machine::witness::Claim;
use haulout_protocol::wire::blob::ObjectState;
use tokio::time::sleep;
use tracing::debug;

use super::outcome::{Earlier, Evidence, PutError, PutOptions};
use super::permanence;
use super::witness::{Said, witness};
use crate::chain::{CallError, Chain, Cost, Holder, Registration, Since, Wallet};
use crate::limits;
use crate::session::client::Session;

/// A plan and the terms it was made on.
#[derive(Clone, Debug)]
pub struct Agreed {
    /// What to do.
    pub plan: Plan,
    /// What the ledger sold when the plan was made.
    pub terms: Terms,
    /// The caller's objects for the blob when the plan was made.
    blobs: Vec<Blob>,
    /// A moment before these were read.
    since: Since,
}

/// What one put wants of the ledger, and who pays.
#[derive(Clone)]
pub(super) struct Deal {
    chain: Chain,
    /// The same for what is paid: at most one of what is signed for it happens, however often it is planned anew.
    order: Chain,
    account: Option<ObjectId>,
    blob_id: BlobId,
    root: [u8; 32],
    encoding: Encoding,
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

/// How far a plan is carried out.
#[derive(Clone, Debug)]
pub(super) struct Settled {
    pub(super) agreed: Agreed,
    /// The caller's object; none before it is registered, or if somebody's permanent object does.
    pub(super) object: Option<Object>,
    /// What was paid.
    pub(super) cost: Cost,
    /// The checkpoint of the last transaction, if there was one and its checkpoint was seen.
    pub(super) checkpoint: Option<u64>,
}

impl Settled {
    /// A plan of which nothing is done yet.
    pub(super) fn of(agreed: Agreed) -> Settled {
        let of = |existing: &Existing, extension: Option<&Space>| Object {
            existing: *existing,
            extension: extension.cloned(),
        };
        let object = match &agreed.plan {
            Plan::Nothing { existing, .. } => existing.as_ref().map(|existing| of(existing, None)),
            Plan::Extend { existing, space } => Some(of(existing, Some(space))),
            Plan::Certify { existing, extension } => Some(of(existing, extension.as_ref())),
            Plan::Register { .. } => None,
        };
        Settled { agreed, object, cost: Cost::default(), checkpoint: None }
    }

    /// The plan to tell of: of several attempts at one put, the one that bought something.
    pub(super) fn told(&self, earlier: Option<Plan>) -> Plan {
        match (&self.agreed.plan, earlier) {
            (Plan::Nothing { .. } | Plan::Certify { extension: None, .. }, Some(earlier)) => {
                earlier
            }
            (plan, _) => plan.clone(),
        }
    }
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
            order: chain.for_one_order(),
            account,
            blob_id: header.blob_id(),
            root: header.blob_root(),
            encoding: header.encoding,
            length: header.length,
            options,
            end_epoch: earlier.end_epoch,
            object: earlier.object,
        }
    }

    /// The plan by what the ledger says now, and what is known of permanent objects of others.
    pub(super) async fn plan(&self, permanent_until: Option<u32>) -> Result<Agreed, PutError> {
        let (view, (since, blobs)) = tokio::try_join!(self.chain.system(), self.blobs())?;
        let position = view.position;
        let terms = position.terms();
        let quote = position.parameters.encoded_bytes(self.length, position.market.header_replicas);
        let ask = Ask {
            encoded_bytes: quote.ok_or(put_plan::Refusal::Unpriced)?,
            end_epoch: self.end(&terms),
            permanent: !self.options.deletable,
            force: self.options.force && self.object.is_none(),
        };
        let mut facts = Facts { terms, blobs: &blobs, storages: &[], permanent_until };
        put_plan::check_end(ask.end_epoch, &terms)?;
        if let Some(plan) = put_plan::covered(&ask, &facts) {
            return Ok(Agreed { plan, terms, blobs, since });
        }
        let storages = match &self.account {
            Some(account) => self.chain.storages(account).await?,
            None => Vec::new(),
        };
        facts.storages = &storages;
        let plan = put_plan::plan(&ask, &facts)?;
        debug!(?plan, "planned");
        Ok(Agreed { plan, terms, blobs, since })
    }

    /// The end that is asked for.
    fn end(&self, terms: &Terms) -> u32 {
        let fixed = self.end_epoch.filter(|end| *end > terms.epoch);
        fixed.unwrap_or(terms.epoch.saturating_add(self.options.epochs))
    }

    /// The caller's objects for the blob, and since when they are these; only the one to go on with, if there is one.
    async fn blobs(&self) -> Result<(Since, Vec<Blob>), CallError> {
        let Some(account) = &self.account else { return Ok(Default::default()) };
        let since = self.chain.moment(account).await?;
        let mut blobs = self.chain.blobs_of(account, &self.blob_id).await?;
        if let Some(object) = self.object {
            blobs.retain(|blob| blob.id == object);
        }
        Ok((since, blobs))
    }

    /// Until when somebody's permanent object keeps the blob; not asked where the answer would change nothing.
    pub(super) async fn permanence(&self, session: &Session, agreed: &Agreed) -> Option<u32> {
        let costs = agreed.plan.price() > 0;
        if !costs || self.options.force || self.object.is_some() {
            return None;
        }
        permanence::until(session, &self.blob_id, self.end(&agreed.terms)).await
    }

    /// Makes sure that an object stands for the blob, by the plan or by the one the facts have moved to. What the
    /// object lacks in epochs is left to [`Self::complete`].
    pub(super) async fn settle(
        &self,
        wallet: &Wallet,
        agreed: Agreed,
        permanent_until: Option<u32>,
    ) -> Result<Settled, PutError> {
        let mut agreed = agreed;
        if permanent_until.is_some() {
            agreed = self.plan(permanent_until).await?;
        }
        for _ in 0..limits::PUT_PLANS_MAX {
            let mut settled = Settled::of(agreed);
            match self.register(wallet, &mut settled).await {
                Ok(()) => return Ok(settled),
                Err(error) => {
                    agreed = self.moved(error, &settled.agreed, permanent_until).await?;
                }
            }
        }
        Err(PutError::Moved)
    }

    /// Gives a certified object the epochs it lacks. If the facts have moved so far that it is no matter of extending
    /// any more, the plan they make now comes back.
    pub(super) async fn complete(
        &self,
        wallet: &Wallet,
        settled: &mut Settled,
    ) -> Result<Option<Agreed>, PutError> {
        for _ in 0..limits::PUT_PLANS_MAX {
            let Some(object) = &mut settled.object else { return Ok(None) };
            let Some(space) = &object.extension else { return Ok(None) };
            let (id, terms) = (object.existing.object, settled.agreed.terms);
            let error = match self
                .order
                .prolong_blob(wallet, (&self.blob_id, &id), (&terms, space))
                .await
            {
                Ok(done) => {
                    object.extension = None;
                    settled.checkpoint = done.checkpoint;
                    settled.cost = settled.cost.plus(done.cost);
                    settled.agreed.plan.use_space(done.space);
                    return Ok(None);
                }
                Err(error) => error,
            };
            let now = self.moved(error, &settled.agreed, None).await?;
            let Plan::Extend { existing, space } = &now.plan else { return Ok(Some(now)) };
            settled.object = Some(Object { existing: *existing, extension: Some(space.clone()) });
            settled.agreed = now;
        }
        Err(PutError::Moved)
    }

    /// The plan by the facts of now, if one made on facts that have moved was refused; the refusal, if it is about
    /// something else.
    async fn moved(
        &self,
        error: CallError,
        agreed: &Agreed,
        permanent_until: Option<u32>,
    ) -> Result<Agreed, PutError> {
        let has_moved = matches!(error, CallError::Outdated { .. } | CallError::NotAsShown { .. });
        let can_be = matches!(
            error,
            CallError::Refused { .. } | CallError::Rejected { .. } | CallError::NotFound { .. }
        );
        if !has_moved && !can_be {
            return Err(self.order.doubted(error).into());
        }
        let now = self.plan(permanent_until).await?;
        // Other facts can lead to the same plan, which is then carried out by these.
        if !has_moved && now.plan == agreed.plan {
            return Err(self.order.doubted(error).into());
        }
        debug!(%error, "the facts have moved, planned anew");
        Ok(now)
    }

    /// Certifies the put's object and gives it what it lacks, until the committee has read that it is so: by another server
    /// of the ledger, if there is one, where it is not.
    pub(super) async fn certify(
        &self,
        session: &Session,
        wallet: &Wallet,
        (mut settled, earlier): (Settled, Option<Plan>),
        certificate: &Certificate,
    ) -> Result<(Settled, Evidence), PutError> {
        let mut servers = self.chain.urls().count();
        loop {
            let Some(object) = &settled.object else { return Ok((settled, Evidence::Nodes)) };
            let object = object.existing.object;
            let certified = self.chain.certify_blob(wallet, &object, certificate).await?;
            settled.cost = settled.cost.plus(certified.cost);
            settled.checkpoint = certified.checkpoint;
            match self.complete(wallet, &mut settled).await? {
                None => {}
                // Another put of the wallet was faster, and the blob has all that was asked for.
                Some(agreed) if matches!(agreed.plan, Plan::Nothing { .. }) => {
                    settled = Settled { cost: settled.cost, ..Settled::of(agreed) };
                }
                Some(_) => return Err(PutError::Moved),
            }
            servers = servers.saturating_sub(1);
            let end_epoch = settled.told(earlier.clone()).end_epoch();
            match self.witness(session, &settled, end_epoch).await {
                Err(error) if servers > 0 && self.asks_another(&error, &settled) => {}
                witnessed => return Ok((settled, witnessed?)),
            }
        }
    }

    /// Whether another server of the ledger is asked from now on, because the committee denies what one said.
    pub(super) fn asks_another(&self, error: &PutError, settled: &Settled) -> bool {
        let is_denied = matches!(error, PutError::Unwitnessed(told) if told.is_denied);
        let checkpoint = settled.checkpoint.unwrap_or_default();
        is_denied && self.chain.disbelieve(self.chain.server(), checkpoint)
    }

    /// Makes sure that what a server of the ledger says of the caller's object is so. Nodes are asked; where they do not answer
    /// soon, the ledger's own proof is as good. Somebody's permanent object was told by the committee itself.
    pub(super) async fn witness(
        &self,
        session: &Session,
        settled: &Settled,
        end_epoch: u32,
    ) -> Result<Evidence, PutError> {
        let Some(object) = &settled.object else { return Ok(Evidence::Nodes) };
        let Existing { object, deletable, .. } = object.existing;
        let claim = Claim { end_epoch, deletable };
        let said = Said { object, claim, checkpoint: settled.checkpoint };
        let mut asking = pin!(witness(session, &self.chain, &self.blob_id, &said));
        let mut proving = pin!(self.is_proven(&said));
        let mut soon = pin!(sleep(limits::PUT_WITNESSES_ALONE));
        let (mut is_late, mut is_unproven) = (false, false);
        loop {
            tokio::select! {
                asked = &mut asking => {
                    let Err(told) = asked else { return Ok(Evidence::Nodes) };
                    if told.is_denied || is_unproven || !proving.await {
                        return Err(told.into());
                    }
                    return Ok(Evidence::Ledger);
                }
                () = &mut soon, if !is_late => is_late = true,
                is_proven = &mut proving, if is_late && !is_unproven => match is_proven {
                    true => return Ok(Evidence::Ledger),
                    false => is_unproven = true,
                },
            }
        }
    }

    /// Whether more than one server's word says that the caller's object is as claimed.
    async fn is_proven(&self, said: &Said) -> bool {
        if !self.chain.can_prove() {
            return false;
        }
        let (blob, holder) = match self.chain.impatient().proven_blob(&said.object).await {
            Ok(proven) => proven,
            Err(error) => {
                debug!(%error, "the ledger does not prove what it says of the blob");
                return false;
            }
        };
        let is_certified = blob.certified_epoch.is_some();
        let state = ObjectState {
            is_certified,
            end_epoch: blob.storage.end_epoch,
            deletable: blob.deletable,
        };
        let is_ours = self.account.is_some_and(|account| holder == Holder::Account(account));
        is_ours && blob.blob_id == *self.blob_id.as_bytes() && said.claim.holds(&state)
    }

    /// Registers the blob if the plan says so.
    async fn register(&self, wallet: &Wallet, settled: &mut Settled) -> Result<(), CallError> {
        let Plan::Register { space, write } = &settled.agreed.plan else { return Ok(()) };
        let deletable = self.options.deletable;
        // Who goes on with one object, or wants a new one in any case, does not look at others.
        let looks = !self.options.force && self.object.is_none();
        let registration = Registration {
            blob_id: self.blob_id,
            root: self.root,
            encoding: self.encoding,
            length: self.length,
            deletable,
            write: *write,
            beside: looks.then_some(settled.agreed.blobs.as_slice()),
            since: settled.agreed.since,
        };
        let space = (&settled.agreed.terms, space);
        let new = self.order.register_blob(wallet, &registration, space).await?;
        let existing = Existing { object: new.object, end_epoch: new.end_epoch.0, deletable };
        settled.object = Some(Object { existing, extension: None });
        settled.agreed.plan.use_space(new.space);
        settled.cost = settled.cost.plus(new.cost);
        Ok(())
    }
}
