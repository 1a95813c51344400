//! What a node shows of itself: its name, its addresses and free text.
//!
//! Promises: what the ledger would refuse is refused before, and so is an address that nobody can
//! dial, although the ledger would take it; a change tells the ledger only what differs.
//! Does not: dial, or judge what an operator did not ask to change.

use std::collections::BTreeSet;

use haulout_actors::network;
use haulout_protocol::chain::call::NodeSetting;
use haulout_protocol::chain::object::Entry;
use haulout_protocol::chain::object::staking::Pool;
use haulout_protocol::rules::limits::{
    ADDRESS_BYTES_MAX, ADDRESSES_MAX, NAME_BYTES_MAX, TEXT_BYTES_MAX, TEXTS_MAX, TOPIC_BYTES_MAX,
};

use crate::error::{Error, Kind, Result};
use crate::words::label;

/// What a node shows of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// The name, as its operator chose it.
    pub name: String,
    /// Where others reach it, without the peer id.
    pub addresses: Vec<String>,
    /// Free text by topic.
    pub metadata: Vec<(String, String)>,
}

/// What is to become different; what is not named stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileChange {
    /// The new name.
    pub name: Option<String>,
    /// All addresses, in place of those before.
    pub addresses: Option<Vec<String>>,
    /// Texts to add, or to put in place of those of the same topic.
    pub texts: Vec<(String, String)>,
    /// Topics to take away.
    pub removed: Vec<String>,
}

impl Profile {
    /// What the ledger says.
    pub fn of(pool: &Pool) -> Profile {
        let address = |bytes: &Vec<u8>| {
            network::address_from_bytes(bytes)
                .unwrap_or_else(|| format!("(no address: 0x{})", hex::encode(bytes)))
        };
        let pairs = pool.node.metadata.iter();
        Profile {
            name: pool.node.name.clone(),
            addresses: pool.node.multiaddrs.iter().map(address).collect(),
            metadata: pairs.map(|pair| (pair.key.clone(), pair.value.clone())).collect(),
        }
    }

    /// The same with a change, or why the ledger would not have it.
    pub fn with(&self, change: &ProfileChange) -> Result<Profile> {
        let mut profile = self.clone();
        if let Some(name) = &change.name {
            check_name(name)?;
            profile.name.clone_from(name);
        }
        if let Some(addresses) = &change.addresses {
            check_addresses(addresses)?;
            profile.addresses = addresses.iter().map(|it| canonical(it)).collect::<Result<_>>()?;
        }
        check_topics(&change.texts)?;
        for topic in &change.removed {
            let before = profile.metadata.len();
            profile.metadata.retain(|(known, _)| known != topic);
            if profile.metadata.len() == before {
                let message = format!("the node has no text about `{}`", label(topic));
                return Err(
                    Error::new(Kind::Usage, message).hint("`haulout node show` lists its texts")
                );
            }
        }
        for (topic, text) in &change.texts {
            match profile.metadata.iter_mut().find(|(known, _)| known == topic) {
                Some(pair) => pair.1.clone_from(text),
                None => profile.metadata.push((topic.clone(), text.clone())),
            }
        }
        check_texts(&profile.metadata)?;
        Ok(profile)
    }

    /// What the ledger must be told so that `before` becomes this.
    pub fn settings(&self, before: &Profile) -> Result<Vec<NodeSetting>> {
        let mut settings = Vec::new();
        if self.name != before.name {
            settings.push(NodeSetting::Name(self.name.clone()));
        }
        if self.addresses != before.addresses {
            let bytes = self.addresses.iter().map(|address| network::address_to_bytes(address));
            settings.push(NodeSetting::Multiaddrs(bytes.collect::<Result<_, _>>()?));
        }
        if self.metadata != before.metadata {
            let pairs = self.metadata.iter().cloned();
            let pairs = pairs.map(|(key, value)| Entry { key, value }).collect();
            settings.push(NodeSetting::Metadata(pairs));
        }
        Ok(settings)
    }
}

/// An address as the ledger gives it back.
fn canonical(address: &str) -> Result<String> {
    let bytes = network::address_to_bytes(address)?;
    Ok(network::address_from_bytes(&bytes).unwrap_or_else(|| address.to_owned()))
}

/// Refuses a name that is none or too long.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let is_wrong = name.trim().is_empty() || name.chars().any(char::is_control);
    if is_wrong || name.len() > NAME_BYTES_MAX {
        let message =
            format!("a node's name has 1 to {NAME_BYTES_MAX} bytes and no control characters");
        return Err(Error::new(Kind::Usage, message)
            .hint("give one with --name; `node register` also reads node.name"));
    }
    Ok(())
}

/// Refuses addresses that the ledger or the peers could not use.
pub(super) fn check_addresses(addresses: &[String]) -> Result<()> {
    let count = addresses.len();
    if !(1..=ADDRESSES_MAX).contains(&count) {
        let message = format!("a node has 1 to {ADDRESSES_MAX} addresses, not {count}");
        return Err(Error::new(Kind::Config, message)
            .hint("set network.external, or give --address once for each"));
    }
    for address in addresses {
        if let Some(fault) = fault_of(address)? {
            let message = format!("{} {fault}", label(address));
            return Err(Error::new(Kind::Config, message).hint(
                "set network.external to the address others reach you at, or give --address",
            ));
        }
    }
    Ok(())
}

/// Why nobody can dial an address, or why the ledger refuses it.
fn fault_of(address: &str) -> Result<Option<String>> {
    let parts: Vec<&str> = address.split('/').collect();
    if parts.iter().any(|part| matches!(*part, "0.0.0.0" | "::")) {
        return Ok(Some("names no place that others could dial".to_owned()));
    }
    if parts.windows(2).any(|it| matches!(it, ["udp" | "tcp", "0"])) {
        return Ok(Some("names no port that others could dial".to_owned()));
    }
    if let Some(protocol) = foreign_protocol(&parts) {
        return Ok(Some(format!("names `{protocol}`, which the ledger does not take")));
    }
    let bytes = network::address_to_bytes(address)?.len();
    let is_long = bytes > ADDRESS_BYTES_MAX;
    Ok(is_long.then(|| format!("has {bytes} bytes, more than {ADDRESS_BYTES_MAX}")))
}

/// The first protocol of an address that the ledger does not know.
fn foreign_protocol<'a>(parts: &[&'a str]) -> Option<&'a str> {
    let mut parts = parts.iter().skip(1);
    while let Some(protocol) = parts.next() {
        match *protocol {
            "ip4" | "ip6" | "tcp" | "udp" | "dns" | "dns4" | "dns6" | "dnsaddr" => {
                parts.next();
            }
            "quic" | "quic-v1" | "tls" | "https" | "http" | "ws" | "wss" | "webtransport" => {}
            other => return Some(other),
        }
    }
    None
}

/// Refuses texts that are too many or too long, or two about one topic.
pub(super) fn check_texts(texts: &[(String, String)]) -> Result<()> {
    let usage = |message: String| {
        Err(Error::new(Kind::Usage, message)
            .hint("keep it short, and link to more: --metadata site=https://tern.example"))
    };
    if texts.len() > TEXTS_MAX {
        return usage(format!("a node has {TEXTS_MAX} texts at most, not {}", texts.len()));
    }
    for (topic, text) in texts {
        if topic.len() > TOPIC_BYTES_MAX || text.len() > TEXT_BYTES_MAX {
            let topic = label(topic);
            return usage(format!(
                "the text about `{topic}` is too long: {TOPIC_BYTES_MAX} bytes for the topic and \
                 {TEXT_BYTES_MAX} for the text at most"
            ));
        }
    }
    check_topics(texts)
}

/// Refuses two texts about one topic.
fn check_topics(texts: &[(String, String)]) -> Result<()> {
    let mut seen = BTreeSet::new();
    match texts.iter().find(|(topic, _)| !seen.insert(topic)) {
        None => Ok(()),
        Some((topic, _)) => {
            let message = format!("there are two texts about `{}`", label(topic));
            Err(Error::new(Kind::Usage, message).hint("give each topic once"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stakes::sample_book;
    use crate::stakes::samples::pool_mut;

    const QUIC: &str = "/ip4/203.0.113.7/udp/31416/quic-v1";

    fn pair(topic: &str, text: &str) -> (String, String) {
        (topic.to_owned(), text.to_owned())
    }

    fn profile() -> Profile {
        let texts = vec![pair("site", "https://tern.example"), pair("region", "fsn")];
        Profile { name: "tern".to_owned(), addresses: vec![QUIC.to_owned()], metadata: texts }
    }

    #[test]
    fn a_change_tells_the_ledger_only_what_differs() {
        let before = profile();
        let change = ProfileChange {
            name: Some("tern".to_owned()),
            addresses: Some(vec![QUIC.to_owned()]),
            texts: vec![pair("region", "hel"), pair("mail", "a@b")],
            removed: vec!["site".to_owned()],
        };
        let after = before.with(&change).unwrap();
        assert_eq!(after.metadata, [pair("region", "hel"), pair("mail", "a@b")]);
        let settings = after.settings(&before).unwrap();
        assert!(matches!(settings.as_slice(), [NodeSetting::Metadata(pairs)] if pairs.len() == 2));
        assert!(before.settings(&before).unwrap().is_empty());
        let renamed = ProfileChange { name: Some("gull".to_owned()), ..ProfileChange::default() };
        let settings = before.with(&renamed).unwrap().settings(&before).unwrap();
        assert_eq!(settings, [NodeSetting::Name("gull".to_owned())]);
    }

    #[test]
    fn what_the_ledger_or_the_peers_could_not_use_is_refused() {
        let long = "x".repeat(257);
        let addresses = |list: &[&str]| ProfileChange {
            addresses: Some(list.iter().map(|it| (*it).to_owned()).collect()),
            ..ProfileChange::default()
        };
        let name = |name: &str| ProfileChange { name: Some(name.to_owned()), ..Default::default() };
        let texts = |texts: Vec<_>| ProfileChange { texts, ..Default::default() };
        let cases = [
            (name(" "), "name has 1 to 100"),
            (name(&long), "name has 1 to 100"),
            (addresses(&[]), "1 to 8 addresses, not 0"),
            (addresses(&[QUIC; 9]), "1 to 8 addresses, not 9"),
            (addresses(&["/ip6/::/udp/1/quic-v1"]), "no place"),
            (addresses(&["/ip4/1.2.3.4/udp/0/quic-v1"]), "no port"),
            (addresses(&["/memory/7"]), "`memory`, which the ledger does not take"),
            (addresses(&[&format!("/dns/{long}/tcp/1")]), "more than 256"),
            (texts(vec![pair("note", &long)]), "`note` is too long"),
            (texts(vec![pair(&long, "")]), "is too long"),
            (texts(vec![pair("a", "1"), pair("a", "2")]), "two texts about `a`"),
            (texts((0..15).map(|at| pair(&at.to_string(), "")).collect()), "not 17"),
            (ProfileChange { removed: vec!["x".to_owned()], ..Default::default() }, "no text"),
        ];
        for (change, said) in cases {
            let refused = profile().with(&change).unwrap_err();
            assert!(refused.message().contains(said), "{said}: {refused}");
        }
        assert!(profile().with(&addresses(&["tern.example"])).is_err(), "no multiaddr at all");
    }

    #[test]
    fn an_address_of_the_ledger_that_is_none_is_shown_as_such() {
        let mut book = sample_book();
        let pool = pool_mut(&mut book.staking, 1);
        pool.node.multiaddrs = vec![vec![0xff, 0xff]];
        assert_eq!(Profile::of(pool).addresses, ["(no address: 0xffff)"]);
    }
}
