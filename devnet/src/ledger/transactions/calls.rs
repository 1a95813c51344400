//! Move calls: from arguments of a command to a rule and back.
//!
//! Promises: arguments have the order and types written in `haulout_protocol::chain::call`; a
//! refusal is a Move abort with the rule's module and code.

mod staking;

use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::call::{CertifyBlob, Function, RegisterBlob, ReserveSpace};
use haulout_protocol::chain::object::{Blob, Coin, Params, Storage, System};
use serde::de::DeserializeOwned;
use sui_sdk_types::{Argument, CommandArgumentError, ExecutionError, MoveCall, MoveLocation};

use super::machine::{Machine, Use, at};
use crate::ledger::objects::{Resource, identifier};
use crate::ledger::rules::system;

type Results = Result<Vec<Resource>, ExecutionError>;

impl Machine<'_> {
    /// Executes a call of a function of the package.
    pub(super) fn call(&mut self, call: &MoveCall) -> Results {
        if call.package != self.names.package {
            return Err(ExecutionError::FunctionNotFound);
        }
        let (module, name) = (call.module.as_str(), call.function.as_str());
        let known = [
            (Function::RESERVE_SPACE, 6, Self::reserve_space as fn(&mut Self, Call<'_>) -> Results),
            (Function::REGISTER_BLOB, 10, Self::register_blob),
            (Function::CERTIFY_BLOB, 5, Self::certify_blob),
            (Function::REGISTER_NODE, 14, Self::register_node),
            (Function::STAKE_WITH_POOL, 4, Self::stake_with_pool),
            (Function::REQUEST_WITHDRAW_STAKE, 2, Self::request_withdraw_stake),
            (Function::WITHDRAW_STAKE, 2, Self::withdraw_stake),
            (Function::SET_STORAGE_PRICE_VOTE, 3, Self::set_storage_price_vote),
            (Function::SET_WRITE_PRICE_VOTE, 3, Self::set_write_price_vote),
            (Function::SET_NODE_CAPACITY_VOTE, 3, Self::set_node_capacity_vote),
        ];
        let found = known.iter().find(|(known, ..)| known.module == module && known.name == name);
        let (function, arity, execute) = found.ok_or(ExecutionError::FunctionNotFound)?;
        if !call.type_arguments.is_empty() {
            return Err(ExecutionError::TypeArityMismatch);
        }
        if call.arguments.len() != *arity {
            return Err(ExecutionError::ArityMismatch);
        }
        execute(self, Call { function: *function, arguments: &call.arguments })
    }

    fn reserve_space(&mut self, call: Call<'_>) -> Results {
        let arguments = ReserveSpace {
            size: call.pure(self, 1)?,
            start_epoch: call.pure(self, 2)?,
            end_epoch: call.pure(self, 3)?,
            max_total: call.pure(self, 5)?,
        };
        let mut system = call.system(self, 0, Use::Mutable)?;
        let mut payment = call.payment(self, 4)?;
        let storage =
            system::reserve_space(&mut self.context, &mut system, &arguments, &mut payment)
                .map_err(|abort| self.aborted(&call, abort))?;
        call.put_back(self, 0, Resource::System(system));
        call.put_back_payment(self, 4, payment);
        Ok(vec![Resource::Storage(storage)])
    }

    fn register_blob(&mut self, call: Call<'_>) -> Results {
        let arguments = RegisterBlob {
            blob_id: call.pure(self, 3)?,
            root: call.pure(self, 4)?,
            size: call.pure(self, 5)?,
            encoding_type: call.pure(self, 6)?,
            deletable: call.pure(self, 7)?,
            max_total: call.pure(self, 9)?,
        };
        let mut system = call.system(self, 0, Use::Mutable)?;
        let params = call.params(self, 1)?;
        let storage = call.storage(self, 2)?;
        let mut payment = call.payment(self, 8)?;
        let blob = system::register_blob(
            &mut self.context,
            &mut system,
            &params,
            storage,
            &arguments,
            &mut payment,
        )
        .map_err(|abort| self.aborted(&call, abort))?;
        call.put_back(self, 0, Resource::System(system));
        call.put_back(self, 1, Resource::Params(params));
        call.put_back_payment(self, 8, payment);
        Ok(vec![Resource::Blob(blob)])
    }

    fn certify_blob(&mut self, call: Call<'_>) -> Results {
        let arguments = CertifyBlob {
            signature: call.pure(self, 2)?,
            signers: call.pure(self, 3)?,
            message: call.pure(self, 4)?,
        };
        let system = call.system(self, 0, Use::Immutable)?;
        let mut blob = call.blob(self, 1)?;
        system::certify_blob(&mut self.context, &system, &mut blob, &arguments)
            .map_err(|abort| self.aborted(&call, abort))?;
        call.put_back(self, 0, Resource::System(system));
        call.put_back(self, 1, Resource::Blob(blob));
        Ok(Vec::new())
    }

    fn aborted(&self, call: &Call<'_>, abort: Abort) -> ExecutionError {
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

    fn storage(self, machine: &mut Machine<'_>, index: usize) -> Result<Storage, ExecutionError> {
        self.take(machine, index, Use::Value, |taken| match taken {
            Resource::Storage(object) => Some(object),
            _ => None,
        })
    }

    fn blob(self, machine: &mut Machine<'_>, index: usize) -> Result<Blob, ExecutionError> {
        self.take(machine, index, Use::Mutable, |taken| match taken {
            Resource::Blob(object) => Some(object),
            _ => None,
        })
    }

    /// The coin that pays, which must be WAL.
    fn payment(self, machine: &mut Machine<'_>, index: usize) -> Result<Coin, ExecutionError> {
        let wal = machine.names.wal.clone();
        let taken = self.take(machine, index, Use::Mutable, Some)?;
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
