//! Keystores: opened, looked up on the chain, and refused where the keys sign elsewhere.

use super::owner::as_owner;
use super::{Setup, absolute, tell};
use crate::beacon::{Beacon, NodeArgs, TIMEOUT};
use crate::doctor::{Line, Mark, bad, note, ok};
use crate::exit::Failure;
use crate::keys::import::{Known, Vouching, open_all, take_in};
use crate::keys::list::{eth, status_in_words};
use crate::network::Genesis;
use crate::{slashing, terminal, words};
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::types::BLSPubkey;
use std::path::{Path, PathBuf};
use validator::beacon::ValidatorInfo;
use validator::files::create_private_folder;
use validator::interchange::Interchange;
use validator::keys::{Candidate, KeyStore, KeystoreFile, find_keystores};

const NAME: &str = "keys";
/// Keys that are told of one by one; beyond it a count says more.
const TOLD: usize = 20;
/// Keys in one question to a node.
const ASKED_AT_ONCE: usize = 1000;

/// Keys that will be taken in.
pub(super) struct Coming {
    candidates: Vec<Candidate>,
    history: Option<Interchange>,
    known: Option<Known>,
    genesis: Genesis,
}

impl Coming {
    pub(super) fn count(&self) -> usize {
        self.candidates.len()
    }
}

/// Where keystores are, and who vouches for the keys.
#[derive(Default)]
struct Named {
    keystores: Option<PathBuf>,
    passwords: Option<PathBuf>,
    new: bool,
    history: Option<PathBuf>,
}

impl Setup {
    /// The keys that shall come in; none where none are named, or all are here.
    pub(super) fn keys(&mut self) -> Result<Option<Coming>, Failure> {
        let named = self.named()?;
        let Some(path) = &named.keystores else {
            let keys = self.keys_here()?.len();
            tell(&[if keys == 0 {
                note(
                    NAME,
                    "none: `wren keys new` makes some; then run this again with keystores = the folder",
                )
            } else {
                ok(NAME, format!("{}, none comes in", words::count(keys, "key")))
            }]);
            return Ok(None);
        };
        match self.open(path, &named) {
            Ok(coming) => Ok(coming),
            Err(Refused::Line(line)) => {
                tell(&[line]);
                self.wrong += 1;
                Ok(None)
            }
            Err(Refused::Failure(failure)) => Err(failure),
        }
    }

    fn named(&self) -> Result<Named, Failure> {
        if self.answers.is_some() {
            let path = |name| self.answer(name).map(PathBuf::from);
            return Ok(Named {
                keystores: path("keystores"),
                passwords: path("password-file"),
                new: self.answer_is_on("new-keys") == Some(true),
                history: path("slashing-history"),
            });
        }
        let mut named = Named::default();
        let keystores = terminal::ask("Keystores to take in, a folder or a file (empty: none): ")?;
        if keystores.trim().is_empty() {
            return Ok(named);
        }
        named.keystores = Some(keystores.trim().into());
        let history = terminal::ask(
            "What did these keys sign before? 'new' if nothing ever, the file of their history (EIP-3076), or empty if \
             nobody knows: ",
        )?;
        match history.trim() {
            "" => {}
            "new" => named.new = true,
            file => named.history = Some(file.into()),
        }
        Ok(named)
    }

    fn keys_here(&self) -> Result<Vec<BLSPubkey>, Failure> {
        let store = KeyStore::new(&self.datadir().join("validator"));
        Ok(as_owner(self.owner.as_ref(), || store.list())??)
    }

    fn open(&mut self, path: &Path, named: &Named) -> Result<Option<Coming>, Refused> {
        if named.new && named.history.is_some() {
            return refuse("new-keys and slashing-history contradict each other: a new key has no history");
        }
        let found = find_keystores(&absolute(path)?).map_err(|error| Refused::Line(bad(NAME, format!("{error:#}"))))?;
        let history = named.history.as_deref().map(slashing::read_history).transpose();
        let history = history.map_err(|failure| Refused::Line(bad("history", failure.message)))?;
        let here = self.keys_here()?;
        let is_here = |keystore: &KeystoreFile| keystore.pubkey().is_some_and(|key| here.contains(&key));
        // Those that are here need no password again, unless their history is to be read.
        let (old, coming): (Vec<_>, Vec<_>) = found
            .into_iter()
            .partition(|keystore| history.is_none() && is_here(keystore));
        if !old.is_empty() {
            tell(&[ok(NAME, format!("{} here already", words::count(old.len(), "key")))]);
        }
        let (Some(network), false) = (&self.network, coming.is_empty()) else {
            return Ok(None);
        };
        let Some(genesis) = network.genesis else {
            return refuse(
                "the network does not tell its genesis: name a folder with config.yaml and genesis.ssz, or a public network",
            );
        };
        if self.wrong > 0 && named.passwords.is_none() {
            tell(&[note(NAME, "not opened yet: the above comes first")]);
            return Ok(None);
        }
        let config = network.config.clone();
        let (candidates, failures) = open_all(&coming, named.passwords.as_deref());
        if let Some(failure) = failures.first() {
            return refuse(format!(
                "{} of {} did not open: {failure}. Give the right password-file, or leave it out and type it",
                failures.len(),
                coming.len()
            ));
        }
        let authorities = self.value("beacon-nodes-ca").or_else(|| self.value("tls-ca"));
        let nodes = NodeArgs::of(self.nodes(), authorities.map(PathBuf::from));
        let lines = look(&config, genesis, &nodes, &candidates)?;
        let bad = lines.iter().filter(|line| line.mark == Mark::Bad).count();
        self.wrong += bad;
        tell(&lines);
        let known = named
            .new
            .then(|| Known::new(&config, genesis, &nodes, true, &candidates));
        Ok(Some(Coming {
            candidates,
            history,
            known: known.transpose()?,
            genesis,
        }))
    }

    /// Who can say how the chain sees the keys: our node where it runs already, and the checkpoint's server.
    fn nodes(&self) -> Vec<String> {
        let mut nodes = super::file::values(&self.settings, "beacon-nodes");
        if nodes.is_empty() {
            nodes.push("http://127.0.0.1:5052".into());
        }
        nodes.extend(self.value("checkpoint-sync-url"));
        nodes
    }

    /// Takes the keys in, as the user who will sign with them.
    pub(super) fn take_in(&self, coming: &Coming) -> Result<(), Failure> {
        let folder = self.datadir().join("validator");
        let vouching = Vouching {
            history: coming.history.as_ref(),
            new: coming.known.as_ref(),
        };
        as_owner(self.owner.as_ref(), || {
            create_private_folder(&folder)?;
            take_in(&folder, coming.genesis, &coming.candidates, &vouching)
        })?
    }
}

/// Why no key comes in: something to mend, or a failure that ends the command.
enum Refused {
    Line(Line),
    Failure(Failure),
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Refused::Failure(failure)
    }
}

fn refuse<T>(why: impl Into<String>) -> Result<T, Refused> {
    Err(Refused::Line(bad(NAME, why)))
}

/// What the chain knows of keys: a line for each. Those that sign elsewhere are bad.
fn look(
    config: &consensus::Config,
    genesis: Genesis,
    nodes: &NodeArgs,
    candidates: &[Candidate],
) -> Result<Vec<Line>, Failure> {
    let keys = candidates
        .iter()
        .map(Candidate::pubkey)
        .collect::<Result<Vec<_>, _>>()?;
    let epoch = config.slot_duration_ms.saturating_mul(SLOTS_PER_EPOCH);
    let since = |time: u64| words::now_ms().saturating_sub(time.saturating_mul(1000));
    let told = |why: &str| {
        vec![ok(
            NAME,
            format!("{} will come in; {why}", words::count(keys.len(), "key")),
        )]
    };
    if genesis.time.is_some_and(|time| since(time) < epoch) {
        return Ok(told("the chain is in its first epoch, or not begun"));
    }
    let beacon = match nodes.connect(Some(genesis.validators_root)) {
        Ok(beacon) => beacon,
        Err(failure) => return Ok(vec![unknown(&failure.message)]),
    };
    let mut found = Vec::new();
    for some in keys.chunks(ASKED_AT_ONCE) {
        match beacon.ask(|node| node.validators(some, TIMEOUT)) {
            Ok(some) => found.extend(some),
            Err(error) => return Ok(vec![unknown(&error.to_string())]),
        }
    }
    let now = || since(beacon.genesis.genesis_time) / epoch.max(1);
    let live = seen_signing(&beacon, now, &found);
    let mut lines: Vec<Line> = keys
        .iter()
        .take(TOLD)
        .map(|key| of_key(key, found.iter().find(|info| info.pubkey == *key)))
        .collect();
    if keys.len() > TOLD {
        lines.push(ok(NAME, format!("and {} more", keys.len() - TOLD)));
    }
    match live {
        Err(why) => lines.push(note(
            NAME,
            format!("whether they sign elsewhere is not known ({why}): stop every other client that has them"),
        )),
        Ok(live) => lines.extend(live.iter().map(|info| elsewhere(info, now(), epoch, &beacon))),
    }
    Ok(lines)
}

fn unknown(why: &str) -> Line {
    note(
        NAME,
        format!("what the chain knows of them is not told ({why}); without a history they wait until it is"),
    )
}

fn of_key(key: &BLSPubkey, info: Option<&ValidatorInfo>) -> Line {
    let short: String = key.to_string().chars().take(12).collect();
    match info {
        None => ok(
            NAME,
            format!("{short}…: the chain does not know it; make its deposit when all runs"),
        ),
        Some(info) => ok(
            NAME,
            format!(
                "{short}…: validator {}, {}, balance {} ETH",
                info.index,
                status_in_words(info.status),
                eth(info.balance)
            ),
        ),
    }
}

/// Those of the validators that a node has seen signing in this epoch or the one before.
fn seen_signing(beacon: &Beacon, now: impl Fn() -> u64, found: &[ValidatorInfo]) -> Result<Vec<ValidatorInfo>, String> {
    // A node knows two epochs. Where the next one has begun while it was asked, it is asked again, of the new ones; twice at
    // most, as that is chance, while a node that takes an epoch for each answer will not do better.
    for _ in 0..2 {
        let epoch = now();
        let answer = seen_signing_at(beacon, epoch, found);
        if answer.is_ok() || now() == epoch {
            return answer;
        }
    }
    seen_signing_at(beacon, now(), found)
}

fn seen_signing_at(beacon: &Beacon, now: u64, found: &[ValidatorInfo]) -> Result<Vec<ValidatorInfo>, String> {
    let active: Vec<&ValidatorInfo> = found.iter().filter(|info| info.status.is_active()).collect();
    let mut seen = Vec::new();
    for some in active.chunks(ASKED_AT_ONCE) {
        let indices: Vec<u64> = some.iter().map(|info| info.index).collect();
        for epoch in [now, now.saturating_sub(1)] {
            let live = beacon.ask(|node| node.liveness(epoch, &indices, TIMEOUT));
            let live = live.map_err(|error| error.to_string())?;
            seen.extend(live.iter().filter(|live| live.is_live).map(|live| live.index));
        }
    }
    let seen = |info: &&&ValidatorInfo| seen.contains(&info.index);
    Ok(active.iter().filter(seen).map(|info| **info).collect())
}

fn elsewhere(info: &ValidatorInfo, now: u64, epoch_ms: u64, beacon: &Beacon) -> Line {
    let genesis = beacon.genesis.genesis_time;
    let until = genesis.saturating_add((now.saturating_add(3)).saturating_mul(epoch_ms) / 1000);
    bad(
        NAME,
        format!(
            "validator {} signs elsewhere: it attested in this epoch or the one before, and two clients with one key get \
             it slashed. Stop that client for good, export its history (EIP-3076), give that as slashing-history, and run \
             this again after {}",
            info.index,
            words::date(until)
        ),
    )
}
