//! The rules: whether a block or attestation may be signed, given what is on record.
//!
//! Spec: EIP-3076, "Conditions"; phase0/beacon-chain.md, `is_slashable_attestation_data`.

use super::marks::{self, KeyRow, to_sql};
use super::{KeyState, Marks, Record, prune};
use crate::signer::Refused;
use consensus::ssz::Root;
use consensus::types::{BLSPubkey, Epoch, Slot};
use rusqlite::{Connection, OptionalExtension};

/// Checks one request and writes it down, within the caller's transaction. What is already on record, root and all, is
/// allowed once more.
pub(super) fn check_and_insert(connection: &Connection, key: &BLSPubkey, record: &Record) -> Result<(), Refused> {
    let Some(row) = marks::find(connection, key)? else {
        return Err(Refused::Disabled(UNKNOWN_KEY.into()));
    };
    if row.state != KeyState::Enabled {
        return Err(Refused::Disabled(row.why));
    }
    match *record {
        Record::Block { slot, signing_root } => block(connection, &row, slot, signing_root),
        Record::Attestation {
            source,
            target,
            signing_root,
        } => attestation(connection, &row, source, target, signing_root),
    }
}

/// Said of a key whose file is here while the database has never heard of it.
const UNKNOWN_KEY: &str = "the slashing protection database does not know it. If the database was lost or replaced, \
                           restore the newest copy; otherwise import the key with its history";

fn block(connection: &Connection, row: &KeyRow, slot: Slot, signing_root: Root) -> Result<(), Refused> {
    let sql_slot = to_sql(slot)?;
    let mut select = connection.prepare("SELECT signing_root FROM blocks WHERE validator = ?1 AND slot = ?2")?;
    let roots: rusqlite::Result<Vec<Vec<u8>>> = select.query_map((row.id, sql_slot), |row| row.get(0))?.collect();
    let roots = roots?;
    if !roots.is_empty() {
        let repeated = roots.iter().all(|root| *root == signing_root.0);
        return if repeated { Ok(()) } else { Err(other_block(slot)) };
    }
    if let Some(mark) = row.marks.slot.filter(|mark| slot <= *mark) {
        return Err(Refused::Slashable(format!(
            "the block is of slot {slot}, and blocks up to slot {mark} count as signed"
        )));
    }
    connection.execute(
        "INSERT INTO blocks (validator, slot, signing_root) VALUES (?1, ?2, ?3)",
        (row.id, sql_slot, signing_root.0),
    )?;
    if row.marks.slot.is_none() {
        let marks = Marks {
            slot: Some(slot),
            attestation: None,
        };
        marks::raise(connection, row.id, marks)?;
    }
    prune::old_blocks(connection, row, slot)
}

fn other_block(slot: Slot) -> Refused {
    Refused::Slashable(format!("another block of slot {slot} was signed"))
}

fn attestation(
    connection: &Connection,
    row: &KeyRow,
    source: Epoch,
    target: Epoch,
    signing_root: Root,
) -> Result<(), Refused> {
    let (sql_source, sql_target) = (to_sql(source)?, to_sql(target)?);
    if source > target {
        let why = format!("the attestation's source {source} lies after its target {target}");
        return Err(Refused::Malformed(why));
    }
    let repeated = check_double_vote(connection, row, sql_source, sql_target, signing_root)?;
    check_surround(connection, row, sql_source, sql_target)?;
    if repeated {
        return Ok(());
    }
    check_marks(row, source, target)?;
    connection.execute(
        "INSERT INTO attestations (validator, target, source, signing_root) VALUES (?1, ?2, ?3, ?4)",
        (row.id, sql_target, sql_source, signing_root.0),
    )?;
    if row.marks.attestation.is_none() {
        let marks = Marks {
            slot: None,
            attestation: Some((source, target)),
        };
        marks::raise(connection, row.id, marks)?;
    }
    prune::old_attestations(connection, row, target)
}

/// Whether the very same attestation is on record; another one with this target is refused.
fn check_double_vote(
    connection: &Connection,
    row: &KeyRow,
    source: i64,
    target: i64,
    signing_root: Root,
) -> Result<bool, Refused> {
    let select = "SELECT source, signing_root FROM attestations WHERE validator = ?1 AND target = ?2";
    let mut select = connection.prepare(select)?;
    let signed = select.query_map((row.id, target), |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))?;
    let signed: rusqlite::Result<Vec<(i64, Vec<u8>)>> = signed.collect();
    let signed = signed?;
    match signed.iter().find(|(s, root)| *s != source || *root != signing_root.0) {
        None => Ok(!signed.is_empty()),
        Some((other, _)) => Err(Refused::Slashable(format!(
            "the attestation votes {source} → {target}, and another one with target {target} (source {other}) was signed"
        ))),
    }
}

/// Refuses a vote that surrounds one on record or is surrounded by one.
fn check_surround(connection: &Connection, row: &KeyRow, source: i64, target: i64) -> Result<(), Refused> {
    let find = |select: &str| {
        let found = connection.query_row(select, (row.id, source, target), |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        });
        found.optional()
    };
    let outer =
        find("SELECT source, target FROM attestations WHERE validator = ?1 AND target > ?3 AND source < ?2 LIMIT 1")?;
    if let Some((s, t)) = outer {
        let why = format!("the attestation votes {source} → {target}, inside of {s} → {t}, which was signed");
        return Err(Refused::Slashable(why));
    }
    let inner =
        find("SELECT source, target FROM attestations WHERE validator = ?1 AND target < ?3 AND source > ?2 LIMIT 1")?;
    if let Some((s, t)) = inner {
        let why = format!("the attestation votes {source} → {target}, around {s} → {t}, which was signed");
        return Err(Refused::Slashable(why));
    }
    Ok(())
}

fn check_marks(row: &KeyRow, source: Epoch, target: Epoch) -> Result<(), Refused> {
    let Some((low_source, low_target)) = row.marks.attestation else {
        return Ok(());
    };
    if source < low_source {
        return Err(Refused::Slashable(format!(
            "the attestation votes {source} → {target}, and sources up to {low_source} count as voted for"
        )));
    }
    if target <= low_target {
        return Err(Refused::Slashable(format!(
            "the attestation votes {source} → {target}, and targets up to {low_target} count as voted for"
        )));
    }
    Ok(())
}
