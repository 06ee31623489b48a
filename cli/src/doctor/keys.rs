//! Keys, the record of what they signed, and where their fees go.

use super::{Args, Line, Mark, Network, bad, note, ok};
use crate::{machine, words};
use consensus::types::BLSPubkey;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use validator::keys::KeyStore;
use validator::settings::{Settings, parse_address};
use validator::slashing_protection::{FILE_NAME, SlashingProtection};

pub(super) fn check(args: &Args, network: Option<&Network>) -> Vec<Line> {
    let folder = match args.datadir.validator() {
        Ok(folder) => folder,
        Err(failure) => return vec![bad("keys", failure.message)],
    };
    let store = KeyStore::new(&folder);
    let keys = match store.list() {
        Ok(keys) if keys.is_empty() => {
            return vec![note("keys", format!("none in {}", store.keys_folder().display()))];
        }
        Ok(keys) => keys,
        Err(error) => return vec![bad("keys", format!("{error:#}"))],
    };
    let runs = !machine::processes("validator").is_empty();
    vec![
        whole(&folder, &store, &keys),
        record(&folder, network, runs),
        fees(args, &folder, &keys),
    ]
}

/// Owner and mode of everything that is secret, and whether every key opens.
fn whole(folder: &Path, store: &KeyStore, keys: &[BLSPubkey]) -> Line {
    let line = files(folder, store, keys);
    if line.mark != Mark::Ok {
        return line;
    }
    match store.check(keys) {
        Ok(()) => line,
        Err(error) => bad("keys", format!("{error:#}")),
    }
}

/// Owner and mode of everything that is secret, where there are keys.
pub(super) fn files_of(folder: &Path) -> Option<Line> {
    let store = KeyStore::new(folder);
    let keys = store.list().ok().filter(|keys| !keys.is_empty())?;
    Some(files(folder, &store, &keys))
}

/// Owner and mode of everything that is secret.
fn files(folder: &Path, store: &KeyStore, keys: &[BLSPubkey]) -> Line {
    const NAME: &str = "keys";
    let secret = folder.join("local_secret");
    if !secret.exists() {
        return bad(NAME, store.secret_is_missing());
    }
    let user = rustix::process::geteuid().as_raw();
    let paths: Vec<PathBuf> = keys
        .iter()
        .map(|key| store.keys_folder().join(format!("{key}.json")))
        .collect();
    for path in [secret, folder.join(FILE_NAME)].iter().chain(&paths) {
        let Ok(metadata) = std::fs::metadata(path) else {
            continue;
        };
        let shown = path.display();
        if metadata.uid() != user {
            // Only root may give files away.
            let sudo = if user == 0 { "" } else { "sudo " };
            return bad(
                NAME,
                format!("{shown} belongs to another user: `{sudo}chown $(id -u) {shown}`"),
            );
        }
        if metadata.mode() & 0o077 != 0 {
            let mode = metadata.mode() & 0o777;
            return bad(
                NAME,
                format!(
                    "{shown} may be read by others (mode {mode:03o}): `chmod 600 {shown}`, and consider who could have read it"
                ),
            );
        }
    }
    ok(
        NAME,
        format!("{}, only this user reads them", words::count(keys.len(), "key")),
    )
}

/// The slashing protection database: whole, and of this network.
fn record(folder: &Path, network: Option<&Network>, client_runs: bool) -> Line {
    const NAME: &str = "slashing record";
    match SlashingProtection::open_any_network(&folder.join(FILE_NAME)) {
        Ok(database) => {
            let root = database.genesis_validators_root();
            match network.and_then(|network| network.genesis) {
                Some(genesis) if genesis.validators_root != root => bad(
                    NAME,
                    format!(
                        "it belongs to another network (genesis validators root {root}): use another --datadir or --network"
                    ),
                ),
                _ => ok(NAME, "whole, and nobody else uses it"),
            }
        }
        Err(error) if client_runs && format!("{error:#}").contains("in use by another process") => {
            ok(NAME, "in use by the running client, which checked it at its start")
        }
        Err(error) => bad(NAME, format!("{error:#}")),
    }
}

fn fees(args: &Args, folder: &Path, keys: &[BLSPubkey]) -> Line {
    const NAME: &str = "fee recipient";
    let mut settings = match Settings::read(folder) {
        Ok(settings) => settings,
        Err(error) => return bad(NAME, format!("{error:#}")),
    };
    match args.suggested_fee_recipient.as_deref().map(parse_address).transpose() {
        Ok(Some(address)) => settings.suggest_fee_recipient(address),
        Ok(None) => {}
        Err(error) => return bad(NAME, format!("--suggested-fee-recipient: {error:#}")),
    }
    let without = keys.iter().filter(|key| settings.of(key).lacks_fee_recipient()).count();
    if without == 0 {
        return ok(NAME, "set for every key");
    }
    bad(
        NAME,
        format!(
            "{} none: give --suggested-fee-recipient, or write fee_recipient into {}",
            if without == 1 {
                "1 key has".to_owned()
            } else {
                format!("{without} keys have")
            },
            folder.join(validator::settings::FILE_NAME).display()
        ),
    )
}
