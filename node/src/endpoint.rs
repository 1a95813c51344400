//! The HTTP side of a node: metrics, health, liveness. Meant for the operator, on loopback.
//!
//! Promises: answers come from memory, so they arrive while actors restart; `/healthz` is 503 as
//! soon as one actor is not running, or something else is not well, and says what and what to do.
//! Does not: serve blobs, or change anything.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use haulout_actors::context::Context;
use haulout_actors::supervisor::{ChildState, Health};
use haulout_actors::tree::Tree;
use haulout_actors::trust::Condition;
use haulout_protocol::machine::epoch_change::Holding;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::error::Result;
use crate::ports;

/// OpenMetrics text, as scrapers know it.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the endpoint tells about.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) tree: Tree,
    pub(crate) context: Context,
}

/// Takes the port; nothing is served yet.
pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .map_err(|error| ports::not_bound(&format!("http://{address}"), error))
}

/// Serves until `stop` is cancelled.
pub(crate) async fn serve(listener: TcpListener, subject: Subject, stop: CancellationToken) {
    let routes = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics))
        .with_state(subject);
    let served = axum::serve(listener, routes)
        .with_graceful_shutdown(async move { stop.cancelled().await })
        .await;
    if let Err(error) = served {
        tracing::warn!(%error, "the http endpoint ended");
    }
}

async fn metrics(State(subject): State<Subject>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, METRICS_TYPE)], subject.context.metrics.encode())
}

async fn healthz(State(subject): State<Subject>) -> impl IntoResponse {
    let (health, conditions) = (subject.tree.health(), subject.context.trust.conditions());
    let status = status(&health, &conditions);
    let code = if status == "ok" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, axum::Json(report(&subject, status, &health, &conditions)))
}

/// How the node is in one word: an actor that does not run is worse than anything from outside.
fn status(health: &[Health], conditions: &[Condition]) -> &'static str {
    match (is_well(health), conditions.is_empty()) {
        (true, true) => "ok",
        (true, false) => "degraded",
        (false, _) => "failing",
    }
}

fn report(subject: &Subject, status: &str, health: &[Health], conditions: &[Condition]) -> Value {
    let position = subject.context.position.current();
    let network = subject.tree.network();
    let peer_id = network.identity();
    let peers = network.peers().borrow().connected.len();
    json!({
        "status": status,
        "conditions": conditions.iter().map(condition).collect::<Vec<_>>(),
        "version": env!("CARGO_PKG_VERSION"),
        "peer_id": peer_id.to_string(),
        "node_id": position.node_of(&peer_id).map(|node| node.to_string()),
        "network": subject.context.network.to_string(),
        "epoch": position.epoch.0,
        "checkpoint": position.checkpoint,
        "shards": position.shards_of(&peer_id).len(),
        "shards_missing": missing(subject),
        "peers": peers,
        "actors": health.iter().map(actor).collect::<Vec<_>>(),
    })
}

/// How many shards the node was given and does not have; nothing while its store cannot tell.
fn missing(subject: &Subject) -> Option<usize> {
    let shards = subject.context.store.shards().ok()?;
    Some(shards.values().filter(|holding| **holding != Holding::Held).count())
}

fn condition(condition: &Condition) -> Value {
    json!({
        "name": condition.name,
        "cause": condition.cause,
        "next_step": condition.next_step,
    })
}

fn actor(health: &Health) -> Value {
    let state = match health.state {
        ChildState::Running => "running",
        ChildState::Waiting => "waiting",
        ChildState::Stopped => "stopped",
    };
    let mut actor = json!({ "name": health.name, "state": state, "restarts": health.restarts });
    if !health.children.is_empty() {
        actor["children"] = health.children.iter().map(self::actor).collect();
    }
    actor
}

/// Whether every actor runs.
fn is_well(health: &[Health]) -> bool {
    health.iter().all(|child| child.state == ChildState::Running && is_well(&child.children))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child(state: ChildState, children: Vec<Health>) -> Health {
        Health { name: "child".into(), state, restarts: 0, children }
    }

    #[test]
    fn one_resting_actor_anywhere_makes_the_node_unwell() {
        let well = child(ChildState::Running, vec![child(ChildState::Running, vec![])]);
        let unwell = child(ChildState::Running, vec![child(ChildState::Waiting, vec![])]);
        assert!(is_well(std::slice::from_ref(&well)));
        assert!(!is_well(&[well, unwell]));
    }

    #[test]
    fn whatever_is_not_well_is_not_ok() {
        let well = [child(ChildState::Running, vec![])];
        let unwell = [child(ChildState::Stopped, vec![])];
        let text = String::new();
        let condition = [Condition { name: "ledger forked", cause: text.clone(), next_step: text }];
        assert_eq!(status(&well, &[]), "ok");
        assert_eq!(status(&well, &condition), "degraded");
        assert_eq!(status(&unwell, &[]), "failing");
        assert_eq!(status(&unwell, &condition), "failing");
    }
}
