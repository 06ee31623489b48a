//! The networks that are built in.
//!
//! Each file holds only what differs from the preset's standard config, so that what a network decided is seen at once
//! and a new field needs no line in four files.

use super::{Config, ConfigError};

/// The built-in networks: the name an operator gives, and what differs from the standard config.
pub const NETWORKS: [(&str, &str); 4] = [
    ("mainnet", include_str!("networks/mainnet.yaml")),
    ("sepolia", include_str!("networks/sepolia.yaml")),
    ("hoodi", include_str!("networks/hoodi.yaml")),
    ("devnet", include_str!("networks/devnet.yaml")),
];

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
