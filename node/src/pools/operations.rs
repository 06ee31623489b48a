//! Slashings, exits and changes of credentials, until a finalized block has them.
//!
//! One of each kind for a validator: a second would bring nothing. What is selected for a block is tried on the block's
//! own state, one after the other as the block will have it, so that a selected operation never spoils a block.

use super::Inserted;
use consensus::constants::{BLS_WITHDRAWAL_PREFIX, FAR_FUTURE_EPOCH};
use consensus::helpers::accessors::get_current_epoch;
use consensus::helpers::predicates::is_slashable_validator;
use consensus::keys::Keys;
use consensus::preset::{
    MAX_ATTESTER_SLASHINGS, MAX_ATTESTER_SLASHINGS_ELECTRA, MAX_BLS_TO_EXECUTION_CHANGES, MAX_PROPOSER_SLASHINGS,
    MAX_VOLUNTARY_EXITS,
};
use consensus::signing::{Context, Signatures};
use consensus::transition::block::{
    process_attester_slashing, process_bls_to_execution_change, process_proposer_slashing, process_voluntary_exit,
};
use consensus::types::{
    AttesterSlashing, Gwei, ProposerSlashing, SignedBLSToExecutionChange, SignedVoluntaryExit, ValidatorIndex,
};
use consensus::{Config, Fork, Invalid, State};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Proposer slashings kept: thirty blocks full of them, at half a kilobyte each.
const MAX_PROPOSER_SLASHINGS_KEPT: usize = 512;
/// Attester slashings kept. One may slash everybody who cast both votes, so a few are enough for any attack.
const MAX_ATTESTER_SLASHINGS_KEPT: usize = 64;
/// Voters written out in all attester slashings kept: 8 bytes each, 16 MB. One may have 131,072 in each of its votes.
const MAX_SLASHING_VOTERS_KEPT: usize = 2 << 20;
/// Exits and changes of credentials kept, each: what 256 blocks take, under a quarter of a kilobyte apiece.
const MAX_CHANGES_KEPT: usize = 4096;
/// Candidates of a kind that are tried for a block, for each place that it has: those that fail are rare, as they were
/// valid when they came and go with finality.
const TRIES_PER_PLACE: usize = 4;

/// Something of a validator that waits for a block.
#[derive(Clone, Debug)]
struct Waiting<T> {
    operation: Arc<T>,
    /// The fork of the state that its signature was checked with: the domain may be another at another.
    checked_at: Fork,
    /// Rises with each that comes in: first come, first served.
    number: u64,
}

/// Operations of one kind by validator.
type Queue<T> = BTreeMap<ValidatorIndex, Waiting<T>>;

/// The pool of operations. A clone shares the operations themselves.
#[derive(Clone, Debug, Default)]
pub struct OperationPool {
    proposer_slashings: Queue<ProposerSlashing>,
    /// In the order in which they came.
    attester_slashings: Vec<Waiting<AttesterSlashing>>,
    voluntary_exits: Queue<SignedVoluntaryExit>,
    bls_to_execution_changes: Queue<SignedBLSToExecutionChange>,
    next_number: u64,
}

/// The operations of a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operations {
    /// In the block's order, like all others here.
    pub proposer_slashings: Vec<ProposerSlashing>,
    /// At most one from Electra on.
    pub attester_slashings: Vec<AttesterSlashing>,
    /// Of validators that may leave.
    pub voluntary_exits: Vec<SignedVoluntaryExit>,
    /// None before Capella.
    pub bls_to_execution_changes: Vec<SignedBLSToExecutionChange>,
}

impl Operations {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Validators who cast both votes of a slashing, ascending.
fn double_voters(slashing: &AttesterSlashing) -> impl Iterator<Item = ValidatorIndex> {
    let (first, second) = (&slashing.attestation_1, &slashing.attestation_2);
    let in_second = |index: &&ValidatorIndex| second.attesting_indices.binary_search(index).is_ok();
    first.attesting_indices.iter().filter(in_second).copied()
}

fn voters_written_out(slashing: &AttesterSlashing) -> usize {
    slashing.attestation_1.attesting_indices.len() + slashing.attestation_2.attesting_indices.len()
}

fn is_slashable(state: &State, index: ValidatorIndex) -> bool {
    let validator = state.validators.get(index as usize);
    validator.is_some_and(|validator| is_slashable_validator(validator, get_current_epoch(state)))
}

/// Whether a validator has not begun to leave.
fn stays(state: &State, index: ValidatorIndex) -> bool {
    let validator = state.validators.get(index as usize);
    validator.is_some_and(|validator| validator.exit_epoch == FAR_FUTURE_EPOCH)
}

fn has_bls_credentials(state: &State, index: ValidatorIndex) -> bool {
    let validator = state.validators.get(index as usize);
    validator.is_some_and(|validator| validator.withdrawal_credentials.0[0] == BLS_WITHDRAWAL_PREFIX)
}

/// Takes an operation in, unless there is one of the validator or no room.
fn insert<T>(queue: &mut Queue<T>, limit: usize, validator: ValidatorIndex, waiting: Waiting<T>) -> Inserted {
    if queue.contains_key(&validator) {
        return Inserted::Known;
    }
    if queue.len() >= limit {
        return Inserted::Full("as many operations of the kind wait as are kept");
    }
    queue.insert(validator, waiting);
    Inserted::New
}

/// What a queue holds for validators of whom `is_due` says so, in the order in which it came. What a block of the last
/// epochs has brought already must not use up the tries.
fn in_order<T>(queue: &Queue<T>, is_due: impl Fn(ValidatorIndex) -> bool) -> Vec<&Waiting<T>> {
    let due = queue.iter().filter(|(index, _)| is_due(**index));
    let mut all: Vec<&Waiting<T>> = due.map(|(_, waiting)| waiting).collect();
    all.sort_unstable_by_key(|waiting| waiting.number);
    all
}

impl OperationPool {
    /// An empty pool.
    pub fn new() -> Self {
        Self::default()
    }

    fn waiting<T>(&mut self, operation: T, checked_at: Fork) -> Waiting<T> {
        let number = self.next_number;
        self.next_number += 1;
        Waiting {
            operation: Arc::new(operation),
            checked_at,
            number,
        }
    }

    /// Takes in a slashing that was found valid on a state of fork `checked_at`.
    pub fn insert_proposer_slashing(&mut self, slashing: ProposerSlashing, checked_at: Fork) -> Inserted {
        let proposer = slashing.signed_header_1.message.proposer_index;
        let waiting = self.waiting(slashing, checked_at);
        insert(
            &mut self.proposer_slashings,
            MAX_PROPOSER_SLASHINGS_KEPT,
            proposer,
            waiting,
        )
    }

    /// Takes in a slashing that was found valid on a state of fork `checked_at`. Known if everybody whom it slashes is
    /// slashed by another one that waits.
    pub fn insert_attester_slashing(&mut self, slashing: AttesterSlashing, checked_at: Fork) -> Inserted {
        let known = |index: ValidatorIndex| {
            let mut others = self.attester_slashings.iter();
            others.any(|waiting| double_voters(&waiting.operation).any(|other| other == index))
        };
        if double_voters(&slashing).all(known) {
            return Inserted::Known;
        }
        let kept = self.attester_slashings.iter();
        let voters: usize = kept.map(|waiting| voters_written_out(&waiting.operation)).sum();
        if self.attester_slashings.len() >= MAX_ATTESTER_SLASHINGS_KEPT
            || voters + voters_written_out(&slashing) > MAX_SLASHING_VOTERS_KEPT
        {
            return Inserted::Full("as many operations of the kind wait as are kept");
        }
        let waiting = self.waiting(slashing, checked_at);
        self.attester_slashings.push(waiting);
        Inserted::New
    }

    /// Takes in an exit that was found valid on a state of fork `checked_at`.
    pub fn insert_voluntary_exit(&mut self, exit: SignedVoluntaryExit, checked_at: Fork) -> Inserted {
        let validator = exit.message.validator_index;
        let waiting = self.waiting(exit, checked_at);
        insert(&mut self.voluntary_exits, MAX_CHANGES_KEPT, validator, waiting)
    }

    /// Takes in a change that was found valid on a state of fork `checked_at`; before Capella it waits for that fork.
    pub fn insert_bls_to_execution_change(&mut self, change: SignedBLSToExecutionChange, checked_at: Fork) -> Inserted {
        let validator = change.message.validator_index;
        let waiting = self.waiting(change, checked_at);
        insert(&mut self.bls_to_execution_changes, MAX_CHANGES_KEPT, validator, waiting)
    }

    /// All proposer slashings. Spec: beacon-APIs, `getPoolProposerSlashings`; the three below likewise.
    pub fn proposer_slashings(&self) -> impl Iterator<Item = &ProposerSlashing> {
        self.proposer_slashings
            .values()
            .map(|waiting| waiting.operation.as_ref())
    }

    /// All attester slashings.
    pub fn attester_slashings(&self) -> impl Iterator<Item = &AttesterSlashing> {
        self.attester_slashings.iter().map(|waiting| waiting.operation.as_ref())
    }

    /// All voluntary exits.
    pub fn voluntary_exits(&self) -> impl Iterator<Item = &SignedVoluntaryExit> {
        self.voluntary_exits.values().map(|waiting| waiting.operation.as_ref())
    }

    /// All changes of credentials.
    pub fn bls_to_execution_changes(&self) -> impl Iterator<Item = &SignedBLSToExecutionChange> {
        let changes = self.bls_to_execution_changes.values();
        changes.map(|waiting| waiting.operation.as_ref())
    }

    /// The operations for a block at the state's slot, each valid after those before it.
    pub fn select(&self, state: &State, config: &Config, keys: &Keys) -> Operations {
        let mut trial = Trial {
            state: state.clone(),
            config,
            keys,
        };
        let places = |limit: u64| limit as usize;
        let proposer_slashings = trial.choose(
            in_order(&self.proposer_slashings, |index| is_slashable(state, index)),
            places(MAX_PROPOSER_SLASHINGS),
            process_proposer_slashing,
        );
        let limit = if state.at >= Fork::Electra {
            MAX_ATTESTER_SLASHINGS_ELECTRA
        } else {
            MAX_ATTESTER_SLASHINGS
        };
        let by_worth = self.attester_slashings_by_worth(&trial.state);
        let attester_slashings = trial.choose(by_worth, places(limit), process_attester_slashing);
        let voluntary_exits = trial.choose(
            in_order(&self.voluntary_exits, |index| stays(state, index)),
            places(MAX_VOLUNTARY_EXITS),
            process_voluntary_exit,
        );
        let mut bls_to_execution_changes = Vec::new();
        if state.at >= Fork::Capella {
            bls_to_execution_changes = trial.choose(
                in_order(&self.bls_to_execution_changes, |index| {
                    has_bls_credentials(state, index)
                }),
                places(MAX_BLS_TO_EXECUTION_CHANGES),
                process_bls_to_execution_change,
            );
        }
        Operations {
            proposer_slashings,
            attester_slashings,
            voluntary_exits,
            bls_to_execution_changes,
        }
    }

    /// The proposer is paid by the balance that is slashed: the most of it first.
    fn attester_slashings_by_worth(&self, state: &State) -> Vec<&Waiting<AttesterSlashing>> {
        let worth = |waiting: &Waiting<AttesterSlashing>| -> Gwei {
            let slashable = double_voters(&waiting.operation).filter(|index| is_slashable(state, *index));
            let balances = slashable.filter_map(|index| state.validators.get(index as usize));
            balances.fold(0, |sum, validator| sum.saturating_add(validator.effective_balance))
        };
        let all = self.attester_slashings.iter().map(|waiting| (worth(waiting), waiting));
        let mut due: Vec<_> = all.filter(|(worth, _)| *worth > 0).collect();
        due.sort_by_key(|(worth, _)| std::cmp::Reverse(*worth));
        due.into_iter().map(|(_, waiting)| waiting).collect()
    }

    /// Drops what a finalized state has done, or made impossible for good.
    pub fn prune(&mut self, finalized: &State) {
        let epoch = get_current_epoch(finalized);
        let of = |index: ValidatorIndex| finalized.validators.get(index as usize);
        // Not in the registry, or not active yet: that may still come.
        let may_be_slashed = |index: ValidatorIndex| {
            of(index).is_none_or(|validator| !validator.slashed && epoch < validator.withdrawable_epoch)
        };
        self.proposer_slashings.retain(|index, _| may_be_slashed(*index));
        self.attester_slashings
            .retain(|waiting| double_voters(&waiting.operation).any(may_be_slashed));
        let is_known = |index: ValidatorIndex| of(index).is_some();
        self.voluntary_exits
            .retain(|index, _| !is_known(*index) || stays(finalized, *index));
        self.bls_to_execution_changes
            .retain(|index, _| !is_known(*index) || has_bls_credentials(finalized, *index));
    }
}

/// The block's state, on which operations are tried.
struct Trial<'a> {
    state: State,
    config: &'a Config,
    keys: &'a Keys,
}

impl Trial<'_> {
    /// Applies candidates until `places` are taken. Signatures are checked again where the fork has changed since: an old
    /// exit's domain may be gone.
    fn choose<T: Clone>(
        &mut self,
        candidates: Vec<&Waiting<T>>,
        places: usize,
        process: fn(&mut State, &mut Context, &T) -> Result<(), Invalid>,
    ) -> Vec<T> {
        let mut chosen = Vec::new();
        for waiting in candidates.into_iter().take(places * TRIES_PER_PLACE) {
            if chosen.len() == places {
                break;
            }
            let signatures = if waiting.checked_at == self.state.at {
                Signatures::Trust
            } else {
                Signatures::Verify
            };
            let mut ctx = Context::with(self.config, self.keys, signatures);
            // A failure may leave a state half-changed; the lists of a clone are shared.
            let mut next = self.state.clone();
            if process(&mut next, &mut ctx, &waiting.operation).is_ok() {
                self.state = next;
                chosen.push(T::clone(&waiting.operation));
            }
        }
        chosen
    }
}
