//! `haulout help`: the help of a command, or the pages of the error table.

use clap::{Args, Command};
use serde_json::json;

use super::output::Output;
use crate::error::{Error, Kind, Page, Result, TABLE};

/// Explain a command, or the errors: `help errors`
#[derive(Debug, Args)]
pub(super) struct Help {
    /// A command (`help put`), `errors`, or `errors KIND`
    topic: Vec<String>,
}

impl Help {
    pub(super) fn run(&self, mut grammar: Command, output: &Output) -> Result<u8> {
        match self.topic.split_first() {
            Some((topic, [])) if topic == "errors" => errors(output),
            Some((topic, [kind])) if topic == "errors" => {
                let kind = Kind::from_name(kind).ok_or_else(|| {
                    Error::new(Kind::Usage, format!("there is no error kind `{kind}`"))
                        .hint("haulout help errors")
                })?;
                output.result(&to_json(kind.page()), kind.name(), &page(kind.page()));
            }
            _ => {
                grammar.build();
                let mut command = &mut grammar;
                for word in &self.topic {
                    command = command.find_subcommand_mut(word).ok_or_else(|| {
                        Error::new(Kind::Usage, format!("there is no command `{word}`"))
                            .hint("haulout help")
                    })?;
                }
                output.text(&command.render_long_help().to_string());
            }
        }
        Ok(0)
    }
}

fn errors(output: &Output) {
    let mut people = String::from("code  kind                retry  meaning\n");
    for page in TABLE {
        let retry = if page.retryable { "yes" } else { "no" };
        let meaning = page.meaning.split(". ").next().unwrap_or_default().trim_end_matches('.');
        people.push_str(&format!("{:>4}  {:<18}  {retry:<5}  {meaning}\n", page.code, page.name));
    }
    people.push_str("\n0 means success. More: haulout help errors KIND\n");
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
