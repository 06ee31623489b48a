//! What is stored, what may sign after an import, and what is missing when something is missing.

use super::*;
use crate::interchange::Interchange;
use crate::slashing_protection::{Entries, FILE_NAME, KeyState, SlashingProtection};
use crate::tests::Scratch;
use consensus::ssz::{Bytes, Root};
use consensus::types::BLSPubkey;
use crypto::derive::SecretBytes;
use std::fs;
use std::os::unix::fs::PermissionsExt;

const ROOT: Root = Bytes([7; 32]);

fn candidate(number: u8) -> Candidate {
    Candidate {
        secret: SecretBytes::new([number; 32]),
        path: "m/12381/3600/0/0/0".into(),
        description: Some("mine".into()),
    }
}

fn outcome(scratch: &Scratch, number: u8, vouch: &Vouch<'_>) -> Outcome {
    import(scratch.folder(), ROOT, &[candidate(number)], vouch)
        .unwrap()
        .remove(0)
        .outcome
}

fn why(outcome: Outcome) -> String {
    match outcome {
        Outcome::Disabled(why) => why,
        Outcome::Enabled => panic!("it is enabled"),
    }
}

fn state(scratch: &Scratch, key: &BLSPubkey) -> Option<KeyState> {
    let database = SlashingProtection::open(&scratch.path(FILE_NAME), ROOT).unwrap();
    database.key(key).unwrap().map(|record| record.state)
}

#[test]
fn keys_are_stored_for_their_owner_alone_and_open_again() {
    let scratch = Scratch::new("store");
    let store = KeyStore::new(scratch.folder());
    assert_eq!(store.list().unwrap(), [Bytes([0; 48]); 0]);
    let keys: Vec<BLSPubkey> = (1..=3)
        .map(|n| store.insert(&candidate(n).secret, "", None).unwrap())
        .collect();
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    assert_eq!(store.list().unwrap(), sorted);
    for (number, key) in (1..=3).zip(&keys) {
        assert_eq!(*store.unlock().unwrap().load(key).unwrap(), [number; 32]);
    }
    let files = [
        scratch.path("local_secret"),
        store.keys_folder().join(format!("{}.json", keys[0])),
    ];
    for file in &files {
        assert_eq!(
            fs::metadata(file).unwrap().permissions().mode() & 0o777,
            0o600,
            "{}",
            file.display()
        );
    }
    let text = fs::read_to_string(&files[1]).unwrap();
    assert!(!text.contains(&"01".repeat(32)), "the key is not there in clear");

    fs::set_permissions(&files[1], fs::Permissions::from_mode(0o644)).unwrap();
    let error = format!("{:#}", store.unlock().unwrap().load(&keys[0]).unwrap_err());
    assert!(error.contains("chmod 600"), "{error}");
    fs::rename(store.keys_folder().join(format!("{}.json", keys[1])), &files[1]).unwrap();
    let error = format!("{:#}", store.unlock().unwrap().load(&keys[0]).unwrap_err());
    assert!(error.contains("not the key of its name"), "{error}");

    fs::remove_file(&files[0]).unwrap();
    for error in [
        store.unlock().err().unwrap(),
        store.insert(&candidate(4).secret, "", None).unwrap_err(),
    ] {
        assert!(error.to_string().contains("local_secret is missing"), "{error}");
    }
    fs::write(&files[0], "short").unwrap();
    fs::set_permissions(&files[0], fs::Permissions::from_mode(0o600)).unwrap();
    assert!(store.unlock().err().unwrap().to_string().contains("is damaged"));
}

#[test]
fn a_key_for_which_nobody_vouches_is_stored_and_does_not_sign() {
    let scratch = Scratch::new("vouch");
    assert!(why(outcome(&scratch, 1, &Vouch::Nobody)).contains("nobody says what it signed"));
    let on_chain = Vouch::New(&|_| Standing::OnChain("active_ongoing".into()));
    assert!(why(outcome(&scratch, 2, &on_chain)).contains("shows it as active_ongoing"));
    let silent = Vouch::New(&|_| Standing::NoAnswer("no node is reachable".into()));
    assert!(why(outcome(&scratch, 3, &silent)).contains("no node is reachable"));
    let empty = Interchange {
        genesis_validators_root: ROOT,
        histories: Vec::new(),
    };
    assert!(why(outcome(&scratch, 4, &Vouch::History(&empty))).contains("says nothing of it"));
    assert_eq!(KeyStore::new(scratch.folder()).list().unwrap().len(), 4);
    for (number, standing) in [(5, Standing::BeforeStart), (6, Standing::NotOnChain)] {
        assert_eq!(
            outcome(&scratch, number, &Vouch::New(&|_| standing.clone())),
            Outcome::Enabled
        );
    }
}

#[test]
fn a_history_enables_the_keys_that_stand_in_it() {
    let scratch = Scratch::new("history");
    let waiting = import(scratch.folder(), ROOT, &[candidate(1), candidate(2)], &Vouch::Nobody).unwrap();
    assert_eq!(state(&scratch, &waiting[0].pubkey), Some(KeyState::Unvouched));
    let history = Interchange {
        genesis_validators_root: ROOT,
        histories: vec![(waiting[0].pubkey, Entries::default())],
    };
    let again = import(
        scratch.folder(),
        ROOT,
        &[candidate(1), candidate(2)],
        &Vouch::History(&history),
    )
    .unwrap();
    assert_eq!((again[0].was_here, &again[0].outcome), (true, &Outcome::Enabled));
    assert!(matches!(again[1].outcome, Outcome::Disabled(_)));
    // Importing once more takes nothing away.
    let third = import(scratch.folder(), ROOT, &[candidate(1)], &Vouch::Nobody).unwrap();
    assert_eq!(third[0].outcome, Outcome::Enabled);
}

#[test]
fn an_import_does_not_enable_what_was_stopped() {
    let scratch = Scratch::new("stopped");
    let new = Vouch::New(&|_| Standing::NotOnChain);
    let key = import(scratch.folder(), ROOT, &[candidate(1)], &new).unwrap()[0].pubkey;
    let database = SlashingProtection::open(&scratch.path(FILE_NAME), ROOT).unwrap();
    database
        .set_state(&key, KeyState::Stopped, "its double was seen")
        .unwrap();
    let history = Interchange::export(&database, &[key]).unwrap();
    drop(database);
    for vouch in [new, Vouch::History(&history), Vouch::Nobody] {
        assert_eq!(why(outcome(&scratch, 1, &vouch)), "its double was seen");
        assert_eq!(state(&scratch, &key), Some(KeyState::Stopped));
    }
}

#[test]
fn a_key_that_comes_back_needs_somebody_to_vouch_again() {
    let scratch = Scratch::new("back");
    let new = Vouch::New(&|_| Standing::NotOnChain);
    let key = import(scratch.folder(), ROOT, &[candidate(1)], &new).unwrap()[0].pubkey;
    KeyStore::new(scratch.folder()).remove(&key).unwrap();
    assert!(matches!(outcome(&scratch, 1, &Vouch::Nobody), Outcome::Disabled(_)));
}

#[test]
fn keys_without_their_database_take_no_others_in() {
    let scratch = Scratch::new("lost");
    outcome(&scratch, 1, &Vouch::Nobody);
    fs::remove_file(scratch.path(FILE_NAME)).unwrap();
    let new = Vouch::New(&|_| Standing::NotOnChain);
    let error = import(scratch.folder(), ROOT, &[candidate(2)], &new)
        .unwrap_err()
        .to_string();
    assert!(error.contains("is missing: restore"), "{error}");
    assert!(!scratch.path(FILE_NAME).exists());
    assert_eq!(KeyStore::new(scratch.folder()).list().unwrap().len(), 1);
}

#[test]
fn a_history_of_another_network_stops_the_import() {
    let scratch = Scratch::new("foreign");
    let foreign = Interchange {
        genesis_validators_root: Bytes([8; 32]),
        histories: Vec::new(),
    };
    let refused = import(scratch.folder(), ROOT, &[candidate(1)], &Vouch::History(&foreign));
    assert!(refused.unwrap_err().to_string().contains("of no use here"));
    assert!(KeyStore::new(scratch.folder()).list().unwrap().is_empty());
}
