//! Arithmetic whose overflow makes a transition invalid rather than a panic.

use crate::Invalid;

/// Largest `x` with `x * x <= n`. Spec: phase0/beacon-chain.md, `integer_squareroot`.
pub fn integer_squareroot(n: u64) -> u64 {
    n.isqrt()
}

/// `a + b`; overflow is invalid.
pub fn add(a: u64, b: u64) -> Result<u64, Invalid> {
    a.checked_add(b).ok_or_else(|| overflow(a, "+", b))
}

/// `a - b`; underflow is invalid.
pub fn sub(a: u64, b: u64) -> Result<u64, Invalid> {
    a.checked_sub(b).ok_or_else(|| overflow(a, "-", b))
}

/// `a * b`; overflow is invalid.
pub fn mul(a: u64, b: u64) -> Result<u64, Invalid> {
    a.checked_mul(b).ok_or_else(|| overflow(a, "*", b))
}

/// `a / b`; division by zero is invalid.
pub fn div(a: u64, b: u64) -> Result<u64, Invalid> {
    a.checked_div(b).ok_or_else(|| overflow(a, "/", b))
}

fn overflow(a: u64, operator: &str, b: u64) -> Invalid {
    Invalid::new("arithmetic overflow", format!("{a} {operator} {b}"))
}
