//! Attesting and aggregating: once an epoch for every validator, at the head of its slot or at the deadline.
//!
//! Spec: phase0/validator.md, "Attesting" and "Attestation aggregation"; electra/validator.md for the forms since.

use crate::beacon::{Ask, CallError, Need, Node};
use crate::context::Context;
use crate::duties::{Aggregation, Attester};
use crate::heads::{SeenHead, head_or_deadline};
use crate::metrics::Kind;
use crate::publish::{Publication, Steps, keep_signed, publish};
use crate::signer::Message;
use consensus::Fork;
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::slot_clock::Deadline;
use consensus::ssz::{BitList, Ssz};
use consensus::types::{
    AggregateAndProof, Attestation, AttestationData, BLSPubkey, BLSSignature, CommitteeIndex, SignedAggregateAndProof,
    SingleAttestation, Slot, ValidatorIndex,
};
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// Does everything that attesters of a slot have to do. Ends at the latest two slots after it began.
pub async fn run(ctx: Context, slot: Slot) {
    let epoch = compute_epoch_at_slot(slot);
    let until_ms = ctx.clock.start_of(slot.saturating_add(1));
    let table = ctx
        .duties_with(until_ms, |table| table.attesters.contains_key(&epoch))
        .await;
    let attesters = table.attesters_at(slot);
    if attesters.is_empty() {
        return;
    }
    let due_ms = ctx.clock.due_ms(slot, Deadline::Attestation);
    let head = head_or_deadline(&mut ctx.heads.clone(), &ctx.clock, slot, due_ms).await;
    let attesters = own_attesters(&ctx, slot, attesters);
    if attesters.is_empty() {
        return;
    }
    let mut steps = Steps::default();
    if ctx.clock.now_ms() > due_ms.saturating_add(1000) {
        let behind = ctx.clock.now_ms() - due_ms;
        steps.took(
            "waking up at the deadline (this machine slept or was busy)",
            std::time::Duration::from_millis(behind),
        );
    }
    let data = match attestation_data(&ctx, slot, head, &mut steps).await {
        Ok(data) => data,
        Err(error) => {
            let who: Vec<ValidatorIndex> = attesters.iter().map(|attester| attester.duty.validator_index).collect();
            return ctx.report.missed(Kind::Attestation, slot, &who, error);
        }
    };
    if head.is_none() && ctx.heads.borrow().head_of(slot).is_none() {
        tracing::info!("no block of slot {slot} had come by the attestation deadline: attested to the head before it");
    }
    attest(&ctx, slot, &attesters, &data, head, steps).await;
    aggregate(&ctx, slot, attesters, &data).await;
}

/// Our attesters of a slot whose keys may sign; the others are told.
fn own_attesters(ctx: &Context, slot: Slot, all: Vec<Attester>) -> Vec<Attester> {
    let (own, held): (Vec<Attester>, Vec<Attester>) = all
        .into_iter()
        .partition(|attester| ctx.gate.may_sign(&attester.duty.pubkey));
    if !held.is_empty() {
        let count = held.len();
        tracing::debug!(
            "{count} {} of slot {slot} left out: doppelganger protection still listens for a double",
            Kind::Attestation.words(count)
        );
    }
    own
}

/// What to vote for: the same for all committees but the index, which before Electra is the committee's.
async fn attestation_data(
    ctx: &Context,
    slot: Slot,
    head: Option<SeenHead>,
    steps: &mut Steps,
) -> Result<AttestationData, crate::beacon::Unanswered> {
    // Later than the next slot's end the vote has lost its head and target rewards; by then the node is sick anyway.
    let until_ms = ctx.clock.start_of(slot.saturating_add(2));
    let ask = Ask {
        prefer: head.map(|head| head.from),
        ..ctx.ask("attestation data", Need::Head, slot, until_ms)
    };
    let fork = ctx.config.fork_at_epoch(compute_epoch_at_slot(slot));
    let call = |node: Arc<Node>, left| async move {
        let data = node.attestation_data(slot, 0, left).await?;
        check_data(&data, slot, fork).map_err(|why| CallError::odd_data(&node, why))?;
        Ok(data)
    };
    let begun = Instant::now();
    let answer = ctx.persist(ask, until_ms, call).await?;
    steps.took("the beacon node's attestation data", begun.elapsed());
    Ok(answer.value)
}

/// Whether the data is what an honest node gives for a slot. What could be slashable is the signer's to check.
fn check_data(data: &AttestationData, slot: Slot, fork: Fork) -> Result<(), String> {
    let epoch = compute_epoch_at_slot(slot);
    if data.slot != slot {
        return Err(format!(
            "the attestation data is of slot {}, asked was {slot}",
            data.slot
        ));
    }
    if data.target.epoch != epoch {
        let target = data.target.epoch;
        return Err(format!(
            "the attestation data of slot {slot} has the target epoch {target}, not {epoch}"
        ));
    }
    // The genesis epoch votes from itself to itself.
    let ordered = data.source.epoch < epoch || (epoch == 0 && data.source.epoch == 0);
    if !ordered {
        let source = data.source.epoch;
        return Err(format!(
            "the attestation data votes from epoch {source} to epoch {epoch}"
        ));
    }
    // From Gloas on the index tells of the payload.
    let highest = u64::from(fork >= Fork::Gloas);
    if data.index > highest {
        return Err(format!(
            "the attestation data has the index {}, at most {highest}",
            data.index
        ));
    }
    Ok(())
}

/// The data that a committee's members sign.
fn data_of(data: &AttestationData, committee_index: CommitteeIndex, fork: Fork) -> AttestationData {
    if fork >= Fork::Electra {
        *data
    } else {
        AttestationData {
            index: committee_index,
            ..*data
        }
    }
}

async fn attest(
    ctx: &Context,
    slot: Slot,
    attesters: &[Attester],
    data: &AttestationData,
    head: Option<SeenHead>,
    mut steps: Steps,
) {
    let fork = ctx.config.fork_at_epoch(compute_epoch_at_slot(slot));
    let datas: Vec<AttestationData> = attesters
        .iter()
        .map(|attester| data_of(data, attester.duty.committee_index, fork))
        .collect();
    let messages = attesters.iter().zip(&datas);
    let messages = messages.map(|(attester, data)| (attester.duty.pubkey, Message::Attestation(data)));
    let begun = Instant::now();
    let signed = ctx.sign(messages.collect()).await;
    steps.took("signing", begun.elapsed());
    let duties = attesters
        .iter()
        .map(|attester| (attester.duty.validator_index, *attester));
    let kept = keep_signed(ctx, Kind::Attestation, slot, duties, signed);
    let publication = Publication {
        kind: Kind::Attestation,
        slot,
        who: kept.iter().map(|(index, ..)| *index).collect(),
        until_ms: ctx.clock.start_of(slot.saturating_add(2)),
        // Aggregators collect until then.
        late_ms: ctx.clock.due_ms(slot, Deadline::Aggregate),
        prefer: head.map(|head| head.from),
        steps,
    };
    if fork >= Fork::Electra {
        let single: Arc<Vec<_>> = Arc::new(
            kept.iter()
                .map(|(_, attester, s)| single_attestation(attester, data, *s))
                .collect(),
        );
        publish(ctx, publication, |node, left| {
            let single = single.clone();
            async move { node.submit_single_attestations(&single, fork, left).await }
        })
        .await;
    } else {
        let bits: Arc<Vec<_>> = Arc::new(
            kept.iter()
                .map(|(_, attester, s)| attestation_with_bit(attester, data, *s))
                .collect(),
        );
        publish(ctx, publication, |node, left| {
            let bits = bits.clone();
            async move { node.submit_attestations(&bits, fork, left).await }
        })
        .await;
    }
}

/// Spec: electra/validator.md, "Construct attestation".
fn single_attestation(attester: &Attester, data: &AttestationData, signature: BLSSignature) -> SingleAttestation {
    SingleAttestation {
        committee_index: attester.duty.committee_index,
        attester_index: attester.duty.validator_index,
        data: *data,
        signature,
    }
}

/// Spec: phase0/validator.md, "Construct attestation".
fn attestation_with_bit(attester: &Attester, data: &AttestationData, signature: BLSSignature) -> Attestation {
    let duty = &attester.duty;
    let mut aggregation_bits = BitList::new(duty.committee_length as usize);
    aggregation_bits.set(duty.validator_committee_index as usize, true);
    Attestation {
        aggregation_bits,
        data: data_of(data, duty.committee_index, Fork::Phase0),
        signature,
        ..Attestation::default()
    }
}

/// An aggregator: its index, its key, its committee and its proof.
type Aggregator = (ValidatorIndex, BLSPubkey, CommitteeIndex, BLSSignature);

async fn aggregate(ctx: &Context, slot: Slot, attesters: Vec<Attester>, data: &AttestationData) {
    let aggregators = aggregators(ctx, slot, attesters).await;
    if aggregators.is_empty() {
        return;
    }
    ctx.clock.sleep_until(ctx.clock.due_ms(slot, Deadline::Aggregate)).await;
    let mut steps = Steps::default();
    let begun = Instant::now();
    let aggregates = fetch_aggregates(ctx, slot, &aggregators, data).await;
    steps.took("the beacon node's aggregates", begun.elapsed());
    let fork = ctx.config.fork_at_epoch(compute_epoch_at_slot(slot));
    let made = aggregators
        .into_iter()
        .filter_map(|(index, pubkey, committee, selection_proof)| {
            let aggregate = aggregates.get(&committee)?.clone();
            let message = AggregateAndProof {
                aggregator_index: index,
                aggregate,
                selection_proof,
            };
            Some((pubkey, message))
        });
    let made: Vec<(BLSPubkey, AggregateAndProof)> = made.collect();
    let messages = made
        .iter()
        .map(|(pubkey, message)| (*pubkey, Message::AggregateAndProof(message)));
    let signed = ctx.sign(messages.collect()).await;
    let duties = made.into_iter().map(|(_, message)| (message.aggregator_index, message));
    let kept = keep_signed(ctx, Kind::Aggregate, slot, duties, signed);
    let publication = Publication {
        kind: Kind::Aggregate,
        slot,
        who: kept.iter().map(|(index, ..)| *index).collect(),
        until_ms: ctx.clock.start_of(slot.saturating_add(2)),
        // The next proposer packs its block then.
        late_ms: ctx.clock.start_of(slot.saturating_add(1)),
        prefer: None,
        steps,
    };
    let signed = kept
        .into_iter()
        .map(|(_, message, signature)| SignedAggregateAndProof { message, signature });
    let signed: Arc<Vec<SignedAggregateAndProof>> = Arc::new(signed.collect());
    publish(ctx, publication, |node, left| {
        let signed = signed.clone();
        async move { node.submit_aggregates(&signed, fork, left).await }
    })
    .await;
}

/// Who of the attesters aggregates; those that did not sign their slot yet do so now.
async fn aggregators(ctx: &Context, slot: Slot, attesters: Vec<Attester>) -> Vec<Aggregator> {
    let unknown: Vec<Attester> = attesters
        .iter()
        .filter(|attester| attester.aggregation == Aggregation::Unknown)
        .copied()
        .collect();
    let messages = unknown
        .iter()
        .map(|attester| (attester.duty.pubkey, Message::SelectionProof(slot)));
    let proofs = ctx.sign(messages.collect()).await;
    let known = attesters
        .into_iter()
        .filter(|attester| attester.aggregation != Aggregation::Unknown);
    let learned = unknown.into_iter().zip(proofs).filter_map(|(attester, proof)| {
        let aggregation = Attester::aggregation_by(&attester.duty, proof.ok()?);
        Some(Attester {
            aggregation,
            ..attester
        })
    });
    let all = known.chain(learned).filter_map(|attester| match attester.aggregation {
        Aggregation::Yes(proof) => {
            let duty = attester.duty;
            Some((duty.validator_index, duty.pubkey, duty.committee_index, proof))
        }
        _ => None,
    });
    all.collect()
}

/// The aggregates of the aggregators' committees, as far as the nodes have them.
async fn fetch_aggregates(
    ctx: &Context,
    slot: Slot,
    aggregators: &[Aggregator],
    data: &AttestationData,
) -> BTreeMap<CommitteeIndex, Attestation> {
    let mut committees: BTreeMap<CommitteeIndex, Vec<ValidatorIndex>> = BTreeMap::new();
    for (index, _, committee, _) in aggregators {
        committees.entry(*committee).or_default().push(*index);
    }
    let fork = ctx.config.fork_at_epoch(compute_epoch_at_slot(slot));
    let until_ms = ctx.clock.start_of(slot.saturating_add(1));
    let ask = ctx.ask("aggregate", Need::Head, slot, until_ms);
    // A slot has at most 64 committees.
    let calls = committees.into_iter().map(|(committee, who)| async move {
        let data = data_of(data, committee, fork);
        let root = data.hash_tree_root(fork);
        let call = |node: Arc<Node>, left| async move {
            let aggregate = node.aggregate(root, slot, committee, fork, left).await?;
            check_aggregate(&aggregate, &data, committee, fork).map_err(|why| CallError::odd_data(&node, why))?;
            Ok(aggregate)
        };
        match ctx.persist(ask, until_ms, call).await {
            Ok(answer) => Some((committee, answer.value)),
            Err(error) => {
                ctx.report.missed(Kind::Aggregate, slot, &who, error);
                None
            }
        }
    });
    join_all(calls).await.into_iter().flatten().collect()
}

/// Whether an aggregate is of the committee and votes for what was asked.
fn check_aggregate(
    aggregate: &Attestation,
    data: &AttestationData,
    committee: CommitteeIndex,
    fork: Fork,
) -> Result<(), String> {
    if aggregate.data != *data {
        return Err("the aggregate votes for something else than was asked".into());
    }
    let one_committee =
        aggregate.committee_bits.count_ones() == 1 && aggregate.committee_bits.get(committee as usize) == Some(true);
    if fork >= Fork::Electra && !one_committee {
        return Err(format!("the aggregate is not one of committee {committee} alone"));
    }
    if aggregate.aggregation_bits.any() {
        Ok(())
    } else {
        Err("the aggregate has no vote in it".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::beacon::AttesterDuty;
    use consensus::preset::SLOTS_PER_EPOCH;

    fn data(slot: Slot) -> AttestationData {
        let mut data = AttestationData {
            slot,
            ..AttestationData::default()
        };
        data.target.epoch = compute_epoch_at_slot(slot);
        data
    }

    #[test]
    fn data_of_another_slot_epoch_or_index_is_refused() {
        let slot = 2 * SLOTS_PER_EPOCH + 1;
        let check = |change: fn(&mut AttestationData), fork| {
            let mut changed = data(slot);
            change(&mut changed);
            check_data(&changed, slot, fork)
        };
        assert_eq!(check(|_| {}, Fork::Fulu), Ok(()));
        assert_eq!(check_data(&data(1), 1, Fork::Fulu), Ok(()));
        assert!(check(|data| data.slot += 1, Fork::Fulu).is_err());
        assert!(check(|data| data.target.epoch = 1, Fork::Fulu).is_err());
        assert!(check(|data| data.source.epoch = 2, Fork::Fulu).is_err());
        assert!(check(|data| data.index = 1, Fork::Fulu).is_err());
        assert_eq!(check(|data| data.index = 1, Fork::Gloas), Ok(()));
        assert!(check(|data| data.index = 2, Fork::Gloas).is_err());
    }

    #[test]
    fn attestations_have_their_forks_form() {
        let duty = AttesterDuty {
            committee_index: 3,
            committee_length: 9,
            validator_committee_index: 8,
            validator_index: 77,
            ..AttesterDuty::default()
        };
        let attester = Attester {
            duty,
            aggregation: Aggregation::No,
        };
        let single = single_attestation(&attester, &data(1), BLSSignature::default());
        assert_eq!(
            (single.committee_index, single.attester_index, single.data.index),
            (3, 77, 0)
        );
        let old = attestation_with_bit(&attester, &data(1), BLSSignature::default());
        assert_eq!(
            (
                old.data.index,
                old.aggregation_bits.len(),
                old.aggregation_bits.count_ones()
            ),
            (3, 9, 1)
        );
        assert_eq!(old.aggregation_bits.get(8), Some(true));
        assert_eq!(data_of(&data(1), 3, Fork::Electra).index, 0);
    }

    #[test]
    fn an_aggregate_of_others_is_refused() {
        let asked = data(1);
        let mut aggregate = Attestation::new(Fork::Fulu);
        aggregate.data = asked;
        aggregate.aggregation_bits = BitList::new(4);
        aggregate.committee_bits.set(2, true);
        let check = |aggregate: &Attestation| check_aggregate(aggregate, &asked, 2, Fork::Fulu);
        assert!(check(&aggregate).unwrap_err().contains("no vote"));
        aggregate.aggregation_bits.set(1, true);
        assert_eq!(check(&aggregate), Ok(()));
        assert!(check_aggregate(&aggregate, &asked, 1, Fork::Fulu).is_err());
        assert!(check_aggregate(&aggregate, &data(2), 2, Fork::Fulu).is_err());
        aggregate.committee_bits.set(1, true);
        assert!(check(&aggregate).is_err());
    }
}
