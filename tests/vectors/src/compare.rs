//! Equality of expected and computed values, with a sentence about the first difference.

use serde_json::Value;

use crate::yaml::{Yaml, hex_bytes, short};

/// Compares two byte strings.
pub(crate) fn bytes(expected: &[u8], computed: &[u8]) -> Result<(), String> {
    if expected == computed {
        return Ok(());
    }
    let at = expected
        .iter()
        .zip(computed)
        .position(|(a, b)| a != b)
        .unwrap_or(expected.len().min(computed.len()));
    let byte = |bytes: &[u8]| {
        bytes
            .get(at)
            .map_or("the end".to_owned(), |byte| format!("{byte:#04x}"))
    };
    Err(format!(
        "computed {} bytes, expected {}; first difference at byte {at}: computed {}, expected {}",
        computed.len(),
        expected.len(),
        byte(computed),
        byte(expected)
    ))
}

/// Compares a YAML node with a value in its JSON form; the sentence begins with the path of the difference.
pub(crate) fn yaml(expected: &Yaml, computed: &Value) -> Result<(), String> {
    match (expected, computed) {
        (Yaml::Null, Value::Null) => Ok(()),
        (Yaml::Scalar(text), Value::String(_) | Value::Bool(_) | Value::Number(_)) => scalar(text, computed),
        (Yaml::List(items), Value::Array(values)) => list(items, values),
        (Yaml::List(items), Value::String(text)) => byte_list(items, text),
        (Yaml::Scalar(text), Value::Array(values)) => bytes_as_list(text, values),
        (Yaml::Map(_), Value::Object(_)) => map(expected, computed),
        _ => Err(format!(
            ": computed {}, expected {}",
            short(&computed.to_string()),
            shown(expected)
        )),
    }
}

fn shown(node: &Yaml) -> String {
    match node {
        Yaml::Null => "null".to_owned(),
        Yaml::Scalar(text) => short(text),
        Yaml::List(items) => format!("a list of {}", items.len()),
        Yaml::Map(_) => "a mapping".to_owned(),
    }
}

fn scalar(expected: &str, computed: &Value) -> Result<(), String> {
    let text = match computed {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let hex = expected.starts_with("0x") || expected.starts_with("0X");
    let same = if hex {
        expected.eq_ignore_ascii_case(&text)
    } else {
        expected == text
    };
    if same {
        Ok(())
    } else {
        Err(format!(": computed {}, expected {}", short(&text), short(expected)))
    }
}

fn list(items: &[Yaml], values: &[Value]) -> Result<(), String> {
    if items.len() != values.len() {
        return Err(format!(": computed {} items, expected {}", values.len(), items.len()));
    }
    let mut pairs = items.iter().zip(values).enumerate();
    pairs.try_for_each(|(i, (item, value))| yaml(item, value).map_err(|rest| format!("[{i}]{rest}")))
}

fn map(expected: &Yaml, computed: &Value) -> Result<(), String> {
    let (Ok(entries), Some(object)) = (expected.entries(), computed.as_object()) else {
        return Err(": not two mappings".to_owned());
    };
    let mut known = 0;
    for (key, item) in entries {
        let value = object
            .get(key)
            .ok_or_else(|| format!(".{key}: computed nothing, expected {}", shown(item)))?;
        yaml(item, value).map_err(|rest| format!(".{key}{rest}"))?;
        known += 1;
    }
    if known == object.len() {
        return Ok(());
    }
    let surplus = object.keys().find(|key| !matches!(expected.find(key), Ok(Some(_))));
    Err(format!(
        ".{}: computed, but not expected",
        surplus.map_or("?", String::as_str)
    ))
}

/// A list of numbers in YAML that is one `0x…` string in JSON.
fn byte_list(items: &[Yaml], text: &str) -> Result<(), String> {
    let computed = hex_bytes(text).ok_or_else(|| format!(": computed {}, expected a list", short(text)))?;
    let expected: Option<Vec<u8>> = items.iter().map(|item| item.u64().ok()?.try_into().ok()).collect();
    bytes(&expected.ok_or(": expected list is not one of bytes")?, &computed).map_err(|rest| format!(": {rest}"))
}

/// A `0x…` string in YAML that is a list of numbers in JSON.
fn bytes_as_list(text: &str, values: &[Value]) -> Result<(), String> {
    let expected = hex_bytes(text).ok_or_else(|| format!(": computed a list, expected {}", short(text)))?;
    let byte = |value: &Value| match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64()?.try_into().ok(),
    };
    let computed: Option<Vec<u8>> = values.iter().map(byte).collect();
    bytes(&expected, &computed.ok_or(": computed list is not one of bytes")?).map_err(|rest| format!(": {rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn same(text: &str, value: &Value) -> Result<(), String> {
        yaml(&Yaml::parse(text).unwrap(), value)
    }

    #[test]
    fn quoting_case_of_hex_and_byte_lists_make_no_difference() {
        assert_eq!(
            same(
                "{a: 1, b: [true, '0xAB'], c: null}",
                &json!({"c": null, "a": "1", "b": [true, "0xab"]})
            ),
            Ok(())
        );
        assert_eq!(same("[1, 255]", &json!("0x01ff")), Ok(()));
        assert_eq!(same("'0x01ff'", &json!(["1", 255])), Ok(()));
        assert_eq!(same("[]", &json!([])), Ok(()));
    }

    #[test]
    fn the_first_difference_is_told_with_its_path() {
        assert_eq!(
            same("{a: [1, 2]}", &json!({"a": [1, 3]})).unwrap_err(),
            ".a[1]: computed 3, expected 2"
        );
        assert_eq!(
            same("{a: 1}", &json!({"a": 1, "b": 2})).unwrap_err(),
            ".b: computed, but not expected"
        );
        assert_eq!(
            same("{a: 1, b: 2}", &json!({"a": 1})).unwrap_err(),
            ".b: computed nothing, expected 2"
        );
        assert_eq!(same("[1]", &json!([])).unwrap_err(), ": computed 0 items, expected 1");
        assert!(same("'0x01'", &json!("0x0001")).is_err());
        assert!(same("1", &json!({})).is_err());
        assert!(
            bytes(&[1, 2], &[1])
                .unwrap_err()
                .contains("at byte 1: computed the end, expected 0x02")
        );
    }
}
