//! A full node that collects data for light clients. Format: tests/formats/light_client/data_collection.md.

use std::collections::BTreeMap;

use consensus::constants::GENESIS_SLOT;
use consensus::helpers::misc::{compute_epoch_at_slot, compute_start_slot_at_epoch};
use consensus::light_client::{
    compute_sync_committee_period_at_slot, create_light_client_bootstrap, create_light_client_finality_update,
    create_light_client_optimistic_update, create_light_client_update, is_better_update,
};
use consensus::ssz::{Root, Ssz};
use consensus::transition::state_transition;
use consensus::types::{BeaconBlock, BeaconBlockBody, Checkpoint, LightClientUpdate, SignedBeaconBlock, Slot};
use consensus::{Config, Fork, Invalid, State};
use serde_json::Value;

use super::{fork_of_digest, read};
use crate::runners::state;
use crate::yaml::Yaml;
use crate::{Case, Failure, Outcome, Verdict};

/// A block with its post state and the update that its sync aggregate makes, if anybody took part.
struct Imported {
    block: SignedBeaconBlock,
    state: State,
    update: Option<LightClientUpdate>,
}

struct Chain<'a> {
    case: &'a Case<'a>,
    config: Config,
    genesis_validators_root: Root,
    anchor: Root,
    blocks: BTreeMap<Root, Imported>,
    finalized: Checkpoint,
    /// Roots of the blocks at finalized epoch boundaries: the first one, then of each finalization the newest first.
    boundaries: Vec<Root>,
}

pub(super) fn run(case: &Case) -> Outcome {
    let mut chain = Chain::new(case)?;
    let steps = case.yaml("steps.yaml")?;
    for (number, step) in steps.list()?.iter().enumerate() {
        let entries: Vec<(&str, &Yaml)> = step.entries()?.collect();
        match entries[..] {
            [("new_block", details)] => chain.import(details)?,
            [("new_head", details)] => chain.select(number, details)?,
            _ => return Err(Failure::new(format!("step {number} is not one known action"))),
        }
    }
    Ok(Verdict::Valid)
}

fn told(what: &str) -> impl Fn(Invalid) -> Failure {
    move |error| Failure::new(format!("{what}: {error}"))
}

/// The block that a state without any other begins with, if it is one.
fn anchor_block(state: &State) -> Result<SignedBeaconBlock, Failure> {
    let header = state.latest_block_header;
    let mut message = BeaconBlock {
        slot: header.slot,
        proposer_index: header.proposer_index,
        parent_root: header.parent_root,
        state_root: state.hash_tree_root(),
        body: BeaconBlockBody::new(state.at),
    };
    if state.at >= Fork::Gloas {
        // Its bid is the one that the state keeps.
        message.body.signed_execution_payload_bid.message = state.latest_execution_payload_bid.clone();
    }
    if message.body.hash_tree_root(state.at) != header.body_root {
        return Err(Failure::new("the initial state's block is not an empty one"));
    }
    Ok(SignedBeaconBlock {
        message,
        ..SignedBeaconBlock::default()
    })
}

impl<'a> Chain<'a> {
    fn new(case: &'a Case<'a>) -> Result<Self, Failure> {
        let state = state::read(case, "initial_state.ssz_snappy")?;
        let block = anchor_block(&state)?;
        let anchor = block.message.hash_tree_root(state.at);
        let first = Imported {
            block,
            state,
            update: None,
        };
        Ok(Chain {
            case,
            config: case.config()?,
            genesis_validators_root: first.state.genesis_validators_root,
            anchor,
            finalized: first.state.finalized_checkpoint,
            blocks: BTreeMap::from([(anchor, first)]),
            boundaries: vec![anchor],
        })
    }

    fn get(&self, root: &Root) -> Result<&Imported, Failure> {
        let found = self.blocks.get(root);
        found.ok_or_else(|| Failure::new(format!("block {root} is not known")))
    }

    fn import(&mut self, details: &Yaml) -> Result<(), Failure> {
        let digest = details.get("fork_digest")?.text()?;
        let fork = fork_of_digest(&self.config, self.genesis_validators_root, digest)?;
        let name = details.get("data")?.text()?;
        let block: SignedBeaconBlock = read(self.case, &format!("{name}.ssz_snappy"), fork)?;
        let parent = self.get(&block.message.parent_root)?;
        let keys = state::keys(&parent.state)?;
        let mut context = state::context(self.case, &self.config, &keys, true)?;
        let (state, _) = state_transition(&parent.state, &block, &mut context, true).map_err(told(name))?;
        let has_participants = block.message.body.sync_aggregate.sync_committee_bits.any();
        let update = if has_participants {
            let finalized = parent.state.finalized_checkpoint.root;
            let finalized = self
                .blocks
                .get(if finalized.is_zero() { &self.anchor } else { &finalized });
            let finalized = finalized.map(|finalized| &finalized.block);
            let (signed, attested) = ((&state, &block), (&parent.state, &parent.block));
            Some(create_light_client_update(&self.config, signed, attested, finalized).map_err(told(name))?)
        } else {
            None
        };
        let root = block.message.hash_tree_root(fork);
        self.blocks.insert(root, Imported { block, state, update });
        Ok(())
    }

    /// The blocks from the first one to `head`.
    fn chain_to(&self, head: Root) -> Result<Vec<(Root, &Imported)>, Failure> {
        let mut chain = vec![(head, self.get(&head)?)];
        while let Some((root, imported)) = chain.last()
            && *root != self.anchor
        {
            let parent = imported.block.message.parent_root;
            chain.push((parent, self.get(&parent)?));
        }
        chain.reverse();
        Ok(chain)
    }

    fn select(&mut self, number: usize, details: &Yaml) -> Result<(), Failure> {
        let head: Root = details
            .get("head_block_root")?
            .text()?
            .parse()
            .map_err(|error| Failure::new(format!("step {number}: {error}")))?;
        self.finalize(head)?;
        let checks = details.get("checks")?;
        let chain = self.chain_to(head)?;

        let finalized = checks.get("latest_finalized_checkpoint")?;
        let (epoch, root) = (self.finalized.epoch, self.finalized.root.to_string());
        self.case
            .expect_yaml("finalized epoch", finalized.get("epoch")?, &Value::from(epoch))?;
        self.case.expect_text("finalized root", finalized.get("root")?, &root)?;
        self.check_bootstraps(checks.get("bootstraps")?)?;
        self.check_best_updates(&chain, checks.get("best_updates")?)?;

        let latest = chain.iter().rev().find_map(|(_, imported)| imported.update.as_ref());
        let slot = |update: &LightClientUpdate| update.attested_header.beacon.slot;
        self.check(
            "latest finality update",
            checks.find("latest_finality_update")?,
            latest.map(|update| (slot(update), create_light_client_finality_update(update))),
        )?;
        self.check(
            "latest optimistic update",
            checks.find("latest_optimistic_update")?,
            latest.map(|update| (slot(update), create_light_client_optimistic_update(update))),
        )
    }

    /// Takes note of what the head's state has finalized.
    fn finalize(&mut self, head: Root) -> Result<(), Failure> {
        let checkpoint = self.get(&head)?.state.finalized_checkpoint;
        if checkpoint.epoch <= self.finalized.epoch {
            return Ok(());
        }
        let chain = self.chain_to(checkpoint.root)?;
        let mut boundaries = Vec::new();
        for epoch in (self.finalized.epoch + 1..=checkpoint.epoch).rev() {
            let start = compute_start_slot_at_epoch(epoch);
            let last = chain
                .iter()
                .rev()
                .find(|(_, imported)| imported.block.message.slot <= start);
            boundaries.extend(last.map(|(root, _)| *root));
        }
        self.boundaries.extend(boundaries);
        let mut seen = std::collections::BTreeSet::new();
        self.boundaries.retain(|root| seen.insert(*root));
        self.finalized = checkpoint;
        Ok(())
    }

    fn check_bootstraps(&self, expected: &Yaml) -> Result<(), Failure> {
        let expected = expected.list()?;
        if expected.len() != self.boundaries.len() {
            let (computed, expected) = (self.boundaries.len(), expected.len());
            return Err(Failure::new(format!("{computed} bootstraps, expected {expected}")));
        }
        for (entry, root) in expected.iter().zip(&self.boundaries) {
            self.case
                .expect_text("block of the bootstrap", entry.get("block_root")?, &root.to_string())?;
            let imported = self.get(root)?;
            let bootstrap = create_light_client_bootstrap(&self.config, &imported.state, &imported.block)
                .map_err(told("bootstrap"))?;
            let computed = Some((imported.block.message.slot, bootstrap));
            self.check("bootstrap", entry.find("bootstrap")?, computed)?;
        }
        Ok(())
    }

    /// The best update of each period up to the head's, of those that the period's own committee has signed.
    fn check_best_updates(&self, chain: &[(Root, &Imported)], expected: &Yaml) -> Result<(), Failure> {
        let period_at = compute_sync_committee_period_at_slot;
        let slot_of =
            |entry: Option<&(Root, &Imported)>| entry.map_or(GENESIS_SLOT, |entry| entry.1.block.message.slot);
        let periods = period_at(slot_of(chain.first()))..=period_at(slot_of(chain.last()));
        let expected = expected.list()?;
        if expected.len() != periods.clone().count() {
            return Err(Failure::new(format!(
                "{} periods, expected {}",
                periods.count(),
                expected.len()
            )));
        }
        for (entry, period) in expected.iter().zip(periods) {
            self.case
                .expect_yaml("period", entry.get("period")?, &Value::from(period))?;
            let mut best: Option<&LightClientUpdate> = None;
            for update in chain.iter().filter_map(|(_, imported)| imported.update.as_ref()) {
                let attested = period_at(update.attested_header.beacon.slot);
                let counts = attested == period && period_at(update.signature_slot) == period;
                if counts && best.is_none_or(|best| is_better_update(update, best)) {
                    best = Some(update);
                }
            }
            let computed = best.map(|update| (update.attested_header.beacon.slot, update.clone()));
            self.check("best update", entry.find("update")?, computed)?;
        }
        Ok(())
    }

    /// Compares an object, made at a slot, and the digest of its fork, or that there is none.
    fn check<T: Ssz>(&self, what: &str, expected: Option<&Yaml>, computed: Option<(Slot, T)>) -> Result<(), Failure> {
        let (expected, (slot, object)) = match (expected, computed) {
            (None, None) => return Ok(()),
            (Some(expected), Some(computed)) => (expected, computed),
            (expected, _) => {
                let wanted = if expected.is_some() { "one" } else { "none" };
                return Err(Failure::new(format!("{what}: {wanted} is expected")));
            }
        };
        let epoch = compute_epoch_at_slot(slot);
        let digest = self.config.compute_fork_digest(self.genesis_validators_root, epoch);
        self.case
            .expect_text(what, expected.get("fork_digest")?, &digest.to_string())?;
        let fork: Fork = self.config.fork_at_epoch(epoch);
        let file = format!("{}.ssz_snappy", expected.get("data")?.text()?);
        self.case.expect_ssz(what, &file, &object.encode(fork))
    }
}
