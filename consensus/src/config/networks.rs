//! The networks that are built in.
//!
//! Each file holds only what differs from the preset's standard config, so that what a network decided is seen at once
//! and a new field needs no line in four files.

use super::{Config, ConfigError};
use crate::ssz::{Bytes, Root};

/// The built-in networks: the name an operator gives, and what differs from the standard config.
pub const NETWORKS: [(&str, &str); 4] = [
    ("mainnet", include_str!("networks/mainnet.yaml")),
    ("sepolia", include_str!("networks/sepolia.yaml")),
    ("hoodi", include_str!("networks/hoodi.yaml")),
    ("devnet", include_str!("networks/devnet.yaml")),
];

/// The public networks by the roots of their genesis validators, which signatures are bound to.
const PUBLIC: [(&str, Root); 3] = [
    (
        "mainnet",
        Bytes([
            0x4b, 0x36, 0x3d, 0xb9, 0x4e, 0x28, 0x61, 0x20, 0xd7, 0x6e, 0xb9, 0x05, 0x34, 0x0f, 0xdd, 0x4e, 0x54, 0xbf,
            0xe9, 0xf0, 0x6b, 0xf3, 0x3f, 0xf6, 0xcf, 0x5a, 0xd2, 0x7f, 0x51, 0x1b, 0xfe, 0x95,
        ]),
    ),
    (
        "sepolia",
        Bytes([
            0xd8, 0xea, 0x17, 0x1f, 0x3c, 0x94, 0xae, 0xa2, 0x1e, 0xbc, 0x42, 0xa1, 0xed, 0x61, 0x05, 0x2a, 0xcf, 0x3f,
            0x92, 0x09, 0xc0, 0x0e, 0x4e, 0xfb, 0xaa, 0xdd, 0xac, 0x09, 0xed, 0x9b, 0x80, 0x78,
        ]),
    ),
    (
        "hoodi",
        Bytes([
            0x21, 0x2f, 0x13, 0xfc, 0x4d, 0xf0, 0x78, 0xb6, 0xcb, 0x7d, 0xb2, 0x28, 0xf1, 0xc8, 0x30, 0x75, 0x66, 0xdc,
            0xec, 0xf9, 0x00, 0x86, 0x74, 0x01, 0xa9, 0x20, 0x23, 0xd7, 0xba, 0x99, 0xcb, 0x5f,
        ]),
    ),
];

/// The name of the public network with this genesis, if it is one: what is only for local networks is refused there.
pub fn public_network(genesis_validators_root: &Root) -> Option<&'static str> {
    let network = PUBLIC.iter().find(|(_, root)| root == genesis_validators_root);
    network.map(|(name, _)| *name)
}

impl Config {
    /// The config of a built-in network. Fails for an unknown name, and for a network of another preset than this
    /// program is compiled for.
    pub fn network(name: &str) -> Result<Self, ConfigError> {
        let Some((_, differences)) = NETWORKS.iter().find(|(known, _)| *known == name) else {
            let known = NETWORKS.map(|(known, _)| known).join(", ");
            return Err(ConfigError(format!(
                "there is no built-in network '{}': known are {known}",
                name.escape_debug()
            )));
        };
        let mut config = Config::standard();
        config
            .read(differences)
            .and_then(|_| config.check())
            .map_err(|error| ConfigError(format!("the built-in network {name}: {error}")))?;
        Ok(config)
    }
}
