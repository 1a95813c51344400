//! `haulout config`: prints a commented example with every key.

use super::output::Output;
use crate::config::Config;
use crate::error::Result;

pub(super) fn run(output: &Output) -> Result<u8> {
    if output.is_json() {
        output.result(&serde_json::json!({ "example": Config::example() }), "", "");
    } else {
        output.text(Config::example());
    }
    Ok(0)
}
