//! Execution addresses and the checksum in their capital letters.
//!
//! Spec: EIP-55.

use anyhow::{Result, anyhow, bail};
use consensus::ssz::Bytes;
use consensus::types::ExecutionAddress;
use sha3::{Digest, Keccak256};

/// Reads an address. In letters of both cases its checksum must be right; in letters of one case it has none.
pub fn parse_address(text: &str) -> Result<ExecutionAddress> {
    let shape = || {
        anyhow!(
            "'{}' is no address: 0x and 40 hex digits",
            text.chars().take(60).collect::<String>().escape_debug()
        )
    };
    let digits = text.strip_prefix("0x").ok_or_else(shape)?;
    let address: ExecutionAddress = format!("0x{}", digits.to_ascii_lowercase())
        .parse()
        .map_err(|_| shape())?;
    let letters = || digits.bytes().filter(u8::is_ascii_alphabetic);
    let has_checksum =
        letters().any(|letter| letter.is_ascii_uppercase()) && letters().any(|letter| letter.is_ascii_lowercase());
    let right = to_checksum(&address);
    if has_checksum && right != text {
        bail!("the checksum of {text} is wrong: a digit or a letter's case is mistyped. Copy the address again");
    }
    Ok(address)
}

/// The address with its checksum.
pub fn to_checksum(address: &ExecutionAddress) -> String {
    let digits = Bytes(address.0).to_string();
    let digits = digits.trim_start_matches("0x");
    let hash = Keccak256::digest(digits.as_bytes());
    let nibble = |at: usize| {
        if at.is_multiple_of(2) {
            hash[at / 2] >> 4
        } else {
            hash[at / 2] & 15
        }
    };
    let letter = |(at, letter): (usize, char)| {
        if nibble(at) >= 8 {
            letter.to_ascii_uppercase()
        } else {
            letter
        }
    };
    let mixed: String = digits.chars().enumerate().map(letter).collect();
    format!("0x{mixed}")
}
