//! What becomes of a password before it is used, so that the same password typed on another system opens the file.

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// The password in NFKD without control codes; its UTF-8 bytes go into the key derivation. A line feed at the end of a
/// password file is a control code and so does no harm. Spec: EIP-2335, "Password requirements".
pub(super) fn normalize(password: &str) -> Zeroizing<String> {
    let kept = || password.nfkd().filter(|&c| !is_stripped(c));
    let length = kept().map(char::len_utf8).sum();
    let mut normalized = Zeroizing::new(String::with_capacity(length)); // sized first: growing would leave copies
    normalized.extend(kept());
    normalized
}

/// C0, Delete and C1.
fn is_stripped(c: char) -> bool {
    matches!(c, '\u{00}'..='\u{1f}' | '\u{7f}'..='\u{9f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_of_the_eip() {
        let encoded = hex::encode(normalize("𝔱𝔢𝔰𝔱𝔭𝔞𝔰𝔰𝔴𝔬𝔯𝔡🔑").as_bytes());
        assert_eq!(encoded, "7465737470617373776f7264f09f9491");
    }

    #[test]
    fn control_codes_go_and_everything_else_stays() {
        assert_eq!(*normalize("\u{0}a\u{1f}\u{7f}b\u{80}c\u{9f}\r\n"), "abc");
        assert_eq!(*normalize(" a b~"), " a b~");
        assert_eq!(*normalize("\u{a0}"), " ", "a no-break space is a space in NFKD");
        assert_eq!(*normalize("Ｐ\u{e9}ﬁ"), "Pe\u{301}fi");
    }
}
