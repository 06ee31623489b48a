//! What is put in comes out, also after the database was closed and opened.

use crate::fixture::{Folder, block, identity, open, options};
use consensus::Fork;
use consensus::ssz::{Bytes, Root, Ssz};
use consensus::types::Checkpoint;
use storage::{Error, Identity, Sidecar, Storage, StoredBlock, StoredSidecar};

/// A chain with a block at every third slot and a sibling at every sixth.
fn fill(storage: &Storage) -> Vec<(u64, Root)> {
    let (mut parent, mut chain) = (Root::ZERO, Vec::new());
    for slot in (3..60).step_by(3) {
        let (root, signed) = block(slot, parent, 0);
        let mut batch = storage.batch();
        batch.put_block(&root, Fork::Fulu, &signed);
        if slot.is_multiple_of(6) {
            let (sibling, signed) = block(slot, parent, 1);
            batch.put_block(&sibling, Fork::Fulu, &signed);
        }
        batch.set_canonical(slot, &root);
        batch.set_head(slot, &root);
        batch.commit().unwrap();
        chain.push((slot, root));
        parent = root;
    }
    chain
}

#[test]
fn blocks_are_found_by_root_and_slot() {
    let folder = Folder::new("blocks");
    let chain = fill(&open(folder.path()));
    let storage = open(folder.path());
    assert_eq!(storage.head().unwrap(), chain.last().copied());
    for (slot, root) in &chain {
        let (fork, found) = storage.block(root).unwrap().unwrap();
        assert_eq!((fork, found.message.slot), (Fork::Fulu, *slot));
        assert_eq!(found.message.hash_tree_root(fork), *root);
        assert_eq!(storage.block_slot(root).unwrap(), Some(*slot));
        assert_eq!(storage.canonical(*slot).unwrap(), Some(*root));
        assert_eq!(storage.canonical(*slot + 1).unwrap(), None);
        let stored = storage.block_ssz(root).unwrap().unwrap();
        assert_eq!(stored.ssz, found.encode(fork));
    }
    let canonical: Vec<_> = storage.canonical_in(10..40).map(Result::unwrap).collect();
    let expected: Vec<_> = chain
        .iter()
        .copied()
        .filter(|(slot, _)| (10..40).contains(slot))
        .collect();
    assert_eq!(canonical, expected);
    let slots: Vec<_> = storage.blocks_in(10..19).map(|found| found.unwrap().slot).collect();
    assert_eq!(slots, [12, 12, 15, 18, 18]);
    assert!(!storage.has_block(&Bytes([1; 32])).unwrap());
    assert!(storage.block(&Bytes([1; 32])).unwrap().is_none());
}

#[test]
fn a_dropped_batch_writes_nothing() {
    let folder = Folder::new("dropped");
    let storage = open(folder.path());
    let (root, signed) = block(5, Root::ZERO, 0);
    let mut batch = storage.batch();
    batch.put_block(&root, Fork::Fulu, &signed);
    batch.set_head(5, &root);
    assert!(!batch.is_empty());
    drop(batch);
    assert!(!storage.has_block(&root).unwrap());
    assert_eq!(storage.head().unwrap(), None);
}

#[test]
fn backfilled_blocks_join_the_others() {
    let folder = Folder::new("backfill");
    let storage = open(folder.path());
    let chain: Vec<_> = (0..40).map(|slot| block(slot, Root::ZERO, 0)).collect();
    let mut batch = storage.batch();
    for (root, signed) in &chain[30..] {
        batch.put_block(root, Fork::Fulu, signed);
    }
    batch.commit().unwrap();
    // Runs of ten, downwards, each run in any order; the last one twice, as after a crash.
    for run in [20..30, 10..20, 0..10, 0..10] {
        let mut batch = storage.batch();
        batch.set_oldest_block(run.start as u64);
        for (root, signed) in chain[run].iter().rev() {
            let (slot, ssz) = (signed.message.slot, signed.encode(Fork::Deneb));
            batch
                .put_old_block(&StoredBlock {
                    slot,
                    root: *root,
                    fork: Fork::Deneb,
                    ssz,
                })
                .unwrap();
        }
        batch.commit().unwrap();
    }
    drop(storage);
    let storage = open(folder.path());
    assert_eq!(storage.oldest_block().unwrap(), Some(0));
    for (root, signed) in &chain[..30] {
        let (fork, found) = storage.block(root).unwrap().unwrap();
        assert_eq!((fork, found.message.slot), (Fork::Deneb, signed.message.slot));
    }
    let slots: Vec<_> = storage.blocks_in(0..100).map(|found| found.unwrap().slot).collect();
    assert_eq!(slots, (0..40).collect::<Vec<_>>());
    assert_eq!(std::fs::read_dir(folder.path().join("ingest")).unwrap().count(), 0);
}

#[test]
fn pruned_blocks_are_gone() {
    let folder = Folder::new("prune");
    let storage = open(folder.path());
    let chain = fill(&storage);
    storage.flush().unwrap();
    storage.prune_blocks(30).unwrap();
    let check = |storage: &Storage| {
        for (slot, root) in &chain {
            assert_eq!(storage.has_block(root).unwrap(), *slot >= 30, "slot {slot}");
            assert_eq!(storage.canonical(*slot).unwrap().is_some(), *slot >= 30, "slot {slot}");
        }
        assert_eq!(storage.blocks_in(0..100).next().unwrap().unwrap().slot, 30);
        assert_eq!(storage.pruned_blocks_below(), 30);
    };
    check(&storage);
    drop(storage);
    let storage = open(folder.path());
    check(&storage);
    // Backwards is nothing to do; far ahead of everything is quick.
    storage.prune_blocks(20).unwrap();
    check(&storage);
    storage.prune_blocks(1 << 40).unwrap();
    assert_eq!(storage.blocks_in(0..u64::MAX).count(), 0);
}

fn sidecar(slot: u64, root: Root, kind: Sidecar, index: u64) -> StoredSidecar {
    let ssz = [slot, index, kind as u64].map(u64::to_le_bytes).concat();
    StoredSidecar {
        slot,
        root,
        kind,
        index,
        fork: Fork::Fulu,
        ssz,
    }
}

#[test]
fn sidecars_are_found_listed_and_pruned() {
    let folder = Folder::new("sidecars");
    let storage = open(folder.path());
    let root = |slot: u64| Root::from([slot as u8; 32]);
    for slot in 50..60 {
        let some = [0, 5, 127].map(|index| sidecar(slot, root(slot), Sidecar::Column, index));
        storage.put_sidecars(&some).unwrap();
        storage
            .put_sidecars(&[sidecar(slot, root(slot), Sidecar::Blob, 3)])
            .unwrap();
    }
    let old: Vec<_> = (40..50)
        .map(|slot| sidecar(slot, root(slot), Sidecar::Column, 9))
        .collect();
    storage.put_old_sidecars(&old).unwrap();
    storage.put_old_sidecars(&[]).unwrap();
    drop(storage);

    let storage = open(folder.path());
    assert_eq!(
        storage.sidecar_indices(55, &root(55), Sidecar::Column).unwrap(),
        [0, 5, 127]
    );
    assert_eq!(storage.sidecar_indices(55, &root(55), Sidecar::Blob).unwrap(), [3]);
    assert_eq!(storage.sidecar_indices(55, &root(1), Sidecar::Blob).unwrap(), [0u64; 0]);
    let (fork, ssz) = storage.sidecar(55, &root(55), Sidecar::Column, 5).unwrap().unwrap();
    assert_eq!((fork, ssz), (Fork::Fulu, sidecar(55, root(55), Sidecar::Column, 5).ssz));
    assert!(storage.sidecar(55, &root(55), Sidecar::Column, 6).unwrap().is_none());
    assert!(
        storage
            .sidecar(55, &root(55), Sidecar::Column, 1 << 40)
            .unwrap()
            .is_none()
    );
    let columns: Vec<_> = storage
        .sidecars_in(Sidecar::Column, 48..51)
        .map(Result::unwrap)
        .collect();
    let found: Vec<_> = columns.iter().map(|found| (found.slot, found.index)).collect();
    assert_eq!(found, [(48, 9), (49, 9), (50, 0), (50, 5), (50, 127)]);

    let wrong = storage
        .put_sidecars(&[sidecar(70, root(70), Sidecar::Column, 65535)])
        .unwrap_err();
    assert!(matches!(wrong, Error::Misuse(_)), "{wrong}");
    storage.prune_sidecars(52).unwrap();
    assert!(storage.sidecar(51, &root(51), Sidecar::Column, 5).unwrap().is_none());
    assert_eq!(storage.sidecars_in(Sidecar::Blob, 0..100).count(), 8);
    drop(storage);
    assert_eq!(open(folder.path()).pruned_columns_below(), 52);
}

#[test]
fn facts_and_values_are_kept() {
    let folder = Folder::new("facts");
    let storage = open(folder.path());
    assert_eq!(storage.finalized().unwrap(), None);
    assert!(!storage.clean_stop().unwrap());
    let checkpoint = |epoch| Checkpoint {
        epoch,
        root: Bytes([epoch as u8; 32]),
    };
    let mut batch = storage.batch();
    batch.set_justified(&checkpoint(8));
    batch.set_finalized(&checkpoint(7));
    batch.set_oldest_column(99);
    batch.set_network("hoodi");
    batch.set_genesis_state_root(&Bytes([3; 32]));
    batch.set_clean_stop(true);
    batch.set_value("custody", Some(&[1, 2, 3])).unwrap();
    assert!(batch.set_value("large", Some(&vec![0; 70_000])).is_err());
    batch.commit().unwrap();
    storage.save_file("votes", &vec![5; 1_000_000]).unwrap();
    assert!(storage.save_file("../votes", &[]).is_err());
    drop(storage);

    let storage = open(folder.path());
    assert_eq!(storage.justified().unwrap(), Some(checkpoint(8)));
    assert_eq!(storage.finalized().unwrap(), Some(checkpoint(7)));
    assert_eq!(storage.oldest_column().unwrap(), Some(99));
    assert_eq!(storage.network().unwrap().as_deref(), Some("hoodi"));
    assert_eq!(storage.genesis_state_root().unwrap(), Some(Bytes([3; 32])));
    assert!(storage.clean_stop().unwrap());
    assert_eq!(storage.value("custody").unwrap(), Some(vec![1, 2, 3]));
    assert_eq!(storage.saved_file("votes").unwrap(), Some(vec![5; 1_000_000]));
    assert_eq!(storage.saved_file("others").unwrap(), None);
    let mut batch = storage.batch();
    batch.set_clean_stop(false);
    batch.set_value("custody", None).unwrap();
    batch.commit().unwrap();
    storage.remove_saved_file("votes").unwrap();
    storage.remove_saved_file("votes").unwrap();
    assert!(!storage.clean_stop().unwrap());
    assert_eq!(storage.value("custody").unwrap(), None);
    assert_eq!(storage.saved_file("votes").unwrap(), None);
}

#[test]
fn another_identity_is_refused_with_both_sides() {
    let folder = Folder::new("identity");
    drop(open(folder.path()));
    let ours = identity();
    let others = [
        Identity {
            preset: "unheard-of".into(),
            ..ours.clone()
        },
        Identity {
            schema: 99,
            ..ours.clone()
        },
        Identity {
            genesis_validators_root: Bytes([9; 32]),
            ..ours.clone()
        },
    ];
    let sides = [
        ["preset mainnet", "unheard-of"],
        ["version 1", "99"],
        ["0x0707", "0x0909"],
    ];
    for (other, sides) in others.iter().zip(sides) {
        let error = Storage::open(folder.path(), other, &options()).unwrap_err();
        assert!(matches!(error, Error::Mismatch(_)), "{error}");
        for part in sides.into_iter().chain(["--resync"]) {
            let part = part.replace("mainnet", &ours.preset);
            assert!(error.to_string().contains(&part), "'{part}' is not in: {error}");
        }
    }
    open(folder.path());
}

#[test]
fn an_open_folder_is_refused_and_a_closed_one_removed() {
    let folder = Folder::new("lock");
    let storage = open(folder.path());
    fill(&storage);
    for error in [
        Storage::open(folder.path(), &identity(), &options()).unwrap_err(),
        Storage::claim(folder.path()).unwrap_err(),
    ] {
        assert!(matches!(error, Error::InUse(_)), "{error}");
        assert!(error.to_string().contains("another process uses"), "{error}");
    }
    let clone = storage.clone();
    drop(storage);
    assert!(
        Storage::open(folder.path(), &identity(), &options()).is_err(),
        "a clone has it open"
    );
    drop(clone);
    let keys = folder.path().join("pubkeys");
    std::fs::write(&keys, b"not ours").unwrap();
    let claim = Storage::claim(folder.path()).unwrap();
    assert!(
        Storage::open(folder.path(), &identity(), &options()).is_err(),
        "it is claimed"
    );
    claim.remove().unwrap();
    assert!(keys.exists() && !folder.path().join("db").exists());
    assert_eq!(claim.open(&identity(), &options()).unwrap().head().unwrap(), None);
    assert_eq!(open(folder.path()).head().unwrap(), None);
    Storage::claim(&folder.path().join("nowhere"))
        .unwrap()
        .remove()
        .unwrap();
}

#[test]
fn a_family_of_a_newer_program_is_refused() {
    let folder = Folder::new("family");
    drop(open(folder.path()));
    let names = storage::schema::Family::ALL.map(storage::schema::Family::name);
    let path = folder.path().join("db");
    let mut db = rocksdb::DB::open_cf(&rocksdb::Options::default(), &path, names).unwrap();
    db.create_cf("novelty", &rocksdb::Options::default()).unwrap();
    drop(db);
    let error = Storage::open(folder.path(), &identity(), &options()).unwrap_err();
    assert!(
        matches!(error, Error::Mismatch(_)) && error.to_string().contains("'novelty'"),
        "{error}"
    );
}
