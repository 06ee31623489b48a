//! What a remote signer is asked: the body of a request for each kind of message.
//!
//! The signer computes the signing root itself from what it is told, so that it can keep its own slashing protection; the
//! root that we expect stands beside it, and a signer that finds another one refuses.
//!
//! Spec: remote-signing-api v1.1.0, with what has come since: the type `AGGREGATE_AND_PROOF_V2`, the versions of Electra,
//! Fulu and Gloas, and the types of Gloas, each with its version like `BLOCK_V2` (v1.4.0).

use super::message::{Message, Network};
use consensus::Fork;
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::ssz::{Json, Root};
use consensus::types::{Epoch, Slot};

/// The body that asks for a signature of `message`, whose signing root is known. An error says which messages the API has
/// no form for.
pub(super) fn body(message: &Message<'_>, network: &Network, signing_root: Root) -> Result<String, String> {
    let at_slot = |slot: Slot| (network.fork_at_slot(slot), compute_epoch_at_slot(slot));
    let (kind, field, value, epoch) = match *message {
        Message::Attestation(data) => {
            let (fork, epoch) = at_slot(data.slot);
            ("ATTESTATION", "attestation", data.to_json(fork), Some(epoch))
        }
        Message::Block { slot, block_header } => {
            let (fork, epoch) = at_slot(slot);
            if fork < Fork::Bellatrix {
                return Err(format!(
                    "a block of {fork} needs a local key: a remote signer wants all of it"
                ));
            }
            let header = block_header.to_json(fork);
            let value = format!(r#"{{"version":"{}","block_header":{header}}}"#, version(fork));
            ("BLOCK_V2", "beacon_block", value, Some(epoch))
        }
        Message::RandaoReveal(epoch) => {
            let value = format!(r#"{{"epoch":"{epoch}"}}"#);
            ("RANDAO_REVEAL", "randao_reveal", value, Some(epoch))
        }
        Message::SelectionProof(slot) => {
            let value = format!(r#"{{"slot":"{slot}"}}"#);
            ("AGGREGATION_SLOT", "aggregation_slot", value, Some(at_slot(slot).1))
        }
        Message::AggregateAndProof(message) => {
            let (fork, epoch) = at_slot(message.aggregate.data.slot);
            let data = message.to_json(fork);
            if fork >= Fork::Electra {
                let value = versioned(fork, &data);
                ("AGGREGATE_AND_PROOF_V2", "aggregate_and_proof", value, Some(epoch))
            } else {
                ("AGGREGATE_AND_PROOF", "aggregate_and_proof", data, Some(epoch))
            }
        }
        Message::SyncCommitteeMessage {
            slot,
            beacon_block_root,
        } => {
            let value = format!(r#"{{"beacon_block_root":"{beacon_block_root}","slot":"{slot}"}}"#);
            let epoch = at_slot(slot).1;
            ("SYNC_COMMITTEE_MESSAGE", "sync_committee_message", value, Some(epoch))
        }
        Message::SyncSelectionProof {
            slot,
            subcommittee_index,
        } => {
            let value = format!(r#"{{"slot":"{slot}","subcommittee_index":"{subcommittee_index}"}}"#);
            let field = "sync_aggregator_selection_data";
            ("SYNC_COMMITTEE_SELECTION_PROOF", field, value, Some(at_slot(slot).1))
        }
        Message::ContributionAndProof(message) => {
            let (fork, epoch) = at_slot(message.contribution.slot);
            let kind = "SYNC_COMMITTEE_CONTRIBUTION_AND_PROOF";
            (kind, "contribution_and_proof", message.to_json(fork), Some(epoch))
        }
        Message::VoluntaryExit(exit) => {
            // Capella's fork, whose domain every later one keeps for exits (EIP-7044).
            let capella = network.config.fork_epoch(Fork::Capella);
            let value = exit.to_json(Fork::Capella);
            ("VOLUNTARY_EXIT", "voluntary_exit", value, Some(capella))
        }
        Message::ValidatorRegistration(registration) => {
            let value = registration.to_json(Fork::Bellatrix);
            ("VALIDATOR_REGISTRATION", "validator_registration", value, None)
        }
        Message::PayloadAttestation(_)
        | Message::ProposerPreferences(_)
        | Message::ExecutionPayloadEnvelope { .. }
        | Message::ExecutionPayloadBid(_) => of_gloas(message, network)?,
    };
    let fork = epoch.map_or_else(String::new, |epoch| {
        format!(r#""fork_info":{},"#, fork_info(network, epoch))
    });
    Ok(format!(
        r#"{{"type":"{kind}",{fork}"signingRoot":"{signing_root}","{field}":{value}}}"#
    ))
}

/// Type, field, value and epoch of a request.
type Parts = (&'static str, &'static str, String, Option<Epoch>);

/// The messages that Gloas brings.
fn of_gloas(message: &Message<'_>, network: &Network) -> Result<Parts, String> {
    let of = |kind, field, slot, json: &dyn Fn(Fork) -> String| {
        let fork = network.fork_at_slot(slot);
        (
            kind,
            field,
            versioned(fork, &json(fork)),
            Some(compute_epoch_at_slot(slot)),
        )
    };
    Ok(match *message {
        Message::PayloadAttestation(data) => {
            let (kind, field) = ("PAYLOAD_ATTESTATION_MESSAGE", "payload_attestation_message");
            of(kind, field, data.slot, &|fork| data.to_json(fork))
        }
        Message::ProposerPreferences(preferences) => {
            let (kind, field) = ("PROPOSER_PREFERENCES", "proposer_preferences");
            of(kind, field, preferences.proposal_slot, &|fork| {
                preferences.to_json(fork)
            })
        }
        Message::ExecutionPayloadEnvelope { slot, envelope } => {
            let (kind, field) = ("EXECUTION_PAYLOAD_ENVELOPE", "execution_payload_envelope");
            of(kind, field, slot, &|fork| envelope.to_json(fork))
        }
        Message::ExecutionPayloadBid(bid) => {
            let (kind, field) = ("EXECUTION_PAYLOAD_BID", "execution_payload_bid");
            of(kind, field, bid.slot, &|fork| bid.to_json(fork))
        }
        ref other => return Err(format!("this is no message of Gloas: {other:?}")),
    })
}

/// The fork's name as the API writes it.
fn version(fork: Fork) -> String {
    fork.name().to_uppercase()
}

/// An object with the fork that it is of.
fn versioned(fork: Fork, data: &str) -> String {
    format!(r#"{{"version":"{}","data":{data}}}"#, version(fork))
}

/// The fork of an epoch with the one before it. Spec: phase0/beacon-chain.md, `Fork`.
fn fork_info(network: &Network, epoch: Epoch) -> String {
    let config = &network.config;
    let scheduled: Vec<_> = config
        .scheduled_forks()
        .filter(|(_, _, first)| *first <= epoch)
        .collect();
    let (_, current, first) = scheduled
        .last()
        .copied()
        .unwrap_or((Fork::Phase0, config.genesis_fork_version, 0));
    let before = scheduled.len().checked_sub(2).and_then(|place| scheduled.get(place));
    let previous = before.map_or(current, |(_, version, _)| *version);
    let root = network.genesis_validators_root;
    format!(
        r#"{{"fork":{{"previous_version":"{previous}","current_version":"{current}","epoch":"{first}"}},"genesis_validators_root":"{root}"}}"#
    )
}

/// The signature in an answer: `{"signature": "0x…"}`, or the bare text that older signers send.
pub(super) fn read_signature(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let json: Option<serde_json::Value> = serde_json::from_str(text).ok();
    let named = json.as_ref().and_then(|json| json.get("signature")?.as_str());
    Some(named.unwrap_or(text).trim().trim_matches('"').to_owned())
}
