//! Short blobs at a node: all its symbols of one blob come, lie and go together.
//!
//! Promises: symbols and their proof are checked against the header before they are stored; what rotted is not served.
//! Does not: confirm (`put` does).

use bytes::Bytes;
use haulout_protocol::blob::{BlobHeader, BlobId, Encoding};
use haulout_protocol::encoding::Parameters;
use haulout_protocol::merkle::MultiProof;
use haulout_protocol::sliver::ShardIndex;
use haulout_protocol::wire::Refusal;
use haulout_protocol::wire::sliver::Reply;
use haulout_storage::{ShortBlob, StoreError};
use tokio::time::sleep;
use tracing::{Instrument, debug_span, warn};

use super::get::is_sound;
use super::put::{Upload, as_usize};
use super::session::Session;
use crate::context::now_ms;
use crate::network::{Blame, StreamError};
use crate::serving::{Fault, blocking, busy, charged};
use crate::short_rows::{CheckedRow, Symbols, check, placed, places_of};

/// What metrics call a symbol.
const SYMBOL: &str = "symbol";

/// Symbols of a short blob that a reader asks for.
pub(super) struct WantedSymbols {
    pub(super) blob_id: BlobId,
    pub(super) symbols: Vec<u16>,
    pub(super) with_proof: bool,
}

impl Session {
    /// Takes our symbols of a short blob and makes them durable, the header with them.
    pub(super) async fn take_short(
        &mut self,
        upload: &mut Upload,
        announced: &[u16],
        proof_bytes: u32,
    ) -> Result<(), Fault> {
        let parameters = upload.parameters;
        if upload.header.encoding != Encoding::Short {
            return Err(Fault::out_of_place("symbols of a blob that is not short"));
        }
        let length = u32::try_from(upload.header.length).expect("short blobs are");
        let symbol_bytes = as_usize(parameters.short_symbol_bytes(length));
        let places = places_of(&parameters, &upload.blob_id, &upload.shards);
        if !announced.iter().eq(places.iter().map(|(place, _)| place)) {
            // Its committee may be another than ours by now.
            let reason = "a short blob takes a symbol for each of our shards in this epoch";
            return Err(Fault::Refused(Refusal::Invalid(reason.to_owned())));
        }
        let most = MultiProof::bytes_max(places.len(), usize::from(parameters.shards()));
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        if proof_bytes > most {
            return Err(StreamError::TooLarge { announced: proof_bytes, max: most }.into());
        }
        let bytes = places.len() * symbol_bytes + as_usize(proof_bytes);
        if upload.is_stored {
            // They were on their way before the writer could hear of that.
            return Ok(self.visit.stream.skip(bytes).await?);
        }
        let (claim, _room) = self.make_room_at_once(upload, bytes, charged(2 * bytes)).await?;
        if claim.as_ref().is_some_and(|claim| !claim.grow(bytes)) {
            return Err(busy());
        }
        let mut row = vec![0; places.len() * symbol_bytes];
        self.visit.stream.read_exact(&mut row).await?;
        let (row, proof) = (Bytes::from(row), self.visit.stream.read_bytes(proof_bytes).await?);
        let symbol = |(at, (_, shard)): (usize, &(u16, ShardIndex))| {
            (*shard, row.slice(at * symbol_bytes..(at + 1) * symbol_bytes))
        };
        let symbols: Vec<_> = places.iter().enumerate().map(symbol).collect();
        let count = symbols.len();
        let header = upload.header.to_bytes().into();
        let new = ShortBlob { header, symbols, proof: proof.into() };
        let (core, header) = (self.visit.core().await, upload.header.clone());
        let checked = blocking(move || {
            let _core = core;
            CheckedRow::new(&parameters, &header, new)
        });
        let blob_id = upload.blob_id;
        let checked = checked.instrument(debug_span!("verify", haulout.blob.id = %blob_id));
        let row = checked.await?.map_err(|error| Fault::Blamed {
            blame: Blame::WrongProof,
            reason: error.to_string(),
        })?;
        // Two streams may bring symbols of different shards: each adds to what is there.
        let (context, header) = (&self.shared.context, BlobHeader::clone(&upload.header));
        let kept = context.short_rows.add(&context.store, parameters, header, (row, now_ms()));
        kept.instrument(debug_span!("store", haulout.blob.id = %blob_id)).await?;
        upload.unstored = None;
        if let Some(claim) = claim {
            claim.keep(now_ms());
        }
        for _ in 0..count {
            let bytes = u64::try_from(symbol_bytes).unwrap_or(u64::MAX);
            self.shared.context.metrics.sliver_stored(SYMBOL, bytes);
        }
        Ok(())
    }

    /// Serves a get of symbols.
    pub(super) async fn send_symbols(&mut self, wanted: WantedSymbols) -> Result<(), Fault> {
        let position = self.shared.context.position.current();
        let parameters = position.parameters;
        if wanted.symbols.is_empty() || !is_sound(&wanted.symbols, parameters.shards()) {
            return Err(Fault::out_of_place("a list of symbols like this"));
        }
        let length = self.registered_length(wanted.blob_id, position.epoch).await?;
        if !parameters.is_short(length) {
            return Err(Fault::Refused(Refusal::NotFound));
        }
        self.visit.note();
        let length = u32::try_from(length).expect("short blobs are");
        let symbol_bytes = as_usize(parameters.short_symbol_bytes(length));
        sleep(self.visit.turn(wanted.symbols.len() * symbol_bytes)?).await;
        let all = parameters.short_encoded_bytes(length);
        let _room = self.visit.room(charged(all)).await?;
        let core = match wanted.with_proof {
            true => Some(self.visit.core().await),
            false => None,
        };
        let (store, blob_id) = (self.shared.context.store.clone(), wanted.blob_id);
        let found = blocking(move || {
            let _core = core;
            let stored = match store.short(&blob_id) {
                Err(StoreError::Corrupt { what }) => {
                    warn!(%blob_id, what, "a stored short blob rotted; not serving it");
                    None
                }
                other => other?,
            };
            Ok::<_, StoreError>(stored.and_then(|stored| choose(&parameters, &wanted, stored)))
        });
        let found = found.instrument(debug_span!("read", haulout.blob.id = %blob_id)).await??;
        let (symbols, proof) = found.ok_or(Fault::Refused(Refusal::NotFound))?;
        let reply = Reply::Short {
            symbols: symbols.iter().map(|(place, _)| *place).collect(),
            proof_bytes: u32::try_from(proof.len()).unwrap_or(u32::MAX),
        };
        self.visit.stream.write_frame(&reply).await?;
        for (_, symbol) in &symbols {
            self.visit.stream.write_all(symbol).await?;
            let bytes = u64::try_from(symbol.len()).unwrap_or(u64::MAX);
            self.shared.context.metrics.sliver_served(SYMBOL, bytes);
        }
        self.visit.stream.write_all(&proof).await?;
        Ok(self.visit.stream.flush().await?)
    }
}

/// What a reader wants of a stored blob: symbols in order, and their proof; nothing if there is none of them.
fn choose(
    parameters: &Parameters,
    wanted: &WantedSymbols,
    stored: ShortBlob,
) -> Option<(Symbols, Vec<u8>)> {
    let all = placed(parameters, &wanted.blob_id, &stored);
    let is_wanted = |(place, _): &&(u16, Bytes)| wanted.symbols.contains(place);
    let symbols: Symbols = all.iter().filter(is_wanted).cloned().collect();
    if symbols.is_empty() || !wanted.with_proof {
        return (!symbols.is_empty()).then_some((symbols, Vec::new()));
    }
    let header = BlobHeader::from_bytes(&stored.header, parameters).ok()?;
    let known = check(parameters, &header, &all, &stored.proof).ok()?;
    let places: Vec<_> = symbols.iter().map(|(place, _)| usize::from(*place)).collect();
    Some((symbols, known.prove_many(&places)?.to_bytes()))
}
