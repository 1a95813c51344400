//! Values as people write them: ids, addresses, periods, lists.
//!
//! Promises: a value that parses is usable; a message says what to write instead.
//! Does not: resolve names or connect to anything.

use std::str::FromStr;
use std::time::Duration;

use haulout_actors::limits;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::crypto::PeerId;
use haulout_protocol::machine::ledger_history::TrustedCheckpoint;
use serde::de::{Deserialize, Deserializer, Error as _};

use crate::periods;

/// Implements `Deserialize` by `FromStr` with a text message.
macro_rules! from_text {
    ($($name:ident)*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    )*};
}

from_text!(Id Address Bootstrap Period Prefer Size Trusted Url);

/// What lies on the ledger, as [`ObjectId`] reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Id(pub(super) ObjectId);

impl FromStr for Id {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |_| format!("`{text}` is not an object id: write 0x and 1 to 64 hex digits");
        text.parse().map(Self).map_err(wrong)
    }
}

/// A period of time: a number and `ms`, `s`, `m` or `h`, or several of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Period(pub(super) Duration);

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match periods::parse(text) {
            None => Err(format!(
                "`{text}` is not a period: write a number and ms, s, m or h, as in \"30s\""
            )),
            Some(Duration::ZERO) => Err(format!("`{text}` must be longer than nothing")),
            Some(period) => Ok(Self(period)),
        }
    }
}

/// How often something is to be done: a period, which may be in days of 24 hours, or `0` for never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Recurrence(pub(super) Duration);

impl FromStr for Recurrence {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        let days = || DAY.checked_mul(text.trim().strip_suffix('d')?.trim_end().parse().ok()?);
        match text.trim() {
            "0" => Ok(Self(Duration::ZERO)),
            _ => days().or_else(|| periods::parse(text)).map(Self).ok_or_else(|| {
                format!(
                    "`{text}` does not say how often: write a number and s, m, h or d, as in \"14d\", or \
                     \"0\" for never"
                )
            }),
        }
    }
}

/// A small number, which variables and flags give as a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count(pub(super) u16);

impl FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |_| format!("`{text}` is not a number from 0 to {}", u16::MAX);
        text.trim().parse().map(Self).map_err(wrong)
    }
}

/// Implements `Deserialize` by `FromStr` of a text, or of a number as it is written.
macro_rules! from_text_or_number {
    ($($name:ident $expected:literal)*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[derive(serde::Deserialize)]
                #[serde(untagged, expecting = $expected)]
                enum Form {
                    Text(String),
                    Number(u64),
                }
                let text = match Form::deserialize(deserializer)? {
                    Form::Text(text) => text,
                    Form::Number(number) => number.to_string(),
                };
                text.parse().map_err(D::Error::custom)
            }
        }
    )*};
}

from_text_or_number! {
    Recurrence "expected a text as in \"14d\", or 0"
    Count "expected a number"
}

/// A number of bytes: a number and `B`, `KiB`, `MiB`, `GiB`, `TiB`, or the decimal `kB` to `TB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is not a size: write a number and B, KiB, MiB, GiB or TiB, as in \"64MiB\""
            )
        };
        let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let count: u64 = text[..split].parse().map_err(|_| wrong())?;
        let unit: u64 = match text[split..].trim_start() {
            "B" => 1,
            "kB" => 1000,
            "MB" => 1000_u64.pow(2),
            "GB" => 1000_u64.pow(3),
            "TB" => 1000_u64.pow(4),
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "TiB" => 1 << 40,
            _ => return Err(wrong()),
        };
        count.checked_mul(unit).map(Self).ok_or_else(wrong)
    }
}

/// Which transport to try first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prefer {
    /// QUIC first, TCP when it fails.
    #[default]
    Quic,
    /// TCP first.
    Tcp,
}

impl FromStr for Prefer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "quic" => Ok(Self::Quic),
            "tcp" => Ok(Self::Tcp),
            _ => Err(format!("`{text}` is not a transport: write \"quic\" or \"tcp\"")),
        }
    }
}

/// The address of a gRPC server.
#[derive(Clone, Debug)]
pub(super) struct Url(pub(super) String);

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        match host {
            Some(host) if !host.is_empty() && !host.contains(is_no_part_of_a_url) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(format!("`{text}` is not a URL: write it as in \"http://127.0.0.1:9000\"")),
        }
    }
}

fn is_no_part_of_a_url(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

/// The servers of one ledger, each named once. Two names of one server would be two voices.
#[derive(Clone, Debug)]
pub(super) struct Servers(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for Servers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let List(urls) = List::<Url>::deserialize(deserializer)?;
        Self::of(urls).map_err(D::Error::custom)
    }
}

impl Servers {
    fn of(urls: Vec<Url>) -> Result<Self, String> {
        let mut servers: Vec<String> = Vec::new();
        for Url(url) in urls {
            let url = url.trim_end_matches('/').to_owned();
            if servers.contains(&url) {
                return Err(format!("`{url}` is named twice: leave one out"));
            }
            servers.push(url);
        }
        match servers.len() {
            0 => Err("no server is named: write one as in \"http://127.0.0.1:9000\", or several in a list"
                .to_owned()),
            1..=limits::CHAIN_SERVERS_MAX => Ok(Self(servers)),
            count => Err(format!(
                "{count} servers are named: write {} at most",
                limits::CHAIN_SERVERS_MAX
            )),
        }
    }
}

/// The servers of one ledger, if a configuration may name them so.
pub(crate) fn servers(urls: &[String]) -> Result<Vec<String>, String> {
    let urls: Result<Vec<Url>, String> = urls.iter().map(|url| url.parse()).collect();
    Ok(Servers::of(urls?)?.0)
}

/// A multiaddr of a peer to start from, if it is one that says who listens there.
pub(crate) fn bootstrap(text: &str) -> Result<String, String> {
    Ok(text.parse::<Bootstrap>()?.0)
}

/// A multiaddr to listen on or to be reached at, if it is one.
pub(crate) fn address(text: &str) -> Result<String, String> {
    Ok(text.parse::<Address>()?.0)
}

/// A checkpoint of the ledger that the operator vouches for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trusted(pub(super) TrustedCheckpoint);

impl FromStr for Trusted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |error| format!("`{text}` is not a checkpoint: {error}");
        text.parse().map(Self).map_err(wrong)
    }
}

/// A multiaddr to listen on or to be reached at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address(pub(super) String);

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        check_address(text)?;
        Ok(Self(text.to_owned()))
    }
}

/// A multiaddr that says who listens there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bootstrap(pub(super) String);

impl FromStr for Bootstrap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if check_address(text)? {
            return Ok(Self(text.to_owned()));
        }
        Err(format!(
            "`{text}` does not say who listens there: append the peer id, as in \
             `{}/p2p/12D3KooW...` (a node prints it when it starts)",
            text.trim_end_matches('/')
        ))
    }
}

/// Checks the shape of a multiaddr and says whether it names a peer at its end.
fn check_address(text: &str) -> Result<bool, String> {
    let wrong = |reason: &str| {
        format!(
            "`{text}` is not an address ({reason}): write it as in \
             \"/ip4/203.0.113.7/udp/31416/quic-v1\""
        )
    };
    let mut parts = text.strip_prefix('/').ok_or_else(|| wrong("it must begin with /"))?.split('/');
    let mut names_peer = false;
    while let Some(protocol) = parts.next() {
        names_peer = false;
        let mut value = || {
            parts
                .next()
                .filter(|value| !value.is_empty())
                .ok_or_else(|| wrong(&format!("a value is missing after {protocol}")))
        };
        let valid = match protocol {
            "ip4" => value()?.parse::<std::net::Ipv4Addr>().is_ok(),
            "ip6" => value()?.parse::<std::net::Ipv6Addr>().is_ok(),
            "dns" | "dns4" | "dns6" | "dnsaddr" => value()?.is_ascii(),
            "tcp" | "udp" => value()?.parse::<u16>().is_ok(),
            "quic-v1" => true,
            "p2p" => {
                names_peer = true;
                value()?.parse::<PeerId>().is_ok()
            }
            _ => return Err(wrong(&format!("`{protocol}` is not supported"))),
        };
        if !valid {
            return Err(wrong(&format!("the value of {protocol} is malformed")));
        }
    }
    Ok(names_peer)
}

/// A list, or one text with commas (as environment variables and flags write it).
#[derive(Clone, Debug)]
pub(super) struct List<T>(pub(super) Vec<T>);

impl<'de, T: FromStr<Err = String>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged, expecting = "expected a list of texts")]
        enum Form {
            Many(Vec<String>),
            One(String),
        }
        let texts = match Form::deserialize(deserializer)? {
            Form::Many(texts) => texts,
            Form::One(text) => text
                .split(',')
                .map(|part| part.trim().to_owned())
                .filter(|p| !p.is_empty())
                .collect(),
        };
        texts
            .iter()
            .map(|text| text.parse().map_err(D::Error::custom))
            .collect::<Result<_, _>>()
            .map(List)
    }
}
