//! `wren keys import`: keystores of deposit tools and other clients.

use crate::beacon::{NodeArgs, TIMEOUT};
use crate::datadir::Datadir;
use crate::exit::Failure;
use crate::network::{self, Genesis};
use crate::{running, slashing, terminal};
use clap::Parser;
use consensus::Config;
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::ssz::{Bytes, Root};
use consensus::types::BLSPubkey;
use crypto::keystore::{Keystore, NewKdf, random_password};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;
use validator::interchange::Interchange;
use validator::keymanager::Client;
use validator::keys::{
    Candidate, Imported, KeystoreFile, Outcome, Standing, Vouch, find_keystores, import, read_password,
};

const EXAMPLES: &str = "\
Examples:
  wren keys import ./validator_keys --network hoodi --new-keys
  wren keys import ./old-client/validators --network mainnet --slashing-history history.json --password-file ./passwords

Say what the keys signed before, or that they signed nothing: with neither, they are stored and do not sign. To move keys
from another client: stop it for good, export its slashing protection history, and give that file here.";

/// `wren keys import …`
#[derive(Parser)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A keystore, or a folder with keystores
    path: PathBuf,
    /// The network: mainnet, sepolia, hoodi, a folder with config.yaml and genesis.ssz, or a config.yaml
    #[arg(long, value_name = "NAME|DIR|FILE")]
    network: String,
    /// The root that tells the network from others, where --network does not
    #[arg(long, value_name = "ROOT")]
    genesis_validators_root: Option<Root>,
    /// What the keys signed in other clients (EIP-3076)
    #[arg(long, value_name = "FILE", conflicts_with = "new_keys")]
    slashing_history: Option<PathBuf>,
    /// The keys are new: no client has ever signed with them
    #[arg(long)]
    new_keys: bool,
    /// A file with the password, or a folder with one for each: keystore-….txt or 0x…; asked for if left out
    #[arg(long, value_name = "FILE|DIR")]
    password_file: Option<PathBuf>,
    #[command(flatten)]
    nodes: NodeArgs,
    #[command(flatten)]
    datadir: Datadir,
}

/// How often a password may be mistyped.
const ATTEMPTS: usize = 3;

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let config = network::load(&args.network)?;
    let genesis = network::genesis(&args.network, args.genesis_validators_root)?;
    let folder = args.datadir.validator()?;
    let history = args
        .slashing_history
        .as_deref()
        .map(slashing::read_history)
        .transpose()?;
    let keystores = find_keystores(&args.path)?;
    // Before passwords are asked for: whether the folder can be used at all.
    let runs = running::client(&folder)?.is_some();
    let (candidates, failures) = open_all(&keystores, args.password_file.as_deref());
    // A client that runs asks for itself.
    let asks = args.new_keys && !runs;
    let known = Known::new(&config, genesis, &args.nodes, asks, &candidates)?;
    let vouching = Vouching {
        history: history.as_ref(),
        new: args.new_keys.then_some(&known),
    };
    take_in(&folder, genesis, &candidates, &vouching)?;
    match failures.first() {
        None => Ok(ExitCode::SUCCESS),
        Some(_) => Err(Failure::invalid(format!(
            "{} of {} keystores were not imported:\n  {}",
            failures.len(),
            keystores.len(),
            failures.join("\n  ")
        ))),
    }
}

/// Who vouches for keys that come in.
pub(crate) struct Vouching<'a> {
    /// What they signed elsewhere.
    pub(crate) history: Option<&'a Interchange>,
    /// What is known of them, where the operator says that they are new.
    pub(crate) new: Option<&'a Known>,
}

/// Puts keys into a client's folder, or gives them to the client that runs on it, and tells what became of each.
pub(crate) fn take_in(
    folder: &Path,
    genesis: Genesis,
    candidates: &[Candidate],
    vouching: &Vouching<'_>,
) -> Result<(), Failure> {
    if let Some(client) = running::client(folder)? {
        let history = vouching.history.map(Interchange::to_json);
        return hand_over(&client, candidates, history.as_deref());
    }
    let new = |key: &_| vouching.new.map_or(Standing::NotOnChain, |known| known.standing(key));
    let vouch = match (vouching.history, vouching.new) {
        (Some(history), _) => Vouch::History(history),
        (None, Some(_)) => Vouch::New(&new),
        (None, None) => Vouch::Nobody,
    };
    report(&import(folder, genesis.validators_root, candidates, &vouch)?);
    Ok(())
}

/// Opens keystores one after another, as each takes seconds and 256 MiB. One that does not open does not stop the others.
/// Passwords are those of `place`, or are asked for. Beside the keys stands what did not open, in words.
pub(crate) fn open_all(keystores: &[KeystoreFile], place: Option<&Path>) -> (Vec<Candidate>, Vec<String>) {
    let (mut candidates, mut failures) = (Vec::new(), Vec::new());
    let mut last_password = None;
    for (at, keystore) in keystores.iter().enumerate() {
        eprintln!(
            "Opening {} ({} of {})",
            keystore.path.display(),
            at + 1,
            keystores.len()
        );
        let opened = match place {
            Some(place) => {
                let password = read_password(place, keystore);
                password
                    .map_err(Failure::from)
                    .and_then(|password| decrypt(keystore, &password))
            }
            None => open_asking(keystore, &mut last_password),
        };
        match opened {
            Ok(candidate) => candidates.push(candidate),
            Err(failure) => failures.push(failure.message),
        }
    }
    (candidates, failures)
}

/// Tries the password of the keystore before, then asks.
fn open_asking(keystore: &KeystoreFile, last: &mut Option<zeroize::Zeroizing<String>>) -> Result<Candidate, Failure> {
    if let Some(Ok(candidate)) = last.as_ref().map(|password| decrypt(keystore, password)) {
        return Ok(candidate);
    }
    let mut failure = Failure::not_confirmed();
    for _ in 0..ATTEMPTS {
        let password = terminal::ask_secret(&format!("Password of {}: ", keystore.path.display()))?;
        match decrypt(keystore, &password) {
            Ok(candidate) => {
                *last = Some(password);
                return Ok(candidate);
            }
            Err(wrong) => {
                eprintln!("{}", wrong.message);
                failure = wrong;
            }
        }
    }
    Err(failure)
}

fn decrypt(keystore: &KeystoreFile, password: &str) -> Result<Candidate, Failure> {
    let secret = keystore.keystore.decrypt(password);
    let wrong = |error| Failure::invalid(format!("{}: {error}", keystore.path.display()));
    Ok(Candidate {
        secret: secret.map_err(wrong)?,
        path: keystore.keystore.path().into(),
        description: keystore.keystore.description().map(str::to_owned),
    })
}

/// Keystores that are handed to a running client at once: what it takes in one request, with room.
const HANDED_AT_ONCE: usize = 500;

/// Gives keys to the client that runs on the folder: over loopback, in keystores that open fast under a password made for
/// this moment, so that each of the operator's is opened once.
fn hand_over(client: &Client, candidates: &[Candidate], history: Option<&str>) -> Result<(), Failure> {
    for some in candidates.chunks(HANDED_AT_ONCE) {
        let password = random_password().map_err(|error| Failure::invalid(error.to_string()))?;
        let mut keystores = Vec::with_capacity(some.len());
        let mut keys = Vec::with_capacity(some.len());
        for Candidate {
            secret,
            path,
            description,
        } in some
        {
            let made = Keystore::encrypt(secret, &password, path, description.as_deref(), NewKdf::RandomPassword);
            let made = made.map_err(|error| Failure::invalid(error.to_string()))?;
            keys.push(made.pubkey().map_or_else(String::new, |key| Bytes(*key).to_string()));
            keystores.push(made.to_json());
        }
        let passwords = vec![password.as_str(); keystores.len()];
        let results = client.import(&keystores, &passwords, history)?;
        for (key, result) in keys.iter().zip(results) {
            let message = result["message"].as_str().unwrap_or_default();
            match (result["status"].as_str(), message) {
                (Some("error"), why) => return Err(Failure::invalid(format!("{key} was not imported: {why}"))),
                (status, "") => println!("{key}  {}, signs in the running client", here(status)),
                (status, why) => println!("{key}  {}, {why}", here(status)),
            }
        }
    }
    Ok(())
}

fn here(status: Option<&str>) -> &'static str {
    if status == Some("duplicate") {
        "was here"
    } else {
        "imported"
    }
}

/// What is known of keys that are said to be new: one answer for all, or the chain's for each.
pub(crate) enum Known {
    /// The same for all.
    All(Standing),
    /// What the chain knows, by key; others it does not know.
    Chain(BTreeMap<BLSPubkey, String>),
}

impl Known {
    /// Asks a node, unless the chain is too young to know anything, or `wanted` is not set.
    pub(crate) fn new(
        config: &Config,
        genesis: Genesis,
        nodes: &NodeArgs,
        wanted: bool,
        candidates: &[Candidate],
    ) -> Result<Self, Failure> {
        let epoch = config.slot_duration_ms.saturating_mul(SLOTS_PER_EPOCH) / 1000;
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |now| now.as_secs());
        if !wanted || genesis.time.is_some_and(|time| now < time.saturating_add(epoch)) {
            return Ok(Known::All(Standing::BeforeStart));
        }
        let beacon = match nodes.connect(Some(genesis.validators_root)) {
            Ok(beacon) => beacon,
            Err(failure) => return Ok(Known::All(Standing::NoAnswer(failure.message))),
        };
        if now < beacon.genesis.genesis_time.saturating_add(epoch) {
            return Ok(Known::All(Standing::BeforeStart));
        }
        let keys = candidates
            .iter()
            .map(Candidate::pubkey)
            .collect::<Result<Vec<_>, _>>()?;
        let mut known = BTreeMap::new();
        for some in keys.chunks(1000) {
            match beacon.ask(|node| node.validators(some, TIMEOUT)) {
                Ok(found) => known.extend(found.into_iter().map(|info| (info.pubkey, info.status.to_string()))),
                Err(error) => return Ok(Known::All(Standing::NoAnswer(error.to_string()))),
            }
        }
        Ok(Known::Chain(known))
    }

    /// What is known of one key.
    pub(crate) fn standing(&self, key: &BLSPubkey) -> Standing {
        match self {
            Known::All(standing) => standing.clone(),
            Known::Chain(known) => known
                .get(key)
                .map_or(Standing::NotOnChain, |status| Standing::OnChain(status.clone())),
        }
    }
}

/// One line for each key.
pub(super) fn report(imported: &[Imported]) {
    for Imported {
        pubkey,
        was_here,
        outcome,
    } in imported
    {
        let here = if *was_here { "was here" } else { "imported" };
        match outcome {
            Outcome::Enabled => println!("{pubkey}  {here}, signs from the client's next start on"),
            Outcome::Disabled(why) => println!("{pubkey}  {here}, does not sign: {why}"),
        }
    }
}
