//! `wren slashing`: the record of what every key has signed.

use crate::datadir::Datadir;
use crate::exit::Failure;
use crate::{network, running, terminal};
use clap::{Parser, Subcommand};
use consensus::ssz::Root;
use consensus::types::BLSPubkey;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use validator::files;
use validator::interchange::{How, Interchange, MAX_FILE_BYTES};
use validator::keys::KeyStore;
use validator::slashing_protection::{FILE_NAME, KEPT_EPOCHS, KeyRecord, KeyState, SlashingProtection};

const EXAMPLES: &str = "\
Examples:
  wren slashing export --output history.json
  wren slashing import history.json
  wren slashing show

The record lies in DATADIR/validator/slashing_protection.sqlite. It is written before anything is signed, and nothing is
signed without it. Histories are in the format that all clients share (EIP-3076). A client that runs on the folder exports
itself; for anything else it must be stopped first.";

/// `wren slashing …`
#[derive(Parser)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true, disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make an empty record where there is none: only when it was lost and no copy is left
    Init(Init),
    /// Add what keys signed elsewhere: nothing at or below its highest entries is signed any more
    Import(Import),
    /// Write out what keys have signed, for another client
    Export(Export),
    /// Show what is on record of each key
    Show(Show),
    /// Forget details of long ago; never what they forbid
    Prune(Prune),
}

const INIT_HELP: &str = "\
Example:
  wren slashing init --network mainnet

Before you type the sentence: stop every client that has these keys. Keys that are here stay disabled, since nobody knows
what they have signed. For each of them, import a history if any client or backup has one (`wren slashing import`), wait
until the validator has missed attestations for at least three epochs, and then let it sign again (`wren keys enable`).";

#[derive(Parser)]
#[command(after_help = INIT_HELP)]
struct Init {
    /// The network: mainnet, sepolia, hoodi, a folder with config.yaml and genesis.ssz, or a config.yaml
    #[arg(long, value_name = "NAME|DIR|FILE")]
    network: String,
    /// The root that tells the network from others, where --network does not
    #[arg(long, value_name = "ROOT")]
    genesis_validators_root: Option<Root>,
    #[command(flatten)]
    datadir: Datadir,
}

#[derive(Parser)]
#[command(after_help = "Example:\n  wren slashing import history.json --datadir ./data")]
struct Import {
    /// The history, as another client exported it
    file: PathBuf,
    #[command(flatten)]
    datadir: Datadir,
}

#[derive(Parser)]
#[command(after_help = "Example:\n  wren slashing export --output history.json")]
struct Export {
    /// Where to write it; standard output if left out
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Which keys; all if left out
    #[arg(value_name = "PUBKEY")]
    keys: Vec<BLSPubkey>,
    #[command(flatten)]
    datadir: Datadir,
}

#[derive(Parser)]
#[command(after_help = "Example:\n  wren slashing show 0x8b7b…")]
struct Show {
    /// Which keys; all if left out
    #[arg(value_name = "PUBKEY")]
    keys: Vec<BLSPubkey>,
    #[command(flatten)]
    datadir: Datadir,
}

#[derive(Parser)]
#[command(after_help = "Example:\n  wren slashing prune --keep 512")]
struct Prune {
    /// How much is kept of each key, counted back from its last signature
    #[arg(long, value_name = "EPOCHS", default_value_t = KEPT_EPOCHS)]
    keep: u64,
    #[command(flatten)]
    datadir: Datadir,
}

/// Runs `wren slashing`.
pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    match args.command {
        Command::Init(args) => init(&args)?,
        Command::Import(args) => import(&args)?,
        Command::Export(args) => export(&args)?,
        Command::Show(args) => show(&args)?,
        Command::Prune(args) => prune(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn open(datadir: &Datadir) -> Result<SlashingProtection, Failure> {
    Ok(SlashingProtection::open_any_network(
        &datadir.validator()?.join(FILE_NAME),
    )?)
}

fn init(args: &Init) -> Result<(), Failure> {
    network::load(&args.network)?;
    let root = network::genesis(&args.network, args.genesis_validators_root)?.validators_root;
    let folder = args.datadir.validator()?;
    let path = folder.join(FILE_NAME);
    if path.exists() {
        return Err(Failure::usage(format!(
            "{} is there already; it is never replaced",
            path.display()
        )));
    }
    let keys = KeyStore::new(&folder).list()?.len();
    let what = format!(
        "This makes an empty record in {} for --network {}. {keys} keys are here; they will not sign until their history is \
         given or you vouch for each.",
        folder.display(),
        args.network
    );
    terminal::confirm(&what, "the record of my keys is lost", false)?;
    files::create_private_folder(&folder)?;
    SlashingProtection::create(&path, root)?;
    eprintln!("Made {}.", path.display());
    Ok(())
}

/// Reads a history from a file.
pub(crate) fn read_history(file: &Path) -> Result<Interchange, Failure> {
    let history = files::read_limited(file, MAX_FILE_BYTES).and_then(|bytes| Interchange::from_json(&bytes));
    history.map_err(|error| Failure::from(error.context(format!("{} is refused", file.display()))))
}

fn import(args: &Import) -> Result<(), Failure> {
    let history = read_history(&args.file)?;
    let database = open(&args.datadir)?;
    history.import_into(&database, How::Minimal)?;
    eprintln!("Imported the history of {} keys:", history.histories.len());
    for (key, _) in &history.histories {
        if let Some(record) = database.key(key)? {
            println!("{}", describe(&record));
        }
    }
    Ok(())
}

fn export(args: &Export) -> Result<(), Failure> {
    if let Some(client) = running::client(&args.datadir.validator()?)? {
        let history = client.history(&args.keys)?;
        let count = Interchange::from_json(history.as_bytes())?.histories.len();
        return write_export(args, &history, count);
    }
    let database = open(&args.datadir)?;
    let all =
        || -> Result<Vec<BLSPubkey>, Failure> { Ok(database.keys()?.iter().map(|record| record.pubkey).collect()) };
    let keys = if args.keys.is_empty() {
        all()?
    } else {
        args.keys.clone()
    };
    let history = Interchange::export(&database, &keys)?;
    write_export(args, &history.to_json(), keys.len())
}

fn write_export(args: &Export, history: &str, keys: usize) -> Result<(), Failure> {
    match &args.output {
        Some(path) => files::write_new_private(path, history.as_bytes())?,
        None => println!("{history}"),
    }
    eprintln!(
        "Exported the history of {keys} keys. It ends here: a key that signs on in this client must not sign in another."
    );
    Ok(())
}

fn show(args: &Show) -> Result<(), Failure> {
    let database = open(&args.datadir)?;
    println!("genesis validators root {}", database.genesis_validators_root());
    for record in database.keys()? {
        if args.keys.is_empty() || args.keys.contains(&record.pubkey) {
            println!("{}", describe(&record));
        }
    }
    let unknown = |key: &&BLSPubkey| !database.key(key).is_ok_and(|record| record.is_some());
    match args.keys.iter().find(unknown) {
        Some(key) => Err(Failure::invalid(format!("there is no record of the key {key}"))),
        None => Ok(()),
    }
}

/// A key in two lines: what it signed last, and why it does not sign.
pub(crate) fn describe(record: &KeyRecord) -> String {
    let number = |number: Option<u64>| number.map_or_else(|| "none".into(), |number| number.to_string());
    let history = &record.history;
    let last = format!(
        "{}  {}; last block: slot {}, last attestation: source {} target {}",
        record.pubkey,
        state_in_words(record.state),
        number(history.last_block),
        number(history.last_source),
        number(history.last_target)
    );
    if record.why.is_empty() {
        last
    } else {
        format!("{last}\n    {}", record.why)
    }
}

/// Whether a key signs.
pub(crate) fn state_in_words(state: KeyState) -> &'static str {
    match state {
        KeyState::Enabled => "signs",
        KeyState::Unvouched => "waits for its history",
        KeyState::Stopped => "stopped",
        KeyState::Absent => "history only, the key is not here",
    }
}

fn prune(args: &Prune) -> Result<(), Failure> {
    let forgotten = open(&args.datadir)?.prune(args.keep)?;
    eprintln!("Forgot {forgotten} old records; what they forbid stays forbidden.");
    Ok(())
}
