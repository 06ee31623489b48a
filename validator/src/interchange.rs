//! The file in which clients hand each other what their keys have signed.
//!
//! Spec: EIP-3076, format version 5. The format does not say whether a history is complete or only its end, so a file is
//! always taken for the latter: nothing at or below its highest entries is signed any more ([`How::Minimal`]). Taken for
//! complete, the end of somebody else's history would allow all that lies between it and our own.

use crate::slashing_protection::{Entries, SignedAttestation, SignedBlock, SlashingProtection};
use anyhow::{Context, Result, anyhow, bail};
use consensus::ssz::Root;
use consensus::types::BLSPubkey;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

/// The version of the format, the only one in use since 2021.
pub const FORMAT_VERSION: &str = "5";
/// Largest file read, in bytes: two million entries. Clients write the end of a history, 1 kB a key, or some thousand
/// entries of 150 bytes.
pub const MAX_FILE_BYTES: u64 = 256 << 20;

/// A history of many keys of one network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interchange {
    /// The network.
    pub genesis_validators_root: Root,
    /// What each key signed; every key once.
    pub histories: Vec<(BLSPubkey, Entries)>,
}

/// How a history from a file is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// As the end of a history, of which the file may leave out all but the highest: nothing at or below is signed.
    Minimal,
    /// As the whole of a history: what contradicts no entry may be signed between them. Only for files that are known to
    /// be whole; no command does it.
    Complete,
}

#[derive(Serialize, Deserialize)]
struct File {
    metadata: Metadata,
    data: Vec<Validator>,
}

#[derive(Serialize, Deserialize)]
struct Metadata {
    interchange_format_version: String,
    genesis_validators_root: Text<Root>,
}

#[derive(Serialize, Deserialize)]
struct Validator {
    pubkey: Text<BLSPubkey>,
    signed_blocks: Vec<Block>,
    signed_attestations: Vec<Attestation>,
}

#[derive(Serialize, Deserialize)]
struct Block {
    slot: Text<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signing_root: Option<Text<Root>>,
}

#[derive(Serialize, Deserialize)]
struct Attestation {
    source_epoch: Text<u64>,
    target_epoch: Text<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signing_root: Option<Text<Root>>,
}

/// A value that the file has as a string.
struct Text<T>(T);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Text).map_err(serde::de::Error::custom)
    }
}

impl Interchange {
    /// Reads a file. Entries of a key that stands in it more than once are put together. Errors say what is wrong and
    /// where; nothing is believed of a file that is wrong in one place.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        if bytes.len() as u64 > MAX_FILE_BYTES {
            bail!("the file is longer than {MAX_FILE_BYTES} bytes; export fewer keys at a time, or a pruned history");
        }
        #[derive(Deserialize)]
        struct Head {
            metadata: Metadata,
        }
        // Before anything else: a file of another version has other fields, and their absence would explain nothing.
        let refused = |error: serde_json::Error| anyhow!("this is no slashing protection history (EIP-3076): {error}");
        let version = serde_json::from_slice::<Head>(bytes)
            .map_err(refused)?
            .metadata
            .interchange_format_version;
        if version != FORMAT_VERSION {
            bail!(
                "the history is in version {} of the format, known is {FORMAT_VERSION}: export it with a newer version \
                 of the client that wrote it",
                version.escape_debug()
            );
        }
        let file: File = serde_json::from_slice(bytes).map_err(refused)?;
        let mut histories: BTreeMap<BLSPubkey, Entries> = BTreeMap::new();
        for validator in file.data {
            let entries = histories.entry(validator.pubkey.0).or_default();
            entries
                .blocks
                .extend(validator.signed_blocks.into_iter().map(SignedBlock::from));
            entries
                .attestations
                .extend(validator.signed_attestations.into_iter().map(SignedAttestation::from));
        }
        Ok(Interchange {
            genesis_validators_root: file.metadata.genesis_validators_root.0,
            histories: histories.into_iter().collect(),
        })
    }

    /// The file.
    pub fn to_json(&self) -> String {
        let text = |root: Option<Root>| root.map(Text);
        let validator = |(pubkey, entries): &(BLSPubkey, Entries)| Validator {
            pubkey: Text(*pubkey),
            signed_blocks: entries
                .blocks
                .iter()
                .map(|signed| Block {
                    slot: Text(signed.slot),
                    signing_root: text(signed.signing_root),
                })
                .collect(),
            signed_attestations: entries
                .attestations
                .iter()
                .map(|signed| Attestation {
                    source_epoch: Text(signed.source),
                    target_epoch: Text(signed.target),
                    signing_root: text(signed.signing_root),
                })
                .collect(),
        };
        let file = File {
            metadata: Metadata {
                interchange_format_version: FORMAT_VERSION.into(),
                genesis_validators_root: Text(self.genesis_validators_root),
            },
            data: self.histories.iter().map(validator).collect(),
        };
        serde_json::to_string_pretty(&file).expect("strings and lists always have a JSON form")
    }

    /// Adds the history to the database, all of it or, on an error, nothing. Refuses that of another network.
    pub fn import_into(&self, database: &SlashingProtection, how: How) -> Result<()> {
        let (found, expected) = (self.genesis_validators_root, database.genesis_validators_root());
        if found != expected {
            bail!(
                "the history is of the network with genesis validators root {found}, the database of the one with \
                 {expected}: it is of no use here"
            );
        }
        match how {
            How::Minimal => database.merge_marks(&self.histories),
            How::Complete => database.merge_entries(&self.histories),
        }
        .context("the history was not imported")
    }

    /// What the database holds of these keys.
    pub fn export(database: &SlashingProtection, keys: &[BLSPubkey]) -> Result<Self> {
        let history = |key: &BLSPubkey| Ok((*key, database.entries(key)?));
        Ok(Interchange {
            genesis_validators_root: database.genesis_validators_root(),
            histories: keys.iter().map(history).collect::<Result<_>>()?,
        })
    }
}

impl From<Block> for SignedBlock {
    fn from(block: Block) -> Self {
        SignedBlock {
            slot: block.slot.0,
            signing_root: known(block.signing_root),
        }
    }
}

impl From<Attestation> for SignedAttestation {
    fn from(attestation: Attestation) -> Self {
        SignedAttestation {
            source: attestation.source_epoch.0,
            target: attestation.target_epoch.0,
            signing_root: known(attestation.signing_root),
        }
    }
}

/// Zero stands for "unknown" in some clients' files; taken for a root it would allow a repetition that is none.
fn known(root: Option<Text<Root>>) -> Option<Root> {
    root.map(|root| root.0).filter(|root| !root.is_zero())
}
