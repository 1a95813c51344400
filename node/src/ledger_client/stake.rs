//! The ledger for stakers: everybody's stake, a wallet's receipts, and changing them.
//!
//! Promises: nothing is staked, asked back or paid beyond the plan the caller was shown.
//! Does not: decide; `stakes.rs` does.

use haulout_actors::chain::{NewReceipt, Payout, Receipt, StakeBook};
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::object::staking::Staked;

use super::LedgerClient;
use crate::error::Result;
use crate::stakes::{self, JoinPlan, SplitPlan, StakePlan, Which, WithdrawalPlan};

impl LedgerClient {
    /// Everybody's stake with the rules that apply; needs no wallet.
    pub async fn stake_book(&self) -> Result<StakeBook> {
        Ok(self.chain.stake_book().await?)
    }

    /// The receipts of stake the wallet owns.
    pub async fn receipts(&self) -> Result<Vec<Staked>> {
        let wallet = self.wallet("a list of your stake")?;
        Ok(self.chain.owned_receipts(&wallet.address()).await?)
    }

    /// What staking with a node, by name or id, would do; nothing is changed.
    pub async fn plan_stake(&self, node: &str, amount: u64) -> Result<StakePlan> {
        self.wallet("staking")?;
        let book = self.stake_book().await?;
        let id = stakes::find_node(&book.staking, node)?;
        if let Some(pool) = book.staking.pools.get(&id).filter(|pool| pool.node.name == node) {
            self.chain.check_name(&id, &pool.node.name).await?;
        }
        StakePlan::new(&book, id, amount)
    }

    /// Stakes what the plan says.
    pub async fn stake(&self, plan: &StakePlan) -> Result<NewReceipt> {
        let wallet = self.wallet("staking")?;
        Ok(self.chain.stake_with(wallet, &plan.node_id, plan.amount).await?)
    }

    /// What withdrawing would do; nothing is changed.
    pub async fn plan_withdrawal(&self, which: Which) -> Result<WithdrawalPlan> {
        let owned = self.receipts().await?;
        let book = self.stake_book().await?;
        let calendar = self.calendar();
        WithdrawalPlan::new(&book, owned, which, |epoch| calendar.until(epoch))
    }

    /// Takes the steps the plan says.
    pub async fn withdraw(&self, plan: &WithdrawalPlan) -> Result<Payout> {
        let wallet = self.wallet("withdrawing")?;
        Ok(self.chain.advance_receipts(wallet, &plan.calls()).await?)
    }

    /// What splitting a receipt would do; nothing is changed.
    pub async fn plan_split(&self, receipt: ObjectId, amount: u64) -> Result<SplitPlan> {
        let owned = self.receipts().await?;
        SplitPlan::new(&self.stake_book().await?, &owned, receipt, amount)
    }

    /// Splits a receipt as planned.
    pub async fn split(&self, plan: &SplitPlan) -> Result<Receipt> {
        let wallet = self.wallet("splitting a receipt")?;
        Ok(self.chain.split_receipt(wallet, &plan.receipt, plan.amount).await?)
    }

    /// What joining receipts would do; nothing is changed.
    pub async fn plan_join(&self, into: ObjectId, others: &[ObjectId]) -> Result<JoinPlan> {
        JoinPlan::new(&self.receipts().await?, into, others)
    }

    /// Joins receipts as planned.
    pub async fn join(&self, plan: &JoinPlan) -> Result<Receipt> {
        let wallet = self.wallet("joining receipts")?;
        Ok(self.chain.join_receipts(wallet, &plan.into, &plan.others).await?)
    }
}
