//! Remote signers, against one on a real socket that signs with known keys, or misbehaves.

use super::tests::{Gloas, aggregate, config, contribution, header, one, secret, vote};
use super::*;
use crate::keys::{Standing, Vouch, admit_remote, public_key};
use crate::scripted::{Asked, Reply, Scripted};
use crate::settings::{Change, edit};
use crate::slashing_protection::KeyHistory;
use crate::tests::Scratch;
use consensus::Fork;
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::ssz::Bytes;
use consensus::types::{ValidatorRegistrationV1, VoluntaryExit};
use std::sync::Mutex;

const ROOT: Root = Bytes([7; 32]);

/// Signs what it is asked to, by the root in the request.
fn sign(asked: &Asked) -> Reply {
    let body = asked.json();
    let root: Root = body["signingRoot"].as_str().unwrap().parse().unwrap();
    let key = SecretKey::from_bytes(&secret(1)).unwrap();
    let signature: BLSSignature = Bytes(key.sign(&root.0).to_bytes());
    Reply::json(format!(r#"{{"signature":"{signature}"}}"#))
}

/// A client whose one key is in that signer.
fn signer(scratch: &Scratch, script: &Scripted) -> (Signer, BLSPubkey) {
    let key = public_key(&secret(1)).unwrap();
    let path = scratch.path(FILE_NAME);
    SlashingProtection::create(&path, ROOT).unwrap();
    let database = SlashingProtection::open(&path, ROOT).unwrap();
    admit_remote(&database, &[key], &Vouch::New(&|_| Standing::NotOnChain)).unwrap();
    drop(database);
    edit(scratch.folder(), &[(key, Change::RemoteSigner(Some(script.url())))]).unwrap();
    let signer = Signer::open(scratch.folder(), config(), ROOT).unwrap();
    assert_eq!(signer.public_keys(), [key]);
    (signer, key)
}

/// For each kind of message its type, and a place in its body with what stands there.
const FORMS: [(&str, &str, &str); 10] = [
    ("ATTESTATION", "/attestation/target/epoch", "61"),
    ("BLOCK_V2", "/beacon_block/version", "FULU"),
    ("RANDAO_REVEAL", "/randao_reveal/epoch", "61"),
    ("AGGREGATION_SLOT", "/aggregation_slot/slot", "SLOT"),
    (
        "AGGREGATE_AND_PROOF_V2",
        "/aggregate_and_proof/data/aggregator_index",
        "3",
    ),
    ("SYNC_COMMITTEE_MESSAGE", "/sync_committee_message/slot", "SLOT"),
    (
        "SYNC_COMMITTEE_SELECTION_PROOF",
        "/sync_aggregator_selection_data/subcommittee_index",
        "2",
    ),
    (
        "SYNC_COMMITTEE_CONTRIBUTION_AND_PROOF",
        "/contribution_and_proof/contribution/slot",
        "SLOT",
    ),
    ("VOLUNTARY_EXIT", "/voluntary_exit/validator_index", "4"),
    ("VALIDATOR_REGISTRATION", "/validator_registration/gas_limit", "0"),
];

#[tokio::test]
async fn every_message_is_asked_for_by_its_type() {
    let scratch = Scratch::new("remote-types");
    let script = Scripted::start(sign);
    let (signer, key) = signer(&scratch, &script);
    let slot = 61 * SLOTS_PER_EPOCH + 3;
    let epoch = slot / SLOTS_PER_EPOCH;
    let (vote, header) = (vote(slot, 60), header(slot, 1));
    let (aggregate, contribution) = (aggregate(slot), contribution(slot));
    let exit = VoluntaryExit {
        epoch,
        validator_index: 4,
    };
    let registration = ValidatorRegistrationV1 {
        pubkey: key,
        ..ValidatorRegistrationV1::default()
    };
    let block = Message::Block {
        slot,
        block_header: &header,
    };
    let vote_for_head = Message::SyncCommitteeMessage {
        slot,
        beacon_block_root: ROOT,
    };
    let seat = Message::SyncSelectionProof {
        slot,
        subcommittee_index: 2,
    };
    let number = slot.to_string();
    let messages = [
        Message::Attestation(&vote),
        block,
        Message::RandaoReveal(epoch),
        Message::SelectionProof(slot),
        Message::AggregateAndProof(&aggregate),
        vote_for_head,
        seat,
        Message::ContributionAndProof(&contribution),
        Message::VoluntaryExit(&exit),
        Message::ValidatorRegistration(&registration),
    ];
    let cases = messages.into_iter().zip(FORMS);
    for (count, (message, (kind, place, value))) in cases.enumerate() {
        // It verifies, or the signer had refused it.
        one(&signer, key, message, slot).await.unwrap();
        let asked = script.asked("/api/v1/eth2/sign/").remove(count);
        assert_eq!(asked.path, format!("/api/v1/eth2/sign/{key}"));
        let body = asked.json();
        assert_eq!(body["type"], kind);
        let value = if value == "SLOT" { &number } else { value };
        let found = body.pointer(place).and_then(|found| found.as_str());
        assert_eq!(found, Some(value), "{body}");
        let fork = if kind == "VOLUNTARY_EXIT" {
            Fork::Capella
        } else {
            Fork::Fulu
        };
        if kind == "VALIDATOR_REGISTRATION" {
            assert!(body.get("fork_info").is_none());
        } else {
            let fork_info = &body["fork_info"];
            assert_eq!(
                fork_info["fork"]["current_version"],
                config().fork_version(fork).to_string()
            );
            assert_eq!(fork_info["fork"]["epoch"], (10 * fork as u64).to_string());
            assert_ne!(
                fork_info["fork"]["previous_version"],
                fork_info["fork"]["current_version"]
            );
            assert_eq!(fork_info["genesis_validators_root"], ROOT.to_string());
        }
    }
}

#[tokio::test]
async fn forks_before_electra_have_the_older_type_and_gloas_has_its_own() {
    let scratch = Scratch::new("remote-forks");
    let script = Scripted::start(sign);
    let (signer, key) = signer(&scratch, &script);
    let slot = 71 * SLOTS_PER_EPOCH + 3;
    let early = aggregate(41 * SLOTS_PER_EPOCH);
    one(&signer, key, Message::AggregateAndProof(&early), slot)
        .await
        .unwrap();
    let body = script.asked("/api/v1/eth2/sign/").pop().unwrap().json();
    assert_eq!(body["type"], "AGGREGATE_AND_PROOF");
    assert_eq!(body["aggregate_and_proof"]["aggregator_index"], "3");
    let gloas = Gloas::at(slot);
    let vote = Message::PayloadAttestation(&gloas.vote);
    one(&signer, key, vote, slot).await.unwrap();
    let body = script.asked("/api/v1/eth2/sign/").pop().unwrap().json();
    assert_eq!(body["payload_attestation_message"]["version"], "GLOAS");
    let other = Message::ExecutionPayloadEnvelope {
        slot: slot - 1,
        envelope: &gloas.envelope,
    };
    let refused = one(&signer, key, other, slot).await.unwrap_err();
    assert!(matches!(refused, Refused::Malformed(_)), "{refused}");
}

fn trusting(authority: Option<&String>) -> Reach {
    Reach {
        authorities: authority.map(|pem| pem.clone().into_bytes()),
        ..Reach::default()
    }
}

/// Over TLS, by an authority that only the operator knows: refused without it, with the remedy, and trusted with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_a_signer_is_trusted_by_the_authority_that_is_named() {
    let scratch = Scratch::new("remote-tls");
    let script = Scripted::start_tls(sign);
    let (signer, key) = signer(&scratch, &script);
    let other = Scripted::start_tls(sign).authority;
    let open = |authority: Option<&String>| {
        let reach = trusting(authority);
        Signer::open_reaching(scratch.folder(), config(), ROOT, reach).unwrap()
    };
    let refused = one(&signer, key, Message::SelectionProof(5), 5)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("certificate") && refused.contains("--remote-signer-ca"),
        "{refused}"
    );
    drop(signer);
    let wrong = open(other.as_ref());
    let refused = one(&wrong, key, Message::SelectionProof(5), 5).await.unwrap_err();
    assert!(refused.to_string().contains("certificate"), "{refused}");
    drop(wrong);
    assert!(
        script.asked("").is_empty(),
        "nothing was asked over a line that is not trusted"
    );

    let signer = open(script.authority.as_ref());
    let vote = vote(3 * SLOTS_PER_EPOCH, 1);
    one(&signer, key, Message::Attestation(&vote), 1000).await.unwrap();
    assert_eq!(script.asked("/api/v1/eth2/sign/").len(), 1);

    // An exit is signed by the same signer, though no client runs.
    for (authority, may) in [(None, false), (script.authority.as_ref(), true)] {
        let reach = trusting(authority);
        let folder = scratch.folder().to_path_buf();
        let signed = tokio::task::spawn_blocking(move || {
            let key = crate::exit::stored_key(&folder, &key, reach).unwrap();
            crate::exit::sign(&key, &config(), ROOT, 4, 61)
        });
        let signed = signed.await.unwrap();
        assert_eq!(signed.is_ok(), may, "{signed:?}");
    }
}

#[tokio::test]
async fn the_record_is_there_before_the_request_goes_out_and_forbids_another() {
    let scratch = Scratch::new("remote-record");
    let held: Arc<Mutex<Option<Signer>>> = Arc::default();
    let seen: Arc<Mutex<Vec<Option<u64>>>> = Arc::default();
    let (inside, noted) = (held.clone(), seen.clone());
    let key = public_key(&secret(1)).unwrap();
    let script = Scripted::start(move |asked| {
        let signer = inside.lock().unwrap().clone().unwrap();
        let record = signer.protection().key(&key).unwrap().unwrap();
        noted.lock().unwrap().push(record.history.last_target);
        sign(asked)
    });
    let (signer, key) = signer(&scratch, &script);
    *held.lock().unwrap() = Some(signer.clone());
    let (first, mut second) = (vote(3 * SLOTS_PER_EPOCH, 1), vote(3 * SLOTS_PER_EPOCH, 1));
    second.beacon_block_root = ROOT;
    one(&signer, key, Message::Attestation(&first), 1000).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [Some(3)]);
    let refused = one(&signer, key, Message::Attestation(&second), 1000)
        .await
        .unwrap_err();
    assert!(matches!(refused, Refused::Slashable(_)), "{refused}");
    assert_eq!(seen.lock().unwrap().len(), 1, "it was not even asked for");
    *held.lock().unwrap() = None;
}

#[tokio::test]
async fn what_a_signer_answers_is_not_believed() {
    let scratch = Scratch::new("remote-wrong");
    let replies: Arc<Mutex<Vec<Reply>>> = Arc::default();
    let next = replies.clone();
    let script = Scripted::start(move |_| next.lock().unwrap().remove(0));
    let (signer, key) = signer(&scratch, &script);
    let other = SecretKey::from_bytes(&secret(2)).unwrap().sign(&[1; 32]);
    let other: BLSSignature = Bytes(other.to_bytes());
    let cases = [
        (Reply::status(412, "slashable"), "own slashing protection refuses"),
        (Reply::status(404, "no key"), "does not have the key"),
        (Reply::status(400, "what"), "does not understand"),
        (Reply::status(500, "broken"), "failed"),
        (Reply::json("nonsense"), "no signature"),
        (
            Reply::json(format!(r#"{{"signature":"{other}"}}"#)),
            "not of this key and message",
        ),
    ];
    for (reply, words) in cases {
        replies.lock().unwrap().push(reply);
        let refused = one(&signer, key, Message::SelectionProof(5), 5).await.unwrap_err();
        assert!(refused.to_string().contains(words), "{words}: {refused}");
    }
    let record = signer.protection().key(&key).unwrap().unwrap();
    assert_eq!(record.history, KeyHistory::default());
}

#[tokio::test]
async fn one_key_is_in_one_place() {
    let scratch = Scratch::new("remote-both");
    let script = Scripted::start(sign);
    let (signer, key) = signer(&scratch, &script);
    drop(signer);
    KeyStore::new(scratch.folder()).insert(&secret(1), "", None).unwrap();
    let error = Signer::open(scratch.folder(), config(), ROOT).unwrap_err().to_string();
    assert!(
        error.contains("in a remote signer too") && error.contains(&key.to_string()),
        "{error}"
    );
}
