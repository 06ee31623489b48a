//! What the unit tests of several modules share.

use consensus::ssz::Ssz;
use consensus::types::{BeaconBlock, SignedBeaconBlock};
use consensus::{Fork, State};
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

/// The folder with objects of public networks, where it lies beside the repository or where `WREN_SHARED` says; otherwise
/// says on the real standard error that nothing was checked. They are of the mainnet preset.
fn realdata() -> Option<PathBuf> {
    if cfg!(feature = "minimal") {
        return None;
    }
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let folder = std::env::var_os("WREN_SHARED")
        .map_or_else(beside, PathBuf::from)
        .join("realdata");
    if folder.exists() {
        return Some(folder);
    }
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
    None
}

/// Blocks of public networks by file name; `None` where they are not to be had.
pub(crate) fn real_blocks() -> Option<Vec<(&'static str, Fork, BeaconBlock)>> {
    let read = |(name, fork): &(&'static str, Fork)| {
        let bytes = real_bytes(name)?;
        let signed = !name.contains(".beaconblock.");
        let block = if signed {
            SignedBeaconBlock::decode(&bytes, *fork).map(|signed| signed.message)
        } else {
            BeaconBlock::decode(&bytes, *fork)
        };
        Some((*name, *fork, block.unwrap_or_else(|error| panic!("{name}: {error}"))))
    };
    REAL_BLOCKS.iter().map(read).collect()
}

/// A file of the shared folder, unpacked if it is packed; `None` as for [`real_blocks`].
fn real_bytes(name: &str) -> Option<Vec<u8>> {
    let bytes = std::fs::read(realdata()?.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    if name.ends_with("_snappy") {
        return Some(snap::raw::Decoder::new().decompress_vec(&bytes).unwrap());
    }
    Some(bytes)
}

/// A state of a public network; `None` as for [`real_blocks`].
pub(crate) fn real_state(name: &str, fork: Fork) -> Option<State> {
    Some(State::decode(&real_bytes(name)?, fork).unwrap_or_else(|error| panic!("{name}: {error}")))
}

/// A text file of the shared folder; `None` as for [`real_blocks`].
pub(crate) fn real_text(name: &str) -> Option<String> {
    Some(String::from_utf8(real_bytes(name)?).unwrap())
}

/// An empty folder for one test, removed when dropped.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("wren-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Scratch(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}
