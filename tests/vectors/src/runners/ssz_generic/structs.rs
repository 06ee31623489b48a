//! The structures that the cases name, as the format's README declares them.
//!
//! A 0 in `active_fields` is a field of forks before the one at which the cases are taken (`Phase0..Altair`), which is
//! how `container!` tells a removed field.
#![allow(unreachable_pub)] // `container!` declares what other crates use
#![allow(non_snake_case)] // fields are called A, B, C

use consensus::container;
use consensus::ssz::{BitList, BitVector, ByteList, List, Vector};

use super::{check, unknown};
use crate::{Case, Outcome};

/// Runs a case of the structure of that name.
pub(super) fn run(case: &Case, name: &str) -> Outcome {
    match name {
        "SingleFieldTestStruct" => check::<SingleFieldTestStruct>(case, &[]),
        "SmallTestStruct" => check::<SmallTestStruct>(case, &[]),
        "FixedTestStruct" => check::<FixedTestStruct>(case, &[]),
        "VarTestStruct" => check::<VarTestStruct>(case, &[]),
        "ComplexTestStruct" => check::<ComplexTestStruct>(case, &[]),
        "ProgressiveTestStruct" => check::<ProgressiveTestStruct>(case, &[]),
        "BitsStruct" => check::<BitsStruct>(case, &[]),
        "ProgressiveBitsStruct" => check::<ProgressiveBitsStruct>(case, &[]),
        "ProgressiveSingleFieldContainerTestStruct" => check::<ProgressiveSingleFieldContainerTestStruct>(case, &[]),
        "ProgressiveSingleListContainerTestStruct" => check::<ProgressiveSingleListContainerTestStruct>(case, &[]),
        "ProgressiveVarTestStruct" => check::<ProgressiveVarTestStruct>(case, &[]),
        "ProgressiveComplexTestStruct" => check::<ProgressiveComplexTestStruct>(case, &[]),
        other => unknown(other),
    }
}

container! {
    /// `SingleFieldTestStruct`
    pub struct SingleFieldTestStruct {
        A: u8,
    }

    /// `SmallTestStruct`
    pub struct SmallTestStruct {
        A: u16,
        B: u16,
    }

    /// `FixedTestStruct`
    pub struct FixedTestStruct {
        A: u8,
        B: u64,
        C: u32,
    }

    /// `VarTestStruct`
    pub struct VarTestStruct {
        A: u16,
        B: List<u16> [1024],
        C: u8,
    }

    /// `ComplexTestStruct`
    pub struct ComplexTestStruct {
        A: u16,
        B: List<u16> [128],
        C: u8,
        D: ByteList [256],
        E: VarTestStruct,
        F: Vector<FixedTestStruct> [4],
        G: Vector<VarTestStruct> [2],
    }

    /// `ProgressiveTestStruct`
    pub struct ProgressiveTestStruct {
        A: List<u8> [progressive],
        B: List<u64> [progressive],
        C: List<SmallTestStruct> [progressive],
        D: List<List<VarTestStruct>> [progressive / progressive],
    }

    /// `BitsStruct`
    pub struct BitsStruct {
        A: BitList [5],
        B: BitVector [2],
        C: BitVector [1],
        D: BitList [6],
        E: BitVector [8],
    }

    /// `ProgressiveBitsStruct`
    pub struct ProgressiveBitsStruct {
        A: BitVector [256],
        B: BitList [256],
        C: BitList [progressive],
        D: BitVector [257],
        E: BitList [257],
        F: BitList [progressive],
        G: BitVector [1280],
        H: BitList [1280],
        I: BitList [progressive],
        J: BitVector [1281],
        K: BitList [1281],
        L: BitList [progressive],
    }

    /// `ProgressiveSingleFieldContainerTestStruct`: `active_fields=[1]`
    progressive Phase0..;
    pub struct ProgressiveSingleFieldContainerTestStruct {
        A: u8,
    }

    /// `ProgressiveSingleListContainerTestStruct`: `active_fields=[0, 0, 0, 0, 1]`
    progressive Phase0..;
    pub struct ProgressiveSingleListContainerTestStruct {
        gap_0: u8 => Phase0..Altair,
        gap_1: u8 => Phase0..Altair,
        gap_2: u8 => Phase0..Altair,
        gap_3: u8 => Phase0..Altair,
        C: BitList [progressive],
    }

    /// `ProgressiveVarTestStruct`: `active_fields=[1, 0, 1, 0, 1]`
    progressive Phase0..;
    pub struct ProgressiveVarTestStruct {
        A: u8,
        gap_1: u8 => Phase0..Altair,
        B: List<u16> [123],
        gap_3: u8 => Phase0..Altair,
        C: BitList [progressive],
    }

    /// `ProgressiveComplexTestStruct`: `active_fields=[1, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1]`
    progressive Phase0..;
    pub struct ProgressiveComplexTestStruct {
        A: u8,
        gap_1: u8 => Phase0..Altair,
        B: List<u16> [123],
        gap_3: u8 => Phase0..Altair,
        C: BitList [progressive],
        gap_5: u8 => Phase0..Altair,
        gap_6: u8 => Phase0..Altair,
        gap_7: u8 => Phase0..Altair,
        D: List<u64> [progressive],
        gap_9: u8 => Phase0..Altair,
        gap_10: u8 => Phase0..Altair,
        gap_11: u8 => Phase0..Altair,
        E: List<SmallTestStruct> [progressive],
        F: List<List<VarTestStruct>> [progressive / progressive],
        gap_14: u8 => Phase0..Altair,
        gap_15: u8 => Phase0..Altair,
        gap_16: u8 => Phase0..Altair,
        gap_17: u8 => Phase0..Altair,
        gap_18: u8 => Phase0..Altair,
        gap_19: u8 => Phase0..Altair,
        G: List<ProgressiveSingleFieldContainerTestStruct> [10],
        H: List<ProgressiveVarTestStruct> [progressive],
    }
}
