//! What a staker sees and does on the ledger: receipts of stake, and the calls about them.
//!
//! Promises: exactly the amount that was named is staked; all receipts of one call change in one
//! transaction or none does, and only if they are exactly what the caller was shown; a list is bounded and says when it is not whole.
//! Does not: decide which step a receipt is due for, or whether the ledger will allow it.

use haulout_protocol::chain::call::{
    self, JoinStaked, RequestWithdrawStake, SplitStaked, StakeWithPool, WithdrawStake,
};
use haulout_protocol::chain::event::{Event, StakeEvent};
use haulout_protocol::chain::object::staking::{Staked, Staking};
use haulout_protocol::chain::object::{self, Params};
use haulout_protocol::chain::{ObjectId, TypeName};

use super::draft::{Built, Draft, Places};
use super::error::CallError;
use super::handle::Chain;
use super::owned::Receipt;
use super::read::decode;
use super::submit::Executed;
use super::wallet::Wallet;

/// Everybody's stake and the rules that apply to it.
#[derive(Clone, Debug)]
pub struct StakeBook {
    /// The state of stake and epochs.
    pub staking: Staking,
    /// The parameters of the network.
    pub params: Params,
    /// The price of a MiB for an epoch, above which asks cost a node shards; in FROST.
    pub storage_price: u64,
}

/// Stake that was paid in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewReceipt {
    /// The receipt, ours.
    pub object: ObjectId,
    /// The first epoch in which it works.
    pub activation_epoch: u32,
    /// The transaction.
    pub receipt: Receipt,
}

/// What is asked of one receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiptStep {
    /// Ask it back.
    Request(Staked),
    /// End it and be paid.
    Withdraw(Staked),
}

impl ReceiptStep {
    /// The receipt, as it was when this was agreed to.
    fn receipt(&self) -> &Staked {
        match self {
            ReceiptStep::Request(receipt) | ReceiptStep::Withdraw(receipt) => receipt,
        }
    }
}

/// What became of receipts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payout {
    /// Receipts that were asked back, with the epoch from which each is paid.
    pub requested: Vec<(ObjectId, u32)>,
    /// Receipts that were paid, with what each brought, in FROST.
    pub paid: Vec<(ObjectId, u64)>,
    /// The transaction.
    pub receipt: Receipt,
}

impl Chain {
    /// Everybody's stake with the parameters and prices in force.
    pub async fn stake_book(&self) -> Result<StakeBook, CallError> {
        let options = &self.shared.options;
        let params = async { decode::<Params>(&self.object(&options.params, "parameters").await?) };
        let system =
            async { decode::<object::System>(&self.object(&options.system, "system").await?) };
        let (staking, params, system) = tokio::try_join!(self.stake(), params, system)?;
        Ok(StakeBook { staking, params, storage_price: system.storage_price })
    }

    /// The receipts of stake an account owns: all, in the order of the ledger.
    pub async fn owned_receipts(&self, account: &ObjectId) -> Result<Vec<Staked>, CallError> {
        self.list_owned(account, &TypeName::STAKED, "receipts of stake").await
    }

    /// Stakes exactly `amount` FROST with a node.
    pub async fn stake_with(
        &self,
        wallet: &Wallet,
        node: &ObjectId,
        amount: u64,
    ) -> Result<NewReceipt, CallError> {
        let executed = self
            .run_surely(wallet, |chain: Chain| async move {
                chain.build_stake(wallet, node, amount).await
            })
            .await?;
        let found = stake_events(&executed).find_map(|event| match event {
            StakeEvent::Staked(staked) => Some((staked.object_id, staked.activation_epoch)),
            _ => None,
        });
        let missing = || CallError::unreadable("a stake without a receipt");
        let (object, activation_epoch) = found.ok_or_else(missing)?;
        Ok(NewReceipt { object, activation_epoch, receipt: executed.into() })
    }

    /// Asks receipts of the wallet back, or ends them, in one transaction.
    pub async fn advance_receipts(
        &self,
        wallet: &Wallet,
        steps: &[ReceiptStep],
    ) -> Result<Payout, CallError> {
        let executed =
            self.run_surely(wallet, |chain: Chain| async move {
                chain.build_advance(wallet, steps).await
            })
            .await?;
        let (mut requested, mut paid) = (Vec::new(), Vec::new());
        for event in stake_events(&executed) {
            match event {
                StakeEvent::UnstakeRequested(event) => {
                    requested.push((event.object_id, event.withdraw_epoch));
                }
                StakeEvent::Unstaked(event) => paid.push((event.object_id, event.paid)),
                _ => {}
            }
        }
        Ok(Payout { requested, paid, receipt: executed.into() })
    }

    /// Splits `amount` FROST off a receipt of the wallet into a new one.
    pub async fn split_receipt(
        &self,
        wallet: &Wallet,
        receipt: &Staked,
        amount: u64,
    ) -> Result<Receipt, CallError> {
        Ok(self
            .run_surely(wallet, |chain: Chain| async move {
                chain.build_split(wallet, receipt, amount).await
            })
            .await?
            .into())
    }

    /// Joins receipts of the wallet into the first of them.
    pub async fn join_receipts(
        &self,
        wallet: &Wallet,
        into: &Staked,
        others: &[Staked],
    ) -> Result<Receipt, CallError> {
        Ok(self
            .run_surely(wallet, |chain: Chain| async move {
                chain.build_join(wallet, into, others).await
            })
            .await?
            .into())
    }

    async fn build_stake(
        &self,
        wallet: &Wallet,
        node: &ObjectId,
        amount: u64,
    ) -> Result<Built, CallError> {
        let mut draft = Draft::new(self, wallet);
        let places = draft.exact_payment(amount).await?;
        let stake = StakeWithPool { node_id: *node };
        let receipt = draft.call(&call::Function::STAKE_WITH_POOL, stake.arguments(), &places)?;
        draft.keep(vec![receipt]);
        draft.finish().await
    }

    async fn build_advance(
        &self,
        wallet: &Wallet,
        steps: &[ReceiptStep],
    ) -> Result<Built, CallError> {
        let mut draft = Draft::new(self, wallet);
        let mut coins = Vec::new();
        let receipts: Vec<Staked> = steps.iter().map(|step| step.receipt().clone()).collect();
        for (step, receipt) in steps.iter().zip(draft.own_as(&receipts).await?) {
            let (function, arguments) = match step {
                ReceiptStep::Request(_) => {
                    let function = call::Function::REQUEST_WITHDRAW_STAKE;
                    (function, RequestWithdrawStake.arguments())
                }
                ReceiptStep::Withdraw(_) => {
                    (call::Function::WITHDRAW_STAKE, WithdrawStake.arguments())
                }
            };
            let places = Places { receipt: Some(receipt), ..Places::default() };
            let result = draft.call(&function, arguments, &places)?;
            if matches!(step, ReceiptStep::Withdraw(_)) {
                coins.push(result);
            }
        }
        if !coins.is_empty() {
            draft.keep(coins);
        }
        draft.finish().await
    }

    async fn build_split(
        &self,
        wallet: &Wallet,
        receipt: &Staked,
        amount: u64,
    ) -> Result<Built, CallError> {
        let mut draft = Draft::new(self, wallet);
        let receipt = draft.own_as(std::slice::from_ref(receipt)).await?.pop();
        let places = Places { receipt, ..Places::default() };
        let split = SplitStaked { amount };
        let part = draft.call(&call::Function::SPLIT_STAKED, split.arguments(), &places)?;
        draft.keep(vec![part]);
        draft.finish().await
    }

    async fn build_join(
        &self,
        wallet: &Wallet,
        into: &Staked,
        others: &[Staked],
    ) -> Result<Built, CallError> {
        let mut draft = Draft::new(self, wallet);
        let receipt = draft.own_as(std::slice::from_ref(into)).await?.pop();
        for other in draft.own_as(others).await? {
            let other_receipt = Some(other);
            let places = Places { receipt, other_receipt, ..Places::default() };
            draft.call(&call::Function::JOIN_STAKED, JoinStaked.arguments(), &places)?;
        }
        draft.finish().await
    }
}

/// What the stake side said of a transaction.
pub(super) fn stake_events(executed: &Executed) -> impl Iterator<Item = &StakeEvent> {
    executed.events.iter().filter_map(|event| match event {
        Event::Stake(event) => Some(event),
        _ => None,
    })
}
