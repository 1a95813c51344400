//! `haulout context`: named client configurations.

use clap::Subcommand;
use serde_json::json;

use super::output::Output;
use crate::contexts;
use crate::error::{Error, Kind, Result};
use crate::terminal;

/// Choose among named client configurations
#[derive(Debug, Subcommand)]
pub(super) enum Context {
    /// List the contexts; the active one has a star
    Ls,
    /// Make a context the active one
    Use {
        /// Its name
        name: String,
    },
    /// Delete a context; if it was active, the one before it is active again
    Rm {
        /// Its name
        name: String,
    },
    /// Print a context's file, or the active one's
    Show {
        /// Its name
        name: Option<String>,
    },
}

impl Context {
    pub(super) fn run(&self, output: &Output) -> Result<u8> {
        match self {
            Context::Ls => list(output)?,
            Context::Use { name } => {
                let previous = contexts::activate(name)?;
                let was = previous.as_deref().unwrap_or("none");
                output.result(
                    &json!({ "active": name, "previous": previous }),
                    name,
                    &format!("context \"{name}\" is now active (was: {was})\n"),
                );
            }
            Context::Rm { name } => remove(name, output)?,
            Context::Show { name } => show(name.clone(), output)?,
        }
        Ok(0)
    }
}

fn remove(name: &str, output: &Output) -> Result<()> {
    let was_active = contexts::active()?.as_deref() == Some(name);
    let active = contexts::remove(name)?;
    let then = match (&active, was_active) {
        (Some(active), true) => format!("; \"{active}\" is active again"),
        (None, true) => "; no context is active: `haulout context use NAME`".to_owned(),
        (_, false) => String::new(),
    };
    let back = contexts::devnet_of(name).map(|devnet| {
        format!("; `devnet --name {devnet} up -d` writes it again, also while the devnet runs")
    });
    let then = then + &back.unwrap_or_default();
    let json = json!({ "removed": name, "active": active });
    output.result(&json, name, &format!("context \"{name}\" is deleted{then}\n"));
    Ok(())
}

fn list(output: &Output) -> Result<()> {
    // The list is what helps where it cannot be told which is active.
    let active = contexts::active().unwrap_or_default();
    let names = contexts::list()?;
    let mark = |name: &String| if Some(name) == active.as_ref() { '*' } else { ' ' };
    let mut people: String = names.iter().map(|name| format!("{} {name}\n", mark(name))).collect();
    if names.is_empty() {
        people.push_str("no contexts yet; a devnet makes its own when it starts\n");
    }
    let json = json!({ "active": active, "contexts": names });
    output.result(&json, &names.join("\n"), &people);
    Ok(())
}

fn show(name: Option<String>, output: &Output) -> Result<()> {
    let name = match name {
        Some(name) => name,
        None => contexts::active()?.ok_or_else(|| {
            Error::new(Kind::Config, "no context is active")
                .hint("choose one with `haulout context use NAME`")
        })?,
    };
    let file = contexts::path(&name)?;
    let text = std::fs::read_to_string(&file).map_err(|error| {
        Error::new(Kind::Config, format!("cannot read {}", terminal::path(&file)))
            .because(error)
            .hint("`haulout context ls` lists them")
    })?;
    let json = json!({ "name": name, "file": file.to_string_lossy(), "text": text });
    output.result(&json, &text, &format!("# {}\n{text}", terminal::path(&file)));
    Ok(())
}
