//! `StateService`: what an account owns.

use std::collections::BTreeMap;

use rpc::state_service_server::StateService;
use sui_rpc::proto::sui::rpc::v2 as rpc;
use sui_sdk_types::{Address, StructTag, TypeTag};
use tonic::{Request, Status};

use super::{Answer, Service, mask, parse};
use crate::ledger::NOT_POISONED;
use crate::ledger::checkpoints::object_to_rpc;
use crate::ledger::objects::coin_balance;

/// Objects of a page if nobody says how many.
const PAGE_OBJECTS: u32 = 50;
/// The most objects of a page.
const PAGE_OBJECTS_MAX: u32 = 1000;

/// Whether a type is one a filter asks for; a filter without type parameters takes any.
fn matches(filter: &StructTag, tag: &StructTag) -> bool {
    filter.address() == tag.address()
        && filter.module() == tag.module()
        && filter.name() == tag.name()
        && (filter.type_params().is_empty() || filter.type_params() == tag.type_params())
}

impl Service {
    /// What an account holds of every token.
    fn balances(&self, owner: &Address) -> BTreeMap<String, u64> {
        let objects = self.ledger.inner.objects.read().expect(NOT_POISONED);
        let mut balances: BTreeMap<String, u64> = BTreeMap::new();
        for object in objects.owned_by(owner, Address::ZERO) {
            let token = object.as_struct().and_then(|data| data.object_type().is_coin());
            if let (Some(token), Some(balance)) = (token, coin_balance(object)) {
                let sum = balances.entry(token.to_string()).or_default();
                *sum = sum.saturating_add(balance);
            }
        }
        balances
    }
}

fn balance(coin_type: String, amount: u64) -> rpc::Balance {
    let mut balance = rpc::Balance::default();
    balance.coin_type = Some(coin_type);
    balance.balance = Some(amount);
    balance.address_balance = Some(0);
    balance.coin_balance = Some(amount);
    balance
}

#[tonic::async_trait]
impl StateService for Service {
    async fn list_owned_objects(
        &self,
        request: Request<rpc::ListOwnedObjectsRequest>,
    ) -> Answer<rpc::ListOwnedObjectsResponse> {
        let request = request.into_inner();
        let owner: Address = parse(request.owner(), "an address")?;
        let filter = match request.object_type.as_deref() {
            Some(text) => Some(parse::<StructTag>(text, "an object type")?),
            None => None,
        };
        let start = match &request.page_token {
            Some(token) => Address::from_bytes(token)
                .map_err(|_| Status::invalid_argument("this is not a page token of this ledger"))?,
            None => Address::ZERO,
        };
        let page = request.page_size.unwrap_or(PAGE_OBJECTS).clamp(1, PAGE_OBJECTS_MAX);
        let page = usize::try_from(page).expect("a page fits a usize");
        let mask = mask(request.read_mask.as_ref(), "object_id,version,object_type");
        let objects = self.ledger.inner.objects.read().expect(NOT_POISONED);
        let mut found = objects.owned_by(&owner, start).filter(|object| match &filter {
            Some(filter) => object.as_struct().is_some_and(|it| matches(filter, it.object_type())),
            None => true,
        });
        let mut response = rpc::ListOwnedObjectsResponse::default();
        response.objects =
            found.by_ref().take(page).map(|object| object_to_rpc(object, &mask)).collect();
        response.next_page_token =
            found.next().map(|object| object.object_id().inner().to_vec().into());
        Ok(response.into())
    }

    async fn get_balance(
        &self,
        request: Request<rpc::GetBalanceRequest>,
    ) -> Answer<rpc::GetBalanceResponse> {
        let request = request.into_inner();
        let owner: Address = parse(request.owner(), "an address")?;
        let coin_type = parse::<TypeTag>(request.coin_type(), "a coin type")?.to_string();
        let amount = self.balances(&owner).remove(&coin_type).unwrap_or_default();
        let mut response = rpc::GetBalanceResponse::default();
        response.balance = Some(balance(coin_type, amount));
        Ok(response.into())
    }

    async fn list_balances(
        &self,
        request: Request<rpc::ListBalancesRequest>,
    ) -> Answer<rpc::ListBalancesResponse> {
        let owner: Address = parse(request.into_inner().owner(), "an address")?;
        let balances = self.balances(&owner).into_iter();
        let mut response = rpc::ListBalancesResponse::default();
        response.balances = balances.map(|(token, amount)| balance(token, amount)).collect();
        Ok(response.into())
    }
}
