//! The client that runs on a folder: what commands ask of it in place of touching its files.

use crate::exit::Failure;
use std::path::Path;
use validator::keymanager::{Client, find};
use validator::slashing_protection::{FILE_NAME, InUse, SlashingProtection};

/// The client that runs on this folder; none where the record is free, or is not there at all. The lock tells, and not
/// the file with the address: a client that was killed leaves that behind.
pub(crate) fn client(folder: &Path) -> Result<Option<Client>, Failure> {
    let record = folder.join(FILE_NAME);
    if !record.exists() {
        return Ok(None);
    }
    let Err(error) = SlashingProtection::open_any_network(&record) else {
        return Ok(None);
    };
    if error.downcast_ref::<InUse>().is_none() {
        return Err(error.into());
    }
    match find(folder)? {
        Some(client) => Ok(Some(client)),
        None => Err(Failure::invalid(format!(
            "{error:#}. Where a client runs, it does this itself through its keymanager API, which is switched off \
             (--keymanager-port 0) or not there yet"
        ))),
    }
}
