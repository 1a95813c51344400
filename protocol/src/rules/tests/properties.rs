//! Random sequences of calls: money and space are conserved, whatever is asked for.

use std::collections::BTreeMap;

use crate::blob::BlobId;
use crate::chain::abort::Abort;
use crate::chain::call::{ExtendBlob, ReserveSpace};
use crate::chain::event::Event;
use crate::chain::object::staking::Asks;
use crate::chain::object::{Blob, Coin, Params, Storage, System, Treasury};
use crate::message::Persistence;
use proptest::prelude::*;
use proptest::sample::Index;

use super::{
    AHEAD, EPOCH, MIB, coin, opening, sample_blob, sample_params, sample_system, sample_treasury,
};
use crate::rules::staking::Opening;
use crate::rules::{Context, accounting, blob, math, storage, system, wal};

/// All the money of a test.
const SUPPLY: u64 = 6_000;

/// One call, with choices among whatever there is when it is made.
#[derive(Clone, Debug)]
enum Step {
    Reserve { size: u64, start: u32, epochs: u32, max_total: u64 },
    SplitByEpoch(Index, u32),
    SplitBySize(Index, u64),
    Fuse(Index, Index),
    Destroy(Index),
    Register(Index, bool),
    Certify(Index),
    Extend(Index, u32),
    ExtendWith(Index, Index),
    Delete(Index),
    Burn(Index),
    Subsidy(u64, u32),
    BurnCoin(u64),
    SetPrices(u64, u64),
    Advance { capacity: u64, keep: bool },
}

/// Mostly whole MiB, so that sizes often fit together and exactly into the capacity.
fn size() -> impl Strategy<Value = u64> {
    prop_oneof![
        20 => (1..4_u64).prop_map(|count| count * MIB),
        4 => 0..6 * MIB,
        1 => Just(u64::MAX),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let (one, epochs) = (any::<Index>, || prop_oneof![8 => 1..3_u32, 1 => 0..AHEAD + 2]);
    let start = prop_oneof![4 => Just(0), 1 => 0..AHEAD];
    let limit = prop_oneof![9 => Just(u64::MAX), 1 => 0..100_u64];
    let capacity = prop_oneof![3 => Just(10 * MIB), 1 => 0..12 * MIB];
    prop_oneof![
        8 => (size(), start, epochs(), limit).prop_map(|(size, start, epochs, max_total)| {
            Step::Reserve { size, start, epochs, max_total }
        }),
        2 => (one(), epochs()).prop_map(|(at, epoch)| Step::SplitByEpoch(at, epoch)),
        1 => (one(), size()).prop_map(|(at, size)| Step::SplitBySize(at, size)),
        2 => (one(), one()).prop_map(|(a, b)| Step::Fuse(a, b)),
        1 => one().prop_map(Step::Destroy),
        6 => (one(), any::<bool>()).prop_map(|(at, deletable)| Step::Register(at, deletable)),
        6 => one().prop_map(Step::Certify),
        4 => (one(), epochs()).prop_map(|(at, epochs)| Step::Extend(at, epochs)),
        6 => (one(), one()).prop_map(|(at, with)| Step::ExtendWith(at, with)),
        1 => one().prop_map(Step::Delete),
        1 => one().prop_map(Step::Burn),
        1 => (0..500_u64, epochs()).prop_map(|(amount, epochs)| Step::Subsidy(amount, epochs)),
        1 => (0..500_u64).prop_map(Step::BurnCoin),
        1 => (0..50_u64, 0..50_u64).prop_map(|(storage, write)| Step::SetPrices(storage, write)),
        2 => (capacity, any::<bool>())
            .prop_map(|(capacity, keep)| Step::Advance { capacity, keep }),
    ]
}

/// Everything there is.
#[derive(Clone, Debug)]
struct World {
    system: System,
    params: Params,
    treasury: Treasury,
    coin: Coin,
    spaces: Vec<Storage>,
    blobs: Vec<Blob>,
    /// What nodes were paid.
    distributed: u64,
    /// Bytes ever sold, by epoch.
    sold: BTreeMap<u32, u64>,
}

/// Takes one of several out, if there is any.
fn take<T>(from: &mut Vec<T>, at: Index) -> Option<T> {
    (!from.is_empty()).then(|| from.swap_remove(at.index(from.len())))
}

impl World {
    fn new() -> Self {
        World {
            system: sample_system(),
            params: sample_params(),
            treasury: sample_treasury(SUPPLY),
            coin: coin(SUPPLY),
            spaces: Vec::new(),
            blobs: Vec::new(),
            distributed: 0,
            sold: BTreeMap::new(),
        }
    }

    fn pay_out(&mut self, amount: u64) -> Result<Coin, Abort> {
        wal::pay(&mut self.coin, amount, u64::MAX).map(coin)
    }

    fn space_step(&mut self, context: &mut Context<'_>, step: Step) -> Result<(), Abort> {
        let epoch = self.system.committee.epoch;
        match step {
            Step::Reserve { size, start, epochs, max_total } => {
                let start_epoch = epoch + start;
                let end_epoch = start_epoch + epochs;
                let call = ReserveSpace { size, start_epoch, end_epoch, max_total };
                let (system, coin) = (&mut self.system, &mut self.coin);
                let bought = system::reserve_space(context, system, &call, coin)?;
                self.note_sold(bought.start_epoch..bought.end_epoch, size);
                self.spaces.push(bought);
            }
            Step::SplitByEpoch(at, ahead) => {
                let Some(mut space) = take(&mut self.spaces, at) else { return Ok(()) };
                let rest = storage::split_by_epoch(context, &mut space, epoch + ahead)?;
                self.spaces.extend([space, rest]);
            }
            Step::SplitBySize(at, size) => {
                let Some(mut space) = take(&mut self.spaces, at) else { return Ok(()) };
                let rest = storage::split_by_size(context, &mut space, size)?;
                self.spaces.extend([space, rest]);
            }
            Step::Fuse(a, b) => {
                let Some(mut first) = take(&mut self.spaces, a) else { return Ok(()) };
                let Some(second) = take(&mut self.spaces, b) else { return Err(Abort::ZeroSize) };
                storage::fuse(context, &mut first, second)?;
                self.spaces.push(first);
            }
            Step::Destroy(at) => {
                let Some(space) = take(&mut self.spaces, at) else { return Ok(()) };
                storage::destroy(context, space);
            }
            step => self.blob_step(context, step)?,
        }
        Ok(())
    }

    fn blob_step(&mut self, context: &mut Context<'_>, step: Step) -> Result<(), Abort> {
        let epoch = self.system.committee.epoch;
        match step {
            Step::Register(at, deletable) => {
                let Some(space) = take(&mut self.spaces, at) else { return Ok(()) };
                let (system, params, coin) = (&mut self.system, &self.params, &mut self.coin);
                let call = sample_blob(deletable);
                let blob = system::register_blob(context, system, params, space, &call, coin)?;
                self.blobs.push(blob);
            }
            Step::Certify(at) => {
                let Some(mut blob) = take(&mut self.blobs, at) else { return Ok(()) };
                let persistence = match blob.deletable {
                    true => Persistence::Deletable(blob.id),
                    false => Persistence::Permanent,
                };
                let said = (BlobId::from_bytes(blob.blob_id), persistence);
                blob::certify(context, epoch, &mut blob, said)?;
                self.blobs.push(blob);
            }
            Step::Extend(at, epochs) => {
                let Some(mut blob) = take(&mut self.blobs, at) else { return Ok(()) };
                let (end, size) = (blob.storage.end_epoch, blob.storage.storage_size);
                let call = ExtendBlob { epochs, max_total: u64::MAX };
                let (system, coin) = (&mut self.system, &mut self.coin);
                system::extend_blob(context, system, &mut blob, &call, coin)?;
                self.note_sold(end..blob.storage.end_epoch, size);
                self.blobs.push(blob);
            }
            Step::ExtendWith(at, with) => {
                let Some(mut blob) = take(&mut self.blobs, at) else { return Ok(()) };
                let Some(space) = take(&mut self.spaces, with) else { return Err(Abort::ZeroSize) };
                system::extend_blob_with_resource(context, &self.system, &mut blob, space)?;
                self.blobs.push(blob);
            }
            Step::Delete(at) => {
                let Some(blob) = take(&mut self.blobs, at) else { return Ok(()) };
                self.spaces.push(system::delete_blob(context, &self.system, blob)?);
            }
            Step::Burn(at) => {
                let Some(blob) = take(&mut self.blobs, at) else { return Ok(()) };
                system::burn_blob(context, &self.system, blob)?;
            }
            step => self.money_step(context, step)?,
        }
        Ok(())
    }

    fn money_step(&mut self, context: &mut Context<'_>, step: Step) -> Result<(), Abort> {
        match step {
            Step::Subsidy(amount, epochs) => {
                let gift = self.pay_out(amount)?;
                system::add_subsidy(context, &mut self.system, gift, epochs)
            }
            Step::BurnCoin(amount) => {
                let coin = self.pay_out(amount)?;
                wal::burn(context, &mut self.treasury, coin)
            }
            Step::SetPrices(storage, write) => {
                system::set_prices(&mut self.system, Asks { storage, write })
            }
            Step::Advance { capacity, keep } => {
                let mut committee = self.system.committee.clone();
                committee.epoch += 1;
                let earned = accounting::lookup(&mut self.system.ring, 0)?.rewards;
                let burned = math::share_bps(earned, 300, Abort::StakingOverflow)?;
                let rest = earned - burned;
                let dust = if keep { rest } else { 0 };
                let opening = Opening { capacity, dust, ..opening(committee, burned) };
                wal::say_burned(context, burned, wal::Reason::Epoch);
                system::advance(&mut self.system, &mut self.treasury, &opening)?;
                self.distributed += rest - dust;
                Ok(())
            }
            _ => unreachable!("other steps are about space or blobs"),
        }
    }

    fn note_sold(&mut self, epochs: std::ops::Range<u32>, size: u64) {
        for epoch in epochs {
            *self.sold.entry(epoch).or_default() += size;
        }
    }

    /// Checks I1, I2, I3, I7 and I9 of the design, and that live objects fit into what was sold.
    fn check(&mut self, before: &BTreeMap<u32, u64>) {
        let mut in_ring = 0;
        let epoch = self.system.committee.epoch;
        for ahead in 0..AHEAD {
            let entry = accounting::lookup(&mut self.system.ring, ahead).unwrap().clone();
            assert_eq!(entry.epoch, epoch + ahead);
            let sold = self.sold.get(&entry.epoch).copied().unwrap_or_default();
            assert_eq!(entry.used_capacity, sold);
            if sold > before.get(&entry.epoch).copied().unwrap_or_default() {
                assert!(sold <= self.system.total_capacity, "sold beyond capacity");
            }
            let blobs = self.blobs.iter().map(|blob| &blob.storage);
            let live = self.spaces.iter().chain(blobs);
            let live = live.filter(|it| (it.start_epoch..it.end_epoch).contains(&entry.epoch));
            assert!(live.map(|it| it.storage_size).sum::<u64>() <= sold);
            in_ring += entry.rewards;
            if ahead == 0 {
                assert_eq!(self.system.used_capacity, sold);
                assert!(sold <= self.system.total_capacity);
            }
        }
        let money = self.coin.balance + in_ring + self.distributed;
        assert_eq!(money, self.treasury.total_supply, "coins, ring and nodes hold the supply");
        for blob in &self.blobs {
            let registered = blob.registered_epoch..blob.storage.end_epoch;
            assert!(blob.certified_epoch.is_none_or(|epoch| registered.contains(&epoch)));
        }
        for space in &self.spaces {
            assert!(space.storage_size > 0 && space.start_epoch < space.end_epoch);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn random_calls_conserve_money_and_never_sell_space_twice(
        steps in proptest::collection::vec(step(), 1..120),
    ) {
        let mut world = World::new();
        let mut context = Context::new([0; 32]);
        let mut burned = 0;
        for step in steps {
            let mut tried = world.clone();
            let said = context.events.len();
            match tried.space_step(&mut context, step) {
                Ok(()) => {
                    tried.check(&world.sold);
                    world = tried;
                }
                // A transaction that aborts is thrown away with all it did.
                Err(_) => context.events.truncate(said),
            }
            for event in &context.events[said..] {
                if let Event::Burned(event) = event {
                    burned += event.amount;
                }
            }
            prop_assert_eq!(world.treasury.total_supply + burned, SUPPLY);
            prop_assert!(world.system.committee.epoch >= EPOCH);
        }
    }
}
