//! Lets the ledger's time pass on request, over HTTP beside the faucet.
//!
//! Promises: time only goes forward, by a bounded step, and whoever asks hears the new time after
//! a checkpoint has made it everybody's.
//! Does not: ask who wants it. A devnet's ledger serves its own machine only, and gives money away
//! to anybody, too.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::Ledger;

/// The longest step: the longest epoch there can be. Years of it would still fit a clock.
const STEP_MAX: Duration = Duration::from_secs(60 * 24 * 60 * 60);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    skip_ms: u64,
}

#[derive(Debug, Serialize)]
struct Now {
    now_ms: u64,
}

/// The routes, for the faucet's listener.
pub(super) fn routes(ledger: &Ledger) -> Router {
    Router::new().route("/devnet/time", post(skip)).with_state(ledger.clone())
}

async fn skip(
    State(ledger): State<Ledger>,
    Json(step): Json<Step>,
) -> Result<Json<Now>, (StatusCode, String)> {
    let time = Duration::from_millis(step.skip_ms);
    if time > STEP_MAX {
        let text = format!("at most {} ms can be skipped at once", STEP_MAX.as_millis());
        return Err((StatusCode::BAD_REQUEST, text));
    }
    let skipped = tokio::task::spawn_blocking(move || ledger.skip(time).map(|()| ledger.now_ms()));
    match skipped.await {
        Ok(Ok(now_ms)) => Ok(Json(Now { now_ms })),
        Ok(Err(error)) => Err((StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
        Err(_) => Err((StatusCode::SERVICE_UNAVAILABLE, "the ledger shuts down".to_owned())),
    }
}
