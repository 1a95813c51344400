//! Which numbers governance may change, by key.
//!
//! Promises: a key never changes its meaning. Does not: know defaults or rails; the rules do.

macro_rules! keys {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// One number that governance may change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum ParamKey {
            $($(#[$doc])* $name = $number,)*
        }

        impl ParamKey {
            /// Every key there is, in the order the parameters are stored in.
            pub const ALL: &[Self] = &[$(ParamKey::$name,)*];

            /// The key as objects and events spell it.
            pub fn number(self) -> u16 {
                self as u16
            }

            /// The key with this number, if there is one.
            pub fn from_number(number: u16) -> Option<Self> {
                match number { $($number => Some(ParamKey::$name),)* _ => None }
            }
        }
    };
}

keys! {
    /// How long an epoch lasts.
    EpochDurationMs = 1,
    /// The part of an epoch after which a sync may be forced to end.
    SyncTimeoutBps = 2,
    /// The part of an epoch's fees that is burned.
    BurnBps = 3,
    /// By how much a price may move in an epoch.
    PriceStepBps = 4,
    /// How many nodes a committee has at most.
    MaxNodes = 5,
    /// What an operator deposits at least.
    MinBond = 6,
    /// The least amount of one stake.
    MinStakeObject = 7,
    /// How steeply an asking price above the clearing price costs shards.
    PriceWeightSlopeBps = 8,
    /// How many shards an asking price costs at most.
    PriceWeightCapBps = 9,
    /// Challenge rounds of an epoch.
    RoundsPerEpoch = 10,
    /// How long a challenge round is open.
    RoundWindowMs = 11,
    /// Samples that a round asks for per shard.
    SamplesPerShard = 12,
    /// The ratio of passed rounds that counts as all.
    PerfGraceBps = 13,
    /// The part of forfeited rewards that is burned.
    ForfeitBurnBps = 14,
    /// The part of a bond that a severe fault costs.
    SlashBondSevereBps = 15,
    /// The part of a bond that equivocation costs.
    SlashBondEquivocationBps = 16,
    /// The part of delegated stake that one case costs at most.
    DelegatorSlashCapBps = 17,
    /// The reporter's part of what is slashed.
    ReporterBps = 18,
    /// The part of the used capacity a node may refuse to serve.
    DenyCapBps = 19,
    /// The treasury's part of every sale.
    MarketFeeBps = 20,
    /// The part of the voting power that must vote.
    QuorumBps = 21,
    /// The part of the votes that must agree.
    PassBps = 22,
    /// The part of the votes that must agree to an upgrade.
    UpgradePassBps = 23,
    /// Epochs between a vote and its execution.
    TimelockEpochs = 24,
    /// Epochs after which an accepted proposal is void.
    ExpiryEpochs = 25,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_consecutive_and_found_by_number() {
        for (number, key) in (1..).zip(ParamKey::ALL) {
            assert_eq!((key.number(), ParamKey::from_number(number)), (number, Some(*key)));
        }
        assert_eq!((ParamKey::from_number(0), ParamKey::from_number(26)), (None, None));
    }
}
