//! Persistent lists against plain vectors: random writes, with clones that must not see the writes behind them.

use crate::support::{Rng, rounds};
use consensus::Fork;
use consensus::ssz::{Bound, Bytes, Out, PersistentList, PersistentVector, Ssz, Vector};
use consensus::types::{Checkpoint, Validator};
use std::fmt::Debug;

/// Sequences of operations per type of item and layout in a long run.
const SEQUENCES: usize = 200;
/// Operations in a sequence: enough to grow over several bundles and subtrees.
const OPERATIONS: usize = 40;
/// Clones that are kept beside the list that is written to.
const CLONES: usize = 4;
/// The limit of the lists: it is not reached, and its tree is much deeper than the items'.
const LIMIT: Bound = Bound::Fixed(1 << 40);
/// Gloas is where lists are progressive; the types of items here are the same at every fork.
const FORK: Fork = Fork::Gloas;

/// Types of items that lists of the state have.
trait Item: Ssz + Eq {
    /// How many fill three bundles.
    const THREE_BUNDLES: usize;
    fn random(rng: &mut Rng) -> Self;
}

impl Item for u8 {
    const THREE_BUNDLES: usize = 3 * 1024;
    fn random(rng: &mut Rng) -> Self {
        rng.next() as u8
    }
}

impl Item for u64 {
    const THREE_BUNDLES: usize = 3 * 128;
    fn random(rng: &mut Rng) -> Self {
        rng.next()
    }
}

impl Item for Bytes<32> {
    const THREE_BUNDLES: usize = 3 * 16;
    fn random(rng: &mut Rng) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(&rng.bytes(32));
        Bytes(bytes)
    }
}

impl Item for Checkpoint {
    const THREE_BUNDLES: usize = 3 * 16;
    fn random(rng: &mut Rng) -> Self {
        Checkpoint {
            epoch: rng.next(),
            root: Item::random(rng),
        }
    }
}

/// Hashed in batches, unlike the container above.
impl Item for Validator {
    const THREE_BUNDLES: usize = 3 * 16;
    fn random(rng: &mut Rng) -> Self {
        Validator {
            withdrawal_credentials: Item::random(rng),
            effective_balance: rng.next(),
            slashed: rng.one_in(2),
            ..Validator::default()
        }
    }
}

fn encode<S: Ssz>(value: &S, shape: &[Bound]) -> Vec<u8> {
    let mut out = Out::memory(value.encoded_len(FORK, shape));
    value.encode_to(FORK, shape, &mut out);
    out.into_bytes()
}

/// Fails unless `list` is `model` in every respect.
fn check<T: Item>(list: &PersistentList<T>, model: &Vec<T>, bound: Bound, rng: &mut Rng) {
    let shape = &[bound];
    assert_eq!((list.len(), list.is_empty()), (model.len(), model.is_empty()));
    assert!(list.iter().eq(model), "items");
    assert_eq!(list.to_vec(), *model);
    assert_eq!(
        list.root(FORK, shape),
        model.root(FORK, shape),
        "root of {} items",
        model.len()
    );
    let bytes = encode(list, shape);
    assert!(bytes == encode(model, shape), "bytes of {} items", model.len());
    assert!(PersistentList::<T>::decode_from(&bytes, FORK, shape).as_ref() == Ok(list));
    for start in [
        0,
        rng.below(model.len() + 1),
        model.len(),
        model.len() + 1 + rng.below(5000),
        // What hostile input asks for.
        usize::MAX / 3 + rng.below(5000),
        usize::MAX - rng.below(64),
    ] {
        let from = list.iter_from(start);
        let expected = model.get(start..).unwrap_or_default();
        assert_eq!(from.len(), expected.len());
        assert!(from.eq(expected), "items from {start} of {}", model.len());
        assert_eq!(list.get(start), model.get(start));
    }
}

/// Fails unless equality is that of the items, whatever is shared and however it came to be.
fn check_equality<T: Item>(list: &PersistentList<T>, model: &[T], bound: Bound, rng: &mut Rng) {
    assert!(*list == PersistentList::from_items(model.iter().cloned(), bound));
    let other = if bound == Bound::Progressive {
        LIMIT
    } else {
        Bound::Progressive
    };
    assert!(
        *list == PersistentList::from_items(model.iter().cloned(), other),
        "other layout"
    );
    let mut longer = list.clone();
    longer.push(T::random(rng));
    assert!(*list != longer);
    assert!(longer != *list);
    if !model.is_empty() {
        let index = rng.below(model.len());
        let mut changed = list.clone();
        let mut item = T::random(rng);
        while item == model[index] {
            item = T::random(rng);
        }
        *changed.get_mut(index).expect("the index is inside") = item;
        assert!(*list != changed);
        *changed.get_mut(index).expect("the index is inside") = model[index].clone();
        assert!(*list == changed);
        assert_eq!(list.root(FORK, &[bound]), changed.root(FORK, &[bound]));
    }
}

/// One random operation on both.
fn operate<T: Item>(list: &mut PersistentList<T>, model: &mut Vec<T>, bound: Bound, rng: &mut Rng) {
    match rng.below(7) {
        0 => {
            for _ in 0..rng.below(T::THREE_BUNDLES) {
                let item = T::random(rng);
                list.push(item.clone());
                model.push(item);
            }
        }
        1 => {
            let item = T::random(rng);
            list.push(item.clone());
            model.push(item);
        }
        2 | 3 if !model.is_empty() => {
            let index = rng.below(model.len());
            let item = T::random(rng);
            *list.get_mut(index).expect("the index is inside") = item.clone();
            model[index] = item;
        }
        4 => {
            // From no change at all to a change in nearly every bundle.
            let (seed, one_in) = (rng.next(), [2, 100, usize::MAX][rng.below(3)]);
            let change = |index: usize| {
                let mut rng = Rng::new(seed ^ index as u64);
                rng.one_in(one_in).then(|| T::random(&mut rng))
            };
            let mut expected = 0;
            list.update(|index, item| {
                assert_eq!((index, item), (expected, &model[expected]), "what the closure is shown");
                expected += 1;
                change(index)
            });
            assert_eq!(expected, model.len());
            for (index, item) in model.iter_mut().enumerate() {
                *item = change(index).unwrap_or_else(|| item.clone());
            }
        }
        5 => {
            // Fills the caches, which later writes must drop.
            assert_eq!(list.root(FORK, &[bound]), model.root(FORK, &[bound]));
        }
        _ => {
            assert!(list.get_mut(model.len()).is_none());
            assert!(list.get(model.len() + rng.below(5000)).is_none());
        }
    }
}

fn list_is_a_vector<T: Item + Debug>(bound: Bound) {
    let mut rng = Rng::named(&format!("{} {bound:?}", std::any::type_name::<T>()));
    for _ in 0..rounds(SEQUENCES) {
        let mut list = PersistentList::<T>::empty(bound == Bound::Progressive);
        let mut model = Vec::new();
        let mut clones = vec![(list.clone(), model.clone())];
        for _ in 0..OPERATIONS {
            operate(&mut list, &mut model, bound, &mut rng);
            if rng.one_in(4) {
                if clones.len() < CLONES {
                    clones.push((list.clone(), model.clone()));
                } else {
                    // Goes on from an older state, as after a reorg.
                    let (older, older_model) = &mut clones[rng.below(CLONES)];
                    std::mem::swap(&mut list, older);
                    std::mem::swap(&mut model, older_model);
                }
            }
        }
        for (list, model) in clones.iter().chain([&(list, model)]) {
            check(list, model, bound, &mut rng);
            check_equality(list, model, bound, &mut rng);
        }
    }
}

#[test]
fn lists_are_vectors() {
    for bound in [LIMIT, Bound::Progressive] {
        list_is_a_vector::<u8>(bound);
        list_is_a_vector::<u64>(bound);
        list_is_a_vector::<Bytes<32>>(bound);
        list_is_a_vector::<Checkpoint>(bound);
        list_is_a_vector::<Validator>(bound);
    }
}

/// Every length around the edges of bundles and subtrees, since sequences meet few of them.
fn lengths_around_edges<T: Item>() {
    let mut rng = Rng::named("edges");
    for bound in [LIMIT, Bound::Progressive] {
        let mut list = PersistentList::<T>::empty(bound == Bound::Progressive);
        let mut model: Vec<T> = Vec::new();
        let per_chunk = 32usize.checked_div(T::BASIC_LEN).unwrap_or(1);
        // Subtrees end behind 1, 5, 21, 85 and 341 chunks, bundles behind multiples of 16 and 32.
        let edges = [0, 1, 4, 5, 16, 21, 32, 37, 48, 64, 85, 96, 128, 341];
        while model.len() <= 342 * per_chunk {
            let near = edges.iter().any(|edge| (edge * per_chunk).abs_diff(model.len()) <= 1);
            if near {
                assert_eq!(
                    list.root(FORK, &[bound]),
                    model.root(FORK, &[bound]),
                    "{} items, {bound:?}",
                    model.len()
                );
                let built = PersistentList::from_items(model.iter().cloned(), bound);
                check(&built, &model, bound, &mut rng);
            }
            let item = T::random(&mut rng);
            list.push(item.clone());
            model.push(item);
        }
    }
}

#[test]
fn lists_are_right_at_every_edge() {
    lengths_around_edges::<u64>();
    lengths_around_edges::<Bytes<32>>();
    lengths_around_edges::<Validator>();
}

#[test]
fn a_list_of_another_layout_has_the_root_of_its_bound() {
    let mut rng = Rng::named("layout");
    for len in [0, 1, 5, 17, 128, 700] {
        let model: Vec<u64> = (0..len).map(|_| rng.next()).collect();
        let list = PersistentList::from_vec(model.clone());
        for bound in [LIMIT, Bound::Progressive] {
            for list in [&list, &list.to_progressive()] {
                assert_eq!(list.root(FORK, &[bound]), model.root(FORK, &[bound]), "{len} items");
            }
        }
        let rebuilt = list.to_progressive().rebuilt(model.iter().map(|item| item / 2));
        let halves: Vec<u64> = model.iter().map(|item| item / 2).collect();
        check(&rebuilt, &halves, Bound::Progressive, &mut rng);
    }
}

fn vector_is_a_vector<T: Item>(len: usize) {
    let mut rng = Rng::named("vector");
    let shape = &[Bound::Fixed(len as u64)];
    let mut model: Vec<T> = (0..len).map(|_| T::random(&mut rng)).collect();
    let mut vector = PersistentVector::from_vec(model.clone());
    for _ in 0..rounds(SEQUENCES) {
        let (before, before_model) = (vector.clone(), model.clone());
        let index = rng.below(len);
        let item = T::random(&mut rng);
        *vector.get_mut(index).expect("the index is inside") = item.clone();
        model[index] = item;
        let second = rng.below(len);
        let item = T::random(&mut rng);
        vector.update(|index, _| (index == second).then(|| item.clone()));
        model[second] = item;
        for (vector, model) in [(&vector, &model), (&before, &before_model)] {
            let plain = Vector::from(model.clone());
            assert_eq!(vector.root(FORK, shape), plain.root(FORK, shape), "{len} items");
            assert!(encode(vector, shape) == encode(&plain, shape), "{len} items");
            let start = rng.below(len + 2);
            assert!(vector.iter_from(start).eq(model.get(start..).unwrap_or_default()));
        }
    }
}

#[test]
fn vectors_are_vectors() {
    for len in [1, 3, 16, 17, 64, 100] {
        vector_is_a_vector::<Bytes<32>>(len);
        vector_is_a_vector::<u64>(len);
    }
}
