//! A real segment of a public network, with every signature checked: two Sepolia blocks on a Sepolia state, to the roots
//! that the network agreed on.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // a failed `unwrap` is a failed test
#![cfg(not(feature = "minimal"))]

use std::io::Write;
use std::path::{Path, PathBuf};

use consensus::keys::Keys;
use consensus::signing::Context;
use consensus::ssz::Ssz;
use consensus::transition::{NewPayloadRequest, process_slots, state_transition};
use consensus::types::SignedBeaconBlock;
use consensus::{Config, Fork, State};

const FORK: Fork = Fork::Electra;
const PRE_ROOT: &str = "0x726d71aae5b6cee403830b4461a2f64380a6de313fb355cb1d7cd78a0dca032c";
const ROOT_8084249: &str = "0x603968e01d0fabe40730d7646184132125e7cec68bb1f3c701d6f487e1ed84ba";
const ROOT_8084250: &str = "0xf3b0c33de8e45142d74bfd68fcb2f38fa824245ed6bf62fb72851bef1e22d2c0";

/// The folder beside the repository, or the one that `WREN_SHARED` names.
fn folder() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("WREN_SHARED").map_or_else(beside, PathBuf::from);
    let folder = shared.join("realdata/sepolia-electra-8084248");
    if folder.is_dir() {
        return Some(folder);
    }
    // Past the harness, which would swallow it.
    let missing = folder.display();
    writeln!(
        std::io::stderr(),
        "\nSKIPPED realdata: {missing} is missing; set WREN_SHARED to the folder above"
    )
    .ok();
    None
}

fn unpacked(folder: &Path, file: &str) -> Vec<u8> {
    let packed = std::fs::read(folder.join(file)).unwrap();
    snap::raw::Decoder::new().decompress_vec(&packed).unwrap()
}

fn block(folder: &Path, slot: u64) -> SignedBeaconBlock {
    SignedBeaconBlock::decode(&unpacked(folder, &format!("block_{slot}.ssz_snappy")), FORK).unwrap()
}

struct Segment {
    config: Config,
    pre: State,
    keys: Keys,
    blocks: [SignedBeaconBlock; 2],
}

impl Segment {
    fn read() -> Option<Self> {
        let folder = folder()?;
        let pre = State::decode(&unpacked(&folder, "state_8084248.ssz_snappy"), FORK).unwrap();
        assert_eq!(pre.hash_tree_root().to_string(), PRE_ROOT);
        Some(Segment {
            config: Config::network("sepolia").unwrap(),
            keys: Keys::of(&pre).unwrap(),
            pre,
            blocks: [block(&folder, 8_084_249), block(&folder, 8_084_250)],
        })
    }

    /// The rule that refuses a changed first block in either way of checking signatures; the state must stay as it was.
    fn rule(&self, change: impl Fn(&mut SignedBeaconBlock)) -> &'static str {
        let mut block = self.blocks[0].clone();
        change(&mut block);
        let ways = [
            Context::collecting(&self.config, &self.keys),
            Context::verifying(&self.config, &self.keys),
        ];
        let rules = ways.map(|mut ctx| {
            let rule = state_transition(&self.pre, &block, &mut ctx, true).unwrap_err().rule;
            // Nothing of the bad block may be left in the context either.
            state_transition(&self.pre, &self.blocks[0], &mut ctx, true).unwrap();
            rule
        });
        assert_eq!(self.pre.hash_tree_root().to_string(), PRE_ROOT);
        assert_eq!(rules[0], rules[1]);
        rules[0]
    }
}

fn check_request(request: &NewPayloadRequest, block: &SignedBeaconBlock) {
    let body = &block.message.body;
    assert_eq!(request, &NewPayloadRequest::of_block(FORK, &block.message).unwrap());
    assert_eq!(request.execution_payload, &body.execution_payload);
    assert_eq!(request.parent_beacon_block_root, block.message.parent_root);
    assert_eq!(request.versioned_hashes.len(), body.blob_kzg_commitments.len());
    assert!(request.versioned_hashes.iter().all(|hash| hash.0[0] == 1));
    assert!(!request.has_empty_transaction());
    assert!(request.execution_requests_list().is_some());
}

#[test]
fn the_segment_ends_at_the_recorded_roots() {
    let Some(segment) = Segment::read() else { return };
    let Segment {
        config,
        pre,
        keys,
        blocks,
    } = &segment;
    let ways = [
        Context::collecting(config, keys),
        Context::verifying(config, keys),
        Context::trusting(config, keys),
    ];
    for mut ctx in ways {
        let (state, request) = state_transition(pre, &blocks[0], &mut ctx, true).unwrap();
        check_request(&request.unwrap(), &blocks[0]);
        assert_eq!(state.hash_tree_root().to_string(), ROOT_8084249);
        let (state, request) = state_transition(&state, &blocks[1], &mut ctx, true).unwrap();
        check_request(&request.unwrap(), &blocks[1]);
        assert_eq!(state.hash_tree_root().to_string(), ROOT_8084250);
    }
    assert_eq!(
        pre.hash_tree_root().to_string(),
        PRE_ROOT,
        "a transition leaves its pre-state alone"
    );
}

#[test]
fn a_changed_block_is_refused_by_its_rule() {
    let Some(segment) = Segment::read() else { return };
    let signature = segment.blocks[1].signature;
    assert_eq!(segment.rule(|block| block.signature = signature), "block signature");
    assert_eq!(
        segment.rule(|block| block.message.body.graffiti.0[0] ^= 1),
        "block signature"
    );
    assert_eq!(segment.rule(|block| block.message.slot -= 1), "slot order");
    // A block without its proposer's signature, as one that is being made, is still checked.
    let unsigned = |change: &dyn Fn(&mut SignedBeaconBlock)| {
        let mut block = segment.blocks[0].clone();
        change(&mut block);
        let mut ctx = Context::collecting(&segment.config, &segment.keys);
        let result = state_transition(&segment.pre, &block, &mut ctx, false);
        result.err().map(|error| error.rule)
    };
    assert_eq!(unsigned(&|_| ()), None);
    let other = &segment.blocks[1].message.body;
    assert_eq!(unsigned(&|block| block.message.state_root.0[0] ^= 1), None);
    assert_eq!(
        unsigned(&|block| block.message.body.randao_reveal = other.randao_reveal),
        Some("randao reveal")
    );
    assert_eq!(
        unsigned(&|block| block.message.body.sync_aggregate = other.sync_aggregate.clone()),
        Some("sync aggregate signature")
    );
    assert_eq!(
        unsigned(&|block| block.message.body.attestations[0].signature = signature),
        Some("attestation signature")
    );
    assert_eq!(
        unsigned(&|block| block.message.body.execution_payload.withdrawals[0].amount += 1),
        Some("withdrawals")
    );
    assert_eq!(
        unsigned(&|block| block.message.body.execution_payload.timestamp += 12),
        Some("payload timestamp")
    );
    assert_eq!(
        unsigned(&|block| block.message.proposer_index += 1),
        Some("block proposer")
    );
    assert_eq!(
        unsigned(&|block| block.message.parent_root.0[0] ^= 1),
        Some("block parent root")
    );
}

#[test]
fn empty_slots_lead_over_an_epoch() {
    let Some(segment) = Segment::read() else { return };
    let mut state = segment.pre.clone();
    process_slots(&mut state, &segment.config, 8_084_256).unwrap();
    assert_eq!(state.slot, 8_084_256);
    assert_eq!(
        process_slots(&mut state, &segment.config, 8_084_256).unwrap_err().rule,
        "slot order"
    );
}
