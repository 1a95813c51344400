//! A client of the ledger alone: what the network is, what a wallet owns, and changing that.
//!
//! Promises: joins no peer-to-peer network; nothing is paid beyond the plan the caller was shown;
//! every call ends in bounded time.
//! Does not: decide what can be done with a blob (`holdings.rs` does), move blobs, or ask anybody.

mod operator;
mod stake;

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{Stream, StreamExt, TryStreamExt};
use haulout_actors::chain::{BLOB_NAME, Balances, Chain, Receipt, SystemView, Wallet};
use haulout_actors::market::Quote;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::object::{Blob, Storage};

use crate::calendar::Calendar;
use crate::config::{ClientConfig, WalletPlace};
use crate::error::{Error, Kind, Result};
use crate::holdings::storages::{DestructionPlan, Doomed, FusionPlan};
use crate::holdings::{self, ExtensionPlan, Removal, RemovalPlan, Target};
use crate::keys;
use crate::periods;
use crate::storage_node::chain_options;

/// What may pass after the patience with a ledger ended: the answers to what was asked last.
pub(crate) const LAST_ANSWERS_MAX: Duration = Duration::from_secs(5);

/// A ledger that was reached, and what it said of the network at that moment.
#[derive(Debug)]
pub struct LedgerClient {
    chain: Chain,
    view: SystemView,
    wallet: Option<Wallet>,
}

impl LedgerClient {
    /// Reaches the ledger. Looking needs no wallet.
    pub async fn connect(config: ClientConfig) -> Result<Self> {
        let wallet = config.wallet.as_ref().map(keys::load_wallet).transpose()?;
        let (patience, turns) = (config.timeout, Some(config.turns_dir()));
        let reached = tokio::time::timeout(patience + LAST_ANSWERS_MAX, async {
            let chain = Chain::connect(chain_options(&config.chain, patience, turns)).await?;
            let view = chain.system().await?;
            Ok::<_, Error>((chain, view))
        });
        let (chain, view) = reached.await.map_err(|_| {
            Error::new(
                Kind::Timeout,
                format!("the ledger did not answer within {}", periods::spoken(patience)),
            )
            .hint("check chain.rpc; raise client.timeout on a slow link")
        })??;
        let (configured, found) = (config.network.id, view.network);
        if configured != found {
            let message =
                format!("the ledger serves network {found}, the configuration names {configured}");
            return Err(Error::new(Kind::Config, message)
                .hint("correct network.id or chain.system, or choose another context"));
        }
        Ok(Self { chain, view, wallet })
    }

    /// What the ledger said of the network when it was reached.
    pub fn view(&self) -> &SystemView {
        &self.view
    }

    /// The address of the ledger's server that is asked.
    pub fn url(&self) -> &str {
        self.chain.url()
    }

    /// When epochs begin.
    pub fn calendar(&self) -> Calendar {
        Calendar::now(&self.view.position)
    }

    /// How far the ledger's time was moved ahead of its machine's clock, in milliseconds, as it says: a devnet's may have been.
    pub async fn time_moved_ms(&self) -> Result<u64> {
        Ok(self.chain.time_moved_ms().await?)
    }

    /// The wallet's account, if there is a wallet.
    pub fn account(&self) -> Option<ObjectId> {
        self.wallet.as_ref().map(Wallet::address)
    }

    /// What the wallet holds.
    pub async fn balances(&self) -> Result<Balances> {
        let wallet = self.wallet("a balance")?;
        Ok(self.chain.balances(&wallet.address()).await?)
    }

    /// The blob objects the wallet owns, all of them, as the ledger hands them out.
    pub fn blobs(&self) -> Result<impl Stream<Item = Result<Blob>> + Send + use<>> {
        let wallet = self.wallet("a list of what you own")?;
        Ok(self.chain.blobs(&wallet.address()).map(|blob| Ok(blob?)))
    }

    /// The same as one list.
    pub async fn owned(&self) -> Result<Vec<Blob>> {
        self.blobs()?.try_collect().await
    }

    /// The names that owners wrote on the ledger for these blob objects, of those that have one.
    pub async fn public_names(&self, objects: &[ObjectId]) -> Result<BTreeMap<ObjectId, String>> {
        Ok(self.chain.blob_texts(objects, BLOB_NAME).await?)
    }

    /// Writes the name of a blob object of the wallet on the ledger, where everybody can read it.
    /// Sends nothing, and returns nothing, if it is there already.
    pub async fn publish_name(&self, object: &ObjectId, name: &str) -> Result<Option<Receipt>> {
        publish_name(&self.chain, self.wallet("naming")?, object, name).await
    }

    /// The wallet's storage that no blob lives in.
    pub async fn storages(&self) -> Result<Vec<Storage>> {
        let wallet = self.wallet("a list of your storage")?;
        Ok(self.chain.storages(&wallet.address()).await?)
    }

    /// What joining the wallet's free storage would do; nothing is changed.
    pub async fn plan_fusion(&self) -> Result<FusionPlan> {
        let (storages, epoch) = (self.storages().await?, self.view.position.epoch.0);
        let plan = FusionPlan::new(&storages, epoch);
        // What is joined as it would be before the first epoch loses none of its time.
        if plan.joints != FusionPlan::new(&storages, 0).joints {
            self.prove_epoch().await?;
        }
        Ok(plan)
    }

    /// Joins what the plan says.
    pub async fn fuse(&self, plan: &FusionPlan) -> Result<Receipt> {
        let wallet = self.wallet("joining storage")?;
        Ok(self.chain.fuse_storage(wallet, &plan.joints).await?)
    }

    /// What destroying free storage would do; nothing is changed.
    pub async fn plan_destruction(&self, doomed: &Doomed) -> Result<DestructionPlan> {
        let epoch = self.view.position.epoch.0;
        let plan = DestructionPlan::new(self.storages().await?, doomed, epoch)?;
        if *doomed == Doomed::Expired && !plan.storages.is_empty() {
            self.prove_epoch().await?;
        }
        Ok(plan)
    }

    /// Makes sure that the epoch which a server named began: by its word alone, nothing of the owner's is given up.
    async fn prove_epoch(&self) -> Result<()> {
        let patience = self.chain.patience() + LAST_ANSWERS_MAX;
        let proven = tokio::time::timeout(patience, self.chain.proven_epoch()).await;
        let proven = proven.map_err(|_| {
            let message = format!("the epoch was not proven within {}", periods::spoken(patience));
            Error::new(Kind::Timeout, message)
                .hint("check chain.rpc; raise client.timeout on a slow link")
        })??;
        let claimed = self.view.position.epoch.0;
        if proven >= claimed {
            return Ok(());
        }
        let message = format!(
            "the ledger at {} says that this is epoch {claimed}, and its validators signed no later one than {proven}; \
             nothing is given up on its word",
            self.url()
        );
        Err(Error::new(Kind::Chain, message)
            .hint("set chain.rpc to a server you trust, or to several of which most agree"))
    }

    /// Destroys what the plan says.
    pub async fn destroy(&self, plan: &DestructionPlan) -> Result<Receipt> {
        let wallet = self.wallet("destroying storage")?;
        Ok(self.chain.destroy_storage(wallet, &plan.storages).await?)
    }

    /// What storing so many bytes would cost; needs no wallet.
    pub fn quote(&self, length: u64, epochs: u32) -> Result<Quote> {
        holdings::quote(length, epochs, &self.view.position)
    }

    /// What extending would do and cost; nothing is changed.
    pub async fn plan_extension(&self, target: &Target, epochs: u32) -> Result<ExtensionPlan> {
        let blobs = self.select(target).await?;
        ExtensionPlan::new(blobs, epochs, &self.view.position)
    }

    /// Extends what the plan says, for what it says.
    pub async fn extend(&self, plan: &ExtensionPlan) -> Result<Receipt> {
        let wallet = self.wallet("extending")?;
        Ok(self.chain.extend_blobs(wallet, &plan.calls()).await?)
    }

    /// What removing would do; nothing is changed.
    pub async fn plan_removal(&self, target: &Target, removal: Removal) -> Result<RemovalPlan> {
        let blobs = self.select(target).await?;
        RemovalPlan::new(blobs, removal, self.view.position.epoch.0)
    }

    /// Removes what the plan says.
    pub async fn remove(&self, plan: &RemovalPlan) -> Result<Receipt> {
        let wallet = self.wallet("removing")?;
        Ok(match plan.removal {
            Removal::Delete => self.chain.delete_blobs(wallet, &plan.objects).await?,
            Removal::Burn => self.chain.burn_blobs(wallet, &plan.objects).await?,
        })
    }

    /// The wallet's blob objects that are meant.
    async fn select(&self, target: &Target) -> Result<Vec<Blob>> {
        let account = self.wallet("changing a blob")?.address();
        match target {
            Target::Blob(id) => {
                holdings::of_blob(self.chain.blobs_of(&account, id).await?, id, &account)
            }
            Target::Object(id) => {
                holdings::of_object(self.chain.find_blob(id).await?, id, &account)
            }
        }
    }

    fn wallet(&self, purpose: &str) -> Result<&Wallet> {
        self.wallet.as_ref().ok_or_else(|| keys::no_wallet(purpose))
    }
}

/// Writes the name of a blob object on the ledger, unless it is there.
pub(crate) async fn publish_name(
    chain: &Chain,
    wallet: &Wallet,
    object: &ObjectId,
    name: &str,
) -> Result<Option<Receipt>> {
    let known = chain.blob_texts(&[*object], BLOB_NAME).await?;
    if known.get(object).is_some_and(|known| known == name) {
        return Ok(None);
    }
    Ok(Some(chain.set_blob_text(wallet, object, BLOB_NAME, name).await?))
}

/// The account of a wallet; needs no ledger.
pub fn account_of(place: &WalletPlace) -> Result<ObjectId> {
    Ok(keys::load_wallet(place)?.address())
}
