//! The faucet: money for whoever asks, over plain HTTP as Sui's own faucets speak it; `devnet faucet`
//! asks it for amounts of its own choice.
//!
//! Promises: each gift is an ordinary signed transaction of the faucet's account, sealed before
//! it is answered.
//! Does not: limit who asks or how often; this is a network on somebody's desk.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use sui_crypto::SuiSigner;
use sui_rpc::proto::sui::rpc::v2 as rpc;
use sui_sdk_types::{Address, Object, StructTag, Transaction, TypeTag};
use sui_transaction_builder::{ObjectInput, TransactionBuilder};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::genesis::FaucetAmounts;
use super::objects::coin_balance;
use super::transactions::{GAS_COST, GAS_PRICE};
use super::{Ledger, NOT_POISONED, passing};

/// What a request looks like.
#[derive(Debug, Deserialize)]
struct GasRequest {
    #[serde(rename = "FixedAmountRequest")]
    fixed_amount: FixedAmount,
}

#[derive(Debug, Deserialize)]
struct FixedAmount {
    recipient: String,
}

/// What `devnet faucet` asks for; an amount that is left out is the usual one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    recipient: String,
    sui_mist: Option<u64>,
    wal_frost: Option<u64>,
}

/// What an answer looks like.
#[derive(Debug, Serialize)]
struct GasResponse {
    status: Outcome,
    coins_sent: Option<Vec<SentCoin>>,
}

#[derive(Debug, Serialize)]
enum Outcome {
    Success,
    Failure(Failure),
}

#[derive(Debug, Serialize)]
enum Failure {
    Internal(String),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SentCoin {
    amount: u64,
    id: String,
    transfer_tx_digest: String,
}

#[derive(Clone, Debug)]
struct Faucet {
    ledger: Ledger,
    /// One gift at a time: they all spend the same two coins.
    turn: Arc<Mutex<()>>,
}

/// Serves the faucet until `stop`.
pub(super) async fn serve(
    ledger: &Ledger,
    listener: TcpListener,
    stop: CancellationToken,
) -> Result<(), std::io::Error> {
    let faucet = Faucet { ledger: ledger.clone(), turn: Arc::default() };
    let router = Router::new()
        .route("/v2/gas", post(answer))
        .route("/devnet/gift", post(answer_wanted))
        .with_state(faucet);
    let router = router.merge(passing::routes(ledger));
    tokio::select! {
        served = async { axum::serve(listener, router).await } => served,
        () = stop.cancelled() => Ok(()),
    }
}

async fn answer(
    State(faucet): State<Faucet>,
    Json(request): Json<GasRequest>,
) -> (StatusCode, Json<GasResponse>) {
    let amounts = faucet.ledger.inner.config.faucet.clone();
    gift(faucet, request.fixed_amount.recipient, amounts).await
}

async fn answer_wanted(
    State(faucet): State<Faucet>,
    Json(wanted): Json<Wanted>,
) -> (StatusCode, Json<GasResponse>) {
    let usual = &faucet.ledger.inner.config.faucet;
    let amounts = FaucetAmounts {
        sui: wanted.sui_mist.unwrap_or(usual.sui),
        wal: wanted.wal_frost.unwrap_or(usual.wal),
    };
    gift(faucet, wanted.recipient, amounts).await
}

async fn gift(
    faucet: Faucet,
    text: String,
    amounts: FaucetAmounts,
) -> (StatusCode, Json<GasResponse>) {
    let failure = |code, text| {
        let status = Outcome::Failure(Failure::Internal(text));
        (code, Json(GasResponse { status, coins_sent: None }))
    };
    let Ok(recipient) = text.parse::<Address>() else {
        return failure(StatusCode::BAD_REQUEST, format!("{text:?} is not an address"));
    };
    let turn = faucet.turn.lock_owned().await;
    let ledger = faucet.ledger;
    let given = tokio::task::spawn_blocking(move || {
        let given = give(&ledger, recipient, &amounts);
        drop(turn);
        given
    });
    match given.await {
        Ok(Ok(coins)) => {
            let response = GasResponse { status: Outcome::Success, coins_sent: Some(coins) };
            (StatusCode::OK, Json(response))
        }
        Ok(Err(text)) => {
            tracing::warn!(%recipient, reason = %text, "the faucet could not give");
            failure(StatusCode::INTERNAL_SERVER_ERROR, text)
        }
        Err(_) => failure(StatusCode::SERVICE_UNAVAILABLE, "the ledger shuts down".to_owned()),
    }
}

/// Gives one coin of each token and says which.
fn give(
    ledger: &Ledger,
    recipient: Address,
    amounts: &FaucetAmounts,
) -> Result<Vec<SentCoin>, String> {
    let key = ledger.inner.config.faucet_key();
    let transaction = transaction(ledger, key.public_key().derive_address(), recipient, amounts)?;
    let signature = key.sign_transaction(&transaction).map_err(|error| error.to_string())?;
    let executed =
        ledger.execute(transaction, vec![signature]).map_err(|error| error.to_string())?;
    if !executed.effects().status().success() {
        return Err("the faucet has not so much".to_owned());
    }
    let sent = executed
        .objects()
        .objects()
        .iter()
        .filter(|object| object.owner().address().parse() == Ok(recipient));
    let sent = sent.map(|object: &rpc::Object| SentCoin {
        amount: object.balance(),
        id: object.object_id().to_owned(),
        transfer_tx_digest: executed.digest().to_owned(),
    });
    Ok(sent.collect())
}

fn transaction(
    ledger: &Ledger,
    faucet: Address,
    recipient: Address,
    amounts: &FaucetAmounts,
) -> Result<Transaction, String> {
    let objects = ledger.inner.objects.read().expect(NOT_POISONED);
    let richest = |token: &StructTag| {
        let coin = StructTag::coin(TypeTag::Struct(Box::new(token.clone())));
        objects
            .owned_by(&faucet, Address::ZERO)
            .filter(|object| object.as_struct().is_some_and(|data| *data.object_type() == coin))
            .max_by_key(|object| coin_balance(object))
            .ok_or_else(|| "the faucet has no coin left".to_owned())
    };
    let input =
        |object: &Object| ObjectInput::owned(object.object_id(), object.version(), object.digest());
    let mut builder = TransactionBuilder::new();
    builder.set_sender(faucet);
    builder.set_gas_price(GAS_PRICE);
    builder.set_gas_budget(GAS_COST);
    builder.add_gas_objects([input(richest(&ledger.inner.names.sui)?)]);
    let sui = (builder.gas(), amounts.sui);
    let wal = (builder.object(input(richest(&ledger.inner.names.wal)?)), amounts.wal);
    let mut gifts = Vec::new();
    for (coin, amount) in [sui, wal].into_iter().filter(|(_, amount)| *amount > 0) {
        let amount = builder.pure(&amount);
        gifts.extend(builder.split_coins(coin, vec![amount]));
    }
    let recipient = builder.pure(&recipient);
    builder.transfer_objects(gifts, recipient);
    builder.try_build().map_err(|error| error.to_string())
}
