//! The merge's rules about proof-of-work blocks, which fork choice asks of the first block with a payload.
//!
//! Spec: bellatrix/fork-choice.md.

use crate::constants::EMPTY_BLOCK_HASH;
use crate::helpers::misc::compute_epoch_at_slot;
use crate::types::{BeaconBlock, Hash32, PowBlock};
use crate::{Config, Invalid, ensure};

/// Whether `block` is the first to reach the terminal total difficulty.
///
/// Spec: bellatrix/fork-choice.md, `is_valid_terminal_pow_block`.
pub fn is_valid_terminal_pow_block(config: &Config, block: &PowBlock, parent: &PowBlock) -> bool {
    let terminal = config.terminal_total_difficulty;
    block.total_difficulty >= terminal && parent.total_difficulty < terminal
}

/// Checks the proof-of-work parent of the payload in a merge transition block. `get_pow_block` answers from what the
/// caller has; a block that is not there may come later, so the rule `pow block available` is no verdict on the block.
///
/// Spec: bellatrix/fork-choice.md, `validate_merge_block`.
pub fn validate_merge_block(
    config: &Config,
    block: &BeaconBlock,
    get_pow_block: impl Fn(&Hash32) -> Option<PowBlock>,
) -> Result<(), Invalid> {
    let parent_hash = block.body.execution_payload.parent_hash;
    let terminal_hash = config.terminal_block_hash;
    if terminal_hash != EMPTY_BLOCK_HASH {
        let epoch = compute_epoch_at_slot(block.slot);
        let activation = config.terminal_block_hash_activation_epoch;
        ensure!(
            epoch >= activation,
            "terminal block epoch",
            "epoch {epoch}, activation {activation}"
        );
        ensure!(
            parent_hash == terminal_hash,
            "terminal block hash",
            "payload's parent {parent_hash}, configured {terminal_hash}"
        );
        return Ok(());
    }
    let available = |hash: &Hash32| {
        get_pow_block(hash).ok_or_else(|| Invalid::new("pow block available", format!("{hash} is not known")))
    };
    let pow_block = available(&parent_hash)?;
    let pow_parent = available(&pow_block.parent_hash)?;
    ensure!(
        is_valid_terminal_pow_block(config, &pow_block, &pow_parent),
        "terminal pow block",
        "total difficulty {}, its parent's {}, terminal {}",
        pow_block.total_difficulty,
        pow_parent.total_difficulty,
        config.terminal_total_difficulty
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ssz::{Bytes, U256};

    fn pow(hash: u8, parent: u8, total_difficulty: u64) -> PowBlock {
        PowBlock {
            block_hash: Bytes([hash; 32]),
            parent_hash: Bytes([parent; 32]),
            total_difficulty: U256::from(total_difficulty),
        }
    }

    fn block_on(parent: u8) -> BeaconBlock {
        let mut block = BeaconBlock::default();
        block.body.execution_payload.parent_hash = Bytes([parent; 32]);
        block
    }

    fn config() -> Config {
        Config {
            terminal_total_difficulty: U256::from(100),
            terminal_block_hash: EMPTY_BLOCK_HASH,
            ..Config::standard()
        }
    }

    fn rule(config: &Config, block: &BeaconBlock, known: &[PowBlock]) -> Option<&'static str> {
        let get = |hash: &Hash32| known.iter().find(|block| block.block_hash == *hash).cloned();
        validate_merge_block(config, block, get).err().map(|error| error.rule)
    }

    #[test]
    fn only_the_first_block_at_the_terminal_difficulty_is_terminal() {
        let (config, block) = (config(), block_on(2));
        assert_eq!(rule(&config, &block, &[pow(1, 0, 99), pow(2, 1, 100)]), None);
        assert_eq!(
            rule(&config, &block, &[pow(1, 0, 98), pow(2, 1, 99)]),
            Some("terminal pow block")
        );
        assert_eq!(
            rule(&config, &block, &[pow(1, 0, 100), pow(2, 1, 101)]),
            Some("terminal pow block")
        );
        assert_eq!(rule(&config, &block, &[pow(2, 1, 100)]), Some("pow block available"));
        assert_eq!(rule(&config, &block, &[pow(1, 0, 99)]), Some("pow block available"));
    }

    #[test]
    fn a_configured_hash_overrides_the_difficulty() {
        let config = Config {
            terminal_block_hash: Bytes([7; 32]),
            terminal_block_hash_activation_epoch: 1,
            ..config()
        };
        let mut block = block_on(7);
        assert_eq!(rule(&config, &block, &[]), Some("terminal block epoch"));
        block.slot = crate::preset::SLOTS_PER_EPOCH;
        assert_eq!(rule(&config, &block, &[]), None);
        block.body.execution_payload.parent_hash = Bytes([8; 32]);
        assert_eq!(rule(&config, &block, &[]), Some("terminal block hash"));
    }
}
