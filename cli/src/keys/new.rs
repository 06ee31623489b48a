//! `wren keys new`: a mnemonic, signing keys, keystores and deposit data.

use super::import::Known;
use crate::beacon::NodeArgs;
use crate::datadir::Datadir;
use crate::exit::Failure;
use crate::terminal::{self, ask, ask_secret};
use crate::{network, running};
use clap::Parser;
use consensus::Config;
use consensus::ssz::Root;
use consensus::types::{DepositData, ExecutionAddress, Gwei};
use crypto::keystore::{Keystore, NewKdf};
use crypto::mnemonic::Mnemonic;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use validator::files;
use validator::keys::{
    Candidate, MAX_KEYS, Standing, Vouch, Withdrawals, deposit_file, derive_signing_keys, import, sign_deposit,
};
use validator::settings::{parse_address, to_checksum};
use zeroize::Zeroizing;

const EXAMPLES: &str = "\
Examples:
  wren keys new --network hoodi --count 2
  wren keys new --network mainnet --compounding --amount 2048000000000
  wren keys new --network hoodi --existing-mnemonic --first-index 2

The mnemonic is shown once and typed back; it is never written to a file. Withdrawals go to an address that you type
twice. The withdrawal key of older validators (0x00 credentials) is never asked for: `ethdo` or `ethstaker-deposit`
change such credentials.";

/// `wren keys new …`
#[derive(Parser)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The network: mainnet, sepolia, hoodi, a folder with config.yaml and genesis.ssz, or a config.yaml
    #[arg(long, value_name = "NAME|DIR|FILE")]
    network: String,
    /// The root that tells the network from others, where --network does not
    #[arg(long, value_name = "ROOT")]
    genesis_validators_root: Option<Root>,
    /// How many validators
    #[arg(long, value_name = "N", default_value_t = 1)]
    count: u32,
    /// The first of them in the mnemonic's tree: the number of validators that it has already
    #[arg(long, value_name = "N", default_value_t = 0)]
    first_index: u32,
    /// Ask for a mnemonic in place of making one
    #[arg(long)]
    existing_mnemonic: bool,
    /// Keep rewards in the validator, up to 2,048 ETH (credentials 0x02), in place of paying them out (0x01)
    #[arg(long)]
    compounding: bool,
    /// What each deposits, in Gwei
    #[arg(long, value_name = "GWEI", default_value_t = 32_000_000_000)]
    amount: Gwei,
    /// The folder for keystores and deposit data
    #[arg(long, value_name = "DIR", default_value = "validator_keys")]
    output: PathBuf,
    #[command(flatten)]
    nodes: NodeArgs,
    #[command(flatten)]
    datadir: Datadir,
}

/// Shortest keystore password, in characters: `ethstaker-deposit` asks for as many.
const MIN_PASSWORD: usize = 12;

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let config = network::load(&args.network)?;
    let genesis = network::genesis(&args.network, args.genesis_validators_root)?;
    let folder = args.datadir.validator()?;
    if running::client(&folder)?.is_some() {
        return Err(Failure::usage(format!(
            "a client runs on {}: make keys with another --datadir, and give it the keystores by `wren keys import`",
            folder.display()
        )));
    }
    if args.count == 0 || args.count as usize > MAX_KEYS {
        return Err(Failure::usage(format!("--count must be from 1 to {MAX_KEYS}")));
    }
    let withdrawals = ask_withdrawals(args)?;
    let mnemonic = if args.existing_mnemonic {
        ask_mnemonic()?
    } else {
        new_mnemonic()?
    };
    let password = ask_keystore_password()?;
    let seed = mnemonic.to_seed("");
    let candidates = derive_signing_keys(&seed, args.first_index, args.count)?;
    let sign = |candidate: &Candidate| sign_deposit(&config, &candidate.secret, &withdrawals, args.amount);
    let deposits = candidates.iter().map(sign).collect::<Result<Vec<_>, _>>()?;
    write_all(args, &config, &candidates, &deposits, &password)?;

    // Words that were made a moment ago have signed nothing; of older ones only the chain could tell.
    let known = if args.existing_mnemonic {
        Known::new(&config, genesis, &args.nodes, true, &candidates)?
    } else {
        Known::All(Standing::NotOnChain)
    };
    let new = |key: &_| known.standing(key);
    let imported = import(&folder, genesis.validators_root, &candidates, &Vouch::New(&new))?;
    super::import::report(&imported);
    eprintln!(
        "They are in {} too. Give the deposit file to the launchpad of the network.",
        folder.display()
    );
    Ok(())
}

fn ask_withdrawals(args: &Args) -> Result<Withdrawals, Failure> {
    let read = |question: &str| -> Result<ExecutionAddress, Failure> {
        let text = ask(question)?;
        let address = parse_address(text.trim())?;
        if address.is_zero() {
            return Err(Failure::invalid(
                "the zero address belongs to nobody: what goes there is lost",
            ));
        }
        Ok(address)
    };
    let first = read("The address that withdrawals go to, for ever: ")?;
    if read("The same again: ")? != first {
        return Err(Failure::usage("the two addresses differ; nothing was done"));
    }
    eprintln!("Withdrawals will go to {}.", to_checksum(&first));
    let withdrawals = if args.compounding {
        Withdrawals::Compounding(first)
    } else {
        Withdrawals::PaidOut(first)
    };
    withdrawals.check_amount(args.amount)?;
    Ok(withdrawals)
}

fn ask_mnemonic() -> Result<Mnemonic, Failure> {
    let words = ask_secret("The mnemonic: ")?;
    Mnemonic::parse(&words).map_err(|error| Failure::invalid(error.to_string()))
}

/// Shows new words and has them typed back, so that they are on paper before anything depends on them.
fn new_mnemonic() -> Result<Mnemonic, Failure> {
    let mnemonic = Mnemonic::generate().map_err(|error| Failure::invalid(error.to_string()))?;
    eprintln!("\nWrite these words down. They are all that can make the keys again, and they are shown once:\n");
    for (at, word) in mnemonic.phrase().split(' ').enumerate() {
        let end = if at % 6 == 5 { "\n" } else { "  " };
        eprint!("{:2} {word:<8}{end}", at + 1);
    }
    eprintln!();
    let typed = Mnemonic::parse(&ask_secret("Type them to confirm: ")?);
    // Clears the screen and what has scrolled away.
    if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        eprint!("\x1b[3J\x1b[2J\x1b[H");
    }
    match typed {
        Ok(typed) if *typed.phrase() == *mnemonic.phrase() => Ok(mnemonic),
        Ok(_) => Err(Failure::usage("these are other words; nothing was done")),
        Err(error) => Err(Failure::usage(format!("{error}; nothing was done"))),
    }
}

/// Asks for the password of keystores that are written out.
pub(super) fn ask_keystore_password() -> Result<Zeroizing<String>, Failure> {
    let password = terminal::ask_new_secret("A password for the keystores, 12 characters or more: ")?;
    if password.chars().count() < MIN_PASSWORD {
        return Err(Failure::usage(format!(
            "the password has fewer than {MIN_PASSWORD} characters; nothing was done"
        )));
    }
    Ok(password)
}

fn write_all(
    args: &Args,
    config: &Config,
    candidates: &[Candidate],
    deposits: &[DepositData],
    password: &str,
) -> Result<(), Failure> {
    files::create_private_folder(&args.output)?;
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |now| now.as_secs());
    for candidate in candidates {
        let keystore = Keystore::encrypt(&candidate.secret, password, &candidate.path, None, NewKdf::Scrypt);
        let keystore = keystore.map_err(|error| Failure::invalid(error.to_string()))?;
        let name = format!("keystore-{}-{now}.json", candidate.path.replace('/', "_"));
        write(&args.output.join(name), &keystore.to_json())?;
    }
    write(
        &args.output.join(format!("deposit_data-{now}.json")),
        &deposit_file(config, deposits),
    )
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    files::write_new_private(path, text.as_bytes())?;
    eprintln!("Wrote {}.", path.display());
    Ok(())
}
