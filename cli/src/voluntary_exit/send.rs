//! `wren exit send`: what will happen is shown, a sentence is typed, the exit goes out, and the chain takes it.

use super::{Chain, failed};
use crate::beacon::{NodeArgs, TIMEOUT};
use crate::datadir::Datadir;
use crate::exit::Failure;
use crate::keys::list::{eth, status_in_words};
use crate::validator::reach;
use crate::{network, running, terminal};
use clap::Parser;
use consensus::Fork;
use consensus::constants::FAR_FUTURE_EPOCH;
use consensus::ssz::{Json, Root};
use consensus::types::{BLSPubkey, Bytes32, ExecutionAddress, SignedVoluntaryExit};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use validator::beacon::{Leaving, PartialWithdrawal};
use validator::exit::{self, ExitKey};
use validator::files;
use validator::keys::KeyStore;
use validator::settings::{Settings, to_checksum};

const EXAMPLES: &str = "\
Examples:
  wren exit send exit.json
  wren exit send --network hoodi --validator 123456
  wren exit send --network hoodi --validator keystore-m_12381_3600_0_0_0-1.json
  wren exit send --network hoodi --all

A file is sent as it is, whoever signed it: ours, ethdo's or another client's. The client may run meanwhile, and must go on
running until the exit epoch.";

/// `wren exit send …`
#[derive(Parser)]
#[command(after_help = EXAMPLES)]
pub(super) struct Send {
    /// A signed exit
    #[arg(value_name = "FILE", conflicts_with_all = ["validator", "all"])]
    file: Option<PathBuf>,
    /// Sign and send the exit of this validator, whose key is here or in the keystore
    #[arg(long, value_name = "INDEX|PUBKEY|KEYSTORE", conflicts_with = "all")]
    validator: Option<String>,
    /// Sign and send the exits of all validators whose keys are here and that can leave
    #[arg(long)]
    all: bool,
    /// The network, where something is signed: mainnet, sepolia, hoodi, a folder, or a config.yaml
    #[arg(long, value_name = "NAME|DIR|FILE")]
    network: Option<String>,
    /// The root that tells the network from others, where --network does not
    #[arg(long, value_name = "ROOT")]
    genesis_validators_root: Option<Root>,
    /// A file with the keystore's password; it is asked for if left out
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Certificates (PEM) of authorities that a key's remote signer is trusted by, beside the usual ones
    #[arg(long, value_name = "FILE")]
    remote_signer_ca: Option<PathBuf>,
    /// Send although the validator has no withdrawal address: its ETH stays locked until it has one
    #[arg(long)]
    without_withdrawal_address: bool,
    /// Do not ask (--all asks for the number of validators all the same)
    #[arg(long)]
    yes: bool,
    /// Do not wait until the chain has it
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    nodes: NodeArgs,
    #[command(flatten)]
    datadir: Datadir,
}

/// An exit has 300 bytes.
const MAX_FILE: u64 = 64 << 10;
/// A pool hands exits to proposers one by one, and a block takes 16: this many epochs without ours is told.
const EPOCHS_TO_WAIT: u64 = 4;
/// Between two looks at the chain.
const LOOK: Duration = Duration::from_secs(2);

pub(super) fn run(args: &Send) -> Result<ExitCode, Failure> {
    if args.file.is_none() && args.validator.is_none() && !args.all {
        return Err(Failure::usage("whose exit? Name a file, --validator, or --all"));
    }
    let root = match &args.network {
        Some(network) => network::known_genesis(network)?.map(|genesis| genesis.validators_root),
        None => None,
    };
    let signed = args.file.as_deref().map(read_exit).transpose()?;
    let chain = Chain::connect(&args.nodes, args.genesis_validators_root.or(root))?;
    let ids = match (&signed, args.all) {
        (Some(exit), _) => vec![exit.message.validator_index.to_string()],
        (None, true) => all_here(args)?,
        (None, false) => vec![id_of(args)?],
    };
    let mut validators = chain.validators(&ids)?;
    let now = chain.now();
    let partial = chain
        .beacon
        .ask(|node| node.partial_withdrawals(TIMEOUT))
        .map_err(|error| failed(&error))?;
    let obstacle = |one: &Leaving| {
        chain
            .rules
            .obstacle(one, &partial, signed.as_ref().map(|exit| &exit.message), now)
    };
    if args.all {
        validators.retain(|one| match obstacle(one) {
            Some(why) => {
                eprintln!("Validator {} stays: {why}.", one.info.index);
                false
            }
            None => true,
        });
        if validators.is_empty() {
            return Err(Failure::invalid(
                "none of the validators whose keys are here can leave now",
            ));
        }
    }
    show_all(args, &chain, &validators, &partial)?;
    if let (Some(one), Some(exit)) = (validators.first(), &signed)
        && !chain.rules.is_signed_by(exit, &one.info.pubkey)
    {
        return Err(Failure::invalid(format!(
            "the exit is not signed by the key of validator {}: it is of another network, or for another validator",
            one.info.index
        )));
    }
    if let Some(why) = validators.first().and_then(obstacle) {
        let index = validators[0].info.index;
        return Err(Failure::invalid(format!("validator {index} cannot leave now: {why}")));
    }
    confirm(args, validators.len())?;
    for one in &validators {
        let exit = match &signed {
            Some(exit) => exit.clone(),
            None => sign(args, &chain, one, now)?,
        };
        send(&chain, &exit)?;
    }
    if !args.no_wait {
        wait(&chain, &validators)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn read_exit(path: &Path) -> Result<SignedVoluntaryExit, Failure> {
    let wrong = |why: String| Failure::invalid(format!("{} is no signed exit: {why}", path.display()));
    let bytes = files::read_limited(path, MAX_FILE)?;
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
    // Some tools wrap it as the API's answers are.
    let value = value.get("data").unwrap_or(&value);
    SignedVoluntaryExit::from_json(value, Fork::Capella, &[]).map_err(|error| wrong(error.to_string()))
}

/// The validators whose keys are in the folder.
fn all_here(args: &Send) -> Result<Vec<String>, Failure> {
    let folder = args.datadir.validator()?;
    let store = KeyStore::new(&folder);
    let mut keys = store.list()?;
    keys.extend(Settings::read(&folder)?.remote_keys().map(|(key, _)| *key));
    if keys.is_empty() {
        return Err(Failure::invalid(format!(
            "there are no keys in {}, nor remote ones in validators.toml; --datadir looks elsewhere",
            store.keys_folder().display()
        )));
    }
    Ok(keys.iter().map(ToString::to_string).collect())
}

/// What `--validator` names: an index, a key, or a keystore that states its key.
fn id_of(args: &Send) -> Result<String, Failure> {
    let text = args.validator.as_deref().unwrap_or_default();
    if text.parse::<u64>().is_ok() || text.parse::<BLSPubkey>().is_ok() {
        return Ok(text.to_lowercase());
    }
    let path = Path::new(text);
    if !path.exists() {
        return Err(Failure::usage(format!(
            "--validator {}: this is no index, no public key (0x and 96 hex digits) and no file",
            text.escape_debug()
        )));
    }
    let key = validator::keys::KeystoreFile::read(path)?.pubkey();
    let key = key.ok_or_else(|| Failure::invalid(format!("{} does not state its public key", path.display())))?;
    Ok(key.to_string())
}

fn show_all(args: &Send, chain: &Chain, validators: &[Leaving], partial: &[PartialWithdrawal]) -> Result<(), Failure> {
    let queue = chain.beacon.ask(|node| node.all_leaving(TIMEOUT)).unwrap_or_default();
    let now = chain.now();
    for one in validators {
        let (info, rules) = (&one.info, &chain.rules);
        eprintln!(
            "Validator {} (key {}): {}, balance {} ETH.",
            info.index,
            info.pubkey,
            status_in_words(info.status),
            eth(info.balance)
        );
        if let Some(address) = withdrawal_address(&one.withdrawal_credentials) {
            eprintln!("  Its ETH goes to {}.", to_checksum(&address));
        } else {
            eprintln!(
                "  It has no withdrawal address (0x00 credentials): your ETH stays locked until you set an address."
            );
            if !args.without_withdrawal_address {
                return Err(Failure::invalid(format!(
                    "validator {} has no withdrawal address: set one first (`ethdo` or `ethstaker-deposit` can), or \
                     give --without-withdrawal-address",
                    info.index
                )));
            }
        }
        let own = partial.iter().filter(|one| one.validator_index == info.index);
        for withdrawal in own {
            eprintln!(
                "  A withdrawal of {} ETH is pending until epoch {} ({}); before that the validator cannot leave.",
                eth(withdrawal.amount),
                withdrawal.withdrawable_epoch,
                rules.date(withdrawal.withdrawable_epoch)
            );
        }
        if info.exit_epoch == FAR_FUTURE_EPOCH {
            let outlook = rules.outlook(one, &queue, partial, now);
            eprintln!(
                "  As the queue stands it leaves at about epoch {} ({}), and is paid out after {}, {} epochs later.\n  Keep \
                 the validator running until {}.",
                outlook.exit_epoch,
                rules.date(outlook.exit_epoch),
                rules.date(outlook.withdrawable_epoch),
                rules.min_validator_withdrawability_delay,
                rules.date(outlook.exit_epoch)
            );
        }
    }
    Ok(())
}

/// The address of credentials that begin with 0x01 or 0x02.
pub(super) fn withdrawal_address(credentials: &Bytes32) -> Option<ExecutionAddress> {
    let (prefix, rest) = credentials.0.split_first()?;
    let address: [u8; 20] = rest.get(11..)?.try_into().ok()?;
    matches!(prefix, 1 | 2).then_some(consensus::ssz::Bytes(address))
}

fn confirm(args: &Send, count: usize) -> Result<(), Failure> {
    let what = "An exit cannot be taken back.";
    if args.all {
        // Even with --yes: this empties a folder.
        eprintln!("{what}");
        let answer = terminal::ask(&format!("{count} validators will leave. Type their number to go on: "))?;
        if answer.trim() != count.to_string() {
            return Err(Failure::not_confirmed());
        }
        return Ok(());
    }
    terminal::confirm(what, "the validator shall leave", args.yes)
}

/// Signs with the keystore that was named, through the client that runs on the folder, or with the folder's key.
fn sign(args: &Send, chain: &Chain, one: &Leaving, now: u64) -> Result<SignedVoluntaryExit, Failure> {
    let key = &one.info.pubkey;
    let named = args.validator.as_deref().map(Path::new).filter(|path| path.is_file());
    let folder = args.datadir.validator()?;
    let signed = if let Some(path) = named {
        let key = super::sign::open_keystore(path, args.password_file.as_deref())?;
        sign_here(args, &key, chain, one, now)?
    } else if let Some(signed) = ask_client(&folder, key, now) {
        signed
    } else {
        let reach = reach(args.remote_signer_ca.as_deref(), &[])?;
        let key = exit::stored_key(&folder, key, reach).map_err(|error| {
            let index = one.info.index;
            Failure::invalid(format!(
                "validator {index}: {error:#}, and --validator can name a keystore"
            ))
        })?;
        sign_here(args, &key, chain, one, now)?
    };
    if !chain.rules.is_signed_by(&signed, key) {
        return Err(Failure::invalid(format!(
            "the key here is not that of validator {}, or --network is not the node's network",
            one.info.index
        )));
    }
    Ok(signed)
}

/// Asks the client that runs on the folder, if one does. Where it cannot, the folder's key is at hand all the same.
fn ask_client(folder: &Path, key: &BLSPubkey, now: u64) -> Option<SignedVoluntaryExit> {
    let client = running::client(folder).ok()??;
    let signed = client.sign_exit(key, Some(now)).map_err(|error| format!("{error:#}"));
    let signed = signed.and_then(|value| {
        SignedVoluntaryExit::from_json(&value, Fork::Capella, &[]).map_err(|error| error.to_string())
    });
    signed
        .inspect_err(|why| eprintln!("The running client did not sign the exit: {why}"))
        .ok()
}

fn sign_here(
    args: &Send,
    key: &ExitKey,
    chain: &Chain,
    one: &Leaving,
    now: u64,
) -> Result<SignedVoluntaryExit, Failure> {
    let network = args.network.as_deref().ok_or_else(|| {
        Failure::usage("--network is missing: an exit is signed for one network, which the node alone must not choose")
    })?;
    let config = network::load(network)?;
    let root = chain.rules.genesis_validators_root;
    let epoch = now.max(config.fork_epoch(Fork::Capella));
    Ok(exit::sign(key, &config, root, one.info.index, epoch)?)
}

fn send(chain: &Chain, exit: &SignedVoluntaryExit) -> Result<(), Failure> {
    let index = exit.message.validator_index;
    let sent = chain.beacon.ask(|node| node.submit_exit(exit, TIMEOUT));
    sent.map_err(|error| {
        Failure::running(format!(
            "the beacon node did not take the exit of validator {index}: {}",
            error.cause
        ))
    })?;
    eprintln!("The exit of validator {index} was sent.");
    Ok(())
}

/// Waits until every exit is in the chain.
fn wait(chain: &Chain, validators: &[Leaving]) -> Result<(), Failure> {
    let epoch = Duration::from_millis(chain.rules.slot_duration_ms) * chain.rules.slots_per_epoch as u32;
    let limit = epoch * EPOCHS_TO_WAIT as u32;
    let start = Instant::now();
    let mut left: Vec<String> = validators.iter().map(|one| one.info.index.to_string()).collect();
    eprintln!("Waiting until the chain has it; Ctrl-C does not take it back.");
    while !left.is_empty() {
        // A node that restarts is asked again.
        for one in chain.validators(&left).unwrap_or_default() {
            if one.info.exit_epoch == FAR_FUTURE_EPOCH {
                continue;
            }
            left.retain(|index| *index != one.info.index.to_string());
            println!(
                "Validator {} leaves at epoch {} ({}): keep it running until then. Its ETH is paid out after epoch {} ({}).",
                one.info.index,
                one.info.exit_epoch,
                chain.rules.date(one.info.exit_epoch),
                one.withdrawable_epoch,
                chain.rules.date(one.withdrawable_epoch)
            );
        }
        if left.is_empty() {
            break;
        }
        if start.elapsed() > limit {
            return Err(Failure::running(format!(
                "no block has taken the exit of {} in {EPOCHS_TO_WAIT} epochs: proposers may be full or not have heard of it. \
                 It stays valid; `wren exit status` follows it, and sending it again through another node does no harm",
                left.join(", ")
            )));
        }
        std::thread::sleep(LOOK.min(epoch));
    }
    Ok(())
}
