//! Reading states back: layers of differences over an anchor, all streamed at once.
//!
//! Each list comes as an iterator over the topmost layer, which takes from the one below what it does not have itself, and
//! so on down to the anchor. Nothing is allocated by a length that was read, before the bytes were.

use super::StateId;
use super::lists::{Change, Pick, Visitor, visit};
use super::writer::{END, MAGIC, RUN, unzigzag};
use consensus::ssz::{Bytes, Ssz};
use consensus::types::BeaconState;
use consensus::{Fork, State};
use std::io::{self, BufReader, Read};

/// Decompressed bytes that are taken at once.
const BUFFER: usize = 64 * 1024;
/// Largest rest of a state that is believed: one has 3 MB, and phase0's pending attestations may add some 10.
const MAX_REST: usize = 256 * 1024 * 1024;

/// The items of a list, read as they are asked for.
pub(crate) type Items<'a, T> = Box<dyn Iterator<Item = io::Result<T>> + 'a>;

/// One stored state, read from its front to its end.
pub(crate) struct Layer {
    reader: BufReader<Box<dyn Read>>,
    fork: Fork,
    base: Option<StateId>,
}

fn bad(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

impl Layer {
    /// Reads the header, which must be that of `id`.
    pub(crate) fn open(reader: Box<dyn Read>, id: &StateId) -> io::Result<Layer> {
        let mut reader = BufReader::with_capacity(BUFFER, reader);
        if read_array(&mut reader)? != MAGIC {
            return Err(bad("it does not begin as a state of this version does"));
        }
        let [fork] = read_array(&mut reader)?;
        let fork = Fork::ALL.get(fork as usize).copied();
        let fork = fork.ok_or_else(|| bad("it is at a fork that this version does not know"))?;
        let found = read_id(&mut reader)?;
        if found != *id {
            return Err(bad(format!(
                "it is the state at slot {} after block {}",
                found.slot, found.block_root
            )));
        }
        let base = match read_array(&mut reader)? {
            [0] => None,
            [_] => Some(read_id(&mut reader)?),
        };
        Ok(Layer { reader, fork, base })
    }

    /// What it counts from; `None` for an anchor.
    pub(crate) fn base(&self) -> Option<StateId> {
        self.base
    }

    fn len(&mut self) -> io::Result<usize> {
        Ok(u32::from_le_bytes(read_array(&mut self.reader)?) as usize)
    }

    /// After the last list: reads the end of the stream, where the checksum is.
    fn finish(mut self) -> io::Result<()> {
        match self.reader.read(&mut [0])? {
            0 => Ok(()),
            _ => Err(bad("it goes on behind its end")),
        }
    }
}

fn read_array<const N: usize>(reader: &mut dyn Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_id(reader: &mut dyn Read) -> io::Result<StateId> {
    Ok(StateId {
        slot: u64::from_le_bytes(read_array(reader)?),
        block_root: Bytes(read_array(reader)?),
    })
}

/// All layers of a state, the anchor first. Without any, everything is empty.
pub(crate) struct Layers(Vec<Layer>);

impl Layers {
    pub(crate) fn new(layers: Vec<Layer>) -> Self {
        Layers(layers)
    }

    /// The rest of the topmost state. To be read first.
    pub(crate) fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut below = Vec::new();
        for layer in &mut self.0 {
            let len = layer.len()?;
            if len > MAX_REST {
                return Err(bad(format!("{len} bytes of single fields, at most {MAX_REST}")));
            }
            let mut rest = Vec::new();
            layer.reader.by_ref().take(len as u64).read_to_end(&mut rest)?;
            if rest.len() < len {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            rest.iter_mut().zip(&below).for_each(|(byte, below)| *byte ^= below);
            below = rest;
        }
        Ok(below)
    }

    /// The next list, of structures. Must be read to its end.
    pub(crate) fn items<T: Ssz + 'static>(&mut self) -> io::Result<Items<'_, T>> {
        let mut items: Items<'_, T> = Box::new(std::iter::empty());
        for layer in &mut self.0 {
            items = Box::new(Patched::new(layer, items)?);
        }
        Ok(items)
    }

    /// The next list, of numbers. Must be read to its end.
    pub(crate) fn numbers(&mut self) -> io::Result<Items<'_, u64>> {
        let mut items: Items<'_, u64> = Box::new(std::iter::empty());
        for layer in &mut self.0 {
            let left = layer.len()?;
            let run = Vec::new();
            items = Box::new(Added {
                layer,
                below: items,
                left,
                run,
                next: 0,
            });
        }
        Ok(items)
    }

    /// The next list, of flags: the topmost layer's alone counts.
    fn flags(&mut self) -> io::Result<Vec<u8>> {
        let mut flags = Vec::new();
        for layer in &mut self.0 {
            let len = layer.len()?;
            flags.clear();
            layer.reader.by_ref().take(len as u64).read_to_end(&mut flags)?;
            if flags.len() < len {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(flags)
    }

    /// Passes over a list of flags.
    pub(crate) fn skip_flags(&mut self) -> io::Result<()> {
        for layer in &mut self.0 {
            let len = layer.len()? as u64;
            io::copy(&mut layer.reader.by_ref().take(len), &mut io::sink())?;
        }
        Ok(())
    }

    /// The topmost state.
    pub(crate) fn into_state(mut self) -> io::Result<State> {
        let fork = self.0.last().map(|layer| layer.fork);
        let fork = fork.ok_or_else(|| bad("there is no state"))?;
        let rest = self.rest()?;
        let state = BeaconState::decode(&rest, fork).map_err(|error| bad(error.to_string()))?;
        let mut restore = Restore { layers: self, state };
        visit(&mut restore)?;
        restore.layers.0.into_iter().try_for_each(Layer::finish)?;
        Ok(State::new(fork, restore.state))
    }
}

/// A list of structures: the one below with some items changed, dropped and added.
struct Patched<'a, T> {
    layer: &'a mut Layer,
    below: Items<'a, T>,
    len: usize,
    index: usize,
    /// Index of the next item that this layer has itself, or `END`.
    changed: u32,
    item: Vec<u8>,
}

impl<'a, T: Ssz> Patched<'a, T> {
    fn new(layer: &'a mut Layer, mut below: Items<'a, T>) -> io::Result<Self> {
        let (len, dropped) = (layer.len()?, layer.len()?);
        for _ in 0..dropped {
            below
                .next()
                .transpose()?
                .ok_or_else(|| bad("a queue loses more items than it had"))?;
        }
        let changed = u32::from_le_bytes(read_array(&mut layer.reader)?);
        let item_len = T::fixed_len(layer.fork, &[]).ok_or_else(|| bad("items of varying size"))?;
        let item = vec![0; item_len];
        Ok(Patched {
            layer,
            below,
            len,
            index: 0,
            changed,
            item,
        })
    }

    fn read(&mut self) -> io::Result<T> {
        let below = self.below.next().transpose()?;
        if self.changed as usize != self.index {
            return below.ok_or_else(|| bad(format!("item {} of a list is nowhere", self.index)));
        }
        self.layer.reader.read_exact(&mut self.item)?;
        self.changed = u32::from_le_bytes(read_array(&mut self.layer.reader)?);
        T::decode(&self.item, self.layer.fork).map_err(|error| bad(error.to_string()))
    }

    fn end(&mut self) -> io::Result<()> {
        self.below.by_ref().try_for_each(|item| item.map(drop))?;
        if self.changed == END {
            Ok(())
        } else {
            Err(bad("an item behind the end of its list"))
        }
    }
}

impl<T: Ssz> Iterator for Patched<'_, T> {
    type Item = io::Result<T>;

    fn next(&mut self) -> Option<io::Result<T>> {
        if self.index == self.len {
            // Once more behind the end: the streams must stand at the next list.
            return self.end().err().map(Err);
        }
        let item = self.read();
        self.index += 1;
        Some(item)
    }
}

/// A list of numbers: those below with differences added.
struct Added<'a> {
    layer: &'a mut Layer,
    below: Items<'a, u64>,
    /// Numbers that have not been read into `run`.
    left: usize,
    /// Bytes of one run; see `writer`.
    run: Vec<u8>,
    next: usize,
}

impl Added<'_> {
    fn read(&mut self) -> io::Result<u64> {
        let count = self.run.len() / 8;
        let mut coded = [0; 8];
        for (plane, byte) in coded.iter_mut().enumerate() {
            *byte = self.run[plane * count + self.next];
        }
        self.next += 1;
        let below = self.below.next().transpose()?.unwrap_or(0);
        Ok(below.wrapping_add(unzigzag(u64::from_le_bytes(coded))))
    }

    fn fill(&mut self) -> io::Result<()> {
        let count = self.left.min(RUN);
        self.run.resize(8 * count, 0);
        self.layer.reader.read_exact(&mut self.run)?;
        self.left -= count;
        self.next = 0;
        Ok(())
    }
}

impl Iterator for Added<'_> {
    type Item = io::Result<u64>;

    fn next(&mut self) -> Option<io::Result<u64>> {
        if 8 * self.next == self.run.len() {
            if self.left == 0 {
                return self.below.by_ref().find_map(Result::err).map(Err);
            }
            if let Err(error) = self.fill() {
                return Some(Err(error));
            }
        }
        Some(self.read())
    }
}

/// Puts the lists into a state that has none yet.
struct Restore {
    layers: Layers,
    state: BeaconState,
}

impl Visitor for Restore {
    fn items<T: Ssz + 'static>(&mut self, pick: Pick<T>, _: Change) -> io::Result<()> {
        let items = self.layers.items()?;
        fill(&mut self.state, pick, items)
    }

    fn numbers(&mut self, pick: Pick<u64>) -> io::Result<()> {
        let numbers = self.layers.numbers()?;
        fill(&mut self.state, pick, numbers)
    }

    fn flags(&mut self, pick: Pick<u8>) -> io::Result<()> {
        let flags = self.layers.flags()?;
        fill(&mut self.state, pick, Box::new(flags.into_iter().map(Ok)))
    }
}

/// Builds a list in its own layout; the first error ends it.
fn fill<T: Ssz>(state: &mut BeaconState, pick: Pick<T>, items: Items<'_, T>) -> io::Result<()> {
    let mut failed = None;
    let list = pick(state);
    *list = list.rebuilt(items.map_while(|item| item.map_err(|error| failed = Some(error)).ok()));
    failed.map_or(Ok(()), Err)
}
