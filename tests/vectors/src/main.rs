//! Runs the consensus-spec test vectors.
#![forbid(unsafe_code)]

fn main() {}
