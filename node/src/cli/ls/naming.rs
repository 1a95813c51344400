//! The names in a list: what this machine remembers, else what the ledger says.
//!
//! Promises: the ledger is asked only for objects that have no name here; a cell is one line of bounded width.
//! Does not: fail because names that are remembered here cannot be read.

use std::collections::BTreeMap;
use std::path::PathBuf;

use haulout_protocol::blob::BlobId;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::object::Blob;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::error::Result;
use crate::ledger_client::LedgerClient;
use crate::names::Names;
use crate::words::label;

/// Columns of a name; most names of files fit.
pub(super) const NAME_WIDTH: usize = 24;

/// The names of objects that have one.
pub(super) type NamesOf = BTreeMap<ObjectId, String>;

/// Where names come from.
pub(super) struct Naming<'a> {
    client: &'a LedgerClient,
    names: Names,
}

impl<'a> Naming<'a> {
    /// Reads what is remembered in a client's state folder.
    pub(super) async fn read(client: &'a LedgerClient, folder: PathBuf) -> Result<Self> {
        let names = super::super::blocking(move || Ok(Names::read(&folder))).await?;
        Ok(Self { client, names })
    }

    /// The names of blob objects: the object's own, else its public one, else another of its blob.
    pub(super) async fn of(&self, blobs: &[Blob]) -> Result<NamesOf> {
        let own = |blob: &Blob| {
            let name = self.names.of_object(&blob.id.to_string(), &blob_id(blob))?;
            Some((blob.id, name.to_owned()))
        };
        let mut names: NamesOf = blobs.iter().filter_map(own).collect();
        let is_nameless = |blob: &&Blob| !names.contains_key(&blob.id);
        let nameless: Vec<&Blob> = blobs.iter().filter(is_nameless).collect();
        let ids: Vec<ObjectId> = nameless.iter().map(|blob| blob.id).collect();
        names.extend(self.client.public_names(&ids).await?);
        for blob in nameless {
            if let Some(name) = self.names.of_blob(&blob_id(blob)) {
                names.entry(blob.id).or_insert_with(|| name.to_owned());
            }
        }
        Ok(names)
    }
}

/// A name in a column of so many places; what does not fit is left out at its end.
pub(super) fn cell(name: Option<&String>, width: usize) -> String {
    let Some(name) = name else { return "-".to_owned() };
    let shown = label(name);
    if shown.width() <= width {
        return shown;
    }
    let mut left = width.saturating_sub(1);
    let fits = |character: &char| {
        let rest = left.checked_sub(character.width().unwrap_or(0));
        left = rest.unwrap_or(left);
        rest.is_some()
    };
    shown.chars().take_while(fits).chain(['…']).collect()
}

pub(super) fn blob_id(blob: &Blob) -> String {
    BlobId::from_bytes(blob.blob_id).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_one_line_of_bounded_width() {
        let cell = |name: &str| cell(Some(&name.to_owned()), NAME_WIDTH);
        assert_eq!(super::cell(None, 8), "-");
        assert_eq!(cell("a\nb"), r"a\nb");
        assert_eq!(cell(&"é".repeat(24)), "é".repeat(24));
        assert_eq!(cell(&"é".repeat(25)), "é".repeat(23) + "…");
        assert_eq!(cell(&"豹".repeat(12)), "豹".repeat(12));
        assert_eq!(cell(&"豹".repeat(13)), "豹".repeat(11) + "…", "two places each");
    }
}
