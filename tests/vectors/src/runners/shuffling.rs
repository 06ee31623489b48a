//! The swap-or-not shuffle: one index at a time and the whole list at once. Format: tests/formats/shuffling.

use consensus::helpers::shuffling::{compute_shuffled_index, shuffle_list};
use serde_json::Value;

use crate::{Case, Failure, Outcome, Verdict};

/// Largest list in a case: the mapping in the file is as long, so more would be a mistake.
const MAX_COUNT: u64 = 1 << 20;

pub(super) fn run(case: &Case) -> Outcome {
    let file = case.yaml("mapping.yaml")?;
    let count = file.get("count")?.u64()?;
    if count > MAX_COUNT {
        return Err(Failure::new(format!(
            "count is {count}, more than the limit {MAX_COUNT}"
        )));
    }
    let seed = file.get("seed")?.bytes()?;
    let seed = seed.try_into().map_err(|_| Failure::new("the seed has not 32 bytes"))?;
    let mapping = file.get("mapping")?;

    let by_index: Option<Vec<u64>> = (0..count)
        .map(|index| compute_shuffled_index(index, count, &seed))
        .collect();
    let by_index = by_index.ok_or_else(|| Failure::new("an index below the count has no shuffled place"))?;
    case.expect_yaml("mapping index by index", mapping, &Value::from(by_index))?;

    let mut list: Vec<u64> = (0..count).collect();
    shuffle_list(&mut list, &seed);
    case.expect_yaml("mapping of the whole list", mapping, &Value::from(list))?;
    Ok(Verdict::Valid)
}
