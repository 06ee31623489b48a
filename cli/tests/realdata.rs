//! Real objects of public networks: their roots, as the executable specification computed them, and their JSON.

use crate::{Scratch, root, skip, wren_ok};
use std::path::PathBuf;

/// State: file, fork, root.
const STATES: &[(&str, &str, &str)] = &[
    (
        "mainnet-genesis/genesis.ssz_snappy",
        "phase0",
        "0x7e76880eb67bbdc86250aa578958e9d0675e64e714337855204fb5abaaf82c2b",
    ),
    (
        "sepolia-state/state_4571072.ssz_snappy",
        "deneb",
        "0x2853809f7fd056e8e9819993e918ee61e852015594c0781c4ec700d831b1b7b3",
    ),
    (
        "gloas-devnet-3/genesis.ssz_snappy",
        "fulu",
        "0xb32b877d4b754ca2e7bdd52c5a43e344abaf68ba8f4519195bc2301babccc263",
    ),
    (
        "sepolia-electra-8084248/state_8084248.ssz_snappy",
        "electra",
        "0x726d71aae5b6cee403830b4461a2f64380a6de313fb355cb1d7cd78a0dca032c",
    ),
    (
        "sepolia-electra-8084248/state_8084249.ssz_snappy",
        "electra",
        "0x603968e01d0fabe40730d7646184132125e7cec68bb1f3c701d6f487e1ed84ba",
    ),
    // Not real but large: 120,000 validators.
    (
        "../bench/fulu-120k/pre.ssz_snappy",
        "fulu",
        "0xdb3b7ae6870171b2713116595c90f694e0609f55182816637654af6876193c91",
    ),
];

/// Block: file, type, fork, root of the block (without its signature).
const BLOCKS: &[(&str, &str, &str, &str)] = &[
    (
        "sepolia-electra-8084248/block_8084160.ssz_snappy",
        "SignedBeaconBlock",
        "electra",
        "0x869d3ddfe9a22fb3c040b99178de3856673b9cc62a7aface77a520fb42881184",
    ),
    (
        "sepolia-electra-8084248/block_8084248.ssz_snappy",
        "SignedBeaconBlock",
        "electra",
        "0xcd2b3e526fec8a49445be0e2db62f1855a01ea1d7beb544c19fba0eb3bb68a0a",
    ),
    (
        "sepolia-electra-8084248/block_8084249.ssz_snappy",
        "SignedBeaconBlock",
        "electra",
        "0x46290433cc6eb6e5060cd87364367784fe05adc5b5f6835d1d357c136dca65bd",
    ),
    (
        "sepolia-electra-8084248/block_8084250.ssz_snappy",
        "SignedBeaconBlock",
        "electra",
        "0x9ad84061d301d8b2d2613ffcb83a937a35f789b52ec1975005ef3c6c9faa3c43",
    ),
    (
        "mainnet-blocks/exec_15537394.beaconblock.ssz",
        "BeaconBlock",
        "bellatrix",
        "0x810a00400a80cdffc11ffdcf17ac404ac4dba215b95221955a9dfddf163d0b0d",
    ),
    (
        "mainnet-blocks/exec_15537397.signedbeaconblock.ssz",
        "SignedBeaconBlock",
        "bellatrix",
        "0x5e6c4fc1204b536b5bf143a1b917dd1446be128f9f08a5c6db7941ef0c533f9d",
    ),
    (
        "mainnet-blocks/exec_15539558.beaconblock.ssz",
        "BeaconBlock",
        "bellatrix",
        "0x4b72c935466fa0857a7320c4fee7c99f892adb686ed7a66aa38f26f4ef3c2f21",
    ),
    (
        "mainnet-blocks/exec_15547621.beaconblock.ssz",
        "BeaconBlock",
        "bellatrix",
        "0xa597262de477c764eafb6599802ba933eff6bf048a7586a45f7494bdbb60528b",
    ),
    (
        "mainnet-blocks/exec_15555729.beaconblock.ssz",
        "BeaconBlock",
        "bellatrix",
        "0xe3040c0b5bbcb4f53d4a9d2cb2eeb1ba72eeaf54005e15e387af5829bf786032",
    ),
    (
        "mainnet-blocks/exec_17034869.beaconblock.ssz",
        "BeaconBlock",
        "bellatrix",
        "0xd82611c764830c4865cdc90126d852d3a131a877fcb2811da5c70a78943e579d",
    ),
    (
        "mainnet-blocks/exec_17034870.beaconblock.ssz",
        "BeaconBlock",
        "capella",
        "0x0aeac0ffb300f84b75ce88b0e17e4066df665e3104c883446e9045c728793e32",
    ),
    (
        "mainnet-blocks/exec_17042287.beaconblock.ssz",
        "BeaconBlock",
        "capella",
        "0xfeda91e1f5deb3600789ddc1e6c194a50b49667202f809bae68a67ac573e9627",
    ),
    (
        "mainnet-blocks/exec_17062257.beaconblock.ssz",
        "BeaconBlock",
        "capella",
        "0x228a343bc2ffed918ee8dd619cc5d862486b197b25720de9d130e3347b5677a3",
    ),
    (
        "mainnet-blocks/exec_19426586.beaconblock.ssz",
        "BeaconBlock",
        "capella",
        "0xb35bb80bc5f4e3d8f19b62f6274add24dca334db242546c3024403027aaf6412",
    ),
    (
        "mainnet-blocks/exec_19426587.beaconblock.ssz",
        "BeaconBlock",
        "deneb",
        "0xa471c7622a976313a61e01b01212dcea6acd71f351618734928dcabe4aba62fe",
    ),
    (
        "mainnet-blocks/exec_22162263.beaconblock.ssz",
        "BeaconBlock",
        "deneb",
        "0x452eb0df043bab8ec645217e50a04ff6bc18ba9898468643e44a186b97bb94f1",
    ),
    (
        "mainnet-blocks/rp_block_11544444.ssz",
        "SignedBeaconBlock",
        "deneb",
        "0x8442138d973483bfeaba9082f28217234e2879dedb5202e67ef68e2349db9a31",
    ),
    (
        "mainnet-blocks/rp_block_11900001.ssz",
        "SignedBeaconBlock",
        "electra",
        "0xd3618a1ba22e5c670d7fa1196aee40fe0a0f02c6de829f811a71e656b3ef53b6",
    ),
];

/// The state root that the last block of the Sepolia segment promises.
const STATE_AFTER_8084250: &str = "0xf3b0c33de8e45142d74bfd68fcb2f38fa824245ed6bf62fb72851bef1e22d2c0";

/// The folder of the real objects, if it is there; otherwise says so.
fn folder() -> Option<PathBuf> {
    let folder = root().join("../shared/realdata");
    if folder.is_dir() {
        return Some(folder);
    }
    skip("realdata", "../shared/realdata is not there");
    None
}

#[test]
fn roots_of_states() {
    let Some(folder) = folder() else { return };
    for (file, fork, expected) in STATES {
        let path = folder.join(file);
        let path = path.to_str().expect("the path is UTF-8");
        assert_eq!(
            wren_ok(&["ssz", "root", "--type", "BeaconState", "--fork", fork, path]).trim(),
            *expected,
            "{file}"
        );
    }
}

/// A signed block's own root covers its signature; the block inside is taken out by way of its JSON.
#[test]
fn roots_of_blocks() {
    let Some(folder) = folder() else { return };
    let scratch = Scratch::new("blocks");
    for (file, kind, fork, expected) in BLOCKS {
        let path = folder.join(file);
        let path = path.to_str().expect("the path is UTF-8");
        let text = wren_ok(&["ssz", "json", "--type", kind, "--fork", fork, path]);
        let mut block: serde_json::Value = serde_json::from_str(&text).expect("`wren ssz json` prints JSON");
        if *kind == "SignedBeaconBlock" {
            block = block["message"].take();
        } else {
            let direct = wren_ok(&["ssz", "root", "--type", kind, "--fork", fork, path]);
            assert_eq!(direct.trim(), *expected, "{file}, from SSZ");
        }
        let inner = scratch.path("block.json");
        std::fs::write(&inner, block.to_string()).expect("the scratch folder can be written");
        let by_json = wren_ok(&["ssz", "root", "--type", "BeaconBlock", "--fork", fork, &inner]);
        assert_eq!(by_json.trim(), *expected, "{file}, by way of its JSON");
        if file.contains("8084250") {
            assert_eq!(block["state_root"], STATE_AFTER_8084250);
        }
    }
}

/// The differences between two states of neighbouring slots are those of one block.
#[test]
fn difference_of_two_states() {
    let Some(folder) = folder() else { return };
    let state = |slot: u64| format!("{}/sepolia-electra-8084248/state_{slot}.ssz_snappy", folder.display());
    let [before, after] = [state(8084248), state(8084249)];
    let of = ["--type", "BeaconState", "--fork", "electra", "--limit", "10000"];
    let output = crate::wren(&[&["ssz", "diff"], &of[..], &[&before, &after]].concat(), b"");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.starts_with("slot\n  - 8084248\n  + 8084249\n"), "{text}");
    assert!(text.contains("latest_block_header.parent_root\n"), "{text}");
    assert!(
        !text.contains("validators["),
        "no validator changed in that slot: {text}"
    );
    assert_eq!(wren_ok(&[&["ssz", "diff"], &of[..], &[&after, &after]].concat()), "");
}

/// Whatever the index of the real objects gains is checked here, too.
#[test]
fn every_root_of_the_index_is_checked() {
    let Some(folder) = folder() else { return };
    let index = std::fs::read_to_string(folder.join("INDEX.md")).expect("the real objects have an index");
    let checked: Vec<&str> = STATES
        .iter()
        .map(|row| row.2)
        .chain(BLOCKS.iter().map(|row| row.3))
        .chain([STATE_AFTER_8084250])
        .collect();
    let listed: Vec<&str> = index.split("0x").skip(1).filter_map(|rest| rest.get(..64)).collect();
    assert!(!listed.is_empty(), "the index lists no root");
    for root in listed {
        assert!(
            checked.contains(&format!("0x{root}").as_str()),
            "0x{root} is in the index and in no test"
        );
    }
}
