//! The components of rewards and penalties. Format: tests/formats/rewards/README.md.

use consensus::constants::{TIMELY_HEAD_FLAG_INDEX, TIMELY_SOURCE_FLAG_INDEX, TIMELY_TARGET_FLAG_INDEX};
use consensus::transition::epoch::{Deltas, deltas_phase0, get_flag_index_deltas, get_inactivity_penalty_deltas};
use consensus::{Config, Fork, Invalid, State};

use crate::runners::state;
use crate::{Case, Failure, Outcome, Verdict};

pub(super) const HANDLERS: &[&str] = &["basic", "inactivity_scores", "leak", "random"];

type Component = fn(&State, &Config) -> Result<Deltas, Invalid>;

const PHASE0: [(&str, Component); 5] = [
    ("source_deltas.ssz_snappy", deltas_phase0::get_source_deltas),
    ("target_deltas.ssz_snappy", deltas_phase0::get_target_deltas),
    ("head_deltas.ssz_snappy", deltas_phase0::get_head_deltas),
    (
        "inclusion_delay_deltas.ssz_snappy",
        deltas_phase0::get_inclusion_delay_deltas,
    ),
    (
        "inactivity_penalty_deltas.ssz_snappy",
        deltas_phase0::get_inactivity_penalty_deltas,
    ),
];

const ALTAIR: [(&str, Component); 4] = [
    ("source_deltas.ssz_snappy", |state, config| {
        get_flag_index_deltas(state, config, TIMELY_SOURCE_FLAG_INDEX)
    }),
    ("target_deltas.ssz_snappy", |state, config| {
        get_flag_index_deltas(state, config, TIMELY_TARGET_FLAG_INDEX)
    }),
    ("head_deltas.ssz_snappy", |state, config| {
        get_flag_index_deltas(state, config, TIMELY_HEAD_FLAG_INDEX)
    }),
    ("inactivity_penalty_deltas.ssz_snappy", get_inactivity_penalty_deltas),
];

pub(super) fn run(case: &Case) -> Outcome {
    case.bls_setting()?; // nothing is signed here
    let config = case.config()?;
    let state = state::read(case, "pre.ssz_snappy")?;
    let components: &[(&str, Component)] = if case.fork() >= Fork::Altair { &ALTAIR } else { &PHASE0 };
    for (file, component) in components {
        let deltas = component(&state, &config).map_err(|invalid| Failure::new(format!("{file}: {invalid}")))?;
        case.expect_ssz(file, file, &encode(&deltas))?;
    }
    Ok(Verdict::Valid)
}

/// SSZ of the format's `Deltas`: two offsets and two lists of `u64`.
fn encode(deltas: &Deltas) -> Vec<u8> {
    let lists = [&deltas.rewards, &deltas.penalties];
    let offsets = [8, 8 + 8 * deltas.rewards.len() as u32];
    let mut bytes: Vec<u8> = offsets.into_iter().flat_map(u32::to_le_bytes).collect();
    bytes.extend(lists.into_iter().flatten().flat_map(|amount| amount.to_le_bytes()));
    bytes
}
