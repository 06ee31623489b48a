//! What is signed and what is not: domains, the clock, states of keys.

use super::*;
use crate::keys::{Candidate, Standing, Vouch, import};
use crate::tests::Scratch;
use consensus::Fork;
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::signing::{compute_domain, signing_root_of};
use consensus::ssz::{Bytes, Ssz};
use consensus::types::{
    AggregateAndProof, AttestationData, BeaconBlockHeader, Checkpoint, ContributionAndProof, Domain, Epoch,
    ExecutionPayloadBid, ExecutionPayloadEnvelope, PayloadAttestationData, ProposerPreferences,
    SyncAggregatorSelectionData, ValidatorRegistrationV1, VoluntaryExit,
};
use crypto::bls::{PublicKey, Signature, verify};
use crypto::derive::SecretBytes;

const ROOT: Root = Bytes([7; 32]);

/// Forks at epochs 0, 10, 20, …, so that a version tells the epoch it was taken at.
pub(super) fn config() -> Config {
    let mut config = Config::network("devnet").unwrap();
    for fork in Fork::ALL {
        config.set_fork_epoch(fork, 10 * fork as u64);
    }
    config
}

pub(super) fn secret(number: u8) -> SecretBytes {
    SecretBytes::new([number; 32])
}

fn keys(scratch: &Scratch, numbers: &[u8]) -> Vec<BLSPubkey> {
    let candidate = |number: &u8| Candidate {
        secret: secret(*number),
        path: String::new(),
        description: None,
    };
    let candidates: Vec<Candidate> = numbers.iter().map(candidate).collect();
    let new = Vouch::New(&|_| Standing::BeforeStart);
    let imported = import(scratch.folder(), ROOT, &candidates, &new).unwrap();
    imported.into_iter().map(|imported| imported.pubkey).collect()
}

fn signer(scratch: &Scratch) -> Signer {
    Signer::open(scratch.folder(), config(), ROOT).unwrap()
}

pub(super) async fn one(
    signer: &Signer,
    key: BLSPubkey,
    message: Message<'_>,
    now: impl Into<WallClock>,
) -> Result<BLSSignature, Refused> {
    signer.sign(vec![(key, message)], now).await.remove(0)
}

pub(super) fn vote(slot: Slot, source: Epoch) -> AttestationData {
    AttestationData {
        slot,
        source: Checkpoint {
            epoch: source,
            root: Root::ZERO,
        },
        target: Checkpoint {
            epoch: slot / SLOTS_PER_EPOCH,
            root: Root::ZERO,
        },
        ..AttestationData::default()
    }
}

pub(super) fn header(slot: Slot, state_root: u8) -> BeaconBlockHeader {
    BeaconBlockHeader {
        slot,
        state_root: Bytes([state_root; 32]),
        ..BeaconBlockHeader::default()
    }
}

pub(super) fn aggregate(slot: Slot) -> AggregateAndProof {
    let mut message = AggregateAndProof {
        aggregator_index: 3,
        ..AggregateAndProof::default()
    };
    message.aggregate.data = vote(slot, 0);
    message
}

pub(super) fn contribution(slot: Slot) -> ContributionAndProof {
    let mut message = ContributionAndProof::default();
    message.contribution.slot = slot;
    message
}

/// One of each message that Gloas brings.
pub(super) struct Gloas {
    pub(super) vote: PayloadAttestationData,
    pub(super) preferences: ProposerPreferences,
    pub(super) envelope: ExecutionPayloadEnvelope,
    pub(super) bid: ExecutionPayloadBid,
}

impl Gloas {
    pub(super) fn at(slot: Slot) -> Self {
        let mut envelope = ExecutionPayloadEnvelope::default();
        (envelope.payload.slot_number, envelope.builder_index) = (slot, 7);
        Gloas {
            vote: PayloadAttestationData {
                slot,
                payload_present: true,
                ..PayloadAttestationData::default()
            },
            preferences: ProposerPreferences {
                proposal_slot: slot,
                validator_index: 9,
                ..ProposerPreferences::default()
            },
            envelope,
            bid: ExecutionPayloadBid {
                slot,
                value: 11,
                ..ExecutionPayloadBid::default()
            },
        }
    }

    /// Each with the number of its domain and its root.
    fn with_domains(&self, fork: Fork) -> [(Message<'_>, u8, Root); 4] {
        let envelope = Message::ExecutionPayloadEnvelope {
            slot: self.vote.slot,
            envelope: &self.envelope,
        };
        [
            (envelope, 0x0b, self.envelope.hash_tree_root(fork)),
            (
                Message::ExecutionPayloadBid(&self.bid),
                0x0b,
                self.bid.hash_tree_root(fork),
            ),
            (
                Message::PayloadAttestation(&self.vote),
                0x0c,
                self.vote.hash_tree_root(fork),
            ),
            (
                Message::ProposerPreferences(&self.preferences),
                0x0d,
                self.preferences.hash_tree_root(fork),
            ),
        ]
    }
}

fn is_signed(key: &BLSPubkey, object_root: Root, domain: Domain, signature: &BLSSignature) -> bool {
    let root = signing_root_of(object_root, domain);
    let key = PublicKey::from_compressed(&key.0).unwrap();
    verify(&key, &root.0, &Signature::from_bytes(&signature.0).unwrap())
}

/// Every kind of message against the domain that the specs name for it, by its number and the version of its epoch.
#[tokio::test]
async fn domains() {
    let scratch = Scratch::new("domains");
    let key = keys(&scratch, &[1])[0];
    let (signer, config) = (signer(&scratch), config());
    let slot = 61 * SLOTS_PER_EPOCH + 3;
    let (epoch, number) = (slot / SLOTS_PER_EPOCH, |number: u64| {
        number.hash_tree_root(Fork::Phase0)
    });
    let (vote, header, object_root) = (vote(slot, 60), header(slot, 1), Bytes([5; 32]));
    let exit = VoluntaryExit {
        epoch,
        validator_index: 4,
    };
    let registration = ValidatorRegistrationV1 {
        pubkey: key,
        gas_limit: 5,
        ..ValidatorRegistrationV1::default()
    };
    let sync_selection = SyncAggregatorSelectionData {
        slot,
        subcommittee_index: 2,
    };
    let fork = Fork::Fulu;
    let (aggregate, contribution, gloas) = (aggregate(slot), contribution(slot), Gloas::at(slot));
    let cases = [
        (
            Message::Block {
                slot,
                block_header: &header,
            },
            0,
            header.hash_tree_root(fork),
        ),
        (Message::Attestation(&vote), 1, vote.hash_tree_root(fork)),
        (Message::RandaoReveal(epoch), 2, number(epoch)),
        (Message::SelectionProof(slot), 5, number(slot)),
        (
            Message::AggregateAndProof(&aggregate),
            6,
            aggregate.hash_tree_root(fork),
        ),
        (
            Message::SyncCommitteeMessage {
                slot,
                beacon_block_root: object_root,
            },
            7,
            object_root,
        ),
        (
            Message::SyncSelectionProof {
                slot,
                subcommittee_index: 2,
            },
            8,
            sync_selection.hash_tree_root(fork),
        ),
        (
            Message::ContributionAndProof(&contribution),
            9,
            contribution.hash_tree_root(fork),
        ),
    ];
    let version = config.fork_version(fork);
    for (message, domain_type, object_root) in cases.into_iter().chain(gloas.with_domains(fork)) {
        let domain = compute_domain(Bytes([domain_type, 0, 0, 0]), version, ROOT);
        let signature = one(&signer, key, message, slot).await.unwrap();
        assert!(is_signed(&key, object_root, domain, &signature), "{message:?}");
        let other = compute_domain(Bytes([domain_type, 0, 0, 0]), config.fork_version(Fork::Gloas), ROOT);
        assert!(!is_signed(&key, object_root, other, &signature), "{message:?}");
    }
    let signature = one(&signer, key, Message::VoluntaryExit(&exit), slot).await.unwrap();
    let capella = compute_domain(Bytes([4, 0, 0, 0]), config.capella_fork_version, ROOT);
    assert!(is_signed(&key, exit.hash_tree_root(fork), capella, &signature));
    let signature = one(&signer, key, Message::ValidatorRegistration(&registration), slot)
        .await
        .unwrap();
    let builders = compute_domain(Bytes([0, 0, 0, 1]), config.genesis_fork_version, Root::ZERO);
    assert!(is_signed(&key, registration.hash_tree_root(fork), builders, &signature));
}

#[tokio::test]
async fn nothing_is_signed_ahead_of_the_clock_and_no_record_is_written() {
    let scratch = Scratch::new("ahead");
    let key = keys(&scratch, &[1])[0];
    let signer = signer(&scratch);
    let today = 1000;
    let tomorrow = today + 7200;
    let object_root = Bytes([5; 32]);
    for slot in [today + 2, tomorrow] {
        let (vote, header) = (vote(slot, 0), header(slot, 1));
        let (aggregate, contribution, gloas) = (aggregate(slot), contribution(slot), Gloas::at(slot));
        let messages = [
            Message::Attestation(&vote),
            Message::Block {
                slot,
                block_header: &header,
            },
            Message::AggregateAndProof(&aggregate),
            Message::SyncCommitteeMessage {
                slot,
                beacon_block_root: object_root,
            },
            Message::ContributionAndProof(&contribution),
            Message::PayloadAttestation(&gloas.vote),
            Message::ExecutionPayloadEnvelope {
                slot,
                envelope: &gloas.envelope,
            },
            Message::ExecutionPayloadBid(&gloas.bid),
        ];
        for message in messages {
            assert_eq!(
                one(&signer, key, message, today).await,
                Err(Refused::Ahead { slot, now: today })
            );
            let wrong = WallClock::Wrong("a day ahead of the beacon nodes".into());
            let refused = one(&signer, key, message, wrong).await.unwrap_err();
            assert!(matches!(refused, Refused::WrongClock(_)), "{refused}");
        }
        // What proves a right to act must be signed early, and gets nobody slashed.
        for message in [
            Message::SelectionProof(slot),
            Message::RandaoReveal(slot / SLOTS_PER_EPOCH),
        ] {
            one(&signer, key, message, today).await.unwrap();
        }
    }
    let mut far = vote(today, 0);
    far.target.epoch = 100_000;
    let refused = one(&signer, key, Message::Attestation(&far), today).await.unwrap_err();
    assert!(matches!(refused, Refused::Malformed(_)), "{refused}");
    let record = signer.protection().key(&key).unwrap().unwrap();
    assert_eq!(
        record.history,
        crate::slashing_protection::KeyHistory::default(),
        "no record was written"
    );

    let (vote, header) = (vote(today + 1, 0), header(today + 1, 1));
    one(&signer, key, Message::Attestation(&vote), today).await.unwrap();
    one(
        &signer,
        key,
        Message::Block {
            slot: today + 1,
            block_header: &header,
        },
        today,
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn answers_stand_in_the_order_of_the_messages() {
    let scratch = Scratch::new("order");
    let all = keys(&scratch, &[1, 2, 3]);
    let signer = signer(&scratch);
    let stranger = Bytes([9; 48]);
    let (one, two, other) = (header(5, 1), header(5, 2), header(6, 1));
    let block = |block_header| Message::Block { slot: 5, block_header };
    let messages = vec![
        (all[0], block(&one)),
        (stranger, block(&one)),
        (all[0], block(&two)),
        (all[1], Message::SelectionProof(4)),
        (all[2], block(&other)),
        (all[1], block(&two)),
        (all[0], block(&one)),
    ];
    let answers = signer.sign(messages, 5).await;
    let kinds: Vec<String> = answers
        .iter()
        .map(|answer| match answer {
            Ok(_) => "signed".to_owned(),
            Err(refused) => format!("{refused:?}").split(['(', ' ']).next().unwrap_or("").to_owned(),
        })
        .collect();
    assert_eq!(
        kinds,
        [
            "signed",
            "UnknownKey",
            "Slashable",
            "signed",
            "Malformed",
            "signed",
            "signed"
        ]
    );
    assert_eq!(answers[0], answers[6], "repeating is allowed");
    assert_ne!(answers[0], answers[5]);
    assert_eq!(signer.sign(Vec::new(), 5).await, []);
}

#[tokio::test]
async fn a_disabled_key_signs_nothing_across_restarts() {
    let scratch = Scratch::new("disabled");
    let all = keys(&scratch, &[1, 2]);
    let mut sorted = all.clone();
    sorted.sort_unstable();
    let first = signer(&scratch);
    assert_eq!(first.public_keys(), sorted);
    first.disable(&all[0], "its double was seen").unwrap();
    let refused = Err(Refused::Disabled("its double was seen".into()));
    assert_eq!(one(&first, all[0], Message::SelectionProof(1), 1).await, refused);
    drop(first);

    let second = signer(&scratch);
    assert_eq!(one(&second, all[0], Message::SelectionProof(1), 1).await, refused);
    assert_eq!(second.public_keys(), [all[1]]);
    assert_eq!(second.disabled_keys(), [(all[0], "its double was seen".into())]);
    assert!(
        second.enable_unvouched(&all[0]).is_err(),
        "only the operator enables it"
    );

    second.hold(&all[1], "it listens for a double");
    let refused = one(&second, all[1], Message::SelectionProof(1), 1).await.unwrap_err();
    assert!(refused.to_string().contains("listens"), "{refused}");
    second.release(&all[1]);
    one(&second, all[1], Message::SelectionProof(1), 1).await.unwrap();
}

#[tokio::test]
async fn a_key_that_waits_is_enabled_once_it_was_silent() {
    let scratch = Scratch::new("waits");
    let candidate = Candidate {
        secret: secret(1),
        path: String::new(),
        description: None,
    };
    let key = import(scratch.folder(), ROOT, &[candidate], &Vouch::Nobody).unwrap()[0].pubkey;
    let first = signer(&scratch);
    assert_eq!(
        (first.public_keys(), first.keys_in(KeyState::Unvouched)),
        (vec![], vec![key])
    );
    let refused = one(&first, key, Message::SelectionProof(1), 1).await.unwrap_err();
    assert!(refused.to_string().contains("--slashing-history FILE"), "{refused}");
    first.enable_unvouched(&key).unwrap();
    one(&first, key, Message::SelectionProof(1), 1).await.unwrap();
    drop(first);
    assert_eq!(signer(&scratch).public_keys(), [key]);
}

#[test]
fn nothing_starts_without_keys_or_without_their_database() {
    let scratch = Scratch::new("start");
    let refusal = || Signer::open(scratch.folder(), config(), ROOT).unwrap_err().to_string();
    assert!(
        refusal().contains(&scratch.path("keys").display().to_string()),
        "{}",
        refusal()
    );
    keys(&scratch, &[1]);
    signer(&scratch);
    let other = Signer::open(scratch.folder(), config(), Bytes([8; 32]))
        .unwrap_err()
        .to_string();
    assert!(other.contains("belongs to the network"), "{other}");
    std::fs::rename(scratch.path(FILE_NAME), scratch.path("elsewhere")).unwrap();
    for _ in 0..3 {
        assert!(
            refusal().contains("there is no slashing protection database"),
            "{}",
            refusal()
        );
        assert!(!scratch.path(FILE_NAME).exists());
    }
    // A new database in its place knows no key.
    SlashingProtection::create(&scratch.path(FILE_NAME), ROOT).unwrap();
    assert!(signer(&scratch).public_keys().is_empty());
}
