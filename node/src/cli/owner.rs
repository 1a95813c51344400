//! What verbs that change something share: naming what is meant, and asking before anything changes.
//!
//! Promises: without `--yes` nothing changes unless a person at a terminal agreed.
//! Does not: know what is agreed to.

use std::io::{self, IsTerminal};

use clap::Args;
use haulout_actors::chain::Receipt;
use haulout_protocol::blob::BlobId;
use haulout_protocol::chain::ObjectId;
use serde_json::{Value, json};

use super::output::{self, Output};
use crate::error::{Error, Kind, Result};
use crate::holdings::{Skipped, Target};
use crate::terminal;

/// Which blob is meant: all objects the wallet has for a blob id, or one object.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Which {
    /// The blob's id: all objects the wallet has for it
    #[arg(allow_hyphen_values = true, value_name = "ID")]
    id: Option<String>,
    /// One blob object, as `haulout ls` prints it
    #[arg(long, value_name = "OBJECT")]
    object: Option<String>,
}

/// Whether to ask, and whether to do anything at all.
#[derive(Debug, Default, Args)]
pub(super) struct Consent {
    /// Only show what would be done
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Do not ask
    #[arg(long, short, conflicts_with = "dry_run")]
    yes: bool,
}

impl Which {
    /// What the user named; an id that begins with `0x` is an object's. `command` is what was typed, in backticks and
    /// with `ID` in its place.
    pub(super) fn target(&self, command: &str) -> Result<Target> {
        let object = |text: &str| {
            let without_flag = command.replace("ID", text);
            let of_blob = format!("{without_flag} means all objects you have for it");
            parse_object(text, "`haulout ls`", &of_blob).map(Target::Object)
        };
        match (&self.object, &self.id) {
            (Some(text), _) => object(text),
            (None, Some(id)) if id.starts_with("0x") && id.len() == 66 => object(id),
            (None, Some(id)) => super::parse_id(id, command).map(Target::Blob),
            (None, None) => Err(Error::new(Kind::Usage, "neither a blob id nor --object is given")),
        }
    }
}

impl Consent {
    /// Refuses where nobody could agree. What was asked for is checked before: a mistake in it is told first.
    pub(super) fn check(&self, output: &Output) -> Result<()> {
        let can_ask = io::stdin().is_terminal() && output.is_for_people();
        if self.dry_run || self.yes || can_ask {
            return Ok(());
        }
        Err(Error::new(Kind::Usage, "this needs your consent, and nobody can be asked here")
            .hint("--dry-run shows what it would do, --yes does it without asking"))
    }

    /// Whether to go on: shows what will happen and asks, unless `--yes` was given.
    pub(super) async fn given(&self, what: &str, output: &Output) -> Result<bool> {
        self.check(output)?;
        if self.yes {
            return Ok(true);
        }
        output::note(what.trim_end());
        output::ask("Continue? [y/N] ");
        let agreed = agreed().await?;
        if !agreed {
            output::note("Nothing was changed.");
        }
        Ok(agreed)
    }
}

/// Says so if what was done is the word of one of several servers only.
pub(super) fn one_word(receipt: &Receipt) {
    if let Some(word) = told_by_one(receipt) {
        output::note(&word);
    }
}

fn told_by_one(receipt: &Receipt) -> Option<String> {
    let server = terminal::line(receipt.only_said_by.as_ref()?);
    Some(format!(
        "warning: only {server} says that this is done, no other server of chain.rpc and no signature bears it out; look before \
         you do it again: `haulout ls`, `haulout stake ls`, `haulout storage ls` and `haulout node show` say what is so, and \
         more surely without {server} in chain.rpc"
    ))
}

/// Waits for a person's answer to the question just asked.
pub(super) async fn agreed() -> Result<bool> {
    let answer = super::blocking(|| {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map_err(|error| {
            Error::new(Kind::File, "cannot read the answer from stdin").because(error)
        })?;
        Ok(line)
    });
    Ok(is_yes(&answer.await?))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

/// The object id in an argument; `list` is the command that lists such objects, in backticks, and `of_blob` says what to do with the id of
/// a blob.
pub(super) fn parse_object(text: &str, list: &str, of_blob: &str) -> Result<ObjectId> {
    text.parse().map_err(|_| {
        let hint = match text.parse::<BlobId>() {
            Ok(_) => format!("this is a blob's id: {of_blob}"),
            Err(_) => format!("an object id is 0x and 64 hex digits; {list} lists them"),
        };
        let shown = terminal::line(text);
        Error::new(Kind::Usage, format!("`{shown}` is not an object id")).hint(hint)
    })
}

/// Objects that are left as they are, for programs.
pub(super) fn skipped_json(skipped: &Skipped) -> Value {
    let one = |(id, error): &(ObjectId, Error)| json!({ "object_id": id.to_string(), "kind": error.kind().name(), "reason": error.message() });
    skipped.iter().map(one).collect()
}

/// Objects that are left as they are, for people.
pub(super) fn skipped_text(skipped: &Skipped) -> String {
    let line = |(_, error): &(ObjectId, Error)| {
        format!("  left alone: {}\n", terminal::line(&error.message()))
    };
    skipped.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_consent() {
        assert!(is_yes("y\n") && is_yes(" YES \r\n"));
        for answer in ["", "\n", "n\n", "yep", "no"] {
            assert!(!is_yes(answer), "{answer:?}");
        }
    }

    #[test]
    fn what_only_one_of_several_servers_says_is_told_as_its_word() {
        let receipt = |only_said_by| {
            let (digest, checkpoint, gas) = ("D".to_owned(), None, 1);
            told_by_one(&Receipt { digest, checkpoint, gas, only_said_by })
        };
        assert_eq!(receipt(None), None);
        let told = receipt(Some("http://one".to_owned())).unwrap();
        assert!(told.contains("only http://one says") && told.contains("`haulout ls`"), "{told}");
    }

    #[tokio::test]
    async fn nothing_is_changed_where_nobody_can_be_asked() {
        let output = Output::of_parser(true);
        let consent = |dry_run, yes| Consent { dry_run, yes };
        let refused = consent(false, false).given("a change", &output).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Usage);
        let hint = refused.next_step();
        assert!(hint.contains("--yes") && hint.contains("--dry-run"), "{hint}");
        assert!(consent(false, true).given("a change", &output).await.unwrap());
    }

    #[test]
    fn an_id_with_0x_is_an_object_and_any_other_a_blob() {
        let of =
            |id: &str| Which { id: Some(id.to_owned()), object: None }.target("`haulout rm ID`");
        let hex = format!("0x{}", "ab".repeat(32));
        assert_eq!(of(&hex).unwrap(), Target::Object(ObjectId::from_bytes([0xab; 32])));
        assert!(matches!(of(&"A".repeat(43)).unwrap(), Target::Blob(_)));
        // A blob id may begin with 0x, too.
        assert!(matches!(of(&format!("0x{}", "A".repeat(41))).unwrap(), Target::Blob(_)));
        let object = |text: &str| {
            let which = Which { id: None, object: Some(text.to_owned()) };
            which.target("`haulout rm ID`").expect_err("no 0x")
        };
        assert_eq!(object("12").kind(), Kind::Usage);
        assert!(object("12").next_step().ends_with("`haulout ls` lists them"));
        let blob = "A".repeat(43);
        let hint = format!("this is a blob's id: `haulout rm {blob}` means all objects");
        assert!(object(&blob).next_step().starts_with(&hint), "{}", object(&blob).next_step());
    }
}
