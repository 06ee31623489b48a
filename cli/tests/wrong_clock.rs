//! A client on a machine whose clock is wrong: a signature with a date in the future would block its key until then.
//!
//! The clock is that of libfaketime, which stands between a program and the kernel's answers.

use super::chain::{Chain, stop, wait_until};
use super::{skip, wren_ok};
use std::path::PathBuf;

/// Where Debian puts the library, below the folder of the machine's kind.
fn faketime() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?;
    let files = folders
        .flatten()
        .map(|folder| folder.path().join("faketime/libfaketime.so.1"));
    files.into_iter().find(|file| file.exists())
}

/// All that the database of a stopped client remembers.
fn history(chain: &Chain) -> serde_json::Value {
    let place = ["--network", &chain.path("network"), "--datadir", &chain.path("data")];
    let said = wren_ok(&[&["slashing", "export"], &place[..]].concat());
    serde_json::from_str(&said).unwrap()
}

/// Started a day ahead, and a day behind, where it has signed before: nothing is signed, nothing is recorded, and with
/// the right time it signs again.
#[test]
fn a_wrong_clock_signs_and_records_nothing() {
    let Some(library) = faketime() else {
        skip("faketime", "there is no /usr/lib/*/faketime/libfaketime.so.1");
        return;
    };
    let chain = Chain::new("wrong-clock", &[]);
    let (node, client) = (chain.node(), chain.client());
    chain.wait_slot(3);
    stop(client);
    let before = history(&chain);
    assert!(before.to_string().contains("target_epoch"), "it signed: {before}");
    for (off, log, word) in [("+1d", "ahead.log", "ahead"), ("-1d", "behind.log", "behind")] {
        let wrong = chain.client_off_time(&library, off, "data", log);
        wait_until("the word that the clock is wrong", || {
            let said = chain.log(log);
            said.contains("clock") && said.contains(word)
        });
        // Duties of several slots pass meanwhile.
        std::thread::sleep(std::time::Duration::from_secs(4));
        stop(wrong);
        assert_eq!(history(&chain), before, "{}", chain.log(log));
    }
    let client = chain.client();
    wait_until("a block by a client with the right time", || {
        let head = chain.get("/eth/v1/beacon/headers/head").unwrap();
        let slot = head["data"]["header"]["message"]["slot"].as_str().unwrap().to_owned();
        slot.parse::<u64>().unwrap() > 8
    });
    stop(client);
    assert_ne!(history(&chain), before, "it signs with the right time");
    stop(node);
}
