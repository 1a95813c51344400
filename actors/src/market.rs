//! What the ledger sells and for how much.
//!
//! Promises: what is quoted is what the ledger's own rule charges, rounded as it rounds. Does not: know the epoch, or
//! what anybody owns.

use haulout_protocol::encoding::Parameters;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::space::Terms;
use haulout_protocol::rules::system;

/// The terms on which storage is sold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Market {
    /// What storage costs.
    pub prices: Prices,
    /// Copies of a blob's header that a registration pays for.
    pub header_replicas: u16,
    /// How many epochs ahead storage can be bought.
    pub epochs_ahead_max: u32,
}

/// Prices in the token's smallest unit, per MiB of encoded bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    /// For one epoch of storage.
    pub storage: u64,
    /// For writing once.
    pub write: u64,
}

/// What registering a blob would cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Bytes to reserve.
    pub encoded_bytes: u64,
    /// Price of the reservation.
    pub storage: u64,
    /// Price of the write.
    pub write: u64,
}

impl Market {
    /// What a blob of `length` bytes, encoded like this, costs for `epochs` epochs; `None` if it fits no number.
    pub fn quote(&self, parameters: &Parameters, length: u64, epochs: u32) -> Option<Quote> {
        let encoded_bytes = parameters.encoded_bytes(length, self.header_replicas)?;
        let storage = self.storage_price(encoded_bytes, epochs)?;
        let write = system::write_price(self.prices.write, encoded_bytes).ok()?;
        Some(Quote { encoded_bytes, storage, write })
    }

    /// What so many encoded bytes cost for `epochs` epochs; `None` if it fits no number.
    pub fn storage_price(&self, encoded_bytes: u64, epochs: u32) -> Option<u64> {
        system::storage_price(self.prices.storage, encoded_bytes, epochs).ok()
    }

    /// What is sold in an epoch to those who encode like this, for plans.
    pub fn terms(&self, parameters: &Parameters, epoch: Epoch) -> Terms {
        let encoded = |length| parameters.encoded_bytes(length, self.header_replicas);
        Terms {
            epoch: epoch.0,
            epochs_ahead_max: self.epochs_ahead_max,
            storage_price: self.prices.storage,
            write_price: self.prices.write,
            encoded_bytes_min: encoded(0).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_rounds_up_to_whole_units() {
        let parameters = Parameters::new(4, 1 << 14).unwrap();
        let prices = Prices { storage: 100, write: 20 };
        let mut market = Market { prices, header_replicas: 10, epochs_ahead_max: 53 };
        let quote = market.quote(&parameters, 1, 26).unwrap();
        assert!(quote.encoded_bytes < 1 << 20);
        assert_eq!((quote.storage, quote.write), (2_600, 20));
        market.prices.storage = u64::MAX;
        assert_eq!(market.quote(&parameters, 1, 2), None);
    }
}
