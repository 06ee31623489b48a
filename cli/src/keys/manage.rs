//! `wren keys export`, `delete` and `enable`.

use crate::datadir::Datadir;
use crate::exit::Failure;
use crate::{running, slashing, terminal};
use clap::Parser;
use consensus::types::BLSPubkey;
use std::path::{Path, PathBuf};
use validator::files;
use validator::keys::{EXPORTED, KeyStore, Keys, Place};

/// `wren keys export …`
#[derive(Parser)]
#[command(
    after_help = "Example:\n  wren keys export 0x8b7b… --output ./moved\n\nThe key stops signing here first, and its history is written beside the keystore: give both\nto the other client. Of a key in a remote signer there is only the history."
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
    after_help = "Example:\n  wren keys delete 0x8b7b… --output ./moved\n\nThe history is written out first. The key itself is gone: what is left of it is your mnemonic or\nkeystore. A key in a remote signer stays there, and this client no longer asks for it."
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
    let place = Place::of(key, &folder)?;
    let output = args.output.display();
    let what = match &place {
        Place::Folder => format!("The key {key} will stop signing here, and be written to {output}."),
        Place::Remote(url) => format!(
            "The key {key} will stop signing here. It is in the remote signer at {url} and stays there; what is written to \
             {output} is its history."
        ),
    };
    terminal::confirm(&what, "stop and export", args.yes)?;
    // Asked before anything is done; a remote signer has no keystore for us.
    let password = match place {
        Place::Folder => Some(super::new::ask_keystore_password()?),
        Place::Remote(_) => None,
    };
    files::create_private_folder(&args.output)?;
    let keystore = if let Some(client) = running {
        write_history(&client.stop(key, EXPORTED)?, key, &args.output)?;
        password.map(|password| KeyStore::new(&folder).export_stopped(key, &password))
    } else {
        let keys = Keys::open(&folder)?;
        write_history(&keys.disable_for_export(key)?.to_json(), key, &args.output)?;
        password.map(|password| keys.keystore(key, &password))
    };
    if let Some(keystore) = keystore.transpose()? {
        let path = args.output.join(format!("keystore-{key}.json"));
        files::write_new_private(&path, keystore.to_json().as_bytes())?;
        eprintln!("Wrote {}.", path.display());
    }
    Ok(())
}

pub(super) fn delete(args: &Delete) -> Result<(), Failure> {
    let folder = args.datadir.validator()?;
    let running = running::client(&folder)?;
    let key = &args.pubkey;
    let place = Place::of(key, &folder)?;
    let what = match &place {
        Place::Folder => format!("The key {key} will be removed. Nothing here can bring it back."),
        Place::Remote(url) => format!(
            "The key {key} will no longer be one of this client. It is in the remote signer at {url} and stays there."
        ),
    };
    terminal::confirm(&what, "remove the key", args.yes)?;
    files::create_private_folder(&args.output)?;
    // Its history goes out before the key goes: a full disk must not take both.
    if let Some(client) = running {
        write_history(&client.stop(key, "it is being deleted")?, key, &args.output)?;
        match place {
            Place::Folder => client.delete(key)?,
            Place::Remote(_) => client.delete_remote(key)?,
        }
    } else {
        let keys = Keys::open(&folder)?;
        write_history(&keys.disable_for_export(key)?.to_json(), key, &args.output)?;
        keys.delete(key)?;
    }
    eprintln!("Removed the key {key}.");
    Ok(())
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
