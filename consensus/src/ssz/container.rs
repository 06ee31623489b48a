//! Containers: one declaration for all forks gives the struct, its encoding, its tree and its JSON form.
//!
//! See docs/architecture.md §3 for the notation. A field may carry bounds (`[128 ..Electra, 8 Electra..]`), each a
//! literal or the name of a `u64` constant, `/` separating the bounds of the items from the list's own; and a range of
//! forks in which it is on the wire (`=> Altair..Gloas`). Outside of its range a field holds its default and is neither
//! written, read nor hashed.

use super::items::{OFFSET_LEN, check_len};
use super::proof::{PathStep, concat_generalized_indices, leaf_gindex, mixed_node, progressive_gindex};
use super::proof::{progressive_node, tree_node};
use super::{SszError, merkle};
use crate::fork::Fork;
use crypto::hash::{Hash256, hash2};
use std::ops::Range;

/// Finds the bytes of each field of an encoded container, in declaration order.
///
/// First every field is declared, which collects and checks the offsets; then each is taken.
pub struct Parts<'a> {
    head: &'a [u8],
    total: usize,
    cursor: usize,
    offsets: Vec<usize>,
    taken: usize,
}

impl<'a> Parts<'a> {
    /// `head` holds at least the fixed part; `total` is the length of the whole encoding.
    pub fn new(head: &'a [u8], total: usize) -> Self {
        Parts {
            head,
            total,
            cursor: 0,
            offsets: Vec::new(),
            taken: 0,
        }
    }

    /// Declares the next field by its fixed size.
    #[inline]
    pub fn declare(&mut self, fixed_len: Option<usize>) -> Result<(), SszError> {
        match fixed_len {
            Some(len) => self.cursor += len,
            None => self.declare_variable()?,
        }
        Ok(())
    }

    fn declare_variable(&mut self) -> Result<(), SszError> {
        let Some(bytes) = self.head.get(self.cursor..self.cursor + OFFSET_LEN) else {
            let detail = format!("{} bytes end before the offset at byte {}", self.total, self.cursor);
            return Err(SszError::new(SszError::LENGTH, detail));
        };
        let offset = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
        let floor = self.offsets.last().copied().unwrap_or(0);
        if offset < floor || offset > self.total {
            let detail = format!("offset {offset} after {floor} in {} bytes", self.total);
            return Err(SszError::new(SszError::OFFSET, detail));
        }
        self.offsets.push(offset);
        self.cursor += OFFSET_LEN;
        Ok(())
    }

    /// Ends the declarations: the first variable part begins where the fixed part ends, and nothing is left over.
    #[inline]
    pub fn declared(&mut self) -> Result<(), SszError> {
        match self.offsets.first() {
            None => check_len(self.total, self.cursor)?,
            Some(first) if *first != self.cursor => {
                let detail = format!("the first offset is {first}, the fixed part ends at {}", self.cursor);
                return Err(SszError::new(SszError::OFFSET, detail));
            }
            Some(_) => self.offsets.push(self.total),
        }
        self.cursor = 0;
        Ok(())
    }

    /// The place of the next field, which has the same fixed size as when it was declared.
    #[inline]
    pub fn take(&mut self, fixed_len: Option<usize>) -> Range<usize> {
        let start = self.cursor;
        if let Some(len) = fixed_len {
            self.cursor += len;
            return start..self.cursor;
        }
        self.cursor += OFFSET_LEN;
        self.taken += 1;
        self.offsets[self.taken - 1]..self.offsets[self.taken]
    }
}

/// Whether a field has a position in a progressive container at `fork`: it was there at or after the fork `since`
/// which made the container progressive. A field removed later keeps its position, with a zero in it.
pub fn has_position(fork: Fork, since: Fork, from: Fork, end: Option<Fork>) -> bool {
    from <= fork && end.is_none_or(|end| end > since)
}

/// The chunk of `active_fields`: a bit for each position. The last position is always active, so none is cut off.
fn active_fields_chunk(active: &[bool]) -> Hash256 {
    let mut chunk = [0; 32];
    for (index, _) in active.iter().enumerate().filter(|(_, active)| **active) {
        chunk[index / 8] |= 1 << (index % 8);
    }
    chunk
}

/// Cuts positions at the end that hold no active field any more: `active_fields` may not end in 0.
fn trim(roots: &mut Vec<Hash256>, active: &mut Vec<bool>) {
    while active.last() == Some(&false) {
        active.pop();
        roots.pop();
    }
}

/// The root of a progressive container from the roots at its positions.
///
/// Spec: ssz/simple-serialize.md (EIP-7495).
pub fn active_fields_root(mut roots: Vec<Hash256>, mut active: Vec<bool>) -> Hash256 {
    trim(&mut roots, &mut active);
    hash2(
        &merkle::merkleize_progressive(&mut roots),
        &active_fields_chunk(&active),
    )
}

/// The node at `gindex` of a container with these field roots (and active positions, if progressive); `below` answers
/// for what lies under the field at a position.
pub fn container_node(
    mut roots: Vec<Hash256>,
    active: Option<Vec<bool>>,
    gindex: u64,
    below: impl FnOnce(usize, u64) -> Option<Hash256>,
) -> Option<Hash256> {
    let Some(mut active) = active else {
        return tree_node(&roots, merkle::depth_of(roots.len() as u64), gindex, below);
    };
    trim(&mut roots, &mut active);
    mixed_node(&active_fields_chunk(&active), gindex, |data| {
        progressive_node(&roots, data, below)
    })
}

/// The generalized index of `path` in a field at `position` among `count`, where the field answers for the rest.
pub fn field_gindex(
    position: usize,
    count: usize,
    progressive: bool,
    rest: &[PathStep],
    field: impl FnOnce(&[PathStep]) -> Option<u64>,
) -> Option<u64> {
    let leaf = if progressive {
        concat_generalized_indices(2, progressive_gindex(position as u64)?)?
    } else {
        leaf_gindex(position as u64, merkle::depth_of(count as u64))?
    };
    concat_generalized_indices(leaf, field(rest)?)
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

/// The shape of a field at a fork.
#[doc(hidden)]
#[macro_export]
macro_rules! bounds {
    ($fork:expr;) => {{ const NONE: &[$crate::ssz::Bound] = &[]; NONE }};
    ($fork:expr; $( $first:tt $(/ $rest:tt)* $( $($from:ident)? .. $($to:ident)? )? ),+ $(,)?) => {{
        $(
            if true $( && $crate::in_range!($fork, $($from)? .. $($to)?) )? {
                const SHAPE: &[$crate::ssz::Bound] = &[$crate::bound!($first) $(, $crate::bound!($rest))*];
                SHAPE
            } else
        )+ {
            const NONE: &[$crate::ssz::Bound] = &[];
            NONE
        }
    }};
}

/// Declares a container for all forks; see the module.
#[macro_export]
macro_rules! container {
    ($(
        $(#[$meta:meta])*
        $(progressive $since:ident .. ;)?
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

        #[allow(unused_mut, unused_variables, unused_assignments, clippy::all, clippy::pedantic)] // code for any fields
        const _: () = {
            use $crate::Fork;
            use $crate::ssz::{__private as p, Bound, Json, JsonError, Out, Root, Ssz, SszError};

            /// From which fork on this is a progressive container.
            const SINCE: Option<Fork> = { let since: Option<Fork> = None; $( let since = Some(Fork::$since); )? since };

            fn is_progressive(fork: Fork) -> bool {
                matches!(SINCE, Some(since) if fork >= since)
            }

            impl $name {
                /// Length of the fixed part, offsets included.
                #[inline]
                fn head_len(fork: Fork) -> usize {
                    let mut len = 0;
                    $( if true $( && $crate::in_range!(fork, $($from)? .. $($to)?) )? {
                        len += <$type as Ssz>::fixed_len(fork, $crate::bounds!(fork; $($($bound)*)?)).unwrap_or(4);
                    } )*
                    len
                }

                /// The roots at each position of the tree and, for a progressive container, which are active.
                fn positions(&self, fork: Fork) -> (Vec<p::Hash256>, Option<Vec<bool>>) {
                    let mut roots = Vec::with_capacity([$(stringify!($field)),*].len());
                    let mut active = Vec::new();
                    $(
                        if true $( && $crate::in_range!(fork, $($from)? .. $($to)?) )? {
                            roots.push(self.$field.root(fork, $crate::bounds!(fork; $($($bound)*)?)).0);
                            active.push(true);
                        } else if is_progressive(fork) && Self::placed(fork, stringify!($field)) {
                            roots.push([0; 32]);
                            active.push(false);
                        }
                    )*
                    (roots, is_progressive(fork).then_some(active))
                }

                /// Whether a field has a position in the tree at `fork`.
                fn placed(fork: Fork, field: &str) -> bool {
                    $( if field == stringify!($field) {
                        if let (true, Some(since)) = (is_progressive(fork), SINCE) {
                            let start = $crate::field_start!($($($from)?)?);
                            let end: Option<Fork> = $crate::field_end!($($($to)?)?);
                            return p::has_position(fork, since, start, end);
                        }
                        return true $( && $crate::in_range!(fork, $($from)? .. $($to)?) )?;
                    } )*
                    false
                }

                /// Reads a container of `len` bytes from a reader, big lists piece by piece.
                #[inline]
                pub fn decode_reader(
                    reader: &mut dyn std::io::Read,
                    len: usize,
                    fork: Fork,
                ) -> Result<Self, SszError> {
                    let head = p::read_exactly(reader, Self::head_len(fork).min(len))?;
                    let mut parts = p::Parts::new(&head, len);
                    $( if true $( && $crate::in_range!(fork, $($from)? .. $($to)?) )? {
                        parts.declare(<$type as Ssz>::fixed_len(fork, $crate::bounds!(fork; $($($bound)*)?)))?;
                    } )*
                    parts.declared()?;
                    Ok($name { $( $field: if true $( && $crate::in_range!(fork, $($from)? .. $($to)?) )? {
                        let shape = $crate::bounds!(fork; $($($bound)*)?);
                        let fixed_len = <$type as Ssz>::fixed_len(fork, shape);
                        let part = parts.take(fixed_len);
                        let value = match fixed_len {
                            Some(_) => <$type as Ssz>::decode_from(&head[part], fork, shape),
                            None => <$type as Ssz>::decode_read(reader, part.len(), fork, shape),
                        };
                        value.map_err(|error| error.within(stringify!($field)))?
                    } else {
                        Default::default()
                    }, )* })
                }
            }

            impl Ssz for $name {
                #[inline]
                fn fixed_len(fork: Fork, _: &[Bound]) -> Option<usize> {
                    let mut len = 0;
                    $( if true $( && $crate::in_range!(fork, $($from)? .. $($to)?) )? {
                        len += <$type as Ssz>::fixed_len(fork, $crate::bounds!(fork; $($($bound)*)?))?;
                    } )*
                    Some(len)
                }

                fn encoded_len(&self, fork: Fork, _: &[Bound]) -> usize {
                    let mut len = Self::head_len(fork);
                    $( if true $( && $crate::in_range!(fork, $($from)? .. $($to)?) )? {
                        let shape = $crate::bounds!(fork; $($($bound)*)?);
                        if <$type as Ssz>::fixed_len(fork, shape).is_none() {
                            len += self.$field.encoded_len(fork, shape);
                        }
                    } )*
                    len
                }

                fn encode_to(&self, fork: Fork, _: &[Bound], out: &mut Out) {
                    let mut offset = Self::head_len(fork);
                    $( if true $( && $crate::in_range!(fork, $($from)? .. $($to)?) )? {
                        let shape = $crate::bounds!(fork; $($($bound)*)?);
                        if <$type as Ssz>::fixed_len(fork, shape).is_some() {
                            self.$field.encode_to(fork, shape, out);
                        } else {
                            out.put_offset(offset);
                            offset += self.$field.encoded_len(fork, shape);
                        }
                    } )*
                    $( if true $( && $crate::in_range!(fork, $($from)? .. $($to)?) )? {
                        let shape = $crate::bounds!(fork; $($($bound)*)?);
                        if <$type as Ssz>::fixed_len(fork, shape).is_none() {
                            self.$field.encode_to(fork, shape, out);
                        }
                    } )*
                }

                fn decode_from(bytes: &[u8], fork: Fork, _: &[Bound]) -> Result<Self, SszError> {
                    let mut parts = p::Parts::new(bytes, bytes.len());
                    $( if true $( && $crate::in_range!(fork, $($from)? .. $($to)?) )? {
                        parts.declare(<$type as Ssz>::fixed_len(fork, $crate::bounds!(fork; $($($bound)*)?)))?;
                    } )*
                    parts.declared()?;
                    Ok($name { $( $field: if true $( && $crate::in_range!(fork, $($from)? .. $($to)?) )? {
                        let shape = $crate::bounds!(fork; $($($bound)*)?);
                        let part = parts.take(<$type as Ssz>::fixed_len(fork, shape));
                        match <$type as Ssz>::decode_from(&bytes[part], fork, shape) {
                            Ok(value) => value,
                            Err(error) => return Err(error.within(stringify!($field))),
                        }
                    } else {
                        Default::default()
                    }, )* })
                }

                fn decode_read(
                    reader: &mut dyn std::io::Read,
                    len: usize,
                    fork: Fork,
                    _: &[Bound],
                ) -> Result<Self, SszError> {
                    Self::decode_reader(reader, len, fork)
                }

                fn root(&self, fork: Fork, _: &[Bound]) -> Root {
                    let (mut roots, active) = self.positions(fork);
                    match active {
                        Some(active) => p::active_fields_root(roots, active).into(),
                        None => p::merkleize(&mut roots).into(),
                    }
                }

                fn default_for(fork: Fork, _: &[Bound]) -> Self {
                    $name { $( $field: if true $( && $crate::in_range!(fork, $($from)? .. $($to)?) )? {
                        <$type as Ssz>::default_for(fork, $crate::bounds!(fork; $($($bound)*)?))
                    } else {
                        Default::default()
                    }, )* }
                }

                fn node(&self, fork: Fork, _: &[Bound], gindex: u64) -> Option<p::Hash256> {
                    let (roots, active) = self.positions(fork);
                    p::container_node(roots, active, gindex, |wanted, rest| {
                        let mut position = 0;
                        $( if Self::placed(fork, stringify!($field)) {
                            if position == wanted {
                                let here = true $( && $crate::in_range!(fork, $($from)? .. $($to)?) )?;
                                let shape = $crate::bounds!(fork; $($($bound)*)?);
                                return if here { self.$field.node(fork, shape, rest) } else { None };
                            }
                            position += 1;
                        } )*
                        None
                    })
                }

                /// Hashes a batch field by field and layer by layer, so that the kernel gets many pairs at once.
                fn write_roots(items: &[&Self], fork: Fork, _: &[Bound], out: &mut [p::Hash256], stride: usize) {
                    const AT_ONCE: usize = 16; // enough pairs in each layer, and little enough to stay in the cache
                    const WIDEST: usize = 16; // wider containers gain nothing from a batch
                    let mut fields = 0;
                    $( if true $( && $crate::in_range!(fork, $($from)? .. $($to)?) )? { fields += 1; } )*
                    if items.len() < 2 || fields > WIDEST || is_progressive(fork) {
                        for (item, slot) in items.iter().zip(out.iter_mut().step_by(stride)) {
                            *slot = item.root(fork, &[]).0;
                        }
                        return;
                    }
                    let width = (fields as usize).next_power_of_two();
                    let mut chunks = vec![[0u8; 32]; AT_ONCE.min(items.len()) * width];
                    for (batch, slots) in items.chunks(AT_ONCE).zip(out.chunks_mut(AT_ONCE * stride)) {
                        chunks.fill([0; 32]);
                        let mut position = 0;
                        $( if true $( && $crate::in_range!(fork, $($from)? .. $($to)?) )? {
                            let mut refs = [&batch[0].$field; AT_ONCE];
                            for (slot, item) in refs.iter_mut().zip(batch) {
                                *slot = &item.$field;
                            }
                            let shape = $crate::bounds!(fork; $($($bound)*)?);
                            <$type as Ssz>::write_roots(&refs[..batch.len()], fork, shape, &mut chunks[position..], width);
                            position += 1;
                        } )*
                        p::hash_down(&mut chunks[..batch.len() * width], batch.len());
                        for (root, slot) in chunks.iter().zip(slots.iter_mut().step_by(stride)).take(batch.len()) {
                            *slot = *root;
                        }
                    }
                }
            }

            impl Json for $name {
                fn write_json(&self, fork: Fork, _: &[Bound], out: &mut Out) {
                    let mut separator = "{\"";
                    $( if true $( && $crate::in_range!(fork, $($from)? .. $($to)?) )? {
                        out.put(separator.as_bytes());
                        out.put(concat!(stringify!($field), "\":").as_bytes());
                        self.$field.write_json(fork, $crate::bounds!(fork; $($($bound)*)?), out);
                        separator = ",\"";
                    } )*
                    out.put(if separator == "{\"" { b"{}" } else { b"}" });
                }

                fn from_json(value: &p::Value, fork: Fork, _: &[Bound]) -> Result<Self, JsonError> {
                    let members = p::json_object(value)?;
                    Ok($name { $( $field: if true $( && $crate::in_range!(fork, $($from)? .. $($to)?) )? {
                        let member = p::json_member(members, stringify!($field), stringify!($name))?;
                        <$type as Json>::from_json(member, fork, $crate::bounds!(fork; $($($bound)*)?))
                            .map_err(|error| error.within(stringify!($field)))?
                    } else {
                        Default::default()
                    }, )* })
                }
            }

            impl p::SszPath for $name {
                fn gindex(fork: Fork, _: &[Bound], path: &[p::PathStep]) -> Option<u64> {
                    let (first, rest) = match path {
                        [] => return Some(1),
                        [p::PathStep::Field(name), rest @ ..] => (*name, rest),
                        _ => return None,
                    };
                    let names = [$(stringify!($field)),*];
                    let count = names.iter().filter(|name| Self::placed(fork, name)).count();
                    let mut position = 0;
                    $(
                        if first == stringify!($field) && (true $( && $crate::in_range!(fork, $($from)? .. $($to)?) )?) {
                            return p::field_gindex(position, count, is_progressive(fork), rest, |rest| {
                                <$type as p::SszPath>::gindex(fork, $crate::bounds!(fork; $($($bound)*)?), rest)
                            });
                        }
                        if Self::placed(fork, stringify!($field)) {
                            position += 1;
                        }
                    )*
                    None
                }
            }
        };
    )*};
}
