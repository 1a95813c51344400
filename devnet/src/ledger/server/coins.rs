//! `GetCoinInfo`: what wallets show of a token.
//!
//! Promises: the two tokens of the network are known by name, symbol and decimals; of WAL the
//! supply is the one in its treasury now.
//! Does not: keep metadata objects; there are none to point at.

use rpc::coin_treasury::SupplyState;
use sui_rpc::proto::sui::rpc::v2 as rpc;
use sui_sdk_types::{Address, StructTag, TypeTag};
use tonic::Status;

use super::{Service, parse};
use crate::ledger::NOT_POISONED;
use crate::ledger::objects::Resource;

/// Decimal places of both tokens.
const DECIMALS: u32 = 9;

impl Service {
    /// What is known of a token.
    pub(super) fn coin_info(&self, coin_type: &str) -> Result<rpc::GetCoinInfoResponse, Status> {
        let names = &self.ledger.inner.names;
        let mut response = rpc::GetCoinInfoResponse::default();
        match parse::<TypeTag>(coin_type, "a coin type")? {
            TypeTag::Struct(tag) if *tag == StructTag::sui() => {
                response.metadata = Some(metadata("Sui", "SUI"));
                response.coin_type = Some(tag.to_string());
            }
            TypeTag::Struct(tag) if *tag == names.wal => {
                response.metadata = Some(metadata("WAL Token", "WAL"));
                response.treasury = self.treasury();
                response.coin_type = Some(tag.to_string());
            }
            other => return Err(Status::not_found(format!("coin type {other} not found"))),
        }
        Ok(response)
    }

    fn treasury(&self) -> Option<rpc::CoinTreasury> {
        let inner = &self.ledger.inner;
        let objects = inner.objects.read().expect(NOT_POISONED);
        let object = objects.get(&Address::new(inner.ids.treasury.into()))?;
        let Resource::Treasury(treasury) = Resource::read(&inner.names, object)? else {
            return None;
        };
        let mut shown = rpc::CoinTreasury::default();
        shown.id = Some(Address::new(treasury.cap_id.into()).to_string());
        shown.total_supply = Some(treasury.total_supply);
        shown.set_supply_state(SupplyState::BurnOnly);
        Some(shown)
    }
}

fn metadata(name: &str, symbol: &str) -> rpc::CoinMetadata {
    let mut metadata = rpc::CoinMetadata::default();
    metadata.decimals = Some(DECIMALS);
    metadata.name = Some(name.to_owned());
    metadata.symbol = Some(symbol.to_owned());
    metadata.description = Some(String::new());
    metadata
}
