//! What an operator sets per key: where fees go, how large blocks may be, what is written on them.
//!
//! ```toml
//! [default]
//! fee_recipient = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
//! graffiti = "on a Raspberry Pi"
//!
//! ["0x8b7b…"]        # one key
//! gas_limit = 60000000
//! builder = true
//! builder_boost_factor = 90
//!
//! ["0x9a01…"]        # a key that a remote signer has
//! remote_signer = "https://signer.example:9000"
//! ```
//!
//! What a key leaves out it takes from `default`. A name or a value that is not understood is an error: a setting that is
//! passed over is one that the operator believes in.

mod address;
mod edit;

#[cfg(test)]
mod tests;

pub use address::{parse_address, to_checksum};
pub use edit::{Change, edit};

use crate::beacon::NodeUrl;
use crate::files;
use anyhow::{Context, Result, anyhow, bail};
use consensus::ssz::Bytes;
use consensus::types::{BLSPubkey, Bytes32, ExecutionAddress};
use std::collections::BTreeMap;
use std::path::Path;
use toml_edit::{DocumentMut, Item, TableLike};

/// The name of the file in the folder of the validator client.
pub const FILE_NAME: &str = "validators.toml";
/// Largest file read, in bytes: 800 for each of as many keys as a folder may hold.
const MAX_FILE_BYTES: u64 = 8 << 20;
/// What can be set.
const FIELDS: &str = "fee_recipient, gas_limit, graffiti, builder, builder_boost_factor, remote_signer";

/// The settings of one key: its own, and what it leaves out from `default`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySettings {
    /// Where the fees of its blocks go; none where nothing is set, and then it must not propose on a public network.
    pub fee_recipient: Option<ExecutionAddress>,
    /// The gas limit that it votes for; none leaves it to the execution client.
    pub gas_limit: Option<u64>,
    /// What is written on its blocks, UTF-8 padded with zeros.
    pub graffiti: Option<Bytes32>,
    /// Whether external builders may build its blocks; not unless set.
    pub builder: Option<bool>,
    /// How much more a builder's block is worth than an own one of the same value, in percent; none is 100.
    pub builder_boost_factor: Option<u64>,
}

impl KeySettings {
    fn or(&self, other: &KeySettings) -> KeySettings {
        KeySettings {
            fee_recipient: self.fee_recipient.or(other.fee_recipient),
            gas_limit: self.gas_limit.or(other.gas_limit),
            graffiti: self.graffiti.or(other.graffiti),
            builder: self.builder.or(other.builder),
            builder_boost_factor: self.builder_boost_factor.or(other.builder_boost_factor),
        }
    }

    /// Whether blocks of this key would burn their fees.
    pub fn lacks_fee_recipient(&self) -> bool {
        self.fee_recipient.is_none_or(|address| address.is_zero())
    }
}

/// The settings of all keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    keys: BTreeMap<BLSPubkey, KeySettings>,
    default: KeySettings,
    suggested: KeySettings,
    /// The keys that remote signers have.
    remote: BTreeMap<BLSPubkey, NodeUrl>,
    /// The signer of remote keys that come in without one. It makes no key remote.
    default_remote: Option<NodeUrl>,
}

impl Settings {
    /// Reads the file in the folder of a validator client. One that is not there sets nothing.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE_NAME);
        if !path.exists() {
            return Ok(Self::default());
        }
        let bytes = files::read_limited(&path, MAX_FILE_BYTES)?;
        let text = String::from_utf8(bytes).map_err(|_| anyhow!("{} is not UTF-8", path.display()))?;
        let settings = Self::parse(&text).with_context(|| format!("{} is refused", path.display()))?;
        let signers = settings.remote.values().chain(&settings.default_remote);
        if signers.into_iter().any(|url| url.authorization().is_some()) {
            files::check_private(&path)?;
        }
        Ok(settings)
    }

    /// Reads the text of such a file. Errors name the place.
    pub fn parse(text: &str) -> Result<Self> {
        let document: DocumentMut = text.parse().map_err(|error| anyhow!("{error}"))?;
        let mut settings = Self::default();
        for (name, item) in document.iter() {
            let table = item.as_table_like();
            let table = table.with_context(|| format!("'{}' is no table such as [default]", name.escape_debug()))?;
            let (parsed, remote) = parse_table(table).with_context(|| format!("in [{}]", name.escape_debug()))?;
            if name == "default" {
                (settings.default, settings.default_remote) = (parsed, remote);
                continue;
            }
            let key = name.parse();
            let key = key.map_err(|_| anyhow!("[{}] is neither default nor a public key", name.escape_debug()))?;
            settings.remote.extend(remote.map(|url| (key, url)));
            if settings.keys.insert(key, parsed).is_some() {
                bail!("the key {key} stands there twice, in small and in capital letters");
            }
        }
        Ok(settings)
    }

    /// What holds for a key.
    pub fn of(&self, key: &BLSPubkey) -> KeySettings {
        let default = self.default.or(&self.suggested);
        self.keys
            .get(key)
            .map_or_else(|| default.clone(), |own| own.or(&default))
    }

    /// The settings that hold for a key which sets none of its own.
    pub fn default_settings(&self) -> KeySettings {
        self.default.or(&self.suggested)
    }

    /// The keys that remote signers have, by their bytes.
    pub fn remote_keys(&self) -> impl Iterator<Item = (&BLSPubkey, &NodeUrl)> {
        self.remote.iter()
    }

    /// The remote signer that has a key; none for a key of the client's folder, or one that is not here at all.
    pub fn remote_signer(&self, key: &BLSPubkey) -> Option<&NodeUrl> {
        self.remote.get(key)
    }

    /// The signer of remote keys that come in without one.
    pub fn default_remote_signer(&self) -> Option<&NodeUrl> {
        self.default_remote.as_ref()
    }

    /// Takes what a file says; what was suggested beside it stays.
    pub(crate) fn replace(&mut self, other: Settings) {
        let suggested = std::mem::take(&mut self.suggested);
        *self = Settings { suggested, ..other };
    }

    /// Sets where fees go that neither a key nor `default` says.
    pub fn suggest_fee_recipient(&mut self, address: ExecutionAddress) {
        self.suggested.fee_recipient = Some(address);
    }
}

fn parse_table(table: &dyn TableLike) -> Result<(KeySettings, Option<NodeUrl>)> {
    let (mut settings, mut remote) = (KeySettings::default(), None);
    for (name, item) in table.iter() {
        let wrong = || format!("{} = {}", name.escape_debug(), shown(item));
        match name {
            "fee_recipient" => settings.fee_recipient = Some(parse_address(text(item)?).with_context(wrong)?),
            "gas_limit" => settings.gas_limit = Some(number(item).with_context(wrong)?),
            "graffiti" => settings.graffiti = Some(parse_graffiti(text(item)?).with_context(wrong)?),
            "builder" => settings.builder = Some(boolean(item).with_context(wrong)?),
            "builder_boost_factor" => settings.builder_boost_factor = Some(number(item).with_context(wrong)?),
            // Never repeated in an error: it may hold a password.
            "remote_signer" => {
                let url = item.as_str().context("remote_signer must be an address in quotes")?;
                remote = Some(url.parse().map_err(|why| anyhow!("remote_signer: {why}"))?);
            }
            _ => bail!("there is no setting '{}'; known are {FIELDS}", name.escape_debug()),
        }
    }
    Ok((settings, remote))
}

fn text(item: &Item) -> Result<&str> {
    item.as_str()
        .with_context(|| format!("{} must be a text in quotes", shown(item)))
}

/// An item as it stands in the file, without what moves a terminal's cursor.
fn shown(item: &Item) -> String {
    let shown = item.to_string().trim().escape_debug().to_string();
    shown.replace("\\\"", "\"")
}

fn boolean(item: &Item) -> Result<bool> {
    item.as_bool().context("it must be true or false, without quotes")
}

fn number(item: &Item) -> Result<u64> {
    let number = item.as_integer().and_then(|number| u64::try_from(number).ok());
    number.context("it must be a whole number of 0 or more, without quotes")
}

/// What is written on a block, as the 32 bytes that stand in it. Errors on a longer text.
pub fn parse_graffiti(text: &str) -> Result<Bytes32> {
    let mut bytes = [0; 32];
    let place = bytes.get_mut(..text.len());
    let place = place.with_context(|| format!("it has {} bytes, there is room for 32", text.len()))?;
    place.copy_from_slice(text.as_bytes());
    Ok(Bytes(bytes))
}
