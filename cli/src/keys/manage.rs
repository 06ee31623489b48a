//! `wren keys list`, `export`, `delete` and `enable`.

use crate::datadir::Datadir;
use crate::exit::Failure;
use crate::{slashing, terminal};
use clap::Parser;
use consensus::types::BLSPubkey;
use std::path::{Path, PathBuf};
use validator::files;
use validator::interchange::Interchange;
use validator::keys::{KeyStore, Keys};
use validator::settings::{Settings, to_checksum};

/// `wren keys list`
#[derive(Parser)]
pub(super) struct List {
    #[command(flatten)]
    datadir: Datadir,
}

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

pub(super) fn list(args: &List) -> Result<(), Failure> {
    let folder = args.datadir.validator()?;
    let store = KeyStore::new(&folder);
    let settings = Settings::read(&folder)?;
    let stored = store.list()?;
    if stored.is_empty() {
        eprintln!("There are no keys in {}.", store.keys_folder().display());
        return Ok(());
    }
    // Which keys there are is told even while a client runs or the record is missing; whether they sign is not known then.
    let records = Keys::open(&folder).and_then(|keys| keys.list());
    for key in &stored {
        let record = records
            .as_ref()
            .ok()
            .and_then(|records| records.iter().find(|(other, _)| other == key));
        match record {
            Some((_, Some(record))) => println!("{}", slashing::describe(record)),
            Some((_, None)) => println!("{key}  does not sign: the slashing protection database does not know it"),
            None => println!("{key}"),
        }
        let fee_recipient = settings.of(key).fee_recipient;
        println!(
            "    fees go to {}",
            fee_recipient.map_or_else(
                || "nobody: set fee_recipient in validators.toml".into(),
                |address| to_checksum(&address)
            )
        );
    }
    match records {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::from(error.context("it is not known whether they sign"))),
    }
}

pub(super) fn export(args: &Export) -> Result<(), Failure> {
    let keys = Keys::open(&args.datadir.validator()?)?;
    let key = &args.pubkey;
    let what = format!(
        "The key {key} will stop signing here, and be written to {}.",
        args.output.display()
    );
    terminal::confirm(&what, "stop and export", args.yes)?;
    let password = super::new::ask_keystore_password()?;
    files::create_private_folder(&args.output)?;
    write_history(&keys.disable_for_export(key)?, key, &args.output)?;
    let path = args.output.join(format!("keystore-{key}.json"));
    files::write_new_private(&path, keys.keystore(key, &password)?.to_json().as_bytes())?;
    eprintln!("Wrote {}.", path.display());
    Ok(())
}

pub(super) fn delete(args: &Delete) -> Result<(), Failure> {
    let keys = Keys::open(&args.datadir.validator()?)?;
    let key = &args.pubkey;
    let what = format!("The key {key} will be removed. Nothing here can bring it back.");
    terminal::confirm(&what, "remove the key", args.yes)?;
    files::create_private_folder(&args.output)?;
    write_history(&keys.disable_for_export(key)?, key, &args.output)?;
    keys.delete(key)?;
    eprintln!("Removed the key {key}.");
    Ok(())
}

fn write_history(history: &Interchange, key: &BLSPubkey, folder: &Path) -> Result<(), Failure> {
    let path = folder.join(format!("slashing_protection-{key}.json"));
    files::write_private(&path, history.to_json().as_bytes())?;
    eprintln!("Wrote what it signed to {}.", path.display());
    Ok(())
}

pub(super) fn enable(args: &Enable) -> Result<(), Failure> {
    let keys = Keys::open(&args.datadir.validator()?)?;
    let key = &args.pubkey;
    if let Some(record) = keys.database().key(key)? {
        eprintln!("{}", slashing::describe(&record));
    }
    let what = "If any other client signs with this key, or if it signed anything elsewhere that is not on record here, the \
                validator can get slashed.";
    terminal::confirm(what, "no other client has this key", args.yes)?;
    keys.enable(key)?;
    eprintln!("The key signs from the client's next start on.");
    Ok(())
}
