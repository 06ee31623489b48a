//! Any bytes as a message of any topic, and any text as a topic: see the function, which the node's tests call too.
#![no_main]

#[path = "../../../node/tests/decoders/gossip.rs"]
mod decoder;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    decoder::check(data);
});
