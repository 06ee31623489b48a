//! `CompatibleUnion` (EIP-8016). No container of the consensus protocol has one, so it lives beside its only user.
//!
//! Spec: ssz/simple-serialize.md, "Unions": one byte that selects the type, then the value; the root mixes the selector
//! into the value's root.

use consensus::Fork;
use consensus::ssz::{Bound, Json, JsonError, Out, Root, Ssz, SszError};
use crypto::hash::hash2;
use serde_json::Value;

use super::structs::{
    ProgressiveSingleFieldContainerTestStruct, ProgressiveSingleListContainerTestStruct, ProgressiveVarTestStruct,
};
use super::{check, unknown};
use crate::{Case, Outcome};

/// Runs a case of the union of that name.
pub(super) fn run(case: &Case, name: &str) -> Outcome {
    match name {
        "CompatibleUnionA" => check::<CompatibleUnionA>(case, &[]),
        "CompatibleUnionBC" => check::<CompatibleUnionBC>(case, &[]),
        "CompatibleUnionABCA" => check::<CompatibleUnionABCA>(case, &[]),
        other => unknown(other),
    }
}

/// Declares a union: a variant for each selector with the type of its value.
macro_rules! compatible_union {
    ($name:ident { $first:literal => $first_variant:ident($first_type:ty) $(, $selector:literal => $variant:ident($type:ty))* }) => {
        #[derive(Clone, Debug, PartialEq)]
        enum $name {
            $first_variant($first_type),
            $($variant($type),)*
        }

        impl Ssz for $name {
            const BASIC_LEN: usize = 0;

            fn fixed_len(_: Fork, _: &[Bound]) -> Option<usize> {
                None
            }

            fn encoded_len(&self, fork: Fork, _: &[Bound]) -> usize {
                1 + match self {
                    Self::$first_variant(value) => value.encoded_len(fork, &[]),
                    $(Self::$variant(value) => value.encoded_len(fork, &[]),)*
                }
            }

            fn encode_to(&self, fork: Fork, _: &[Bound], out: &mut Out) {
                match self {
                    Self::$first_variant(value) => {
                        out.put(&[$first]);
                        value.encode_to(fork, &[], out);
                    }
                    $(Self::$variant(value) => {
                        out.put(&[$selector]);
                        value.encode_to(fork, &[], out);
                    })*
                }
            }

            fn decode_from(bytes: &[u8], fork: Fork, _: &[Bound]) -> Result<Self, SszError> {
                let Some((selector, rest)) = bytes.split_first() else {
                    return Err(SszError::new(SszError::LENGTH, "no byte for the selector"));
                };
                match selector {
                    $first => Ok(Self::$first_variant(<$first_type>::decode_from(rest, fork, &[])?)),
                    $($selector => Ok(Self::$variant(<$type>::decode_from(rest, fork, &[])?)),)*
                    other => Err(SszError::new(SszError::SELECTOR, format!("no type has the selector {other}"))),
                }
            }

            fn root(&self, fork: Fork, _: &[Bound]) -> Root {
                match self {
                    Self::$first_variant(value) => mix_in_selector(value.root(fork, &[]), $first),
                    $(Self::$variant(value) => mix_in_selector(value.root(fork, &[]), $selector),)*
                }
            }

            fn default_for(fork: Fork, _: &[Bound]) -> Self {
                Self::$first_variant(<$first_type>::default_for(fork, &[]))
            }
        }

        impl Json for $name {
            fn write_json(&self, fork: Fork, _: &[Bound], out: &mut Out) {
                match self {
                    Self::$first_variant(value) => write_json($first, value, fork, out),
                    $(Self::$variant(value) => write_json($selector, value, fork, out),)*
                }
            }

            fn from_json(value: &Value, fork: Fork, _: &[Bound]) -> Result<Self, JsonError> {
                let (selector, data) = read_json(value)?;
                match selector {
                    $first => Ok(Self::$first_variant(<$first_type>::from_json(data, fork, &[])?)),
                    $($selector => Ok(Self::$variant(<$type>::from_json(data, fork, &[])?)),)*
                    other => Err(JsonError::new(format!("no type has the selector {other}"))),
                }
            }
        }
    };
}

compatible_union!(CompatibleUnionA { 1 => A(ProgressiveSingleFieldContainerTestStruct) });

compatible_union!(CompatibleUnionBC {
    2 => B(ProgressiveSingleListContainerTestStruct),
    3 => C(ProgressiveVarTestStruct)
});

compatible_union!(CompatibleUnionABCA {
    1 => A(ProgressiveSingleFieldContainerTestStruct),
    2 => B(ProgressiveSingleListContainerTestStruct),
    3 => C(ProgressiveVarTestStruct),
    4 => A2(ProgressiveSingleFieldContainerTestStruct)
});

/// Spec: `mix_in_selector`.
fn mix_in_selector(root: Root, selector: u8) -> Root {
    let mut chunk = [0; 32];
    chunk[0] = selector;
    hash2(&root.0, &chunk).into()
}

fn write_json(selector: u8, value: &impl Json, fork: Fork, out: &mut Out) {
    out.put(format!("{{\"selector\":\"{selector}\",\"data\":").as_bytes());
    value.write_json(fork, &[], out);
    out.put(b"}");
}

fn read_json(value: &Value) -> Result<(u8, &Value), JsonError> {
    let member = |name: &str| {
        value
            .get(name)
            .ok_or_else(|| JsonError::new(format!("field '{name}' is missing")))
    };
    Ok((u8::from_json(member("selector")?, Fork::Phase0, &[])?, member("data")?))
}
