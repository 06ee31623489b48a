//! The `wren` binary: every command an operator types, thin over the libraries.
#![forbid(unsafe_code)]

fn main() {}
