//! `devnet help`.
//!
//! Promises: a verb's help is the one of `--help`; errors and words are those of `haulout help`.
//! Does not: need a devnet.

use std::ffi::OsString;

use clap::{Args, Command};
use haulout_node::error::{Error, Kind};

use super::{fail, print_text};

/// Explain a verb, the errors (`help errors`), or our words (`help words`)
#[derive(Debug, Args)]
pub(super) struct Help {
    /// A verb (`help up`, `help epoch next`), `errors`, `errors KIND`, or `words`
    topic: Vec<String>,
}

impl Help {
    /// Explains, and returns the exit code.
    pub(super) fn run(&self, mut grammar: Command, json: bool) -> u8 {
        if self.topic.first().is_some_and(|topic| topic == "errors" || topic == "words") {
            let mut arguments: Vec<OsString> = vec!["haulout".into(), "help".into()];
            arguments.extend(self.topic.iter().map(OsString::from));
            arguments.extend(json.then(|| "--json".into()));
            return haulout_node::cli::main_with(arguments);
        }
        grammar.build();
        let mut command = &mut grammar;
        for word in &self.topic {
            command = match command.find_subcommand_mut(word) {
                Some(found) => found,
                None => {
                    let error = Error::new(Kind::Usage, format!("there is no verb {word:?}"));
                    return fail(&error.hint("`devnet help` lists them"), json, str::to_owned);
                }
            };
        }
        match print_text(&command.render_long_help().to_string()) {
            Ok(()) => 0,
            Err(lost) => lost.kind().exit_code(),
        }
    }
}
