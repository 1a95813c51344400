//! Telling the ledger that a blob is stored: its certificate.
//!
//! Promises: certifying twice costs nothing; certificates of one wallet that wait go in one transaction, and what it took for
//! gas is shared. Does not: judge a certificate.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use haulout_protocol::certificate::Certificate;
use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::call::{self, CertifyBlob};
use haulout_protocol::chain::event::Event;
use haulout_protocol::chain::{ObjectId, object};
use haulout_protocol::epoch::Epoch;

use super::draft::{Built, Draft};
use super::error::CallError;
use super::handle::Chain;
use super::orders::{Certification, Certified, Cost};
use super::queues::{Queues, Together};
use super::read::decode;
use super::submit::Executed;
use super::together::Order;
use super::waiting::shares;
use super::wallet::Wallet;

impl Chain {
    /// Puts a certificate on the ledger; succeeds also if the blob object has one already, or gets
    /// one from somebody else meanwhile.
    pub async fn certify_blob(
        &self,
        wallet: &Wallet,
        object: &ObjectId,
        certificate: &Certificate,
    ) -> Result<Certified, CallError> {
        if let Some(certified) = self.certified(object).await? {
            return Ok(certified);
        }
        let certify = CertifyBlob {
            signature: certificate.signature.to_bytes().to_vec(),
            signers: certificate.signers.clone(),
            message: certificate.message.clone(),
        };
        match self.together(wallet, Certification { object: *object, certify }).await {
            Err(error) if error.abort() == Some(Abort::AlreadyCertified) => {
                self.certified(object).await?.ok_or(error)
            }
            certified => certified,
        }
    }

    /// What there is to say of a blob object that is certified already. That it is, may be one server's word: nodes say whether
    /// it is so before anybody is told.
    async fn certified(&self, object: &ObjectId) -> Result<Option<Certified>, CallError> {
        let look = |chain: Chain| async move {
            decode::<object::Blob>(&chain.object(object, "blob object").await?)
        };
        let blob = self.of_any(look).await?;
        let (digest, checkpoint, cost) = (None, None, Cost::default());
        let found = |epoch| Certified { epoch: Epoch(epoch), digest, checkpoint, cost };
        Ok(blob.certified_epoch.map(found))
    }

    /// The transaction that certifies blobs.
    async fn build_certification(
        &self,
        wallet: &Wallet,
        certifications: &[Arc<Certification>],
    ) -> Result<Built, CallError> {
        let mut draft = Draft::new(self, wallet);
        let objects: Vec<_> = certifications.iter().map(|one| one.object).collect();
        let places = draft.blobs(&objects).await?;
        for (one, places) in certifications.iter().zip(places) {
            draft.call(&call::Function::CERTIFY_BLOB, one.certify.arguments(), &places)?;
        }
        draft.finish().await
    }
}

impl Order for Certification {
    type Done = Certified;

    /// The ledger refuses a second certificate.
    const MAY_REPEAT: bool = true;

    fn key(&self) -> [u8; 32] {
        self.object.into()
    }

    fn queues(together: &Together<Chain>) -> &Queues<Chain, Certification, Certified> {
        &together.certifying
    }

    /// The ledger refuses what is certified already.
    fn outdated<'a>(
        _: &'a Chain,
        _: &'a Wallet,
        _: &'a [Arc<Certification>],
    ) -> BoxFuture<'a, Result<Vec<(usize, CallError)>, CallError>> {
        ready(Ok(Vec::new())).boxed()
    }

    fn build<'a>(
        chain: &'a Chain,
        wallet: &'a Wallet,
        orders: &'a [Arc<Certification>],
    ) -> BoxFuture<'a, Result<Built, CallError>> {
        Box::pin(chain.build_certification(wallet, orders))
    }

    fn read(
        executed: &Executed,
        orders: &[Arc<Certification>],
    ) -> Vec<Result<Certified, CallError>> {
        let certified = executed.events.iter().filter_map(|event| match event {
            Event::BlobCertified(certified) => Some((certified.object_id, certified.epoch)),
            _ => None,
        });
        let certified: BTreeMap<_, _> = certified.collect();
        let done = orders.iter().zip(shares(executed.gas, orders.len())).map(|(order, gas)| {
            let epoch = certified.get(&order.object).copied().map(Epoch);
            let missing = || CallError::unreadable("a certification that certified nothing");
            Ok(Certified {
                epoch: epoch.ok_or_else(missing)?,
                digest: Some(executed.digest.clone()),
                checkpoint: executed.checkpoint,
                cost: Cost { wal: 0, gas },
            })
        });
        done.collect()
    }
}
