//! The rules one by one, what opening refuses, and pruning against a full history.

use super::*;
use crate::interchange::{How, Interchange};
use crate::tests::Scratch;
use consensus::ssz::Bytes;

const ROOT: Root = Bytes([7; 32]);
const KEY: BLSPubkey = Bytes([1; 48]);
const OTHER: BLSPubkey = Bytes([2; 48]);

fn signing_root(number: u8) -> Root {
    Bytes([number; 32])
}

fn block(slot: Slot, root: u8) -> Record {
    Record::Block {
        slot,
        signing_root: signing_root(root),
    }
}

fn vote(source: Epoch, target: Epoch, root: u8) -> Record {
    Record::Attestation {
        source,
        target,
        signing_root: signing_root(root),
    }
}

fn database(scratch: &Scratch) -> SlashingProtection {
    let path = scratch.path(FILE_NAME);
    if !path.exists() {
        SlashingProtection::create(&path, ROOT).unwrap();
    }
    let database = SlashingProtection::open(&path, ROOT).unwrap();
    if database.keys().unwrap().is_empty() {
        database.set_state(&KEY, KeyState::Enabled, "").unwrap();
        database.set_state(&OTHER, KeyState::Enabled, "").unwrap();
    }
    database
}

/// Which of the records may be signed, one after another.
fn answers(database: &SlashingProtection, records: &[Record]) -> Vec<bool> {
    records
        .iter()
        .map(|record| database.record(&[(KEY, *record)])[0].is_ok())
        .collect()
}

fn refusal(database: &SlashingProtection, record: Record) -> String {
    database.record(&[(KEY, record)]).remove(0).unwrap_err().to_string()
}

#[test]
fn blocks() {
    let scratch = Scratch::new("blocks");
    let database = database(&scratch);
    let asked = [
        block(5, 1),
        block(5, 1),
        block(5, 2),
        block(7, 3),
        block(6, 4),
        block(4, 5),
        block(6, 5),
    ];
    assert_eq!(
        answers(&database, &asked),
        [true, true, false, true, true, false, false]
    );
    assert_eq!(
        database.record(&[(OTHER, block(5, 2))]),
        [Ok(Recorded(signing_root(2)))],
        "keys do not mix"
    );
    assert!(refusal(&database, block(5, 2)).contains("another block of slot 5 was signed"));
    assert!(refusal(&database, block(4, 2)).contains("blocks up to slot 5 count as signed"));
    assert!(matches!(
        database.record(&[(KEY, block(u64::MAX, 1))])[0],
        Err(Refused::Malformed(_))
    ));
}

#[test]
fn attestations() {
    let scratch = Scratch::new("attestations");
    let database = database(&scratch);
    assert_eq!(
        answers(&database, &[vote(10, 20, 1), vote(10, 20, 1), vote(10, 20, 2)]),
        [true, true, false]
    );
    let votes = [
        vote(11, 20, 1),
        vote(10, 25, 3),
        vote(9, 26, 4),
        vote(11, 24, 5),
        vote(12, 30, 6),
        vote(11, 40, 7),
    ];
    assert_eq!(answers(&database, &votes), [false, true, false, false, true, false]);
    assert!(refusal(&database, vote(10, 25, 9)).contains("another one with target 25 (source 10) was signed"));
    assert!(refusal(&database, vote(11, 24, 9)).contains("inside of 10 → 25"));
    assert!(refusal(&database, vote(11, 40, 9)).contains("around 12 → 30"));
    assert!(refusal(&database, vote(10, 19, 9)).contains("targets up to 20 count as voted for"));
    assert!(refusal(&database, vote(3, 2, 9)).contains("source 3 lies after its target 2"));
    assert_eq!(
        answers(&database, &[vote(12, 26, 8)]),
        [true],
        "between two votes, contradicting neither"
    );
}

#[test]
fn one_moment_is_checked_within_itself() {
    let scratch = Scratch::new("moment");
    let database = database(&scratch);
    let answers = database.record(&[
        (KEY, block(5, 1)),
        (KEY, block(5, 2)),
        (OTHER, block(5, 2)),
        (KEY, vote(0, 1, 3)),
    ]);
    let signed: Vec<bool> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(signed, [true, false, true, true]);
    assert_eq!(database.record(&[]), []);
}

#[test]
fn only_enabled_keys_sign() {
    let scratch = Scratch::new("states");
    let database = database(&scratch);
    let stranger = Bytes([9; 48]);
    let refused = |key| database.record(&[(key, block(1, 1))]).remove(0).unwrap_err();
    assert!(matches!(refused(stranger), Refused::Disabled(why) if why.contains("does not know it")));
    for state in [KeyState::Unvouched, KeyState::Stopped, KeyState::Absent] {
        database.set_state(&KEY, state, "for the test").unwrap();
        assert_eq!(refused(KEY), Refused::Disabled("for the test".into()));
        assert_eq!(database.key(&KEY).unwrap().unwrap().state, state);
    }
    database.set_state(&KEY, KeyState::Enabled, "").unwrap();
    assert_eq!(answers(&database, &[block(1, 1)]), [true]);
    assert_eq!(
        KeyState::from_sql(77),
        KeyState::Stopped,
        "what is not understood does not sign"
    );
}

#[test]
fn a_restart_forgets_nothing() {
    let scratch = Scratch::new("restart");
    assert_eq!(
        answers(&database(&scratch), &[block(5, 1), vote(3, 4, 1)]),
        [true, true]
    );
    let again = database(&scratch);
    assert_eq!(
        answers(&again, &[block(5, 2), vote(3, 4, 2), block(5, 1), vote(3, 4, 1)]),
        [false, false, true, true]
    );
    let record = again.key(&KEY).unwrap().unwrap();
    let expected = KeyHistory {
        last_block: Some(5),
        last_target: Some(4),
        last_source: Some(3),
    };
    assert_eq!(record.history, expected);
    assert_eq!(again.targets_since(&KEY, 0).unwrap(), [4]);
    assert_eq!(again.targets_since(&KEY, 5).unwrap(), [0u64; 0]);
}

#[test]
fn opening_refuses_what_is_not_there_not_ours_or_in_use() {
    let scratch = Scratch::new("open");
    let path = scratch.path(FILE_NAME);
    let refusal = || SlashingProtection::open(&path, ROOT).unwrap_err().to_string();
    assert!(
        refusal().contains("there is no slashing protection database"),
        "{}",
        refusal()
    );
    assert!(!path.exists(), "opening creates nothing");

    SlashingProtection::create(&path, ROOT).unwrap();
    assert!(
        SlashingProtection::create(&path, ROOT)
            .unwrap_err()
            .to_string()
            .contains("never replaced")
    );
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let other = SlashingProtection::open(&path, Bytes([8; 32])).unwrap_err().to_string();
    assert!(
        other.contains(&ROOT.to_string()) && other.contains(&Bytes([8; 32]).to_string()),
        "{other}"
    );

    let open = SlashingProtection::open(&path, ROOT).unwrap();
    assert!(refusal().contains("in use by another process"), "{}", refusal());
    drop(open);
    SlashingProtection::open(&path, ROOT).unwrap();

    let whole = std::fs::read(&path).unwrap();
    for damaged in [
        &b""[..],
        b"SQLite format 3\0",
        b"something else altogether",
        &whole[..5000],
    ] {
        std::fs::write(&path, damaged).unwrap();
        let refusal = refusal();
        assert!(refusal.contains("emptied or damaged"), "{refusal}");
        assert!(!refusal.contains("delete") && !refusal.contains("remove"), "{refusal}");
        assert_eq!(std::fs::read(&path).unwrap(), damaged, "it is left as it was");
    }
}

#[test]
fn an_emptied_database_lets_no_key_sign() {
    let scratch = Scratch::new("emptied");
    assert_eq!(answers(&database(&scratch), &[block(5, 1)]), [true]);
    let path = scratch.path(FILE_NAME);
    std::fs::remove_file(&path).unwrap();
    SlashingProtection::create(&path, ROOT).unwrap();
    for _ in 0..3 {
        let database = SlashingProtection::open(&path, ROOT).unwrap();
        let refused = database.record(&[(KEY, block(6, 2))]).remove(0).unwrap_err();
        assert!(matches!(refused, Refused::Disabled(_)), "{refused}");
    }
}

#[test]
fn home_is_where_the_last_record_was_written() {
    let scratch = Scratch::new("home");
    assert!(!database(&scratch).at_home(), "nothing was signed here yet");
    let database_ = database(&scratch);
    assert_eq!(answers(&database_, &[block(5, 1)]), [true]);
    drop(database_);
    let has_identity = std::fs::read_to_string("/etc/machine-id").is_ok_and(|id| !id.trim().is_empty());
    assert_eq!(database(&scratch).at_home(), has_identity);

    let path = scratch.path(FILE_NAME);
    std::fs::copy(&path, scratch.path("copy")).unwrap();
    std::fs::rename(scratch.path("copy"), &path).unwrap();
    let copy = database(&scratch);
    assert!(!copy.at_home(), "another file");
    assert_eq!(answers(&copy, &[block(5, 2)]), [false]);
    drop(copy);
    let copy = database(&scratch);
    assert!(!copy.at_home(), "a refusal is no record");
    assert_eq!(answers(&copy, &[block(6, 2)]), [true]);
    drop(copy);
    assert_eq!(database(&scratch).at_home(), has_identity);
}

#[test]
fn marks_from_a_file_forbid_all_below_them() {
    let scratch = Scratch::new("marks");
    let database = database(&scratch);
    assert_eq!(
        answers(&database, &[block(5, 1), vote(2, 3, 1), vote(30, 31, 2)]),
        [true; 3]
    );
    let file = |entries| Interchange {
        genesis_validators_root: ROOT,
        histories: vec![(KEY, entries)],
    };
    let entries = Entries {
        blocks: vec![SignedBlock {
            slot: 100,
            signing_root: None,
        }],
        attestations: [(3, 40), (10, 20)]
            .map(|(source, target)| SignedAttestation {
                source,
                target,
                signing_root: None,
            })
            .to_vec(),
    };
    file(entries).import_into(&database, How::Minimal).unwrap();
    let asked = [
        block(99, 1),
        block(100, 1),
        block(101, 1),
        vote(9, 50, 1),
        vote(10, 40, 1),
        vote(10, 50, 1),
    ];
    assert_eq!(answers(&database, &asked), [false, false, true, false, false, false]);
    assert_eq!(answers(&database, &[vote(30, 41, 1), vote(30, 31, 2)]), [true, true]);

    let before = Interchange::export(&database, &[KEY]).unwrap();
    file(Entries::default()).import_into(&database, How::Minimal).unwrap();
    assert_eq!(
        Interchange::export(&database, &[KEY]).unwrap(),
        before,
        "marks never fall"
    );
    let foreign = Interchange {
        genesis_validators_root: signing_root(9),
        ..before
    };
    assert!(
        foreign
            .import_into(&database, How::Minimal)
            .unwrap_err()
            .to_string()
            .contains("of no use here")
    );
}

#[test]
fn files_that_are_wrong_import_nothing() {
    let good = r#"{"metadata":{"interchange_format_version":"5","genesis_validators_root":"ROOT"},"data":[
        {"pubkey":"KEY","signed_blocks":[{"slot":"1"}],"signed_attestations":[{"source_epoch":"0","target_epoch":"1"}]}]}"#;
    let good = good.replace("ROOT", &ROOT.to_string()).replace("KEY", &KEY.to_string());
    let read = |text: &str| Interchange::from_json(text.as_bytes());
    let interchange = read(&good).unwrap();
    assert_eq!(read(&interchange.to_json()).unwrap(), interchange);
    let wrong = [
        (r#""5""#, r#""4""#, "version 4"),
        (r#""slot":"1""#, r#""slot":1"#, "line 2"),
        (r#""slot":"1""#, r#""slot":"-1""#, "invalid digit"),
        (r#""source_epoch":"0","#, "", "source_epoch"),
        (r#""source_epoch":"0""#, r#""source_epoch":null"#, "null"),
        ("0x01", "0x", "48 bytes"),
        ("]}]}", "]}]", "EOF"),
    ];
    for (part, damage, expected) in wrong {
        let error = read(&good.replacen(part, damage, 1)).unwrap_err().to_string();
        assert!(error.contains(expected), "{part} → {damage}: {error}");
    }
    let scratch = Scratch::new("wrong-files");
    let database = database(&scratch);
    let far = read(&good.replace(r#""slot":"1""#, r#""slot":"18446744073709551615""#)).unwrap();
    let both = Interchange {
        histories: vec![(OTHER, interchange.histories[0].1.clone()), far.histories[0].clone()],
        ..far
    };
    for how in [How::Minimal, How::Complete] {
        assert!(both.import_into(&database, how).is_err());
        assert_eq!(database.entries(&OTHER).unwrap(), Entries::default(), "all or nothing");
    }
}

/// Pruning may only forbid more: whatever a pruned database allows, the full one allows too.
#[test]
fn pruning_never_allows_what_was_refused() {
    let mut seed = 1u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) % below
    };
    let (full_scratch, pruned_scratch) = (Scratch::new("full"), Scratch::new("pruned"));
    let (full, pruned) = (database(&full_scratch), database(&pruned_scratch));
    let (mut allowed, mut refused) = (0, 0);
    for step in 0..400 {
        let base = step / 20;
        let record = if random(3) == 0 {
            block(base + random(12), random(3) as u8 + 1)
        } else {
            let source = base + random(8);
            vote(source, source + random(6), random(3) as u8 + 1)
        };
        if pruned.record(&[(KEY, record)])[0].is_ok() {
            let beside = full.record(&[(KEY, record)]);
            assert!(
                beside[0].is_ok(),
                "{record:?} is allowed only after pruning: {beside:?}"
            );
            allowed += 1;
        } else {
            refused += 1;
        }
        if random(10) == 0 {
            pruned.prune(random(4)).unwrap();
        }
        if random(25) == 0 {
            // A round trip by file loses nothing either.
            let file = Interchange::export(&pruned, &[KEY]).unwrap();
            file.import_into(&pruned, How::Complete).unwrap();
        }
    }
    assert!(allowed > 40 && refused > 40, "{allowed} allowed, {refused} refused");
}

#[test]
fn the_database_does_not_grow_for_ever() {
    let scratch = Scratch::new("growth");
    let database = database(&scratch);
    for target in 1..=2 * KEPT_EPOCHS {
        let records = [(KEY, vote(target - 1, target, 1)), (KEY, block(target * 32, 1))];
        assert!(database.record(&records).iter().all(Result::is_ok));
    }
    let kept = database.entries(&KEY).unwrap();
    let most = KEPT_EPOCHS as usize + 65;
    assert!(
        (KEPT_EPOCHS as usize..=most).contains(&kept.attestations.len()),
        "{}",
        kept.attestations.len()
    );
    assert!(kept.blocks.len() <= most);
    assert_eq!(
        answers(
            &database,
            &[vote(1, 2 * KEPT_EPOCHS + 1, 9), vote(5, 6, 1), block(64, 1)]
        ),
        [false; 3]
    );
}
