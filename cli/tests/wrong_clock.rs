//! A client on a machine whose clock is wrong: a signature with a date in the future would block its key until then.
//!
//! The clock is that of libfaketime, which stands between a program and the kernel's answers.

use super::chain::{Chain, stop, wait_until};
use super::{skip, wren_ok};
use std::path::PathBuf;
use std::time::Duration;

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
    let said = wren_ok(&["slashing", "export", "--datadir", &chain.path("data")]);
    serde_json::from_str(&said).unwrap()
}

/// Started a day ahead, and a day behind, where it has signed before: nothing is signed and nothing recorded; the clock is
/// set right, and it signs again by itself.
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
    for (off, log, word) in [("-1d", "behind.log", "behind"), ("+1d", "ahead.log", "ahead of")] {
        let (before, last) = (history(&chain), chain.head_slot());
        assert!(before.to_string().contains("target_epoch"), "it signed: {before}");
        let clock = chain.folder.join("clock");
        std::fs::write(&clock, off).unwrap();
        let client = chain.client_off_time(&library, &clock, log);
        wait_until("the word that the clock is wrong", || {
            let said = chain.log(log);
            said.contains("nothing is signed while the clock of this machine is wrong") && said.contains(word)
        });
        // Duties of several slots pass meanwhile.
        std::thread::sleep(Duration::from_secs(4));
        assert_eq!(history(&chain), before, "{}", chain.log(log));
        std::fs::write(&clock, "+0").unwrap();
        wait_until("a block by the client whose clock was set right", || {
            chain.head_slot() > last + 4
        });
        stop(client);
        assert!(
            chain.log(log).contains("agrees with the beacon nodes again"),
            "{}",
            chain.log(log)
        );
    }
    stop(node);
}
