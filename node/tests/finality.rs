//! Chains that finalize.

use crate::chain::{Chain, VALIDATORS, config_at};
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::{Config, Fork};

#[test]
fn a_chain_of_fulu_finalizes_with_all_votes_in_its_blocks() {
    let mut chain = Chain::at(Fork::Fulu);
    for slot in 1..=5 * SLOTS_PER_EPOCH {
        let block = chain.extend(slot);
        let votes: usize = block
            .message
            .body
            .attestations
            .iter()
            .map(|attestation| attestation.aggregation_bits.count_ones())
            .sum();
        if slot > 1 {
            // Everybody of the slot before, as one attestation.
            assert_eq!(votes as u64, VALIDATORS as u64 / SLOTS_PER_EPOCH, "slot {slot}");
            assert_eq!(block.message.body.attestations.len(), 1);
            let bits = &block.message.body.sync_aggregate.sync_committee_bits;
            assert_eq!(bits.count_ones(), bits.len(), "slot {slot}");
        }
        chain.vote(|_| true);
    }
    assert_eq!(chain.state.finalized_checkpoint.epoch, 3);
    assert_eq!(chain.state.current_justified_checkpoint.epoch, 4);
}

/// Every fork an epoch after the one before it: votes, sync signatures and payloads pass each of them.
#[test]
fn a_chain_passes_every_fork_and_finalizes() {
    let mut config: Config = config_at(Fork::Phase0);
    for (epoch, fork) in Fork::ALL.into_iter().enumerate().take(Fork::Gloas as usize) {
        config.set_fork_epoch(fork, epoch as u64);
    }
    let mut chain = Chain::new(config, VALIDATORS);
    for slot in 1..=(Fork::Fulu as u64 + 2) * SLOTS_PER_EPOCH {
        chain.extend(slot);
        // A third is away now and then, and comes back.
        chain.vote(|validator| slot % 3 != 0 || validator % 3 != 0);
    }
    assert_eq!(chain.state.at, Fork::Fulu);
    assert_eq!(
        chain.state.finalized_checkpoint.epoch,
        Fork::Fulu as u64,
        "in epoch {}",
        Fork::Fulu as u64 + 2
    );
}
