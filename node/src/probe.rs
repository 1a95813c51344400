//! Asks a running node how it is, at its own `/healthz`.
//!
//! Promises: a question is bounded in time and in bytes; no answer is no error.
//! Does not: keep connections, or cross machines safely: nothing here is encrypted.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, Request};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// How long a node may take to say how it is.
const PATIENCE: Duration = Duration::from_secs(2);

/// A report is a few hundred bytes.
const BYTES_MAX: usize = 256 * 1024;

/// A node's answer at `/healthz`.
#[derive(Clone, Debug)]
pub struct Health(Value);

/// Something that is not well with a node, as it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What it is, always in the same words.
    pub name: String,
    /// `degraded` or `failing`.
    pub severity: String,
    /// What was found.
    pub cause: String,
    /// What to do.
    pub next_step: String,
}

impl Health {
    /// Whether all is well.
    pub fn is_ok(&self) -> bool {
        self.0["status"] == "ok"
    }

    /// Whether it does its duty, though maybe not all of it.
    pub fn serves(&self) -> bool {
        self.is_ok() || self.0["status"] == "degraded"
    }

    /// What is not well, the worst first.
    pub fn conditions(&self) -> Vec<Told> {
        let all = self.0["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let told = |condition: &Value| {
            let text = |name: &str| condition[name].as_str().unwrap_or_default().to_owned();
            Told {
                name: text("name"),
                severity: text("severity"),
                cause: text("cause"),
                next_step: text("next_step"),
            }
        };
        all.iter().map(told).collect()
    }

    /// A number it reports, by name; of a list, how long it is.
    pub fn number(&self, name: &str) -> Option<u64> {
        let value = &self.0[name];
        value.as_u64().or_else(|| value.as_array().and_then(|all| u64::try_from(all.len()).ok()))
    }

    /// A text it reports, by name.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0[name].as_str()
    }

    /// The answer as it came.
    pub fn json(&self) -> &Value {
        &self.0
    }
}

/// What brings back a blob that repair alone does not.
pub const STUCK_STEP: &str = "next: bring back the nodes that are away, each of which may have some of it; or whoever has the file \
                              runs `haulout put FILE --repair`";

/// The blobs that a node says it could not repair again and again, a few of them, each with why.
pub fn stuck(health: &Health) -> Vec<String> {
    let named = health.0["repairs"]["stuck"].as_array().map(Vec::as_slice).unwrap_or_default();
    let line = |blob: &Value| {
        let number = |name: &str| blob[name].as_u64().unwrap_or(0);
        let id = blob["blob_id"].as_str().unwrap_or("?");
        match blob["is_faulty"].as_bool().unwrap_or(false) {
            true => format!("{id}: its writer encoded it wrongly"),
            false => format!(
                "{id}: {} of {} slivers that it takes can be had",
                number("slivers_left"),
                number("slivers_needed")
            ),
        }
    };
    named.iter().map(line).collect()
}

impl From<Value> for Health {
    fn from(answer: Value) -> Self {
        Health(answer)
    }
}

/// What the node that serves HTTP here says of itself; nothing when it does not answer in time.
pub async fn health(address: SocketAddr) -> Option<Health> {
    let asked = ask(Method::GET, address, "/healthz", Bytes::new()).await.ok()?;
    serde_json::from_str(&asked).ok().map(Health)
}

/// The body of the answer to one request, whatever its status. What is sent should be JSON.
pub async fn ask(
    method: Method,
    address: SocketAddr,
    path: &str,
    body: Bytes,
) -> io::Result<String> {
    let exchange = exchange(method, dialable(address), path, body);
    match tokio::time::timeout(PATIENCE, exchange).await {
        Ok(answer) => answer.map_err(io::Error::other),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

async fn exchange(
    method: Method,
    address: SocketAddr,
    path: &str,
    body: Bytes,
) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let request = Request::builder()
        .method(method)
        .uri(format!("http://{address}{path}"))
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(body))?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.request(request).await?;
    let body = Limited::new(answer.into_body(), BYTES_MAX).collect().await?.to_bytes();
    Ok(String::from_utf8(body.into())?)
}

/// Where to ask who listens everywhere: here.
fn dialable(mut address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(it) if it.ip().is_unspecified() => {
            address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        SocketAddr::V6(it) if it.ip().is_unspecified() => {
            address.set_ip(Ipv6Addr::LOCALHOST.into());
        }
        _ => {}
    }
    address
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[test]
    fn who_listens_everywhere_is_asked_here() {
        for (listen, asked) in [
            ("0.0.0.0:9000", "127.0.0.1:9000"),
            ("[::]:9000", "[::1]:9000"),
            ("10.0.0.1:9000", "10.0.0.1:9000"),
        ] {
            assert_eq!(dialable(listen.parse().unwrap()), asked.parse().unwrap());
        }
    }

    #[test]
    fn a_number_is_a_count_or_the_length_of_a_list() {
        let health = Health::from(json!({ "status": "ok", "peers": 4, "actors": [1, 2] }));
        assert!(health.is_ok());
        let numbers = ["peers", "actors", "shards_missing"].map(|name| health.number(name));
        assert_eq!(numbers, [Some(4), Some(2), None]);
    }

    #[test]
    fn a_node_that_is_degraded_serves_and_says_why() {
        let condition = json!({
            "name": "disk full", "severity": "degraded", "cause": "0 bytes", "next_step": "make room",
        });
        let health = |status, conditions: Value| {
            Health::from(json!({ "status": status, "conditions": conditions }))
        };
        let degraded = health("degraded", json!([condition]));
        assert!(degraded.serves() && !degraded.is_ok());
        assert_eq!(degraded.conditions()[0].name, "disk full");
        assert_eq!(degraded.conditions()[0].next_step, "make room");
        assert!(!health("failing", json!([])).serves() && health("ok", json!([])).serves());
        assert!(Health::from(json!({ "status": "ok" })).conditions().is_empty());
    }

    #[tokio::test]
    async fn no_answer_is_no_error() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert!(health(address).await.is_none());
    }

    /// Answers one question with these bytes.
    async fn answering(answer: String) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut question = [0; 1024];
            assert_ne!(stream.read(&mut question).await.unwrap(), 0);
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.read(&mut question).await; // until the other side is done
        });
        address
    }

    #[tokio::test]
    async fn an_answer_in_pieces_is_put_together() {
        let pieces = "HTTP/1.1 503 Service Unavailable\r\nTransfer-Encoding: chunked\r\n\r\n\
                      c\r\n{\"status\":\"x\r\n2\r\n\"}\r\n0\r\n\r\n";
        let health = health(answering(pieces.to_owned()).await).await.unwrap();
        assert_eq!((health.text("status"), health.is_ok()), (Some("x"), false));
    }

    #[tokio::test]
    async fn an_answer_that_is_too_long_is_none() {
        let json = format!("\"{}\"", "x".repeat(BYTES_MAX));
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", json.len());
        assert!(health(answering(head + &json).await).await.is_none());
    }
}
