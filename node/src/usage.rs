//! Refusals of the command line's parser as errors of ours.
//!
//! Promises: a refusal has the form of every other failure, for people and for programs, and names the help of the
//! verb that was typed. Does not: change what the parser takes, or say it in other words.

use std::ffi::OsString;

use clap::Command;
use clap::error::ErrorKind as ClapKind;

use crate::error::{Error, Kind};
use crate::terminal;

/// The refusal of what was typed as an error. Where nothing but a command is missing, the second part is the
/// help that lists them.
pub fn error_of(
    refusal: clap::Error,
    grammar: &Command,
    typed: &[OsString],
) -> (Error, Option<String>) {
    let is_help = refusal.kind() == ClapKind::DisplayHelpOnMissingArgumentOrSubcommand;
    let is_missing = is_help || refusal.kind() == ClapKind::MissingSubcommand;
    let text = terminal::refusal(refusal);
    let usage = text.lines().find_map(|line| line.trim().strip_prefix("Usage: "));
    let help = format!("`{}`", help_of(grammar, typed));
    if is_missing {
        let error = Error::new(Kind::Usage, "no command was given");
        return (error.hint(format!("{help} lists them")), is_help.then_some(text));
    }
    let paragraphs: Vec<String> = text.split("\n\n").map(one_line).collect();
    let message = paragraphs.first().map_or("", |first| first.trim_start_matches("error: "));
    let mut hint: String = paragraphs
        .iter()
        .filter_map(|paragraph| paragraph.strip_prefix("tip: "))
        .map(|tip| format!("{tip}; "))
        .collect();
    if let Some(usage) = usage {
        hint.push_str(&format!("usage: {usage}; "));
    }
    (Error::new(Kind::Usage, message).hint(format!("{hint}{help} explains it")), None)
}

/// The command that explains the verb that was typed: `haulout help stake add`.
fn help_of(grammar: &Command, typed: &[OsString]) -> String {
    let mut help = format!("{} help", grammar.get_name());
    let mut verb = grammar;
    for word in typed.iter().skip(1) {
        if let Some(below) = verb.find_subcommand(word) {
            help.push_str(&format!(" {}", below.get_name()));
            verb = below;
        }
    }
    help
}

/// The lines of a paragraph on one.
fn one_line(paragraph: &str) -> String {
    paragraph.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_is_that_of_the_verb_that_was_typed() {
        let grammar = Command::new("haulout")
            .subcommand(Command::new("put").alias("store"))
            .subcommand(Command::new("stake").subcommand(Command::new("add")));
        for (typed, help) in [
            ("haulout put f --epochs 0", "haulout help put"),
            ("/bin/haulout --json store", "haulout help put"),
            ("haulout stake add -z", "haulout help stake add"),
            ("haulout add", "haulout help"),
            ("", "haulout help"),
        ] {
            let typed: Vec<OsString> = typed.split(' ').map(OsString::from).collect();
            assert_eq!(help_of(&grammar, &typed), help);
        }
    }
}
