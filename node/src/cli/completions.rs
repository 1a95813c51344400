//! The completions of a program: what a shell needs to complete its verbs and flags.
//!
//! Promises: the script knows every verb and flag of the grammar it is made from, and the topics of its `help`.
//! Does not: install the script, or know which program it is for.

use clap::{Args, Command};
use clap_complete::Shell;

/// What `help` explains beside verbs.
const TOPICS: [(&str, &str); 2] = [
    ("errors", "All kinds of failure and their exit codes"),
    ("words", "WAL, gas, epoch and others"),
];

/// Print a script that completes verbs and flags in your shell
#[derive(Debug, Args)]
pub struct Completions {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    /// The script of a program with this grammar; its name is the grammar's.
    pub fn script(&self, grammar: Command) -> String {
        let name = grammar.get_name().to_owned();
        let mut script = Vec::new();
        let mut grammar = with_topics(grammar);
        clap_complete::generate(self.shell, &mut grammar, name, &mut script);
        String::from_utf8_lossy(&script).into_owned()
    }
}

/// How to install the completions of a program, for each shell: lines to paste.
pub fn install(program: &str) -> String {
    format!(
        "Install it once; new shells have it:\n\n\
         bash (with the package bash-completion)\n  \
         mkdir -p ~/.local/share/bash-completion/completions\n  \
         {program} completions bash > ~/.local/share/bash-completion/completions/{program}\n\n\
         zsh\n  \
         mkdir -p ~/.zfunc\n  \
         {program} completions zsh > ~/.zfunc/_{program}\n  \
         grep -qs zfunc ~/.zshrc || echo 'fpath=(~/.zfunc $fpath); autoload -Uz compinit; compinit' >> ~/.zshrc\n\n\
         fish\n  \
         mkdir -p ~/.config/fish/completions\n  \
         {program} completions fish > ~/.config/fish/completions/{program}.fish"
    )
}

/// The grammar with everything that `help` explains as a verb below it: that is what all shells complete. Only for
/// scripts: a parser that knew these verbs would not hand them to `help`.
fn with_topics(grammar: Command) -> Command {
    let Some(help) = grammar.find_subcommand("help") else { return grammar };
    let help = Command::new("help").about(help.get_about().cloned().unwrap_or_default());
    // fish takes a verb that is on the line for chosen, and `help` always is.
    let is_topic = |verb: &&Command| !verb.is_hide_set() && verb.get_name() != "help";
    let verbs = grammar.get_subcommands().filter(is_topic).cloned();
    let others = TOPICS.map(|(name, about)| Command::new(name).about(about));
    let topics = verbs.chain(others).map(|topic| {
        topic.mut_args(|flag| flag.hide(true)).disable_help_flag(true).disable_help_subcommand(true)
    });
    let help = help.disable_help_subcommand(true).subcommands(topics.collect::<Vec<_>>());
    grammar.mut_subcommand("help", |_| help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_every_shell_are_those_of_the_program() {
        for program in ["haulout", "devnet"] {
            let lines = install(program);
            for shell in ["bash", "zsh", "fish"] {
                assert!(lines.contains(&format!("{program} completions {shell} > ~/")), "{lines}");
            }
        }
    }
}
