//! The addresses of EIP-55, what a file sets, and files that are refused.

use super::*;

const KEY: &str = "0x9612d7a727c9d0a22e185a1c768478dfe919cada9266988cb32359c11f2b7b27f4ae4040902382ae2910c15e2b420d07";
const ADDRESS: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

#[test]
fn the_addresses_of_eip_55() {
    let addresses = [
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
        "0xde709f2102306220921060314715629080e2fb77",
        "0x27b1fdb04752bbc536007a920d24acb045561c26",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ];
    for text in addresses {
        let address = parse_address(text).unwrap();
        assert_eq!(to_checksum(&address), text);
        let lower = format!("0x{}", text[2..].to_lowercase());
        assert_eq!(parse_address(&lower).unwrap(), address, "one case has no checksum");
    }
}

#[test]
fn wrong_addresses() {
    for text in [
        "",
        "0x",
        ADDRESS.trim_start_matches("0x"),
        &ADDRESS[..41],
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAedAA",
    ] {
        assert!(
            parse_address(text).unwrap_err().to_string().contains("is no address"),
            "{text}"
        );
    }
    for (right, wrong) in [("5aAe", "5aae"), ("Aed", "AeD"), ("6053", "6054")] {
        let error = parse_address(&ADDRESS.replace(right, wrong)).unwrap_err().to_string();
        assert!(error.contains("checksum"), "{error}");
    }
}

#[test]
fn a_key_s_own_settings_come_before_the_default_ones() {
    let text = format!(
        "[default]\nfee_recipient = \"{ADDRESS}\" # mine\ngraffiti = \"grüße\"\nbuilder = true\n\n\
         [\"{KEY}\"]\ngas_limit = 60_000_000\nbuilder = false\nbuilder_boost_factor = 90\n"
    );
    let mut settings = Settings::parse(&text).unwrap();
    let mut graffiti = [0; 32];
    graffiti[..7].copy_from_slice("grüße".as_bytes());
    let default = KeySettings {
        fee_recipient: Some(parse_address(ADDRESS).unwrap()),
        gas_limit: None,
        graffiti: Some(Bytes(graffiti)),
        builder: Some(true),
        builder_boost_factor: None,
    };
    assert_eq!(settings.of(&Bytes([1; 48])), default);
    let own = KeySettings {
        gas_limit: Some(60_000_000),
        builder: Some(false),
        builder_boost_factor: Some(90),
        ..default.clone()
    };
    assert_eq!(settings.of(&KEY.parse().unwrap()), own);
    settings.suggest_fee_recipient(Bytes([9; 20]));
    assert_eq!(settings.of(&Bytes([1; 48])), default, "the file comes before the flag");

    let mut settings = Settings::parse("").unwrap();
    assert!(settings.of(&Bytes([1; 48])).lacks_fee_recipient());
    settings.suggest_fee_recipient(Bytes([0; 20]));
    assert!(settings.of(&Bytes([1; 48])).lacks_fee_recipient());
    settings.suggest_fee_recipient(Bytes([9; 20]));
    assert_eq!(settings.of(&Bytes([1; 48])).fee_recipient, Some(Bytes([9; 20])));
}

#[test]
fn what_is_not_understood_is_refused() {
    let long = "a".repeat(33);
    let refusals = [
        ("fee_recipient = 1", "'fee_recipient' is no table"),
        ("[defaults]\n", "[defaults] is neither default nor a public key"),
        ("[default]\nfee_recipent = \"0x\"", "there is no setting 'fee_recipent'"),
        ("[default]\nfee_recipient = 5", "must be a text"),
        ("[default]\nfee_recipient = \"0x12\"", "is no address"),
        ("[default]\ngas_limit = \"5\"", "whole number"),
        ("[default]\ngas_limit = -5", "whole number"),
        ("[default]\nbuilder = 1", "true or false"),
        (&format!("[default]\ngraffiti = \"{long}\""), "has 33 bytes"),
        ("[default", "line 1"),
        (&format!("[\"{KEY}\"]\n[\"{}\"]", KEY.replace('d', "D")), "twice"),
    ];
    for (text, expected) in refusals {
        let error = format!("{:#}", Settings::parse(text).unwrap_err());
        assert!(error.contains(expected), "{text}: {error}");
    }
}
