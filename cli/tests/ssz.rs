//! `wren ssz` on objects that it makes itself.

use crate::{Scratch, wren, wren_fails, wren_ok};

const BLOCK: [&str; 4] = ["--type", "SignedBeaconBlock", "--fork", "fulu"];

/// `wren ssz VERB` on a type, with further arguments.
fn ssz<'a>(verb: &'a str, of: &[&'a str], rest: &[&'a str]) -> Vec<&'a str> {
    [&["ssz", verb], of, rest].concat()
}

#[test]
fn version_names_preset_commit_and_spec() {
    let preset = if cfg!(feature = "minimal") {
        "minimal preset"
    } else {
        "mainnet preset"
    };
    let text = wren_ok(&["--version"]);
    assert!(text.starts_with("wren 0."), "{text}");
    for part in [preset, "commit ", "consensus-specs v1.7.0-alpha.13"] {
        assert!(text.contains(part), "'{part}' is not in: {text}");
    }
}

/// SSZ to JSON to snappy and back, by files and by standard input: always the same root.
#[test]
fn every_format_has_the_same_root() {
    let scratch = Scratch::new("formats");
    let [plain, packed, json] = ["a.ssz", "a.ssz_snappy", "a.json"].map(|name| scratch.path(name));
    wren_ok(&ssz("new", &BLOCK, &["--output", &plain]));
    let expected = wren_ok(&ssz("root", &BLOCK, &[&plain]));
    assert!(expected.starts_with("0x") && expected.len() == 67, "{expected}");

    let text = wren_ok(&ssz("json", &BLOCK, &[&plain]));
    std::fs::write(&json, &text).expect("the scratch folder can be written");
    wren_ok(&ssz("encode", &BLOCK, &[&json, "--output", &packed]));
    for file in [&json, &packed] {
        assert_eq!(wren_ok(&ssz("root", &BLOCK, &[file])), expected);
    }
    let bytes = std::fs::read(&plain).expect("the file was written");
    let output = wren(&ssz("encode", &BLOCK, &["-"]), &bytes);
    assert_eq!(output.stdout, bytes);
    let enveloped = format!("{{\"version\":\"fulu\",\"data\":{text}}}");
    let output = wren(&ssz("root", &BLOCK, &["-", "--format", "json"]), enveloped.as_bytes());
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    let said = wren_fails(
        3,
        &[
            "ssz", "root", "--type", BLOCK[1], "--fork", "deneb", "-", "--format", "json",
        ],
        enveloped.as_bytes(),
    );
    assert!(said.contains("it says it is of fulu; --fork says deneb"), "{said}");
}

#[test]
fn diff_names_the_fields_that_differ() {
    let scratch = Scratch::new("diff");
    let [before, after] = ["before.json", "after.json"].map(|name| scratch.path(name));
    wren_ok(&ssz("new", &BLOCK, &["--output", &scratch.path("new.ssz")]));
    let text = wren_ok(&ssz("json", &BLOCK, &[&scratch.path("new.ssz")]));
    let mut block: serde_json::Value = serde_json::from_str(&text).expect("`wren ssz json` prints JSON");
    std::fs::write(&before, &text).expect("the scratch folder can be written");
    block["message"]["slot"] = "7".into();
    block["message"]["body"]["execution_payload"]["transactions"] = serde_json::json!(["0x0102"]);
    block["message"]["body"]["execution_payload"]["logs_bloom"] = format!("0x{}ff", "00".repeat(255)).into();
    std::fs::write(&after, block.to_string()).expect("the scratch folder can be written");

    let output = wren(&ssz("diff", &BLOCK, &[&before, &after]), b"");
    assert_eq!(output.status.code(), Some(1));
    let expected = "message.slot\n  - 0\n  + 7\n\
        message.body.execution_payload.logs_bloom\n  - …00… (from byte 255 of 256)\n  + …ff… (from byte 255 of 256)\n\
        message.body.execution_payload.transactions[0]\n  - (not there)\n  + 0x0102\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    let output = wren(&ssz("diff", &BLOCK, &[&before, &after, "--limit", "1"]), b"");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "message.slot\n  - 0\n  + 7\nand 2 more (--limit)\n"
    );
    assert_eq!(wren_ok(&ssz("diff", &BLOCK, &[&before, &before])), "");
}

#[test]
fn decode_summarises_a_state() {
    let scratch = Scratch::new("decode");
    let file = scratch.path("state.ssz");
    let of = ["--type", "BeaconState", "--fork", "fulu"];
    wren_ok(&ssz("new", &of, &["--output", &file]));
    let text = wren_ok(&ssz("decode", &of, &[&file]));
    let length = std::fs::metadata(&file).expect("the file was written").len();
    assert!(text.contains(&format!("\nencoding  {length} bytes\n")), "{text}");
    let root = wren_ok(&ssz("root", &of, &[&file]));
    assert!(text.contains(&format!("\nroot      {root}")), "{text}");
    let slots = if cfg!(feature = "minimal") {
        "64 items"
    } else {
        "8192 items"
    };
    let line = text
        .lines()
        .find(|line| line.starts_with("block_roots "))
        .expect("a state has block_roots");
    assert!(line.ends_with(&format!(" {slots}")), "{line}");
    assert!(
        text.lines()
            .any(|line| line.starts_with("validators ") && line.ends_with(" 0 items")),
        "{text}"
    );
    assert!(
        text.lines()
            .any(|line| line.starts_with("  previous_version ") && line.ends_with(" 0x00000000")),
        "{text}"
    );
}

#[test]
fn wrong_names_are_answered_with_the_right_ones() {
    let said = wren_fails(2, &["ssz", "root", "--type", "BeaconSate", "--fork", "fulu", "-"], b"");
    assert!(
        said.contains("there is no type 'BeaconSate'") && said.contains(" BeaconState "),
        "{said}"
    );
    let said = wren_fails(
        2,
        &["ssz", "root", "--type", "BlobSidecar", "--fork", "gloas", "-"],
        b"",
    );
    assert!(said.contains("exists from deneb to electra"), "{said}");
    let said = wren_fails(
        2,
        &["ssz", "root", "--type", "BeaconState", "--fork", "foolu", "-"],
        b"",
    );
    assert!(said.contains("known are phase0, altair"), "{said}");
    assert!(wren_ok(&["ssz", "types", "--fork", "gloas"]).contains("ExecutionPayloadEnvelope\n"));
}

#[test]
fn damaged_input_is_refused_with_its_reason() {
    let said = wren_fails(3, &ssz("root", &BLOCK, &["-"]), b"\x01\x02\x03");
    assert!(
        said.contains("is no valid SignedBeaconBlock of fulu") && said.contains("ssz length"),
        "{said}"
    );
    // A header of five bytes that claims 4 GiB.
    let said = wren_fails(
        3,
        &ssz("root", &BLOCK, &["-", "--format", "snappy"]),
        b"\xff\xff\xff\xff\x0f",
    );
    assert!(said.contains("5 bytes cannot unpack to the 4294967295"), "{said}");
    let said = wren_fails(
        3,
        &ssz("root", &BLOCK, &["-", "--format", "snappy"]),
        b"\xff\x06\x00\x00sNaPpY",
    );
    assert!(said.contains("framed snappy"), "{said}");
    let said = wren_fails(
        3,
        &ssz("root", &BLOCK, &["-", "--format", "json"]),
        b"{\"message\": {}}",
    );
    assert!(said.contains("message"), "{said}");
    for verb in ["decode", "json"] {
        wren_fails(3, &ssz(verb, &BLOCK, &["-"]), b"");
    }
    let said = wren_fails(3, &ssz("diff", &BLOCK, &["-", "/dev/null"]), b"");
    assert!(said.contains("is no valid SignedBeaconBlock"), "{said}");
    let said = wren_fails(4, &ssz("root", &BLOCK, &["no-such-file.ssz"]), b"");
    assert!(said.contains("cannot read no-such-file.ssz"), "{said}");
}
