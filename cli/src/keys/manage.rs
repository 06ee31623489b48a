//! `wren keys export`, `delete` and `enable`.

use crate::datadir::Datadir;
use crate::exit::Failure;
use crate::{running, slashing, terminal};
use clap::Parser;
use consensus::types::BLSPubkey;
use std::path::{Path, PathBuf};
use validator::files;
use validator::keys::{EXPORTED, KeyStore, Keys};

/// `wren keys export …`
#[derive(Parser)]
#[command(
    after_help = "Example:\n  wren keys export 0x8b7b… --output ./moved\n\nThe key stops signing here first, and its history is written beside the keystore: give both\nto the other client."
)]
pub(super) struct Export {
    /// Which key
    pubkey: BLSPubkey,
    /// The folder for keystore and history
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    datadir: Datadir,
}

/// `wren keys delete …`
#[derive(Parser)]
#[command(
    after_help = "Example:\n  wren keys delete 0x8b7b… --output ./moved\n\nThe history is written out first. The key itself is gone: what is left of it is your mnemonic or\nkeystore."
)]
pub(super) struct Delete {
    /// Which key
    pubkey: BLSPubkey,
    /// The folder for its history
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    datadir: Datadir,
}

/// `wren keys enable …`
#[derive(Parser)]
#[command(
    after_help = "Example:\n  wren keys enable 0x8b7b…\n\nTwo clients with one key get the validator slashed. Enable a key only when no other client has it."
)]
pub(super) struct Enable {
    /// Which key
    pubkey: BLSPubkey,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    datadir: Datadir,
}

pub(super) fn export(args: &Export) -> Result<(), Failure> {
    let folder = args.datadir.validator()?;
    let running = running::client(&folder)?;
    let key = &args.pubkey;
    let what = format!(
        "The key {key} will stop signing here, and be written to {}.",
        args.output.display()
    );
    check_here(&folder, key)?;
    terminal::confirm(&what, "stop and export", args.yes)?;
    let password = super::new::ask_keystore_password()?;
    files::create_private_folder(&args.output)?;
    let (history, keystore) = if let Some(client) = running {
        let history = client.stop(key, EXPORTED)?;
        (history, KeyStore::new(&folder).export_stopped(key, &password)?)
    } else {
        let keys = Keys::open(&folder)?;
        let history = keys.disable_for_export(key)?.to_json();
        (history, keys.keystore(key, &password)?)
    };
    write_history(&history, key, &args.output)?;
    let path = args.output.join(format!("keystore-{key}.json"));
    files::write_new_private(&path, keystore.to_json().as_bytes())?;
    eprintln!("Wrote {}.", path.display());
    Ok(())
}

pub(super) fn delete(args: &Delete) -> Result<(), Failure> {
    let folder = args.datadir.validator()?;
    let running = running::client(&folder)?;
    let key = &args.pubkey;
    let what = format!("The key {key} will be removed. Nothing here can bring it back.");
    check_here(&folder, key)?;
    terminal::confirm(&what, "remove the key", args.yes)?;
    files::create_private_folder(&args.output)?;
    if let Some(client) = running {
        // Its history goes out before the key goes: a full disk must not take both.
        write_history(&client.stop(key, "it is being deleted")?, key, &args.output)?;
        client.delete(key)?;
    } else {
        let keys = Keys::open(&folder)?;
        write_history(&keys.disable_for_export(key)?.to_json(), key, &args.output)?;
        keys.delete(key)?;
    }
    eprintln!("Removed the key {key}.");
    Ok(())
}

/// Refuses keys that are not in the folder before anything is asked.
fn check_here(folder: &Path, key: &BLSPubkey) -> Result<(), Failure> {
    let store = KeyStore::new(folder);
    if store.contains(key) {
        return Ok(());
    }
    Err(Failure::invalid(format!(
        "the key {key} is not in {}; --datadir looks elsewhere",
        store.keys_folder().display()
    )))
}

fn write_history(history: &str, key: &BLSPubkey, folder: &Path) -> Result<(), Failure> {
    let path = folder.join(format!("slashing_protection-{key}.json"));
    files::write_private(&path, history.as_bytes())?;
    eprintln!("Wrote what it signed to {}.", path.display());
    Ok(())
}

pub(super) fn enable(args: &Enable) -> Result<(), Failure> {
    let folder = args.datadir.validator()?;
    let running = running::client(&folder)?;
    let key = &args.pubkey;
    let keys = match running {
        Some(_) => None,
        None => Some(Keys::open(&folder)?),
    };
    if let Some(record) = keys
        .as_ref()
        .map(|keys| keys.database().key(key))
        .transpose()?
        .flatten()
    {
        eprintln!("{}", slashing::describe(&record));
    }
    let what = "If any other client signs with this key, or if it signed anything elsewhere that is not on record here, the \
                validator can get slashed.";
    terminal::confirm(what, "no other client has this key", args.yes)?;
    if let Some(client) = running {
        client.enable(key)?;
        eprintln!("The running client signs with the key, once it has listened for a double of it.");
    }
    if let Some(keys) = keys {
        keys.enable(key)?;
        eprintln!("The key signs from the client's next start on.");
    }
    Ok(())
}
