//! The token with which node and engine know each other: both hold one secret, and each request carries a fresh proof of
//! it.
//!
//! Spec: execution-apis, src/engine/authentication.md; RFC 7515 and RFC 7519.

use anyhow::{Context, Result, bail};
use crypto::mnemonic::Mnemonic;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Seconds that the clocks of node and engine may differ. Spec: authentication.md, "JWT Claims".
const MAX_SKEW: u64 = 60;
/// A secret file is 64 digits and a line end; a file beyond this is another.
const MAX_FILE_BYTES: u64 = 1024;
/// Characters of a token that are looked at: ours have 100, others add a few claims.
const MAX_TOKEN: usize = 4096;

/// `{"typ":"JWT","alg":"HS256"}`, as it stands in every token of ours.
const HEADER: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9";

/// The secret that node and engine share. Never shown.
#[derive(Clone)]
pub struct JwtSecret([u8; 32]);

impl fmt::Debug for JwtSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JwtSecret(…)")
    }
}

impl JwtSecret {
    /// The secret of these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        JwtSecret(bytes)
    }

    /// Reads the file that both sides are given: 64 hex digits, with or without `0x`.
    ///
    /// Spec: authentication.md, "Key distribution". Errors name the file and say what to do.
    pub fn read(file: &Path) -> Result<Self> {
        let mut text = String::new();
        File::open(file)
            .and_then(|opened| opened.take(MAX_FILE_BYTES).read_to_string(&mut text))
            .with_context(|| {
                let path = file.display();
                format!("cannot read the secret {path}: name the file that the execution client wrote or was given")
            })?;
        let Some(bytes) = parse(text.trim()) else {
            let path = file.display();
            bail!(
                "{path} is no secret: it must hold 64 hex digits (`openssl rand -hex 32 > {path}` makes one; then give this \
                 file to both programs, and start both again)"
            );
        };
        Ok(JwtSecret(bytes))
    }

    /// Reads the file, or makes a new secret and writes it there for the other side, readable by its owner alone.
    pub fn read_or_create(file: &Path) -> Result<Self> {
        if file.exists() {
            return JwtSecret::read(file);
        }
        // A seed is the shortest way to random bytes of the operating system here.
        let seed = Mnemonic::generate().context("no secret can be made")?.to_seed("");
        let mut bytes = [0; 32];
        bytes.copy_from_slice(&seed[..32]);
        let secret = JwtSecret(bytes);
        let mut open = OpenOptions::new();
        open.write(true).create_new(true).mode(0o600);
        open.open(file)
            .and_then(|mut opened| opened.write_all(format!("{}\n", secret.to_hex()).as_bytes()))
            .with_context(|| format!("cannot write the secret to {}", file.display()))?;
        Ok(secret)
    }

    /// The form of a secret file. For writing one only.
    fn to_hex(&self) -> String {
        consensus::ssz::Bytes(self.0)
            .to_string()
            .trim_start_matches("0x")
            .to_owned()
    }

    /// A token issued at `now` (Unix seconds).
    pub fn token(&self, now: u64) -> String {
        let signed = format!("{HEADER}.{}", base64url(format!("{{\"iat\":{now}}}").as_bytes()));
        let signature = base64url(&mac(&self.0, signed.as_bytes()).finalize().into_bytes());
        format!("{signed}.{signature}")
    }

    /// Checks a token that came at `now` (Unix seconds). The error says what is wrong, and never what would be right.
    pub fn verify(&self, token: &str, now: u64) -> Result<(), String> {
        if token.len() > MAX_TOKEN {
            return Err(format!("the token has {} characters, at most {MAX_TOKEN}", token.len()));
        }
        let (signed, signature) = token.rsplit_once('.').ok_or("the token has no signature")?;
        let (header, claims) = signed.split_once('.').ok_or("the token has no claims")?;
        let header = json(header).ok_or("the token's header cannot be read")?;
        if header.get("alg").and_then(serde_json::Value::as_str) != Some("HS256") {
            return Err("the token is not signed by HS256".to_owned());
        }
        let signature = from_base64url(signature).ok_or("the token's signature cannot be read")?;
        let right = mac(&self.0, signed.as_bytes()).verify_slice(&signature).is_ok();
        if !right {
            return Err("the token is signed with another secret".to_owned());
        }
        let claims = json(claims).ok_or("the token's claims cannot be read")?;
        let issued = claims
            .get("iat")
            .and_then(serde_json::Value::as_u64)
            .ok_or("the token has no iat")?;
        let skew = issued.abs_diff(now);
        if skew > MAX_SKEW {
            return Err(format!(
                "the token is from {skew} seconds away: one of the two clocks is wrong"
            ));
        }
        Ok(())
    }
}

fn parse(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_prefix("0x").unwrap_or(text).as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let bytes: Option<Vec<u8>> = digits
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect();
    bytes?.try_into().ok()
}

fn mac(key: &[u8], message: &[u8]) -> Hmac<Sha256> {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.chain_update(message)
}

fn json(part: &str) -> Option<serde_json::Value> {
    serde_json::from_slice(&from_base64url(part)?).ok()
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Base64 for URLs, without padding. Spec: RFC 4648, section 5.
fn base64url(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(group >> (18 - 6 * place) & 63) as usize]));
        }
    }
    text
}

fn from_base64url(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for chunk in text.as_bytes().chunks(4) {
        if chunk.len() == 1 {
            return None;
        }
        let mut group = 0u32;
        for byte in chunk {
            let value = ALPHABET.iter().position(|letter| letter == byte)?;
            group = group << 6 | value as u32;
        }
        group <<= 6 * (4 - chunk.len());
        bytes.extend_from_slice(&group.to_be_bytes()[1..chunk.len()]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: JwtSecret = JwtSecret([0x2a; 32]);

    /// The well-known example of an HS256 token, of which every part is public.
    #[test]
    fn signatures_are_those_of_the_standard() {
        let signed = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
                      eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ";
        let signature = mac(b"your-256-bit-secret", signed.as_bytes()).finalize().into_bytes();
        assert_eq!(base64url(&signature), "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c");
        let header = from_base64url(HEADER).unwrap();
        assert_eq!(header, br#"{"typ":"JWT","alg":"HS256"}"#);
    }

    #[test]
    fn tokens_hold_for_a_minute_and_one_secret() {
        let token = SECRET.token(1_000_000);
        assert_eq!(SECRET.verify(&token, 1_000_000), Ok(()));
        assert_eq!(SECRET.verify(&token, 1_000_060), Ok(()));
        assert_eq!(SECRET.verify(&token, 999_940), Ok(()));
        assert!(SECRET.verify(&token, 1_000_061).unwrap_err().contains("clocks"));
        assert!(SECRET.verify(&token, 999_939).unwrap_err().contains("clocks"));
        let other = JwtSecret::new([1; 32]).verify(&token, 1_000_000).unwrap_err();
        assert!(other.contains("another secret"));
        // The algorithm "none", which the spec says to refuse.
        let none = format!(
            "{}.{}.",
            base64url(br#"{"alg":"none"}"#),
            base64url(br#"{"iat":1000000}"#)
        );
        assert!(SECRET.verify(&none, 1_000_000).unwrap_err().contains("HS256"));
        for end in 0..token.len() {
            assert!(SECRET.verify(&token[..end], 1_000_000).is_err(), "cut to {end}");
        }
        assert!(SECRET.verify(&"a.".repeat(4096), 0).unwrap_err().contains("at most"));
    }

    #[test]
    fn base64_is_that_of_the_rfc() {
        let known = [
            ("", ""),
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg"),
            ("fooba", "Zm9vYmE"),
        ];
        for (plain, encoded) in known {
            assert_eq!(base64url(plain.as_bytes()), encoded);
            assert_eq!(from_base64url(encoded).unwrap(), plain.as_bytes());
        }
        assert_eq!(base64url(&[0xfb, 0xff]), "-_8");
        assert_eq!(from_base64url("Z"), None);
        assert_eq!(from_base64url("Zg=="), None);
    }

    #[test]
    fn secrets_come_from_files_and_are_never_shown() {
        let folder = crate::testing::Scratch::new("jwt");
        let file = folder.path().join("jwt.hex");
        for text in [format!("0x{}\n", SECRET.to_hex()), SECRET.to_hex()] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(JwtSecret::read(&file).unwrap().0, SECRET.0);
        }
        for text in ["", "0x12", &"g".repeat(64), &"1".repeat(65), &"1".repeat(2000)] {
            std::fs::write(&file, text).unwrap();
            let error = JwtSecret::read(&file).unwrap_err().to_string();
            assert!(error.contains("jwt.hex") && error.contains("openssl rand"), "{error}");
        }
        let made = JwtSecret::read_or_create(&folder.path().join("new")).unwrap();
        let again = JwtSecret::read_or_create(&folder.path().join("new")).unwrap();
        assert_eq!(made.0, again.0);
        assert_ne!(made.0, [0; 32]);
        let missing = JwtSecret::read(&folder.path().join("none")).unwrap_err().to_string();
        assert!(missing.contains("none"), "{missing}");
        assert!(!format!("{SECRET:?}").contains("2a"));
    }
}
