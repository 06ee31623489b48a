//! Payloads as they are on the wire: a length, then the bytes in snappy frames. Pure functions, so that they can be
//! fuzzed; nothing is allocated before its length was checked.
//!
//! Spec: phase0/p2p-interface.md, "SSZ-snappy encoding strategy"; snappy's framing_format.txt.

use std::io::{Read as _, Write as _};

/// Why bytes are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken(pub &'static str);

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Broken {}

/// A varint of a `u64` has at most this many bytes.
pub const VARINT_MAX: usize = 10;

/// Bytes of a frame's header: its type, and its length in three bytes.
pub const FRAME_HEADER: usize = 4;

/// What every stream of frames begins with.
const STREAM_IDENTIFIER: [u8; 10] = [0xff, 6, 0, 0, b's', b'N', b'a', b'P', b'p', b'Y'];

/// Bytes of one frame before compression, at most. Spec: framing_format.txt §4.2.
const FRAME_BYTES_MAX: usize = 65_536;

/// Bytes of a checksum, before the contents of a frame.
const CHECKSUM: usize = 4;

/// Bytes that a payload of `n` may take when compressed. Spec: phase0/p2p-interface.md, `max_compressed_len`.
pub const fn max_compressed_len(n: usize) -> usize {
    (32_usize).saturating_add(n).saturating_add(n / 6)
}

/// Appends a length as an unsigned protobuf varint.
pub fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A varint that comes byte by byte.
#[derive(Clone, Copy, Debug, Default)]
pub struct Varint {
    value: u64,
    bytes: u32,
}

impl Varint {
    /// Takes the next byte; the value when it was the last.
    pub fn push(&mut self, byte: u8) -> Result<Option<u64>, Broken> {
        let part = u64::from(byte & 0x7f);
        // The tenth byte has room for one bit.
        if self.bytes as usize >= VARINT_MAX || (self.bytes == 9 && part > 1) {
            return Err(Broken("the length is no varint of 64 bits"));
        }
        self.value |= part << (7 * self.bytes);
        self.bytes += 1;
        Ok((byte & 0x80 == 0).then_some(self.value))
    }
}

/// Appends a payload: its length, then its bytes in frames.
pub fn write_payload(ssz: &[u8], out: &mut Vec<u8>) {
    write_varint(ssz.len() as u64, out);
    let mut writer = snap::write::FrameEncoder::new(out);
    // Writing to memory cannot fail.
    let _ = writer.write_all(ssz);
    let _ = writer.flush();
}

/// Follows frames as they come and says when the payload is complete, without decompressing it.
#[derive(Debug)]
pub struct Scanner {
    /// Bytes of the payload that have not come yet.
    missing: usize,
    /// Compressed bytes that may still come.
    budget: usize,
    begun: bool,
}

impl Scanner {
    /// For a payload of `length` bytes, which the caller has checked against the bounds of its type.
    pub fn new(length: usize) -> Self {
        Scanner {
            missing: length,
            budget: max_compressed_len(length),
            begun: false,
        }
    }

    /// Whether all has come.
    pub fn is_complete(&self) -> bool {
        self.missing == 0
    }

    /// Takes the header of a frame and says how many bytes follow it.
    pub fn frame(&mut self, header: [u8; FRAME_HEADER]) -> Result<usize, Broken> {
        let [kind, length @ ..] = header;
        let length = u32::from_le_bytes([length[0], length[1], length[2], 0]) as usize;
        let whole = length + FRAME_HEADER;
        if whole > self.budget {
            return Err(Broken("more compressed bytes than the length allows"));
        }
        self.budget -= whole;
        if !self.begun && kind != STREAM_IDENTIFIER[0] {
            return Err(Broken("the frames do not begin with the stream identifier"));
        }
        self.begun = true;
        match kind {
            0xff if length + FRAME_HEADER == STREAM_IDENTIFIER.len() => Ok(length),
            0x00 | 0x01 if length > CHECKSUM && length <= CHECKSUM + max_frame_len() => Ok(length),
            0x80..=0xfe => Ok(length),
            _ => Err(Broken("a frame is of no known type or of a wrong length")),
        }
    }

    /// Takes the contents of the frame whose `kind` its header had.
    pub fn contents(&mut self, kind: u8, body: &[u8]) -> Result<(), Broken> {
        let plain = match kind {
            0x00 => snap::raw::decompress_len(body.get(CHECKSUM..).unwrap_or_default())
                .map_err(|_| Broken("a frame does not tell its length"))?,
            0x01 => body.len().saturating_sub(CHECKSUM),
            _ => return Ok(()),
        };
        if plain > FRAME_BYTES_MAX {
            return Err(Broken("a frame is too long"));
        }
        self.missing = self
            .missing
            .checked_sub(plain)
            .ok_or(Broken("more bytes than the length says"))?;
        Ok(())
    }
}

/// Bytes of a frame's contents when compressed, at most: what snappy says for a full frame.
const fn max_frame_len() -> usize {
    32 + FRAME_BYTES_MAX + FRAME_BYTES_MAX / 6
}

/// Decompresses frames to exactly `length` bytes.
pub fn decompress(frames: &[u8], length: usize) -> Result<Vec<u8>, Broken> {
    // What was sent bounds what is allocated: snappy's densest form is 64 bytes out of 3.
    let plausible = frames.len().saturating_mul(32);
    let mut out = Vec::with_capacity(length.min(plausible));
    // One byte more than allowed would show that there is too much.
    let mut reader = snap::read::FrameDecoder::new(frames).take(length as u64 + 1);
    reader
        .read_to_end(&mut out)
        .map_err(|_| Broken("the frames are damaged"))?;
    if out.len() == length {
        Ok(out)
    } else {
        Err(Broken("the payload is not as long as was said"))
    }
}

/// Reads a whole payload from memory, as `write_payload` wrote it: its bytes, and what follows them.
///
/// `longest` is the bound of its type.
pub fn read_payload(bytes: &[u8], longest: usize) -> Result<(Vec<u8>, &[u8]), Broken> {
    let mut varint = Varint::default();
    let mut rest = bytes;
    let length = loop {
        let (byte, after) = rest.split_first().ok_or(Broken("the length is cut off"))?;
        rest = after;
        if let Some(length) = varint.push(*byte)? {
            break length;
        }
    };
    let length = usize::try_from(length).ok().filter(|length| *length <= longest);
    let length = length.ok_or(Broken("the payload is longer than its type allows"))?;
    let frames = rest;
    let mut scanner = Scanner::new(length);
    while !scanner.is_complete() {
        let (header, after) = rest
            .split_first_chunk::<FRAME_HEADER>()
            .ok_or(Broken("a frame is cut off"))?;
        let size = scanner.frame(*header)?;
        let (body, after) = after.split_at_checked(size).ok_or(Broken("a frame is cut off"))?;
        scanner.contents(header[0], body)?;
        rest = after;
    }
    let used = frames.len() - rest.len();
    Ok((decompress(&frames[..used], length)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that look random, from a seed.
    pub(super) fn noise(seed: u64, length: usize) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn payloads_come_back() {
        for length in [0, 1, 7, 65_535, 65_536, 65_537, 300_000] {
            for ssz in [vec![5; length], noise(length as u64, length)] {
                let mut wire = Vec::new();
                write_payload(&ssz, &mut wire);
                assert!(wire.len() <= VARINT_MAX + max_compressed_len(length) + 10);
                wire.extend_from_slice(b"rest");
                let (read, rest) = read_payload(&wire, length).unwrap();
                assert_eq!((read == ssz, rest.ends_with(b"rest")), (true, true));
                if length > 0 {
                    assert!(read_payload(&wire, length - 1).is_err(), "the bound of the type holds");
                }
            }
        }
    }

    #[test]
    fn damage_is_noticed() {
        let ssz = noise(1, 1000);
        let mut wire = Vec::new();
        write_payload(&ssz, &mut wire);
        for place in 0..wire.len() {
            let mut damaged = wire.clone();
            damaged[place] ^= 1 << (place % 8);
            let read = read_payload(&damaged, 1 << 20);
            assert!(read.is_err() || read.unwrap().0.len() != ssz.len(), "byte {place}");
            assert!(read_payload(&wire[..place], 1 << 20).is_err(), "cut at {place}");
        }
    }

    #[test]
    fn random_bytes_neither_panic_nor_allocate() {
        for seed in 0..20_000 {
            let mut bytes = noise(seed, (seed % 97) as usize);
            if seed % 2 == 0 {
                // Past the length and the identifier, so that frames are reached.
                let mut begun = vec![(seed % 120) as u8];
                begun.extend_from_slice(&STREAM_IDENTIFIER);
                begun.push((seed % 3) as u8);
                begun.append(&mut bytes);
                bytes = begun;
            }
            if let Ok((read, _)) = read_payload(&bytes, 10 << 20) {
                assert!(read.len() <= 128, "{} bytes out of {}", read.len(), bytes.len());
            }
        }
    }

    #[test]
    fn lengths_are_varints_of_64_bits() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            write_varint(value, &mut bytes);
            let mut varint = Varint::default();
            let read: Vec<_> = bytes.iter().map(|byte| varint.push(*byte).unwrap()).collect();
            assert_eq!(read.last(), Some(&Some(value)));
        }
        let mut varint = Varint::default();
        for _ in 0..9 {
            assert_eq!(varint.push(0xff), Ok(None));
        }
        assert!(varint.push(2).is_err());
    }

    #[test]
    fn a_bomb_of_padding_is_refused() {
        // A thousand bytes are promised, and padding comes for ever.
        let mut wire = Vec::new();
        write_varint(1000, &mut wire);
        wire.extend_from_slice(&STREAM_IDENTIFIER);
        for _ in 0..100 {
            wire.extend_from_slice(&[0xfe, 100, 0, 0]);
            wire.extend_from_slice(&[0; 100]);
        }
        let refused = Broken("more compressed bytes than the length allows");
        assert_eq!(read_payload(&wire, 1000).unwrap_err(), refused);
    }
}
