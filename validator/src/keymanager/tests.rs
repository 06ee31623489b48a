//! The token, and where the client's API is found.

use super::token::{Token, WrittenAddress, read_address};
use crate::tests::Scratch;
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn the_token_is_made_once_and_is_for_its_owner_alone() {
    let scratch = Scratch::new("token");
    let path = scratch.path("api_token");
    let token = Token::read_or_make(scratch.folder()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.len(), 64, "256 bits");
    assert!(token.is(&text) && !token.is("") && !token.is(&text[1..]) && !token.is(&format!("{text}0")));
    assert_eq!(Token::read_or_make(scratch.folder()).unwrap().text(), text);

    fs::write(&path, "short").unwrap();
    let refused = Token::read_or_make(scratch.folder()).err().unwrap().to_string();
    assert!(refused.contains("holds no token"), "{refused}");
    fs::write(&path, format!("0x{text}\n")).unwrap();
    assert_eq!(Token::read(scratch.folder()).unwrap().text(), format!("0x{text}"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let refused = Token::read(scratch.folder()).err().unwrap().to_string();
    assert!(refused.contains("may be read by others"), "{refused}");
}

#[test]
fn the_address_is_there_as_long_as_the_api() {
    let scratch = Scratch::new("address");
    assert_eq!(read_address(scratch.folder()).unwrap(), None);
    let address = WrittenAddress::write(scratch.folder(), "127.0.0.1:77".parse().unwrap()).unwrap();
    assert_eq!(read_address(scratch.folder()).unwrap().unwrap(), "http://127.0.0.1:77");
    drop(address);
    assert_eq!(read_address(scratch.folder()).unwrap(), None);
    assert!(super::find(scratch.folder()).unwrap().is_none());
}
