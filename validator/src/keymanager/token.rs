//! The token that requests must show, and where it lies.

use crate::files;
use anyhow::{Context, Result, anyhow, bail};
use crypto::hash::sha256;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The token's file in the client's folder.
const TOKEN_FILE: &str = "api_token";
/// The file that says where the API of the running client is.
const ADDRESS_FILE: &str = "api_address";
/// Hex digits of a token: the 256 bits that the standard asks for.
const DIGITS: usize = 64;
/// Largest token file, in bytes: a longer token of another tool is taken too.
const MAX_FILE: u64 = 1 << 10;

/// The secret that lets a request in.
pub(crate) struct Token(Zeroizing<String>);

impl Token {
    /// The token of a folder; made where there is none, and kept across restarts.
    pub(crate) fn read_or_make(folder: &Path) -> Result<Self> {
        let path = folder.join(TOKEN_FILE);
        if path.exists() {
            return Self::read(folder);
        }
        let random = crypto::keystore::random_password().map_err(|error| anyhow!("{error}"))?;
        files::write_new_private(&path, random.as_bytes())?;
        Ok(Token(random))
    }

    /// The token of a folder that has one.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(TOKEN_FILE);
        files::check_private(&path)?;
        let bytes = Zeroizing::new(files::read_limited(&path, MAX_FILE)?);
        let text = std::str::from_utf8(&bytes).ok().map(str::trim).unwrap_or_default();
        let digits = text.strip_prefix("0x").unwrap_or(text);
        if digits.len() < DIGITS || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            bail!(
                "{} holds no token: at least {DIGITS} hex digits. Remove it, and the client makes a new one at its start",
                path.display()
            );
        }
        Ok(Token(Zeroizing::new(text.to_owned())))
    }

    /// What a request shows.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// Whether this is the token. Takes as long for every wrong one: of equal hashes alone, what is compared says nothing.
    pub(crate) fn is(&self, shown: &str) -> bool {
        let (ours, theirs) = (sha256(self.0.as_bytes()), sha256(shown.as_bytes()));
        let pairs = ours.iter().zip(theirs.iter());
        pairs.fold(0, |differences, (one, other)| differences | (one ^ other)) == 0
    }
}

/// The file that says where the API is, for the commands of the same folder; gone when this is dropped.
pub(crate) struct WrittenAddress(PathBuf);

impl WrittenAddress {
    pub(crate) fn write(folder: &Path, address: SocketAddr) -> Result<Self> {
        let path = folder.join(ADDRESS_FILE);
        files::write_private(&path, format!("http://{address}\n").as_bytes())?;
        Ok(WrittenAddress(path))
    }
}

impl Drop for WrittenAddress {
    fn drop(&mut self) {
        // One that stays behind leads nowhere.
        std::fs::remove_file(&self.0).ok();
    }
}

/// Where the API of the folder's client was when it last said so; none if it is not served.
pub(crate) fn read_address(folder: &Path) -> Result<Option<String>> {
    let path = folder.join(ADDRESS_FILE);
    if !path.exists() {
        return Ok(None);
    }
    let bytes = files::read_limited(&path, MAX_FILE)?;
    let text = String::from_utf8(bytes)
        .ok()
        .with_context(|| format!("{} is not UTF-8", path.display()))?;
    Ok(Some(text.trim().to_owned()))
}
