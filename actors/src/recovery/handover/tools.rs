//! What all pages of a handover use.
//!
//! Promises: a cheap clone. Does not: use it.

use super::super::memory::Memory;
use crate::context::Context;
use crate::serving::Serving;

/// What a page needs beside its entries.
#[derive(Clone)]
pub(in crate::recovery) struct Tools {
    pub(in crate::recovery) context: Context,
    pub(in crate::recovery) serving: Serving,
    pub(in crate::recovery) memory: Memory,
}
