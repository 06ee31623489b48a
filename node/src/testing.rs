//! What the unit tests of several modules share.

use consensus::Fork;
use consensus::ssz::Ssz;
use consensus::types::{BeaconBlock, SignedBeaconBlock};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Blocks of public networks with payloads.
const REAL_BLOCKS: &[(&str, Fork)] = &[
    ("mainnet-blocks/exec_15537394.beaconblock.ssz", Fork::Bellatrix),
    ("mainnet-blocks/exec_15537397.signedbeaconblock.ssz", Fork::Bellatrix),
    ("mainnet-blocks/exec_15539558.beaconblock.ssz", Fork::Bellatrix),
    ("mainnet-blocks/exec_15547621.beaconblock.ssz", Fork::Bellatrix),
    ("mainnet-blocks/exec_15555729.beaconblock.ssz", Fork::Bellatrix),
    ("mainnet-blocks/exec_17034869.beaconblock.ssz", Fork::Bellatrix),
    ("mainnet-blocks/exec_17034870.beaconblock.ssz", Fork::Capella),
    ("mainnet-blocks/exec_17042287.beaconblock.ssz", Fork::Capella),
    ("mainnet-blocks/exec_17062257.beaconblock.ssz", Fork::Capella),
    ("mainnet-blocks/exec_19426586.beaconblock.ssz", Fork::Capella),
    ("mainnet-blocks/exec_19426587.beaconblock.ssz", Fork::Deneb),
    ("mainnet-blocks/exec_22162263.beaconblock.ssz", Fork::Deneb),
    ("mainnet-blocks/rp_block_11544444.ssz", Fork::Deneb),
    ("mainnet-blocks/rp_block_11900001.ssz", Fork::Electra),
    ("sepolia-electra-8084248/block_8084160.ssz_snappy", Fork::Electra),
    ("sepolia-electra-8084248/block_8084248.ssz_snappy", Fork::Electra),
    ("sepolia-electra-8084248/block_8084249.ssz_snappy", Fork::Electra),
    ("sepolia-electra-8084248/block_8084250.ssz_snappy", Fork::Electra),
];

/// Blocks of public networks by file name, where the shared folder with them lies beside the repository (or where
/// `WREN_SHARED` says); otherwise says on the real standard error that nothing was checked. They are of the mainnet preset.
pub(crate) fn real_blocks() -> Option<Vec<(&'static str, Fork, BeaconBlock)>> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let folder = std::env::var_os("WREN_SHARED")
        .map_or_else(beside, PathBuf::from)
        .join("realdata");
    if cfg!(feature = "minimal") {
        return None;
    }
    if !folder.exists() {
        let missing = folder.display();
        assert!(
            std::env::var_os("CI").is_none(),
            "{missing} is missing, and under CI everything is checked"
        );
        writeln!(
            std::io::stderr(),
            "NOT CHECKED: {missing} is missing; set WREN_SHARED to the folder that has realdata/"
        )
        .expect("standard error is open");
        return None;
    }
    let read = |(name, fork): &(&'static str, Fork)| {
        let mut bytes = std::fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        if name.ends_with("_snappy") {
            bytes = snap::raw::Decoder::new().decompress_vec(&bytes).unwrap();
        }
        let signed = !name.contains(".beaconblock.");
        let block = if signed {
            SignedBeaconBlock::decode(&bytes, *fork).map(|signed| signed.message)
        } else {
            BeaconBlock::decode(&bytes, *fork)
        };
        (*name, *fork, block.unwrap_or_else(|error| panic!("{name}: {error}")))
    };
    Some(REAL_BLOCKS.iter().map(read).collect())
}
