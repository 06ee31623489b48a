//! The committed case counts of the default set, so that a lost case shows.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::report::Summary;

const COUNTS: &str = if cfg!(feature = "minimal") {
    include_str!("../expected/minimal.txt")
} else {
    include_str!("../expected/mainnet.txt")
};

/// Where the default set lies: beside the repository.
pub fn default_set() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/spec-tests"))
}

/// Compares the counts of a run over the whole default set with the committed ones; a sentence per difference.
pub fn differences(summary: &Summary) -> Vec<String> {
    compare(&lines(COUNTS), &lines(&summary.counts()))
}

/// `preset fork runner` → count.
fn lines(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter_map(|line| line.rsplit_once(' ')).collect()
}

fn compare(expected: &BTreeMap<&str, &str>, found: &BTreeMap<&str, &str>) -> Vec<String> {
    let rows = expected
        .keys()
        .chain(found.keys().filter(|row| !expected.contains_key(*row)));
    rows.filter(|row| expected.get(*row) != found.get(*row))
        .map(|row| {
            let count = |map: &BTreeMap<&str, &str>| map.get(row).map_or("none".to_owned(), ToString::to_string);
            format!(
                "{row}: {} cases on disk, {} in tests/vectors/expected/{}.txt; if the set has changed, write the output \
                 of --counts there",
                count(found),
                count(expected),
                crate::PRESET
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_and_surplus_cases_are_told() {
        let expected = lines("general deneb kzg 262\ngeneral phase0 bls 104\n");
        assert!(compare(&expected, &expected).is_empty());
        let found = lines("general deneb kzg 261\ngeneral fulu kzg 82\n");
        let told = compare(&expected, &found);
        assert_eq!(told.len(), 3);
        assert!(
            told[0].starts_with("general deneb kzg: 261 cases on disk, 262 in"),
            "{told:?}"
        );
        assert!(
            told[1].starts_with("general phase0 bls: none cases on disk, 104 in"),
            "{told:?}"
        );
    }
}
