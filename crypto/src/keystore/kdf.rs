//! From password to decryption key, with bounds on what a file from outside may make this machine do.

use super::KeystoreError;
use scrypt::Params;
use sha2::Sha256;
use zeroize::Zeroizing;

/// How a new keystore's password is turned into a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewKdf {
    /// EIP-2335's parameters, n = 262144, r = 8, p = 1: 256 MiB and 1.0 s to open on a fast core, several seconds on a
    /// small board. The one to choose for passwords that people think of.
    Scrypt,
    /// EIP-2335's parameters, c = 262144: no memory and 0.05 s on a core with SHA instructions. The lighter choice, for
    /// long passwords made by a machine, many keys or little memory. There is no lighter one for others: tools refuse
    /// keystores below these parameters (`ethstaker_deposit` asks for n·r·p of at least 2^20 and c of at least 2^18).
    Pbkdf2,
    /// One round of PBKDF2, for a password that is itself a random number of 256 bits and lies on the same machine: there
    /// is nothing to guess, and a hundred keystores open in a moment. For this program's own files only; never for a
    /// password that a person chose.
    RandomPassword,
    /// PBKDF2 with c = 1024: for the keys of throwaway local networks only, of which hundreds are made and opened at once.
    /// Other tools may refuse such a keystore.
    Throwaway,
}

impl NewKdf {
    pub(super) fn with_salt(self, salt: [u8; 32]) -> Kdf {
        let salt = salt.to_vec();
        match self {
            Self::Scrypt => Kdf::Scrypt {
                log_n: 18,
                r: 8,
                p: 1,
                salt,
            },
            Self::Pbkdf2 => Kdf::Pbkdf2 { c: 1 << 18, salt },
            Self::RandomPassword => Kdf::Pbkdf2 { c: 1, salt },
            Self::Throwaway => Kdf::Pbkdf2 { c: 1 << 10, salt },
        }
    }
}

/// Memory of scrypt in bytes: twice that of EIP-2335's parameters, for files made with n doubled, and 1 MiB for the
/// blocks beside the big table. A machine with 1 GB survives it.
const MAX_SCRYPT_MEMORY: u64 = 513 << 20;
/// Work of scrypt, n·r·p: eight times EIP-2335's 2^21, 8 s on a fast core, by estimate a minute on a small board.
const MAX_SCRYPT_WORK: u64 = 1 << 24;
/// Rounds of PBKDF2: 32 times EIP-2335's 2^18, 2 s on a core with SHA instructions, by estimate 20 without.
const MAX_PBKDF2_ROUNDS: u64 = 1 << 23;
/// Longest salt in bytes: eight times the usual 32, as no tool writes a longer one.
pub(super) const MAX_SALT_BYTES: usize = 256;

/// A key derivation function with parameters within the bounds: make it by [`Kdf::scrypt`] or [`Kdf::pbkdf2`].
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Kdf {
    Scrypt { log_n: u8, r: u32, p: u32, salt: Vec<u8> },
    Pbkdf2 { c: u32, salt: Vec<u8> },
}

impl Kdf {
    /// Checks scrypt's parameters. Spec: RFC 7914, section 2.
    pub(super) fn scrypt(n: u64, r: u64, p: u64, salt: Vec<u8>) -> Result<Self, KeystoreError> {
        if n < 2 || !n.is_power_of_two() {
            return Err(KeystoreError::Field {
                field: "scrypt n",
                must: "a power of two above 1",
            });
        }
        if r == 0 || p == 0 {
            return Err(KeystoreError::Field {
                field: "scrypt r and p",
                must: "above 0",
            });
        }
        let (wide_n, wide_r, wide_p) = (u128::from(n), u128::from(r), u128::from(p));
        let memory = wide_r.saturating_mul(wide_n + wide_p).saturating_mul(128);
        check_cost("bytes of memory", memory, MAX_SCRYPT_MEMORY)?;
        check_cost(
            "steps of scrypt (n·r·p)",
            (wide_n * wide_r).saturating_mul(wide_p),
            MAX_SCRYPT_WORK,
        )?;
        Ok(Self::Scrypt {
            log_n: n.trailing_zeros() as u8,
            r: r as u32,
            p: p as u32,
            salt,
        })
    }

    /// Checks PBKDF2's parameters. Spec: RFC 2898, section 5.2.
    pub(super) fn pbkdf2(c: u64, salt: Vec<u8>) -> Result<Self, KeystoreError> {
        if c == 0 {
            return Err(KeystoreError::Field {
                field: "pbkdf2 c",
                must: "above 0",
            });
        }
        check_cost("rounds of pbkdf2", u128::from(c), MAX_PBKDF2_ROUNDS)?;
        Ok(Self::Pbkdf2 { c: c as u32, salt })
    }

    /// The decryption key of a normalized password: its first half is the AES key, its second guards the checksum. A
    /// longer `dklen` changes neither, in both functions.
    pub(super) fn derive(&self, password: &[u8]) -> Result<Zeroizing<[u8; 32]>, KeystoreError> {
        let mut key = Zeroizing::new([0; 32]);
        match self {
            Self::Scrypt { log_n, r, p, salt } => {
                check_memory((128 * *r as usize) << log_n)?;
                let params = Params::new(*log_n, *r, *p).expect("parameters were checked when the KDF was made");
                scrypt::scrypt(password, salt, &params, key.as_mut()).expect("32 bytes are a length scrypt can give");
            }
            Self::Pbkdf2 { c, salt } => pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, *c, key.as_mut()),
        }
        Ok(key)
    }
}

fn check_cost(what: &'static str, asked: u128, allowed: u64) -> Result<(), KeystoreError> {
    if asked > u128::from(allowed) {
        Err(KeystoreError::Cost { what, asked, allowed })
    } else {
        Ok(())
    }
}

/// Tries the allocation that `scrypt` is about to make, since that one aborts the process where the system refuses it.
fn check_memory(bytes: usize) -> Result<(), KeystoreError> {
    let mut probe = Vec::<u8>::new();
    let outcome = probe.try_reserve_exact(bytes).map_err(|_| KeystoreError::Memory(bytes));
    std::hint::black_box(probe); // an allocation that nobody looks at may be optimized away
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(what: &'static str, asked: u128, allowed: u64) -> KeystoreError {
        KeystoreError::Cost { what, asked, allowed }
    }

    #[test]
    fn scrypt_is_bounded_in_memory_and_work() {
        let refusal = |n, r, p| Kdf::scrypt(n, r, p, Vec::new()).err();
        assert_eq!(refusal(1 << 18, 8, 1), None);
        assert_eq!(refusal(1 << 18, 8, 8), None);
        assert_eq!(refusal(1 << 19, 8, 4), None);
        assert_eq!(
            refusal(1 << 18, 8, 9),
            Some(cost("steps of scrypt (n·r·p)", 9 << 21, 1 << 24))
        );
        assert_eq!(
            refusal(1 << 20, 8, 1),
            Some(cost("bytes of memory", (1 << 30) + 1024, 513 << 20))
        );
        assert_eq!(
            refusal(2, 1, 1 << 23),
            Some(cost("bytes of memory", (1 << 30) + 256, 513 << 20))
        );
        let huge = 1 << 63;
        assert_eq!(
            refusal(huge, u64::MAX, u64::MAX),
            Some(cost("bytes of memory", u128::MAX, 513 << 20))
        );
        assert!(matches!(refusal(2, 1, u64::MAX), Some(KeystoreError::Cost { .. })));
        for (n, r, p) in [(0, 8, 1), (1, 8, 1), (3, 8, 1), (2, 0, 1), (2, 1, 0)] {
            assert!(
                matches!(refusal(n, r, p), Some(KeystoreError::Field { .. })),
                "{n} {r} {p}"
            );
        }
    }

    #[test]
    fn pbkdf2_is_bounded_in_rounds() {
        let refusal = |c| Kdf::pbkdf2(c, Vec::new()).err();
        assert_eq!(refusal(1 << 23), None);
        assert_eq!(
            refusal((1 << 23) + 1),
            Some(cost("rounds of pbkdf2", (1 << 23) + 1, 1 << 23))
        );
        assert!(matches!(refusal(0), Some(KeystoreError::Field { .. })));
    }

    #[test]
    fn refused_memory_is_an_error() {
        assert_eq!(
            check_memory(isize::MAX as usize),
            Err(KeystoreError::Memory(isize::MAX as usize))
        );
    }

    /// The known answers of RFC 7914, section 12 (the first 32 of 64 bytes, which do not depend on the length).
    #[test]
    fn the_rfc_s_answers() {
        let key = Kdf::scrypt(1024, 8, 16, b"NaCl".to_vec())
            .unwrap()
            .derive(b"password")
            .unwrap();
        assert_eq!(
            hex::encode(*key),
            "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
        );
        let key = Kdf::pbkdf2(80000, b"NaCl".to_vec())
            .unwrap()
            .derive(b"Password")
            .unwrap();
        assert_eq!(
            hex::encode(*key),
            "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"
        );
    }
}
