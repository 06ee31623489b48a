//! A writer that is killed at any instant loses nothing that was acknowledged, and leaves a consistent chain.

use crate::fixture::{Folder, skip};
use crate::writer::{Writer, check, rounds};
use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;
use synthetic::Numbers;

#[test]
fn a_kill_loses_nothing() {
    let mut numbers = Numbers::new(u64::from(std::process::id()));
    let mut folder = Folder::new("kill");
    let mut acknowledged = BTreeMap::new();
    for round in 0..rounds() {
        // A new folder now and then, for its first moments are worth a kill too.
        if round % 10 == 0 {
            folder = Folder::new("kill");
            acknowledged = BTreeMap::new();
        }
        let Some(mut writer) = Writer::start(folder.path(), &[]) else {
            return skip("kill", "this machine cannot start the test program by itself");
        };
        // Some are killed before they have begun.
        if round % 10 != 9 {
            writer.wait_for(numbers.below(60) as usize);
        }
        thread::sleep(Duration::from_micros(numbers.below(20_000)));
        acknowledged.extend(writer.kill());
        check(folder.path(), &acknowledged).unwrap_or_else(|what| panic!("round {round}: {what}"));
    }
}
