//! The record of what every key has signed, and the rules that no signature may break.
//!
//! The rules are EIP-3076's: a block or attestation is signed when it contradicts nothing that is on record and lies above
//! what is no longer, or not in detail, on record (the *marks* of a key). What is signed is on disk before the signature
//! leaves: [`SlashingProtection::record`] returns only after SQLite has synced the transaction, and hands out the one
//! value, [`Recorded`], for which a key signs a block or an attestation.
//!
//! Marks are what makes pruning and foreign histories safe. A key with marks signs no block at or below `slot`, no
//! attestation with a source below `source` or a target at or below `target`: whatever it signed below them, nothing it
//! may still sign contradicts. They only ever rise.

mod check;
mod history;
mod marks;
mod place;
mod prune;
mod schema;

#[cfg(test)]
mod tests;

pub use history::{Entries, KeyHistory, KeyRecord, KeyState, SignedAttestation, SignedBlock};
pub use marks::Marks;
pub use prune::KEPT_EPOCHS;
pub use schema::InUse;

use crate::signer::Refused;
use anyhow::Result;
use consensus::ssz::Root;
use consensus::types::{BLSPubkey, Epoch, Slot};
use rusqlite::Connection;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

/// The name of the database in the folder of the validator client.
pub const FILE_NAME: &str = "slashing_protection.sqlite";

/// What is written down before it is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// A block.
    Block {
        /// Its slot.
        slot: Slot,
        /// Its root in its domain.
        signing_root: Root,
    },
    /// An attestation.
    Attestation {
        /// The epoch of its source.
        source: Epoch,
        /// The epoch of its target.
        target: Epoch,
        /// The root of its data in its domain.
        signing_root: Root,
    },
}

/// The proof that a block or attestation is on record: only [`SlashingProtection::record`] makes one.
#[derive(Debug, PartialEq, Eq)]
pub struct Recorded(Root);

impl Recorded {
    /// The root that may be signed.
    pub(crate) fn signing_root(&self) -> Root {
        self.0
    }
}

/// The open database. Clones share it. It is locked for every other process as long as one of them lives.
#[derive(Clone, Debug)]
pub struct SlashingProtection(Arc<Database>);

#[derive(Debug)]
struct Database {
    connection: Mutex<Connection>,
    /// Whether the last signature was written on this machine and in this very file.
    at_home: bool,
    place: place::Place,
    genesis_validators_root: Root,
}

impl SlashingProtection {
    /// Creates an empty database for the network with that root. One that is there is an error, never replaced.
    pub fn create(path: &Path, genesis_validators_root: Root) -> Result<()> {
        schema::create(path, genesis_validators_root)
    }

    /// Opens the database, which must be there, be whole, and belong to the network with that root; makes all of it
    /// durable, and keeps other processes out. Errors say what to do.
    pub fn open(path: &Path, genesis_validators_root: Root) -> Result<Self> {
        let database = Self::open_any_network(path)?;
        schema::check_network(path, database.0.genesis_validators_root, genesis_validators_root)?;
        Ok(database)
    }

    /// The same for commands that learn the network from the database.
    pub fn open_any_network(path: &Path) -> Result<Self> {
        let connection = schema::open(path)?;
        let (genesis_validators_root, written) = schema::read_meta(&connection, path)?;
        let place = place::Place::of(path)?;
        Ok(Self(Arc::new(Database {
            at_home: written.is_some_and(|written| place.is_certainly(&written)),
            connection: Mutex::new(connection),
            place,
            genesis_validators_root,
        })))
    }

    /// The network that it belongs to.
    pub fn genesis_validators_root(&self) -> Root {
        self.0.genesis_validators_root
    }

    /// Whether the last record was written on this machine and into this very file: false for a database that was
    /// copied, moved or restored, for a fresh one, and where the machine has no identity.
    pub fn at_home(&self) -> bool {
        self.0.at_home
    }

    /// Writes down what is about to be signed, all of it in one transaction and with one sync. Answers stand in the order
    /// of the requests; each request is checked against those before it too. When the database fails, nothing may be
    /// signed. Blocks until the disk has it.
    pub fn record(&self, requests: &[(BLSPubkey, Record)]) -> Vec<Result<Recorded, Refused>> {
        if requests.is_empty() {
            return Vec::new();
        }
        let recorded = self
            .lock()
            .and_then(|mut connection| self.record_in(&mut connection, requests));
        recorded.unwrap_or_else(|refused| requests.iter().map(|_| Err(refused.clone())).collect())
    }

    fn record_in(
        &self,
        connection: &mut Connection,
        requests: &[(BLSPubkey, Record)],
    ) -> Result<Vec<Result<Recorded, Refused>>, Refused> {
        let transaction = connection.transaction()?;
        let mut answers = Vec::with_capacity(requests.len());
        for (key, record) in requests {
            match check::check_and_insert(&transaction, key, record) {
                // The transaction cannot be trusted any more: nothing of it is signed.
                Err(error @ Refused::Database(_)) => return Err(error),
                answer => answers.push(answer.map(|()| Recorded(record.signing_root()))),
            }
        }
        if answers.iter().any(Result::is_ok) {
            place::write(&transaction, &self.0.place)?;
        }
        transaction.commit()?;
        Ok(answers)
    }

    fn lock(&self) -> Result<MutexGuard<'_, Connection>, Refused> {
        let poisoned = "a thread stopped in the middle of it; restart the client";
        self.0.connection.lock().map_err(|_| Refused::Database(poisoned.into()))
    }
}

impl Record {
    pub(crate) fn signing_root(&self) -> Root {
        match self {
            Record::Block { signing_root, .. } | Record::Attestation { signing_root, .. } => *signing_root,
        }
    }
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DiskFull, SystemIoFailure};
        let remedy = match error.sqlite_error_code() {
            Some(DiskFull | SystemIoFailure) => format!(", {}", schema::FULL_OR_FAILING),
            _ => String::new(),
        };
        Refused::Database(format!("{error}{remedy}"))
    }
}
