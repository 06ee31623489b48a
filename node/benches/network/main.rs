//! What the network costs: votes of gossip checked together and one by one, sync over loopback, and a node that only
//! follows with 50 peers.
//!
//! `WREN_BIN=…/wren cargo bench -p node --bench network [-- gossip|sync|idle …]`, where the program is a release build of
//! the same preset; all three unless some are named. A number says how often `sync` catches up by each transport. Each
//! module tells what it measures and how.

mod gossip;
mod http;
mod idle;
mod light;
mod process;
mod sync;

// The chain that a node of mainnet's size is measured with.
#[path = "../mainnet/chain.rs"]
mod chain;

use std::path::{Path, PathBuf};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let measure = args.iter().any(|arg| arg == "--bench");
    let named = |name: &str| args.iter().any(|arg| arg == name);
    let all = !["gossip", "sync", "idle"].into_iter().any(named);
    if all || named("gossip") {
        // Without `--bench` this is `cargo test`: only see that it works.
        gossip::bench(if measure { 32_768 } else { 512 });
    }
    if !(measure && (all || named("sync") || named("idle"))) {
        return;
    }
    let Some(program) = std::env::var_os("WREN_BIN").map(PathBuf::from) else {
        println!("NOT RUN: sync and idle; name a release build of `wren` by WREN_BIN");
        return;
    };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-network-{}", std::process::id()));
    if all || named("sync") {
        let rounds = args.iter().find_map(|arg| arg.parse().ok());
        sync::bench(&program, &folder.join("sync"), rounds.unwrap_or(1));
    }
    if all || named("idle") {
        idle::bench(&program, &folder.join("idle"));
    }
    std::fs::remove_dir_all(&folder).expect("the folder was made here");
}
