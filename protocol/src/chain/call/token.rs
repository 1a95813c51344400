//! Calls that give WAL away.
//!
//! Does not: say which of its arguments the caller owns.

use super::{Argument, pure};

/// `add_subsidy(&mut System, Coin<WAL>, epochs)`: spread over the current epoch and those after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddSubsidy {
    /// Over how many epochs.
    pub epochs: u32,
}

impl AddSubsidy {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        vec![Argument::System { mutable: true }, Argument::Payment, pure(&self.epochs)]
    }
}

/// `burn(&mut Treasury, Coin<WAL>)`: out of the supply, for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BurnWal;

impl BurnWal {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        vec![Argument::Treasury, Argument::Payment]
    }
}
