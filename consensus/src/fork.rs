//! The forks of the beacon chain as one ordered value.

use std::fmt;
use std::str::FromStr;

/// A fork of the beacon chain, ordered by time: a rule that a fork brings is written `if fork >= Fork::X`.
///
/// Names and order are those of the consensus-specs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // the variants are the spec's names
pub enum Fork {
    Phase0,
    Altair,
    Bellatrix,
    Capella,
    Deneb,
    Electra,
    Fulu,
    Gloas,
}

impl Fork {
    /// Every fork this version knows, in order.
    pub const ALL: [Fork; 8] = [
        Fork::Phase0,
        Fork::Altair,
        Fork::Bellatrix,
        Fork::Capella,
        Fork::Deneb,
        Fork::Electra,
        Fork::Fulu,
        Fork::Gloas,
    ];

    /// The lower-case name used in vectors, the Beacon API and `Eth-Consensus-Version`.
    pub fn name(self) -> &'static str {
        [
            "phase0",
            "altair",
            "bellatrix",
            "capella",
            "deneb",
            "electra",
            "fulu",
            "gloas",
        ][self as usize]
    }

    /// The fork after this one, if this version knows it.
    pub fn next(self) -> Option<Fork> {
        Fork::ALL.get(self as usize + 1).copied()
    }

    /// The fork before this one; `None` for phase0.
    pub fn previous(self) -> Option<Fork> {
        (self as usize).checked_sub(1).map(|i| Fork::ALL[i])
    }
}

impl fmt::Display for Fork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Fork {
    type Err = String;

    /// Reads a lower-case fork name; the error lists the known ones.
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Fork::ALL
            .into_iter()
            .find(|fork| fork.name() == s)
            .ok_or_else(|| format!("unknown fork '{s}'; known are {}", Fork::ALL.map(Fork::name).join(", ")))
    }
}
