//! Writing a state against what it counts from.
//!
//! Integers are little-endian. The header is: magic, fork, slot, block root, and the slot and block root of what it
//! counts from (zero for an anchor, preceded by a byte that says so). Then `rest` with its length, then the lists:
//!
//! - Structures: length; how many items at the front of the list below are dropped; for each item that differs from the
//!   one then in its place, or that has none there, its index and its SSZ; `END`.
//! - Numbers: length; differences to the number below (0 where there is none), zigzag-coded so that small ones of either
//!   sign have zero bytes at the top, in runs of `RUN` of which first the lowest bytes stand, then the next, and so on:
//!   the compressor finds the zeros in one piece.
//! - Flags: length; the flags as they are. Those below say little about them.

use super::StateId;
use super::layer::Layers;
use super::lists::{Change, Pick, Visitor, stripped, visit};
use consensus::ssz::{Out, Ssz};
use consensus::types::BeaconState;
use consensus::{Fork, State};
use std::io::{self, Write};

/// First bytes of the stream; the last is the version of the format.
pub(crate) const MAGIC: [u8; 8] = *b"wrenstt\x01";
/// Stands where the index of the next changed item would.
pub(crate) const END: u32 = u32::MAX;
/// Numbers that are coded together.
pub(crate) const RUN: usize = 4096;

/// Writes `state` to `out`, against `base` if there is one.
pub(crate) fn write(
    out: &mut dyn Write,
    state: &State,
    id: &StateId,
    base: Option<(&StateId, Layers)>,
) -> io::Result<()> {
    out.write_all(&MAGIC)?;
    out.write_all(&[state.at as u8])?;
    put_id(out, id)?;
    let mut below = match base {
        Some((base, layers)) => {
            out.write_all(&[1])?;
            put_id(out, base)?;
            layers
        }
        None => {
            out.write_all(&[0])?;
            Layers::new(Vec::new())
        }
    };
    write_rest(out, state, &below.rest()?)?;
    let mut writer = Writer {
        out,
        fork: state.at,
        state: state.beacon.clone(),
        below,
    };
    visit(&mut writer)
}

fn put_id(out: &mut dyn Write, id: &StateId) -> io::Result<()> {
    out.write_all(&id.slot.to_le_bytes())?;
    out.write_all(&id.block_root.0)
}

/// The rest, XOR-ed with the one below as far as that goes: most fields have fixed places and have not changed.
fn write_rest(out: &mut dyn Write, state: &State, below: &[u8]) -> io::Result<()> {
    let mut rest = stripped(&state.beacon)?.encode(state.at);
    rest.iter_mut().zip(below).for_each(|(byte, below)| *byte ^= below);
    put_len(out, rest.len())?;
    out.write_all(&rest)
}

fn put_len(out: &mut dyn Write, len: usize) -> io::Result<()> {
    let len = u32::try_from(len).ok().filter(|len| *len < END);
    let len = len.ok_or_else(|| io::Error::other("a list of four billion items"))?;
    out.write_all(&len.to_le_bytes())
}

struct Writer<'a> {
    out: &'a mut dyn Write,
    fork: Fork,
    state: BeaconState,
    below: Layers,
}

impl Visitor for Writer<'_> {
    fn items<T: Ssz + 'static>(&mut self, pick: Pick<T>, change: Change) -> io::Result<()> {
        let list = &*pick(&mut self.state);
        put_len(self.out, list.len())?;
        let mut below = self.below.items::<T>()?.peekable();
        let mut dropped = 0;
        if change == Change::Queue {
            let first = list.get(0);
            while below
                .next_if(|item| item.as_ref().is_ok_and(|item| Some(item) != first))
                .is_some()
            {
                dropped += 1;
            }
        }
        put_len(self.out, dropped)?;
        // Through one sink: a call into the compressor for each field would cost more than the compression.
        let mut out = Out::writer(self.out);
        for (index, item) in list.iter().enumerate() {
            let same = match below.next() {
                Some(old) => old? == *item,
                None => false,
            };
            if !same {
                out.put(&(index as u32).to_le_bytes());
                item.encode_to(self.fork, &[], &mut out);
            }
        }
        below.try_for_each(|item| item.map(drop))?;
        out.put(&END.to_le_bytes());
        out.finish()
    }

    fn numbers(&mut self, pick: Pick<u64>) -> io::Result<()> {
        let list = &*pick(&mut self.state);
        put_len(self.out, list.len())?;
        let mut below = self.below.numbers()?;
        let mut numbers = list.iter();
        let mut left = list.len();
        while left > 0 {
            let count = left.min(RUN);
            let mut run = vec![0; 8 * count];
            for (index, number) in numbers.by_ref().take(count).enumerate() {
                let old = below.next().transpose()?.unwrap_or(0);
                let coded = zigzag(number.wrapping_sub(old)).to_le_bytes();
                for (plane, byte) in coded.into_iter().enumerate() {
                    run[plane * count + index] = byte;
                }
            }
            self.out.write_all(&run)?;
            left -= count;
        }
        below.try_for_each(|item| item.map(drop))
    }

    fn flags(&mut self, pick: Pick<u8>) -> io::Result<()> {
        let list = &*pick(&mut self.state);
        put_len(self.out, list.len())?;
        self.below.skip_flags()?;
        let mut out = Out::writer(self.out);
        list.iter().for_each(|flags| out.put(&[*flags]));
        out.finish()
    }
}

/// Maps 0, -1, 1, -2, … to 0, 1, 2, 3, …
fn zigzag(difference: u64) -> u64 {
    (difference << 1) ^ ((difference as i64 >> 63) as u64)
}

/// The inverse of `zigzag`.
pub(crate) fn unzigzag(coded: u64) -> u64 {
    (coded >> 1) ^ (coded & 1).wrapping_neg()
}
