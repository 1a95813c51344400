//! Move calls: from arguments of a command to a rule and back.
//!
//! Promises: arguments have the order and types written in `haulout_protocol::chain::call`; a
//! refusal is a Move abort with the rule's module and code.

mod blobs;
mod certificates;
mod epochs;
mod nodes;
mod receipts;
mod space;
mod staking;
mod token;

use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::call::Function;
use haulout_protocol::chain::object::{Blob, Coin, Params, Storage, System, Treasury};
use serde::de::DeserializeOwned;
use sui_sdk_types::{Argument, CommandArgumentError, ExecutionError, MoveCall, MoveLocation};

use super::machine::{Machine, Use, at};
use crate::ledger::identifiers::identifier;
use crate::ledger::objects::Resource;

type Results = Result<Vec<Resource>, ExecutionError>;
/// A function, how many arguments it has, and what executes it.
type Known = (Function, usize, fn(&mut Machine<'_>, Call<'_>) -> Results);

const KNOWN: [Known; 48] = [
    (Function::RESERVE_SPACE, 6, space::reserve_space),
    (Function::SPLIT_BY_EPOCH, 2, space::split_by_epoch),
    (Function::SPLIT_BY_SIZE, 2, space::split_by_size),
    (Function::FUSE_STORAGE, 2, space::fuse),
    (Function::DESTROY_STORAGE, 1, space::destroy),
    (Function::REGISTER_BLOB, 10, blobs::register_blob),
    (Function::EXTEND_BLOB, 5, blobs::extend_blob),
    (Function::EXTEND_BLOB_WITH_RESOURCE, 3, blobs::extend_blob_with_resource),
    (Function::DELETE_BLOB, 2, blobs::delete_blob),
    (Function::BURN_BLOB, 2, blobs::burn_blob),
    (Function::ADD_METADATA, 1, blobs::add_metadata),
    (Function::SET_METADATA_PAIR, 3, blobs::set_metadata_pair),
    (Function::REMOVE_METADATA_PAIR, 2, blobs::remove_metadata_pair),
    (Function::TAKE_METADATA, 1, blobs::take_metadata),
    (Function::CERTIFY_BLOB, 5, certificates::certify_blob),
    (Function::INVALIDATE_BLOB_ID, 4, certificates::invalidate_blob_id),
    (Function::SET_PROTOCOL_VERSION, 4, certificates::set_protocol_version),
    (Function::ADD_SUBSIDY, 3, token::add_subsidy),
    (Function::BURN_WAL, 2, token::burn),
    (Function::REGISTER_NODE, 14, staking::register_node),
    (Function::STAKE_WITH_POOL, 4, staking::stake_with_pool),
    (Function::REQUEST_WITHDRAW_STAKE, 2, staking::request_withdraw_stake),
    (Function::WITHDRAW_STAKE, 2, staking::withdraw_stake),
    (Function::SET_STORAGE_PRICE_VOTE, 3, staking::set_storage_price_vote),
    (Function::SET_WRITE_PRICE_VOTE, 3, staking::set_write_price_vote),
    (Function::SET_NODE_CAPACITY_VOTE, 3, staking::set_node_capacity_vote),
    (Function::VOTING_END, 4, epochs::voting_end),
    (Function::EPOCH_CHANGE, 5, epochs::epoch_change),
    (Function::EPOCH_SYNC_DONE, 4, epochs::epoch_sync_done),
    (Function::FORCE_SYNC_DONE, 3, epochs::force_sync_done),
    (Function::UPDATE_PRICES, 3, epochs::update_prices),
    (Function::SETTLE, 2, staking::settle),
    (Function::COLLECT_COMMISSION, 2, staking::collect_commission),
    (Function::COLLECT_COMMISSION_AS_SENDER, 2, nodes::collect_commission_as_sender),
    (Function::SET_NEXT_COMMISSION, 3, nodes::set_next_commission),
    (Function::SET_COMMISSION_RECEIVER, 4, nodes::set_commission_receiver),
    (Function::SET_COMMISSION_RECEIVER_AS_SENDER, 4, nodes::set_commission_receiver_as_sender),
    (Function::SET_GOVERNANCE_AUTHORIZED, 4, nodes::set_governance_authorized),
    (Function::SET_GOVERNANCE_AUTHORIZED_AS_SENDER, 4, nodes::set_governance_authorized_as_sender),
    (Function::SET_NAME, 3, nodes::set_name),
    (Function::SET_MULTIADDRS, 3, nodes::set_multiaddrs),
    (Function::SET_NODE_METADATA, 3, nodes::set_node_metadata),
    (Function::ROTATE_BLS, 5, nodes::rotate_bls),
    (Function::ROTATE_PEER, 5, nodes::rotate_peer),
    (Function::REQUEST_EXIT, 2, staking::request_exit),
    (Function::WITHDRAW_BOND, 2, staking::withdraw_bond),
    (Function::SPLIT_STAKED, 3, receipts::split),
    (Function::JOIN_STAKED, 2, receipts::join),
];

impl Machine<'_> {
    /// Executes a call of a function of the package.
    pub(super) fn call(&mut self, call: &MoveCall) -> Results {
        if call.package != self.names.package {
            return Err(ExecutionError::FunctionNotFound);
        }
        let (module, name) = (call.module.as_str(), call.function.as_str());
        let found = KNOWN.iter().find(|(known, ..)| known.module == module && known.name == name);
        let (function, arity, execute) = found.ok_or(ExecutionError::FunctionNotFound)?;
        if !call.type_arguments.is_empty() {
            return Err(ExecutionError::TypeArityMismatch);
        }
        if call.arguments.len() != *arity {
            return Err(ExecutionError::ArityMismatch);
        }
        execute(self, Call { function: *function, arguments: &call.arguments })
    }

    fn aborted(&self, call: Call<'_>, abort: Abort) -> ExecutionError {
        let location = MoveLocation {
            package: self.names.package,
            module: identifier(abort.module()),
            function: 0,
            instruction: 0,
            function_name: Some(identifier(call.function.name)),
        };
        ExecutionError::MoveAbort { location, code: abort.code() }
    }
}

/// A call whose number of arguments is right.
#[derive(Clone, Copy)]
struct Call<'a> {
    function: Function,
    arguments: &'a [Argument],
}

impl Call<'_> {
    fn pure<T: DeserializeOwned>(
        self,
        machine: &Machine<'_>,
        index: usize,
    ) -> Result<T, ExecutionError> {
        machine.pure(self.arguments[index]).map_err(|kind| at(index, kind))
    }

    /// Takes an object and checks its type.
    fn take<T>(
        self,
        machine: &mut Machine<'_>,
        index: usize,
        usage: Use,
        typed: fn(Resource) -> Option<T>,
    ) -> Result<T, ExecutionError> {
        let taken = machine.take(self.arguments[index], usage).map_err(|kind| at(index, kind))?;
        typed(taken).ok_or(at(index, CommandArgumentError::TypeMismatch))
    }

    fn system(
        self,
        machine: &mut Machine<'_>,
        index: usize,
        usage: Use,
    ) -> Result<System, ExecutionError> {
        self.take(machine, index, usage, |taken| match taken {
            Resource::System(object) => Some(object),
            _ => None,
        })
    }

    fn params(self, machine: &mut Machine<'_>, index: usize) -> Result<Params, ExecutionError> {
        self.take(machine, index, Use::Immutable, |taken| match taken {
            Resource::Params(object) => Some(object),
            _ => None,
        })
    }

    fn treasury(self, machine: &mut Machine<'_>, index: usize) -> Result<Treasury, ExecutionError> {
        self.take(machine, index, Use::Mutable, |taken| match taken {
            Resource::Treasury(object) => Some(object),
            _ => None,
        })
    }

    fn storage(
        self,
        machine: &mut Machine<'_>,
        index: usize,
        usage: Use,
    ) -> Result<Storage, ExecutionError> {
        self.take(machine, index, usage, |taken| match taken {
            Resource::Storage(object) => Some(object),
            _ => None,
        })
    }

    fn blob(
        self,
        machine: &mut Machine<'_>,
        index: usize,
        usage: Use,
    ) -> Result<Blob, ExecutionError> {
        self.take(machine, index, usage, |taken| match taken {
            Resource::Blob(object) => Some(object),
            _ => None,
        })
    }

    /// The coin that pays, which must be WAL.
    fn payment(
        self,
        machine: &mut Machine<'_>,
        index: usize,
        usage: Use,
    ) -> Result<Coin, ExecutionError> {
        let wal = machine.names.wal.clone();
        let taken = self.take(machine, index, usage, Some)?;
        match taken {
            Resource::Coin { token, coin } if token == wal => Ok(coin),
            _ => Err(at(index, CommandArgumentError::TypeMismatch)),
        }
    }

    fn put_back(self, machine: &mut Machine<'_>, index: usize, object: Resource) {
        machine.put_back(self.arguments[index], object);
    }

    fn put_back_payment(self, machine: &mut Machine<'_>, index: usize, coin: Coin) {
        let token = machine.names.wal.clone();
        self.put_back(machine, index, Resource::Coin { token, coin });
    }
}
