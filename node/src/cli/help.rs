//! `haulout help`: the help of a command, the pages of the error table, or the words we use.

use clap::{Args, Command};
use serde_json::json;

use super::output::Output;
use crate::error::{Error, Kind, Page, Result, TABLE};

/// The words that a newcomer meets first; the README has them with those of the inside.
const WORDS: [(&str, &str); 14] = [
    ("ledger", "the Sui blockchain (on a devnet: one process) that records who stores what"),
    ("wallet", "a key, and the address on the ledger that it controls and pays from"),
    ("WAL", "the token that pays for storage, and that nodes and stakers stake"),
    ("FROST", "the smallest part of a WAL: 1 WAL = 1,000,000,000 FROST"),
    ("SUI", "the ledger's own token; it pays for gas"),
    ("MIST", "the smallest part of a SUI: 1 SUI = 1,000,000,000 MIST"),
    ("gas", "what the ledger takes for executing a transaction, in SUI"),
    (
        "epoch",
        "a period of the ledger (a day on a devnet) for which the committee stays and storage is paid",
    ),
    (
        "stake",
        "WAL put behind a node; it earns rewards, and decides how many shards the node holds",
    ),
    ("committee", "the nodes that hold the shards in an epoch"),
    ("blob", "the bytes of a stored file; its id follows from them, so everybody can check them"),
    ("object", "an entry of the ledger, such as your blob: its id begins with 0x"),
    ("shard", "one of the equal parts of the network's duty; any third of them may fail"),
    ("context", "a named client configuration: which ledger, network and wallet are meant"),
];

/// Explain a command, the errors (`help errors`), or our words (`help words`)
#[derive(Debug, Args)]
pub(super) struct Help {
    /// A command (`help put`), `errors`, `errors KIND`, or `words`
    topic: Vec<String>,
}

impl Help {
    pub(super) fn run(&self, mut grammar: Command, output: &Output) -> Result<u8> {
        match self.topic.split_first() {
            Some((topic, [])) if topic == "errors" => errors(output),
            Some((topic, [])) if topic == "words" => words(output),
            Some((topic, [kind])) if topic == "errors" => {
                let kind = Kind::from_name(kind).ok_or_else(|| {
                    Error::new(Kind::Usage, format!("there is no error kind `{kind}`"))
                        .hint("`haulout help errors` lists them")
                })?;
                output.result(&to_json(kind.page()), kind.name(), &page(kind.page()));
            }
            _ => {
                grammar.build();
                let mut command = &mut grammar;
                for word in &self.topic {
                    command = command.find_subcommand_mut(word).ok_or_else(|| {
                        Error::new(Kind::Usage, format!("there is no command `{word}`"))
                            .hint("`haulout help` lists the commands")
                    })?;
                }
                output.text(&command.render_long_help().to_string());
            }
        }
        Ok(0)
    }
}

fn words(output: &Output) {
    let line = |(word, meaning): &(&str, &str)| format!("{word:<10} {meaning}\n");
    let names: Vec<&str> = WORDS.iter().map(|(word, _)| *word).collect();
    let json = json!({ "words": WORDS.iter().map(|(word, meaning)| json!({ "word": word, "meaning": meaning })).collect::<Vec<_>>() });
    output.result(&json, &names.join("\n"), &WORDS.iter().map(line).collect::<String>());
}

fn errors(output: &Output) {
    let mut people = String::from("code  kind                retry  meaning\n");
    for page in TABLE {
        let retry = if page.retryable { "yes" } else { "no" };
        let meaning = page.meaning.split(". ").next().unwrap_or_default().trim_end_matches('.');
        people.push_str(&format!("{:>4}  {:<18}  {retry:<5}  {meaning}\n", page.code, page.name));
    }
    people.push_str("\n0 means success. More: `haulout help errors KIND`\n");
    let names: Vec<&str> = TABLE.iter().map(|page| page.name).collect();
    let json = json!({ "errors": TABLE.iter().map(to_json).collect::<Vec<_>>() });
    output.result(&json, &names.join("\n"), &people);
}

fn page(page: &Page) -> String {
    let retry = if page.retryable { "can help" } else { "does not help" };
    format!(
        "{}  exit code {}\n\n{}\nTrying again, unchanged, {retry}.\n\nNext: {}\n",
        page.name, page.code, page.meaning, page.advice
    )
}

fn to_json(page: &Page) -> serde_json::Value {
    json!({
        "kind": page.name,
        "code": page.code,
        "retryable": page.retryable,
        "meaning": page.meaning,
        "advice": page.advice,
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_word_of_the_help_is_explained_in_the_readme() {
        let readme = include_str!("../../../README.md");
        let (_, words) = readme.split_once("## Words").expect("the README explains words");
        for (word, _) in super::WORDS {
            let is_row = |line: &str| {
                line.split('|')
                    .nth(1)
                    .is_some_and(|cell| cell.split(", ").any(|one| one.trim() == word))
            };
            assert!(words.lines().any(is_row), "{word}");
        }
    }
}
