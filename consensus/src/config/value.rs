//! How the values of a config are read from and written as YAML text, by type.

use super::{BlobParameters, Yaml};
use crate::ssz::{Bytes, U256};

/// Characters of a network's name, at most.
const MAX_NAME_SIZE: usize = 64;

/// Entries of a blob schedule, at most: one a month would fill it in twenty years.
const MAX_BLOB_SCHEDULE: usize = 256;

/// A type that a field of the config can have. The error of `read` ends the sentence "NAME is VALUE: ".
pub(super) trait ConfigValue: Sized {
    fn read(yaml: &Yaml) -> Result<Self, String>;
    fn write(&self) -> Yaml;
}

fn text<'a>(yaml: &'a Yaml, expected: &str) -> Result<&'a str, String> {
    match yaml {
        Yaml::Text(text) => Ok(text),
        Yaml::List(_) | Yaml::Map(_) => Err(format!("expected {expected}")),
    }
}

/// Decimal digits and nothing else: no sign, no underscores, and no leading zero, which some readers take for octal.
fn digits<'a>(yaml: &'a Yaml, expected: &str) -> Result<&'a str, String> {
    let text = text(yaml, expected)?;
    let canonical = text == "0" || !text.starts_with('0');
    if canonical && !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(text)
    } else {
        Err(format!("expected {expected}"))
    }
}

impl ConfigValue for u64 {
    fn read(yaml: &Yaml) -> Result<Self, String> {
        let expected = "a whole number from 0 to 18446744073709551615 in decimal digits";
        digits(yaml, expected)?
            .parse()
            .map_err(|_| format!("expected {expected}"))
    }

    fn write(&self) -> Yaml {
        Yaml::Text(self.to_string())
    }
}

impl ConfigValue for U256 {
    fn read(yaml: &Yaml) -> Result<Self, String> {
        let expected = "a whole number of at most 256 bits in decimal digits";
        digits(yaml, expected)?
            .parse()
            .map_err(|_| format!("expected {expected}"))
    }

    fn write(&self) -> Yaml {
        Yaml::Text(self.to_string())
    }
}

impl<const N: usize> ConfigValue for Bytes<N> {
    fn read(yaml: &Yaml) -> Result<Self, String> {
        let expected = || format!("expected 0x and {} hex digits", 2 * N);
        text(yaml, "hex digits")
            .and_then(|text| text.parse().map_err(|_| expected()))
            .map_err(|_| expected())
    }

    fn write(&self) -> Yaml {
        Yaml::Text(self.to_string())
    }
}

impl ConfigValue for String {
    /// Reads a name. The specs allow `[a-z0-9\-]`; capitals, dots and underscores occur in the wild and do no harm.
    fn read(yaml: &Yaml) -> Result<Self, String> {
        let expected = "a short name of letters, digits, '-', '_' and '.'";
        let text = text(yaml, expected)?;
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if text.is_empty() || text.len() > MAX_NAME_SIZE || !text.bytes().all(fine) {
            return Err(format!("expected {expected}"));
        }
        Ok(text.into())
    }

    fn write(&self) -> Yaml {
        Yaml::Text(self.clone())
    }
}

impl ConfigValue for Vec<BlobParameters> {
    /// Reads the schedule and sorts it by epoch: the specs only wish files to be sorted.
    fn read(yaml: &Yaml) -> Result<Self, String> {
        let Yaml::List(items) = yaml else {
            return Err("expected a list of entries with EPOCH and MAX_BLOBS_PER_BLOCK, or [] for none".into());
        };
        if items.len() > MAX_BLOB_SCHEDULE {
            return Err(format!("expected at most {MAX_BLOB_SCHEDULE} entries"));
        }
        let mut schedule = items.iter().map(blob_parameters).collect::<Result<Vec<_>, _>>()?;
        schedule.sort_by_key(|entry| entry.epoch);
        Ok(schedule)
    }

    fn write(&self) -> Yaml {
        let entry = |parameters: &BlobParameters| {
            Yaml::Map(vec![
                ("EPOCH".into(), parameters.epoch.write()),
                ("MAX_BLOBS_PER_BLOCK".into(), parameters.max_blobs_per_block.write()),
            ])
        };
        Yaml::List(self.iter().map(entry).collect())
    }
}

/// Reads one entry. Other keys than the two are refused: what they ask for would not be done.
fn blob_parameters(yaml: &Yaml) -> Result<BlobParameters, String> {
    let Yaml::Map(entries) = yaml else {
        return Err(format!(
            "an entry is {} instead of EPOCH and MAX_BLOBS_PER_BLOCK",
            yaml.describe()
        ));
    };
    let (mut epoch, mut max_blobs_per_block) = (None, None);
    for (key, value) in entries {
        let number = u64::read(value).map_err(|error| format!("{key} is {}: {error}", value.describe()))?;
        match key.as_str() {
            "EPOCH" => epoch = Some(number),
            "MAX_BLOBS_PER_BLOCK" => max_blobs_per_block = Some(number),
            _ => return Err(format!("an entry has the unknown key '{}'", key.escape_debug())),
        }
    }
    match (epoch, max_blobs_per_block) {
        (Some(epoch), Some(max_blobs_per_block)) => Ok(BlobParameters {
            epoch,
            max_blobs_per_block,
        }),
        _ => Err("an entry lacks EPOCH or MAX_BLOBS_PER_BLOCK".into()),
    }
}
