//! What the owner of free storage may do with it: join it, throw it away.
//!
//! Promises: pure; a plan fits one transaction and says what it leaves for another. Nothing to join and nothing expired are
//! plans that do nothing, so that a timer may ask for them. Does not: read the ledger or change it.

use std::collections::BTreeMap;

use haulout_actors::limits;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::object::Storage;
use haulout_protocol::machine::fusion::{self, Joint};

use crate::error::{Error, Kind, Result};

/// Storage objects that one transaction joins or destroys.
const MOST: usize = limits::CHAIN_STORAGES_PER_CALL_MAX;

/// What will be joined.
#[derive(Debug)]
pub struct FusionPlan {
    /// What becomes of which objects.
    pub joints: Vec<Joint>,
    /// Whether more can be joined when this is done.
    pub is_part: bool,
}

/// Which storage is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doomed {
    /// These objects.
    Objects(Vec<ObjectId>),
    /// Everything whose time is over.
    Expired,
}

/// What will be thrown away.
#[derive(Debug)]
pub struct DestructionPlan {
    /// The objects.
    pub storages: Vec<Storage>,
    /// How many more are meant than one transaction takes.
    pub left: usize,
}

impl FusionPlan {
    /// Decides what is joined of an owner's free storage.
    pub fn new(storages: &[Storage], epoch: u32) -> FusionPlan {
        let joints = fusion::plan(storages, epoch, MOST);
        let objects = |joints: &[Joint]| joints.iter().map(|it| it.piece.objects().len()).sum();
        let (now, all): (usize, usize) =
            (objects(&joints), objects(&fusion::plan(storages, epoch, usize::MAX)));
        FusionPlan { joints, is_part: now < all }
    }

    /// How many objects become fewer.
    pub fn objects(&self) -> usize {
        self.joints.iter().map(|joint| joint.piece.objects().len()).sum()
    }
}

impl DestructionPlan {
    /// Decides what is thrown away of an owner's free storage.
    pub fn new(storages: Vec<Storage>, doomed: &Doomed, epoch: u32) -> Result<DestructionPlan> {
        let mut meant: Vec<Storage> = match doomed {
            Doomed::Expired => storages.into_iter().filter(|it| it.end_epoch <= epoch).collect(),
            Doomed::Objects(ids) => {
                let mut owned: BTreeMap<_, _> =
                    storages.into_iter().map(|storage| (storage.id, storage)).collect();
                // Whoever names one twice means it once.
                let mut ids = ids.clone();
                ids.sort_unstable();
                ids.dedup();
                let take = |id: &ObjectId| owned.remove(id).ok_or_else(|| not_free(id));
                ids.iter().map(take).collect::<Result<_>>()?
            }
        };
        meant.sort_by_key(|storage| (storage.end_epoch, storage.id));
        let left = meant.len().saturating_sub(MOST);
        meant.truncate(MOST);
        Ok(DestructionPlan { storages: meant, left })
    }
}

fn not_free(id: &ObjectId) -> Error {
    let message = format!("the wallet has no free storage object {id}");
    Error::new(Kind::NotFound, message).hint(
        "`haulout storage ls` and `haulout storage ls --expired` list it; the storage of a blob goes with the blob: \
         `haulout rm`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storage(id: u8, start_epoch: u32, end_epoch: u32) -> Storage {
        Storage { id: [id; 32].into(), start_epoch, end_epoch, storage_size: 10 }
    }

    fn ids(plan: &DestructionPlan) -> Vec<ObjectId> {
        plan.storages.iter().map(|storage| storage.id).collect()
    }

    #[test]
    fn only_what_is_over_expires_and_only_what_is_owned_can_be_named() {
        let all = || vec![storage(1, 1, 4), storage(2, 1, 5), storage(3, 1, 6)];
        let plan = |doomed| DestructionPlan::new(all(), &doomed, 5);
        assert_eq!(ids(&plan(Doomed::Expired).unwrap()), [[1; 32].into(), [2; 32].into()]);
        let named = Doomed::Objects(vec![[3; 32].into(), [3; 32].into()]);
        let named = plan(named).unwrap();
        assert_eq!(ids(&named), [[3; 32].into()]);
        let foreign = Doomed::Objects(vec![[3; 32].into(), [9; 32].into()]);
        assert_eq!(plan(foreign).unwrap_err().kind(), Kind::NotFound);
        let nothing = DestructionPlan::new(vec![storage(1, 1, 6)], &Doomed::Expired, 5).unwrap();
        assert!(nothing.storages.is_empty() && nothing.left == 0);
    }

    #[test]
    fn a_plan_fits_one_transaction_and_says_that_there_is_more() {
        let many: Vec<_> = (0..=u8::try_from(MOST).unwrap()).map(|id| storage(id, 1, 4)).collect();
        let over = DestructionPlan::new(many.clone(), &Doomed::Expired, 5).unwrap();
        assert_eq!((over.storages.len(), over.left), (MOST, 1));
        let joined = FusionPlan::new(&many, 2);
        assert_eq!((joined.joints.len(), joined.objects(), joined.is_part), (1, MOST, true));
        let few = FusionPlan::new(&many[..2], 2);
        assert_eq!((few.objects(), few.is_part), (2, false));
        assert!(FusionPlan::new(&many[..1], 2).joints.is_empty());
    }
}
