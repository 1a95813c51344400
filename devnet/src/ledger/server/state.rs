//! `StateService`: what an account owns, and what hangs on an object.

use std::collections::BTreeMap;
use std::ops::Bound;

use rpc::state_service_server::StateService;
use sui_rpc::proto::sui::rpc::v2 as rpc;
use sui_sdk_types::{Address, Object, StructTag, TypeTag};
use tonic::Request;

use super::{Answer, Service, mask, paging, parse};
use crate::ledger::NOT_POISONED;
use crate::ledger::checkpoints::object_to_rpc;

impl Service {
    /// What an account holds of every token.
    fn balances(&self, owner: &Address) -> BTreeMap<String, u64> {
        self.ledger.inner.objects.read().expect(NOT_POISONED).balances(owner)
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
        let start = paging::start(request.page_token.as_ref())?;
        let page = paging::size(request.page_size);
        let mask = mask(request.read_mask.as_ref(), "object_id,version,object_type");
        let objects = self.ledger.inner.objects.read().expect(NOT_POISONED);
        let mut found: Box<dyn Iterator<Item = &Object>> = match &filter {
            Some(filter) => objects.owned_of_type(&owner, filter, start),
            None => Box::new(objects.owned_by(&owner, start)),
        };
        let mut response = rpc::ListOwnedObjectsResponse::default();
        response.objects =
            found.by_ref().take(page).map(|object| object_to_rpc(object, &mask)).collect();
        response.next_page_token =
            found.next().map(|object| paging::token(object.object_id()).into());
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
        let request = request.into_inner();
        let owner: Address = parse(request.owner(), "an address")?;
        let start = match &request.page_token {
            Some(token) => std::str::from_utf8(token).map_err(|_| paging::bad_token())?,
            None => "",
        };
        let balances = self.balances(&owner);
        let mut rest = balances.range::<str, _>((Bound::Included(start), Bound::Unbounded));
        let page = rest.by_ref().take(paging::size(request.page_size));
        let mut response = rpc::ListBalancesResponse::default();
        response.balances = page.map(|(token, amount)| balance(token.clone(), *amount)).collect();
        response.next_page_token = rest.next().map(|(token, _)| token.clone().into());
        Ok(response.into())
    }

    async fn list_dynamic_fields(
        &self,
        request: Request<rpc::ListDynamicFieldsRequest>,
    ) -> Answer<rpc::ListDynamicFieldsResponse> {
        Ok(self.dynamic_fields(request.get_ref())?.into())
    }

    async fn get_coin_info(
        &self,
        request: Request<rpc::GetCoinInfoRequest>,
    ) -> Answer<rpc::GetCoinInfoResponse> {
        Ok(self.coin_info(request.get_ref().coin_type())?.into())
    }
}
