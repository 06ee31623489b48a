//! A persistent binary tree over bundles of items, with cached hashes.
//!
//! A clone shares everything; a write copies the way from the root to one bundle. A bundle holds 16 items, or 32 chunks
//! of packed integers: large enough that nodes and hashes add little memory (one cached hash a bundle and a layer above),
//! small enough that one changed item costs microseconds. The tree grows in height as items are pushed; the zero part of
//! the spec's full tree is hashed on top, never built.
//!
//! The cache is a cell that is written once; a write to the items drops the node with its cell. Hashing therefore works
//! on `&self`, from any thread.

mod filled;

use super::list::pack_basic;
use super::proof::{Place, locate};
use super::{Bound, Ssz, merkle};
use crate::fork::Fork;
use crypto::hash::{Hash256, hash2, zero_hash};
use std::sync::{Arc, OnceLock};

/// Depth of the chunk tree in one bundle of composite items.
const ITEM_BUNDLE_DEPTH: u32 = 4;
/// Depth of the chunk tree in one bundle of packed integers.
const PACKED_BUNDLE_DEPTH: u32 = 5;
/// Most chunks that any bundle has.
const BUNDLE_CHUNKS_MAX: usize = 1 << PACKED_BUNDLE_DEPTH;
/// Most composite items that a bundle has.
const BUNDLE_ITEMS_MAX: usize = 1 << ITEM_BUNDLE_DEPTH;

/// The usual depth of the chunk tree in a bundle of `T`.
pub(super) fn bundle_depth<T: Ssz>() -> u32 {
    if T::BASIC_LEN == 0 {
        ITEM_BUNDLE_DEPTH
    } else {
        PACKED_BUNDLE_DEPTH
    }
}

/// How many items share a chunk.
pub(super) fn items_per_chunk<T: Ssz>() -> usize {
    32usize.checked_div(T::BASIC_LEN).unwrap_or(1)
}

/// The bundles and the layers above them.
#[derive(Debug)]
enum Node<T> {
    Empty,
    Bundle(Arc<Bundle<T>>),
    Inner(Arc<Inner<T>>),
}

#[derive(Clone, Debug)]
struct Bundle<T> {
    root: OnceLock<Hash256>,
    items: Vec<T>,
}

#[derive(Clone, Debug)]
struct Inner<T> {
    root: OnceLock<Hash256>,
    left: Node<T>,
    right: Node<T>,
}

impl<T> Clone for Node<T> {
    fn clone(&self) -> Self {
        match self {
            Node::Empty => Node::Empty,
            Node::Bundle(bundle) => Node::Bundle(Arc::clone(bundle)),
            Node::Inner(inner) => Node::Inner(Arc::clone(inner)),
        }
    }
}

/// A sequence of items in one binary tree.
#[derive(Clone, Debug)]
pub(super) struct Tree<T> {
    node: Node<T>,
    /// Layers of inner nodes above the bundles.
    height: u32,
    /// Depth of the chunk tree in a bundle; below the usual one only where the whole tree is smaller than a bundle.
    bundle_depth: u32,
    len: usize,
}

impl<T: Ssz> Tree<T> {
    /// No items; bundles of `2^bundle_depth` chunks.
    pub(super) fn empty(bundle_depth: u32) -> Self {
        Tree {
            node: Node::Empty,
            height: 0,
            bundle_depth,
            len: 0,
        }
    }

    /// log2 of the items in a bundle.
    fn bundle_shift(&self) -> u32 {
        self.bundle_depth + items_per_chunk::<T>().trailing_zeros()
    }

    pub(super) fn get(&self, index: usize) -> Option<&T> {
        if index >= self.len {
            return None;
        }
        let shift = self.bundle_shift();
        let mut node = &self.node;
        let mut level = self.height;
        loop {
            match node {
                Node::Inner(inner) => {
                    level -= 1;
                    node = if index >> (shift + level) & 1 == 1 {
                        &inner.right
                    } else {
                        &inner.left
                    };
                }
                Node::Bundle(bundle) => return bundle.items.get(index & ((1 << shift) - 1)),
                Node::Empty => return None,
            }
        }
    }

    /// The item at `index` for writing: copies what other trees share on the way to it and drops the cached hashes.
    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        if index >= self.len {
            return None;
        }
        let shift = self.bundle_shift();
        let mut node = &mut self.node;
        let mut level = self.height;
        loop {
            match node {
                Node::Inner(inner) => {
                    level -= 1;
                    let inner = Arc::make_mut(inner);
                    inner.root.take();
                    node = if index >> (shift + level) & 1 == 1 {
                        &mut inner.right
                    } else {
                        &mut inner.left
                    };
                }
                Node::Bundle(bundle) => {
                    let bundle = Arc::make_mut(bundle);
                    bundle.root.take();
                    return bundle.items.get_mut(index & ((1 << shift) - 1));
                }
                Node::Empty => return None,
            }
        }
    }

    /// Appends an item. The tree has no limit of its own.
    pub(super) fn push(&mut self, item: T) {
        let shift = self.bundle_shift();
        if self.len == 1 << (shift + self.height) {
            let left = std::mem::replace(&mut self.node, Node::Empty);
            self.node = Node::Inner(Arc::new(Inner {
                root: OnceLock::new(),
                left,
                right: Node::Empty,
            }));
            self.height += 1;
        }
        let mut node = &mut self.node;
        for level in (0..self.height).rev() {
            if matches!(node, Node::Empty) {
                let inner = Inner {
                    root: OnceLock::new(),
                    left: Node::Empty,
                    right: Node::Empty,
                };
                *node = Node::Inner(Arc::new(inner));
            }
            let Node::Inner(inner) = node else {
                unreachable!("bundles lie below all inner layers")
            };
            let inner = Arc::make_mut(inner);
            inner.root.take();
            node = if self.len >> (shift + level) & 1 == 1 {
                &mut inner.right
            } else {
                &mut inner.left
            };
        }
        if matches!(node, Node::Empty) {
            *node = Node::Bundle(Arc::new(Bundle {
                root: OnceLock::new(),
                items: Vec::new(),
            }));
        }
        let Node::Bundle(bundle) = node else {
            unreachable!("bundles lie below all inner layers")
        };
        let bundle = Arc::make_mut(bundle);
        bundle.root.take();
        bundle.items.push(item);
        self.len += 1;
    }

    /// Replaces the items for which `f(index, item)` gives another; bundles without one stay shared and hashed.
    pub(super) fn update(&mut self, first: usize, f: &mut impl FnMut(usize, &T) -> Option<T>) {
        let shift = self.bundle_shift();
        update_node(&mut self.node, first, shift + self.height, f);
    }

    /// The same for the items at `indices` only, which ascend and begin, like `first`, to count outside of this tree.
    pub(super) fn update_sorted(&mut self, first: usize, indices: &[u64], f: &mut impl FnMut(usize, &T) -> Option<T>) {
        let shift = self.bundle_shift();
        update_node_sorted(&mut self.node, first, shift + self.height, indices, f);
    }

    /// How many items there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The items of each bundle, from the one that holds item `start` on; its items before `start` are left out.
    pub(super) fn slices_from(&self, start: usize) -> Slices<'_, T> {
        let mut stack = Vec::with_capacity(self.height as usize + 1);
        let mut skip = start;
        if start < self.len {
            let shift = self.bundle_shift();
            let mut node = &self.node;
            for level in (0..self.height).rev() {
                let Node::Inner(inner) = node else { break };
                if start >> (shift + level) & 1 == 1 {
                    node = &inner.right;
                } else {
                    stack.push(&inner.right);
                    node = &inner.left;
                }
            }
            stack.push(node);
            skip &= (1 << shift) - 1;
        }
        Slices { stack, skip }
    }

    /// The root in a tree of `depth` chunk layers.
    pub(super) fn root(&self, fork: Fork, shape: &[Bound], depth: u32) -> Hash256 {
        if depth < self.bundle_depth {
            return merkle::merkleize(&mut self.first_chunks(fork, shape), depth);
        }
        let root = node_root(&self.node, self.height, self.bundle_depth, fork, shape);
        merkle::pad(root, self.bundle_depth + self.height, depth)
    }

    /// The chunks of the only bundle of a tree that is smaller than a bundle.
    fn first_chunks(&self, fork: Fork, shape: &[Bound]) -> Vec<Hash256> {
        self.slices_from(0)
            .next()
            .map(|items| bundle_chunks(items, fork, shape))
            .unwrap_or_default()
    }

    /// The node at `gindex` of the chunk tree of `depth`.
    pub(super) fn node(&self, fork: Fork, shape: &[Bound], depth: u32, gindex: u64) -> Option<Hash256> {
        match locate(gindex, depth)? {
            Place::Inside { height, index } => Some(self.node_inside(fork, shape, height, index, depth)),
            Place::Leaf { index, rest: 1 } => Some(self.node_inside(fork, shape, 0, index, depth)),
            Place::Leaf { .. } if T::BASIC_LEN > 0 => None,
            Place::Leaf { index, rest } => self.get(index as usize)?.node(fork, shape, rest),
        }
    }

    /// The node `index` of the layer `height` above the chunks.
    fn node_inside(&self, fork: Fork, shape: &[Bound], height: u32, index: u64, depth: u32) -> Hash256 {
        let top = self.bundle_depth + self.height;
        if height >= top && depth >= self.bundle_depth {
            return if index == 0 {
                self.root(fork, shape, height)
            } else {
                *zero_hash(height as usize)
            };
        }
        if index << height >= 1 << top {
            return *zero_hash(height as usize);
        }
        let first_item = (index << height) as usize * items_per_chunk::<T>();
        if height < self.bundle_depth {
            let bundle_start = first_item >> self.bundle_shift() << self.bundle_shift();
            let items = self.slices_from(bundle_start).next().unwrap_or_default();
            let chunks = bundle_chunks(items, fork, shape);
            let start = ((index << height) as usize & ((1 << self.bundle_depth) - 1)).min(chunks.len());
            let end = chunks.len().min(start + (1 << height));
            return merkle::merkleize(&mut chunks[start..end].to_vec(), height);
        }
        let mut node = &self.node;
        let level = height - self.bundle_depth;
        for step in (level..self.height).rev() {
            let Node::Inner(inner) = node else { break };
            node = if index >> (step - level) & 1 == 1 {
                &inner.right
            } else {
                &inner.left
            };
        }
        node_root(node, level, self.bundle_depth, fork, shape)
    }

    /// Whether both hold equal items; parts that are shared are not compared.
    pub(super) fn same_items(&self, other: &Self) -> bool {
        self.len == other.len
            && (if self.height == other.height && self.bundle_depth == other.bundle_depth {
                same_node(&self.node, &other.node)
            } else {
                self.slices_from(0).flatten().eq(other.slices_from(0).flatten())
            })
    }
}

fn same_node<T: PartialEq>(left: &Node<T>, right: &Node<T>) -> bool {
    match (left, right) {
        (Node::Empty, Node::Empty) => true,
        (Node::Bundle(left), Node::Bundle(right)) => Arc::ptr_eq(left, right) || left.items == right.items,
        (Node::Inner(left), Node::Inner(right)) => {
            Arc::ptr_eq(left, right) || (same_node(&left.left, &right.left) && same_node(&left.right, &right.right))
        }
        _ => false,
    }
}

/// The hash of a node `level` layers above the bundles, from its cell or computed into it.
fn node_root<T: Ssz>(node: &Node<T>, level: u32, bundle_depth: u32, fork: Fork, shape: &[Bound]) -> Hash256 {
    match node {
        Node::Empty => *zero_hash((level + bundle_depth) as usize),
        Node::Bundle(bundle) => *bundle
            .root
            .get_or_init(|| bundle_root(&bundle.items, bundle_depth, fork, shape)),
        Node::Inner(inner) => *inner.root.get_or_init(|| {
            let left = node_root(&inner.left, level - 1, bundle_depth, fork, shape);
            let right = node_root(&inner.right, level - 1, bundle_depth, fork, shape);
            hash2(&left, &right)
        }),
    }
}

/// The root of a bundle, worked out on the stack.
fn bundle_root<T: Ssz>(items: &[T], bundle_depth: u32, fork: Fork, shape: &[Bound]) -> Hash256 {
    let mut chunks = [[0; 32]; BUNDLE_CHUNKS_MAX];
    let count = items.len().div_ceil(items_per_chunk::<T>());
    write_chunks(items, fork, shape, &mut chunks[..count]);
    merkle::merkleize(&mut chunks[..count], bundle_depth)
}

/// The chunks of a bundle.
fn bundle_chunks<T: Ssz>(items: &[T], fork: Fork, shape: &[Bound]) -> Vec<Hash256> {
    let mut chunks = vec![[0; 32]; items.len().div_ceil(items_per_chunk::<T>())];
    write_chunks(items, fork, shape, &mut chunks);
    chunks
}

fn write_chunks<T: Ssz>(items: &[T], fork: Fork, shape: &[Bound], chunks: &mut [Hash256]) {
    let Some(first) = items.first() else { return };
    if T::BASIC_LEN > 0 {
        return pack_basic(items, chunks);
    }
    let mut refs = [first; BUNDLE_ITEMS_MAX];
    for (slot, item) in refs.iter_mut().zip(items) {
        *slot = item;
    }
    T::write_roots(&refs[..items.len()], fork, shape, chunks, 1);
}

/// See `Tree::update`; `shift` is log2 of the items below `node`. Tells whether anything changed.
fn update_node<T: Ssz>(
    node: &mut Node<T>,
    first: usize,
    shift: u32,
    f: &mut impl FnMut(usize, &T) -> Option<T>,
) -> bool {
    match node {
        Node::Empty => false,
        Node::Bundle(bundle) => {
            let mut changed = false;
            for index in 0..bundle.items.len() {
                if let Some(item) = f(first + index, &bundle.items[index]) {
                    Arc::make_mut(bundle).items[index] = item;
                    changed = true;
                }
            }
            if changed {
                Arc::make_mut(bundle).root.take();
            }
            changed
        }
        Node::Inner(shared) => {
            let middle = first + (1 << (shift - 1));
            update_children(shared, |child, is_right| {
                update_node(child, if is_right { middle } else { first }, shift - 1, f)
            })
        }
    }
}

/// See `Tree::update_sorted`. Tells whether anything changed.
fn update_node_sorted<T: Ssz>(
    node: &mut Node<T>,
    first: usize,
    shift: u32,
    indices: &[u64],
    f: &mut impl FnMut(usize, &T) -> Option<T>,
) -> bool {
    if indices.is_empty() {
        return false;
    }
    match node {
        Node::Empty => false,
        Node::Bundle(bundle) => {
            let mut changed = false;
            for index in indices.iter().map(|index| *index as usize) {
                let replacement = bundle.items.get(index - first).and_then(|item| f(index, item));
                if let Some(item) = replacement {
                    Arc::make_mut(bundle).items[index - first] = item;
                    changed = true;
                }
            }
            if changed {
                Arc::make_mut(bundle).root.take();
            }
            changed
        }
        Node::Inner(shared) => {
            let middle = first + (1 << (shift - 1));
            let (left, right) = indices.split_at(indices.partition_point(|index| (*index as usize) < middle));
            update_children(shared, |child, is_right| {
                let (first, indices) = if is_right { (middle, right) } else { (first, left) };
                update_node_sorted(child, first, shift - 1, indices, f)
            })
        }
    }
}

/// Lets `update(child, is_right)` change both children and tells whether it did. A node that others hold too is copied
/// only if it did.
fn update_children<T: Ssz>(shared: &mut Arc<Inner<T>>, mut update: impl FnMut(&mut Node<T>, bool) -> bool) -> bool {
    if let Some(inner) = Arc::get_mut(shared) {
        let left_changed = update(&mut inner.left, false);
        let changed = update(&mut inner.right, true) || left_changed;
        if changed {
            inner.root.take();
        }
        return changed;
    }
    let (mut left, mut right) = (shared.left.clone(), shared.right.clone());
    let left_changed = update(&mut left, false);
    let changed = update(&mut right, true) || left_changed;
    if changed {
        *shared = Arc::new(Inner {
            root: OnceLock::new(),
            left,
            right,
        });
    }
    changed
}

/// The items of a tree, bundle by bundle.
#[derive(Debug)]
pub(super) struct Slices<'a, T> {
    stack: Vec<&'a Node<T>>,
    skip: usize,
}

impl<T> Clone for Slices<'_, T> {
    fn clone(&self) -> Self {
        Slices {
            stack: self.stack.clone(),
            skip: self.skip,
        }
    }
}

impl<'a, T> Iterator for Slices<'a, T> {
    type Item = &'a [T];

    fn next(&mut self) -> Option<&'a [T]> {
        loop {
            match self.stack.pop()? {
                Node::Empty => {}
                Node::Inner(inner) => {
                    self.stack.push(&inner.right);
                    self.stack.push(&inner.left);
                }
                Node::Bundle(bundle) => {
                    let skip = std::mem::take(&mut self.skip).min(bundle.items.len());
                    return Some(&bundle.items[skip..]);
                }
            }
        }
    }
}

/// Builds a tree from its items in order, bundle by bundle, without ever writing to a node twice.
pub(super) struct TreeBuilder<T> {
    bundles: Vec<Node<T>>,
    current: Vec<T>,
    bundle_items: usize,
    bundle_depth: u32,
    len: usize,
}

impl<T: Ssz> TreeBuilder<T> {
    /// A builder for bundles of `2^bundle_depth` chunks.
    pub(super) fn new(bundle_depth: u32) -> Self {
        let bundle_items = items_per_chunk::<T>() << bundle_depth;
        TreeBuilder {
            bundles: Vec::new(),
            current: Vec::new(),
            bundle_items,
            bundle_depth,
            len: 0,
        }
    }

    pub(super) fn push(&mut self, item: T) {
        if self.current.is_empty() {
            self.current.reserve_exact(self.bundle_items);
        }
        self.current.push(item);
        self.len += 1;
        if self.current.len() == self.bundle_items {
            self.close_bundle();
        }
    }

    fn close_bundle(&mut self) {
        let mut items = std::mem::take(&mut self.current);
        items.shrink_to_fit();
        self.bundles.push(Node::Bundle(Arc::new(Bundle {
            root: OnceLock::new(),
            items,
        })));
    }

    pub(super) fn finish(mut self) -> Tree<T> {
        if !self.current.is_empty() {
            self.close_bundle();
        }
        let mut layer = self.bundles;
        let mut height = 0;
        while layer.len() > 1 {
            let mut nodes = layer.into_iter();
            let mut above = Vec::with_capacity(nodes.len().div_ceil(2));
            while let Some(left) = nodes.next() {
                let right = nodes.next().unwrap_or(Node::Empty);
                above.push(Node::Inner(Arc::new(Inner {
                    root: OnceLock::new(),
                    left,
                    right,
                })));
            }
            layer = above;
            height += 1;
        }
        let node = layer.pop().unwrap_or(Node::Empty);
        Tree {
            node,
            height,
            bundle_depth: self.bundle_depth,
            len: self.len,
        }
    }
}
