//! The marks of a key: everything at or below them counts as signed.

use super::{KeyState, Record};
use crate::signer::Refused;
use consensus::types::{BLSPubkey, Epoch, Slot};
use rusqlite::{Connection, OptionalExtension};

/// What a key no longer signs, whatever is on record in detail. `None`: nothing is known to be signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// No block at or below this slot.
    pub slot: Option<Slot>,
    /// No attestation with a source below this epoch (the first), nor a target at or below that one (the second).
    pub attestation: Option<(Epoch, Epoch)>,
}

impl Marks {
    /// Marks that forbid what either forbids.
    #[must_use]
    pub fn and(self, other: Marks) -> Marks {
        let highest = |one: (Epoch, Epoch), other: (Epoch, Epoch)| (one.0.max(other.0), one.1.max(other.1));
        Marks {
            slot: self.slot.max(other.slot),
            attestation: match (self.attestation, other.attestation) {
                (Some(one), Some(other)) => Some(highest(one, other)),
                (one, other) => one.or(other),
            },
        }
    }

    /// Whether the marks alone forbid all that this record forbids.
    pub(crate) fn cover(&self, record: &Record) -> bool {
        match record {
            Record::Block { slot, .. } => self.slot.is_some_and(|mark| *slot <= mark),
            Record::Attestation { source, target, .. } => self
                .attestation
                .is_some_and(|(low_source, low_target)| *source <= low_source && *target <= low_target),
        }
    }
}

/// What the table `validators` says of a key.
pub(super) struct KeyRow {
    pub(super) id: i64,
    pub(super) state: KeyState,
    pub(super) why: String,
    pub(super) marks: Marks,
}

/// The row of a key.
pub(super) fn find(connection: &Connection, key: &BLSPubkey) -> rusqlite::Result<Option<KeyRow>> {
    let select = "SELECT id, state, why, slot, source, target FROM validators WHERE pubkey = ?1";
    let row = connection.query_row(select, [key.0], |row| {
        let (source, target): (Option<i64>, Option<i64>) = (row.get(4)?, row.get(5)?);
        Ok(KeyRow {
            id: row.get(0)?,
            state: KeyState::from_sql(row.get(1)?),
            why: row.get(2)?,
            marks: Marks {
                slot: row.get::<_, Option<i64>>(3)?.map(i64::cast_unsigned),
                attestation: source.zip(target).map(|(s, t)| (s.cast_unsigned(), t.cast_unsigned())),
            },
        })
    });
    row.optional()
}

/// Raises the marks of a key to at least these.
pub(super) fn raise(connection: &Connection, id: i64, marks: Marks) -> Result<(), Refused> {
    let slot = marks.slot.map(to_sql).transpose()?;
    let source = marks.attestation.map(|(source, _)| to_sql(source)).transpose()?;
    let target = marks.attestation.map(|(_, target)| to_sql(target)).transpose()?;
    connection.execute(
        "UPDATE validators SET slot = max(ifnull(slot, ?2), ifnull(?2, slot)),
             source = max(ifnull(source, ?3), ifnull(?3, source)), target = max(ifnull(target, ?4), ifnull(?4, target))
         WHERE id = ?1",
        (id, slot, source, target),
    )?;
    Ok(())
}

/// A slot or epoch as SQLite stores it. No time of any network reaches half of what 64 bits hold.
pub(super) fn to_sql(number: u64) -> Result<i64, Refused> {
    let refused = || Refused::Malformed(format!("{number} is no slot or epoch: it lies beyond all time"));
    i64::try_from(number).map_err(|_| refused())
}
