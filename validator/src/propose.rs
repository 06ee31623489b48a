//! Proposing: the rarest duty and the dearest one to miss.
//!
//! The block is asked of the nodes at the start of the slot, local or blinded as the node decides, checked against the
//! duty, signed, and published first by the node that made it: only that one can have a blinded block completed.
//!
//! Spec: phase0/validator.md, "Block proposal"; builder-specs bellatrix/validator.md; beacon-APIs, `produceBlockV3`.

use crate::beacon::{Answer, Ask, BlockRequest, CallError, Need, Node, Produced, ProposerDuty, Published, Signed};
use crate::beacon::{Unanswered, header_root};
use crate::context::Context;
use crate::metrics::Kind;
use crate::prepare::preparation_of;
use crate::publish::Steps;
use crate::settings::KeySettings;
use crate::signer::{Message, Refused};
use consensus::constants::GENESIS_SLOT;
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::slot_clock::Deadline;
use consensus::types::{BLSPubkey, BLSSignature, ExecutionAddress, Slot};
use consensus::{Config, Fork};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A node that builds a block waits for its execution client and perhaps a builder: it is given twice the usual time
/// before the next one builds too.
const BUILD_PATIENCE: u32 = 2;
/// Percent that means "never a builder's payload". Spec: beacon-APIs, `builder_boost_factor`.
const NO_BUILDER: u64 = 0;

/// Makes every block of ours at a slot; there is one at most, unless two of our nodes disagree. Ends with the slot.
pub async fn run(ctx: Context, slot: Slot) {
    // The genesis block is nobody's to propose, though the state names a proposer of its slot.
    if slot == GENESIS_SLOT {
        return;
    }
    let epoch = compute_epoch_at_slot(slot);
    let until_ms = ctx.clock.due_ms(slot, Deadline::Attestation);
    let table = ctx
        .duties_with(until_ms, |table| table.proposers.contains_key(&epoch))
        .await;
    for duty in table.proposers_at(slot) {
        if !ctx.gate.may_sign(&duty.pubkey) {
            let why = "doppelganger protection still listens for a double of the key";
            ctx.report.missed(Kind::Block, slot, &[duty.validator_index], why);
            continue;
        }
        match propose(&ctx, &duty).await {
            Ok(()) => ctx.report.done(Kind::Block, slot, 1),
            Err(why) => ctx.report.missed(Kind::Block, slot, &[duty.validator_index], why),
        }
    }
}

async fn propose(ctx: &Context, duty: &ProposerDuty) -> Result<(), String> {
    let slot = duty.slot;
    let mut steps = Steps::default();
    let wanted = fee_recipient(ctx, &duty.pubkey)?;
    let randao_reveal = randao_reveal(ctx, duty).await?;
    let begun = Instant::now();
    let Answer { value: block, from, .. } = produce(ctx, duty, randao_reveal).await.map_err(|e| e.to_string())?;
    steps.took("building the block", begun.elapsed());
    if !block.is_blinded() && block.fee_recipient().is_some_and(|paid| paid != wanted) {
        let paid = block.fee_recipient().unwrap_or_default();
        tracing::error!(
            "the block of slot {slot} pays its fees to {paid} instead of {wanted}: the beacon node at {} or its \
             execution client overrides the fee recipient; the block is proposed all the same, since without it the \
             reward would be lost too",
            ctx.nodes.all()[from].url()
        );
    }
    let header = block.header();
    let root = header_root(&header);
    let (blinded, blobs) = (block.is_blinded(), block.blobs());
    let message = Message::Block {
        slot,
        block_header: &header,
    };
    let begun = Instant::now();
    let signature = sign_one(ctx, duty, message)
        .await
        .map_err(|refused| refused.to_string())?;
    steps.took("signing", begun.elapsed());
    let begun = Instant::now();
    let published = publish(ctx, slot, block.sign(signature), from, blinded)
        .await
        .map_err(|e| e.to_string())?;
    steps.took("publishing", begun.elapsed());
    let into = ctx.clock.into_slot_ms(slot).max(0).unsigned_abs();
    ctx.report.metrics.block_sent.observe(into);
    let seconds = into as f64 / 1000.0;
    let builder = if blinded { ", built by a builder" } else { "" };
    tracing::info!("proposed block {root} of slot {slot} with {blobs} blobs{builder}, {seconds:.1} s into the slot");
    if published == Published::BroadcastOnly {
        tracing::error!("the beacon node has broadcast block {root} but could not take it into its own chain");
    }
    if ctx.clock.now_ms() > ctx.clock.due_ms(slot, Deadline::Attestation) {
        tracing::warn!(
            "the block of slot {slot} went out after the attestation deadline: {}",
            steps.longest()
        );
    }
    Ok(())
}

/// Where the fees of a key's block should go. On a public network a key without an address does not propose: the fees
/// would be burnt.
fn fee_recipient(ctx: &Context, key: &BLSPubkey) -> Result<ExecutionAddress, String> {
    fees_go_to(&ctx.gate.settings(key), ctx.public_network, key)
}

fn fees_go_to(settings: &KeySettings, public_network: bool, key: &BLSPubkey) -> Result<ExecutionAddress, String> {
    let set = settings.fee_recipient.unwrap_or_default();
    if settings.lacks_fee_recipient() && public_network {
        return Err(format!(
            "no fee recipient is set for {key}: set one in validators.toml or by --suggested-fee-recipient"
        ));
    }
    Ok(set)
}

async fn sign_one(ctx: &Context, duty: &ProposerDuty, message: Message<'_>) -> Result<BLSSignature, Refused> {
    let signed = ctx.sign(vec![(duty.pubkey, message)]).await.pop();
    signed.unwrap_or_else(|| Err(Refused::Malformed("the signer gave no answer".into())))
}

async fn randao_reveal(ctx: &Context, duty: &ProposerDuty) -> Result<BLSSignature, String> {
    let message = Message::RandaoReveal(compute_epoch_at_slot(duty.slot));
    sign_one(ctx, duty, message)
        .await
        .map_err(|refused| refused.to_string())
}

async fn produce(
    ctx: &Context,
    duty: &ProposerDuty,
    randao_reveal: BLSSignature,
) -> Result<Answer<Produced>, Unanswered> {
    let slot = duty.slot;
    let epoch = compute_epoch_at_slot(slot);
    let settings = ctx.gate.settings(&duty.pubkey);
    let boost = if settings.builder == Some(true) {
        settings.builder_boost_factor
    } else {
        Some(NO_BUILDER)
    };
    let request = BlockRequest {
        slot,
        randao_reveal,
        graffiti: settings.graffiti,
        builder_boost_factor: boost,
    };
    let until_ms = ctx.clock.start_of(slot.saturating_add(1));
    let ask = Ask {
        patience: ctx.patience() * BUILD_PATIENCE,
        ..ctx.ask("block", Need::Head, slot, until_ms)
    };
    let (config, request) = (&ctx.config, &request);
    let preparation = &preparation_of(ctx, duty);
    let call = |node: Arc<Node>, left: Duration| async move {
        // A node that was started a moment ago knows no fee recipient. Where it does not take it, the block comes first.
        if let Some(preparation) = preparation {
            let told = node.prepare_proposers(std::slice::from_ref(preparation), left / 8);
            told.await.unwrap_or_else(|error| tracing::debug!("{error}"));
        }
        let block = node.produce_block(request, config, epoch, left).await?;
        check_block(&block, duty, config).map_err(|why| CallError::odd_data(&node, why))?;
        Ok(block)
    };
    ctx.persist(ask, until_ms, call).await
}

/// Whether a block is the one that the duty asks for. Its content is the node's responsibility, and the chain's to judge.
fn check_block(block: &Produced, duty: &ProposerDuty, config: &Config) -> Result<(), String> {
    let header = block.header();
    let fork = config.fork_at_epoch(compute_epoch_at_slot(duty.slot));
    if block.fork != fork {
        return Err(format!(
            "the block is of {}, slot {} is of {fork}",
            block.fork, duty.slot
        ));
    }
    if header.slot != duty.slot || header.proposer_index != duty.validator_index {
        return Err(format!(
            "the block is of slot {} and proposer {}, asked was slot {} and proposer {}",
            header.slot, header.proposer_index, duty.slot, duty.validator_index
        ));
    }
    // From Gloas on blocks and payloads are made apart.
    if fork >= Fork::Gloas {
        return Err("this version does not propose from Gloas on".into());
    }
    Ok(())
}

/// Publishes by the node that made the block, and by the others should it fail or take its time. A blinded block can be
/// completed by its maker alone.
async fn publish(
    ctx: &Context,
    slot: Slot,
    signed: Signed,
    from: usize,
    blinded: bool,
) -> Result<Published, Unanswered> {
    // A block that comes after its slot is of use only if nobody built on its parent; but it was signed, and a proposer
    // who keeps it back has nothing for it.
    let until_ms = ctx.clock.start_of(slot.saturating_add(2));
    let patience = if blinded {
        ctx.clock.slot_duration() * 5
    } else {
        ctx.patience() * BUILD_PATIENCE
    };
    let ask = Ask {
        prefer: Some(from),
        patience,
        ..ctx.ask("confirmation of the block", Need::Chain, slot, until_ms)
    };
    let signed = Arc::new(signed);
    let call = |node: Arc<Node>, left| {
        let signed = signed.clone();
        async move { node.publish_block(&signed, left).await }
    };
    ctx.publish(ask, until_ms, call).await.map(|answer| answer.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::beacon::Unsigned;
    use consensus::ssz::Ssz;
    use consensus::types::BlockContents;

    #[test]
    fn a_key_without_an_address_proposes_where_blocks_have_no_worth() {
        let (key, own) = (BLSPubkey::default(), ExecutionAddress::default());
        let set = |fee_recipient| KeySettings {
            fee_recipient,
            ..KeySettings::default()
        };
        for nowhere in [None, Some(own)] {
            let refused = fees_go_to(&set(nowhere), true, &key).unwrap_err();
            assert!(refused.contains(&key.to_string()), "{refused}");
            assert_eq!(fees_go_to(&set(nowhere), false, &key), Ok(own));
        }
        let mut somewhere = own;
        somewhere.0[0] = 1;
        assert_eq!(fees_go_to(&set(Some(somewhere)), true, &key), Ok(somewhere));
    }

    #[test]
    fn blocks_of_others_are_refused() {
        let config = Config::standard().with_forks_at_genesis(Fork::Fulu);
        let duty = ProposerDuty {
            slot: 5,
            validator_index: 9,
            ..ProposerDuty::default()
        };
        let block = |slot, proposer_index, fork| {
            let mut contents = BlockContents::new(fork);
            (contents.block.slot, contents.block.proposer_index) = (slot, proposer_index);
            Produced {
                fork,
                block: Unsigned::Full(Box::new(contents)),
            }
        };
        assert_eq!(check_block(&block(5, 9, Fork::Fulu), &duty, &config), Ok(()));
        assert!(check_block(&block(6, 9, Fork::Fulu), &duty, &config).is_err());
        assert!(check_block(&block(5, 8, Fork::Fulu), &duty, &config).is_err());
        assert!(check_block(&block(5, 9, Fork::Electra), &duty, &config).is_err());
        let later = Config::standard().with_forks_at_genesis(Fork::Gloas);
        assert!(
            check_block(&block(5, 9, Fork::Gloas), &duty, &later)
                .unwrap_err()
                .contains("Gloas")
        );
    }
}
