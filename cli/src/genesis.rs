//! `wren genesis`: the folder of a local network, and keys for its validators.

use crate::exit::Failure;
use crate::network;
use ::node::genesis::{
    DevnetOptions, GenesisKey, GenesisValidator, NetworkFiles, Withdrawals, check_free, devnet_config, genesis_state,
    write_keystores, write_network,
};
use clap::{Parser, ValueEnum};
use consensus::config::BlobParameters;
use consensus::types::ExecutionAddress;
use consensus::{Config, Fork};
use crypto::keystore::Keystore;
use crypto::mnemonic::Mnemonic;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

const EXAMPLES: &str = "\
Examples:
  wren genesis --output net --validators 64
  wren genesis --output net --validators 64 --keys 4 --slot-time 2
  wren genesis --output net --fork altair --fork-at bellatrix=2 --fork-at capella=3 --fork-at deneb=4
  wren genesis --output net --validators 500 --mnemonic-file words.txt --keys 1 --withdrawals compounding

Without --mnemonic-file or --keystores the validators have the interop keys, which everybody knows. The folder is what
--network of other commands takes, and what other clients call a testnet folder. Keys are written as EIP-2335 keystores,
each slice with one password made here in password.txt; their key derivation is cheap, which other tools may refuse and
real keys must not have.";

/// A config, a password file or a keystore is far shorter.
const MAX_FILE: u64 = 1 << 20;
/// Keystores read from a folder, at most.
const MAX_KEYSTORES: usize = 100_000;

/// What withdrawal credentials begin with.
#[derive(Clone, Copy, ValueEnum)]
enum Prefix {
    /// 0x00, of the withdrawal key (the interop key itself)
    Bls,
    /// 0x01, of an address
    Address,
    /// 0x02, of an address; grows beyond 32 ETH from Electra on
    Compounding,
}

/// `wren genesis …`
#[derive(Parser)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The folder to write; it must not hold a network yet
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// How many validators, all active from the beginning with 32 ETH
    #[arg(long, value_name = "N", default_value_t = 64)]
    validators: u64,
    /// Take the validators' keys from the mnemonic in this file, by EIP-2334
    #[arg(long, value_name = "FILE", conflicts_with = "keystores")]
    mnemonic_file: Option<PathBuf>,
    /// Take the validators' public keys from the keystores in this folder (no password is needed)
    #[arg(long, value_name = "DIR", conflicts_with = "validators")]
    keystores: Option<PathBuf>,
    /// Write the validators' keystores too, in so many slices: DIR/keys-0, DIR/keys-1, …
    #[arg(long, value_name = "SLICES", conflicts_with = "keystores")]
    keys: Option<u64>,
    /// What the withdrawal credentials are
    #[arg(long, value_enum, default_value = "address")]
    withdrawals: Prefix,
    /// The address of all withdrawal credentials; without it each validator has its own
    #[arg(long, value_name = "ADDRESS")]
    withdrawal_address: Option<String>,
    /// The fork at genesis
    #[arg(long, value_name = "FORK", default_value = "fulu")]
    fork: Fork,
    /// A later fork and its epoch; may be given many times
    #[arg(long, value_name = "FORK=EPOCH", value_parser = fork_at)]
    fork_at: Vec<(Fork, u64)>,
    /// The most blobs in a block from an epoch on, after Fulu; may be given many times
    #[arg(long, value_name = "EPOCH=BLOBS", value_parser = blobs_at)]
    blobs_at: Vec<BlobParameters>,
    /// Seconds of a slot
    #[arg(long, value_name = "SECONDS", default_value_t = 4)]
    slot_time: u64,
    /// Unix time of genesis; otherwise it is --delay from now
    #[arg(long, value_name = "SECONDS", conflicts_with = "delay")]
    time: Option<u64>,
    /// Seconds from now to genesis
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    delay: u64,
    /// What the options leave open: a config.yaml, or the name of a network
    #[arg(long, value_name = "NAME|FILE", default_value = "devnet")]
    config: String,
}

fn pair<T: std::str::FromStr>(text: &str, form: &str) -> Result<(T, u64), String> {
    let (left, right) = text.split_once('=').ok_or_else(|| format!("write it as {form}"))?;
    let left = left
        .parse()
        .map_err(|_| format!("'{left}' is not known: write it as {form}"))?;
    let right = right
        .parse()
        .map_err(|_| format!("'{right}' is no number: write it as {form}"))?;
    Ok((left, right))
}

fn fork_at(text: &str) -> Result<(Fork, u64), String> {
    pair(text, "electra=3")
}

fn blobs_at(text: &str) -> Result<BlobParameters, String> {
    let (epoch, max_blobs_per_block) = pair(text, "5=12")?;
    Ok(BlobParameters {
        epoch,
        max_blobs_per_block,
    })
}

/// Runs `wren genesis`.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let failed = |error| Failure::written(format!("{error:#}"));
    check_free(&args.output).map_err(failed)?;
    // Contradictions are to be told before anything is written.
    config(args, 0)?;
    let withdrawals = withdrawals(args)?;
    let keys = keys(args)?;
    write_slices(args, &keys)?;
    // Only now: the delay shall not be gone when all is written.
    let time = args.time.unwrap_or_else(|| now().saturating_add(args.delay));
    let config = config(args, time)?;
    let validators: Vec<GenesisValidator> = match &args.keystores {
        Some(folder) => from_keystores(folder, withdrawals)?,
        None => keys.iter().map(|key| key.validator(withdrawals)).collect(),
    };
    let state = genesis_state(&config, time, &validators).map_err(|error| Failure::invalid(format!("{error:#}")))?;
    let files = NetworkFiles {
        config: &config,
        state: &state,
    };
    write_network(&args.output, &files).map_err(failed)?;
    println!(
        "{}: {} with {} validators, genesis at {time}, slots of {} s\nstate root {}, genesis validators root {}",
        args.output.display(),
        state.at,
        validators.len(),
        args.slot_time,
        state.hash_tree_root(),
        state.genesis_validators_root,
    );
    Ok(ExitCode::SUCCESS)
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn config(args: &Args, genesis_time: u64) -> Result<Config, Failure> {
    let slot_duration_ms = args
        .slot_time
        .checked_mul(1000)
        .ok_or_else(|| Failure::usage("--slot-time is too long"))?;
    let options = DevnetOptions {
        genesis_fork: args.fork,
        schedule: args.fork_at.clone(),
        slot_duration_ms,
        genesis_time,
        blob_schedule: args.blobs_at.clone(),
    };
    devnet_config(network::load(&args.config)?, &options).map_err(|error| Failure::invalid(format!("{error:#}")))
}

/// The validators' keys, where this command knows them.
fn keys(args: &Args) -> Result<Vec<GenesisKey>, Failure> {
    if args.keystores.is_some() {
        return Ok(Vec::new());
    }
    let limit = ::node::genesis::MAX_VALIDATORS as u64;
    if args.validators > limit {
        return Err(Failure::usage(format!(
            "--validators {}: at most {limit}",
            args.validators
        )));
    }
    let Some(file) = &args.mnemonic_file else {
        return Ok((0..args.validators).map(GenesisKey::interop).collect());
    };
    let words =
        String::from_utf8(read(file)?).map_err(|_| Failure::invalid(format!("{} is no text", file.display())))?;
    let mnemonic = Mnemonic::parse(words.trim())
        .map_err(|error| Failure::invalid(format!("{} holds no mnemonic: {error}", file.display())))?;
    let seed = mnemonic.to_seed("");
    let derived = (0..args.validators as u32).map(|index| GenesisKey::derived(seed.as_ref(), index));
    derived
        .collect::<Result<_, _>>()
        .map_err(|error| Failure::invalid(format!("{error:#}")))
}

fn withdrawals(args: &Args) -> Result<Withdrawals, Failure> {
    let address: Option<ExecutionAddress> = match &args.withdrawal_address {
        None => None,
        Some(text) => Some(
            text.parse()
                .map_err(|error| Failure::usage(format!("--withdrawal-address: {error}")))?,
        ),
    };
    match args.withdrawals {
        Prefix::Bls if address.is_some() => Err(Failure::usage(
            "--withdrawal-address goes with --withdrawals address or compounding",
        )),
        Prefix::Bls => Ok(Withdrawals::Bls),
        Prefix::Address => Ok(Withdrawals::Address(address)),
        Prefix::Compounding => Ok(Withdrawals::Compounding(address)),
    }
}

/// The validators of the keystores in a folder, in the order of their files' names.
fn from_keystores(folder: &Path, withdrawals: Withdrawals) -> Result<Vec<GenesisValidator>, Failure> {
    let failed = |error| Failure::io(format!("cannot read the folder {}", folder.display()), &error);
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_keystore = name.starts_with("keystore") && path.extension().is_some_and(|ending| ending == "json");
        if is_keystore {
            files.push(path);
        }
        if files.len() > MAX_KEYSTORES {
            return Err(Failure::invalid(format!(
                "{}: more than {MAX_KEYSTORES} keystores",
                folder.display()
            )));
        }
    }
    files.sort();
    files.iter().map(|file| from_keystore(file, withdrawals)).collect()
}

fn from_keystore(file: &Path, withdrawals: Withdrawals) -> Result<GenesisValidator, Failure> {
    let wrong = |why: String| Failure::invalid(format!("{}: {why}", file.display()));
    let keystore = Keystore::from_json(&read(file)?).map_err(|error| wrong(error.to_string()))?;
    let pubkey = *keystore
        .pubkey()
        .ok_or_else(|| wrong("it does not state its public key".to_owned()))?;
    Ok(GenesisValidator {
        pubkey: pubkey.into(),
        withdrawal_credentials: withdrawals.credentials(&pubkey.into()),
    })
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error| Failure::io(format!("cannot read {}", file.display()), &error);
    let length = fs::metadata(file).map_err(failed)?.len();
    if length > MAX_FILE {
        return Err(Failure::invalid(format!(
            "{} has {length} bytes, at most {MAX_FILE}",
            file.display()
        )));
    }
    fs::read(file).map_err(failed)
}

/// Keystores in slices of as nearly equal size as can be, in the order of the validators.
fn write_slices(args: &Args, keys: &[GenesisKey]) -> Result<(), Failure> {
    let Some(slices) = args.keys else { return Ok(()) };
    if slices == 0 || slices > keys.len() as u64 {
        let why = format!(
            "--keys {slices}: give 1 to {} slices, each of one validator at least",
            keys.len()
        );
        return Err(Failure::usage(why));
    }
    let (count, slices) = (keys.len(), slices as usize);
    for slice in 0..slices {
        let part = &keys[slice * count / slices..(slice + 1) * count / slices];
        let folder = args.output.join(format!("keys-{slice}"));
        write_keystores(&folder, part).map_err(|error| Failure::written(format!("{error:#}")))?;
        println!("{}: {} keystores and password.txt", folder.display(), part.len());
    }
    Ok(())
}
