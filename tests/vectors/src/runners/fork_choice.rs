//! Steps on a fork-choice store: `fork_choice`, `sync` and `fast_confirmation`. Formats: tests/formats/fork_choice, sync,
//! fast_confirmation.
//!
//! The store is pruned whenever finality moves, so the cases prove that what goes does not matter.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

use consensus::fork_choice::{
    DataAvailability, ExecutionVerdict, FastConfirmationStore, ForkChoiceNode, Store, is_blob_data_available,
    is_column_data_available,
};
use consensus::keys::Keys;
use consensus::signing::Context;
use consensus::ssz::{Bytes, Root, Ssz};
use consensus::types::{
    Attestation, AttesterSlashing, BeaconBlock, Blob, Checkpoint, DataColumnSidecar, Hash32, KZGProof,
    PayloadAttestationMessage, PowBlock, SignedBeaconBlock, SignedExecutionPayloadEnvelope,
};
use consensus::{Config, Fork, Invalid};
use serde_json::{Value, json};

use super::state::{context, keys, object, read};
use crate::yaml::Yaml;
use crate::{Case, Failure, Outcome, Verdict};

pub(super) const HANDLERS: &[&str] = &[
    "deposit_with_reorg",
    "ex_ante",
    "get_head",
    "get_parent_payload_status",
    "get_proposer_head",
    "on_attestation",
    "on_block",
    "on_execution_payload_envelope",
    "on_merge_block",
    "on_payload_attestation_message",
    "payload_data_availability",
    "payload_timeliness",
    "reorg",
    "should_apply_proposer_boost",
    "withholding",
];

pub(super) const FAST_CONFIRMATION: &[&str] = &[
    "basic",
    "current_epoch",
    "empty_slots",
    "ffg",
    "is_one_confirmed",
    "previous_epoch",
    "reconfirmation",
    "restart_gu",
    "revert_finality",
    "variables",
];

pub(super) fn run(case: &Case) -> Outcome {
    case.meta()?.find("description")?;
    let mut steps = Steps::new(case)?;
    for (number, step) in case.yaml("steps.yaml")?.list()?.iter().enumerate() {
        steps
            .step(step)
            .map_err(|failure| failure.within(&format!("step {}", number + 1)))?;
    }
    Ok(Verdict::Valid)
}

struct Steps<'a> {
    case: &'a Case<'a>,
    fork: Fork,
    config: Arc<Config>,
    keys: Keys,
    store: Store,
    fast_confirmation: FastConfirmationStore,
    /// Attestations that count only later, which only these cases bring before their time.
    early: Vec<Attestation>,
    pow_blocks: HashMap<Hash32, PowBlock>,
    verdicts: HashMap<Hash32, ExecutionVerdict>,
}

impl<'a> Steps<'a> {
    fn new(case: &'a Case) -> Result<Self, Failure> {
        let fork = case.fork();
        let config = Arc::new(case.config()?);
        let anchor = read(case, "anchor_state.ssz_snappy")?;
        let block: BeaconBlock = object(case, "anchor_block.ssz_snappy", fork)?;
        let keys = keys(&anchor)?;
        let store = Store::get_forkchoice_store(Arc::clone(&config), Arc::new(anchor), &block);
        let store = store.map_err(|error| Failure::new(format!("anchor: {error}")))?;
        Ok(Steps {
            case,
            fork,
            config,
            keys,
            fast_confirmation: FastConfirmationStore::get_fast_confirmation_store(&store),
            store,
            early: Vec::new(),
            pow_blocks: HashMap::new(),
            verdicts: HashMap::new(),
        })
    }

    fn file<T: Ssz>(&self, name: &Yaml) -> Result<T, Failure> {
        object(self.case, &format!("{}.ssz_snappy", name.text()?), self.fork)
    }

    fn step(&mut self, step: &Yaml) -> Result<(), Failure> {
        let valid = step.find("valid")?.map_or(Ok(true), Yaml::bool)?;
        if let Some(checks) = step.find("checks")? {
            self.checks(checks)
        } else if let Some(time) = step.find("tick")? {
            self.store.on_tick(time.u64()?);
            self.retry_early()
        } else if let Some(name) = step.find("block")? {
            self.on_block(step, name, valid)
        } else if let Some(name) = step.find("attestation")? {
            let attestation: Attestation = self.file(name)?;
            if self.case.path().runner() == "fast_confirmation" && self.is_early(&attestation) {
                self.early.push(attestation);
                return Ok(());
            }
            let result = self.on_attestation(&attestation, false)?;
            self.case.expect_validity("attestation", valid, result).map(drop)
        } else if let Some(name) = step.find("attester_slashing")? {
            let slashing: AttesterSlashing = self.file(name)?;
            let result = self.on_attester_slashing(&slashing)?;
            self.case.expect_validity("attester slashing", valid, result).map(drop)
        } else if let Some(name) = step.find("pow_block")? {
            let pow_block: PowBlock = self.file(name)?;
            self.pow_blocks.insert(pow_block.block_hash, pow_block);
            Ok(())
        } else if let Some(hash) = step.find("block_hash")? {
            let verdict = verdict(step.get("payload_status")?)?;
            self.verdicts.insert(bytes(hash)?, verdict);
            Ok(())
        } else if let Some(name) = step.find("execution_payload")? {
            self.on_execution_payload_envelope(name, valid)
        } else if let Some(name) = step.find("payload_attestation_message")? {
            self.on_payload_attestation_message(name, valid)
        } else {
            Err(Failure::new("a step of no known kind"))
        }
    }

    fn on_block(&mut self, step: &Yaml, name: &Yaml, valid: bool) -> Result<(), Failure> {
        let signed_block: SignedBeaconBlock = self.file(name)?;
        let block = &signed_block.message;
        let data = self.data_availability(step, block)?;
        let hash = block.body.execution_payload.block_hash;
        let verdict = self.verdicts.get(&hash).copied().unwrap_or(ExecutionVerdict::Valid);
        let mut ctx = context(self.case, &self.config, &self.keys, true)?;
        let pow_blocks = &self.pow_blocks;
        let action = self
            .store
            .validate_block(&mut ctx, &signed_block, |hash| pow_blocks.get(hash).cloned());
        if let ExecutionVerdict::Invalid { latest_valid_hash } = verdict {
            let root = block.hash_tree_root(self.fork);
            self.store
                .apply_invalid_payload(&root, &block.parent_root, latest_valid_hash);
        }
        let known = self.store.blocks().get(&block.hash_tree_root(self.fork)).is_some();
        let result = action.with_verdicts(data, verdict).accepted();
        let result = result.and_then(|valid| {
            let state = Arc::clone(valid.state());
            self.store.apply_block(*valid).map(|()| state)
        });
        // A block that is known is no error to the spec.
        if known && valid && result.is_err() {
            return Ok(());
        }
        let Some(state) = self.case.expect_validity("block", valid, result)? else {
            return Ok(());
        };
        self.keys
            .extend(&state.validators)
            .map_err(|error| Failure::new(format!("keys: {error}")))?;
        for attestation in &block.body.attestations {
            let result = self.on_attestation(attestation, true)?;
            self.case.expect_validity("attestation in the block", true, result)?;
        }
        for slashing in &block.body.attester_slashings {
            let result = self.on_attester_slashing(slashing)?;
            self.case
                .expect_validity("attester slashing in the block", true, result)?;
        }
        self.store.prune();
        Ok(())
    }

    fn data_availability(&self, step: &Yaml, block: &BeaconBlock) -> Result<DataAvailability, Failure> {
        if let Some(names) = step.find("columns")? {
            let sidecars: Result<Vec<DataColumnSidecar>, _> =
                names.list()?.iter().map(|name| self.file(name)).collect();
            let sidecars = sidecars?;
            if sidecars.is_empty() {
                return Ok(DataAvailability::Missing);
            }
            let commitments = &block.body.blob_kzg_commitments;
            return Ok(is_column_data_available(
                &self.config,
                self.fork,
                &sidecars,
                commitments,
            ));
        }
        if self.fork < Fork::Deneb || self.fork >= Fork::Fulu {
            return Ok(DataAvailability::Available);
        }
        let blobs: Vec<Blob> = match step.find("blobs")? {
            Some(name) => self.blobs(name)?,
            None => Vec::new(),
        };
        let proofs: Vec<KZGProof> = match step.find("proofs")? {
            Some(proofs) => proofs.list()?.iter().map(bytes).collect::<Result<_, _>>()?,
            None => Vec::new(),
        };
        let commitments = &block.body.blob_kzg_commitments;
        Ok(is_blob_data_available(commitments, &blobs, &proofs))
    }

    fn blobs(&self, name: &Yaml) -> Result<Vec<Blob>, Failure> {
        const BYTES_PER_BLOB: usize = consensus::preset::BYTES_PER_BLOB as usize;
        let bytes = self.case.ssz(&format!("{}.ssz_snappy", name.text()?))?;
        if bytes.len() % BYTES_PER_BLOB != 0 {
            return Err(Failure::new("the blobs are no whole number of blobs"));
        }
        let blobs = bytes.chunks_exact(BYTES_PER_BLOB);
        Ok(blobs.map(|blob| consensus::ssz::ByteVector(blob.to_vec())).collect())
    }

    fn on_attestation(
        &mut self,
        attestation: &Attestation,
        is_from_block: bool,
    ) -> Result<Result<(), Invalid>, Failure> {
        let mut ctx = self.context(is_from_block)?;
        let action = self.store.validate_attestation(&mut ctx, attestation, is_from_block);
        Ok(action.accepted().map(|attestation| {
            self.store.apply_attestation(&attestation);
        }))
    }

    fn is_early(&self, attestation: &Attestation) -> bool {
        attestation.data.slot >= self.store.get_current_slot()
    }

    /// Enters the attestations whose time has come.
    fn retry_early(&mut self) -> Result<(), Failure> {
        for attestation in std::mem::take(&mut self.early) {
            if self.is_early(&attestation) {
                self.early.push(attestation);
                continue;
            }
            let result = self.on_attestation(&attestation, false)?;
            self.case.expect_validity("attestation", true, result)?;
        }
        Ok(())
    }

    fn on_attester_slashing(&mut self, slashing: &AttesterSlashing) -> Result<Result<(), Invalid>, Failure> {
        let mut ctx = self.context(false)?;
        let indices = self.store.validate_attester_slashing(&mut ctx, slashing);
        Ok(indices.map(|indices| self.store.apply_attester_slashing(&indices)))
    }

    fn on_execution_payload_envelope(&mut self, name: &Yaml, valid: bool) -> Result<(), Failure> {
        let envelope: SignedExecutionPayloadEnvelope = self.file(name)?;
        let mut ctx = self.context(false)?;
        let (action, _) = self.store.validate_execution_payload_envelope(&mut ctx, &envelope);
        let hash = envelope.message.payload.block_hash;
        let verdict = self.verdicts.get(&hash).copied().unwrap_or(ExecutionVerdict::Valid);
        let accepted = action.with_verdicts(DataAvailability::Available, verdict).accepted();
        let result = accepted.map(|envelope| self.store.apply_execution_payload_envelope(envelope, verdict));
        self.case.expect_validity("envelope", valid, result).map(drop)
    }

    fn on_payload_attestation_message(&mut self, name: &Yaml, valid: bool) -> Result<(), Failure> {
        let message: PayloadAttestationMessage = self.file(name)?;
        let mut ctx = self.context(false)?;
        let action = self
            .store
            .validate_payload_attestation_message(&mut ctx, &message, false);
        let result = action.accepted().map(|vote| {
            if let Some(vote) = vote {
                self.store.apply_payload_attestation(&vote);
            }
        });
        self.case
            .expect_validity("payload attestation", valid, result)
            .map(drop)
    }

    fn context(&self, trusted: bool) -> Result<Context<'_>, Failure> {
        if trusted {
            Ok(Context::trusting(&self.config, &self.keys))
        } else {
            context(self.case, &self.config, &self.keys, false)
        }
    }

    fn checks(&mut self, checks: &Yaml) -> Result<(), Failure> {
        // The rule runs before each check of what it found, which is once a slot; no step says so.
        if checks.find("confirmed_root")?.is_some() {
            let run = self.fast_confirmation.on_fast_confirmation(&self.store);
            run.map_err(|error| Failure::new(format!("fast confirmation: {error}")))?;
        }
        for (name, expected) in checks.entries()? {
            let computed = self.computed(name, expected)?;
            self.case.expect_yaml(name, expected, &computed)?;
        }
        Ok(())
    }

    /// What the store says to a check, in the form of the vectors.
    fn computed(&self, name: &str, expected: &Yaml) -> Result<Value, Failure> {
        let store = &self.store;
        Ok(match name {
            "time" => json!(store.time()),
            "genesis_time" => json!(store.genesis_time()),
            "head" => {
                let head = store.get_head();
                let slot = store.blocks().get(&head.root).map(|block| block.slot);
                self.node(head, json!({"slot": slot, "root": head.root.to_string()}))
            }
            "justified_checkpoint" => checkpoint(store.justified_checkpoint()),
            "finalized_checkpoint" => checkpoint(store.finalized_checkpoint()),
            "proposer_boost_root" => json!(store.proposer_boost_root().to_string()),
            "get_proposer_head" => {
                let head = store.get_proposer_head(store.get_head(), store.get_current_slot());
                let head = head.map_err(|error| Failure::new(format!("proposer head: {error}")))?;
                json!(head.root.to_string())
            }
            "viable_for_head_roots_and_weights" => {
                let leaves = store.viable_for_head_roots_and_weights();
                let leaves = leaves
                    .into_iter()
                    .map(|(node, weight)| self.node(node, json!({"root": node.root.to_string(), "weight": weight})));
                leaves.collect()
            }
            "payload_timeliness_vote" | "payload_data_availability_vote" => {
                let root: Root = bytes(expected.get("block_root")?)?;
                let block = store.blocks().get(&root);
                let votes = block.and_then(|block| block.payload_votes.as_deref());
                let votes = votes.ok_or_else(|| Failure::new(format!("no votes on the payload of {root}")))?;
                let votes = if name == "payload_timeliness_vote" {
                    &votes.timeliness
                } else {
                    &votes.data_availability
                };
                json!({"block_root": root.to_string(), "votes": &**votes})
            }
            _ => return self.confirmed(name),
        })
    }

    /// What the fast-confirmation store says to a check.
    fn confirmed(&self, name: &str) -> Result<Value, Failure> {
        let fast_confirmation = &self.fast_confirmation;
        Ok(match name {
            "previous_epoch_observed_justified_checkpoint" => {
                checkpoint(fast_confirmation.previous_epoch_observed_justified_checkpoint())
            }
            "current_epoch_observed_justified_checkpoint" => {
                checkpoint(fast_confirmation.current_epoch_observed_justified_checkpoint())
            }
            "previous_epoch_greatest_unrealized_checkpoint" => {
                checkpoint(fast_confirmation.previous_epoch_greatest_unrealized_checkpoint())
            }
            "previous_slot_head" => json!(fast_confirmation.previous_slot_head().to_string()),
            "current_slot_head" => json!(fast_confirmation.current_slot_head().to_string()),
            "confirmed_root" => json!(fast_confirmation.confirmed_root().to_string()),
            "safe_execution_block_hash" => {
                json!(fast_confirmation.get_safe_execution_block_hash(&self.store).to_string())
            }
            _ => return Err(Failure::new(format!("unknown check '{name}'"))),
        })
    }

    fn node(&self, node: ForkChoiceNode, mut value: Value) -> Value {
        if self.fork >= Fork::Gloas {
            value["payload_status"] = json!(node.payload_status as u8);
        }
        value
    }
}

fn checkpoint(checkpoint: Checkpoint) -> Value {
    json!({"epoch": checkpoint.epoch, "root": checkpoint.root.to_string()})
}

fn bytes<const N: usize>(node: &Yaml) -> Result<Bytes<N>, Failure> {
    let text = node.text()?;
    Bytes::from_str(text).map_err(|_| Failure::new(format!("'{text}' is not {N} bytes")))
}

/// What the mock of the engine answers.
fn verdict(status: &Yaml) -> Result<ExecutionVerdict, Failure> {
    status.find("validation_error")?;
    let latest_valid_hash = status.get("latest_valid_hash")?;
    let latest_valid_hash = if latest_valid_hash.is_null() {
        None
    } else {
        Some(bytes(latest_valid_hash)?)
    };
    match status.get("status")?.text()? {
        "VALID" => Ok(ExecutionVerdict::Valid),
        "SYNCING" | "ACCEPTED" => Ok(ExecutionVerdict::Optimistic),
        "INVALID" | "INVALID_BLOCK_HASH" => Ok(ExecutionVerdict::Invalid { latest_valid_hash }),
        other => Err(Failure::new(format!("unknown payload status '{other}'"))),
    }
}
