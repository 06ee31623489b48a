//! Sync committee duties: every member signs the head at every slot, and some collect the signatures.
//!
//! Spec: altair/validator.md, "Sync committees".

use crate::beacon::{Answer, Ask, CallError, Need, Node, SyncDuty, Unanswered};
use crate::context::Context;
use crate::heads::{SeenHead, head_or_deadline};
use crate::metrics::Kind;
use crate::publish::{Publication, Steps, keep_signed, publish};
use crate::signer::Message;
use consensus::Fork;
use consensus::duties::is_sync_committee_aggregator;
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::preset::SYNC_SUBCOMMITTEE_SIZE;
use consensus::slot_clock::Deadline;
use consensus::types::{
    BLSPubkey, BLSSignature, ContributionAndProof, Root, SignedContributionAndProof, Slot, SyncCommitteeContribution,
    SyncCommitteeMessage, ValidatorIndex,
};
use futures_util::future::join_all;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

/// Does everything that our members of the sync committee have to do at a slot. Ends at the latest a slot after it.
pub async fn run(ctx: Context, slot: Slot) {
    if ctx.config.fork_at_epoch(compute_epoch_at_slot(slot)) < Fork::Altair {
        return;
    }
    let due_ms = ctx.clock.due_ms(slot, Deadline::SyncMessage);
    let table = ctx.duties_with(due_ms, |table| table.sync_at(slot).is_some()).await;
    let Some(fetched) = table.sync_at(slot).filter(|fetched| !fetched.duties.is_empty()) else {
        return;
    };
    let head = head_or_deadline(&mut ctx.heads.clone(), &ctx.clock, slot, due_ms).await;
    let members = fetched.duties.iter().filter(|duty| ctx.gate.may_sign(&duty.pubkey));
    let members: Vec<SyncDuty> = members.cloned().collect();
    if members.is_empty() {
        return;
    }
    let mut steps = Steps::default();
    let begun = Instant::now();
    let (root, from) = match head_root(&ctx, slot, head).await {
        Ok(found) => found,
        Err(error) => {
            let who: Vec<ValidatorIndex> = members.iter().map(|duty| duty.validator_index).collect();
            return ctx.report.missed(Kind::SyncMessage, slot, &who, error);
        }
    };
    steps.took("the beacon node's head root", begun.elapsed());
    // Both at once: the proofs do not hang on the messages, and the deadline of the contributions is near.
    tokio::join!(
        send_messages(&ctx, slot, &members, root, from, steps),
        contribute(&ctx, slot, &members, root)
    );
}

/// The root of the head, and the position of the node that gave it: what the event said, or what a node says now.
async fn head_root(ctx: &Context, slot: Slot, head: Option<SeenHead>) -> Result<(Root, usize), Unanswered> {
    if let Some(head) = head {
        return Ok((head.block, head.from));
    }
    // A message is worth something only in the next slot's block.
    let until_ms = ctx.clock.start_of(slot.saturating_add(1));
    let ask = ctx.ask("head root", Need::Head, slot, until_ms);
    let call = |node: Arc<Node>, left| async move { node.head_root(left).await };
    let Answer { value, from, .. } = ctx.persist(ask, until_ms, call).await?;
    Ok((value, from))
}

async fn send_messages(
    ctx: &Context,
    slot: Slot,
    members: &[SyncDuty],
    beacon_block_root: Root,
    from: usize,
    mut steps: Steps,
) {
    let message = Message::SyncCommitteeMessage {
        slot,
        beacon_block_root,
    };
    let begun = Instant::now();
    let signed = ctx
        .sign(members.iter().map(|duty| (duty.pubkey, message)).collect())
        .await;
    steps.took("signing", begun.elapsed());
    let duties = members.iter().map(|duty| (duty.validator_index, ()));
    let kept = keep_signed(ctx, Kind::SyncMessage, slot, duties, signed);
    let publication = Publication {
        kind: Kind::SyncMessage,
        slot,
        who: kept.iter().map(|(index, ..)| *index).collect(),
        until_ms: ctx.clock.start_of(slot.saturating_add(1)),
        late_ms: ctx.clock.due_ms(slot, Deadline::Contribution),
        prefer: Some(from),
        steps,
    };
    let messages = kept
        .into_iter()
        .map(|(validator_index, (), signature)| SyncCommitteeMessage {
            slot,
            beacon_block_root,
            validator_index,
            signature,
        });
    let messages: Arc<Vec<SyncCommitteeMessage>> = Arc::new(messages.collect());
    publish(ctx, publication, |node, left| {
        let messages = messages.clone();
        async move { node.submit_sync_messages(&messages, left).await }
    })
    .await;
}

/// A member that aggregates its subcommittee: index, key, subcommittee, proof.
type Aggregator = (ValidatorIndex, BLSPubkey, u64, BLSSignature);

async fn contribute(ctx: &Context, slot: Slot, members: &[SyncDuty], beacon_block_root: Root) {
    let aggregators = aggregators(ctx, slot, members).await;
    if aggregators.is_empty() {
        return;
    }
    ctx.clock
        .sleep_until(ctx.clock.due_ms(slot, Deadline::Contribution))
        .await;
    let mut steps = Steps::default();
    let begun = Instant::now();
    let contributions = fetch_contributions(ctx, slot, &aggregators, beacon_block_root).await;
    steps.took("the beacon node's contributions", begun.elapsed());
    let made = aggregators
        .into_iter()
        .filter_map(|(index, pubkey, subcommittee, selection_proof)| {
            let contribution = contributions.get(&subcommittee)?.clone();
            let message = ContributionAndProof {
                aggregator_index: index,
                contribution,
                selection_proof,
            };
            Some((pubkey, message))
        });
    let made: Vec<(BLSPubkey, ContributionAndProof)> = made.collect();
    let messages = made
        .iter()
        .map(|(pubkey, message)| (*pubkey, Message::ContributionAndProof(message)));
    let signed = ctx.sign(messages.collect()).await;
    let duties = made.into_iter().map(|(_, message)| (message.aggregator_index, message));
    let kept = keep_signed(ctx, Kind::Contribution, slot, duties, signed);
    let publication = Publication {
        kind: Kind::Contribution,
        slot,
        who: kept.iter().map(|(index, ..)| *index).collect(),
        until_ms: ctx.clock.start_of(slot.saturating_add(1)),
        // The next proposer packs its block then.
        late_ms: ctx.clock.start_of(slot.saturating_add(1)),
        prefer: None,
        steps,
    };
    let signed = kept
        .into_iter()
        .map(|(_, message, signature)| SignedContributionAndProof { message, signature });
    let signed: Arc<Vec<SignedContributionAndProof>> = Arc::new(signed.collect());
    publish(ctx, publication, |node, left| {
        let signed = signed.clone();
        async move { node.submit_contributions(&signed, left).await }
    })
    .await;
}

/// The subcommittees in which a validator has seats, ascending.
fn subcommittees(duty: &SyncDuty) -> BTreeSet<u64> {
    let seats = duty.validator_sync_committee_indices.iter();
    seats.map(|seat| seat / SYNC_SUBCOMMITTEE_SIZE).collect()
}

/// Which members aggregate at a slot: each signs the slot and the subcommittee, and the signature decides.
async fn aggregators(ctx: &Context, slot: Slot, members: &[SyncDuty]) -> Vec<Aggregator> {
    let seats = members.iter().flat_map(|duty| {
        let one = move |subcommittee_index| (duty.validator_index, duty.pubkey, subcommittee_index);
        subcommittees(duty).into_iter().map(one)
    });
    let seats: Vec<_> = seats.collect();
    let messages = seats.iter().map(|(_, pubkey, subcommittee_index)| {
        let message = Message::SyncSelectionProof {
            slot,
            subcommittee_index: *subcommittee_index,
        };
        (*pubkey, message)
    });
    let proofs = ctx.sign(messages.collect()).await;
    let chosen = seats
        .into_iter()
        .zip(proofs)
        .filter_map(|((index, pubkey, subcommittee), proof)| {
            let proof = proof.ok().filter(is_sync_committee_aggregator)?;
            Some((index, pubkey, subcommittee, proof))
        });
    chosen.collect()
}

async fn fetch_contributions(
    ctx: &Context,
    slot: Slot,
    aggregators: &[Aggregator],
    root: Root,
) -> BTreeMap<u64, SyncCommitteeContribution> {
    let mut wanted: BTreeMap<u64, Vec<ValidatorIndex>> = BTreeMap::new();
    for (index, _, subcommittee, _) in aggregators {
        wanted.entry(*subcommittee).or_default().push(*index);
    }
    let until_ms = ctx.clock.start_of(slot.saturating_add(1));
    let ask: Ask = ctx.ask("sync committee contribution", Need::Head, slot, until_ms);
    // There are four subcommittees.
    let calls = wanted.into_iter().map(|(subcommittee, who)| async move {
        let call = |node: Arc<Node>, left| async move {
            let contribution = node.contribution(slot, subcommittee, root, left).await?;
            check_contribution(&contribution, slot, subcommittee, root)
                .map_err(|why| CallError::odd_data(&node, why))?;
            Ok(contribution)
        };
        match ctx.persist(ask, until_ms, call).await {
            Ok(answer) => Some((subcommittee, answer.value)),
            Err(error) => {
                ctx.report.missed(Kind::Contribution, slot, &who, error);
                None
            }
        }
    });
    join_all(calls).await.into_iter().flatten().collect()
}

fn check_contribution(
    contribution: &SyncCommitteeContribution,
    slot: Slot,
    subcommittee_index: u64,
    root: Root,
) -> Result<(), String> {
    let same = contribution.slot == slot
        && contribution.subcommittee_index == subcommittee_index
        && contribution.beacon_block_root == root;
    if !same {
        return Err("the contribution is of another slot, subcommittee or head than was asked".into());
    }
    if contribution.aggregation_bits.any() {
        Ok(())
    } else {
        Err("the contribution has no signature in it".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consensus::ssz::Ssz;

    #[test]
    fn seats_are_in_their_subcommittees() {
        let size = SYNC_SUBCOMMITTEE_SIZE;
        let duty = SyncDuty {
            validator_sync_committee_indices: vec![0, size - 1, 2 * size, 2 * size + 1, 4 * size - 1],
            ..SyncDuty::default()
        };
        assert_eq!(subcommittees(&duty).into_iter().collect::<Vec<_>>(), [0, 2, 3]);
    }

    #[test]
    fn contributions_of_others_are_refused() {
        let mut contribution = SyncCommitteeContribution::new(Fork::Altair);
        (contribution.slot, contribution.subcommittee_index) = (5, 2);
        let check =
            |contribution: &_, slot, subcommittee| check_contribution(contribution, slot, subcommittee, Root::ZERO);
        assert!(check(&contribution, 5, 2).unwrap_err().contains("no signature"));
        contribution.aggregation_bits.set(0, true);
        assert_eq!(check(&contribution, 5, 2), Ok(()));
        assert!(check(&contribution, 6, 2).is_err());
        assert!(check(&contribution, 5, 1).is_err());
        contribution.beacon_block_root.0[0] = 1;
        assert!(check(&contribution, 5, 2).is_err());
    }
}
