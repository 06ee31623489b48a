//! Reading an object from a file or standard input, never more than its limits allow.

use super::Format;
use crate::exit::Failure;
use consensus::Fork;
use consensus::ssz::SszError;
use consensus::types::registry::{DynSsz, TypeInfo};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// SSZ offsets have 32 bits, so no object is larger.
const MAX_SSZ_BYTES: u64 = u32::MAX as u64;
/// Parsed JSON takes some ten times the memory of its text. States beyond this are exchanged as SSZ by everybody.
const MAX_JSON_BYTES: u64 = 256 << 20;
/// The most that raw snappy can shrink: a copy of 64 bytes takes 3. A header that claims more is a lie.
const MAX_SNAPPY_RATIO: u64 = 64 / 3 + 1;
/// Bytes at the head of a state or signed block among which its slot is.
const HEAD: u64 = 108;
/// What framed snappy begins with: the stream identifier.
const SNAPPY_FRAME: &[u8] = b"\xff\x06\x00\x00sNaPpY";

/// An object that can be read: where it is and what it is.
pub(crate) struct Input {
    pub(super) path: PathBuf,
    pub(super) info: &'static TypeInfo,
    pub(super) fork: Fork,
    format: Format,
    /// What an operator may have got wrong where the object is none.
    hint: &'static str,
}

impl Input {
    /// The object in the file at `path` (`-` for standard input), whose name tells its format unless `format` does.
    pub(crate) fn new(path: PathBuf, format: Option<Format>, info: &'static TypeInfo, fork: Fork) -> Self {
        let by_name = match path.extension().and_then(|extension| extension.to_str()) {
            Some("ssz_snappy") => Format::Snappy,
            Some("json") => Format::Json,
            _ => Format::Ssz,
        };
        Input {
            path,
            info,
            fork,
            format: format.unwrap_or(by_name),
            hint: "Check --type, --fork and the preset of this program.",
        }
    }

    /// Reads and decodes the object.
    pub(super) fn read(&self) -> Result<Box<dyn DynSsz>, Failure> {
        match self.format {
            Format::Ssz => self.read_ssz(),
            Format::Snappy => {
                let bytes = self.unpack(&self.bytes(MAX_SSZ_BYTES)?)?;
                (self.info.decode)(&bytes, self.fork).map_err(|error| self.invalid(error))
            }
            Format::Json => self.read_json(),
        }
    }

    /// Decodes with `decode` at the fork that `fork_of` finds from the first bytes, for objects that tell their slot.
    /// Returns the object, its fork and the length of its SSZ.
    pub(crate) fn read_at<T>(
        &mut self,
        fork_of: impl Fn(&[u8]) -> Option<Fork>,
        decode: impl Fn(&mut dyn Read, usize, Fork) -> Result<T, SszError>,
    ) -> Result<(T, Fork, usize), Failure> {
        self.hint = "Check --network and the preset of this program.";
        if self.format == Format::Json {
            return Err(self.invalid("JSON is not read here; `wren ssz encode` makes SSZ of it"));
        }
        let mut head = Vec::new();
        let known_length = if self.format == Format::Ssz {
            self.regular_file()?
        } else {
            None
        };
        let (mut source, len): (Box<dyn Read>, usize) = if let Some((file, len)) = known_length {
            (Box::new(BufReader::new(file)), len)
        } else {
            let bytes = self.bytes(MAX_SSZ_BYTES)?;
            let plain = if self.format == Format::Snappy {
                self.unpack(&bytes)?
            } else {
                bytes
            };
            let len = plain.len();
            (Box::new(io::Cursor::new(plain)), len)
        };
        let read = source.by_ref().take(HEAD).read_to_end(&mut head);
        read.map_err(|error| self.unreadable(&error))?;
        self.fork = fork_of(&head).ok_or_else(|| self.invalid("it is too short to tell its slot"))?;
        let object = decode(&mut head.as_slice().chain(source), len, self.fork);
        Ok((object.map_err(|error| self.invalid(error))?, self.fork, len))
    }

    /// Decodes plain SSZ: a regular file list by list, as its length is known; anything else from memory.
    fn read_ssz(&self) -> Result<Box<dyn DynSsz>, Failure> {
        if let Some((file, len)) = self.regular_file()? {
            let decoded = (self.info.decode_read)(&mut BufReader::new(file), len, self.fork);
            return decoded.map_err(|error| self.invalid(error));
        }
        let bytes = self.bytes(MAX_SSZ_BYTES)?;
        (self.info.decode)(&bytes, self.fork).map_err(|error| self.invalid(error))
    }

    fn read_json(&self) -> Result<Box<dyn DynSsz>, Failure> {
        let bytes = self.bytes(MAX_JSON_BYTES)?;
        let mut value: serde_json::Value = serde_json::from_slice(&bytes).map_err(|error| self.invalid(error))?;
        drop(bytes);
        // The Beacon API wraps objects in `{"version": …, "data": …}`; no container has two fields of these names.
        let version = value
            .get("version")
            .and_then(|version| version.as_str())
            .map(str::to_string);
        if let (Some(version), Some(data)) = (version, value.get_mut("data").map(serde_json::Value::take)) {
            if version != self.fork.name() {
                return Err(self.invalid(format!("it says it is of {version}; --fork says {}", self.fork)));
            }
            value = data;
        }
        (self.info.from_json)(&value, self.fork).map_err(|error| self.invalid(error))
    }

    /// Undoes raw snappy, whose header is believed only as far as the compressed length can bear it out.
    fn unpack(&self, packed: &[u8]) -> Result<Vec<u8>, Failure> {
        if packed.starts_with(SNAPPY_FRAME) {
            return Err(self.invalid("this is framed snappy; here raw snappy is read (unpack it: `snzip -d`)"));
        }
        let not_snappy = |error| self.invalid(format!("not raw snappy ({error}); for plain SSZ give --format ssz"));
        let length = snap::raw::decompress_len(packed).map_err(not_snappy)?;
        if length as u64 > packed.len() as u64 * MAX_SNAPPY_RATIO {
            let packed = packed.len();
            return Err(self.invalid(format!(
                "not raw snappy: {packed} bytes cannot unpack to the {length} it claims"
            )));
        }
        self.check_length(length as u64, MAX_SSZ_BYTES)?;
        snap::raw::Decoder::new().decompress_vec(packed).map_err(not_snappy)
    }

    /// Everything in the file, if that is no more than `limit`.
    fn bytes(&self, limit: u64) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        let source: &mut dyn Read = if self.path == Path::new("-") {
            &mut io::stdin().lock()
        } else {
            &mut self.open()?
        };
        source
            .take(limit + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| self.unreadable(&error))?;
        self.check_length(bytes.len() as u64, limit)?;
        Ok(bytes)
    }

    fn open(&self) -> Result<File, Failure> {
        File::open(&self.path).map_err(|error| self.unreadable(&error))
    }

    /// The file with its length, if it is one that has a length before it is read: no pipe, no standard input.
    fn regular_file(&self) -> Result<Option<(File, usize)>, Failure> {
        if self.path == Path::new("-") {
            return Ok(None);
        }
        // A pipe that is opened twice may lose what was written to it, so what it is is asked for first.
        let metadata = std::fs::metadata(&self.path).map_err(|error| self.unreadable(&error))?;
        if !metadata.is_file() {
            return Ok(None);
        }
        self.check_length(metadata.len(), MAX_SSZ_BYTES)?;
        Ok(Some((self.open()?, metadata.len() as usize)))
    }

    fn check_length(&self, length: u64, limit: u64) -> Result<(), Failure> {
        if length <= limit {
            return Ok(());
        }
        let why = if limit == MAX_SSZ_BYTES {
            "the most that SSZ can express"
        } else {
            "the limit for JSON; use SSZ"
        };
        Err(self.invalid(format!("it is longer than {limit} bytes, {why}")))
    }

    fn unreadable(&self, error: &io::Error) -> Failure {
        Failure::io(format!("cannot read {}", self.path.display()), error)
    }

    /// A failure that says which file is no valid object of which type, and why.
    pub(super) fn invalid(&self, why: impl std::fmt::Display) -> Failure {
        let Input {
            path, info, fork, hint, ..
        } = self;
        let preset = consensus::preset::PRESET_NAME;
        Failure::invalid(format!(
            "{} is no valid {} of {fork} ({preset} preset): {why}. {hint}",
            path.display(),
            info.name
        ))
    }
}
