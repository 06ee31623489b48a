//! Any bytes as a node record, and any entries in a well signed one: see the function, which the node's tests call too.
#![no_main]

#[path = "../../../node/tests/decoders/enr.rs"]
mod decoder;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    decoder::check(data);
});
