//! What a staker can tell the ledger: stake comes, is asked back and is paid.
//!
//! Does not: choose the node, or know when a receipt is paid.

use super::{Argument, Function, pure};
use crate::chain::ObjectId;

impl Function {
    /// `stake_with_pool(&mut StakingInner, &Params, Coin<WAL>, node_id) -> Staked`.
    pub const STAKE_WITH_POOL: Self = Self { module: "staking", name: "stake_with_pool" };
    /// `request_withdraw_stake(&mut StakingInner, &mut Staked)`.
    pub const REQUEST_WITHDRAW_STAKE: Self =
        Self { module: "staking", name: "request_withdraw_stake" };
    /// `withdraw_stake(&mut StakingInner, Staked) -> Coin<WAL>`.
    pub const WITHDRAW_STAKE: Self = Self { module: "staking", name: "withdraw_stake" };
    /// `split(&mut Staked, &Params, amount) -> Staked`.
    pub const SPLIT_STAKED: Self = Self { module: "staked", name: "split" };
    /// `join(&mut Staked, Staked)`.
    pub const JOIN_STAKED: Self = Self { module: "staked", name: "join" };
}

/// Stakes a whole coin with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StakeWithPool {
    /// The node.
    pub node_id: ObjectId,
}

impl StakeWithPool {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        let staking = Argument::Staking { mutable: true };
        vec![staking, Argument::Params, Argument::Payment, pure(&self.node_id)]
    }
}

/// Asks stake back that is at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestWithdrawStake;

impl RequestWithdrawStake {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        vec![Argument::Staking { mutable: true }, Argument::Receipt]
    }
}

/// Ends a receipt and pays what it is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WithdrawStake;

impl WithdrawStake {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        vec![Argument::Staking { mutable: true }, Argument::Receipt]
    }
}

/// Splits a part off a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitStaked {
    /// The principal of the new receipt, in the token's smallest unit.
    pub amount: u64,
}

impl SplitStaked {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        vec![Argument::Receipt, Argument::Params, pure(&self.amount)]
    }
}

/// Joins two receipts that differ in nothing but their amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinStaked;

impl JoinStaked {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        vec![Argument::Receipt, Argument::OtherReceipt]
    }
}
