//! Containers: one declaration for all forks gives the struct, its encoding, its tree and its JSON form.
//!
//! See docs/architecture.md §3 for the notation. A field may carry bounds (`[128 ..Electra, 8 Electra..]`), each a
//! literal or the name of a `u64` constant, `/` separating the bounds of the items from the list's own; and a range of
//! forks in which it is on the wire (`=> Altair..Gloas`). Outside of its range a field holds its default and is neither
//! written, read nor hashed. `progressive Gloas..;` before the struct makes it a progressive container from that fork on,
//! `batched;` hashes items of lists together, `streamed;` reads it field by field from a reader.

use super::items::{OFFSET_LEN, check_len};
use super::json::{json_member, json_object};
use super::proof::{PathStep, concat_generalized_indices, leaf_gindex, mixed_node, progressive_gindex};
use super::proof::{progressive_node, tree_node};
use super::{Bound, Json, JsonError, Out, Ssz, SszError, merkle};
use crate::fork::Fork;
use crypto::hash::{Hash256, hash2};
use std::ops::Range;
use std::sync::OnceLock;

/// The value of a field with its type forgotten. What every container does alike with its fields is written once
/// against this, below, and not generated for each: it keeps the crate quick to compile.
pub trait Field {
    /// See `Ssz::encoded_len`.
    fn encoded_len(&self, fork: Fork, shape: &[Bound]) -> usize;
    /// See `Ssz::encode_to`.
    fn encode_to(&self, fork: Fork, shape: &[Bound], out: &mut Out);
    /// See `Ssz::root`.
    fn root(&self, fork: Fork, shape: &[Bound]) -> Hash256;
    /// See `Ssz::node`.
    fn node(&self, fork: Fork, shape: &[Bound], gindex: u64) -> Option<Hash256>;
    /// See `Json::write_json`.
    fn write_json(&self, fork: Fork, shape: &[Bound], out: &mut Out);
}

impl<T: Ssz + Json> Field for T {
    fn encoded_len(&self, fork: Fork, shape: &[Bound]) -> usize {
        Ssz::encoded_len(self, fork, shape)
    }

    fn encode_to(&self, fork: Fork, shape: &[Bound], out: &mut Out) {
        Ssz::encode_to(self, fork, shape, out);
    }

    fn root(&self, fork: Fork, shape: &[Bound]) -> Hash256 {
        Ssz::root(self, fork, shape).0
    }

    fn node(&self, fork: Fork, shape: &[Bound], gindex: u64) -> Option<Hash256> {
        Ssz::node(self, fork, shape, gindex)
    }

    fn write_json(&self, fork: Fork, shape: &[Bound], out: &mut Out) {
        Json::write_json(self, fork, shape, out);
    }
}

/// What the declaration says of a field.
pub struct FieldMeta {
    /// The spec's name.
    pub name: &'static str,
    /// The first fork that has it.
    pub from: Fork,
    /// The first fork that has it no more.
    pub end: Option<Fork>,
    /// Its bounds at a fork.
    pub shape: fn(Fork) -> &'static [Bound],
    /// See `Ssz::fixed_len`.
    pub fixed_len: fn(Fork, &[Bound]) -> Option<usize>,
    /// See `SszPath::gindex`.
    pub gindex: fn(Fork, &[Bound], &[PathStep]) -> Option<u64>,
}

/// A field as it is at one fork.
pub struct Slot {
    name: &'static str,
    /// Whether it is on the wire.
    pub active: bool,
    /// Its bounds.
    pub shape: &'static [Bound],
    fixed_len: Option<usize>,
    /// Where its fixed part or its offset begins.
    at: usize,
    /// Its position in the tree, if it has one.
    position: Option<usize>,
}

/// A container as it is at one fork.
pub struct Layout {
    fork: Fork,
    /// Its fields in declaration order, those that are not on the wire included.
    pub slots: Vec<Slot>,
    /// The encoded size, if it is always the same.
    pub fixed_len: Option<usize>,
    /// Size of the fixed part, offsets included.
    pub head_len: usize,
    /// Whether the container is progressive.
    pub progressive: bool,
    positions: usize,
}

/// The layouts of a container at each fork, worked out at first use.
pub struct Layouts {
    fields: &'static [FieldMeta],
    since: Option<Fork>,
    cells: [OnceLock<Layout>; Fork::ALL.len()],
}

impl Layouts {
    /// For a container that is progressive from `since` on.
    pub const fn new(fields: &'static [FieldMeta], since: Option<Fork>) -> Self {
        Layouts {
            fields,
            since,
            cells: [const { OnceLock::new() }; Fork::ALL.len()],
        }
    }

    /// The layout at a fork.
    #[inline]
    pub fn at(&self, fork: Fork) -> &Layout {
        self.cells[fork as usize].get_or_init(|| Layout::of(self.fields, self.since, fork))
    }

    /// The generalized index of `path`, see `SszPath`.
    pub fn gindex(&self, fork: Fork, path: &[PathStep]) -> Option<u64> {
        let (name, rest) = match path {
            [] => return Some(1),
            [PathStep::Field(name), rest @ ..] => (*name, rest),
            _ => return None,
        };
        let layout = self.at(fork);
        let index = layout.slots.iter().position(|slot| slot.active && slot.name == name)?;
        let slot = &layout.slots[index];
        let position = slot.position? as u64;
        let leaf = if layout.progressive {
            concat_generalized_indices(2, progressive_gindex(position)?)?
        } else {
            leaf_gindex(position, merkle::depth_of(layout.positions as u64))?
        };
        concat_generalized_indices(leaf, (self.fields[index].gindex)(fork, slot.shape, rest)?)
    }
}

impl Layout {
    fn of(fields: &[FieldMeta], since: Option<Fork>, fork: Fork) -> Layout {
        let progressive = since.is_some_and(|since| fork >= since);
        let mut layout = Layout {
            fork,
            slots: Vec::new(),
            fixed_len: Some(0),
            head_len: 0,
            progressive,
            positions: 0,
        };
        for field in fields {
            let active = field.from <= fork && field.end.is_none_or(|end| fork < end);
            let shape = if active { (field.shape)(fork) } else { &[] };
            let fixed_len = if active {
                (field.fixed_len)(fork, shape)
            } else {
                Some(0)
            };
            // In a progressive container a field that a later fork removed keeps its position, with a zero in it.
            let kept = since.is_some_and(|since| field.from <= fork && field.end.is_none_or(|end| end > since));
            let position = (active || progressive && kept).then_some(layout.positions);
            layout.positions += usize::from(position.is_some());
            layout.slots.push(Slot {
                name: field.name,
                active,
                shape,
                fixed_len,
                at: layout.head_len,
                position,
            });
            layout.head_len += fixed_len.unwrap_or(OFFSET_LEN);
            layout.fixed_len = layout.fixed_len.zip(fixed_len).map(|(sum, len)| sum + len);
        }
        layout.drop_last_gaps();
        layout
    }

    /// `active_fields` may not end in 0: positions at the end without an active field are none.
    fn drop_last_gaps(&mut self) {
        let last = self
            .slots
            .iter()
            .filter(|slot| slot.active)
            .filter_map(|slot| slot.position)
            .max();
        self.positions = last.map_or(0, |last| last + 1);
        for slot in &mut self.slots {
            slot.position = slot.position.filter(|position| *position < self.positions);
        }
    }

    /// The active fields with their values.
    fn active<'a>(&'a self, values: &'a [&'a dyn Field]) -> impl Iterator<Item = (&'a Slot, &'a dyn Field)> {
        self.slots
            .iter()
            .zip(values)
            .filter(|(slot, _)| slot.active)
            .map(|(slot, value)| (slot, *value))
    }

    /// See `Ssz::encoded_len`.
    pub fn encoded_len(&self, values: &[&dyn Field]) -> usize {
        if let Some(len) = self.fixed_len {
            return len;
        }
        let variable = self.active(values).filter(|(slot, _)| slot.fixed_len.is_none());
        self.head_len
            + variable
                .map(|(slot, value)| value.encoded_len(self.fork, slot.shape))
                .sum::<usize>()
    }

    /// See `Ssz::encode_to`.
    pub fn encode_to(&self, values: &[&dyn Field], out: &mut Out) {
        let mut offset = self.head_len;
        for (slot, value) in self.active(values) {
            if slot.fixed_len.is_some() {
                value.encode_to(self.fork, slot.shape, out);
            } else {
                out.put_offset(offset);
                offset += value.encoded_len(self.fork, slot.shape);
            }
        }
        for (slot, value) in self.active(values).filter(|(slot, _)| slot.fixed_len.is_none()) {
            value.encode_to(self.fork, slot.shape, out);
        }
    }

    /// The bytes of each field in an encoding of `total` bytes that begins with `head` (at least the fixed part).
    #[inline]
    pub fn parts(&self, head: &[u8], total: usize) -> Result<Parts<'_>, SszError> {
        if self.fixed_len.is_some() {
            check_len(total, self.head_len)?;
            return Ok(Parts {
                layout: self,
                ends: Vec::new(),
                next: 0,
            });
        }
        self.variable_parts(head, total)
    }

    /// Reads and checks the offsets.
    fn variable_parts(&self, head: &[u8], total: usize) -> Result<Parts<'_>, SszError> {
        if total < self.head_len || head.len() < self.head_len {
            let detail = format!("{total} bytes are less than the fixed part of {}", self.head_len);
            return Err(SszError::new(SszError::LENGTH, detail));
        }
        let mut offsets: Vec<usize> = Vec::new();
        for slot in self.slots.iter().filter(|slot| slot.fixed_len.is_none()) {
            let bytes = &head[slot.at..slot.at + OFFSET_LEN];
            let offset = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
            let floor = offsets.last().copied().unwrap_or(self.head_len);
            if offset < floor || offset > total || offsets.is_empty() && offset != floor {
                let detail = format!("offset {offset}, the part before ends at {floor}, all at {total}");
                return Err(SszError::new(SszError::OFFSET, detail).within(slot.name));
            }
            offsets.push(offset);
        }
        offsets.push(total);
        Ok(Parts {
            layout: self,
            ends: offsets,
            next: 0,
        })
    }

    /// The roots at the positions of the tree; zero where a removed field was.
    fn roots(&self, values: &[&dyn Field]) -> Vec<Hash256> {
        let mut roots = vec![[0; 32]; self.positions];
        for (slot, value) in self.active(values) {
            if let Some(position) = slot.position {
                roots[position] = value.root(self.fork, slot.shape);
            }
        }
        roots
    }

    /// The chunk of `active_fields`: a bit for each position.
    fn active_fields(&self) -> Hash256 {
        let mut chunk = [0; 32];
        for position in self
            .slots
            .iter()
            .filter(|slot| slot.active)
            .filter_map(|slot| slot.position)
        {
            chunk[position / 8] |= 1 << (position % 8);
        }
        chunk
    }

    /// See `Ssz::root`. Spec: ssz/simple-serialize.md (EIP-7495 for progressive containers).
    pub fn root(&self, values: &[&dyn Field]) -> Hash256 {
        let mut roots = self.roots(values);
        if self.progressive {
            hash2(&merkle::merkleize_progressive(&mut roots), &self.active_fields())
        } else {
            merkle::merkleize(&mut roots, merkle::depth_of(self.positions as u64))
        }
    }

    /// See `Ssz::node`.
    pub fn node(&self, values: &[&dyn Field], gindex: u64) -> Option<Hash256> {
        let roots = self.roots(values);
        let below = |position, rest| {
            let (slot, value) = self.active(values).find(|(slot, _)| slot.position == Some(position))?;
            value.node(self.fork, slot.shape, rest)
        };
        if !self.progressive {
            return tree_node(&roots, merkle::depth_of(self.positions as u64), gindex, below);
        }
        mixed_node(&self.active_fields(), gindex, |data| {
            progressive_node(&roots, data, below)
        })
    }

    /// See `Json::write_json`.
    pub fn write_json(&self, values: &[&dyn Field], out: &mut Out) {
        out.put(b"{");
        for (index, (slot, value)) in self.active(values).enumerate() {
            out.put(if index == 0 { b"\"" } else { b",\"" });
            out.put(slot.name.as_bytes());
            out.put(b"\":");
            value.write_json(self.fork, slot.shape, out);
        }
        out.put(b"}");
    }
}

/// The bytes of each field of an encoded container, in declaration order.
pub struct Parts<'a> {
    layout: &'a Layout,
    ends: Vec<usize>,
    next: usize,
}

impl Parts<'_> {
    /// The place of field `index`. Fields of varying size are asked for once each and in order.
    #[inline]
    pub fn range(&mut self, index: usize) -> Range<usize> {
        let slot = &self.layout.slots[index];
        if let Some(len) = slot.fixed_len {
            return slot.at..slot.at + len;
        }
        self.next += 1;
        self.ends[self.next - 1]..self.ends[self.next]
    }
}

/// Reads the field of a JSON object that is on the wire at this fork.
pub fn field_from_json<T: Json>(
    value: &serde_json::Value,
    slot: &Slot,
    owner: &str,
    fork: Fork,
) -> Result<T, JsonError> {
    let member = json_member(json_object(value)?, slot.name, owner)?;
    T::from_json(member, fork, slot.shape).map_err(|error| error.within(slot.name))
}

/// Decodes one field; the error names it.
#[inline]
pub fn field_from_bytes<T: Ssz>(bytes: &[u8], slot: &Slot, fork: Fork) -> Result<T, SszError> {
    match T::decode_from(bytes, fork, slot.shape) {
        Ok(value) => Ok(value),
        Err(error) => Err(error.within(slot.name)),
    }
}

/// Decodes one field: from the head if it has a fixed size, else from the reader, which stands at its beginning.
pub fn field_from_reader<T: Ssz>(
    reader: &mut dyn std::io::Read,
    head: &[u8],
    part: Range<usize>,
    slot: &Slot,
    fork: Fork,
) -> Result<T, SszError> {
    let value = match slot.fixed_len {
        Some(_) => T::decode_from(&head[part], fork, slot.shape),
        None => T::decode_read(reader, part.len(), fork, slot.shape),
    };
    value.map_err(|error| error.within(slot.name))
}

/// How many values `write_roots` hashes at once: enough pairs in each layer, little enough to stay in the cache.
pub const AT_ONCE: usize = 16;

/// The first fork of a range.
#[doc(hidden)]
#[macro_export]
macro_rules! field_start {
    () => {
        $crate::Fork::Phase0
    };
    ($from:ident) => {
        $crate::Fork::$from
    };
}

/// The fork at which a range has ended.
#[doc(hidden)]
#[macro_export]
macro_rules! field_end {
    () => {
        None
    };
    ($to:ident) => {
        Some($crate::Fork::$to)
    };
}

/// Whether a fork lies in `A..B`, `A..`, `..B` or `..`.
#[doc(hidden)]
#[macro_export]
macro_rules! in_range {
    ($fork:expr, ..) => {
        true
    };
    ($fork:expr, $from:ident ..) => {
        $fork >= $crate::Fork::$from
    };
    ($fork:expr, .. $to:ident) => {
        $fork < $crate::Fork::$to
    };
    ($fork:expr, $from:ident .. $to:ident) => {
        $fork >= $crate::Fork::$from && $fork < $crate::Fork::$to
    };
}

/// One bound.
#[doc(hidden)]
#[macro_export]
macro_rules! bound {
    (progressive) => {
        $crate::ssz::Bound::Progressive
    };
    ($limit:tt) => {
        $crate::ssz::Bound::Fixed($limit as u64)
    };
}

/// A function from a fork to the shape of a field.
#[doc(hidden)]
#[macro_export]
macro_rules! bounds {
    () => { |_| &[] };
    ($( $first:tt $(/ $rest:tt)* $( $($from:ident)? .. $($to:ident)? )? ),+ $(,)?) => {
        |fork| {
            $( if true $( && $crate::in_range!(fork, $($from)? .. $($to)?) )? {
                &[$crate::bound!($first) $(, $crate::bound!($rest))*]
            } else )+ {
                &[]
            }
        }
    };
}

/// `Ssz::write_roots` of containers that are declared `batched;`: those of which lists are long.
#[doc(hidden)]
#[macro_export]
macro_rules! write_roots {
    ([] $($field:ident: $type:ty,)*) => {};
    ([;] $($field:ident: $type:ty,)*) => {
        /// Hashes a batch field by field and layer by layer, so that the kernel gets many pairs at once.
        fn write_roots(items: &[&Self], fork: Fork, _: &[Bound], out: &mut [p::Hash256], stride: usize) {
            let layout = LAYOUTS.at(fork);
            if items.len() < 2 || layout.progressive {
                for (item, slot) in items.iter().zip(out.iter_mut().step_by(stride)) {
                    *slot = item.root(fork, &[]).0;
                }
                return;
            }
            let fields = layout.slots.iter().filter(|slot| slot.active).count();
            let width = fields.next_power_of_two();
            let mut chunks = vec![[0u8; 32]; p::AT_ONCE.min(items.len()) * width];
            for (batch, slots) in items.chunks(p::AT_ONCE).zip(out.chunks_mut(p::AT_ONCE * stride)) {
                if fields < width {
                    chunks.fill([0; 32]); // the columns behind the last field hold what was hashed before
                }
                let mut position = 0;
                $( {
                    let slot = &layout.slots[N::$field as usize];
                    if slot.active {
                        let mut refs = [&batch[0].$field; p::AT_ONCE];
                        for (place, item) in refs.iter_mut().zip(batch) {
                            *place = &item.$field;
                        }
                        let column = &mut chunks[position..];
                        <$type as Ssz>::write_roots(&refs[..batch.len()], fork, slot.shape, column, width);
                        position += 1;
                    }
                } )*
                let _ = position;
                p::hash_down(&mut chunks[..batch.len() * width], batch.len());
                for (root, slot) in chunks.iter().zip(slots.iter_mut().step_by(stride)).take(batch.len()) {
                    *slot = *root;
                }
            }
        }
    };
}

/// `Ssz::decode_read` of containers that are declared `streamed;`: those too large to be held as bytes beside.
#[doc(hidden)]
#[macro_export]
macro_rules! decode_read {
    ([] $name:ident $($field:ident: $type:ty,)*) => {};
    ([;] $name:ident $($field:ident: $type:ty,)*) => {
        fn decode_read(
            reader: &mut dyn std::io::Read,
            len: usize,
            fork: Fork,
            _: &[Bound],
        ) -> Result<Self, SszError> {
            let layout = LAYOUTS.at(fork);
            let head = p::read_exactly(reader, layout.head_len.min(len))?;
            let mut parts = layout.parts(&head, len)?;
            Ok($name { $( $field: {
                let slot = &layout.slots[N::$field as usize];
                if slot.active {
                    p::field_from_reader(reader, &head, parts.range(N::$field as usize), slot, fork)?
                } else {
                    Default::default()
                }
            }, )* })
        }
    };
}

/// Declares a container for all forks; see the module.
#[macro_export]
macro_rules! container {
    ($(
        $(#[$meta:meta])*
        $(progressive $since:ident .. ;)?
        $(batched $batched:tt)?
        $(streamed $streamed:tt)?
        pub struct $name:ident {
            $(
                $(#[$field_meta:meta])*
                $field:ident : $type:ty $([ $($bound:tt)* ])? $(=> $($from:ident)? .. $($to:ident)?)?
            ),* $(,)?
        }
    )*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Default)]
        #[allow(missing_docs)] // fields are the spec's; the struct says where
        pub struct $name {
            $( $(#[$field_meta])* pub $field: $type, )*
        }

        #[allow(non_camel_case_types, unused_variables, clippy::all, clippy::pedantic)] // code for any fields
        const _: () = {
            use $crate::Fork;
            use $crate::ssz::{__private as p, Bound, Json, JsonError, Out, Root, Ssz, SszError};

            /// The fields by number.
            #[derive(Clone, Copy)]
            enum N { $( $field, )* COUNT }

            static FIELDS: [p::FieldMeta; N::COUNT as usize] = [$( p::FieldMeta {
                name: stringify!($field),
                from: $crate::field_start!($($($from)?)?),
                end: $crate::field_end!($($($to)?)?),
                shape: $crate::bounds!($($($bound)*)?),
                fixed_len: <$type as Ssz>::fixed_len,
                gindex: <$type as p::SszPath>::gindex,
            }, )*];

            static LAYOUTS: p::Layouts = p::Layouts::new(&FIELDS, {
                let since: Option<Fork> = None;
                $( let since = { let _ = since; Some(Fork::$since) }; )?
                since
            });

            impl $name {
                fn values(&self) -> [&dyn p::Field; N::COUNT as usize] {
                    [$( &self.$field, )*]
                }
            }

            impl Ssz for $name {
                fn fixed_len(fork: Fork, _: &[Bound]) -> Option<usize> {
                    LAYOUTS.at(fork).fixed_len
                }

                fn encoded_len(&self, fork: Fork, _: &[Bound]) -> usize {
                    LAYOUTS.at(fork).encoded_len(&self.values())
                }

                fn encode_to(&self, fork: Fork, _: &[Bound], out: &mut Out) {
                    LAYOUTS.at(fork).encode_to(&self.values(), out);
                }

                fn decode_from(bytes: &[u8], fork: Fork, _: &[Bound]) -> Result<Self, SszError> {
                    let layout = LAYOUTS.at(fork);
                    let mut parts = layout.parts(bytes, bytes.len())?;
                    Ok($name { $( $field: {
                        let slot = &layout.slots[N::$field as usize];
                        if slot.active {
                            p::field_from_bytes(&bytes[parts.range(N::$field as usize)], slot, fork)?
                        } else {
                            Default::default()
                        }
                    }, )* })
                }

                fn root(&self, fork: Fork, _: &[Bound]) -> Root {
                    LAYOUTS.at(fork).root(&self.values()).into()
                }

                fn default_for(fork: Fork, _: &[Bound]) -> Self {
                    let layout = LAYOUTS.at(fork);
                    $name { $( $field: {
                        let slot = &layout.slots[N::$field as usize];
                        if slot.active { <$type as Ssz>::default_for(fork, slot.shape) } else { Default::default() }
                    }, )* }
                }

                fn node(&self, fork: Fork, _: &[Bound], gindex: u64) -> Option<p::Hash256> {
                    LAYOUTS.at(fork).node(&self.values(), gindex)
                }

                $crate::write_roots! { [$($batched)?] $($field: $type,)* }
                $crate::decode_read! { [$($streamed)?] $name $($field: $type,)* }
            }

            impl Json for $name {
                fn write_json(&self, fork: Fork, _: &[Bound], out: &mut Out) {
                    LAYOUTS.at(fork).write_json(&self.values(), out);
                }

                fn from_json(value: &p::Value, fork: Fork, _: &[Bound]) -> Result<Self, JsonError> {
                    p::json_object(value)?;
                    let layout = LAYOUTS.at(fork);
                    Ok($name { $( $field: {
                        let slot = &layout.slots[N::$field as usize];
                        if slot.active {
                            p::field_from_json(value, slot, stringify!($name), fork)?
                        } else {
                            Default::default()
                        }
                    }, )* })
                }
            }

            impl p::SszPath for $name {
                fn gindex(fork: Fork, _: &[Bound], path: &[p::PathStep]) -> Option<u64> {
                    LAYOUTS.gindex(fork, path)
                }
            }
        };
    )*};
}
