//! `haulout help`: the help of a command, the pages of the error table, or the words we use.

use clap::{Args, Command};
use serde_json::json;

use super::output::Output;
use crate::error::{Error, Kind, Page, Result, TABLE};
use crate::terminal;

/// The words that a newcomer meets first; the README has them with those of the inside.
static WORDS: [(&str, &str); 14] = [
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

/// Explain a command, an error (`help errors`), or one of our words (`help words`)
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  haulout help put\n  haulout help stake add\n  haulout help errors FUNDS   # or by its \
                        exit code: 9\n  haulout help words gas"
)]
pub(super) struct Help {
    /// A command, `errors` or `words` and which of them
    topic: Vec<String>,
}

impl Help {
    pub(super) fn run(&self, grammar: Command, output: &Output) -> Result<u8> {
        match self.topic.split_first() {
            Some((topic, [])) if topic == "errors" => errors(output),
            Some((topic, [])) if topic == "words" => words(output, &WORDS.each_ref()),
            Some((topic, which)) if topic == "errors" => {
                pages(output, &found(which, kinds, "error")?)
            }
            Some((topic, which)) if topic == "words" => words(output, &found(which, word, "word")?),
            _ => self.command(grammar, output)?,
        }
        Ok(0)
    }

    /// Explains a command, or what else is called so.
    fn command(&self, mut grammar: Command, output: &Output) -> Result<()> {
        grammar.build();
        let mut command = &mut grammar;
        for name in &self.topic {
            command = match command.find_subcommand_mut(name) {
                Some(found) => found,
                None => return self.other(name, output),
            };
        }
        output.text(&command.render_long_help().to_string());
        Ok(())
    }

    fn other(&self, name: &str, output: &Output) -> Result<()> {
        let topic = self.topic.as_slice();
        match (found(topic, word, "word"), found(topic, kinds, "error")) {
            (Ok(found), _) => words(output, &found),
            (_, Ok(found)) => pages(output, &found),
            _ => {
                let shown = terminal::line(name);
                return Err(Error::new(Kind::Usage, format!("there is no command `{shown}`"))
                    .hint(
                        "`haulout help` lists the commands, `haulout help words` our words, \
                     `haulout help errors` the errors",
                    ));
            }
        }
        Ok(())
    }
}

/// What is called by these names, each of which must be known.
fn found<T>(names: &[String], of: impl Fn(&str) -> Vec<T>, what: &str) -> Result<Vec<T>> {
    let mut all = Vec::new();
    for name in names {
        let mut found = of(name);
        if found.is_empty() {
            let shown = terminal::line(name);
            return Err(Error::new(Kind::Usage, format!("there is no {what} `{shown}`"))
                .hint(format!("`haulout help {what}s` lists them")));
        }
        all.append(&mut found);
    }
    Ok(all)
}

/// The word of this name, in any case.
fn word(name: &str) -> Vec<&'static (&'static str, &'static str)> {
    WORDS.iter().filter(|(word, _)| word.eq_ignore_ascii_case(name)).collect()
}

/// The error of this name, or those with this exit code.
fn kinds(name: &str) -> Vec<&'static Page> {
    let code: Option<u8> = name.parse().ok();
    let is_meant = |page: &&Page| page.name.eq_ignore_ascii_case(name) || code == Some(page.code);
    TABLE.iter().filter(is_meant).collect()
}

fn words(output: &Output, words: &[&(&str, &str)]) {
    let line = |(word, meaning): &&(&str, &str)| format!("{word:<10} {meaning}\n");
    let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let one = |(word, meaning): &&(&str, &str)| json!({ "word": word, "meaning": meaning });
    let json = json!({ "words": words.iter().map(one).collect::<Vec<_>>() });
    output.result(&json, &names.join("\n"), &words.iter().map(line).collect::<String>());
}

fn errors(output: &Output) {
    let mut people = String::from("code  kind                retry  meaning\n");
    for page in TABLE {
        let retry = if page.retryable { "yes" } else { "no" };
        let meaning = page.meaning.split(". ").next().unwrap_or_default().trim_end_matches('.');
        people.push_str(&format!("{:>4}  {:<18}  {retry:<5}  {meaning}\n", page.code, page.name));
    }
    people.push_str("\n0 means success. More: `haulout help errors KIND`, or its code\n");
    let names: Vec<&str> = TABLE.iter().map(|page| page.name).collect();
    let json = json!({ "errors": TABLE.iter().map(to_json).collect::<Vec<_>>() });
    output.result(&json, &names.join("\n"), &people);
}

/// The pages of errors; of one alone, JSON is its page and no list.
fn pages(output: &Output, pages: &[&Page]) {
    let json = match pages {
        [one] => to_json(one),
        several => {
            json!({ "errors": several.iter().map(|page| to_json(page)).collect::<Vec<_>>() })
        }
    };
    let names: Vec<&str> = pages.iter().map(|page| page.name).collect();
    let people: Vec<String> = pages.iter().map(|it| page(it)).collect();
    output.result(&json, &names.join("\n"), &people.join("\n"));
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
