//! What is stored, what may sign after an import, and what is missing when something is missing.

use super::*;
use crate::interchange::Interchange;
use crate::slashing_protection::{Entries, FILE_NAME, KeyState, SlashingProtection};
use crate::tests::Scratch;
use consensus::signing::{compute_domain, compute_signing_root};
use consensus::ssz::{Bytes, Root};
use consensus::types::{BLSPubkey, DepositMessage};
use consensus::{Config, Fork};
use crypto::derive::SecretBytes;
use crypto::keystore::{Keystore, NewKdf};
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

fn keystore(number: u8, password: &str) -> Keystore {
    Keystore::encrypt(&[number; 32], password, "", None, NewKdf::RandomPassword).unwrap()
}

/// As deposit tools leave them, one folder with deposit data beside; and as other clients do, a folder for each key.
#[test]
fn keystores_are_found_where_others_leave_them() {
    let scratch = Scratch::new("find");
    let folder = scratch.path("from");
    let error = find_keystores(&folder).unwrap_err().to_string();
    assert!(error.contains("cannot list"), "{error}");
    for below in ["", "0xaa", "secrets", "deep/er/still/too-deep"] {
        fs::create_dir_all(folder.join(below)).unwrap();
    }
    assert!(
        find_keystores(&folder)
            .unwrap_err()
            .to_string()
            .contains("there are no keystores")
    );
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    write("keystore-a.json", &keystore(1, "a").to_json());
    write("0xaa/voting-keystore.json", &keystore(2, "b").to_json());
    write("deep/er/still/too-deep/keystore.json", &keystore(3, "c").to_json());
    write("deposit_data-1.json", "[{\"pubkey\":\"00\"}]");
    write(
        "slashing_protection.json",
        &format!("{{\"metadata\":{{}},\"data\":\"{}\"}}", " ".repeat(70_000)),
    );
    write("keystore-a.txt", "a\n");
    write("notes.json", "not JSON");
    let found = find_keystores(&folder).unwrap();
    let names: Vec<String> = found
        .iter()
        .map(|file| file.path.strip_prefix(&folder).unwrap().display().to_string())
        .collect();
    assert_eq!(names, ["0xaa/voting-keystore.json", "keystore-a.json"]);

    let key = found[0].pubkey().unwrap();
    fs::write(folder.join(format!("secrets/{key}")), "b").unwrap();
    assert_eq!(*read_password(&folder.join("secrets"), &found[0]).unwrap(), "b");
    assert_eq!(*read_password(&folder, &found[1]).unwrap(), "a");
    assert_eq!(
        *read_password(&folder.join("keystore-a.txt"), &found[0]).unwrap(),
        "a",
        "one for all"
    );
    let error = read_password(&folder, &found[0]).unwrap_err().to_string();
    assert!(
        error.contains("there is no password for") && error.contains(&key.to_string()),
        "{error}"
    );

    write("broken.json", "{\"crypto\":{},\"version\":3}");
    let error = format!("{:#}", find_keystores(&folder).unwrap_err());
    assert!(
        error.contains("broken.json is refused: the keystore's version is 3"),
        "{error}"
    );
}

#[test]
fn an_exported_key_is_stopped_first_and_opens_elsewhere() {
    let scratch = Scratch::new("export");
    let new = Vouch::New(&|_| Standing::NotOnChain);
    let key = import(scratch.folder(), ROOT, &[candidate(1)], &new).unwrap()[0].pubkey;
    let keys = Keys::open(scratch.folder()).unwrap();
    let error = keys.keystore(&key, "password of twelve").unwrap_err().to_string();
    assert!(error.contains("is not stopped"), "{error}");
    assert_eq!(
        keys.disable_for_export(&key).unwrap().histories,
        [(key, Entries::default())]
    );
    let exported = keys.keystore(&key, "password of twelve").unwrap();
    assert_eq!(
        (exported.path(), exported.description()),
        ("m/12381/3600/0/0/0", Some("mine"))
    );
    assert_eq!(*exported.decrypt("password of twelve").unwrap(), [1; 32]);
    keys.enable(&key).unwrap();
    keys.delete(&key).unwrap();
    assert!(keys.list().unwrap().is_empty());
    let record = keys.database().key(&key).unwrap().unwrap();
    assert_eq!(record.state, KeyState::Absent, "its history stays");
    assert!(keys.enable(&key).unwrap_err().to_string().contains("is not in"));
}

/// EIP-2334's paths and the mnemonic of BIP-39's first test vector, as `ethstaker_deposit` derives them too.
#[test]
fn deposits_are_signed_for_the_network_and_the_address() {
    use crypto::bls::{PublicKey, Signature, verify};
    let seed = crypto::mnemonic::Mnemonic::parse(&("abandon ".repeat(11) + "about"))
        .unwrap()
        .to_seed("");
    let derived = derive_signing_keys(&seed, 1, 2).unwrap();
    assert_eq!(derived[0].path, "m/12381/3600/1/0/0");
    let config = Config::network("devnet")
        .or_else(|_| Config::network("mainnet"))
        .unwrap();
    let withdrawals = Withdrawals::Compounding(Bytes([9; 20]));
    let deposit = sign_deposit(&config, &derived[0].secret, &withdrawals, 32_000_000_000).unwrap();
    assert!(deposit.pubkey.to_string().starts_with("0xaeb399bf5648b0e9"));
    assert_eq!(
        deposit.withdrawal_credentials.0[..12],
        [2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    );
    let message = DepositMessage {
        pubkey: deposit.pubkey,
        withdrawal_credentials: deposit.withdrawal_credentials,
        amount: deposit.amount,
    };
    let domain = compute_domain(Bytes([3, 0, 0, 0]), config.genesis_fork_version, Root::ZERO);
    let root = compute_signing_root(&message, Fork::Phase0, domain);
    let key = PublicKey::from_compressed(&deposit.pubkey.0).unwrap();
    assert!(verify(
        &key,
        &root.0,
        &Signature::from_bytes(&deposit.signature.0).unwrap()
    ));
    let file: serde_json::Value = serde_json::from_str(&deposit_file(&config, &[deposit])).unwrap();
    assert_eq!(file[0].as_object().unwrap().len(), 9);

    let paid_out = Withdrawals::PaidOut(Bytes([9; 20]));
    assert_eq!(paid_out.credentials().0[0], 1);
    for (withdrawals, amount) in [
        (&paid_out, 33_000_000_000),
        (&paid_out, 999_999_999),
        (&withdrawals, 2_049_000_000_000),
    ] {
        assert!(
            sign_deposit(&config, &derived[1].secret, withdrawals, amount).is_err(),
            "{amount}"
        );
    }
    assert!(derive_signing_keys(&seed, u32::MAX, 2).is_err());
}
