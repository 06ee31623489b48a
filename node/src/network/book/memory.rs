//! The peers of the last time, kept in a small file: a restarted node finds them again without boot nodes.

use super::super::enr::Enr;
use super::super::node_key::{read_small, write_durably};
use super::Book;
use anyhow::Result;
use std::cmp::Reverse;
use std::path::Path;
use std::time::Duration;

/// The file: one node record a line.
const FILE: &str = "peers";

/// How many are kept: twice as many as are connected, for some will be gone.
const RECORDS_MAX: usize = 100;

/// A record is at most 300 bytes, 404 characters as text.
const FILE_BYTES_MAX: u64 = 64 << 10;

impl Book {
    /// The records of those with whom there was a connection, the best first; at most a hundred.
    pub fn remembered(&self, now: Duration) -> Vec<Enr> {
        let met = self
            .peers
            .values()
            .filter(|entry| entry.seen.is_some() && entry.score.at(now) >= 0);
        let mut records: Vec<_> = met
            .filter_map(|entry| Some((Reverse((entry.score.at(now), entry.news)), entry.record.as_ref()?)))
            .collect();
        records.sort_by_key(|(worth, record)| (*worth, record.node_id().raw()));
        let best = records.into_iter().take(RECORDS_MAX);
        best.map(|(_, record)| record.clone()).collect()
    }
}

/// Writes such records into the network's folder.
pub fn store(folder: &Path, records: &[Enr]) -> Result<()> {
    let lines: Vec<String> = records.iter().take(RECORDS_MAX).map(Enr::to_base64).collect();
    write_durably(&folder.join(FILE), lines.join("\n").as_bytes())
}

/// The records that were written. A missing file has none, and lines that are no records are passed over: they are only
/// hints.
pub fn load(folder: &Path) -> Vec<Enr> {
    match read_small(&folder.join(FILE), FILE_BYTES_MAX) {
        Ok(text) => {
            let text = text.unwrap_or_default();
            let records = text.lines().filter_map(|line| line.trim().parse().ok());
            records.take(RECORDS_MAX).collect()
        }
        Err(error) => {
            tracing::warn!("the peers of the last time are not known: {error:#}");
            Vec::new()
        }
    }
}
