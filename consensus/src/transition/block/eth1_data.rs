//! The vote on the deposit contract's state.

use crate::preset::SLOTS_PER_ETH1_VOTING_PERIOD;
use crate::state::State;
use crate::types::BeaconBlockBody;
use crate::{Invalid, ensure};

/// Spec: phase0/beacon-chain.md, `process_eth1_data`.
pub fn process_eth1_data(state: &mut State, body: &BeaconBlockBody) -> Result<(), Invalid> {
    let votes = state.eth1_data_votes.len() as u64;
    ensure!(
        votes < SLOTS_PER_ETH1_VOTING_PERIOD,
        "eth1 votes",
        "{votes} in the state, of at most {SLOTS_PER_ETH1_VOTING_PERIOD}"
    );
    state.eth1_data_votes.push(body.eth1_data);
    let equal = state.eth1_data_votes.iter().filter(|vote| **vote == body.eth1_data);
    if equal.count() as u64 * 2 > SLOTS_PER_ETH1_VOTING_PERIOD {
        state.eth1_data = body.eth1_data;
    }
    Ok(())
}
