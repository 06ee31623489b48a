//! Series of blocks and of empty slots: `sanity`, `finality` and `random`. Formats: tests/formats/sanity, finality,
//! random.

use consensus::transition::{process_slots, state_transition};
use consensus::types::SignedBeaconBlock;
use consensus::{Config, Fork, State};

use super::state::{context, keys, object, read};
use crate::{Case, Failure, Outcome, Verdict};

/// Blocks in a case, at most: finality needs a few epochs of them.
const MAX_BLOCKS: u64 = 1024;

pub(super) const SANITY: &[&str] = &["blocks", "slots"];

pub(super) fn run(case: &Case) -> Outcome {
    if case.path().handler() == "slots" {
        return run_slots(case);
    }
    let config = case.config()?;
    let fork = case.fork();
    let blocks = read_blocks(case, |_| fork)?;
    apply_blocks(case, read(case, "pre.ssz_snappy")?, &config, &blocks)
}

fn run_slots(case: &Case) -> Outcome {
    let config = case.config()?;
    let mut state = read(case, "pre.ssz_snappy")?;
    let slots = case.yaml("slots.yaml")?.u64()?;
    let slot = state.slot.saturating_add(slots);
    let moved = process_slots(&mut state, &config, slot);
    finish(
        case,
        case.expect_validity("slots", case.has("post.ssz_snappy"), moved)?
            .map(|()| state),
    )
}

/// The blocks of a case, each decoded as of the fork that its number has.
pub(super) fn read_blocks(case: &Case, fork_of: impl Fn(u64) -> Fork) -> Result<Vec<SignedBeaconBlock>, Failure> {
    let meta = case.meta()?;
    meta.find("description")?;
    let count = meta.get("blocks_count")?.u64()?;
    if count > MAX_BLOCKS {
        return Err(Failure::new(format!(
            "{count} blocks, more than the limit {MAX_BLOCKS}"
        )));
    }
    (0..count)
        .map(|number| object(case, &format!("blocks_{number}.ssz_snappy"), fork_of(number)))
        .collect()
}

/// Applies blocks one after the other and compares the state after the last one; without `post.ssz_snappy` one of them
/// must be refused.
pub(super) fn apply_blocks(case: &Case, pre: State, config: &Config, blocks: &[SignedBeaconBlock]) -> Outcome {
    // Whole chains check their signatures one by one, the others in a batch a block, so that both ways are proved.
    let in_batch = case.path().runner() != "finality";
    let valid = case.has("post.ssz_snappy");
    let mut keys = keys(&pre)?;
    let mut state = pre;
    for (number, block) in blocks.iter().enumerate() {
        let mut context = context(case, config, &keys, in_batch)?;
        match state_transition(&state, block, &mut context, true) {
            Ok((post, _)) => state = post,
            Err(error) => {
                let what = format!("block {number}");
                return finish(case, case.expect_validity(&what, valid, Err::<State, _>(error))?);
            }
        }
        keys.extend(&state.validators)
            .map_err(|error| Failure::new(format!("keys after block {number}: {error}")))?;
    }
    if valid {
        finish(case, Some(state))
    } else {
        Err(Failure::new("every block is accepted, but the case has no post state"))
    }
}

fn finish(case: &Case, post: Option<State>) -> Outcome {
    let Some(post) = post else { return Ok(Verdict::Refused) };
    case.expect_ssz("post state", "post.ssz_snappy", &post.encode())?;
    Ok(Verdict::Valid)
}
