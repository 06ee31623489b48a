//! Any bytes as a request or an answer of any protocol: see the function, which the node's tests call too.
#![no_main]

#[path = "../../../node/tests/decoders/reqresp.rs"]
mod decoder;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    decoder::check(data);
});
