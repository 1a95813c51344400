//! Layers of settings: each is read and checked by itself, then the higher ones cover the lower.
//!
//! Promises: an error names the layer it comes from, with line and key where there are any.
//! Does not: know which keys exist (`file.rs`) or which are needed (`config.rs`).

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use super::Setting;
use super::file::{File, PATHS};
use crate::error::{Error, Kind, Result};
use crate::terminal;

/// Variables that set keys begin so and have a double underscore between section and key.
const PREFIX: &str = "HAULOUT_";

/// Settings from one place.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    origin: String,
    table: Table,
}

/// All settings, lowest rank first.
#[derive(Clone, Debug, Default)]
pub(super) struct Layers(Vec<Layer>);

impl Layer {
    /// Reads the text of a file; relative paths in it start from its folder.
    pub(super) fn from_file(path: &Path, text: &str) -> Result<Self> {
        let located = |error: toml::de::Error| error_in_file(path, text, &error);
        toml::from_str::<File>(text).map_err(located)?;
        let mut table: Table = toml::from_str(text).map_err(located)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let folder = std::path::absolute(folder.join(".")).unwrap_or_else(|_| folder.to_owned());
        let origin = terminal::path(path);
        anchor_paths(&mut table, &folder, &origin)?;
        Ok(Self { origin, table })
    }

    /// Reads an environment variable, if it is one of ours.
    pub(super) fn from_variable(name: &str, value: &str) -> Result<Option<Self>> {
        let Some((section, key)) = name.strip_prefix(PREFIX).and_then(|name| name.split_once("__"))
        else {
            return Ok(None);
        };
        let origin = format!("environment variable {name}");
        Self::from_value(origin, &section.to_lowercase(), &key.to_lowercase(), value).map(Some)
    }

    /// Reads a flag.
    pub(super) fn from_setting(setting: &Setting) -> Result<Self> {
        let origin = format!("flag {}", setting.flag);
        Self::from_value(origin, setting.section, setting.key, &setting.value)
    }

    fn from_value(origin: String, section: &str, key: &str, value: &str) -> Result<Self> {
        let inner = Table::from_iter([(key.to_owned(), Value::String(value.to_owned()))]);
        let mut table = Table::from_iter([(section.to_owned(), Value::Table(inner))]);
        File::deserialize(table.clone()).map_err(|error| {
            Error::new(Kind::Config, format!("{origin}: {}", one_line(error.message())))
                .hint("correct or unset it; `haulout config` lists every key")
                .detail("key", format!("{section}.{key}"))
        })?;
        anchor_paths(&mut table, &std::env::current_dir().unwrap_or_default(), &origin)?;
        Ok(Self { origin, table })
    }
}

impl Layers {
    /// Adds a layer above the others.
    pub(super) fn push(&mut self, layer: Layer) {
        self.0.push(layer);
    }

    /// Where settings were read from, for error messages.
    pub(super) fn names(&self) -> String {
        if self.0.is_empty() {
            return "no file, variable or flag".to_owned();
        }
        let names: Vec<&str> = self.0.iter().map(|layer| layer.origin.as_str()).collect();
        names.join(", ")
    }

    /// The key with the place that sets it, for error messages; the key alone if none does.
    pub(super) fn setting(&self, section: &str, key: &str) -> String {
        let sets =
            |layer: &&Layer| layer.table.get(section).is_some_and(|it| it.get(key).is_some());
        match self.0.iter().rev().find(sets) {
            Some(layer) => format!("{section}.{key} ({})", layer.origin),
            None => format!("{section}.{key}"),
        }
    }

    /// The settings with higher layers over lower ones.
    pub(super) fn merge(&self) -> Result<File> {
        let mut merged = Table::new();
        for layer in &self.0 {
            cover(&mut merged, &layer.table);
        }
        File::deserialize(merged).map_err(|error| {
            Error::new(Kind::Internal, format!("valid layers do not merge: {}", error.message()))
        })
    }
}

/// Lays the upper table over the lower one, key by key.
fn cover(lower: &mut Table, upper: &Table) {
    for (key, value) in upper {
        match (lower.get_mut(key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => cover(below, above),
            _ => {
                lower.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Makes the known path keys absolute. An empty one would become the folder itself.
fn anchor_paths(table: &mut Table, folder: &Path, origin: &str) -> Result<()> {
    for (section, key, leads) in PATHS {
        let value = table
            .get_mut(section)
            .and_then(Value::as_table_mut)
            .and_then(|section| section.get_mut(key));
        if let Some(Value::String(text)) = value {
            if text.is_empty() {
                let message =
                    format!("{origin}: {section}.{key} is empty and names no {}", leads.word());
                return Err(Error::new(Kind::Config, message)
                    .hint(format!("name a {}, or leave {section}.{key} out", leads.word()))
                    .detail("key", format!("{section}.{key}")));
            }
            let path: PathBuf = folder.join(&*text).components().collect();
            *text = path.to_string_lossy().into_owned();
        }
    }
    Ok(())
}

/// Turns a parse error into file, line, key and reason.
fn error_in_file(path: &Path, text: &str, error: &toml::de::Error) -> Error {
    let at = error.span().map_or(text.len(), |span| span.start).min(text.len());
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let key = text
        .lines()
        .nth(line - 1)
        .and_then(|line| line.split_once('='))
        .map(|(key, _)| key.trim().to_owned());
    let section = before
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| line.starts_with('[') && line.ends_with(']') && !line.contains('='))
        .map(|line| line.trim_matches(['[', ']']).trim().to_owned());
    let name = match (section, key) {
        (Some(section), Some(key)) if !key.is_empty() => format!("{section}.{key}: "),
        (None, Some(key)) if !key.is_empty() => format!("{key}: "),
        _ => String::new(),
    };
    let shown = terminal::path(path);
    let message = format!("{shown}:{line}: {name}{}", one_line(error.message()));
    Error::new(Kind::Config, message)
        .hint(format!("correct line {line} of {shown}; `haulout config` prints a valid example"))
        .detail("file", path.to_string_lossy())
        .detail("line", line)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
