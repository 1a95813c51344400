//! What may be paid for gas: the server that tries a transaction chooses the payment, within these bounds.
//!
//! Promises: nothing is signed by which a server could have more burnt than the work can be worth, or have somebody else
//! named as the one who pays. Does not: know what gas costs now; the ledger refuses what is too little.

use haulout_protocol::chain::amount::Token;
use sui_sdk_types::{Address, GasPayment, TransactionKind};

use crate::limits;

/// Why a payment for gas is not signed, after "the ledger at ... says"; nothing if it is within bounds.
pub(super) fn objection(
    payment: &GasPayment,
    payer: &Address,
    kind: &TransactionKind,
) -> Option<String> {
    let GasPayment { owner, price, budget, .. } = payment;
    if owner != payer {
        return Some(format!("that {owner} pays for gas, which the wallet {payer} is to pay"));
    }
    let most = limits::CHAIN_GAS_PRICE_MAX;
    if *price > most {
        return Some(format!(
            "that a unit of gas is to be paid with {price} MIST, which is more than the {most} that are ever paid"
        ));
    }
    let most = budget_max(kind);
    (*budget > most).then(|| {
        let [asked, most] = [*budget, most].map(|mist| Token::Sui.amount(mist));
        format!("that this transaction needs up to {asked} for gas, which is more than the {most} it can be worth")
    })
}

/// The most that a transaction may take for gas, in MIST.
fn budget_max(kind: &TransactionKind) -> u64 {
    let parts = match kind {
        TransactionKind::ProgrammableTransaction(commands) => {
            commands.commands.len().saturating_add(commands.inputs.len())
        }
        _ => 0,
    };
    let parts = u64::try_from(parts).unwrap_or(u64::MAX);
    let of_parts = limits::CHAIN_GAS_BUDGET_EACH_MAX.saturating_mul(parts);
    limits::CHAIN_GAS_BUDGET_BASE_MAX.saturating_add(of_parts)
}

#[cfg(test)]
mod tests {
    use sui_sdk_types::{Input, ProgrammableTransaction};

    use super::*;

    fn kind(inputs: usize) -> TransactionKind {
        let inputs = vec![Input::Pure(Vec::new()); inputs];
        let commands = Vec::new();
        TransactionKind::ProgrammableTransaction(ProgrammableTransaction { inputs, commands })
    }

    #[test]
    fn a_payment_for_gas_is_signed_up_to_its_bounds_and_no_further() {
        let payer = Address::new([1; 32]);
        let (price, budget) = (limits::CHAIN_GAS_PRICE_MAX, limits::CHAIN_GAS_BUDGET_BASE_MAX);
        let most = GasPayment { objects: Vec::new(), owner: payer, price, budget };
        assert_eq!(objection(&most, &payer, &kind(0)), None);
        let dear = GasPayment { price: price + 1, ..most.clone() };
        assert!(objection(&dear, &payer, &kind(9)).unwrap().contains("10001 MIST"));
        let large = GasPayment { budget: budget + 1, ..most.clone() };
        assert!(objection(&large, &payer, &kind(0)).unwrap().contains("needs up to"));
        assert_eq!(objection(&large, &payer, &kind(1)), None, "a larger transaction costs more");
        let other = GasPayment { owner: Address::new([2; 32]), ..most };
        assert!(objection(&other, &payer, &kind(0)).unwrap().contains("is to pay"));
    }
}
