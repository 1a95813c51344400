//! Looks regularly at what nobody reports: room on the disk, rot, and what is missing of certified blobs.
//!
//! Promises: a look at the disk each [`limits::VITALS_INTERVAL`]; an inventory, which reads the whole index, when there
//! is a reason for one, and so seldom that it takes a [`limits::INVENTORY_REST`]th of the time; a store that cannot be
//! read is a fact, too. Does not: mend anything, or end because of what it finds.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use haulout_protocol::chain::object::staking::EpochState;
use haulout_protocol::encoding::Parameters;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::conditions::{Stored, Unclaimed};
use haulout_protocol::machine::epoch_change::{self, Holding};
use haulout_protocol::sliver::ShardIndex;
use haulout_storage::{Lacking, Scope, Store, StoreError};
use ractor::{Actor, ActorProcessingErr, ActorRef};

use crate::context::{Context, now_ms};
use crate::limits;
use crate::position::Position;
use crate::tasks::Tasks;

/// The actor.
pub(crate) struct VitalsActor;

/// Facts the actor reacts to.
pub(crate) enum Message {
    /// It is time for a look.
    LookDue,
    /// What was seen.
    Looked(Box<Result<(Stored, Taken), StoreError>>),
}

/// What the actor starts with.
#[derive(Clone)]
pub(crate) struct Arguments {
    pub(crate) context: Context,
}

/// What the actor knows.
pub(crate) struct State {
    context: Context,
    last: Option<Taken>,
    tasks: Tasks,
}

/// What an inventory follows from: when one of these changes, the next may find something else.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Reasons {
    epoch: Epoch,
    shards: Vec<ShardIndex>,
    checkpoint: u64,
    rot_found: u64,
    repaired: u64,
}

/// What there is not.
#[derive(Clone, Copy, Debug, Default)]
struct Inventory {
    /// Live certified blobs of which a header, or a proof or sliver of the shards is not here, or is damaged.
    incomplete: u64,
    /// Stored values that a read found to be other bytes than were written, and that are so still.
    rotten: u64,
    /// Live certified blobs of which something is missing that belongs in any of our shards, also in those that are not whole.
    missing_blobs: u64,
    /// What is missing of them: pairs, and symbols of short blobs.
    missing_pairs: u64,
}

/// An inventory, what it followed from, and what it took.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    inventory: Inventory,
    reasons: Reasons,
    ended: Instant,
    took: Duration,
}

impl Taken {
    /// Whether the next inventory is due.
    fn is_over(&self, reasons: &Reasons, now: Instant) -> bool {
        let rest = self.took.saturating_mul(limits::INVENTORY_REST);
        let rested = now.saturating_duration_since(self.ended);
        let moved = Reasons { checkpoint: reasons.checkpoint, ..self.reasons.clone() };
        // Most checkpoints change nothing for us, so they are a reason now and then.
        let is_urgent = moved != *reasons;
        let has_moved = self.reasons.checkpoint != reasons.checkpoint;
        rested >= rest && (is_urgent || has_moved && rested >= limits::INVENTORY_PAUSE)
    }
}

impl Actor for VitalsActor {
    type Msg = Message;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        myself: ActorRef<Message>,
        arguments: Arguments,
    ) -> Result<State, ActorProcessingErr> {
        myself.cast(Message::LookDue)?;
        Ok(State { context: arguments.context, last: None, tasks: Tasks::default() })
    }

    async fn handle(
        &self,
        myself: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::LookDue => state.look(&myself),
            Message::Looked(seen) => {
                state.looked(*seen);
                drop(myself.send_after(limits::VITALS_INTERVAL, || Message::LookDue));
            }
        }
        Ok(())
    }
}

impl State {
    /// Starts the task that looks.
    fn look(&mut self, myself: &ActorRef<Message>) {
        let (context, last) = (self.context.clone(), self.last.clone());
        self.tasks.spawn(myself, async move {
            let seen = match tell(&context).await {
                Ok(()) => {
                    let seen = tokio::task::spawn_blocking(move || look(&context, last)).await;
                    seen.expect("looking neither panics nor is cut off")
                }
                Err(error) => Err(error),
            };
            Message::Looked(Box::new(seen))
        });
    }

    /// Tells whoever asks what was seen.
    fn looked(&mut self, seen: Result<(Stored, Taken), StoreError>) {
        let stored = match seen {
            Ok((stored, taken)) => {
                self.last = Some(taken);
                stored
            }
            Err(error) => {
                tracing::error!(%error, "the store cannot be looked at");
                Stored { failure: Some(error.to_string()), ..Stored::default() }
            }
        };
        self.context.vitals.set_stored(stored);
    }
}

/// Tells the store the network's numbers, and that it holds the shards of which nothing is missing any more, as far as it has
/// read the ledger. If it takes no writes nothing is told: that is seen by itself, and the next look tries again.
async fn tell(context: &Context) -> Result<(), StoreError> {
    let (store, position) = (context.store.clone(), context.position.current());
    if position.checkpoint < position.read_at || !context.may_act() {
        return Ok(());
    }
    let told = match store.set_parameters(&position.parameters).await {
        Ok(()) => hold_filled(store, position.epoch, position.parameters).await,
        refused => refused,
    };
    match told {
        Err(error) if error.is_transient() || matches!(error, StoreError::Poisoned { .. }) => {
            tracing::debug!(%error, "the store was told nothing");
            Ok(())
        }
        told => told,
    }
}

/// Has the store hold the shards of which nothing is missing any more.
async fn hold_filled(store: Store, epoch: Epoch, parameters: Parameters) -> Result<(), StoreError> {
    let reader = store.clone();
    let filled = tokio::task::spawn_blocking(move || {
        reader.filled_shards(epoch, |bytes| parameters.segment_count(bytes))
    });
    let filled = filled.await.expect("looking neither panics nor is cut off")?;
    if filled.is_empty() {
        return Ok(());
    }
    let count = filled.len();
    store.hold_filled(filled).await?;
    tracing::info!(shards = count, "nothing is missing any more of shards that were");
    Ok(())
}

/// One look; blocks on the disk.
fn look(context: &Context, last: Option<Taken>) -> Result<(Stored, Taken), StoreError> {
    let (store, position) = (&context.store, context.position.current());
    let ours = position.shards_of(&context.peer);
    let shards = store.shards()?;
    let is_held = |holding: &Holding| *holding == Holding::Held;
    // A shard of which the store knows nothing was not judged yet; whoever judges it tells by itself.
    if ours.iter().all(|shard| shards.contains_key(shard)) {
        let missing = ours.iter().filter(|shard| !is_held(&shards[shard])).count();
        context.vitals.set_shards_missing(position.epoch, missing);
    }
    let shards_known = shards.clone();
    let held = shards.into_iter().filter(|(_, holding)| is_held(holding));
    let reasons = Reasons {
        epoch: position.epoch,
        shards: held.map(|(shard, _)| shard).filter(|shard| ours.contains(shard)).collect(),
        checkpoint: position.checkpoint,
        rot_found: store.rot_found(),
        repaired: context.vitals.repairs().pairs,
    };
    let unclaimed = unclaimed(&shards_known, &position);
    // What the disk says is told before an inventory, which may take minutes.
    let (usage, failure) = (store.usage()?, store.write_error());
    let told = |inventory: Inventory| Stored {
        free_bytes: usage.free_bytes,
        reserve_bytes: usage.reserve_bytes,
        failure: failure.clone(),
        rotten: inventory.rotten,
        incomplete: inventory.incomplete,
        unclaimed: unclaimed.clone(),
        ..Stored::default()
    };
    let before = last.as_ref().map_or_else(Inventory::default, |last| last.inventory);
    context.vitals.set_stored(told(before));
    let began = Instant::now();
    let taken = match last.filter(|last| !last.is_over(&reasons, began)) {
        Some(last) => last,
        None => {
            let arriving_ms = u64::try_from(limits::ARRIVAL_MAX.as_millis()).unwrap_or(u64::MAX);
            let scope = Scope {
                epoch: reasons.epoch,
                shards: &reasons.shards,
                arriving_since_ms: now_ms().saturating_sub(arriving_ms),
            };
            let segments_of = |bytes| position.parameters.segment_count(bytes);
            let mut inventory = take_inventory(store, &scope, segments_of)?;
            let all = Scope { shards: ours, ..scope };
            if reasons.shards.len() < ours.len() {
                (inventory.missing_blobs, inventory.missing_pairs) =
                    count_missing(store, &all, segments_of)?;
            }
            let ended = Instant::now();
            Taken { inventory, reasons, ended, took: ended.saturating_duration_since(began) }
        }
    };
    let stored = told(taken.inventory);
    context.vitals.set_missing(taken.inventory.missing_blobs, taken.inventory.missing_pairs);
    Ok((stored, taken))
}

/// Who never said that it has the shards that are kept here for it.
fn unclaimed(known: &BTreeMap<ShardIndex, Holding>, position: &Position) -> Vec<Unclaimed> {
    let is_chosen = matches!(position.phase, EpochState::Selected { .. });
    let synced = position.synced_shards();
    let late =
        epoch_change::unclaimed(known, position.epoch, is_chosen, |shard| synced.contains(&shard));
    let members = position.committee.members().iter();
    let owners = members.map(|member| Unclaimed {
        owner: format!("{} ({})", member.name, member.node_id),
        shards: member.shards.iter().filter(|shard| late.contains(shard)).count(),
    });
    owners.filter(|owner| owner.shards > 0).collect()
}

/// How many pairs are missing of a blob; its header alone counts as one.
fn missing_of(lacking: &Lacking) -> u64 {
    u64::try_from(lacking.pairs.len()).unwrap_or(u64::MAX).max(1)
}

/// Counts what is missing of all our shards, those that are not whole included.
fn count_missing(
    store: &Store,
    scope: &Scope<'_>,
    segments_of: impl Fn(u64) -> u64,
) -> Result<(u64, u64), StoreError> {
    let (mut blobs, mut pairs, mut after, mut last) = (0, 0, None, None);
    loop {
        let page = store.missing(scope, &segments_of, after)?;
        for lacking in &page.lacking {
            blobs += u64::from(last.replace(lacking.blob_id) != Some(lacking.blob_id));
            pairs += missing_of(lacking);
        }
        after = page.end;
        if after.is_none() {
            return Ok((blobs, pairs));
        }
    }
}

/// Counts what is missing, page by page.
fn take_inventory(
    store: &Store,
    scope: &Scope<'_>,
    segments_of: impl Fn(u64) -> u64,
) -> Result<Inventory, StoreError> {
    let mut inventory = Inventory { rotten: store.rotten_values()?, ..Inventory::default() };
    let (mut after, mut last) = (None, None);
    loop {
        let page = store.missing(scope, &segments_of, after)?;
        inventory.rotten += page.rotten;
        for lacking in &page.lacking {
            // A long blob may be in several pages.
            inventory.incomplete +=
                u64::from(last.replace(lacking.blob_id) != Some(lacking.blob_id));
            inventory.missing_pairs += missing_of(lacking);
        }
        after = page.end;
        if after.is_none() {
            inventory.missing_blobs = inventory.incomplete;
            return Ok(inventory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inventory_follows_its_reasons_and_rests_as_it_took() {
        let second = Duration::from_secs;
        let reasons = Reasons {
            epoch: Epoch(1),
            shards: Vec::new(),
            checkpoint: 5,
            rot_found: 0,
            repaired: 0,
        };
        let ended = Instant::now();
        let inventory = Inventory::default();
        let taken = |took| Taken { inventory, reasons: reasons.clone(), ended, took };
        let moved = Reasons { checkpoint: 6, ..reasons.clone() };
        let rotten = Reasons { rot_found: 1, ..moved.clone() };
        let repaired = Reasons { repaired: 1, ..moved.clone() };
        let pause = limits::INVENTORY_PAUSE;
        for (took, reasons, after, expected) in [
            (second(0), &reasons, second(3_600), false),
            (second(0), &moved, pause - second(1), false),
            (second(0), &moved, pause, true),
            (second(0), &rotten, second(0), true),
            (second(0), &repaired, second(0), true),
            (second(2), &rotten, second(2) * limits::INVENTORY_REST - second(1), false),
            (second(2), &rotten, second(2) * limits::INVENTORY_REST, true),
        ] {
            let is_over = taken(took).is_over(reasons, ended + after);
            assert_eq!(is_over, expected, "{took:?} {reasons:?} {after:?}");
        }
    }
}
