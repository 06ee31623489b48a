//! Messages judged by the rules of their topic. Format: tests/formats/networking/gossip_validation.md.
//!
//! Every case runs twice, with signatures checked where they stand and with signatures collected, as the node does it:
//! verdict and reason have to be the same.

use consensus::gossip::{self, Gossip, GossipView, Mark, PayloadValidationStatus, Seen, Verdict as Judged};
use consensus::helpers::accessors::get_beacon_proposer_index;
use consensus::helpers::misc::{compute_epoch_at_slot, compute_start_slot_at_epoch};
use consensus::keys::Keys;
use consensus::ssz::{Bytes, Root, Ssz};
use consensus::transition::process_slots;
use consensus::types::{Checkpoint, Epoch, PartialDataColumnHeader, SignedBeaconBlock, Slot, ValidatorIndex};
use consensus::{Config, Fork, State};

use super::super::state;
use crate::yaml::Yaml;
use crate::{Case, Failure, Outcome, Verdict};

/// Reads a message of the case's fork and judges it.
type Judge = fn(&Case, &Yaml, &mut Gossip) -> Result<Judged, Failure>;

/// The topic of every handler, and what judges its messages.
const TOPICS: [(&str, &str, Judge); 12] = [
    (
        "gossip_attester_slashing",
        "attester_slashing",
        |case, message, gossip| {
            Ok(gossip::validate_attester_slashing_gossip(
                gossip,
                &object(case, message, "message")?,
            ))
        },
    ),
    (
        "gossip_beacon_aggregate_and_proof",
        "beacon_aggregate_and_proof",
        |case, message, gossip| {
            let message = object(case, message, "message")?;
            Ok(gossip::validate_beacon_aggregate_and_proof_gossip(gossip, &message))
        },
    ),
    ("gossip_beacon_attestation", "beacon_attestation", attestation),
    ("gossip_beacon_block", "beacon_block", |case, message, gossip| {
        Ok(gossip::validate_beacon_block_gossip(
            gossip,
            &object(case, message, "message")?,
        ))
    }),
    ("gossip_blob_sidecar", "blob_sidecar", |case, message, gossip| {
        let subnet_id = message.get("subnet_id")?.u64()?;
        let sidecar = object(case, message, "message")?;
        Ok(gossip::validate_blob_sidecar_gossip(gossip, &sidecar, subnet_id))
    }),
    (
        "gossip_bls_to_execution_change",
        "bls_to_execution_change",
        |case, message, gossip| {
            let message = object(case, message, "message")?;
            Ok(gossip::validate_bls_to_execution_change_gossip(gossip, &message))
        },
    ),
    (
        "gossip_data_column_sidecar",
        "data_column_sidecar",
        |case, message, gossip| {
            let subnet_id = message.get("subnet_id")?.u64()?;
            let sidecar = object(case, message, "message")?;
            Ok(gossip::validate_data_column_sidecar_gossip(
                gossip,
                &sidecar,
                case.fork(),
                subnet_id,
            ))
        },
    ),
    (
        "gossip_partial_data_column_sidecar",
        "partial_data_column_sidecar",
        partial_column,
    ),
    (
        "gossip_proposer_slashing",
        "proposer_slashing",
        |case, message, gossip| {
            Ok(gossip::validate_proposer_slashing_gossip(
                gossip,
                &object(case, message, "message")?,
            ))
        },
    ),
    (
        "gossip_sync_committee_contribution_and_proof",
        "sync_committee_contribution_and_proof",
        |case, message, gossip| {
            let message = object(case, message, "message")?;
            Ok(gossip::validate_sync_committee_contribution_and_proof_gossip(
                gossip, &message,
            ))
        },
    ),
    (
        "gossip_sync_committee_message",
        "sync_committee",
        |case, message, gossip| {
            let subnet_id = message.get("subnet_id")?.u64()?;
            let message = object(case, message, "message")?;
            Ok(gossip::validate_sync_committee_message_gossip(
                gossip, &message, subnet_id,
            ))
        },
    ),
    ("gossip_voluntary_exit", "voluntary_exit", |case, message, gossip| {
        Ok(gossip::validate_voluntary_exit_gossip(
            gossip,
            &object(case, message, "message")?,
        ))
    }),
];

/// Whether the handler is one of gossip.
pub(super) fn knows(handler: &str) -> bool {
    TOPICS.iter().any(|(name, ..)| *name == handler)
}

/// The object in the file that `key` names.
fn object<T: Ssz>(case: &Case, message: &Yaml, key: &str) -> Result<T, Failure> {
    let file = format!("{}.ssz_snappy", message.get(key)?.text()?);
    state::object(case, &file, case.fork())
}

fn attestation(case: &Case, message: &Yaml, gossip: &mut Gossip) -> Result<Judged, Failure> {
    let subnet_id = message.get("subnet_id")?.u64()?;
    if case.fork() >= Fork::Electra {
        let attestation = object(case, message, "message")?;
        Ok(gossip::validate_single_attestation_gossip(
            gossip,
            &attestation,
            subnet_id,
        ))
    } else {
        let attestation = object(case, message, "message")?;
        Ok(gossip::validate_beacon_attestation_gossip(
            gossip,
            &attestation,
            subnet_id,
        ))
    }
}

fn partial_column(case: &Case, message: &Yaml, gossip: &mut Gossip) -> Result<Judged, Failure> {
    let column_index = message.get("column_index")?.u64()?;
    let group_id = object(case, message, "group_id")?;
    let sidecar = object(case, message, "message")?;
    let fork = case.fork();
    Ok(gossip::validate_partial_data_column_sidecar_gossip(
        gossip,
        &sidecar,
        fork,
        &group_id,
        column_index,
    ))
}

/// One block of the store.
#[derive(Debug)]
struct Known {
    root: Root,
    parent_root: Root,
    slot: Slot,
    failed: bool,
    payload_status: PayloadValidationStatus,
}

/// The store that a case describes: blocks, and the one state that stands for all of theirs.
#[derive(Debug)]
struct Store {
    blocks: Vec<Known>,
    finalized_checkpoint: Checkpoint,
    state: State,
    config: Config,
}

impl Store {
    fn find(&self, root: Root) -> Option<&Known> {
        self.blocks.iter().find(|known| known.root == root)
    }
}

impl GossipView for Store {
    fn block_slot(&self, root: Root) -> Option<Slot> {
        self.find(root).map(|known| known.slot)
    }

    fn is_valid_block(&self, root: Root) -> bool {
        self.find(root).is_some_and(|known| !known.failed)
    }

    fn payload_status(&self, root: Root) -> PayloadValidationStatus {
        self.find(root)
            .map_or(PayloadValidationStatus::NotValidated, |known| known.payload_status)
    }

    fn finalized_checkpoint(&self) -> Checkpoint {
        self.finalized_checkpoint
    }

    fn checkpoint_block(&self, root: Root, epoch: Epoch) -> Option<Root> {
        let slot = compute_start_slot_at_epoch(epoch);
        let mut known = self.find(root)?;
        while known.slot > slot {
            known = self.find(known.parent_root)?;
        }
        Some(known.root)
    }

    fn proposer_index(&self, _: Root, slot: Slot) -> Option<ValidatorIndex> {
        let mut state = self.state.clone();
        if compute_epoch_at_slot(state.slot) == compute_epoch_at_slot(slot) {
            // Nothing that decides it changes within an epoch, and the state may be ahead of the slot asked about.
            state.slot = slot;
            state.prepare();
        } else {
            process_slots(&mut state, &self.config, slot).ok()?;
        }
        get_beacon_proposer_index(&state).ok()
    }
}

pub(super) fn run(case: &Case) -> Outcome {
    let handler = case.path().handler();
    let topic = TOPICS.iter().find(|(name, ..)| *name == handler);
    let (_, topic, judge) = topic.ok_or_else(|| Failure::new(format!("no code for handler '{handler}'")))?;
    case.expect_text("topic", case.meta()?.get("topic")?, topic)?;
    let mut state = state::read(case, "state.ssz_snappy")?;
    let keys = state::keys(&state)?;
    state.prepare();
    let config = case.config()?;
    let store = store(case, state.clone(), config.clone())?;
    for in_batch in [false, true] {
        messages(case, &store, &state, &config, &keys, *judge, in_batch)?;
    }
    Ok(Verdict::Valid)
}

fn messages(
    case: &Case,
    store: &Store,
    state: &State,
    config: &Config,
    keys: &Keys,
    judge: Judge,
    in_batch: bool,
) -> Result<(), Failure> {
    let meta = case.meta()?;
    let mut seen = seen(case)?;
    // Slashings and exits do not ask for the time.
    let milliseconds = |node: Option<&Yaml>| node.map_or(Ok(0), Yaml::u64);
    let base_ms = state.genesis_time * 1000 + milliseconds(meta.find("current_time_ms")?)?;
    for (number, message) in meta.get("messages")?.list()?.iter().enumerate() {
        let time_ms = base_ms + milliseconds(message.find("offset_ms")?)?;
        let context = state::context(case, config, keys, in_batch)?;
        let mut gossip = Gossip::new(store, &seen, state, time_ms, context);
        let verdict = judge(case, message, &mut gossip)?;
        let verdict = gossip.finish(verdict);
        let marks = gossip.marks;
        let verdict = seen.settle(verdict, marks);
        let word = match verdict {
            Judged::Accept => "valid",
            Judged::Ignore(_) => "ignore",
            Judged::Reject(_) => "reject",
        };
        let told = format!("message {number} ({})", verdict.why().unwrap_or("accepted"));
        case.expect_text(&told, message.get("expected")?, word)?;
        match (message.find("reason")?, verdict.why()) {
            (Some(reason), why) => case.expect_text("reason", reason, why.unwrap_or("none"))?,
            (None, None) => {}
            (None, Some(why)) => return Err(Failure::new(format!("{told}: the case has no reason for '{why}'"))),
        }
    }
    Ok(())
}

/// The headers that the case says were seen.
fn seen(case: &Case) -> Result<Seen, Failure> {
    let mut seen = Seen::new();
    let meta = case.meta()?;
    let Some(headers) = meta.find("seen_partial_data_column_headers")? else {
        return Ok(seen);
    };
    for entry in headers.list()? {
        let header: PartialDataColumnHeader = object(case, entry, "header")?;
        let mark = Mark::PartialDataColumnHeader {
            block_root: root(entry.get("block_root")?)?,
            header: Box::new(header),
        };
        seen.settle(Judged::Accept, vec![mark]);
    }
    Ok(seen)
}

fn root(node: &Yaml) -> Result<Root, Failure> {
    let bytes = node.bytes()?;
    let count = bytes.len();
    let root = bytes.try_into().map(Bytes);
    root.map_err(|_| Failure::new(format!("a root of {count} bytes, expected 32")))
}

fn store(case: &Case, state: State, config: Config) -> Result<Store, Failure> {
    let meta = case.meta()?;
    let mut blocks = Vec::new();
    if let Some(entries) = meta.find("blocks")? {
        for entry in entries.list()? {
            blocks.push(known(case, entry)?);
        }
    }
    let finalized_checkpoint = match meta.find("finalized_checkpoint")? {
        // In the state of genesis it has no root yet; the store of such a state has its first block there.
        None if state.finalized_checkpoint.root.is_zero() => Checkpoint {
            epoch: state.finalized_checkpoint.epoch,
            root: blocks.first().map_or(Root::ZERO, |known| known.root),
        },
        None => state.finalized_checkpoint,
        Some(checkpoint) => Checkpoint {
            epoch: checkpoint.get("epoch")?.u64()?,
            root: match checkpoint.find("root")? {
                Some(node) => root(node)?,
                None => block(case, checkpoint)?.message.hash_tree_root(case.fork()),
            },
        },
    };
    Ok(Store {
        blocks,
        finalized_checkpoint,
        state,
        config,
    })
}

fn block(case: &Case, entry: &Yaml) -> Result<SignedBeaconBlock, Failure> {
    object(case, entry, "block")
}

fn known(case: &Case, entry: &Yaml) -> Result<Known, Failure> {
    let block = block(case, entry)?.message;
    let payload_status = match entry.find("payload_status")?.map(Yaml::text).transpose()? {
        None | Some("NOT_VALIDATED") => PayloadValidationStatus::NotValidated,
        Some("VALID") => PayloadValidationStatus::Valid,
        Some("INVALIDATED") => PayloadValidationStatus::Invalidated,
        Some(other) => return Err(Failure::new(format!("unknown payload status '{other}'"))),
    };
    Ok(Known {
        root: block.hash_tree_root(case.fork()),
        parent_root: block.parent_root,
        slot: block.slot,
        failed: entry.find("failed")?.map_or(Ok(false), Yaml::bool)?,
        payload_status,
    })
}
