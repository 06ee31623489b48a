//! The one way to a signature: messages go in, signatures or refusals come out.
//!
//! A message is refused unless it agrees with itself, its key is here and enabled, and it does not lie ahead of the wall
//! clock. A block or an attestation must then get into the slashing protection database, where [`Recorded`] is made, the
//! only thing for which a key signs one; by the types there is no way around it.
//!
//! [`Recorded`]: crate::slashing_protection::Recorded

mod live;
mod local;
mod message;
mod refused;
mod remote;
mod request;

#[cfg(test)]
mod openapi_tests;
#[cfg(test)]
mod remote_tests;
#[cfg(test)]
mod tests;

pub use live::KeyView;
pub use message::Message;
pub use refused::Refused;

use crate::beacon::http::Http;
use crate::beacon::{NodeUrl, Reach};
use crate::keys::KeyStore;
use crate::settings::{KeySettings, Settings};
use crate::slashing_protection::{FILE_NAME, KeyState, Record, SlashingProtection};
use anyhow::{Context, Result, anyhow, bail};
use consensus::Config;
use consensus::ssz::Root;
use consensus::types::{BLSPubkey, BLSSignature, ExecutionAddress, Slot, VoluntaryExit};
use crypto::bls::SecretKey;
use crypto::derive::SecretBytes;
use local::{LocalKey, Permit};
use message::{Harmless, Kind, Network};
use remote::{Asked, RemoteKey};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// What the wall clock says. A `Slot` converts into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WallClock {
    /// The current slot; 0 before genesis.
    Slot(Slot),
    /// The clock is known to be wrong; holds why.
    Wrong(String),
}

impl From<Slot> for WallClock {
    fn from(slot: Slot) -> Self {
        Self::Slot(slot)
    }
}

/// Holds the keys and signs with them. Clones share one set of keys.
#[derive(Clone, Debug)]
pub struct Signer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    network: Network,
    folder: PathBuf,
    /// How remote signers are reached.
    reach: Reach,
    keys: RwLock<BTreeMap<BLSPubkey, Key>>,
    protection: SlashingProtection,
    settings: RwLock<Settings>,
    /// Grows with every change of the settings or of the keys, so that what was told to nodes is told anew.
    changes: AtomicU64,
}

/// Where a key is.
#[derive(Debug)]
enum SigningKey {
    Local(LocalKey),
    Remote(Box<RemoteKey>),
}

#[derive(Debug)]
struct Key {
    secret: Arc<SigningKey>,
    state: KeyState,
    why: String,
    /// Why it does not sign at the moment, whatever its state; for this process only.
    held: Option<String>,
}

/// A message that passed all but the slashing protection.
struct Prepared {
    key: Arc<SigningKey>,
    pubkey: BLSPubkey,
    leave: Leave,
    /// What a remote signer is asked; empty for a local key.
    body: String,
}

/// The leave to sign, or what gives it.
enum Leave {
    Given(Harmless),
    /// Once this is on record.
    Record(Record),
}

/// What the blocking part leaves: signatures of local keys, and requests for remote signers.
enum Done {
    Signed(BLSSignature),
    Ask(Asked),
}

impl Signer {
    /// Opens the folder of a validator client: its keys, its slashing protection database and its settings, which must
    /// all be for the network with that root. Errors say what to do.
    pub fn open(folder: &Path, config: Config, genesis_validators_root: Root) -> Result<Self> {
        Self::open_reaching(folder, config, genesis_validators_root, Reach::default())
    }

    /// The same, with how remote signers are reached.
    pub fn open_reaching(folder: &Path, config: Config, genesis_validators_root: Root, reach: Reach) -> Result<Self> {
        let store = KeyStore::new(folder);
        let stored = store.list()?;
        let settings = Settings::read(folder)?;
        if stored.is_empty() && settings.remote_keys().next().is_none() {
            bail!(
                "there are no keys in {}, nor remote ones in {}; `wren keys import` and `wren keys new` put some there, \
                 --datadir looks elsewhere",
                store.keys_folder().display(),
                folder.join(crate::settings::FILE_NAME).display()
            );
        }
        let protection = SlashingProtection::open(&folder.join(FILE_NAME), genesis_validators_root)?;
        let signer = Self(Arc::new(Inner {
            network: Network {
                config,
                genesis_validators_root,
            },
            folder: folder.into(),
            reach,
            keys: RwLock::default(),
            protection,
            settings: RwLock::default(),
            changes: AtomicU64::new(0),
        }));
        if !stored.is_empty() {
            signer.load_local(&stored)?;
        }
        let remote: Vec<(BLSPubkey, NodeUrl)> = settings.remote_keys().map(|(key, url)| (*key, url.clone())).collect();
        signer.load_remote(&remote)?;
        signer.replace_settings(settings);
        Ok(signer)
    }

    /// The keys that may sign, by their bytes: those that are held for the moment among them.
    pub fn public_keys(&self) -> Vec<BLSPubkey> {
        self.keys_in(KeyState::Enabled)
    }

    /// The keys in that state, by their bytes.
    pub fn keys_in(&self, state: KeyState) -> Vec<BLSPubkey> {
        let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.iter()
            .filter(|(_, key)| key.state == state)
            .map(|(pubkey, _)| *pubkey)
            .collect()
    }

    /// Every key that is here and does not sign, with the reason.
    pub fn disabled_keys(&self) -> Vec<(BLSPubkey, String)> {
        let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
        let disabled = keys.iter().filter(|(_, key)| key.state != KeyState::Enabled);
        disabled.map(|(pubkey, key)| (*pubkey, key.why.clone())).collect()
    }

    /// The slashing protection database, for what reads it.
    pub fn protection(&self) -> &SlashingProtection {
        &self.0.protection
    }

    /// Signs all of a moment: one transaction of the slashing protection and one sync to disk for all of them. Answers
    /// stand in the order of the messages. Needs a tokio runtime, whose blocking threads wait for the disk. A call that
    /// is given up leaves at most records without signatures behind.
    pub async fn sign(
        &self,
        messages: Vec<(BLSPubkey, Message<'_>)>,
        now: impl Into<WallClock>,
    ) -> Vec<Result<BLSSignature, Refused>> {
        let (now, count) = (now.into(), messages.len());
        let prepared: Vec<_> = messages
            .iter()
            .map(|(key, message)| self.prepare(key, message, &now))
            .collect();
        let protection = self.0.protection.clone();
        let done = tokio::task::spawn_blocking(move || record_and_sign(&protection, prepared)).await;
        match done {
            Ok(done) => ask_remote(done).await,
            Err(error) => {
                let refused = Refused::Database(format!("the signing task stopped: {error}"));
                vec![Err(refused); count]
            }
        }
    }

    /// Everything that can be refused without the database.
    fn prepare(&self, pubkey: &BLSPubkey, message: &Message<'_>, now: &WallClock) -> Result<Prepared, Refused> {
        let key = self.may_sign(pubkey)?;
        let demand = message.demand(&self.0.network, pubkey)?;
        if let Some(slot) = demand.due {
            check_clock(slot, now)?;
        }
        let leave = match demand.kind {
            Kind::Harmless(permit) => Leave::Given(permit),
            Kind::Slashable(record) => Leave::Record(record),
        };
        let body = match *key {
            SigningKey::Local(_) => String::new(),
            SigningKey::Remote(_) => {
                request::body(message, &self.0.network, leave.signing_root()).map_err(Refused::Remote)?
            }
        };
        Ok(Prepared {
            key,
            pubkey: *pubkey,
            leave,
            body,
        })
    }

    fn may_sign(&self, pubkey: &BLSPubkey) -> Result<Arc<SigningKey>, Refused> {
        let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
        let key = keys.get(pubkey).ok_or(Refused::UnknownKey)?;
        if key.state != KeyState::Enabled {
            return Err(Refused::Disabled(key.why.clone()));
        }
        match &key.held {
            Some(why) => Err(Refused::Disabled(why.clone())),
            None => Ok(key.secret.clone()),
        }
    }

    /// Stops a key from signing, at once and across restarts, until the operator enables it. In memory it is stopped even
    /// when the database fails. Blocks for a sync; meant for what happens once in a validator's life.
    pub fn disable(&self, key: &BLSPubkey, why: impl Into<String>) -> Result<()> {
        self.set_state(key, KeyState::Stopped, why.into())
    }

    /// Lets a key sign that waited for somebody to vouch for it. Errors on one that was stopped for another reason.
    pub fn enable_unvouched(&self, key: &BLSPubkey) -> Result<()> {
        if !self.keys_in(KeyState::Unvouched).contains(key) {
            bail!("the key {key} is not one that waits for its history");
        }
        self.set_state(key, KeyState::Enabled, String::new())
    }

    fn set_state(&self, pubkey: &BLSPubkey, state: KeyState, why: String) -> Result<()> {
        let set_in_memory = || {
            let mut keys = self.0.keys.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(key) = keys.get_mut(pubkey) {
                key.state = state;
                key.why.clone_from(&why);
            }
        };
        // A stop counts from now on, an enabling from when it is on disk.
        if state == KeyState::Enabled {
            self.0.protection.set_state(pubkey, state, &why)?;
            set_in_memory();
            return Ok(());
        }
        set_in_memory();
        self.0.protection.set_state(pubkey, state, &why)
    }

    /// Keeps a key from signing anything in this process until `release`: while it listens for a double of itself.
    pub fn hold(&self, key: &BLSPubkey, why: impl Into<String>) {
        self.set_held(key, Some(why.into()));
    }

    /// Ends what `hold` began.
    pub fn release(&self, key: &BLSPubkey) {
        self.set_held(key, None);
    }

    fn set_held(&self, key: &BLSPubkey, held: Option<String>) {
        let mut keys = self.0.keys.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = keys.get_mut(key) {
            key.held = held;
        }
    }

    /// Sets where fees go that the settings do not say.
    pub fn suggest_fee_recipient(&self, address: ExecutionAddress) {
        let mut settings = self.0.settings.write().unwrap_or_else(PoisonError::into_inner);
        settings.suggest_fee_recipient(address);
        self.0.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// The settings of a key: its own and, for what it leaves out, the default ones.
    pub fn settings(&self, key: &BLSPubkey) -> KeySettings {
        self.0.settings.read().unwrap_or_else(PoisonError::into_inner).of(key)
    }
}

/// Signs a voluntary exit with a key that no signer holds.
pub(crate) fn sign_exit(
    secret: &SecretBytes,
    config: &Config,
    genesis_validators_root: Root,
    exit: &VoluntaryExit,
) -> Result<BLSSignature> {
    let network = Network {
        config: config.clone(),
        genesis_validators_root,
    };
    let key = SecretKey::from_bytes(secret).map_err(|error| anyhow!("{error}"))?;
    Ok(LocalKey::new(key).sign(Permit::Harmless(message::exit_permit(&network, exit))))
}

/// The same by a key that is in a remote signer, which is reached like this.
pub(crate) async fn sign_exit_remotely(
    (pubkey, url): (&BLSPubkey, &NodeUrl),
    reach: &Reach,
    config: &Config,
    genesis_validators_root: Root,
    exit: &VoluntaryExit,
) -> Result<BLSSignature> {
    let network = Network {
        config: config.clone(),
        genesis_validators_root,
    };
    let http = Http::new(url.clone(), reach).map_err(|why| anyhow!("the remote signer {url}: {why}"))?;
    ask_for_exit(RemoteKey::new(*pubkey, http), &network, exit).await
}

async fn ask_for_exit(key: RemoteKey, network: &Network, exit: &VoluntaryExit) -> Result<BLSSignature> {
    let permit = message::exit_permit(network, exit);
    let body = request::body(&Message::VoluntaryExit(exit), network, permit.signing_root());
    let asked = Asked {
        key,
        permit: Permit::Harmless(permit),
        body: body.map_err(|why| anyhow!(why))?,
    };
    let answer = remote::sign_all(vec![asked]).await.pop();
    Ok(answer.context("the remote signer gave no answer")??)
}

/// Nothing is signed ahead of the slot after the current one: it would block the key until then.
fn check_clock(slot: Slot, now: &WallClock) -> Result<(), Refused> {
    match now {
        WallClock::Wrong(why) => Err(Refused::WrongClock(why.clone())),
        WallClock::Slot(now) if slot > now.saturating_add(1) => Err(Refused::Ahead { slot, now: *now }),
        WallClock::Slot(_) => Ok(()),
    }
}

impl Leave {
    fn signing_root(&self) -> Root {
        match self {
            Leave::Given(harmless) => harmless.signing_root(),
            Leave::Record(record) => record.signing_root(),
        }
    }
}

/// Writes down what must be and signs with local keys. Runs where blocking is allowed.
fn record_and_sign(
    protection: &SlashingProtection,
    prepared: Vec<Result<Prepared, Refused>>,
) -> Vec<Result<Done, Refused>> {
    let requests: Vec<(BLSPubkey, Record)> = prepared
        .iter()
        .flatten()
        .filter_map(|prepared| match prepared.leave {
            Leave::Record(record) => Some((prepared.pubkey, record)),
            Leave::Given(_) => None,
        })
        .collect();
    let mut recorded = protection.record(&requests).into_iter();
    let mut sign = |prepared: Prepared| {
        let permit = match prepared.leave {
            Leave::Given(harmless) => Permit::Harmless(harmless),
            Leave::Record(_) => Permit::Recorded(recorded.next().expect("every request has its answer")?),
        };
        Ok(match &*prepared.key {
            SigningKey::Local(key) => Done::Signed(key.sign(permit)),
            SigningKey::Remote(key) => Done::Ask(Asked {
                key: RemoteKey::clone(key),
                permit,
                body: prepared.body,
            }),
        })
    };
    prepared
        .into_iter()
        .map(|prepared| prepared.and_then(&mut sign))
        .collect()
}

/// Asks remote signers for what they have the keys for. Signatures of local keys wait for them: they are of one moment.
async fn ask_remote(done: Vec<Result<Done, Refused>>) -> Vec<Result<BLSSignature, Refused>> {
    let (mut answers, mut asked, mut places) = (Vec::with_capacity(done.len()), Vec::new(), Vec::new());
    for (place, done) in done.into_iter().enumerate() {
        answers.push(match done {
            Ok(Done::Signed(signature)) => Ok(signature),
            Ok(Done::Ask(one)) => {
                asked.push(one);
                places.push(place);
                Err(Refused::Remote("the remote signer was not asked".into()))
            }
            Err(refused) => Err(refused),
        });
    }
    if !asked.is_empty() {
        for (place, answer) in places.into_iter().zip(remote::sign_all(asked).await) {
            answers[place] = answer;
        }
    }
    answers
}
