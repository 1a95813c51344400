//! `devnet help`.
//!
//! Promises: a verb's help is the one of `--help`; errors and words are those of `haulout help`.
//! Does not: need a devnet.

use std::ffi::OsString;

use clap::{Args, Command};
use haulout_node::error::{Error, Kind, Result};

use super::print_help;

/// Explain a verb, an error (`help errors`), or one of our words (`help words`)
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  devnet help up\n  devnet help epoch next\n  devnet help errors DAMAGED   # or by its \
                        exit code: 16\n  devnet help words epoch"
)]
pub(super) struct Help {
    /// A verb, `errors` or `words` and which of them
    topic: Vec<String>,
}

impl Help {
    /// Explains, and returns the exit code.
    pub(super) fn run(&self, mut grammar: Command, json: bool) -> Result<u8> {
        if self.topic.first().is_some_and(|topic| topic == "errors" || topic == "words") {
            let mut arguments: Vec<OsString> = vec!["haulout".into(), "help".into()];
            arguments.extend(self.topic.iter().map(OsString::from));
            arguments.extend(json.then(|| "--json".into()));
            return Ok(haulout_node::cli::main_with(arguments));
        }
        grammar.build();
        let mut command = &mut grammar;
        for word in &self.topic {
            command = command.find_subcommand_mut(word).ok_or_else(|| {
                Error::new(Kind::Usage, format!("there is no verb {word:?}"))
                    .hint("`devnet help` lists them; `devnet help words` explains our words, `devnet help errors` the errors")
            })?;
        }
        print_help(&command.render_long_help().to_string())?;
        Ok(0)
    }
}
