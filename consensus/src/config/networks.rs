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

/// The public networks and the roots of their genesis validators, by which histories and signatures tell them apart.
pub const PUBLIC_NETWORKS: [(&str, Root); 3] = [
    (
        "mainnet",
        root("4b363db94e286120d76eb905340fdd4e54bfe9f06bf33ff6cf5ad27f511bfe95"),
    ),
    (
        "sepolia",
        root("d8ea171f3c94aea21ebc42a1ed61052acf3f9209c00e4efbaaddac09ed9b8078"),
    ),
    (
        "hoodi",
        root("212f13fc4df078b6cb7db228f1c8307566dcecf900867401a92023d7ba99cb5f"),
    ),
];

/// Reads the hex of a constant; anything else does not compile.
const fn root(hex: &str) -> Root {
    const fn digit(byte: u8) -> u8 {
        match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => panic!("a root is written in small hex digits"),
        }
    }
    let (text, mut bytes, mut at) = (hex.as_bytes(), [0; 32], 0);
    assert!(text.len() == 64, "a root has 64 hex digits");
    while at < 32 {
        bytes[at] = digit(text[2 * at]) << 4 | digit(text[2 * at + 1]);
        at += 1;
    }
    Bytes(bytes)
}

/// The name of the public network with this genesis, if it is one: what is only for local networks is refused there.
pub fn public_network(genesis_validators_root: &Root) -> Option<&'static str> {
    let network = PUBLIC_NETWORKS.iter().find(|(_, root)| root == genesis_validators_root);
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
