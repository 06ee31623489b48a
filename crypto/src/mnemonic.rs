//! BIP-39 mnemonics in English: the words on paper from which all keys of an operator derive (see [`crate::derive`]).
//!
//! The word list, checksum and seed come from the `bip39` crate. English only: that is what every deposit tool writes by
//! default, and other languages' words overlap so that a phrase would not say which one it is in.

use bip39::{Error, Language};
use std::fmt;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// The longest text taken for a mnemonic: 24 words of at most 8 letters, with a generous lot of white space.
const MAX_TEXT_BYTES: usize = 1024;

/// Why a text is no mnemonic, or none could be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MnemonicError {
    /// The text is too long to be one; holds its length in bytes.
    TooLong(usize),
    /// Not 12, 15, 18, 21 or 24 words; holds their number.
    WordCount(usize),
    /// A word is not in the English list; holds its place, 1 for the first. The word is not told: it may be secret.
    UnknownWord(usize),
    /// The last word does not fit the others: one of them is wrong or out of place.
    Checksum,
    /// The operating system gave no random bytes.
    NoRandomness,
}

impl fmt::Display for MnemonicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(found) => write!(f, "the text has {found} bytes, a mnemonic has at most {MAX_TEXT_BYTES}"),
            Self::WordCount(found) => write!(f, "there are {found} words, a mnemonic has 12, 15, 18, 21 or 24"),
            Self::UnknownWord(place) => {
                write!(
                    f,
                    "word {place} is not in the English list of BIP-39; check its spelling"
                )
            }
            Self::Checksum => f.write_str("the words do not fit together; one of them is wrong or out of place"),
            Self::NoRandomness => f.write_str("the operating system gave no random bytes"),
        }
    }
}

impl std::error::Error for MnemonicError {}

/// A valid English mnemonic. Wiped when dropped; `Debug` shows the number of words only.
pub struct Mnemonic(bip39::Mnemonic);

impl fmt::Debug for Mnemonic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mnemonic({} words)", self.0.word_count())
    }
}

impl Mnemonic {
    /// 24 new words (256 bits) from the operating system's randomness. Errors when it gives none.
    pub fn generate() -> Result<Self, MnemonicError> {
        let mut entropy = Zeroizing::new([0u8; 32]);
        getrandom::fill(entropy.as_mut()).map_err(|_| MnemonicError::NoRandomness)?;
        let words = bip39::Mnemonic::from_entropy_in(Language::English, entropy.as_ref());
        Ok(Self(words.expect("32 bytes are one of the lengths BIP-39 allows")))
    }

    /// Reads a mnemonic, whatever its white space and capitals, and checks its words and checksum.
    pub fn parse(text: &str) -> Result<Self, MnemonicError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(MnemonicError::TooLong(text.len()));
        }
        let lower = Zeroizing::new(text.to_ascii_lowercase());
        bip39::Mnemonic::parse_in_normalized(Language::English, &lower)
            .map(Self)
            .map_err(|error| match error {
                Error::BadWordCount(count) => MnemonicError::WordCount(count),
                Error::UnknownWord(index) => MnemonicError::UnknownWord(index + 1),
                _ => MnemonicError::Checksum,
            })
    }

    /// The words, in small letters, one blank between them. For the operator's eyes only.
    pub fn phrase(&self) -> Zeroizing<String> {
        let mut phrase = Zeroizing::new(String::with_capacity(24 * 9)); // 8 letters and a blank: never reallocates
        for word in self.0.words() {
            if !phrase.is_empty() {
                phrase.push(' ');
            }
            phrase.push_str(word);
        }
        phrase
    }

    /// The seed of the key tree. The passphrase (BIP-39's "25th word", not a keystore's password) is empty for nearly
    /// everybody; another passphrase gives other keys, without any error.
    pub fn to_seed(&self, passphrase: &str) -> Zeroizing<[u8; 64]> {
        let length = passphrase.nfkd().map(char::len_utf8).sum();
        let mut normalized = Zeroizing::new(String::with_capacity(length)); // sized first: growing would leave copies
        normalized.extend(passphrase.nfkd());
        Zeroizing::new(self.0.to_seed_normalized(&normalized))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::derive::{derive_child_sk, derive_master_sk};

    const ABANDON: &str =
        "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";
    const SEED: &str = "c55257c360c07c72029aebc1b53c05ed0362ada38ead3e3e9efa3708e53495531f09a6987599d18264c1e1c92f2cf141630c7a3c4ab7c81b2f001698e7463b04";

    #[test]
    fn the_mnemonic_of_eip_2333() {
        let mnemonic = Mnemonic::parse(ABANDON).unwrap();
        let seed = mnemonic.to_seed("TREZOR");
        assert_eq!(hex::encode(*seed), SEED);
        // The EIP's child_SK 20397789859736650942317412262472558107875392172444076792671091975210932703118.
        let child = derive_child_sk(&derive_master_sk(seed.as_ref()).unwrap(), 0).unwrap();
        assert_eq!(
            hex::encode(*child),
            "2d18bd6c14e6d15bf8b5085c9b74f3daae3b03cc2014770a599d8c1539e50f8e"
        );
    }

    #[test]
    fn passphrases_are_normalized() {
        let mnemonic = Mnemonic::parse(ABANDON).unwrap();
        assert_eq!(mnemonic.to_seed("e\u{301}"), mnemonic.to_seed("\u{e9}"));
        assert_ne!(mnemonic.to_seed("e"), mnemonic.to_seed("\u{e9}"));
    }

    #[test]
    fn generated_words_read_back_and_differ() {
        let (one, two) = (Mnemonic::generate().unwrap(), Mnemonic::generate().unwrap());
        assert_eq!(one.phrase().split(' ').count(), 24);
        assert_ne!(one.phrase(), two.phrase());
        let shouted = format!("  {}\n", one.phrase().to_uppercase().replace(' ', " \t "));
        assert_eq!(Mnemonic::parse(&shouted).unwrap().phrase(), one.phrase());
        assert_eq!(format!("{one:?}"), "Mnemonic(24 words)");
    }

    #[test]
    fn what_is_no_mnemonic_is_refused_without_telling_its_words() {
        let refused = |text: &str| Mnemonic::parse(text).map(|_| ()).unwrap_err();
        assert_eq!(refused(""), MnemonicError::WordCount(0));
        assert_eq!(refused(&ABANDON.replace(" about", "")), MnemonicError::WordCount(11));
        assert_eq!(refused(&ABANDON.replace("about", "abandon")), MnemonicError::Checksum);
        assert_eq!(
            refused(&ABANDON.replace("about", "secretword")),
            MnemonicError::UnknownWord(12)
        );
        assert_eq!(refused(&"a".repeat(1025)), MnemonicError::TooLong(1025));
    }
}
