//! What is on record of each key: reading it, merging a foreign history into it, and whether the key may sign.

use super::marks::{self, to_sql};
use super::schema::not_written;
use super::{Marks, Record, SlashingProtection};
use anyhow::{Result, anyhow};
use consensus::ssz::{Bytes, Root};
use consensus::types::{BLSPubkey, Epoch, Slot};
use rusqlite::{Connection, OptionalExtension};

/// Whether a key may sign. It stands in the database and not beside the key, so that a lost or replaced database leaves
/// every key disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It signs.
    Enabled = 0,
    /// Nobody knows what it signed elsewhere: it waits for its history, or until it was silent for long enough.
    Unvouched = 1,
    /// Stopped by the operator or for the operator to look at: only `wren keys enable` lets it sign again.
    Stopped = 2,
    /// Its history is here, the key is not.
    Absent = 3,
}

impl KeyState {
    /// What is not understood must not sign.
    pub(super) fn from_sql(number: i64) -> Self {
        match number {
            0 => Self::Enabled,
            1 => Self::Unvouched,
            3 => Self::Absent,
            _ => Self::Stopped,
        }
    }
}

/// A key as the database knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// The key.
    pub pubkey: BLSPubkey,
    /// Whether it may sign.
    pub state: KeyState,
    /// Why it may not, in words for the operator; empty where it may.
    pub why: String,
    /// What it signed last.
    pub history: KeyHistory,
}

/// The end of what a key is known to have signed, in detail or by its marks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyHistory {
    /// The highest slot of a block.
    pub last_block: Option<Slot>,
    /// The highest target of an attestation.
    pub last_target: Option<Epoch>,
    /// The highest source of an attestation.
    pub last_source: Option<Epoch>,
}

/// A block in a history; the root is unknown where other clients left it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignedBlock {
    /// Its slot.
    pub slot: Slot,
    /// Its root in its domain.
    pub signing_root: Option<Root>,
}

/// An attestation in a history; the root is unknown where other clients left it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignedAttestation {
    /// The epoch of its source.
    pub source: Epoch,
    /// The epoch of its target.
    pub target: Epoch,
    /// The root of its data in its domain.
    pub signing_root: Option<Root>,
}

/// All that is known of one key: what an interchange file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries {
    /// Blocks, in any order.
    pub blocks: Vec<SignedBlock>,
    /// Attestations, in any order.
    pub attestations: Vec<SignedAttestation>,
}

impl Entries {
    /// The marks that forbid everything at or below the highest entry.
    pub fn highest(&self) -> Marks {
        let sources = self.attestations.iter().map(|signed| signed.source);
        let targets = self.attestations.iter().map(|signed| signed.target);
        Marks {
            slot: self.blocks.iter().map(|signed| signed.slot).max(),
            attestation: sources.max().zip(targets.max()),
        }
    }

    /// The marks that forbid everything below the lowest entry.
    pub fn lowest(&self) -> Marks {
        let sources = self.attestations.iter().map(|signed| signed.source);
        let targets = self.attestations.iter().map(|signed| signed.target);
        Marks {
            slot: self.blocks.iter().map(|signed| signed.slot).min(),
            attestation: sources.min().zip(targets.min()),
        }
    }
}

impl SlashingProtection {
    /// Says whether a key may sign, and why not; makes the key known where it was not.
    pub fn set_state(&self, key: &BLSPubkey, state: KeyState, why: &str) -> Result<()> {
        self.set_states(&[(*key, state, why.to_owned())])
    }

    /// The same for many keys with one sync.
    pub fn set_states(&self, states: &[(BLSPubkey, KeyState, String)]) -> Result<()> {
        let mut connection = self.lock()?;
        let transaction = connection.transaction()?;
        for (key, state, why) in states {
            let changed = transaction.execute(
                "INSERT INTO validators (pubkey, state, why) VALUES (?1, ?2, ?3)
                 ON CONFLICT (pubkey) DO UPDATE SET state = ?2, why = ?3",
                (key.0, *state as i64, why),
            );
            changed.map_err(not_written)?;
        }
        transaction.commit().map_err(not_written)
    }

    /// Every key that the database knows, by its bytes.
    pub fn keys(&self) -> Result<Vec<KeyRecord>> {
        let connection = self.lock()?;
        let mut select = connection.prepare("SELECT pubkey FROM validators ORDER BY pubkey")?;
        let keys: rusqlite::Result<Vec<[u8; 48]>> = select.query_map([], |row| row.get(0))?.collect();
        let records = keys?.into_iter().map(|key| read_record(&connection, &Bytes(key)));
        records.filter_map(Result::transpose).collect()
    }

    /// One key; none where the database has never heard of it.
    pub fn key(&self, key: &BLSPubkey) -> Result<Option<KeyRecord>> {
        read_record(&*self.lock()?, key)
    }

    /// The targets, from `first` on, of the attestations that a key has on record in detail: its own, since this client
    /// has it.
    pub fn targets_since(&self, key: &BLSPubkey, first: Epoch) -> Result<Vec<Epoch>> {
        let connection = self.lock()?;
        let mut select = connection.prepare(
            "SELECT DISTINCT a.target FROM attestations a JOIN validators v ON a.validator = v.id
             WHERE v.pubkey = ?1 AND a.target >= ?2 ORDER BY a.target",
        )?;
        let targets = select.query_map((key.0, to_sql(first)?), |row| row.get::<_, i64>(0))?;
        let targets: rusqlite::Result<Vec<Epoch>> = targets.map(|target| Ok(target?.cast_unsigned())).collect();
        Ok(targets?)
    }

    /// Everything on record of a key that its marks do not say already, and the marks as entries without root. Of any
    /// two histories that allow different signatures, the entries differ.
    pub fn entries(&self, key: &BLSPubkey) -> Result<Entries> {
        let connection = self.lock()?;
        let row = marks::find(&connection, key)?;
        let row = row.ok_or_else(|| anyhow!("the slashing protection database does not know the key {key}"))?;
        let mut entries = read_entries(&connection, row.id)?;
        entries.blocks.retain(|signed| !row.marks.cover(&signed.record()));
        entries.attestations.retain(|signed| !row.marks.cover(&signed.record()));
        if let Some(slot) = row.marks.slot {
            let mark = SignedBlock {
                slot,
                signing_root: None,
            };
            entries.blocks.insert(0, mark);
        }
        if let Some((source, target)) = row.marks.attestation {
            let mark = SignedAttestation {
                source,
                target,
                signing_root: None,
            };
            entries.attestations.insert(0, mark);
        }
        Ok(entries)
    }

    /// Raises the marks of keys to the highest of what they signed elsewhere: nothing at or below it is signed any more.
    /// Keys that were not known become known, and stay absent.
    pub fn merge_marks(&self, histories: &[(BLSPubkey, Entries)]) -> Result<()> {
        self.merge(histories, |connection, id, entries| {
            Ok(marks::raise(connection, id, entries.highest())?)
        })
    }

    /// Adds every entry, so that what contradicts none of them may still be signed between them. Only for histories that
    /// leave nothing out above their lowest entry, which a file does not say of itself.
    pub fn merge_entries(&self, histories: &[(BLSPubkey, Entries)]) -> Result<()> {
        self.merge(histories, insert_entries)
    }

    fn merge(
        &self,
        histories: &[(BLSPubkey, Entries)],
        add: impl Fn(&Connection, i64, &Entries) -> Result<()>,
    ) -> Result<()> {
        let mut connection = self.lock()?;
        let transaction = connection.transaction()?;
        for (key, entries) in histories {
            transaction.execute(
                "INSERT OR IGNORE INTO validators (pubkey, state, why) VALUES (?1, ?2, '')",
                (key.0, KeyState::Absent as i64),
            )?;
            let select = "SELECT id FROM validators WHERE pubkey = ?1";
            let id = transaction.query_row(select, [key.0], |row| row.get(0))?;
            add(&transaction, id, entries)?;
        }
        Ok(transaction.commit()?)
    }
}

impl SignedBlock {
    fn record(&self) -> Record {
        Record::Block {
            slot: self.slot,
            signing_root: Root::ZERO,
        }
    }
}

impl SignedAttestation {
    fn record(&self) -> Record {
        Record::Attestation {
            source: self.source,
            target: self.target,
            signing_root: Root::ZERO,
        }
    }
}

fn insert_entries(connection: &Connection, id: i64, entries: &Entries) -> Result<()> {
    // Marks never fall: what is below the lowest entry was forbidden before, or is unknown.
    let select = "SELECT slot IS NULL, target IS NULL FROM validators WHERE id = ?1";
    let (first_block, first_attestation) = connection.query_row(select, [id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut lowest = entries.lowest();
    lowest.slot = lowest.slot.filter(|_| first_block);
    lowest.attestation = lowest.attestation.filter(|_| first_attestation);
    marks::raise(connection, id, lowest)?;
    let root = |root: Option<Root>| root.map_or_else(Vec::new, |root| root.0.to_vec());
    let mut insert = connection.prepare("INSERT OR IGNORE INTO blocks VALUES (?1, ?2, ?3)")?;
    for signed in &entries.blocks {
        insert.execute((id, to_sql(signed.slot)?, root(signed.signing_root)))?;
    }
    let mut insert = connection.prepare("INSERT OR IGNORE INTO attestations VALUES (?1, ?2, ?3, ?4)")?;
    for signed in &entries.attestations {
        let (source, target) = (to_sql(signed.source)?, to_sql(signed.target)?);
        insert.execute((id, target, source, root(signed.signing_root)))?;
    }
    Ok(())
}

fn read_entries(connection: &Connection, id: i64) -> rusqlite::Result<Entries> {
    let mut select = connection.prepare("SELECT slot, signing_root FROM blocks WHERE validator = ?1")?;
    let blocks = select.query_map([id], |row| {
        Ok(SignedBlock {
            slot: row.get::<_, i64>(0)?.cast_unsigned(),
            signing_root: read_root(&row.get::<_, Vec<u8>>(1)?),
        })
    })?;
    let mut entries = Entries {
        blocks: blocks.collect::<rusqlite::Result<_>>()?,
        attestations: Vec::new(),
    };
    let select = "SELECT source, target, signing_root FROM attestations WHERE validator = ?1";
    let mut select = connection.prepare(select)?;
    let attestations = select.query_map([id], |row| {
        Ok(SignedAttestation {
            source: row.get::<_, i64>(0)?.cast_unsigned(),
            target: row.get::<_, i64>(1)?.cast_unsigned(),
            signing_root: read_root(&row.get::<_, Vec<u8>>(2)?),
        })
    })?;
    entries.attestations = attestations.collect::<rusqlite::Result<_>>()?;
    Ok(entries)
}

fn read_root(bytes: &[u8]) -> Option<Root> {
    bytes.try_into().ok().map(Bytes)
}

fn read_record(connection: &Connection, key: &BLSPubkey) -> Result<Option<KeyRecord>> {
    let Some(row) = marks::find(connection, key)? else {
        return Ok(None);
    };
    let highest = |select: &str| -> rusqlite::Result<Option<u64>> {
        let found: Option<Option<i64>> = connection.query_row(select, [row.id], |row| row.get(0)).optional()?;
        Ok(found.flatten().map(i64::cast_unsigned))
    };
    let block = highest("SELECT max(slot) FROM blocks WHERE validator = ?1")?;
    let source = highest("SELECT max(source) FROM attestations WHERE validator = ?1")?;
    let target = highest("SELECT max(target) FROM attestations WHERE validator = ?1")?;
    Ok(Some(KeyRecord {
        pubkey: *key,
        state: row.state,
        why: row.why,
        history: KeyHistory {
            last_block: block.max(row.marks.slot),
            last_source: source.max(row.marks.attestation.map(|(source, _)| source)),
            last_target: target.max(row.marks.attestation.map(|(_, target)| target)),
        },
    }))
}
