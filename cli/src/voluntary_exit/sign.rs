//! `wren exit sign`: an exit for later, signed without any node.

use crate::datadir::Datadir;
use crate::exit::Failure;
use crate::validator::reach;
use crate::{network, terminal};
use clap::Parser;
use consensus::ssz::{Json, Root};
use consensus::types::{BLSPubkey, Epoch, SignedVoluntaryExit, ValidatorIndex};
use consensus::{Config, Fork};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use validator::exit::{self, ExitKey};
use validator::files;
use validator::keys::{KeystoreFile, read_password};

const SIGN_EXAMPLES: &str = "\
Examples:
  wren exit sign --network mainnet --validator keystore-m_12381_3600_0_0_0-1.json --index 123456 --output exit.json
  wren exit sign --network hoodi --validator 0x8b7b… --index 42 > exit.json

The exit is signed so that no later fork invalidates it (EIP-7044). Whoever holds it can exit the validator, today or in
ten years; nobody can do anything else with it. The validator must go on working until its exit epoch.";

#[derive(Parser)]
#[command(after_help = SIGN_EXAMPLES)]
pub(super) struct Sign {
    /// The network: mainnet, sepolia, hoodi, a folder with config.yaml and genesis.ssz, or a config.yaml
    #[arg(long, value_name = "NAME|DIR|FILE")]
    network: String,
    /// The root that tells the network from others, where --network does not
    #[arg(long, value_name = "ROOT")]
    genesis_validators_root: Option<Root>,
    /// A key of this client, or a keystore
    #[arg(long, value_name = "PUBKEY|KEYSTORE")]
    validator: String,
    /// The validator's index on the chain
    #[arg(long, value_name = "N")]
    index: ValidatorIndex,
    /// The first epoch in which it may be used [default: Capella's first]
    #[arg(long, value_name = "EPOCH")]
    epoch: Option<Epoch>,
    /// Where to write it; standard output if left out
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A file with the keystore's password; it is asked for if left out
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Certificates (PEM) of authorities that the key's remote signer is trusted by, beside the usual ones
    #[arg(long, value_name = "FILE")]
    remote_signer_ca: Option<PathBuf>,
    #[command(flatten)]
    datadir: Datadir,
}

/// Signs and writes it down.
pub(super) fn run(args: &Sign) -> Result<ExitCode, Failure> {
    let config = network::load(&args.network)?;
    let root = network::genesis(&args.network, args.genesis_validators_root)?.validators_root;
    let epoch = epoch(args, &config)?;
    let signed = exit::sign(&key(args)?, &config, root, args.index, epoch)?;
    write(&signed, args.output.as_deref())?;
    let (index, name) = (args.index, &config.config_name);
    eprintln!(
        "Signed the exit of validator {index} on {name}, usable from epoch {epoch} on. It was not sent. Whoever holds it can \
         exit the validator: keep it as you keep the key. Check that {index} is the index of this key; with another one \
         the exit is worthless."
    );
    Ok(ExitCode::SUCCESS)
}

fn epoch(args: &Sign, config: &Config) -> Result<Epoch, Failure> {
    let capella = config.fork_epoch(Fork::Capella);
    let epoch = args.epoch.unwrap_or(capella);
    if config.fork_at_epoch(epoch) < Fork::Capella {
        return Err(Failure::usage(format!(
            "an exit of epoch {epoch} would be signed in the domain of Capella, which begins at epoch {capella} on this \
             network"
        )));
    }
    Ok(epoch)
}

fn key(args: &Sign) -> Result<ExitKey, Failure> {
    if let Ok(key) = args.validator.parse::<BLSPubkey>() {
        let reach = reach(args.remote_signer_ca.as_deref(), &[])?;
        return Ok(exit::stored_key(&args.datadir.validator()?, &key, reach)?);
    }
    let path = Path::new(&args.validator);
    if !path.exists() {
        return Err(Failure::usage(format!(
            "--validator {}: this is neither a public key (0x and 96 hex digits) nor a file",
            args.validator.escape_debug()
        )));
    }
    open_keystore(path, args.password_file.as_deref())
}

/// The secret of a keystore, by the password from a file or from the operator.
pub(super) fn open_keystore(path: &Path, password_file: Option<&Path>) -> Result<ExitKey, Failure> {
    let keystore = KeystoreFile::read(path)?;
    let password = match password_file {
        Some(place) => read_password(place, &keystore)?,
        None => terminal::ask_secret(&format!("Password of {}: ", path.display()))?,
    };
    let opened = keystore.keystore.decrypt(&password);
    let opened = opened.map_err(|error| Failure::invalid(format!("{}: {error}", path.display())));
    opened.map(ExitKey::Secret)
}

fn write(signed: &SignedVoluntaryExit, output: Option<&Path>) -> Result<(), Failure> {
    let json = signed.to_json(Fork::Capella);
    if let Some(path) = output {
        files::write_new_private(path, format!("{json}\n").as_bytes())?;
    } else {
        println!("{json}");
    }
    Ok(())
}
