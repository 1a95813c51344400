//! The format of scripts, as `devnet/scripts/README.md` describes it: one JSON object per line.
//!
//! Promises: what is printed reads back as the same script; unknown keys are errors.
//! Does not: know commands or names.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The version of the format.
const VERSION: u32 = 1;

/// A whole script.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Script {
    /// What it shows.
    pub(super) about: String,
    /// The network it starts with.
    pub(super) world: World,
    /// What happens.
    pub(super) steps: Vec<Step>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    script: u32,
    about: String,
    #[serde(default)]
    world: World,
}

/// The network a script starts with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct World {
    /// Shards of N0, N1, ...
    pub(super) shards: Vec<u16>,
    /// Encoded bytes the network offers.
    pub(super) capacity: u64,
    /// Price of one MiB for one epoch.
    pub(super) storage_price: u64,
    /// Price of writing one MiB.
    pub(super) write_price: u64,
    /// Epochs that can be reserved.
    pub(super) ahead: u32,
    /// How long an epoch lasts.
    pub(super) epoch_ms: u64,
    /// Bytes of a segment.
    pub(super) segment_bytes: u32,
    /// Bytes of the longest short blob; zero for none.
    pub(super) short_bytes_max: u32,
    /// Copies of a header.
    pub(super) header_replicas: u16,
    /// WAL of each actor, in one coin.
    pub(super) wal: BTreeMap<String, u64>,
}

impl Default for World {
    fn default() -> Self {
        let rich = 1_000_000_000_000;
        let wal = ["alice", "bob", "carol"].map(|name| (name.to_owned(), rich));
        World {
            shards: vec![3, 3, 2, 2],
            capacity: 1 << 30,
            storage_price: 100,
            write_price: 20,
            ahead: 8,
            epoch_ms: 60_000,
            segment_bytes: 1 << 20,
            short_bytes_max: 1 << 16,
            header_replicas: 5,
            wal: wal.into(),
        }
    }
}

/// One line: a transaction, reports of nodes, or numbers that must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    /// Milliseconds since genesis.
    pub(super) t: u64,
    /// Who signs.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) sender: String,
    /// Who pays for gas, if somebody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) payer: Option<String>,
    /// The commands of one transaction.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) cmds: Vec<Command>,
    /// Members that report their shards, a transaction each: `"all"` or a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sync: Option<Value>,
    /// Numbers that must hold now.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(super) check: Map<String, Value>,
    /// How it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expect: Option<Status>,
    /// The names of the events, if they matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) events: Option<Vec<String>>,
}

/// One command: `["reserve", {"size": 1}, "->s"]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Value>", into = "Vec<Value>")]
pub(super) struct Command {
    /// Which one.
    pub(super) name: String,
    /// Its arguments.
    pub(super) arguments: Map<String, Value>,
    /// What its result is called.
    pub(super) result: Option<String>,
}

impl TryFrom<Vec<Value>> for Command {
    type Error = String;

    fn try_from(parts: Vec<Value>) -> Result<Self, String> {
        let (name, arguments, result) = match parts.as_slice() {
            [Value::String(name)] => (name, Map::new(), None),
            [Value::String(name), Value::Object(arguments)] => (name, arguments.clone(), None),
            [Value::String(name), Value::Object(arguments), Value::String(result)] => {
                let result = result.strip_prefix("->").ok_or("a result is written \"->name\"")?;
                (name, arguments.clone(), Some(result.to_owned()))
            }
            _ => return Err("a command is [\"name\", {arguments}, \"->result\"]".to_owned()),
        };
        Ok(Command { name: name.clone(), arguments, result })
    }
}

impl From<Command> for Vec<Value> {
    fn from(command: Command) -> Self {
        let mut parts = vec![Value::String(command.name), Value::Object(command.arguments)];
        parts.extend(command.result.map(|result| Value::String(format!("->{result}"))));
        parts
    }
}

/// How a transaction ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// It happened.
    #[serde(rename = "ok")]
    Done(bool),
    /// A rule refused it with this code.
    Code(u64),
    /// The framework refused it for this reason.
    Fails(String),
    /// It was not executed at all.
    Refused(bool),
}

impl Status {
    /// It happened.
    pub(super) const OK: Self = Status::Done(true);
}

impl Script {
    /// Reads a script.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
        let mut lines = lines.map(|(number, line)| {
            let wrong = move |error: serde_json::Error| format!("line {number}: {error}");
            (line, wrong)
        });
        let (line, wrong) = lines.next().ok_or("the script is empty")?;
        let Header { script, about, world } = serde_json::from_str(line).map_err(wrong)?;
        if script != VERSION {
            return Err(format!("scripts of version {script} are not known"));
        }
        let steps = lines.map(|(line, wrong)| serde_json::from_str(line).map_err(wrong));
        Ok(Script { about, world, steps: steps.collect::<Result<_, _>>()? })
    }

    /// Prints a script.
    pub(super) fn print(&self) -> String {
        let (about, world) = (self.about.clone(), self.world.clone());
        let header = Header { script: VERSION, about, world };
        let mut lines = vec![serde_json::to_string(&header).unwrap()];
        lines.extend(self.steps.iter().map(|step| serde_json::to_string(step).unwrap()));
        lines.join("\n") + "\n"
    }
}
