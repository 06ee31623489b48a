//! `wren keys list`: every key with what the record, the settings and the chain say of it.

use crate::beacon::{NodeArgs, TIMEOUT};
use crate::datadir::Datadir;
use crate::exit::Failure;
use crate::{running, slashing};
use clap::Parser;
use consensus::types::BLSPubkey;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use validator::beacon::{Status, ValidatorInfo};
use validator::keys::{KeyStore, Keys};
use validator::settings::{Settings, to_checksum};
use validator::slashing_protection::KeyRecord;

/// `wren keys list`
#[derive(Parser)]
#[command(
    after_help = "Example:\n  wren keys list --datadir ./data\n\nIndex, status and balance come from the client that runs on the folder, or from a beacon node."
)]
pub(super) struct Args {
    #[command(flatten)]
    nodes: NodeArgs,
    #[command(flatten)]
    datadir: Datadir,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let folder = args.datadir.validator()?;
    match running::client(&folder) {
        Ok(Some(client)) => {
            for key in client.keys()? {
                println!("{}", of_running(&key));
            }
            Ok(())
        }
        Ok(None) => list_folder(args, &folder, Ok(())),
        Err(failure) => list_folder(args, &folder, Err(failure)),
    }
}

/// Lists a folder on which no client runs, or none that could be asked.
fn list_folder(args: &Args, folder: &Path, usable: Result<(), Failure>) -> Result<(), Failure> {
    let store = KeyStore::new(folder);
    let settings = Settings::read(folder)?;
    let mut keys = store.list()?;
    keys.extend(settings.remote_keys().map(|(key, _)| *key));
    if keys.is_empty() {
        eprintln!("There are no keys in {}.", store.keys_folder().display());
        return Ok(());
    }
    // Which keys there are is told even where the record is missing or in use; whether they sign is not known then.
    let records = match usable {
        Ok(()) => read_records(folder),
        Err(failure) => Err(failure),
    };
    let chain = ask_chain(args, &keys, records.as_ref().ok().and_then(|_| root(folder)));
    if let Err(why) = &chain {
        eprintln!("What the chain knows of the keys is not told: {why}");
    }
    for key in &keys {
        let record = records
            .as_ref()
            .ok()
            .and_then(|records| records.iter().find(|record| record.pubkey == *key));
        match (record, &records) {
            (Some(record), _) => println!("{}", slashing::describe(record)),
            (None, Ok(_)) => println!("{key}  does not sign: the slashing protection database does not know it"),
            (None, Err(_)) => println!("{key}"),
        }
        if let Ok(chain) = &chain {
            println!("    {}", of_chain(chain.get(key)));
        }
        let fees = settings.of(key).fee_recipient.map(|address| to_checksum(&address));
        println!("    fees go to {}", fees.unwrap_or_else(|| NOBODY.into()));
        if let Some((_, url)) = settings.remote_keys().find(|(other, _)| *other == key) {
            println!("    in the remote signer at {url}");
        }
    }
    match records {
        Ok(_) => Ok(()),
        Err(failure) => Err(Failure {
            message: format!("it is not known whether they sign: {}", failure.message),
            ..failure
        }),
    }
}

const NOBODY: &str = "nobody: set fee_recipient in validators.toml";

fn read_records(folder: &Path) -> Result<Vec<KeyRecord>, Failure> {
    let keys = Keys::open(folder)?;
    Ok(keys.database().keys()?)
}

fn root(folder: &Path) -> Option<consensus::ssz::Root> {
    let keys = Keys::open(folder).ok()?;
    Some(keys.database().genesis_validators_root())
}

/// What a node knows of the keys.
fn ask_chain(
    args: &Args,
    keys: &[BLSPubkey],
    root: Option<consensus::ssz::Root>,
) -> Result<BTreeMap<BLSPubkey, ValidatorInfo>, String> {
    let beacon = args.nodes.connect(root).map_err(|failure| failure.message)?;
    let mut known = BTreeMap::new();
    for some in keys.chunks(1000) {
        let found = beacon
            .ask(|node| node.validators(some, TIMEOUT))
            .map_err(|error| error.to_string())?;
        known.extend(found.into_iter().map(|info| (info.pubkey, info)));
    }
    Ok(known)
}

fn of_chain(info: Option<&ValidatorInfo>) -> String {
    match info {
        None => "the chain does not know it".into(),
        Some(info) => format!(
            "validator {}, {}, balance {} ETH",
            info.index,
            status_in_words(info.status),
            eth(info.balance)
        ),
    }
}

/// Gwei as ETH, exactly.
pub(crate) fn eth(gwei: u64) -> String {
    let text = format!("{}.{:09}", gwei / 1_000_000_000, gwei % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A status as an operator says it.
pub(crate) fn status_in_words(status: Status) -> &'static str {
    match status {
        Status::PendingInitialized => "deposited, not yet queued",
        Status::PendingQueued => "waiting to be activated",
        Status::ActiveOngoing => "active",
        Status::ActiveExiting => "active, leaving",
        Status::ActiveSlashed => "slashed, still active",
        Status::ExitedUnslashed => "left, its balance is locked for now",
        Status::ExitedSlashed => "slashed and removed, its balance is locked for now",
        Status::WithdrawalPossible => "left, waiting to be paid out",
        Status::WithdrawalDone => "paid out",
    }
}

/// A key as the running client describes it.
fn of_running(key: &Value) -> String {
    let text = |name: &str| key[name].as_str();
    let state = match (text("state"), key["may_sign"].as_bool()) {
        (Some("enabled"), Some(true)) => "signs",
        (Some("enabled"), _) if key["waits_for_node"] == true => "enabled, the client waits for a beacon node",
        (Some("enabled"), _) => "enabled, listens for a double first",
        (Some("unvouched"), _) => "waits for its history",
        (Some("stopped"), _) => "stopped",
        _ => "does not sign",
    };
    let number = |name: &str| text(name).unwrap_or("none").to_owned();
    let mut lines = vec![format!(
        "{}  {state}; last block: slot {}, last attestation: source {} target {}",
        text("pubkey").unwrap_or_default(),
        number("last_block"),
        number("last_source"),
        number("last_target")
    )];
    lines.extend(
        text("why")
            .filter(|why| !why.is_empty())
            .map(|why| format!("    {why}")),
    );
    let status: Option<Status> = text("status").and_then(|status| status.parse().ok());
    lines.push(match (text("index"), status) {
        (Some(index), Some(status)) => {
            let balance: u64 = text("balance").and_then(|balance| balance.parse().ok()).unwrap_or(0);
            format!(
                "    validator {index}, {}, balance {} ETH",
                status_in_words(status),
                eth(balance)
            )
        }
        _ => "    the chain does not know it, or the client has not asked yet".into(),
    });
    lines.push(format!("    fees go to {}", text("fee_recipient").unwrap_or(NOBODY)));
    lines.extend(text("remote_signer").map(|url| format!("    in the remote signer at {url}")));
    lines.join("\n")
}
