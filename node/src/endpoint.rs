//! The HTTP side of a node: metrics, health, liveness. Meant for the operator, on loopback.
//!
//! Promises: answers come from memory, so they arrive while actors restart; `/healthz` says what is not well, why, and what
//! to do, and is 503 then, unless only strangers feel it: they cannot have a node restarted. `/metrics` names the same;
//! whoever connects and says nothing keeps nobody out, and no request takes more memory than a page.
//! Does not: serve blobs, or change anything.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use haulout_actors::context::Context;
use haulout_actors::supervisor::{ChildState, Health};
use haulout_actors::tree::Tree;
use haulout_actors::vitals::{self, Scrubbing, Vitals};
use haulout_protocol::machine::conditions::{self, Condition, Severity};
use haulout_protocol::machine::reachability::{DoorSeen, Reachability};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::checks;
use crate::error::Result;
use crate::ports;

/// OpenMetrics text, as scrapers know it.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Connections at once; the oldest makes room. Scrapers and operators need a few.
const VISITS_MAX: usize = 64;
/// How long a visitor may take to say what it wants.
const REQUEST_WITHIN: Duration = Duration::from_secs(5);
/// How long one connection may last in all: metrics are some hundred kilobytes.
const VISIT_WITHIN: Duration = Duration::from_secs(30);
/// Most bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// The pause after a connection could not be accepted: files have run out, and some will be closed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

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
    receive(listener, routes, stop).await;
}

/// Serves whoever comes, one request each, until `stop` is cancelled.
async fn receive(listener: TcpListener, routes: Router, stop: CancellationToken) {
    let mut visits: VecDeque<AbortOnDropHandle<()>> = VecDeque::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the http endpoint could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        visits.retain(|visit| !visit.is_finished());
        while visits.len() >= VISITS_MAX {
            visits.pop_front();
        }
        visits.push_back(AbortOnDropHandle::new(tokio::spawn(visit(stream, routes.clone()))));
    }
}

async fn visit(stream: TcpStream, routes: Router) {
    let mut server = auto::Builder::new(TokioExecutor::new()).http1_only();
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_WITHIN)
        .max_buf_size(HEAD_BYTES_MAX)
        .keep_alive(false);
    let service = TowerToHyperService::new(routes);
    let served = server.serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(VISIT_WITHIN, served).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a visit to the http endpoint failed"),
        Err(_) => tracing::debug!("a visit to the http endpoint took too long"),
    }
}

impl Subject {
    /// What is not well now; the metrics say the same from here on.
    pub(crate) fn conditions(&self) -> Vec<Condition> {
        let conditions = vitals::conditions(&self.context, &self.tree);
        self.context.metrics.set_conditions(&conditions);
        conditions
    }
}

async fn metrics(State(subject): State<Subject>) -> impl IntoResponse {
    subject.conditions();
    ([(header::CONTENT_TYPE, METRICS_TYPE)], subject.context.metrics.encode())
}

async fn healthz(State(subject): State<Subject>) -> impl IntoResponse {
    let conditions = subject.conditions();
    (code(&conditions), axum::Json(report(&subject, &conditions)))
}

/// How the node is in one word.
fn status(conditions: &[Condition]) -> &'static str {
    conditions::severity(conditions).map_or("ok", Severity::as_str)
}

fn code(conditions: &[Condition]) -> StatusCode {
    match conditions::is_ready(conditions) {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn report(subject: &Subject, conditions: &[Condition]) -> Value {
    let position = subject.context.position.current();
    let network = subject.tree.network();
    let peer_id = network.identity();
    let (peers, members, away) = {
        let peers = network.peers();
        let peers = peers.borrow();
        let others = position.committee.members().iter().map(|member| member.peer_id);
        let (connected, away): (Vec<_>, Vec<_>) =
            others.filter(|other| *other != peer_id).partition(|other| peers.is_connected(other));
        let away_names: Vec<String> = away.iter().map(ToString::to_string).collect();
        (peers.connected.len(), (connected.len(), connected.len() + away.len()), away_names)
    };
    json!({
        "status": status(conditions),
        "conditions": conditions.iter().map(condition).collect::<Vec<_>>(),
        "version": env!("CARGO_PKG_VERSION"),
        "peer_id": peer_id.to_string(),
        "node_id": position.node_of(&peer_id).map(|node| node.to_string()),
        "network": subject.context.network.to_string(),
        "epoch": position.epoch.0,
        "checkpoint": position.checkpoint,
        "shards": position.shards_of(&peer_id).len(),
        "shards_missing": subject.context.vitals.shards_missing(position.epoch),
        "repairs": repairs(&subject.context.vitals),
        "scrub": scrub(subject.context.scrub_every, &subject.context.vitals.scrubbing()),
        "reachability": subject.context.vitals.reachability().as_ref().map(reachability),
        "disk": subject.context.vitals.disk().map(|(free, reserve)| json!({
            "free_bytes": free,
            "kept_free_bytes": reserve,
        })),
        "peers": peers,
        "members": members.1,
        "members_connected": members.0,
        "members_away": away,
        "actors": subject.tree.health().iter().map(actor).collect::<Vec<_>>(),
    })
}

fn repairs(vitals: &Vitals) -> Value {
    let (repairs, missing, (stuck, named)) = (vitals.repairs(), vitals.missing(), vitals.stuck());
    let named = named.iter().map(|(blob, stuck)| {
        json!({
            "blob_id": blob.to_string(),
            "slivers_left": stuck.have,
            "slivers_needed": stuck.needed,
            "is_faulty": stuck.is_faulty,
        })
    });
    json!({
        "stuck_blobs": stuck,
        "stuck": named.collect::<Vec<_>>(),
        "missing_blobs": missing.blobs,
        "missing_pairs": missing.pairs,
        "seconds_left": missing.left.map(|left| left.as_secs().max(1)),
        "complete": repairs.complete_at.is_some(),
        "complete_at": repairs.complete_at,
        "incomplete_blobs": repairs.incomplete,
        "repaired_pairs": repairs.pairs,
        "received_bytes": repairs.received_bytes,
    })
}

/// How far what is stored was read again since the node started.
fn scrub(every: Duration, scrubbing: &Scrubbing) -> Value {
    json!({
        "every_s": every.as_secs_f64(),
        "tour": f64::from(u32::try_from(scrubbing.tour_per_mille).unwrap_or(1000)) / 1000.0,
        "tours": scrubbing.tours,
        "last_tour_ms": scrubbing.last_tour_ms,
        "read_bytes": scrubbing.read_bytes,
        "rotten": scrubbing.rotten,
        "unreadable": scrubbing.unreadable,
    })
}

/// What peers found that were asked to dial this node back.
fn reachability(found: &Reachability) -> Value {
    let door = |seen: &DoorSeen| {
        json!({
            "door": checks::door_name(seen.door),
            "reached": seen.reached,
            "tried": seen.tried,
            "failure": checks::door_failure(seen),
        })
    };
    json!({
        "asked": found.asked.len(),
        "seen_at": found.seen_at().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "doors": found.doors.iter().map(door).collect::<Vec<_>>(),
    })
}

fn condition(condition: &Condition) -> Value {
    json!({
        "name": condition.name.as_str(),
        "severity": condition.name.severity().as_str(),
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

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use bytes::Bytes;
    use haulout_protocol::machine::conditions::Name;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::probe;

    #[tokio::test]
    async fn visitors_that_say_nothing_keep_nobody_out() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().route("/livez", get(async || "ok\n"));
        let stop = CancellationToken::new();
        let served = tokio::spawn(receive(listener, routes, stop.clone()));
        let mut silent = Vec::new();
        for _ in 0..2 * VISITS_MAX {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let asked = probe::ask(Method::GET, address, "/livez", Bytes::new()).await.unwrap();
        assert_eq!(asked, "ok\n");
        let (mut said, first) = (Vec::new(), &mut silent[0]);
        assert_eq!(first.read_to_end(&mut said).await.unwrap_or(0), 0, "the oldest had to go");
        stop.cancel();
        served.await.unwrap();
    }

    #[tokio::test]
    async fn a_request_that_is_all_head_is_not_read_to_its_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().route("/livez", get(async || "ok\n"));
        tokio::spawn(receive(listener, routes, CancellationToken::new()));
        let mut visitor = TcpStream::connect(address).await.unwrap();
        let head = format!("GET /livez HTTP/1.1\r\nname: {}", "x".repeat(4 * HEAD_BYTES_MAX));
        let _ = visitor.write_all(head.as_bytes()).await; // it may be cut off in the middle
        let mut said = String::new();
        let _ = visitor.read_to_string(&mut said).await;
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 431"), "{said}");
    }

    #[test]
    fn whatever_is_not_well_is_not_ok() {
        let text = String::new;
        let condition = |name, only_strangers| Condition {
            name,
            cause: text(),
            next_step: text(),
            only_strangers,
        };
        let forked = condition(Name::LedgerForked, false);
        let down = condition(Name::PartsDown, false);
        let crowd = condition(Name::StrangersRefused, true);
        for (conditions, expected) in [
            (vec![], ("ok", 200)),
            (vec![crowd.clone()], ("degraded", 200)),
            (vec![crowd, forked.clone()], ("degraded", 503)),
            (vec![forked.clone()], ("degraded", 503)),
            (vec![down.clone()], ("failing", 503)),
            (vec![down, forked], ("failing", 503)),
        ] {
            assert_eq!((status(&conditions), code(&conditions).as_u16()), expected);
        }
    }
}
