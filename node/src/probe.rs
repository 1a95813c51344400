//! Asks a running node how it is, at its own `/healthz`.
//!
//! Promises: a question is bounded in time and in bytes; no answer is no error.
//! Does not: speak more of HTTP than one request on one connection, or cross machines safely:
//! nothing here is encrypted.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a node may take to say how it is.
const PATIENCE: Duration = Duration::from_secs(2);

/// A report is a few hundred bytes.
const BYTES_MAX: u64 = 256 * 1024;

/// A node's answer at `/healthz`.
#[derive(Clone, Debug)]
pub struct Health(Value);

impl Health {
    /// Whether all its actors run.
    pub fn is_ok(&self) -> bool {
        self.0["status"] == "ok"
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

impl From<Value> for Health {
    fn from(answer: Value) -> Self {
        Health(answer)
    }
}

/// What the node that serves HTTP here says of itself; nothing when it does not answer in time.
pub async fn health(address: SocketAddr) -> Option<Health> {
    let address = dialable(address);
    let request = format!("GET /healthz HTTP/1.0\r\nHost: {address}\r\n\r\n");
    let asked = tokio::time::timeout(PATIENCE, exchange(address, &request)).await.ok()?.ok()?;
    serde_json::from_str(&asked).ok().map(Health)
}

/// The body of the answer to one request. It should be HTTP/1.0, so that the answer ends with the
/// connection. Unbounded in time.
pub async fn exchange(address: SocketAddr, request: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(BYTES_MAX).read_to_string(&mut answer).await?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    body.ok_or_else(|| std::io::Error::other("an answer without a body"))
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

    #[tokio::test]
    async fn no_answer_is_no_error() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert!(health(address).await.is_none());
    }
}
