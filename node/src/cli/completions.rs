//! `haulout completions`: what a shell needs to complete verbs and flags.
//!
//! Promises: the script knows every verb and flag of this very program. Does not: install it.

use clap::{Args, Command};
use clap_complete::Shell;

use super::output::Output;
use crate::error::Result;

/// Print a script that completes verbs and flags in your shell
#[derive(Debug, Args)]
#[command(after_help = "Install it once:\n  \
                        bash  mkdir -p ~/.local/share/bash-completion/completions\n        \
                        haulout completions bash > ~/.local/share/bash-completion/completions/haulout\n  \
                        zsh   haulout completions zsh > \"${fpath[1]}/_haulout\"\n  \
                        fish  haulout completions fish > ~/.config/fish/completions/haulout.fish")]
pub(super) struct Completions {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self, grammar: Command, output: &Output) -> Result<u8> {
        output.text(&script(self.shell, grammar));
        Ok(0)
    }
}

/// The script of a program with this grammar; its name is the grammar's.
pub(super) fn script(shell: Shell, mut grammar: Command) -> String {
    let name = grammar.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut grammar, name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
