//! `haulout node set`: what a node shows of itself.
//!
//! Promises: old and new are shown before anybody agrees; all changes go in one transaction.

use clap::Args;
use haulout_actors::chain::Changed;
use serde_json::{Value, json};

use super::operator::{Held, Operator, advertised, bare, metadata, pair};
use crate::cli::Cli;
use crate::cli::output::Output;
use crate::cli::owner::{Consent, one_word};
use crate::error::Result;
use crate::stakes::{Profile, ProfileChange};
use crate::words::{label, sui};

/// Change the node's name, addresses or free text on the ledger
///
/// What is not named stays. Addresses are replaced together; texts one by one. Other nodes and
/// clients follow at once; stored data and shards do not move.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  haulout node set --name tern --dry-run\n  haulout --config \
                        node.toml node set --addresses-from-config --yes\n  haulout node set \
                        --metadata site=https://tern.example --remove-metadata mail")]
pub(in crate::cli) struct Set {
    #[command(flatten)]
    wishes: Wishes,
    #[command(flatten)]
    operator: Operator,
    #[command(flatten)]
    consent: Consent,
}

/// What shall be different, at least one thing.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct Wishes {
    /// The name for people, at most 100 bytes
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// An address others reach the node at, repeat for more; in place of all before
    #[arg(long, value_name = "MULTIADDR", conflicts_with = "addresses_from_config")]
    address: Vec<String>,
    /// Take the addresses of the configuration: network.external, else network.listen
    #[arg(long)]
    addresses_from_config: bool,
    /// Free text by topic, repeat for more
    #[arg(long, value_name = "TOPIC=TEXT", value_parser = pair)]
    metadata: Vec<(String, String)>,
    /// Take the text about a topic away, repeat for more
    #[arg(long, value_name = "TOPIC")]
    remove_metadata: Vec<String>,
}

impl Set {
    pub(in crate::cli) async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        let held = self.operator.find(cli).await?;
        let before = &held.node.profile;
        let after = before.with(&self.wishes.change(cli)?)?;
        let settings = after.settings(before)?;
        let id = held.cap.node_id.to_string();
        let text = to_text(before, &after);
        let dry_run = self.consent.dry_run;
        let json = |done: Option<&Changed>| to_json(&held, &after, dry_run, done);
        if settings.is_empty() {
            output.result(&json(None), &id, "the ledger says so already; nothing was changed\n");
        } else if dry_run {
            output.result(&json(None), &id, &text);
        } else if self.consent.given(&text, output).await? {
            let done = held.client.change_node(&held.cap, &settings).await?;
            one_word(&done.receipt);
            let gas = sui(done.receipt.gas);
            output.result(
                &json(Some(&done)),
                &id,
                &format!("✓ Changed  {text}  gas        {gas}\n"),
            );
        }
        Ok(())
    }
}

impl Wishes {
    fn change(&self, cli: &Cli) -> Result<ProfileChange> {
        let addresses = match self.addresses_from_config {
            true => Some(advertised(&[], &cli.load(Vec::new())?.client()?.network)),
            false if self.address.is_empty() => None,
            false => Some(self.address.iter().map(|address| bare(address)).collect()),
        };
        Ok(ProfileChange {
            name: self.name.clone(),
            addresses,
            texts: self.metadata.clone(),
            removed: self.remove_metadata.clone(),
        })
    }
}

fn to_json(held: &Held, after: &Profile, dry_run: bool, done: Option<&Changed>) -> Value {
    let before = &held.node.profile;
    json!({
        "dry_run": dry_run,
        "changes": before != after,
        "node_id": held.cap.node_id.to_string(),
        "before": profile_json(before),
        "after": profile_json(after),
        "epoch": done.map(|done| done.epoch),
        "gas_mist": done.map(|done| done.receipt.gas),
        "digest": done.map(|done| &done.receipt.digest),
        "only_said_by": done.and_then(|done| done.receipt.only_said_by.as_ref()),
    })
}

/// What a node shows, for programs.
fn profile_json(profile: &Profile) -> Value {
    json!({
        "name": profile.name,
        "addresses": profile.addresses,
        "metadata": metadata(&profile.metadata),
    })
}

/// What changes, for people: a minus before what was, a plus before what will be.
fn to_text(before: &Profile, after: &Profile) -> String {
    let mut text = format!("{}\n", label(&before.name));
    if before.name != after.name {
        text.push_str(&format!("  name     - {}\n", label(&before.name)));
        text.push_str(&format!("           + {}\n", label(&after.name)));
    }
    let shown = |texts: &[(String, String)]| -> Vec<String> {
        texts.iter().map(|(topic, text)| format!("{}={}", label(topic), label(text))).collect()
    };
    text.push_str(&difference("address", &before.addresses, &after.addresses));
    text.push_str(&difference("text", &shown(&before.metadata), &shown(&after.metadata)));
    text
}

/// The lines that differ between two lists, and those that stay.
fn difference(name: &str, before: &[String], after: &[String]) -> String {
    if before == after {
        return String::new();
    }
    let gone = before.iter().filter(|it| !after.contains(it)).map(|it| ('-', it));
    let rest = after.iter().map(|it| (if before.contains(it) { ' ' } else { '+' }, it));
    let line = |(at, (mark, value)): (usize, (char, &String))| {
        let name = if at == 0 { name } else { "" };
        format!("  {name:<8} {mark} {}\n", label(value))
    };
    gone.chain(rest).enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_new_are_shown_beside_what_stays() {
        let before = Profile {
            name: "tern".to_owned(),
            addresses: vec!["/ip4/10.0.0.1/tcp/1".to_owned(), "/ip4/10.0.0.2/tcp/1".to_owned()],
            metadata: vec![("site".to_owned(), "a\u{1b}[2J".to_owned())],
        };
        let mut after = before.clone();
        after.name = "gull".to_owned();
        after.addresses[0] = "/ip4/10.0.0.9/tcp/1".to_owned();
        after.metadata.clear();
        let text = to_text(&before, &after);
        let expected = "tern\n  name     - tern\n           + gull\n  address  - /ip4/10.0.0.1/tcp/1\n\
                        \x20          + /ip4/10.0.0.9/tcp/1\n             /ip4/10.0.0.2/tcp/1\n\
                        \x20 text     - site=a\\u{1b}[2J\n";
        assert_eq!(text, expected);
        assert_eq!(to_text(&before, &before), "tern\n");
    }
}
