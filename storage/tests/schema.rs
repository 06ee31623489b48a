//! The bytes of every key: what one version wrote, the next must find.

use crate::fixture::{Folder, block, open};
use consensus::Fork;
use consensus::ssz::{Bytes, Root, Ssz};
use consensus::types::Checkpoint;
use storage::schema::{self, Family, Name};
use storage::{Sidecar, StoredSidecar};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn keys_have_their_bytes() {
    let root: Root = Bytes(std::array::from_fn(|index| index as u8));
    let digits = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    assert_eq!(hex(&schema::root_key(&root)), format!("72{digits}"));
    assert_eq!(hex(&schema::canonical_key(0x0102_0304)), "630000000001020304");
    assert_eq!(
        hex(&schema::block_key(0x0102_0304, &root)),
        format!("0000000001020304{digits}")
    );
    let key = schema::sidecar_key(0x0102_0304, &root, Sidecar::Column, 0x0506);
    assert_eq!(hex(&key), format!("0000000001020304{digits}010506"));
    assert_eq!(
        schema::split_sidecar_key(&key).unwrap(),
        (0x0102_0304, root, Sidecar::Column, 0x0506)
    );
    assert_eq!(schema::sidecar_key(1, &root, Sidecar::Blob, 0)[40], 0);
    assert_eq!(
        hex(&schema::state_key(2, 0x0102_0304, &root)),
        format!("020000000001020304{digits}")
    );
    let key = schema::state_entry_key(2, 0x0102_0304, &root);
    assert_eq!(hex(&key), format!("73020000000001020304{digits}"));
    assert_eq!(schema::split_state_entry_key(&key).unwrap(), (2, 0x0102_0304, root));
    assert_eq!(schema::value_key("custody"), b"xcustody");
    assert_eq!(Name::PrunedColumns.key(), b"mpruned_columns");
    assert_eq!(schema::VERSION, 1);
    assert_eq!(
        Family::ALL.map(Family::name),
        ["default", "blocks", "envelopes", "columns", "states"]
    );
}

#[test]
fn broken_keys_are_damage_and_no_panic() {
    for len in 0..43 {
        assert!(schema::split_sidecar_key(&[1; 43][..len]).is_err(), "{len}");
    }
    assert!(schema::split_sidecar_key(&[9; 43]).is_err(), "an unknown kind");
    for len in [0, 39, 41] {
        assert!(schema::split_block_key(&[1; 43][..len]).is_err(), "{len}");
    }
    for len in [0, 1, 41, 43] {
        assert!(schema::split_state_entry_key(&[b's'; 43][..len]).is_err(), "{len}");
    }
    assert!(schema::split_canonical_key(b"r12345678").is_err());
    assert!(schema::split_canonical_key(b"c1234567").is_err());
    assert!(schema::split_fork(&[]).is_err());
    assert!(schema::read_fork(8).is_err());
    assert_eq!(schema::read_fork(6).unwrap(), Fork::Fulu);
}

/// Everything that is written, as RocksDB itself sees it.
#[test]
fn a_written_database_has_its_bytes() {
    let folder = Folder::new("golden");
    let (root, signed) = block(0x0102, Root::ZERO, 0);
    let storage = open(folder.path());
    let mut batch = storage.batch();
    batch.put_block(&root, Fork::Fulu, &signed);
    batch.set_canonical(0x0102, &root);
    batch.set_head(0x0102, &root);
    batch.set_justified(&Checkpoint { epoch: 8, root });
    batch.set_finalized(&Checkpoint { epoch: 7, root });
    batch.set_oldest_block(6);
    batch.set_oldest_column(5);
    batch.set_network("hoodi");
    batch.set_genesis_state_root(&root);
    batch.set_clean_stop(true);
    batch.set_value("custody", Some(&[1])).unwrap();
    batch.commit().unwrap();
    let (kind, ssz) = (Sidecar::Column, vec![0xaa]);
    let sidecar = StoredSidecar {
        slot: 0x0102,
        root,
        kind,
        index: 3,
        fork: Fork::Fulu,
        ssz,
    };
    storage.put_sidecars(&[sidecar]).unwrap();
    drop(storage);

    let names = Family::ALL.map(Family::name);
    let db = rocksdb::DB::open_cf(&rocksdb::Options::default(), folder.path().join("db"), names).unwrap();
    let (id, slot) = (hex(&root.0), "0000000000000102");
    let preset = consensus::preset::PRESET_NAME;
    let facts = [
        ("clean_stop", String::new()),
        ("finalized", format!("0700000000000000{id}")),
        ("genesis_state_root", id.clone()),
        ("head", format!("0201000000000000{id}")),
        (
            "identity",
            format!(
                "01000000{:02x}{}{}",
                preset.len(),
                hex(preset.as_bytes()),
                "07".repeat(32)
            ),
        ),
        ("justified", format!("0800000000000000{id}")),
        ("network", hex(b"hoodi")),
        ("oldest_block", "0600000000000000".into()),
        ("oldest_column", "0500000000000000".into()),
    ];
    let mut expected = vec![(format!("63{slot}"), id.clone())];
    expected.extend(facts.map(|(name, value)| (format!("6d{}", hex(name.as_bytes())), value)));
    expected.push((format!("72{id}"), slot.into()));
    expected.push((hex(b"xcustody"), "01".into()));
    let dump = |family: &str| {
        let family = db.cf_handle(family).unwrap();
        let items = db.iterator_cf(family, rocksdb::IteratorMode::Start).map(Result::unwrap);
        items.map(|(key, value)| (hex(&key), hex(&value))).collect::<Vec<_>>()
    };
    assert_eq!(dump("default"), expected);
    let ssz = hex(&signed.encode(Fork::Fulu));
    assert_eq!(dump("blocks"), [(format!("{slot}{id}"), format!("06{ssz}"))]);
    assert_eq!(dump("columns"), [(format!("{slot}{id}010003"), "06aa".into())]);
    assert_eq!(dump("envelopes"), []);
    assert_eq!(dump("states"), []);
}
