//! The table of public keys in a mapped file: left half-way, and gone on with.

use consensus::Config;
use consensus::keys::{Keys, decompress};
use consensus::ssz::PersistentList;
use crypto::pubkeys::Pubkeys;
use synthetic::{Shape, fulu_state};

#[test]
fn a_file_that_was_left_half_way_is_gone_on_with() {
    let name = format!("wren-keys-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let state = fulu_state(Shape::like_mainnet(3000), &Config::standard());
    let knows = |keys: &Keys, index: u64| {
        let pubkey = &state.validators.get(index as usize).unwrap().pubkey;
        keys.public_key(&state, index).unwrap().to_compressed() == pubkey.0
            && keys.index_of(&state, pubkey) == Some(index)
    };
    let mut reached = Vec::new();
    for parts in [10, 10, usize::MAX] {
        let table = Pubkeys::open(&path).unwrap();
        let mut keys = Keys::with_table(table.clone(), &state.validators).unwrap();
        keys.settle(keys.len());
        let missing = keys.missing();
        for part in missing.chunks(100).take(parts) {
            keys.enter(decompress(&state.validators, part).unwrap()).unwrap();
        }
        drop(table);
        reached.push(missing.len());
        assert!((0..3000).step_by(7).all(|index| knows(&keys, index)));
    }
    assert_eq!(reached, [3000, 2000, 1000]);
    assert_eq!(Pubkeys::open(&path).unwrap().len(), 3000);
    let mut other: Vec<_> = state.validators.iter().cloned().collect();
    other.reverse();
    let refused = Keys::with_table(Pubkeys::open(&path).unwrap(), &PersistentList::from_vec(other));
    assert_eq!(refused.unwrap_err().rule, "public key table");
    std::fs::remove_file(&path).unwrap();
}
