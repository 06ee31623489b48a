//! The accounts that an execution chain of today has from its first block on: contracts that the protocol itself calls.
//!
//! The dev engine runs none of them, but a real execution client on the same genesis does, and finds blocks of Electra
//! invalid where they are missing. So they stand in the genesis of every local network, and their root is its state root.
//!
//! Spec: EIP-4788, EIP-2935, EIP-7002, EIP-7251 (address and code of each).

use crate::execution::header::EMPTY_TRIE_ROOT;
use crate::execution::rlp::{list, number, string};
use crate::execution::trie::{keccak256, trie_root};
use consensus::types::Hash32;
use std::sync::LazyLock;

/// A contract of the protocol.
#[derive(Clone, Copy, Debug)]
pub struct SystemContract {
    /// Its address, in hex.
    pub address: &'static str,
    /// Its code, in hex.
    pub code: &'static str,
}

/// The contracts, which keep: the beacon chain's roots, earlier block hashes, requests of withdrawals and of
/// consolidations.
pub const SYSTEM_CONTRACTS: [SystemContract; 4] = [
    SystemContract {
        address: "0x000f3df6d732807ef1319fb7b8bb8522d0beac02",
        code: "0x3373fffffffffffffffffffffffffffffffffffffffe14604d57602036146024575f5ffd5b5f35801560495762001f\
               ff810690815414603c575f5ffd5b62001fff01545f5260205ff35b5f5ffd5b62001fff42064281555f359062001fff01\
               5500",
    },
    SystemContract {
        address: "0x0000f90827f1c53a10cb7a02335b175320002935",
        code: "0x3373fffffffffffffffffffffffffffffffffffffffe14604657602036036042575f35600143038111604257611fff\
               81430311604257611fff9006545f5260205ff35b5f5ffd5b5f35611fff60014303065500",
    },
    SystemContract {
        address: "0x00000961ef480eb55e80d19ad83579a64c007002",
        code: "0x3373fffffffffffffffffffffffffffffffffffffffe1460cb5760115f54807fffffffffffffffffffffffffffffff\
               ffffffffffffffffffffffffffffffffff146101f457600182026001905f5b5f82111560685781019083028483029004\
               916001019190604d565b909390049250505036603814608857366101f457346101f4575f5260205ff35b34106101f457\
               600154600101600155600354806003026004013381556001015f35815560010160203590553360601b5f5260385f6014\
               37604c5fa0600101600355005b6003546002548082038060101160df575060105b5f5b81811461018357828101600302\
               60040181604c02815460601b8152601401816001015481526020019060020154807fffffffffffffffffffffffffffff\
               ffff00000000000000000000000000000000168252906010019060401c908160381c81600701538160301c8160060153\
               8160281c81600501538160201c81600401538160181c81600301538160101c81600201538160081c8160010153536001\
               0160e1565b910180921461019557906002556101a0565b90505f6002555f6003555b5f54807fffffffffffffffffffff\
               ffffffffffffffffffffffffffffffffffffffffffff14156101cd57505f5b6001546002828201116101e25750505f61\
               01e8565b01600290035b5f555f600155604c025ff35b5f5ffd",
    },
    SystemContract {
        address: "0x0000bbddc7ce488642fb579f8b00f3a590007251",
        code: "0x3373fffffffffffffffffffffffffffffffffffffffe1460d35760115f54807fffffffffffffffffffffffffffffff\
               ffffffffffffffffffffffffffffffffff1461019a57600182026001905f5b5f82111560685781019083028483029004\
               916001019190604d565b9093900492505050366060146088573661019a573461019a575f5260205ff35b341061019a57\
               600154600101600155600354806004026004013381556001015f35815560010160203581556001016040359055336060\
               1b5f5260605f60143760745fa0600101600355005b6003546002548082038060021160e7575060025b5f5b8181146101\
               295782810160040260040181607402815460601b81526014018160010154815260200181600201548152602001906003\
               0154905260010160e9565b910180921461013b5790600255610146565b90505f6002555f6003555b5f54807fffffffff\
               ffffffffffffffffffffffffffffffffffffffffffffffffffffffff141561017357505f5b6001546001828201116101\
               885750505f61018e565b01600190035b5f555f6001556074025ff35b5f5ffd",
    },
];

/// The root of the accounts of a genesis.
pub(crate) fn state_root() -> Hash32 {
    static ROOT: LazyLock<Hash32> = LazyLock::new(|| {
        let accounts: Vec<(Vec<u8>, Vec<u8>)> = SYSTEM_CONTRACTS.iter().map(account).collect();
        trie_root(accounts.iter().map(|(key, account)| (key.clone(), account.as_slice())))
    });
    *ROOT
}

/// The key of a contract in the trie of accounts, and its account: nonce 1, nothing owned, nothing stored.
fn account(contract: &SystemContract) -> (Vec<u8>, Vec<u8>) {
    let key = keccak256(&from_hex(contract.address));
    let code_hash = keccak256(&from_hex(contract.code));
    let account = list(&[number(1), number(0), string(&EMPTY_TRIE_ROOT.0), string(&code_hash.0)]);
    (key.0.to_vec(), account)
}

/// Bytes of one of the constants above.
fn from_hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().get(2..).unwrap_or_default().chunks_exact(2);
    let digit = |byte: u8| char::from(byte).to_digit(16).map_or(0, |digit| digit as u8);
    digits.map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hashes of the two oldest contracts' code as explorers of public chains show them.
    #[test]
    fn the_code_is_that_of_public_chains() {
        let hash = |place: usize| keccak256(&from_hex(SYSTEM_CONTRACTS[place].code)).to_string();
        assert_eq!(
            hash(0),
            "0xf57acd40259872606d76197ef052f3d35588dadf919ee1f0e3cb9b62d3f4b02c"
        );
        assert_eq!(
            hash(1),
            "0x6e49e66782037c0555897870e29fa5e552daf4719552131a0abce779daec0a5d"
        );
        let whole = |contract: &SystemContract| {
            let is_hex = |text: &str| text.bytes().skip(2).all(|byte| byte.is_ascii_hexdigit());
            is_hex(contract.code) && contract.code.len().is_multiple_of(2) && contract.address.len() == 42
        };
        assert!(SYSTEM_CONTRACTS.iter().all(whole));
    }
}
