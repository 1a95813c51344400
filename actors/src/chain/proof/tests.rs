//! A small ledger of four validators, and everything a liar could change in what it says.

use haulout_protocol::chain::event::EpochChangeStart;
use haulout_protocol::machine::ledger_history::TrustedCheckpoint;
use sui_crypto::bls12381::{Bls12381PrivateKey, ValidatorCommitteeSignatureAggregator};
use sui_sdk_types::{
    ChangedObject, CheckpointTransactionInfo, Digest, EndOfEpochData, ExecutionStatus,
    GasCostSummary, IdOperation, Identifier, ObjectIn, ObjectOut, StructTag, TransactionEffectsV2,
    ValidatorCommittee, ValidatorCommitteeMember,
};

use super::*;

const PACKAGE: Address = Address::new([7; 32]);
const SYSTEM: Address = Address::new([8; 32]);
const POOL: Address = Address::new([9; 32]);

/// What is changed, and how.
type Lie = (&'static str, fn(&mut Unproven));

/// Four validators of equal stake; three are a quorum.
pub(in crate::chain) struct Signers {
    pub(in crate::chain) epoch: u64,
    keys: Vec<Bls12381PrivateKey>,
}

impl Signers {
    pub(in crate::chain) fn new(epoch: u64, seed: u8) -> Signers {
        let key = |number: u8| Bls12381PrivateKey::new([seed + number; 32]).unwrap();
        Signers { epoch, keys: (0..4).map(key).collect() }
    }

    fn members(&self) -> Vec<ValidatorCommitteeMember> {
        let member = |key: &Bls12381PrivateKey| ValidatorCommitteeMember {
            public_key: key.public_key(),
            stake: 2500,
        };
        self.keys.iter().map(member).collect()
    }

    pub(in crate::chain) fn committee(&self) -> ValidatorCommittee {
        ValidatorCommittee { epoch: self.epoch, members: self.members() }
    }

    pub(in crate::chain) fn validators(&self) -> Validators {
        Validators::new(self.committee()).unwrap()
    }

    fn sign(&self, summary: &CheckpointSummary) -> ValidatorAggregatedSignature {
        let committee = self.committee();
        let sum = ValidatorCommitteeSignatureAggregator::new_checkpoint_summary(committee, summary);
        let mut sum = sum.unwrap();
        for key in &self.keys[..3] {
            sum.add_signature(key.sign_checkpoint_summary(summary)).unwrap();
        }
        sum.finish().unwrap()
    }
}

fn ours() -> Ours {
    Ours { package: PACKAGE, roots: [SYSTEM; 5], also: None }
}

/// What our contracts say when an epoch begins.
fn epoch_began(epoch: u32) -> TransactionEvents {
    let name = |text| Identifier::new(text).unwrap();
    TransactionEvents(vec![sui_sdk_types::Event {
        package_id: PACKAGE,
        module: name("staking"),
        sender: Address::ZERO,
        type_: StructTag::new(PACKAGE, name(event::MODULE), name("EpochChangeStart"), vec![]),
        contents: bcs::to_bytes(&EpochChangeStart { epoch }).unwrap(),
    }])
}

/// Effects of a transaction that said this, and wrote the system and a pool.
fn effects(events: &TransactionEvents) -> TransactionEffects {
    let write = |object_id: Address| ChangedObject {
        object_id,
        input_state: ObjectIn::NotExist,
        output_state: ObjectOut::ObjectWrite {
            digest: Digest::new(object_id.into_inner()),
            owner: Owner::Shared(1),
        },
        id_operation: IdOperation::Created,
    };
    TransactionEffects::V2(Box::new(TransactionEffectsV2 {
        status: ExecutionStatus::Success,
        epoch: 0,
        gas_used: GasCostSummary::default(),
        transaction_digest: Digest::new([1; 32]),
        gas_object_index: None,
        events_digest: Some(events.digest()),
        dependencies: vec![],
        lamport_version: 5,
        changed_objects: vec![write(SYSTEM), write(POOL)],
        unchanged_consensus_objects: vec![],
        auxiliary_data_digest: None,
    }))
}

/// The next checkpoint, in which a storage epoch began; signed by a quorum.
pub(in crate::chain) fn next(
    before: Option<&Unproven>,
    epoch: u32,
    signers: &Signers,
    successors: Option<&Signers>,
) -> Unproven {
    let events = epoch_began(epoch);
    let effects = effects(&events);
    let info =
        CheckpointTransactionInfo::new(*effects.transaction_digest(), effects.digest(), vec![]);
    let contents = CheckpointContents::new_v1(vec![info]);
    let end = successors.map(|successors| EndOfEpochData {
        next_epoch_committee: successors.members(),
        next_epoch_protocol_version: 1,
        epoch_commitments: vec![],
    });
    let sequence_number = before.map_or(0, |before| before.sequence() + 1);
    let summary = CheckpointSummary {
        epoch: signers.epoch,
        sequence_number,
        network_total_transactions: sequence_number + 1,
        content_digest: contents.digest(),
        previous_digest: before.map(|before| before.summary.digest()),
        epoch_rolling_gas_cost_summary: GasCostSummary::default(),
        timestamp_ms: 1000 * sequence_number,
        checkpoint_commitments: vec![],
        end_of_epoch_data: end,
        version_specific_data: vec![],
    };
    Unproven {
        digest: CheckpointDigest(summary.digest().into_inner()),
        signature: Some(signers.sign(&summary)),
        contents,
        transactions: vec![(effects, Some(events))],
        summary,
    }
}

/// Checkpoints 0 to 3.
fn four(signers: &Signers) -> Vec<Unproven> {
    let mut chain: Vec<Unproven> = Vec::new();
    for epoch in 1..=4 {
        chain.push(next(chain.last(), epoch, signers, None));
    }
    chain
}

fn proved(batch: &[Unproven], signers: &Signers) -> Proved {
    prove(batch, History::default(), (Some(signers.validators()), None), &ours()).unwrap()
}

#[test]
fn what_validators_signed_is_taken_with_its_events_and_objects() {
    let signers = Signers::new(0, 1);
    let proved = proved(&four(&signers), &signers);
    assert_eq!((proved.due.len(), proved.doubt), (4, None));
    assert_eq!(proved.history.next(), 4);
    let last = &proved.due[3];
    assert_eq!(last.events, [Event::EpochChangeStart(EpochChangeStart { epoch: 4 })]);
    let written = |id: Address| Written {
        id: ObjectId::from_bytes(id.into_inner()),
        version: 5,
        digest: id.into_inner(),
    };
    assert_eq!(last.written, [written(SYSTEM), written(POOL)]);
}

#[test]
fn one_signature_is_enough_for_all_that_it_names() {
    let signers = Signers::new(0, 1);
    let mut chain = four(&signers);
    chain[..3].iter_mut().for_each(|one| one.signature = None);
    assert_eq!(proved(&chain, &signers).due.len(), 4);
    chain[3].signature = None;
    let refused = proved(&chain, &signers);
    let doubt = Doubt { verdict: Verdict::Forged, checkpoint: 0 };
    assert_eq!((refused.due.len(), refused.doubt), (0, Some(doubt)));
}

#[test]
fn nothing_can_be_changed_left_out_or_added_unnoticed() {
    let signers = Signers::new(0, 1);
    let lies: [Lie; 8] = [
        ("an event", |it| it.transactions[0].1 = Some(epoch_began(9))),
        ("no event", |it| it.transactions[0].1 = None),
        ("other effects", |it| it.transactions[0].0 = effects(&epoch_began(9))),
        ("other effects and their event", |it| {
            it.transactions[0] = (effects(&epoch_began(9)), Some(epoch_began(9)));
        }),
        ("no transaction", |it| it.transactions.clear()),
        ("a transaction more", |it| it.transactions.push(it.transactions[0].clone())),
        ("no contents", |it| it.contents = CheckpointContents::new_v1(vec![])),
        ("another time", |it| it.summary.timestamp_ms += 1),
    ];
    for (what, lie) in lies {
        let mut chain = four(&signers);
        lie(&mut chain[2]);
        // A liar would have to name what it made up by its own digest.
        chain[2].digest = CheckpointDigest(chain[2].summary.digest().into_inner());
        let refused = proved(&chain, &signers);
        assert_eq!(refused.due.len(), 2, "{what}");
        let doubt = Doubt { verdict: Verdict::Forged, checkpoint: 2 };
        assert_eq!(refused.doubt, Some(doubt), "{what}");
        assert_eq!(refused.history.next(), 2, "{what}");
    }
}

#[test]
fn only_a_quorum_of_the_right_epoch_signs() {
    let (signers, others) = (Signers::new(0, 1), Signers::new(0, 51));
    let forged = proved(&four(&others), &signers);
    let doubt = Some(Doubt { verdict: Verdict::Forged, checkpoint: 0 });
    assert_eq!((forged.due.len(), forged.doubt), (0, doubt));
    let later = Signers::new(1, 1);
    let refused = proved(&four(&later), &signers);
    assert_eq!((refused.due.len(), refused.doubt), (0, doubt));
    // The signatures of two of four, claimed to be those of three.
    let mut chain = four(&signers);
    let few = signers.keys[0].sign_checkpoint_summary(&chain[0].summary).signature;
    chain.truncate(1);
    chain[0].signature.as_mut().unwrap().signature = few;
    assert_eq!(proved(&chain, &signers).doubt, doubt);
}

#[test]
fn the_last_checkpoint_of_a_sui_epoch_hands_over_to_the_validators_it_names() {
    let (first, second) = (Signers::new(0, 1), Signers::new(1, 51));
    let zero = next(None, 1, &first, None);
    let one = next(Some(&zero), 2, &first, Some(&second));
    let two = next(Some(&one), 3, &second, None);
    let proved = proved(&[zero, one, two], &first);
    assert_eq!((proved.due.len(), proved.doubt), (3, None));
    assert_eq!(proved.validators.unwrap().epoch(), 1);
    let handed = [None, Some(second.validators().to_bytes()), None];
    assert!(proved.due.iter().map(|one| &one.validators).eq(&handed));
}

#[test]
fn a_person_who_names_the_last_checkpoint_of_a_sui_epoch_need_not_name_its_validators() {
    let (first, second) = (Signers::new(0, 1), Signers::new(1, 51));
    let zero = next(None, 1, &first, Some(&second));
    let one = next(Some(&zero), 2, &second, None);
    let trusted = TrustedCheckpoint { sequence: 0, digest: zero.digest(), validators: None };
    let history = History::from_trusted(Some(&trusted));
    let proved =
        prove(&[zero, one], history.clone(), (Some(second.validators()), None), &ours()).unwrap();
    assert_eq!((proved.due.len(), proved.doubt), (2, None));
    // Another one in its place is not signed by anybody whom we know.
    let other = next(None, 7, &first, Some(&second));
    let refused = prove(&[other], history, (Some(second.validators()), None), &ours()).unwrap();
    assert!(refused.due.is_empty() && refused.doubt.is_some());
}

#[test]
fn at_the_end_of_a_sui_epoch_what_was_verified_is_told_from_what_was_not() {
    let (first, second) = (Signers::new(0, 1), Signers::new(1, 51));
    let zero = next(None, 1, &first, None);
    let last = next(Some(&zero), 2, &first, Some(&second));
    let validators = second.validators();
    let history = proved(&[zero.clone(), last.clone()], &first).history;
    let again = |shown: &Unproven, history: &History| {
        let shown = std::slice::from_ref(shown);
        let proved =
            prove(shown, history.clone(), (Some(validators.clone()), None), &ours()).unwrap();
        assert!(proved.due.is_empty());
        proved.doubt.map(|doubt| doubt.verdict)
    };
    assert_eq!(again(&last, &history), None);
    assert_eq!(again(&zero, &history), None);
    let other = next(Some(&zero), 9, &first, Some(&second));
    assert_eq!(again(&other, &history), Some(Verdict::Rollback));
    // After a restart only the last one is remembered: whoever shows the one before merely lags.
    let restarted = History::after(*history.last().unwrap());
    assert_eq!(again(&last, &restarted), None);
    assert_eq!(again(&zero, &restarted), None);
    // What is past makes nothing else certain.
    let made_up = next(Some(&last), 9, &Signers::new(0, 91), None);
    let mut past = zero;
    past.summary.previous_digest = Some(made_up.summary.digest());
    let batch = [made_up, past];
    let proved = prove(&batch, restarted, (Some(validators), None), &ours()).unwrap();
    assert_eq!((proved.due.len(), proved.doubt.unwrap().verdict), (0, Verdict::Forged));
}

#[test]
fn those_who_were_not_named_cannot_take_over() {
    let (first, second, thief) = (Signers::new(0, 1), Signers::new(1, 51), Signers::new(1, 91));
    let zero = next(None, 1, &first, Some(&second));
    let stolen = next(Some(&zero), 2, &thief, None);
    let refused = proved(&[zero, stolen], &first);
    let doubt = Doubt { verdict: Verdict::Forged, checkpoint: 1 };
    assert_eq!((refused.due.len(), refused.doubt), (1, Some(doubt)));
}

#[test]
fn a_signed_checkpoint_of_another_history_is_a_fork_not_the_next() {
    let signers = Signers::new(0, 1);
    let chain = four(&signers);
    let other = next(
        Some(&next(Some(&next(None, 8, &signers, None)), 8, &signers, None)),
        8,
        &signers,
        None,
    );
    let [zero, one, ..] = <[Unproven; 4]>::try_from(chain).unwrap();
    let refused = proved(&[zero, one, other], &signers);
    let doubt = Doubt { verdict: Verdict::Fork, checkpoint: 2 };
    assert_eq!((refused.due.len(), refused.doubt), (2, Some(doubt)));
}

#[test]
fn whatever_claims_to_be_validators_nothing_panics() {
    let member = Signers::new(0, 1).members()[0].clone();
    let heavy = ValidatorCommitteeMember { stake: u64::MAX, ..member.clone() };
    let none = ValidatorCommitteeMember { stake: 0, ..member.clone() };
    let no_key = sui_sdk_types::Bls12381PublicKey::new([9; 96]);
    let invalid = ValidatorCommitteeMember { public_key: no_key, ..member.clone() };
    let many = vec![member.clone(); crate::limits::CHAIN_VALIDATORS_MAX + 1];
    for members in [vec![], vec![none], vec![heavy.clone(), heavy], vec![invalid], many] {
        assert!(Validators::new(ValidatorCommittee { epoch: 0, members }).is_err());
    }
    assert!(Validators::from_bytes(&[1, 2, 3]).is_err());
    let sound = Validators::new(ValidatorCommittee { epoch: 3, members: vec![member] }).unwrap();
    assert_eq!(Validators::from_bytes(&sound.to_bytes()).unwrap().digest(), sound.digest());
}
