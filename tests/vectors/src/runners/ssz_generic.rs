//! SSZ types that no container needs beside those that they do: the type is read from the name of the case.
//! Format: tests/formats/ssz_generic.

mod structs;
mod union;

use consensus::Fork;
use consensus::ssz::{BitList, BitVector, Bound, Json, List, Out, Ssz, SszError, U256, Vector};

use super::ssz_static::parse_json;
use crate::{Case, Failure, NamedRule, Outcome, Verdict};

pub(super) const HANDLERS: &[&str] = &[
    "basic_progressive_list",
    "basic_vector",
    "bitlist",
    "bitvector",
    "boolean",
    "compatible_unions",
    "containers",
    "progressive_bitlist",
    "progressive_containers",
    "uints",
];

/// The fork at which all these types are taken: their gaps in `active_fields` are fields that earlier forks had.
const FORK: Fork = Fork::Gloas;

const SERIALIZED: &str = "serialized.ssz_snappy";

impl NamedRule for SszError {
    fn rule(&self) -> String {
        self.rule.to_owned()
    }
}

pub(super) fn run(case: &Case) -> Outcome {
    let name = case.path().case();
    match case.path().handler() {
        "boolean" => check::<bool>(case, &[]),
        "uints" => uint(case, &format!("uint{}", part(name, 1)?)),
        "basic_vector" => vector(case, part(name, 1)?, Bound::Fixed(number(name, 2)?)),
        "basic_progressive_list" => progressive_list(case, part(name, 1)?),
        "bitlist" => check::<BitList>(case, &[Bound::Fixed(number(name, 1)?)]),
        "bitvector" => check::<BitVector>(case, &[Bound::Fixed(number(name, 1)?)]),
        "progressive_bitlist" => check::<BitList>(case, &[Bound::Progressive]),
        "containers" | "progressive_containers" => structs::run(case, part(name, 0)?),
        "compatible_unions" => union::run(case, part(name, 0)?),
        other => Err(Failure::new(format!("no code for handler '{other}'"))),
    }
}

/// A part of the case's name, which has the form `vec_uint16_8_random_0`.
fn part(name: &str, index: usize) -> Result<&str, Failure> {
    name.split('_')
        .nth(index)
        .ok_or_else(|| Failure::new(format!("the name '{name}' tells no type")))
}

fn number(name: &str, index: usize) -> Result<u64, Failure> {
    let text = part(name, index)?;
    text.parse()
        .map_err(|_| Failure::new(format!("'{text}' in the name of the case is no length")))
}

fn unknown(name: &str) -> Outcome {
    Err(Failure::new(format!("unknown type '{name}'")))
}

fn uint(case: &Case, name: &str) -> Outcome {
    match name {
        "uint8" => check::<u8>(case, &[]),
        "uint16" => check::<u16>(case, &[]),
        "uint32" => check::<u32>(case, &[]),
        "uint64" => check::<u64>(case, &[]),
        "uint128" => check::<u128>(case, &[]),
        "uint256" => check::<U256>(case, &[]),
        other => unknown(other),
    }
}

fn vector(case: &Case, element: &str, length: Bound) -> Outcome {
    let shape = &[length];
    match element {
        "bool" => check::<Vector<bool>>(case, shape),
        "uint8" => check::<Vector<u8>>(case, shape),
        "uint16" => check::<Vector<u16>>(case, shape),
        "uint32" => check::<Vector<u32>>(case, shape),
        "uint64" => check::<Vector<u64>>(case, shape),
        "uint128" => check::<Vector<u128>>(case, shape),
        "uint256" => check::<Vector<U256>>(case, shape),
        other => unknown(other),
    }
}

fn progressive_list(case: &Case, element: &str) -> Outcome {
    let shape = &[Bound::Progressive];
    match element {
        "bool" => check::<List<bool>>(case, shape),
        "uint8" => check::<List<u8>>(case, shape),
        "uint16" => check::<List<u16>>(case, shape),
        "uint32" => check::<List<u32>>(case, shape),
        "uint64" => check::<List<u64>>(case, shape),
        "uint128" => check::<List<u128>>(case, shape),
        "uint256" => check::<List<U256>>(case, shape),
        other => unknown(other),
    }
}

/// Runs a case of a known type: an invalid one must be refused, a valid one must agree in bytes, root and value.
fn check<T: Ssz + Json>(case: &Case, shape: &[Bound]) -> Outcome {
    let bytes = case.ssz(SERIALIZED)?;
    let valid = match case.path().suite() {
        "valid" => true,
        "invalid" => false,
        other => return Err(Failure::new(format!("unknown suite '{other}'"))),
    };
    let decoded = T::decode_from(&bytes, FORK, shape);
    let Some(value) = case.expect_validity("decoding", valid, decoded)? else {
        return Ok(Verdict::Refused);
    };
    case.expect_ssz("encoding", SERIALIZED, &encode(&value, shape))?;
    case.expect_text("root", case.meta()?.get("root")?, &value.root(FORK, shape).to_string())?;
    let mut json = Out::memory(bytes.len());
    value.write_json(FORK, shape, &mut json);
    let json = String::from_utf8(json.into_bytes()).map_err(|error| Failure::new(format!("JSON: {error}")))?;
    let json = parse_json(&json)?;
    case.expect_yaml("value", &*case.yaml("value.yaml")?, &json)?;
    let back = T::from_json(&json, FORK, shape).map_err(|error| Failure::new(format!("JSON read back: {error}")))?;
    case.expect_ssz("encoding of the value", SERIALIZED, &encode(&back, shape))?;
    Ok(Verdict::Valid)
}

fn encode<T: Ssz>(value: &T, shape: &[Bound]) -> Vec<u8> {
    let mut out = Out::memory(value.encoded_len(FORK, shape));
    value.encode_to(FORK, shape, &mut out);
    out.into_bytes()
}
