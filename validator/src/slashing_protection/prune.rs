//! Forgetting what is old, without ever allowing what it forbade: the marks rise to what is forgotten.

use super::marks::{self, KeyRow, to_sql};
use super::{Marks, SlashingProtection};
use crate::signer::Refused;
use anyhow::Result;
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::types::{Epoch, Slot};
use rusqlite::Connection;

/// Epochs on record in detail: two days on mainnet, 30 kB a key. Details are for telling what contradicts, for repeating
/// a lost signature, and for recognising own messages after a restart; safety is in the marks.
pub const KEPT_EPOCHS: u64 = 512;
/// Old attestations go when the target is a multiple of this: one write in so many epochs, not one in each.
const PRUNING_STEP: Epoch = 64;

/// Forgets attestations far below a target that was just signed.
pub(super) fn old_attestations(connection: &Connection, row: &KeyRow, target: Epoch) -> Result<(), Refused> {
    match target.checked_sub(KEPT_EPOCHS) {
        Some(below) if target.is_multiple_of(PRUNING_STEP) => forget_attestations(connection, row.id, below),
        _ => Ok(()),
    }
}

/// Forgets blocks far below a slot that was just signed.
pub(super) fn old_blocks(connection: &Connection, row: &KeyRow, slot: Slot) -> Result<(), Refused> {
    match slot.checked_sub(KEPT_EPOCHS * SLOTS_PER_EPOCH) {
        Some(below) => forget_blocks(connection, row.id, below),
        None => Ok(()),
    }
}

/// Forgets attestations with targets at or below `last`.
fn forget_attestations(connection: &Connection, id: i64, last: Epoch) -> Result<(), Refused> {
    let select = "SELECT max(source), max(target) FROM attestations WHERE validator = ?1 AND target <= ?2";
    let last = to_sql(last)?;
    let highest: (Option<i64>, Option<i64>) =
        connection.query_row(select, (id, last), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (Some(source), Some(target)) = highest else {
        return Ok(());
    };
    let marks = Marks {
        slot: None,
        attestation: Some((source.cast_unsigned(), target.cast_unsigned())),
    };
    marks::raise(connection, id, marks)?;
    connection.execute(
        "DELETE FROM attestations WHERE validator = ?1 AND target <= ?2",
        (id, last),
    )?;
    Ok(())
}

/// Forgets blocks at or below `last`.
fn forget_blocks(connection: &Connection, id: i64, last: Slot) -> Result<(), Refused> {
    let select = "SELECT max(slot) FROM blocks WHERE validator = ?1 AND slot <= ?2";
    let last = to_sql(last)?;
    let highest: Option<i64> = connection.query_row(select, (id, last), |row| row.get(0))?;
    let Some(slot) = highest else {
        return Ok(());
    };
    let marks = Marks {
        slot: Some(slot.cast_unsigned()),
        attestation: None,
    };
    marks::raise(connection, id, marks)?;
    connection.execute("DELETE FROM blocks WHERE validator = ?1 AND slot <= ?2", (id, last))?;
    Ok(())
}

impl SlashingProtection {
    /// Forgets all but the last `keep` epochs of every key, counted from its own highest signature; 0 keeps the marks
    /// alone. No signature that was refused before is allowed afterwards. Returns the number of records forgotten.
    pub fn prune(&self, keep: u64) -> Result<u64> {
        let mut connection = self.lock()?;
        let transaction = connection.transaction()?;
        let before = records(&transaction)?;
        for (id, highest_target, highest_slot) in highest(&transaction)? {
            if let Some(last) = highest_target.and_then(|target| target.cast_unsigned().checked_sub(keep)) {
                forget_attestations(&transaction, id, last)?;
            }
            let slots = keep.saturating_mul(SLOTS_PER_EPOCH);
            if let Some(last) = highest_slot.and_then(|slot| slot.cast_unsigned().checked_sub(slots)) {
                forget_blocks(&transaction, id, last)?;
            }
        }
        let after = records(&transaction)?;
        transaction.commit()?;
        connection.execute_batch("VACUUM")?;
        Ok(before - after)
    }
}

/// A key's number with its highest target and slot on record.
type Highest = (i64, Option<i64>, Option<i64>);

fn highest(connection: &Connection) -> rusqlite::Result<Vec<Highest>> {
    let mut select = connection.prepare(
        "SELECT id, (SELECT max(target) FROM attestations WHERE validator = id),
             (SELECT max(slot) FROM blocks WHERE validator = id)
         FROM validators",
    )?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    rows.collect()
}

fn records(connection: &Connection) -> rusqlite::Result<u64> {
    let select = "SELECT (SELECT count(*) FROM attestations) + (SELECT count(*) FROM blocks)";
    connection
        .query_row(select, [], |row| row.get::<_, i64>(0))
        .map(i64::cast_unsigned)
}
