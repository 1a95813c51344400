//! Objects of an account as their own bytes say what they are: what a transaction may name.
//!
//! Promises: what is given out was read from the bytes whose digest goes into the transaction, and the ledger takes no
//! transaction that names what is not so; nothing that a server says beside these bytes is believed. What was planned on
//! is exactly what goes in, and the wallet's, or nothing is signed.
//! Does not: prove that the ledger ever had these bytes (`proven_blob` does): whoever makes them up is refused by the ledger.

use haulout_protocol::chain::object::staking::{NodeCap, Staked};
use haulout_protocol::chain::object::{Blob, Storage};
use haulout_protocol::chain::{ObjectId, TypeName};
use serde::de::DeserializeOwned;
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_sdk_types::{Address, Object, Owner, StructTag};
use sui_transaction_builder::{Argument, ObjectInput};

use super::draft::Draft;
use super::error::CallError;
use super::handle::Chain;

/// The parts of an object from which follows what it is.
const FIELDS: [&str; 3] = ["version", "digest", "bcs"];

/// A kind of object that accounts own.
pub(super) trait Own: DeserializeOwned + PartialEq {
    /// Its name on the ledger.
    const NAME: TypeName;
    /// Its name in errors.
    const WHAT: &'static str;

    /// The id of one.
    fn id(&self) -> ObjectId;
}

impl Own for Blob {
    const NAME: TypeName = TypeName::BLOB;
    const WHAT: &'static str = "blob object";

    fn id(&self) -> ObjectId {
        self.id
    }
}

impl Own for Storage {
    const NAME: TypeName = TypeName::STORAGE;
    const WHAT: &'static str = "storage object";

    fn id(&self) -> ObjectId {
        self.id
    }
}

impl Own for Staked {
    const NAME: TypeName = TypeName::STAKED;
    const WHAT: &'static str = "receipt";

    fn id(&self) -> ObjectId {
        self.id
    }
}

impl Own for NodeCap {
    const NAME: TypeName = TypeName::NODE_CAP;
    const WHAT: &'static str = "operator's cap";

    fn id(&self) -> ObjectId {
        self.id
    }
}

impl Chain {
    /// Objects at one moment, each of which is what its bytes say. `what` names one in errors.
    pub(super) async fn exact(
        &self,
        ids: &[ObjectId],
        what: &str,
    ) -> Result<Vec<Object>, CallError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.objects_with(&FIELDS, ids, what).await?;
        found.iter().zip(ids).map(|(found, id)| self.by_its_bytes(found, id, what)).collect()
    }

    /// What an object is by its bytes, if they are those of its version and digest.
    fn by_its_bytes(
        &self,
        found: &proto::Object,
        id: &ObjectId,
        what: &str,
    ) -> Result<Object, CallError> {
        let Ok(object) = found.bcs().deserialize::<Object>() else {
            return Err(
                self.untrue(format!("that {what} {id} is made of bytes which are no object"))
            );
        };
        let (version, digest) = (object.version(), object.digest().to_string());
        let is_named = (version, digest.as_str()) == (found.version(), found.digest());
        match is_named && object.object_id() == Address::new((*id).into()) {
            true => Ok(object),
            false => Err(self.untrue(format!("what {what} {id} is, not by the digest it names"))),
        }
    }

    /// The value of an object; nothing if it is of another kind.
    pub(super) fn value_of<T: Own>(&self, object: &Object) -> Result<Option<T>, CallError> {
        let wanted = T::NAME.qualified(&self.shared.options.package);
        let wanted: StructTag = wanted.parse().map_err(CallError::unreadable)?;
        let value = object.as_struct().filter(|value| *value.object_type() == wanted);
        let Some(value) = value else { return Ok(None) };
        let value: T = bcs::from_bytes(value.contents()).map_err(CallError::unreadable)?;
        let id = ObjectId::from_bytes(object.object_id().into_inner());
        Ok(Some(value).filter(|value| value.id() == id))
    }

    /// The error for an object that is not what was planned on. Which server showed that is not known any more.
    pub(super) fn not_as_shown(&self, what: &str, id: &ObjectId) -> CallError {
        let servers = self.urls().collect::<Vec<_>>().join(", ");
        CallError::NotAsShown { what: format!("{what} {id}"), servers }
    }
}

impl Draft<'_> {
    /// Objects of the wallet as inputs, and what they are in the version that goes in. Every object of a wallet that a
    /// transaction does something to goes in here.
    pub(super) async fn own<T: Own>(
        &mut self,
        ids: &[ObjectId],
    ) -> Result<Vec<(T, Argument)>, CallError> {
        let found = self.chain.exact(ids, T::WHAT).await?;
        let own = found.iter().zip(ids).map(|(object, id)| {
            let value = self.chain.value_of::<T>(object)?;
            let value = value.ok_or_else(|| self.chain.not_as_shown(T::WHAT, id))?;
            if *object.owner() != Owner::Address(self.wallet.sender()) {
                let (what, wallet) = (format!("{} {id}", T::WHAT), self.wallet.to_string());
                return Err(CallError::NotOurs { what, wallet });
            }
            let input = ObjectInput::owned(object.object_id(), object.version(), object.digest());
            Ok((value, self.builder.object(input)))
        });
        own.collect()
    }

    /// The same, of objects that must be now what they were when the transaction was planned.
    pub(super) async fn own_as<T: Own>(
        &mut self,
        planned: &[T],
    ) -> Result<Vec<Argument>, CallError> {
        let ids: Vec<ObjectId> = planned.iter().map(T::id).collect();
        let own = self.own::<T>(&ids).await?.into_iter().zip(planned);
        let same = own.map(|((now, argument), planned)| match now == *planned {
            true => Ok(argument),
            false => Err(self.chain.not_as_shown(T::WHAT, &planned.id())),
        });
        same.collect()
    }
}

#[cfg(test)]
mod tests {
    use haulout_protocol::chain::object::Storage;
    use sui_sdk_types::{Digest, Identifier, MoveStruct, ObjectData};

    use super::*;
    use crate::chain::holder::{Holder, holder_of};
    use crate::chain::sample_server::{SampleServer, chain};

    /// A storage object of the package that samples know, in its first version.
    fn storage(id: u8, storage_size: u64, module: &str) -> Object {
        let value = Storage { id: [id; 32].into(), start_epoch: 1, end_epoch: 2, storage_size };
        let name = |text: &str| Identifier::new(text).unwrap();
        let tag = StructTag::new(Address::new([7; 32]), name(module), name("Storage"), vec![]);
        let value = MoveStruct::new(tag, true, 1, bcs::to_bytes(&value).unwrap()).unwrap();
        let owner = Owner::Address(Address::new([9; 32]));
        Object::new(ObjectData::Struct(value), owner, Digest::ZERO, 0)
    }

    #[tokio::test]
    async fn an_object_is_what_the_bytes_of_its_digest_say_and_no_other_one_in_its_place() {
        let server = SampleServer::start(vec![], &[]).await;
        let (chain, id) = (chain(&[&server], None), ObjectId::from_bytes([1; 32]));
        let [own, larger, other] =
            [(1, 5), (1, 6), (2, 5)].map(|(id, size)| storage(id, size, "storage"));
        let read = |sent: proto::Object| chain.by_its_bytes(&sent, &id, "storage object");
        assert_eq!(read(own.clone().into()).unwrap(), own);
        let mut bigger: proto::Object = larger.into();
        bigger.digest = Some(own.digest().to_string());
        let mut older: proto::Object = own.clone().into();
        older.version = Some(2);
        for lie in [bigger, older, other.into()] {
            let refused = read(lie).unwrap_err();
            assert!(
                matches!(&refused, CallError::Untrue { url, .. } if *url == server.url),
                "{refused}"
            );
        }
    }

    #[tokio::test]
    async fn a_value_is_read_of_its_own_kind_only() {
        let server = SampleServer::start(vec![], &[]).await;
        let chain = chain(&[&server], None);
        let (ours, strange) = (storage(1, 5, "storage"), storage(1, 5, "strange"));
        let value = chain.value_of::<Storage>(&ours).unwrap();
        assert_eq!(value.map(|value| value.storage_size), Some(5));
        assert_eq!(chain.value_of::<Storage>(&strange).unwrap(), None);
        assert_eq!(chain.value_of::<NodeCap>(&ours).unwrap(), None);
        assert_eq!(holder_of(&ours), Holder::Account([9; 32].into()));
    }
}
