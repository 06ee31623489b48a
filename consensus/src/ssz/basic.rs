//! Unsigned integers and booleans.

use super::items::check_len;
use super::{Bound, Bytes, Json, JsonError, Out, Root, Ssz, SszError};
use crate::fork::Fork;
use crypto::hash::Hash256;

/// The spec's `Uint256`.
pub type U256 = ruint::aliases::U256;

macro_rules! basic {
    ($($type:ty, $len:literal, $to_bytes:expr, $from_bytes:expr, $zero:expr;)*) => {$(
        impl Ssz for $type {
            const BASIC_LEN: usize = $len;

            #[inline]
            fn fixed_len(_: Fork, _: &[Bound]) -> Option<usize> {
                Some($len)
            }

            #[inline]
            fn encoded_len(&self, _: Fork, _: &[Bound]) -> usize {
                $len
            }

            #[inline]
            fn encode_to(&self, _: Fork, _: &[Bound], out: &mut Out) {
                let bytes: [u8; $len] = $to_bytes(*self);
                out.put(&bytes);
            }

            #[inline]
            fn decode_from(bytes: &[u8], _: Fork, _: &[Bound]) -> Result<Self, SszError> {
                let array: [u8; $len] = match bytes.try_into() {
                    Ok(array) => array,
                    Err(_) => return Err(wrong_len(bytes.len(), $len)),
                };
                $from_bytes(array)
            }

            #[inline]
            fn root(&self, _: Fork, _: &[Bound]) -> Root {
                let mut chunk = [0; 32];
                self.write_basic(&mut chunk[..$len]);
                Bytes(chunk)
            }

            fn default_for(_: Fork, _: &[Bound]) -> Self {
                $zero
            }

            #[inline]
            fn write_roots(items: &[&Self], _: Fork, _: &[Bound], out: &mut [Hash256], stride: usize) {
                for (item, chunk) in items.iter().zip(out.iter_mut().step_by(stride)) {
                    *chunk = [0; 32];
                    item.write_basic(&mut chunk[..$len]);
                }
            }

            #[inline]
            fn write_basic(&self, out: &mut [u8]) {
                let bytes: [u8; $len] = $to_bytes(*self);
                out.copy_from_slice(&bytes);
            }
        }
    )*};
}

basic! {
    u8, 1, u8::to_le_bytes, |array| Ok(u8::from_le_bytes(array)), 0;
    u16, 2, u16::to_le_bytes, |array| Ok(u16::from_le_bytes(array)), 0;
    u32, 4, u32::to_le_bytes, |array| Ok(u32::from_le_bytes(array)), 0;
    u64, 8, u64::to_le_bytes, |array| Ok(u64::from_le_bytes(array)), 0;
    u128, 16, u128::to_le_bytes, |array| Ok(u128::from_le_bytes(array)), 0;
    U256, 32, |value: U256| value.to_le_bytes::<32>(), |array| Ok(U256::from_le_bytes::<32>(array)), U256::ZERO;
    bool, 1, |value| [u8::from(value)], decode_bool, false;
}

/// The length error of integers, out of line to keep the way of valid input short.
#[cold]
fn wrong_len(found: usize, expected: usize) -> SszError {
    check_len(found, expected)
        .err()
        .unwrap_or_else(|| SszError::new(SszError::LENGTH, ""))
}

fn decode_bool(array: [u8; 1]) -> Result<bool, SszError> {
    match array[0] {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(SszError::new(
            SszError::BOOLEAN,
            format!("0x{other:02x} is neither 0 nor 1"),
        )),
    }
}

macro_rules! quoted_integers {
    ($($type:ty),*) => {$(
        /// A decimal string, as the Beacon API has every integer.
        impl Json for $type {
            fn write_json(&self, _: Fork, _: &[Bound], out: &mut Out) {
                out.put(format!("\"{self}\"").as_bytes());
            }

            fn from_json(value: &serde_json::Value, _: Fork, _: &[Bound]) -> Result<Self, JsonError> {
                let what = concat!("a quoted ", stringify!($type));
                let text = value.as_str().ok_or_else(|| JsonError::expected(what, value))?;
                // Only digits: Rust would also read a plus sign, and ruint other bases and underscores.
                if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(JsonError::expected(what, value));
                }
                text.parse().map_err(|_| JsonError::expected(what, value))
            }
        }
    )*};
}

quoted_integers!(u8, u16, u32, u64, u128, U256);

impl Json for bool {
    fn write_json(&self, _: Fork, _: &[Bound], out: &mut Out) {
        out.put(if *self { b"true" } else { b"false" });
    }

    fn from_json(value: &serde_json::Value, _: Fork, _: &[Bound]) -> Result<Self, JsonError> {
        value
            .as_bool()
            .ok_or_else(|| JsonError::expected("true or false", value))
    }
}
