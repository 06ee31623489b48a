//! Changes of `validators.toml` that keep what the operator wrote around them: comments, order, other keys.

use super::{FILE_NAME, MAX_FILE_BYTES, Settings, to_checksum};
use crate::files;
use anyhow::{Context, Result, anyhow};
use consensus::types::{BLSPubkey, ExecutionAddress};
use std::path::Path;
use toml_edit::{DocumentMut, Item, Table, value};

/// One setting of one key; `None` takes it away, so that the default holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Where fees go.
    FeeRecipient(Option<ExecutionAddress>),
    /// The gas limit to vote for.
    GasLimit(Option<u64>),
    /// What is written on blocks.
    Graffiti(Option<String>),
    /// Whether external builders may build.
    Builder(Option<bool>),
    /// What a builder's block is worth, in percent.
    BuilderBoostFactor(Option<u64>),
    /// The remote signer that has the key.
    RemoteSigner(Option<String>),
}

impl Change {
    fn name(&self) -> &'static str {
        match self {
            Change::FeeRecipient(_) => "fee_recipient",
            Change::GasLimit(_) => "gas_limit",
            Change::Graffiti(_) => "graffiti",
            Change::Builder(_) => "builder",
            Change::BuilderBoostFactor(_) => "builder_boost_factor",
            Change::RemoteSigner(_) => "remote_signer",
        }
    }

    /// The new value. TOML's integers have a sign; no gas limit or factor comes near their end.
    fn item(&self) -> Result<Option<Item>> {
        let number = |number: u64| -> Result<Item> {
            let number = i64::try_from(number).with_context(|| format!("{number} is too large"))?;
            Ok(value(number))
        };
        Ok(match self {
            Change::FeeRecipient(address) => address.map(|address| value(to_checksum(&address))),
            Change::GasLimit(limit) | Change::BuilderBoostFactor(limit) => limit.map(number).transpose()?,
            Change::Graffiti(text) | Change::RemoteSigner(text) => text.as_ref().map(value),
            Change::Builder(builder) => builder.map(value),
        })
    }
}

/// Makes changes in the file of a client's folder and returns what it then says. Nothing is written unless all of it is
/// understood afterwards. Blocks for a sync.
pub fn edit(folder: &Path, changes: &[(BLSPubkey, Change)]) -> Result<Settings> {
    let path = folder.join(FILE_NAME);
    let text = if path.exists() {
        let bytes = files::read_limited(&path, MAX_FILE_BYTES)?;
        String::from_utf8(bytes).map_err(|_| anyhow!("{} is not UTF-8", path.display()))?
    } else {
        String::new()
    };
    let changed = apply(&text, changes).with_context(|| format!("{} was not changed", path.display()))?;
    let settings = Settings::parse(&changed).with_context(|| format!("{} was not changed", path.display()))?;
    if changed.len() as u64 > MAX_FILE_BYTES {
        return Err(anyhow!(
            "{} would grow beyond {MAX_FILE_BYTES} bytes; set what keys share under [default]",
            path.display()
        ));
    }
    if changed != text {
        files::write_private(&path, changed.as_bytes())?;
    }
    Ok(settings)
}

fn apply(text: &str, changes: &[(BLSPubkey, Change)]) -> Result<String> {
    let mut document: DocumentMut = text.parse().map_err(|error| anyhow!("{error}"))?;
    for (key, change) in changes {
        // The operator may have written it in capital letters.
        let written = document
            .iter()
            .find(|(name, _)| name.parse::<BLSPubkey>().is_ok_and(|other| other == *key))
            .map(|(name, _)| name.to_owned());
        let name = written.unwrap_or_else(|| key.to_string());
        if let Some(item) = change.item()? {
            let table = document.entry(&name).or_insert_with(|| Item::Table(Table::new()));
            let table = table.as_table_like_mut();
            let table = table.with_context(|| format!("'{}' is no table", name.escape_debug()))?;
            table.insert(change.name(), item);
            continue;
        }
        let table = document.get_mut(&name).and_then(Item::as_table_like_mut);
        let empty = table.is_some_and(|table| {
            table.remove(change.name());
            table.is_empty()
        });
        if empty {
            document.remove(&name);
        }
    }
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use consensus::ssz::Bytes;

    #[test]
    fn what_the_operator_wrote_stays() {
        let (one, two): (BLSPubkey, BLSPubkey) = (Bytes([0xab; 48]), Bytes([2; 48]));
        let capitals = format!("0x{}", "AB".repeat(48));
        let text =
            format!("# mine\n[default]\ngas_limit = 5 # five\n\n[\"{capitals}\"]\n# my first\ngraffiti = \"a\"\n");
        let changes = [
            (one, Change::GasLimit(Some(7))),
            (two, Change::FeeRecipient(Some(Bytes([0x11; 20])))),
            (two, Change::RemoteSigner(Some("http://127.0.0.1:9000".into()))),
        ];
        let changed = apply(&text, &changes).unwrap();
        for kept in ["# mine", "# five", "# my first", &capitals] {
            assert!(changed.contains(kept), "{changed}");
        }
        let settings = Settings::parse(&changed).unwrap();
        assert_eq!(settings.of(&one).gas_limit, Some(7));
        assert_eq!(settings.of(&two).gas_limit, Some(5));
        assert_eq!(settings.of(&two).fee_recipient, Some(Bytes([0x11; 20])));
        assert_eq!(settings.remote_keys().map(|(key, _)| *key).collect::<Vec<_>>(), [two]);

        let back = [
            (one, Change::GasLimit(None)),
            (two, Change::FeeRecipient(None)),
            (two, Change::RemoteSigner(None)),
            (two, Change::Graffiti(None)),
        ];
        let again = apply(&changed, &back).unwrap();
        assert_eq!(again, text);
        assert!(apply("not toml", &[]).is_err());
        assert!(apply("", &[(one, Change::GasLimit(Some(u64::MAX)))]).is_err());
    }
}
