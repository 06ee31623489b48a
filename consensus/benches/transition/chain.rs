//! The signed chain of 120,000 validators.

use super::{least, line, median, timed};
use consensus::keys::Keys;
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::signing::Context;
use consensus::ssz::Ssz;
use consensus::transition::{process_block, process_slots, verify_block_signature};
use consensus::types::SignedBeaconBlock;
use consensus::{Config, Fork, State};
use std::path::{Path, PathBuf};

/// Unpacks a file of raw snappy. These are our own test data.
fn unpack(path: &PathBuf) -> Vec<u8> {
    let packed = std::fs::read(path).expect("the folder holds the chain");
    snap::raw::Decoder::new()
        .decompress_vec(&packed)
        .expect("the file is raw snappy")
}

pub(super) fn signed_chain(folder: &Path) {
    let text = std::fs::read_to_string(folder.join("config.yaml")).expect("the folder holds the config");
    let config = Config::from_yaml(&text).expect("the config is valid").config;
    let bytes = unpack(&folder.join("pre.ssz_snappy"));
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder can be read")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("block_"))
        })
        .collect();
    files.sort();
    let blocks: Vec<SignedBeaconBlock> = files
        .iter()
        .map(|file| SignedBeaconBlock::decode(&unpack(file), Fork::Fulu).expect("a block decodes"))
        .collect();
    println!("\nsigned Fulu chain of 120,000 validators, {} blocks", blocks.len());
    let decode = || State::decode(&bytes, Fork::Fulu).expect("the state decodes");
    line("decode the state", least(|| (), |()| decode()));
    line("cold state root", least(decode, |state| state.hash_tree_root()));
    let state = decode();
    let root = state.hash_tree_root();
    println!("  root before {root}");
    let (ms, keys) = timed(|| Keys::of(&state).expect("the registry's keys are points"));
    line("keys decompressed", ms);
    let mut keys = keys;
    keys.settle(keys.len());
    let mut fresh = state.clone();
    line("shufflings of three epochs", timed(|| fresh.prepare()).0);
    blocks_of(fresh, &blocks, &config, &keys);
}

fn blocks_of(mut state: State, blocks: &[SignedBeaconBlock], config: &Config, keys: &Keys) {
    let (mut slots, mut epoch, mut operations, mut signatures, mut root) = (vec![], vec![], vec![], vec![], vec![]);
    for signed in blocks {
        let block = &signed.message;
        while state.slot < block.slot {
            let next = state.slot + 1;
            let (ms, result) = timed(|| process_slots(&mut state, config, next));
            result.expect("the chain is valid");
            if next.is_multiple_of(SLOTS_PER_EPOCH) {
                epoch.push(ms);
            } else {
                slots.push(ms);
            }
        }
        let mut ctx = Context::collecting(config, keys);
        let (ms, result) = timed(|| {
            verify_block_signature(&state, &mut ctx, signed)?;
            process_block(&mut state, &mut ctx, block).map(|_request| ())
        });
        result.expect("the block is valid");
        operations.push(ms);
        let (ms, result) = timed(|| ctx.verify_collected());
        result.expect("the signatures are valid");
        signatures.push(ms);
        let (ms, computed) = timed(|| state.hash_tree_root());
        assert_eq!(computed, block.state_root, "state root of slot {}", block.slot);
        root.push(ms);
    }
    line("epoch transition with its slot and shuffling", median(&mut epoch));
    line("slot without an epoch, median", median(&mut slots));
    line("block: operations, median", median(&mut operations));
    line("block: signatures, median", median(&mut signatures));
    line("block: root, median", median(&mut root));
    println!("  root after {}", state.hash_tree_root());
}
