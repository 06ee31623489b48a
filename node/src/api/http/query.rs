//! The query of a URL, and the pieces of its path, with `%` escapes undone.

use super::Error;
use std::str::FromStr;

/// Parameters that are looked at. The most that a request may use are 64 validators and some statuses; a few more than
/// that are refused by whoever counts them, with the right status.
const PARAMETERS_MAX: usize = 1024;

/// The parameters of a query in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

/// Undoes `%` escapes; `None` where they are no escapes or what comes out is no text.
pub(super) fn unescape(text: &str, plus_is_space: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: u8| (byte as char).to_digit(16);
                let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
                (high << 4 | low) as u8
            }
            b'+' if plus_is_space => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

impl Query {
    /// Reads what stands behind the `?`. Error 400 for broken escapes and 414 for too many parameters.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut found = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            if found.len() >= PARAMETERS_MAX {
                let message = format!("more than {PARAMETERS_MAX} parameters");
                return Err(Error::new(hyper::StatusCode::URI_TOO_LONG, message));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let pair = unescape(name, true).zip(unescape(value, true));
            found.push(pair.ok_or_else(|| Error::bad_request("the query has a broken % escape"))?);
        }
        Ok(Query(found))
    }

    /// Whether the parameter is there, with whatever value.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(own, _)| own == name)
    }

    /// The value of a parameter that may be there once. Error 400 if it is there more often.
    pub fn one(&self, name: &str) -> Result<Option<&str>, Error> {
        let mut values = self.0.iter().filter(|(own, _)| own == name);
        let value = values.next().map(|(_, value)| value.as_str());
        if values.next().is_some() {
            return Err(Error::bad_request(format!("'{name}' is given more than once")));
        }
        Ok(value)
    }

    /// The values of a parameter that may be repeated, or hold several separated by commas.
    pub fn list(&self, name: &str) -> Vec<&str> {
        let values = self.0.iter().filter(|(own, _)| own == name);
        values.flat_map(|(_, value)| value.split(',')).collect()
    }

    /// The value of a parameter, read. Error 400 if it cannot be, with what is `wanted`.
    pub fn read<T: FromStr>(&self, name: &str, wanted: &str) -> Result<Option<T>, Error> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        let value = text.parse();
        value
            .map(Some)
            .map_err(|_| Error::bad_request(format!("'{name}' is '{}', wanted is {wanted}", excerpt(text))))
    }

    /// The number in a parameter. Error 400 unless it is a plain decimal number below 2^64.
    pub fn number(&self, name: &str) -> Result<Option<u64>, Error> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        match read_number(text) {
            Some(number) => Ok(Some(number)),
            None => Err(Error::bad_request(format!(
                "'{name}' is '{}', wanted is a number",
                excerpt(text)
            ))),
        }
    }

    /// The number in a parameter that must be there.
    pub fn required_number(&self, name: &str) -> Result<u64, Error> {
        self.number(name)?.ok_or_else(|| missing(name))
    }

    /// The value of a parameter that must be there, read.
    pub fn required<T: FromStr>(&self, name: &str, wanted: &str) -> Result<T, Error> {
        self.read(name, wanted)?.ok_or_else(|| missing(name))
    }
}

fn missing(name: &str) -> Error {
    Error::bad_request(format!("the parameter '{name}' is missing"))
}

/// A decimal number, digits only.
pub fn read_number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// The beginning of what a client sent, for a sentence.
pub fn excerpt(text: &str) -> String {
    let kept: String = text.chars().take(100).flat_map(char::escape_default).collect();
    if kept.len() < text.len() {
        format!("{kept}…")
    } else {
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_and_unescaped() {
        let query = Query::parse("id=1&id=2,3&slot=7&a%20b=c%2Cd+e&empty=&flag").unwrap();
        assert_eq!(query.list("id"), ["1", "2", "3"]);
        assert_eq!(query.number("slot"), Ok(Some(7)));
        assert_eq!(query.one("a b"), Ok(Some("c,d e")));
        assert_eq!(query.one("empty"), Ok(Some("")));
        assert!(query.has("flag") && !query.has("flags"));
        assert_eq!(query.number("none"), Ok(None));
        assert!(query.one("id").is_err() && query.number("empty").is_err());
        assert!(query.required_number("none").is_err());
    }

    #[test]
    fn what_is_broken_is_refused() {
        for text in ["a=%", "a=%4", "a=%zz", "%ff=1"] {
            assert!(Query::parse(text).is_err(), "{text}");
        }
        assert!(Query::parse(&"a&".repeat(1025)).is_err());
        for text in ["", "+1", "-1", "1e3", " 1", "18446744073709551616", "0x1"] {
            assert_eq!(read_number(text), None, "{text}");
        }
        assert_eq!(read_number("18446744073709551615"), Some(u64::MAX));
        assert_eq!(excerpt("a\u{7}"), "a\\u{7}");
    }
}
