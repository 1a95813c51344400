//! What a committee earned, and what the change of epochs means to the storage side.
//!
//! Promises: burned, kept, forfeited and dust add up to what the epoch earned, to the unit.
//! Source: `contracts.md` 2.4, 2.5 and 4.7.

use std::collections::BTreeMap;

use crate::chain::ObjectId;
use crate::chain::abort::Abort;
use crate::chain::object::BlsCommittee;
use crate::chain::object::staking::{Asks, Staking};

use super::{StakeParams, committee};
use crate::rules::math::{ALL_BPS, mul_div_floor, share_bps};

/// The epoch that ends, as the storage side and the challenges know it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closing {
    /// Everything in the ring's head.
    pub rewards: u64,
    /// Bytes that were reserved in the epoch.
    pub used: u64,
    /// Bytes that are reserved in the next epoch already: capacity never falls below.
    pub next_used: u64,
    /// Bytes each node refuses to serve; none for those not named.
    pub denied: BTreeMap<ObjectId, u64>,
    /// How much of its work each node proved, in ten-thousandths; all for those not named.
    pub performance: BTreeMap<ObjectId, u16>,
    /// The prices in force.
    pub prices: Asks,
}

/// The epoch that begins, for the storage side to take over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// To be destroyed: the epoch's part and the forfeits' part together.
    pub burned: u64,
    /// For the treasury.
    pub treasury: u64,
    /// To be added to the new head of the ring.
    pub dust: u64,
    /// Who signs certificates from now on.
    pub committee: BlsCommittee,
    /// Bytes the network offers from now on.
    pub capacity: u64,
    /// Prices from now on.
    pub prices: Asks,
}

/// How the rewards of an epoch are divided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    /// Burned before anybody is paid.
    pub burned: u64,
    /// What each member of the committee gets, in its order.
    pub kept: Vec<u64>,
    /// What members lost for missing work.
    pub forfeited: u64,
    /// The part of it that is burned.
    pub forfeit_burned: u64,
    /// What the divisions left over.
    pub dust: u64,
}

/// Divides the rewards of the current epoch among its committee.
pub fn distribute(
    staking: &Staking,
    params: &StakeParams,
    closing: &Closing,
) -> Result<Distribution, Abort> {
    const OVERFLOW: Abort = Abort::StakingOverflow;
    let burned = share_bps(closing.rewards, params.burn_bps.min(ALL_BPS), OVERFLOW)?;
    let pot = closing.rewards - burned;
    let work = |member: &crate::chain::object::Entry<ObjectId, Vec<u16>>| {
        let denied = closing.denied.get(&member.key).copied().unwrap_or(0);
        let stored = closing.used - denied.min(closing.used);
        u128::from(committee::weight(&member.value)) * u128::from(stored)
    };
    let works: Vec<u128> = staking.committee.iter().map(work).collect();
    let all = works.iter().sum::<u128>().max(1);
    let (mut kept, mut gross_sum, mut kept_sum) = (Vec::new(), 0_u64, 0_u64);
    for (member, work) in staking.committee.iter().zip(works) {
        let gross = mul_div_floor(work, pot, all, OVERFLOW)?;
        let mine = share_bps(gross, performance(staking, closing, &member.key), OVERFLOW)?;
        // No sum exceeds the pot.
        gross_sum += gross;
        kept_sum += mine;
        kept.push(mine);
    }
    let forfeited = gross_sum - kept_sum;
    let forfeit_burned = share_bps(forfeited, params.forfeit_burn_bps.min(ALL_BPS), OVERFLOW)?;
    Ok(Distribution { burned, kept, forfeited, forfeit_burned, dust: pot - gross_sum })
}

/// The part of its reward a member keeps: nothing if it never got its shards, else what the
/// challenges say.
fn performance(staking: &Staking, closing: &Closing, node: &ObjectId) -> u16 {
    match staking.stalled.contains(node) {
        true => 0,
        false => closing.performance.get(node).copied().unwrap_or(ALL_BPS).min(ALL_BPS),
    }
}
