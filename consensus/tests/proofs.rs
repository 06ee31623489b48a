//! Generalized indices and Merkle proofs of random objects, and the indices that the specs give.

use crate::mirror;
use crate::support::{Rng, rounds};
use consensus::Fork;
use consensus::constants::*;
use consensus::ssz::PathStep::{self, Field, Item, Length};
use consensus::ssz::proof::{
    is_valid_merkle_branch, prove, prove_multi, verify_merkle_multiproof, verify_merkle_proof,
};
use consensus::ssz::{Bound, Bytes, PersistentList, Root, Ssz, SszPath, get_generalized_index};
use consensus::types::*;
use crypto::hash::hash2;

/// Walks from the root to a leaf, per object, in a long run.
const WALKS: usize = 200;

/// A random object of the type that the specs call `name`.
fn random<T: Ssz>(name: &str, fork: Fork, rng: &mut Rng) -> T {
    let twin = mirror::find(name, fork).expect("the type exists at this fork");
    T::decode(&(twin.random)(rng).bytes(), fork).expect("the oracle test says why not")
}

/// The same root with one bit changed.
fn changed(root: &Root, rng: &mut Rng) -> Root {
    let mut changed = *root;
    changed.0[rng.below(32)] ^= 1 << rng.below(8);
    changed
}

/// Walks down from the root at random for at most `steps`, and checks that every node passed is the hash of its children.
fn walk<T: Ssz>(object: &T, fork: Fork, steps: usize, rng: &mut Rng) -> u64 {
    let mut gindex = 1;
    for _ in 0..steps {
        let node = object.node(fork, &[], gindex).expect("the walk stays inside");
        let children = [2 * gindex, 2 * gindex + 1].map(|child| object.node(fork, &[], child));
        match children {
            [Some(left), Some(right)] => assert_eq!(hash2(&left, &right), node, "children of {gindex}"),
            [None, None] => break,
            _ => panic!("only one child of {gindex}"),
        }
        gindex = 2 * gindex + rng.next() % 2;
    }
    gindex
}

/// Proves the node at `gindex`, and no other one.
fn check_single<T: Ssz>(object: &T, fork: Fork, gindex: u64, rng: &mut Rng) {
    let root = object.hash_tree_root(fork);
    let leaf: Root = object.node(fork, &[], gindex).expect("the node is there").into();
    let branch = prove(object, fork, gindex).expect("a node that is there can be proved");
    assert!(verify_merkle_proof(&leaf, &branch, gindex, &root), "proof of {gindex}");
    assert!(
        !verify_merkle_proof(&changed(&leaf, rng), &branch, gindex, &root),
        "another leaf at {gindex}"
    );
    for at in 0..branch.len() {
        let mut other = branch.clone();
        other[at] = changed(&branch[at], rng);
        assert!(
            !verify_merkle_proof(&leaf, &other, gindex, &root),
            "another branch at {gindex}"
        );
    }
    if let Some((_, shorter)) = branch.split_last() {
        assert!(!verify_merkle_proof(&leaf, shorter, gindex, &root));
        assert!(!verify_merkle_proof(&leaf, &branch, 2 * gindex, &root));
    }
    let depth = branch.len() as u64;
    assert!(is_valid_merkle_branch(
        &leaf,
        &branch,
        depth,
        gindex - (1 << depth),
        &root
    ));
}

/// Proves several nodes at once.
fn check_multi<T: Ssz>(object: &T, fork: Fork, mut indices: Vec<u64>, rng: &mut Rng) {
    let root = object.hash_tree_root(fork);
    indices.sort_unstable();
    indices.dedup();
    let mut leaves: Vec<Root> = indices
        .iter()
        .map(|index| object.node(fork, &[], *index).expect("the node is there").into())
        .collect();
    let mut helpers = prove_multi(object, fork, &indices).expect("nodes that are there can be proved");
    assert!(
        verify_merkle_multiproof(&leaves, &helpers, &indices, &root),
        "proof of {indices:?}"
    );
    let at = rng.below(leaves.len());
    let leaf = leaves[at];
    leaves[at] = changed(&leaf, rng);
    assert!(
        !verify_merkle_multiproof(&leaves, &helpers, &indices, &root),
        "another leaf of {indices:?}"
    );
    leaves[at] = leaf;
    if !helpers.is_empty() {
        let at = rng.below(helpers.len());
        helpers[at] = changed(&helpers[at], rng);
        assert!(
            !verify_merkle_multiproof(&leaves, &helpers, &indices, &root),
            "another helper of {indices:?}"
        );
        helpers.pop();
        assert!(
            !verify_merkle_multiproof(&leaves, &helpers, &indices, &root),
            "too few helpers of {indices:?}"
        );
    }
}

fn proofs_of<T: Ssz>(name: &str, forks: impl Fn(Fork) -> bool) {
    for fork in Fork::ALL.into_iter().filter(|fork| forks(*fork)) {
        let mut rng = Rng::named(&format!("proofs of {name} {fork}"));
        let object: T = random(name, fork, &mut rng);
        assert_eq!(object.node(fork, &[], 1), Some(object.hash_tree_root(fork).0));
        assert_eq!(object.node(fork, &[], 0), None);
        let mut ends = Vec::new();
        for _ in 0..rounds(WALKS) {
            let end = walk(&object, fork, usize::MAX, &mut rng);
            check_single(&object, fork, end, &mut rng);
            ends.push(end);
        }
        for _ in 0..rounds(WALKS) / 4 {
            let mut indices: Vec<u64> = (0..=rng.below(4)).map(|_| ends[rng.below(ends.len())]).collect();
            let steps = 1 + rng.below(12);
            indices.push(walk(&object, fork, steps, &mut rng));
            check_multi(&object, fork, indices, &mut rng);
        }
    }
}

#[test]
fn random_nodes_are_proved() {
    proofs_of::<Attestation>("Attestation", |_| true);
    proofs_of::<BeaconBlockBody>("BeaconBlockBody", |_| true);
    proofs_of::<SignedBeaconBlock>("SignedBeaconBlock", |_| true);
    proofs_of::<ExecutionPayload>("ExecutionPayload", |fork| fork >= Fork::Bellatrix);
    proofs_of::<ExecutionRequests>("ExecutionRequests", |fork| fork >= Fork::Electra);
    proofs_of::<LightClientUpdate>("LightClientUpdate", |fork| fork >= Fork::Altair);
    proofs_of::<DataColumnSidecar>("DataColumnSidecar", |fork| fork >= Fork::Fulu);
    proofs_of::<ExecutionPayloadEnvelope>("ExecutionPayloadEnvelope", |fork| fork >= Fork::Gloas);
}

#[test]
fn random_nodes_of_a_state_are_proved() {
    proofs_of::<BeaconState>("BeaconState", |_| true);
}

/// Nodes that do not exist, and the same nodes from persistent and plain lists.
#[test]
fn persistent_lists_have_the_nodes_of_plain_ones() {
    let mut rng = Rng::named("nodes");
    for len in [0usize, 1, 3, 16, 17, 40, 129, 700] {
        let model: Vec<u64> = (0..len).map(|_| rng.next()).collect();
        let roots: Vec<Root> = model
            .iter()
            .map(|item| Bytes(Ssz::root(item, Fork::Fulu, &[]).0))
            .collect();
        for bound in [Bound::Fixed(1024), Bound::Fixed(1 << 40), Bound::Progressive] {
            let shape = &[bound];
            let packed = PersistentList::from_items(model.iter().copied(), bound);
            let composite = PersistentList::from_items(roots.iter().copied(), bound);
            let indices = (0..200).chain((0..rounds(20_000)).map(|_| rng.next() >> rng.below(64)));
            for gindex in indices.collect::<Vec<u64>>() {
                let what = format!("node {gindex} of {len} items, {bound:?}");
                assert_eq!(
                    packed.node(Fork::Fulu, shape, gindex),
                    model.node(Fork::Fulu, shape, gindex),
                    "{what}"
                );
                assert_eq!(
                    composite.node(Fork::Fulu, shape, gindex),
                    roots.node(Fork::Fulu, shape, gindex),
                    "{what}"
                );
            }
        }
    }
}

/// The place that a light client's branch leads to: type, path, and the specs' constant from a fork on.
struct Known {
    path: &'static [PathStep<'static>],
    of_state: bool,
    gindices: &'static [(Fork, u64)],
}

const KNOWN: &[Known] = &[
    Known {
        path: &[Field("finalized_checkpoint"), Field("root")],
        of_state: true,
        gindices: &[
            (Fork::Altair, FINALIZED_ROOT_GINDEX),
            (Fork::Electra, FINALIZED_ROOT_GINDEX_ELECTRA),
            (Fork::Gloas, FINALIZED_ROOT_GINDEX_GLOAS),
        ],
    },
    Known {
        path: &[Field("current_sync_committee")],
        of_state: true,
        gindices: &[
            (Fork::Altair, CURRENT_SYNC_COMMITTEE_GINDEX),
            (Fork::Electra, CURRENT_SYNC_COMMITTEE_GINDEX_ELECTRA),
            (Fork::Gloas, CURRENT_SYNC_COMMITTEE_GINDEX_GLOAS),
        ],
    },
    Known {
        path: &[Field("next_sync_committee")],
        of_state: true,
        gindices: &[
            (Fork::Altair, NEXT_SYNC_COMMITTEE_GINDEX),
            (Fork::Electra, NEXT_SYNC_COMMITTEE_GINDEX_ELECTRA),
            (Fork::Gloas, NEXT_SYNC_COMMITTEE_GINDEX_GLOAS),
        ],
    },
    Known {
        path: &[Field("execution_payload")],
        of_state: false,
        gindices: &[(Fork::Capella, EXECUTION_PAYLOAD_GINDEX)],
    },
    Known {
        path: &[Field("execution_payload"), Field("block_hash")],
        of_state: false,
        gindices: &[
            (Fork::Capella, EXECUTION_BLOCK_HASH_GINDEX),
            (Fork::Deneb, EXECUTION_BLOCK_HASH_GINDEX_DENEB),
        ],
    },
    Known {
        path: &[
            Field("signed_execution_payload_bid"),
            Field("message"),
            Field("parent_block_hash"),
        ],
        of_state: false,
        gindices: &[(Fork::Gloas, EXECUTION_BLOCK_HASH_GINDEX_GLOAS)],
    },
];

#[test]
fn known_indices_come_out_and_are_proved() {
    let mut checked = 0;
    for fork in Fork::ALL {
        let mut rng = Rng::named(&format!("known {fork}"));
        let state: BeaconState = random("BeaconState", fork, &mut rng);
        let body: BeaconBlockBody = random("BeaconBlockBody", fork, &mut rng);
        for known in KNOWN {
            let found = if known.of_state {
                get_generalized_index::<BeaconState>(fork, known.path)
            } else {
                get_generalized_index::<BeaconBlockBody>(fork, known.path)
            };
            let replaced = known.path[0] == Field("execution_payload") && fork >= Fork::Gloas;
            let latest = known.gindices.iter().rfind(|(from, _)| fork >= *from && !replaced);
            let Some((_, gindex)) = latest else { continue };
            assert_eq!(found, Some(*gindex), "{:?} at {fork}", known.path);
            if known.of_state {
                check_single(&state, fork, *gindex, &mut rng);
            } else {
                check_single(&body, fork, *gindex, &mut rng);
            }
            checked += 1;
        }
    }
    assert_eq!(checked, 3 * 7 + 2 * 4 + 1);
    // A block's commitments, by whose depth sidecars of Deneb and Fulu are declared.
    for fork in [Fork::Deneb, Fork::Electra, Fork::Fulu] {
        let commitments = get_generalized_index::<BeaconBlockBody>(fork, &[Field("blob_kzg_commitments")]);
        let depth = u64::from(commitments.expect("the field is there").ilog2());
        assert_eq!(depth, consensus::preset::KZG_COMMITMENTS_INCLUSION_PROOF_DEPTH);
        let first = get_generalized_index::<BeaconBlockBody>(fork, &[Field("blob_kzg_commitments"), Item(0)]);
        let depth = u64::from(first.expect("the item is there").ilog2());
        assert_eq!(depth, consensus::preset::KZG_COMMITMENT_INCLUSION_PROOF_DEPTH);
    }
}

/// Fails unless `path` leads to the node `expected`, and the node to a proof.
fn leads_to<T: Ssz + SszPath>(object: &T, fork: Fork, path: &[PathStep], expected: Root, rng: &mut Rng) {
    let gindex = get_generalized_index::<T>(fork, path).unwrap_or_else(|| panic!("{path:?} at {fork}"));
    assert_eq!(
        object.node(fork, &[], gindex),
        Some(expected.0),
        "{path:?} at {fork}, {gindex}"
    );
    check_single(object, fork, gindex, rng);
}

#[test]
fn paths_lead_to_the_roots_of_their_parts() {
    for fork in Fork::ALL {
        let mut rng = Rng::named(&format!("paths {fork}"));
        let mut state: BeaconState = random("BeaconState", fork, &mut rng);
        state.validators.push(Validator::default());
        for (index, validator) in state.validators.iter().enumerate() {
            let item = [Field("validators"), Item(index as u64)];
            leads_to(&state, fork, &item, validator.hash_tree_root(fork), &mut rng);
            let key = [item[0], item[1], Field("pubkey")];
            leads_to(&state, fork, &key, validator.pubkey.hash_tree_root(fork), &mut rng);
        }
        let count = state.validators.len() as u64;
        leads_to(
            &state,
            fork,
            &[Field("validators"), Length],
            count.hash_tree_root(fork),
            &mut rng,
        );
        let slot = rng.below(state.block_roots.len());
        let root = *state.block_roots.get(slot).expect("the index is inside");
        leads_to(&state, fork, &[Field("block_roots"), Item(slot as u64)], root, &mut rng);

        let mut body: BeaconBlockBody = random("BeaconBlockBody", fork, &mut rng);
        body.attestations.resize(5, Attestation::new(fork));
        body.attestations[4].data.target.epoch = 7;
        let epoch = [
            Field("attestations"),
            Item(4),
            Field("data"),
            Field("target"),
            Field("epoch"),
        ];
        leads_to(&body, fork, &epoch, 7u64.hash_tree_root(fork), &mut rng);
        let none = [Field("attestations"), Item(1 << 40), Field("data")];
        let beyond = get_generalized_index::<BeaconBlockBody>(fork, &none);
        assert!(
            fork >= Fork::Gloas || beyond.is_none(),
            "an item behind the limit at {fork}"
        );
        assert_eq!(
            get_generalized_index::<BeaconBlockBody>(fork, &[Field("no_such_field")]),
            None
        );
        assert_eq!(get_generalized_index::<BeaconBlockBody>(fork, &[Item(0)]), None);
    }
}
