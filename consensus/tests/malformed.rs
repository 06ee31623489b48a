//! Bytes and JSON that nobody sane sends, into every container at every fork.
//!
//! They must give an error, or a value that encodes back to the same bytes: never a panic, never another value, and no
//! memory out of proportion to the input. `allocation-counter` measures the last, per thread, so that tests running
//! beside do not disturb it.

use crate::mirror::Mirror;
use crate::oracle::{all, rounds_of};
use crate::support::Rng;
use consensus::Fork;
use consensus::ssz::{ByteList, Ssz};
use consensus::types::ExecutionPayload;
use consensus::types::registry::{TypeInfo, find};
use serde_json::Value;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Damaged inputs per container and fork in a long run, of each kind below.
const ROUNDS: usize = 100;

/// Memory that a decoder may take per byte of input.
const MEMORY_PER_BYTE: u64 = 16;
/// Memory that it may take beside: the text of an error with its path. Everything else is in proportion to the input, the
/// container with its fields of other forks and the bundles of persistent lists included.
const MEMORY_AT_LEAST: u64 = 256;

/// Bytes for a failure's message, as many as one can read.
fn show(bytes: &[u8]) -> String {
    let hex = bytes
        .iter()
        .take(400)
        .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let more = if bytes.len() > 400 { "…" } else { "" };
    format!("{} bytes 0x{hex}{more}", bytes.len())
}

/// What `decode` gives for bytes that may be anything: a value that has the same bytes, or nothing. Everything else fails.
fn read(bytes: &[u8], fork: Fork, decode: &dyn Fn() -> Option<Vec<u8>>, what: &str) -> bool {
    let encoded = catch_unwind(AssertUnwindSafe(decode));
    let encoded = encoded.unwrap_or_else(|_| panic!("{what} at {fork} panicked on {}", show(bytes)));
    if let Some(encoded) = &encoded {
        assert!(
            encoded == bytes,
            "{what} at {fork} read {} and wrote {}",
            show(bytes),
            show(encoded)
        );
    }
    encoded.is_some()
}

/// Fails where `decode` takes more memory than `bytes` allow.
fn check_memory(bytes: &[u8], fork: Fork, decode: &dyn Fn(), what: &str) {
    let most = MEMORY_PER_BYTE * bytes.len() as u64 + MEMORY_AT_LEAST;
    let peak = allocation_counter::measure(decode).bytes_max;
    assert!(
        peak <= most,
        "{what} at {fork} took {peak} bytes of memory, at most {most} allowed, for {}",
        show(bytes)
    );
}

/// Reads `bytes` both from memory and from a reader and checks all that is promised.
fn check(info: &TypeInfo, fork: Fork, bytes: &[u8]) {
    let from_bytes = || Some((info.decode)(bytes, fork).ok()?.ssz_bytes(fork));
    let from_reader = || {
        let value = (info.decode_read)(&mut &bytes[..], bytes.len(), fork).ok()?;
        // Values of megabytes are hashed in the oracle's tests; here it would only take time.
        if bytes.len() < 1 << 20 {
            let _ = value.ssz_root(fork);
        }
        Some(value.ssz_bytes(fork))
    };
    // Layouts, which are worked out once and kept, are in memory after these.
    let accepted = read(bytes, fork, &from_bytes, info.name);
    let streamed = read(bytes, fork, &from_reader, info.name);
    assert_eq!(
        accepted,
        streamed,
        "{} at {fork}, from a reader: {}",
        info.name,
        show(bytes)
    );
    check_memory(bytes, fork, &|| drop((info.decode)(bytes, fork)), info.name);
    let from_reader = || drop((info.decode_read)(&mut &bytes[..], bytes.len(), fork));
    check_memory(bytes, fork, &from_reader, info.name);
}

/// A position in an input of `len` bytes, often near the front, where the offsets are.
fn position(rng: &mut Rng, len: usize) -> usize {
    let end = if rng.one_in(2) { len.min(600) } else { len };
    rng.below(end)
}

/// Calls `damage` with valid encodings, the default one first, and then new random ones.
fn with_seeds(info: &TypeInfo, fork: Fork, twin: Mirror, test: &str, mut damage: impl FnMut(&mut Rng, Vec<u8>)) {
    let mut rng = Rng::named(&format!("{test} {} {fork}", info.name));
    damage(&mut rng, (info.default)(fork).ssz_bytes(fork));
    for _ in 0..rounds_of(info, fork, ROUNDS) {
        let bytes = (twin.random)(&mut rng).bytes();
        damage(&mut rng, bytes);
    }
}

#[test]
fn single_bytes_changed() {
    for (info, fork, twin) in all() {
        with_seeds(info, fork, twin, "byte", |rng, mut bytes| {
            for _ in 0..4 {
                let at = position(rng, bytes.len());
                let before = bytes[at];
                bytes[at] = match rng.below(5) {
                    0 => before.wrapping_add(1),
                    1 => before.wrapping_sub(1),
                    2 => before ^ (1 << rng.below(8)),
                    3 => 0xff,
                    _ => rng.next() as u8,
                };
                check(info, fork, &bytes);
                bytes[at] = before;
            }
        });
    }
}

/// Where a word looks like an offset it becomes another one, at or around the edges.
#[test]
fn offsets_changed() {
    for (info, fork, twin) in all() {
        with_seeds(info, fork, twin, "offset", |rng, mut bytes| {
            let words = bytes.windows(4).take(4096).enumerate();
            let offsets: Vec<usize> = words
                .filter(|(_, word)| {
                    let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]) as usize;
                    word >= 4 && word <= bytes.len()
                })
                .map(|(at, _)| at)
                .collect();
            if offsets.is_empty() {
                return;
            }
            let at = offsets[rng.below(offsets.len())];
            let before = u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
            let len = bytes.len() as u32;
            let edges = [
                0,
                1,
                3,
                4,
                before - 4,
                before - 1,
                before + 1,
                before + 4,
                len - 1,
                len,
                len + 1,
                1 << 31,
                u32::MAX,
            ];
            let offset = edges[rng.below(edges.len())];
            bytes[at..at + 4].copy_from_slice(&offset.to_le_bytes());
            check(info, fork, &bytes);
        });
    }
}

#[test]
fn truncated_or_lengthened() {
    for (info, fork, twin) in all() {
        with_seeds(info, fork, twin, "length", |rng, mut bytes| {
            let short = position(rng, bytes.len());
            check(info, fork, &bytes[..short]);
            check(info, fork, &bytes[..bytes.len() - 1]);
            bytes.extend((0..=rng.below(40)).map(|_| rng.next() as u8));
            check(info, fork, &bytes);
        });
        check(info, fork, &[]);
    }
}

#[test]
fn random_bytes() {
    for (info, fork, _) in all() {
        let mut rng = Rng::named(&format!("noise {} {fork}", info.name));
        let smallest = (info.default)(fork).ssz_len(fork);
        for round in 0..rounds_of(info, fork, 4 * ROUNDS) {
            // Containers of one length are read from that length only.
            let len = if round % 2 == 0 {
                smallest
            } else {
                rng.below(smallest + 300)
            };
            rng.begin_value();
            let bytes = rng.bytes(len);
            check(info, fork, &bytes);
        }
    }
}

/// The cheapest items there are, four bytes of offset each: what memory they take is the bound's worst case.
#[test]
fn many_empty_transactions() {
    let info = find("ExecutionPayload").expect("a container");
    for fork in Fork::ALL.into_iter().filter(|fork| info.exists_at(*fork)) {
        let mut payload = ExecutionPayload::new(fork);
        for count in [1, 2, 3, 100, 10_000, 65_537] {
            payload.transactions = vec![ByteList::default(); count];
            let mut bytes = payload.encode(fork);
            check(info, fork, &bytes);
            bytes.push(0);
            check(info, fork, &bytes);
        }
    }
}

/// A sender that promises four gigabytes and delivers a few bytes gets no memory for the promise.
#[test]
fn a_promised_length_reserves_nothing() {
    for (info, fork, _) in all() {
        let bytes = (info.default)(fork).ssz_bytes(fork);
        let head = &bytes[..bytes.len().min(64)];
        for promised in [1 << 32, usize::MAX / 2] {
            let decode = || {
                let read = (info.decode_read)(&mut &head[..], promised, fork);
                assert!(
                    read.is_err(),
                    "{} at {fork} was read from {} bytes",
                    info.name,
                    head.len()
                );
            };
            decode();
            // Up to 64 KiB, one step of reading, are taken before anything has come.
            let peak = allocation_counter::measure(decode).bytes_max;
            assert!(peak <= 3 * 64 * 1024, "{} at {fork} took {peak} bytes", info.name);
        }
    }
}

/// Replaces a random part of `value` by something else.
fn damage_json(value: &mut Value, rng: &mut Rng) {
    let go_on = !rng.one_in(4);
    match value {
        Value::Array(items) if go_on && !items.is_empty() => {
            let index = rng.below(items.len());
            match rng.below(8) {
                0 => drop(items.remove(index)),
                1 => items.push(items[index].clone()),
                _ => damage_json(&mut items[index], rng),
            }
        }
        Value::Object(members) if go_on && !members.is_empty() => {
            let index = rng.below(members.len());
            let name = members.keys().nth(index).expect("the index is inside").clone();
            if rng.one_in(8) {
                members.remove(&name);
            } else if let Some(member) = members.get_mut(&name) {
                damage_json(member, rng);
            }
        }
        Value::String(text) if go_on && !text.is_empty() => {
            let at = rng.below(text.len());
            match rng.below(3) {
                0 => text.truncate(at),
                1 => text.insert(at, ['0', 'f', 'g', 'é', '-', ' '][rng.below(6)]),
                _ => text.push_str(&text.clone()[at..]),
            }
        }
        _ => {
            let others = [
                Value::Null,
                Value::Bool(true),
                Value::from(-1),
                Value::from(1.5),
                Value::from(u64::MAX),
                Value::from(""),
                Value::from("0x"),
                Value::from("0x01"),
                Value::from("99999999999999999999999999999999999999999999999999999999999999999999999999999999"),
                Value::Array(Vec::new()),
                Value::Object(serde_json::Map::new()),
            ];
            *value = others[rng.below(others.len())].clone();
        }
    }
}

/// Damaged JSON gives an error or a value that is one: it survives its own bytes.
#[test]
fn json_of_another_shape() {
    for (info, fork, twin) in all() {
        with_seeds(info, fork, twin, "json", |rng, bytes| {
            if bytes.len() > 1 << 20 {
                return;
            }
            let text = (info.decode)(&bytes, fork).expect("a valid encoding").json(fork);
            let whole: Value = serde_json::from_str(&text).expect("what we write is JSON");
            for _ in 0..3 {
                let mut value = whole.clone();
                damage_json(&mut value, rng);
                let read = catch_unwind(AssertUnwindSafe(|| (info.from_json)(&value, fork)));
                let read = read.unwrap_or_else(|_| panic!("{} at {fork} panicked on {value}", info.name));
                if let Ok(read) = read {
                    let bytes = read.ssz_bytes(fork);
                    let again = (info.decode)(&bytes, fork);
                    let again = again.unwrap_or_else(|error| panic!("{} at {fork}: {error} in {value}", info.name));
                    assert!(again.ssz_bytes(fork) == bytes, "{} at {fork}: {value}", info.name);
                }
            }
        });
    }
}

/// Text that is cut off or changed goes through the JSON parser into the same functions.
#[test]
fn json_text_changed() {
    for (info, fork, twin) in all() {
        with_seeds(info, fork, twin, "text", |rng, bytes| {
            if bytes.len() > 1 << 20 {
                return;
            }
            let mut text = (info.decode)(&bytes, fork).expect("a valid encoding").json(fork);
            let at = position(rng, text.len());
            if rng.one_in(4) {
                text.truncate(at);
            } else {
                let with = ["\"", "0", "f", "{", "}", "[", "]", ",", "x", "null"][rng.below(10)];
                text.replace_range(at..=at, with);
            }
            let read = || {
                let value = serde_json::from_str(&text).ok()?;
                Some((info.from_json)(&value, fork).ok()?.ssz_bytes(fork))
            };
            let read = catch_unwind(AssertUnwindSafe(read));
            let read = read.unwrap_or_else(|_| panic!("{} at {fork} panicked on {text}", info.name));
            if let Some(bytes) = read {
                assert!((info.decode)(&bytes, fork).is_ok(), "{} at {fork}: {text}", info.name);
            }
        });
    }
}
