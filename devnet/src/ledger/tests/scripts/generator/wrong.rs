//! Steps that are wrong in one way, with the code that the design gives it.

use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::object::staking::{EpochState, Staked, StakedState};
use serde_json::{Value, json};

use super::super::format::{Command, Status};
use super::stake::Fate;
use super::{Generator, MIB, Proposal, WAL, call, make};

/// What is wrong with a registration.
type Change = Box<dyn FnOnce(&mut Value)>;

impl Generator {
    /// Something that must not happen; now and then after something that may, in the same step.
    pub(super) fn wrong(&mut self) -> Option<Proposal> {
        let mut proposal = match self.random.below(10) {
            0..2 => self.wrong_space(),
            2..4 => self.wrong_blob(),
            4..6 => self.wrong_certificate(),
            6 => self.wrong_stake(),
            7 => self.wrong_node(),
            8 => self.wrong_turn(),
            _ => self.wrong_owner(),
        }?;
        let rich = ["alice", "bob", "carol"].contains(&proposal.sender.as_str());
        if rich && self.random.chance(30) && self.wealth(&proposal.sender) > WAL {
            let (split, _) = self.coin(1);
            proposal.cmds.insert(0, split);
        }
        Some(proposal)
    }

    fn wrong_space(&mut self) -> Option<Proposal> {
        let (sender, length) = (self.rich(), self.runner.view.system().ring.length);
        let epoch = self.epoch();
        let reserve = |size: u64, start: u32, end: u32, max: u64| {
            let arguments =
                json!({ "size": size, "start": start, "end": end, "coin": "$tok", "max": max });
            vec![call("reserve", arguments)]
        };
        let (all, none) = (u64::MAX, 0);
        let price = self.runner.view.system().storage_price;
        Some(match self.random.below(11) {
            0 => Proposal::wrong(&sender, reserve(MIB, epoch, epoch, all), 1003),
            1 => Proposal::wrong(&sender, reserve(MIB, epoch, epoch + length + 1, all), 1003),
            2 => Proposal::wrong(&sender, reserve(MIB, 0, epoch, all), 1003),
            3 => Proposal::wrong(&sender, reserve(0, epoch, epoch + 1, all), 504),
            4 if price > 0 => Proposal::wrong(&sender, reserve(MIB, epoch, epoch + 1, none), 1005),
            5 if price > 7 => Proposal::wrong("poor", reserve(MIB, epoch, epoch + 1, all), 1004),
            6 => Proposal::open(&sender, reserve(u64::MAX, epoch, epoch + 1, all)),
            7 => Proposal::open(&sender, reserve(60 * MIB, epoch, epoch + 1, all)),
            8 => {
                let (handle, owner, storage) = self.storage(|_| true)?;
                let at = [storage.start_epoch, storage.end_epoch, storage.end_epoch + 1];
                let epoch = self.random.pick(&at)?;
                let split = call("split_by_epoch", json!({ "storage": handle, "epoch": epoch }));
                Proposal::wrong(&owner, vec![split], 501)
            }
            9 => {
                let (handle, owner, storage) = self.storage(|_| true)?;
                let whole = storage.storage_size;
                let (size, code) = self.random.pick(&[(0, 504), (whole, 504), (whole + 1, 503)])?;
                let split = call("split_by_size", json!({ "storage": handle, "size": size }));
                Proposal::wrong(&owner, vec![split], code)
            }
            _ => {
                let amount = self.wealth(&sender).checked_add(1)?;
                let split =
                    make("split_coin", json!({ "coin": "$tok", "amount": amount }), "never");
                let fails = Status::Fails("InsufficientCoinBalance".to_owned());
                Proposal { expect: Some(fails), ..Proposal::legal(&sender, vec![split]) }
            }
        })
    }

    fn wrong_blob(&mut self) -> Option<Proposal> {
        let epoch = self.epoch();
        match self.random.below(8) {
            0..3 => self.wrong_registration(),
            3 => {
                let (handle, owner, _) = self.blob_that(|blob| !blob.deletable)?;
                Some(Proposal::wrong(&owner, vec![call("delete", json!({ "blob": handle }))], 602))
            }
            4 => {
                let (handle, owner, blob) =
                    self.blob_that(|blob| blob.certified_epoch.is_none())?;
                let extend = json!({ "blob": handle, "epochs": 1, "coin": "$tok" });
                let invalid = self.runner.view.is_invalid(&blob.blob_id);
                let code = if invalid { 1011 } else { 601 };
                (self.wealth(&owner) > 0)
                    .then(|| Proposal::wrong(&owner, vec![call("extend", extend)], code))
            }
            5 => {
                let (handle, owner, _, left) = self.lasting()?;
                let length = self.runner.view.system().ring.length;
                let epochs = self.random.pick(&[0, length - left + 1, u32::MAX])?;
                let extend = json!({ "blob": handle, "epochs": epochs, "coin": "$tok" });
                (self.wealth(&owner) > 0)
                    .then(|| Proposal::wrong(&owner, vec![call("extend", extend)], 1003))
            }
            6 => {
                let (handle, owner, _) =
                    self.blob_that(|blob| blob.deletable && epoch >= blob.storage.end_epoch)?;
                Some(Proposal::wrong(&owner, vec![call("delete", json!({ "blob": handle }))], 603))
            }
            _ => {
                let (handle, owner, blob) = self.blob_that(|_| true)?;
                let metadata = self.runner.view.metadata(&blob.id);
                let (command, code) = match metadata {
                    Some(_) => (call("add_metadata", json!({ "blob": handle })), 607),
                    None => (call("take_metadata", json!({ "blob": handle })), 608),
                };
                Some(Proposal::wrong(&owner, vec![command], code))
            }
        }
    }

    fn wrong_registration(&mut self) -> Option<Proposal> {
        let (number, epoch) = (self.valid_number()?, self.epoch());
        let encoded = self.encoded(number)?;
        let (handle, owner, storage) = self.storage(|_| true)?;
        if self.wealth(&owner) == 0 {
            return None;
        }
        let mut register = json!({ "storage": handle, "blob": format!("B{number}"),
            "size": Self::blob_size(number), "coin": "$tok" });
        let covers = storage.start_epoch <= epoch && epoch < storage.end_epoch;
        let code = match self.random.below(4) {
            _ if !covers => 603,
            0 => {
                register["encoding"] = json!(self.other_encoding(Self::blob_size(number)));
                401
            }
            1 => {
                register["size"] = json!(u64::MAX);
                // The id depends on the size, and ids are looked up first.
                402
            }
            _ if encoded > storage.storage_size => 604,
            _ => {
                register["id"] = json!("B99");
                606
            }
        };
        Some(Proposal::wrong(&owner, vec![call("register", register)], code))
    }

    fn wrong_certificate(&mut self) -> Option<Proposal> {
        let epoch = self.epoch();
        let (handle, owner, blob) = self.blob_that(|_| true)?;
        let mut cert = json!({ "type": "blob", "of": handle, "signers": "quorum" });
        let tampers = [
            ("signature", 203),
            ("message", 203),
            ("long_bitmap", 201),
            ("padding", 201),
            ("network", 303),
            ("app", 301),
            ("version", 302),
            ("type", 305),
            ("trailing", 306),
        ];
        let code = match self.random.below(14) {
            0..8 => {
                let (tamper, code) = self.random.pick(&tampers)?;
                cert["tamper"] = json!(tamper);
                code
            }
            8 => {
                cert["epoch"] = json!(if self.random.chance(50) { epoch + 1 } else { epoch - 1 });
                304
            }
            9 => {
                cert["signers"] = json!("third");
                let members = self.runner.view.system().committee.members.len();
                if members < 2 || self.third_is_quorum() {
                    return None;
                }
                202
            }
            10 => {
                cert["signers"] = json!([]);
                202
            }
            11 => return self.wrong_version(),
            _ if self.runner.view.is_invalid(&blob.blob_id) => 1011,
            12 => {
                cert = json!({ "type": "blob", "blob": "B98", "size": 1 });
                606
            }
            _ if blob.certified_epoch.is_some() => 605,
            _ if epoch >= blob.storage.end_epoch => 603,
            _ => {
                let size = blob.size;
                let number = (1..=12).find(|number| Self::blob_size(*number) == size)?;
                if !blob.deletable {
                    return None;
                }
                cert = json!({ "type": "blob", "blob": format!("B{number}"), "size": size });
                609
            }
        };
        let certify = call("certify", json!({ "blob": handle, "cert": cert }));
        Some(Proposal::wrong(&owner, vec![certify], code))
    }

    /// Whether the first members that are more than a third are more than two thirds.
    fn third_is_quorum(&self) -> bool {
        let committee = &self.runner.view.system().committee;
        let shards = u64::from(committee.n_shards);
        let mut weight = 0;
        for member in &committee.members {
            if 3 * weight > shards {
                break;
            }
            weight += u64::from(member.weight);
        }
        3 * weight > 2 * shards
    }

    fn wrong_version(&mut self) -> Option<Proposal> {
        let (sender, version) = (self.rich(), self.runner.view.system().protocol_version);
        let cert = json!({ "type": "protocol_version", "start": "epoch()", "version": version });
        let say = call("set_protocol_version", json!({ "cert": cert }));
        Some(Proposal::wrong(&sender, vec![say], 1013))
    }

    fn wrong_stake(&mut self) -> Option<Proposal> {
        let sender = self.rich();
        let stake = |this: &mut Self, amount: u64, node: &str| {
            let (split, coin) = this.coin(amount);
            vec![split, call("stake", json!({ "coin": coin, "node": node }))]
        };
        let of_receipt = |name: &str, handle: &str| vec![call(name, json!({ "staked": handle }))];
        Some(match self.random.below(8) {
            0 => {
                let node = self.active_node()?;
                let (amount, code) = self.random.pick(&[(0, 1408), (WAL - 1, 1501)])?;
                Proposal::wrong(&sender, stake(self, amount, &node), code)
            }
            1 => Proposal::wrong(&sender, stake(self, WAL, "N99"), 1607),
            2 => {
                let pools = self.runner.view.staking().pools.iter();
                let gone: Vec<_> = pools.filter(|(_, pool)| pool.node.status != 0).collect();
                let gone: Vec<_> = gone.iter().filter_map(|(id, _)| self.node_name(id)).collect();
                let node = self.random.pick(&gone)?;
                Proposal::wrong(&sender, stake(self, WAL, &node), 1608)
            }
            3 => {
                let (handle, owner, receipt) =
                    self.receipt(|this, receipt| this.fate(receipt) != Fate::MustAsk)?;
                let asked = receipt.state != StakedState::Staked;
                let code = if asked { 1504 } else { 1507 };
                Proposal::wrong(&owner, of_receipt("request_withdraw", &handle), code)
            }
            4 => {
                let (handle, owner, receipt) =
                    self.receipt(|this, receipt| this.fate(receipt) != Fate::Paid)?;
                let code = if self.fate(&receipt) == Fate::Waits { 1506 } else { 1505 };
                Proposal::wrong(&owner, of_receipt("withdraw", &handle), code)
            }
            5 => {
                let (handle, owner, receipt) = self.receipt(|_, _| true)?;
                let amounts = [(receipt.principal, 1503), (receipt.principal - 1, 1501), (0, 1501)];
                let (amount, code) = self.random.pick(&amounts)?;
                let split = call("split_staked", json!({ "staked": handle, "amount": amount }));
                Proposal::wrong(&owner, vec![split], code)
            }
            _ => {
                let (handle, owner, first) = self.receipt(|_, _| true)?;
                let (other, other_owner, _) =
                    self.receipt(|_, second| second.id != first.id && differs(&first, second))?;
                let join = call("join_staked", json!({ "staked": handle, "other": other }));
                (owner == other_owner).then(|| Proposal::wrong(&owner, vec![join], 1502))?
            }
        })
    }

    fn wrong_node(&mut self) -> Option<Proposal> {
        let set =
            |key: &'static str, value: Value| move |arguments: &mut Value| arguments[key] = value;
        let (bond, change, code): (u64, Change, u64) = match self.random.below(9) {
            0 => (WAL - 1, Box::new(|_| {}), 1701),
            1 => (WAL, Box::new(set("tamper", json!("name"))), 1702),
            2 => (WAL, Box::new(set("tamper", json!("addresses"))), 1703),
            3 => (WAL, Box::new(set("tamper", json!("peer_proof"))), 1704),
            4 => (WAL, Box::new(set("epoch", json!("epoch()+1"))), 1704),
            5 => (WAL, Box::new(set("tamper", json!("bls_proof"))), 1705),
            6 => (WAL, Box::new(set("keys_of", json!("N1"))), 1706),
            7 => (WAL, Box::new(set("commission", json!(10_001))), 1707),
            _ => return self.wrong_exit(),
        };
        let (sender, mut cmds) = self.registration(bond, change)?;
        if let Some(register) = cmds.last_mut() {
            register.result = None;
        }
        Some(Proposal::wrong(&sender, cmds, code))
    }

    fn wrong_exit(&mut self) -> Option<Proposal> {
        let node = self.any_node()?;
        let (cap, owner) = self.cap(&ObjectId::from_bytes(*node.as_bytes()))?;
        let status = self.runner.view.staking().pools[&node].node.status;
        Some(match status {
            0 => Proposal::wrong(&owner, vec![call("withdraw_bond", json!({ "cap": cap }))], 1708),
            _ => Proposal::wrong(&owner, vec![call("request_exit", json!({ "cap": cap }))], 1608),
        })
    }

    /// A turn of the epoch machine at the wrong time or by the wrong node.
    fn wrong_turn(&mut self) -> Option<Proposal> {
        let (sender, state) = (self.rich(), self.runner.view.staking().state);
        let now = super::super::stage::BEGIN_MS + self.t + 500;
        let duration = self.runner.stage.config.epoch_duration_ms;
        let of = |name: &str, code| Proposal::wrong(&sender, vec![call(name, json!({}))], code);
        let wrong_state = |done: &str, selected: &str, sync: &str| match state {
            EpochState::Done { .. } => done.to_owned(),
            EpochState::Selected { .. } => selected.to_owned(),
            EpochState::Sync { .. } => sync.to_owned(),
        };
        Some(match self.random.below(6) {
            0 => of(&wrong_state("epoch_change", "voting_end", "voting_end"), 1601),
            1 => of(&wrong_state("force_sync_done", "force_sync_done", "epoch_change"), 1601),
            2 => match state {
                EpochState::Done { since_ms } if now < since_ms + duration / 2 => {
                    of("voting_end", 1602)
                }
                EpochState::Selected { since_ms } if now < since_ms + duration => {
                    of("epoch_change", 1602)
                }
                EpochState::Sync { started_ms, .. } if now < started_ms + duration / 4 => {
                    of("force_sync_done", 1602)
                }
                _ => return None,
            },
            3 => {
                let node = self.any_node()?;
                let (cap, owner) = self.cap(&ObjectId::from_bytes(*node.as_bytes()))?;
                let epoch = self.random.pick(&["epoch()+1", "epoch()-1"])?;
                let report = call("epoch_sync_done", json!({ "cap": cap, "epoch": epoch }));
                Proposal::wrong(&owner, vec![report], 1603)
            }
            _ => {
                let node = self.any_node()?;
                let (cap, owner) = self.cap(&ObjectId::from_bytes(*node.as_bytes()))?;
                let staking = self.runner.view.staking();
                let member = staking.committee.iter().any(|member| member.key == node);
                let code = match (staking.synced.contains(&node), member) {
                    (true, _) => 1604,
                    (false, false) => 1605,
                    (false, true) => return None,
                };
                let report = call("epoch_sync_done", json!({ "cap": cap, "epoch": "epoch()" }));
                Proposal::wrong(&owner, vec![report], code)
            }
        })
    }

    /// Somebody uses what belongs to another.
    fn wrong_owner(&mut self) -> Option<Proposal> {
        let (handle, owner, command): (_, _, fn(&str) -> Command) = match self.random.below(3) {
            0 => {
                let (handle, owner, _) = self.storage(|_| true)?;
                (handle, owner, |handle| call("destroy", json!({ "storage": handle })))
            }
            1 => {
                let (handle, owner, _) = self.blob_that(|_| true)?;
                (handle, owner, |handle| call("burn", json!({ "blob": handle })))
            }
            _ => {
                let (handle, owner, _) = self.receipt(|_, _| true)?;
                (handle, owner, |handle| call("withdraw", json!({ "staked": handle })))
            }
        };
        let stranger = self.rich();
        let expect = Some(Status::Refused(true));
        (stranger != owner)
            .then(|| Proposal { expect, ..Proposal::legal(&stranger, vec![command(&handle)]) })
    }
}

/// Whether two receipts of stake may not become one: they differ, or one was asked back.
fn differs(first: &Staked, second: &Staked) -> bool {
    let of = |staked: &Staked| (staked.node_id, staked.activation_epoch, staked.state);
    of(first) != of(second) || first.state != StakedState::Staked
}
