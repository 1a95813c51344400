//! From one step of a script to one signed programmable transaction.
//!
//! Promises: results go from command to command as `@names`; what nobody took goes to the sender;
//! an object named twice is one input, mutable if any command changes it.
//! Does not: execute, or know what is legal.

use std::collections::BTreeMap;

use haulout_protocol::blob::BlobId;
use haulout_protocol::chain::CLOCK;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::message::{NetworkId, peer_proof_message, proof_of_possession_message};
use serde::Serialize;
use serde_json::{Map, Value};
use sui_crypto::{Signer, SuiSigner};
use sui_sdk_types::{
    Address, Argument, Command, Ed25519Signature, GasPayment, Identifier, Input, MergeCoins,
    MoveCall, ProgrammableTransaction, SharedInput, SplitCoins, Transaction, TransactionExpiration,
    TransactionKind, TransferObjects, UserSignature,
};

use super::certificates::certificate;
use super::commands::{COMMANDS, Makes, Shape, Slot};
use super::format::{self, Step};
use super::stage::{Stage, account, actor_key, blob_root, bls_key, peer_key};
use crate::ledger::objects::{Resource, reference};
use crate::ledger::transactions::{GAS_COST, GAS_PRICE};

/// A transaction, and what the names in its step mean if it succeeds.
#[derive(Debug)]
pub(super) struct Compiled {
    /// The transaction.
    pub(super) transaction: Transaction,
    /// By the sender and whoever pays.
    pub(super) signatures: Vec<UserSignature>,
    /// Objects by new handle.
    pub(super) handles: BTreeMap<String, Address>,
    /// Nodes by new name.
    pub(super) nodes: BTreeMap<String, Address>,
}

/// Where an object comes from.
#[derive(Clone, Copy, Debug)]
enum Origin {
    /// The object of this number that the transaction creates.
    Fresh(u64),
    /// It was there.
    Stored(Address),
}

/// The result of a command.
#[derive(Clone, Debug)]
struct Result_ {
    name: Option<String>,
    argument: Argument,
    origin: Origin,
    /// The storage inside, if it is a blob.
    storage: Option<Origin>,
    taken: bool,
}

type Failed = String;

/// Makes a transaction of a step.
pub(super) fn compile(stage: &Stage, step: &Step) -> Result<Compiled, Failed> {
    let mut draft = Draft {
        stage,
        sender: &step.sender,
        inputs: Vec::new(),
        places: BTreeMap::new(),
        commands: Vec::new(),
        results: Vec::new(),
        nodes: Vec::new(),
        fresh: 0,
    };
    for command in &step.cmds {
        draft.add(command)?;
    }
    draft.keep_results();
    draft.finish(step.payer.as_deref())
}

/// A number: as such, `"u64max"`, `"epoch()"`, `"epoch()+1"` or `"epoch()-1"`.
pub(super) fn integer(stage: &Stage, value: &Value) -> Result<u64, Failed> {
    if let Some(number) = value.as_u64() {
        return Ok(number);
    }
    let wrong = || format!("{value} is no number");
    let text = value.as_str().ok_or_else(wrong)?;
    if text == "u64max" {
        return Ok(u64::MAX);
    }
    let epoch = u64::from(stage.system().committee.epoch);
    match text.strip_prefix("epoch()").ok_or_else(wrong)? {
        "" => Ok(epoch),
        rest => {
            let ahead: i64 = rest.parse().map_err(|_| wrong())?;
            epoch.checked_add_signed(ahead).ok_or_else(wrong)
        }
    }
}

fn text<'a>(arguments: &'a Map<String, Value>, key: &str) -> Result<&'a str, Failed> {
    arguments.get(key).and_then(Value::as_str).ok_or(format!("{key} must be a text"))
}

/// The number of the blob `B7`.
fn blob_number(name: &str) -> Result<u64, Failed> {
    let number = name.strip_prefix('B').and_then(|number| number.parse().ok());
    number.ok_or(format!("{name:?} is no blob; blobs are B1, B2, ..."))
}

/// The id of the blob a key names, of `size` bytes.
pub(super) fn blob_id(
    stage: &Stage,
    arguments: &Map<String, Value>,
    key: &str,
) -> Result<BlobId, Failed> {
    let size = arguments.get("size").and_then(Value::as_u64).ok_or("a blob id needs its size")?;
    let root = blob_root(blob_number(text(arguments, key)?)?);
    Ok(BlobId::derive(stage.encoding_of(size), size, &root))
}

/// A transaction in the making.
struct Draft<'a> {
    stage: &'a Stage,
    sender: &'a str,
    inputs: Vec<Input>,
    places: BTreeMap<Address, u16>,
    commands: Vec<Command>,
    results: Vec<Result_>,
    nodes: Vec<(String, u64)>,
    fresh: u64,
}

impl Draft<'_> {
    fn input(&mut self, input: Input) -> Argument {
        let place = u16::try_from(self.inputs.len()).unwrap();
        self.inputs.push(input);
        Argument::Input(place)
    }

    fn pure(&mut self, value: &impl Serialize) -> Argument {
        self.input(Input::Pure(bcs::to_bytes(value).unwrap()))
    }

    fn shared(&mut self, id: Address, mutable: bool) -> Argument {
        let Some(place) = self.places.get(&id) else {
            let argument = self.input(Input::Shared(SharedInput::new(id, 1, mutable)));
            self.places.insert(id, u16::try_from(self.inputs.len() - 1).unwrap());
            return argument;
        };
        if mutable {
            self.inputs[usize::from(*place)] = Input::Shared(SharedInput::new(id, 1, true));
        }
        Argument::Input(*place)
    }

    /// An object of the sender, by its latest version.
    fn owned(&mut self, id: Address) -> Result<Argument, Failed> {
        if let Some(place) = self.places.get(&id) {
            return Ok(Argument::Input(*place));
        }
        let object = self.stage.state.stored().get(&id).ok_or(format!("{id} is gone"))?;
        let argument = self.input(Input::ImmutableOrOwned(reference(object)));
        self.places.insert(id, u16::try_from(self.inputs.len() - 1).unwrap());
        Ok(argument)
    }

    /// What `@name` or `$tok` means here, with the result it is, if it is one.
    fn object(&mut self, value: &str) -> Result<(Argument, Option<usize>), Failed> {
        if value == "$tok" {
            let coin = self.stage.richest(self.sender, true);
            let coin = coin.ok_or(format!("{} has no WAL", self.sender))?;
            return Ok((self.owned(coin)?, None));
        }
        let name = value.strip_prefix('@').ok_or(format!("{value:?} is no object"))?;
        let is_it = |result: &Result_| result.name.as_deref() == Some(name);
        if let Some(at) = self.results.iter().rposition(is_it) {
            return Ok((self.results[at].argument, Some(at)));
        }
        let id = *self.stage.handles.get(name).ok_or(format!("@{name} is not known"))?;
        Ok((self.owned(id)?, None))
    }

    /// Adds one command.
    fn add(&mut self, command: &format::Command) -> Result<(), Failed> {
        let arguments = &command.arguments;
        match command.name.as_str() {
            "split_coin" => self.split_coin(command),
            "merge_coins" => {
                let (coin, _) = self.object(text(arguments, "coin")?)?;
                let from = self.take(text(arguments, "from")?)?;
                self.commands
                    .push(Command::MergeCoins(MergeCoins { coin, coins_to_merge: vec![from] }));
                Ok(())
            }
            "transfer" => {
                let object = self.take(text(arguments, "object")?)?;
                let address = self.pure(&account(text(arguments, "to")?));
                let objects = vec![object];
                self.commands.push(Command::TransferObjects(TransferObjects { objects, address }));
                Ok(())
            }
            name => {
                let shape = COMMANDS.iter().find(|shape| shape.name == name);
                self.call(shape.ok_or(format!("there is no command {name:?}"))?, command)
            }
        }
    }

    fn split_coin(&mut self, command: &format::Command) -> Result<(), Failed> {
        let (coin, _) = self.object(text(&command.arguments, "coin")?)?;
        let amount = command.arguments.get("amount").ok_or("amount is missing")?;
        let amount = self.pure(&integer(self.stage, amount)?);
        self.commands.push(Command::SplitCoins(SplitCoins { coin, amounts: vec![amount] }));
        self.keep(command, Origin::Fresh(self.fresh), None);
        self.fresh += 1;
        Ok(())
    }

    /// An object that a command takes for good.
    fn take(&mut self, value: &str) -> Result<Argument, Failed> {
        let (argument, result) = self.object(value)?;
        if let Some(at) = result {
            self.results[at].taken = true;
        }
        Ok(argument)
    }

    /// Notes the result of the last command.
    fn keep(&mut self, command: &format::Command, origin: Origin, storage: Option<Origin>) {
        let at = u16::try_from(self.commands.len() - 1).unwrap();
        self.results.push(Result_ {
            name: command.result.clone(),
            argument: Argument::NestedResult(at, 0),
            origin,
            storage,
            taken: false,
        });
    }

    fn call(&mut self, shape: &Shape, command: &format::Command) -> Result<(), Failed> {
        let known =
            |key: &String| shape.slots.iter().any(|slot| slot.keys().contains(&key.as_str()));
        if let Some(unknown) = command.arguments.keys().find(|key| !known(key)) {
            return Err(format!("{} has no argument {unknown:?}", shape.name));
        }
        let inside = self.storage_inside(shape, command)?;
        let mut arguments = Vec::new();
        for slot in shape.slots {
            self.slot(*slot, command, &mut arguments)?;
        }
        self.commands.push(Command::MoveCall(MoveCall {
            package: Address::new((self.stage.config.ids().package).into()),
            module: Identifier::new(shape.function.module).unwrap(),
            function: Identifier::new(shape.function.name).unwrap(),
            type_arguments: vec![],
            arguments,
        }));
        match shape.makes {
            Makes::Nothing => {}
            Makes::ItsStorage => {
                self.keep(command, inside.ok_or("the blob has no storage")?, None);
            }
            Makes::New(before) => {
                self.keep(command, Origin::Fresh(self.fresh + before), inside);
                if shape.name == "register_node" {
                    let name = text(&command.arguments, "node")?.to_owned();
                    self.nodes.push((name, self.fresh));
                }
                self.fresh += before + 1;
            }
        }
        Ok(())
    }

    /// The storage inside the blob that a command takes or makes.
    fn storage_inside(
        &self,
        shape: &Shape,
        command: &format::Command,
    ) -> Result<Option<Origin>, Failed> {
        let key = match shape.name {
            "register" => "storage",
            "delete" => "blob",
            _ => return Ok(None),
        };
        let name = text(&command.arguments, key)?.trim_start_matches('@');
        let is_it = |result: &&Result_| result.name.as_deref() == Some(name);
        if let Some(result) = self.results.iter().rfind(is_it) {
            return Ok(if key == "blob" { result.storage } else { Some(result.origin) });
        }
        Ok(match self.stage.resource(name)? {
            Resource::Blob(blob) => Some(Origin::Stored(Address::new(blob.storage.id.into()))),
            other => Some(Origin::Stored(other.id())),
        })
    }

    fn slot(
        &mut self,
        slot: Slot,
        command: &format::Command,
        to: &mut Vec<Argument>,
    ) -> Result<(), Failed> {
        let (given, ids) = (&command.arguments, self.stage.config.ids());
        let number = |key: &str| {
            let value = given.get(key).ok_or(format!("{} lacks {key}", command.name))?;
            integer(self.stage, value)
        };
        let argument = match slot {
            Slot::System(mutable) => self.shared(Address::new(ids.system.into()), mutable),
            Slot::Stake(mutable) => self.shared(Address::new(ids.staking_inner().into()), mutable),
            Slot::Params => self.shared(Address::new(ids.params.into()), false),
            Slot::Treasury => self.shared(Address::new(ids.treasury.into()), true),
            Slot::Clock => self.shared(Address::new(CLOCK.into()), false),
            Slot::Borrowed(key) => self.object(text(given, key)?)?.0,
            Slot::Taken(key) => self.take(text(given, key)?)?,
            Slot::U64(key) => {
                let number = number(key)?;
                self.pure(&number)
            }
            Slot::U32(key) => {
                let number = u32::try_from(number(key)?);
                self.pure(&number.map_err(|_| format!("{key} has 32 bits"))?)
            }
            Slot::Encoding => {
                let kind = given.get("encoding").and_then(Value::as_u64);
                let usual = || number("size").map(|size| self.stage.encoding_of(size).number());
                let kind = kind.map(|kind| Ok(u8::try_from(kind).unwrap_or(u8::MAX)));
                let kind = kind.unwrap_or_else(usual)?;
                self.pure(&kind)
            }
            Slot::Flag(key) => {
                self.pure(&given.get(key).and_then(Value::as_bool).unwrap_or_default())
            }
            Slot::Max => {
                let max = if given.contains_key("max") { number("max")? } else { u64::MAX };
                self.pure(&max)
            }
            Slot::Text(key) => {
                let text = text(given, key)?.to_owned();
                self.pure(&text)
            }
            Slot::Node => {
                let name = text(given, "node")?;
                let id = self.stage.nodes.get(name).copied();
                // A node nobody registered has the id of zeros.
                self.pure(&id.unwrap_or_default())
            }
            Slot::BlobId => {
                let key = if given.contains_key("id") { "id" } else { "blob" };
                let mut sized = given.clone();
                sized.insert("size".to_owned(), number("size")?.into());
                let id = *blob_id(self.stage, &sized, key)?.as_bytes();
                self.pure(&id)
            }
            Slot::Root => {
                let root = blob_root(blob_number(text(given, "blob")?)?);
                self.pure(&root)
            }
            Slot::Certificate => {
                let fields =
                    given.get("cert").and_then(Value::as_object).ok_or("cert is missing")?;
                let (signature, bitmap, message) = certificate(self.stage, fields)?;
                let parts = [signature, bitmap, message].map(|part| self.pure(&part));
                to.extend(parts);
                return Ok(());
            }
            Slot::Registration => return self.registration(given, to),
        };
        to.push(argument);
        Ok(())
    }

    /// What a node says of itself, with its proofs.
    fn registration(
        &mut self,
        given: &Map<String, Value>,
        to: &mut Vec<Argument>,
    ) -> Result<(), Failed> {
        let stage = self.stage;
        let number =
            |key: &str, or: u64| given.get(key).map_or(Ok(or), |value| integer(stage, value));
        let tamper = given.get("tamper").and_then(Value::as_str).unwrap_or_default();
        let keys = if given.contains_key("keys_of") { "keys_of" } else { "node" };
        let (name, keys) = (text(given, "node")?, text(given, keys)?);
        let epoch = number("epoch", stage.system().committee.epoch.into())?;
        let epoch = Epoch(u32::try_from(epoch).map_err(|_| "an epoch has 32 bits")?);
        let network = NetworkId::from_bytes((stage.config.ids().network_id).into());
        let (peer, bls, sender) = (peer_key(keys), bls_key(keys), account(self.sender));
        let public = bls.public_key().to_bytes().to_vec();
        let peer_message =
            peer_proof_message(&network, epoch, &ObjectId::from_bytes(*sender.inner()), &public);
        let peer_proof: Ed25519Signature = peer.sign(&peer_message);
        let bls_message = proof_of_possession_message(
            &network,
            epoch,
            &ObjectId::from_bytes(*sender.inner()),
            &bls.public_key(),
        );
        let (mut peer_proof, mut bls_proof) =
            (peer_proof.inner().to_vec(), bls.sign(&bls_message).to_bytes().to_vec());
        let (mut name, mut addresses) =
            (name.to_owned(), vec![vec![4_u8, 127, 0, 0, 1, 6, 0x1f, 0x90]]);
        match tamper {
            "" => {}
            "peer_proof" => peer_proof[3] ^= 1,
            "bls_proof" => bls_proof[5] ^= 1,
            "name" => name = "n".repeat(101),
            "addresses" => addresses.clear(),
            other => return Err(format!("a registration cannot be tampered with by {other:?}")),
        }
        let commission = u16::try_from(number("commission", 0)?).unwrap_or(u16::MAX);
        to.push(self.pure(&name));
        to.push(self.pure(&peer.public_key().into_inner()));
        to.push(self.pure(&peer_proof));
        to.push(self.pure(&addresses));
        to.push(self.pure(&public));
        to.push(self.pure(&bls_proof));
        to.push(self.pure(&commission));
        to.push(self.pure(&number("storage_ask", stage.config.storage_price)?));
        to.push(self.pure(&number("write_ask", stage.config.write_price)?));
        to.push(self.pure(&number("capacity", 1 << 30)?));
        to.push(self.pure(&Vec::<(String, String)>::new()));
        Ok(())
    }

    /// What nobody took goes to the sender.
    fn keep_results(&mut self) {
        let left = self.results.iter().filter(|result| !result.taken);
        let objects: Vec<_> = left.map(|result| result.argument).collect();
        if !objects.is_empty() {
            let address = self.pure(&account(self.sender));
            self.commands.push(Command::TransferObjects(TransferObjects { objects, address }));
        }
    }

    fn finish(self, payer: Option<&str>) -> Result<Compiled, Failed> {
        let payer = payer.unwrap_or(self.sender);
        let gas = self.stage.richest(payer, false).ok_or(format!("{payer} is no actor"))?;
        let gas = self.stage.state.stored().get(&gas).ok_or("the gas coin is gone")?;
        let transaction = Transaction {
            kind: TransactionKind::ProgrammableTransaction(ProgrammableTransaction {
                inputs: self.inputs,
                commands: self.commands,
            }),
            sender: account(self.sender),
            gas_payment: GasPayment {
                objects: vec![reference(gas)],
                owner: account(payer),
                price: GAS_PRICE,
                budget: GAS_COST,
            },
            expiration: TransactionExpiration::None,
        };
        let mut signers = vec![self.sender];
        signers.extend((payer != self.sender).then_some(payer));
        let sign = |name: &&str| actor_key(name).sign_transaction(&transaction).unwrap();
        let signatures = signers.iter().map(sign).collect();
        let digest = transaction.digest();
        let id = |origin| match origin {
            Origin::Fresh(count) => Address::derive_id(digest, count),
            Origin::Stored(id) => id,
        };
        let named =
            self.results.into_iter().filter_map(|result| Some((result.name?, result.origin)));
        let handles = named.map(|(name, origin)| (name, id(origin))).collect();
        let nodes = self.nodes.into_iter().map(|(name, count)| (name, id(Origin::Fresh(count))));
        let nodes = nodes.collect();
        Ok(Compiled { transaction, signatures, handles, nodes })
    }
}
