//! The routes against the specification: each endpoint of it is routed in the forms that it names, or stands in the list
//! of those left out with the reason.

use node::api::http::Format;
use node::api::router;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

/// Endpoints that are left out, all for the same reason: they are of Gloas, whose chains this version does not run.
const OF_GLOAS: [&str; 12] = [
    "GET /eth/v1/beacon/execution_payload_envelopes/{}",
    "GET /eth/v1/beacon/pool/payload_attestations",
    "GET /eth/v1/validator/execution_payload_bids/{}/{}",
    "GET /eth/v1/validator/execution_payload_envelopes/{}/{}",
    "GET /eth/v1/validator/payload_attestation_data",
    "GET /eth/v4/validator/blocks/{}",
    "POST /eth/v1/beacon/execution_payload_bids",
    "POST /eth/v1/beacon/execution_payload_envelopes",
    "POST /eth/v1/beacon/pool/payload_attestations",
    "POST /eth/v1/beacon/states/{}/builders",
    "POST /eth/v1/validator/duties/ptc/{}",
    "POST /eth/v1/validator/proposer_preferences",
];

/// Endpoints of earlier versions of the specification that are answered all the same: Lodestar's client uses them before
/// Electra.
const EARLIER: [&str; 3] = [
    "GET /eth/v1/validator/aggregate_attestation",
    "POST /eth/v1/beacon/pool/attestations",
    "POST /eth/v1/validator/aggregate_and_proofs",
];

/// Endpoints of our own, for what no specification has.
const OWN: [&str; 1] = ["GET /wren/v1/node/notices"];

/// The specification as it lies beside the repository; `None`, said aloud, where it does not.
fn specification() -> Option<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = root.join("../shared/openapi/beacon.json");
    if let Ok(text) = std::fs::read(&path) {
        return Some(serde_json::from_slice(&text).expect("the specification is JSON"));
    }
    let list = std::fs::read_to_string(root.join("tests/skips.txt")).expect("tests/skips.txt is there");
    let listed = list.lines().any(|line| line.starts_with("openapi: "));
    assert!(
        listed || std::env::var_os("CI").is_none(),
        "tests/skips.txt does not allow to skip this"
    );
    // Not by a macro, which the test runner would catch.
    writeln!(std::io::stderr(), "\nSKIPPED openapi: {} is not there", path.display()).expect("standard error is open");
    None
}

/// What stands behind a reference of the specification, or the value itself.
fn resolved<'a>(specification: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(place) => specification
            .pointer(place.trim_start_matches('#'))
            .expect("a reference leads somewhere"),
        None => value,
    }
}

/// The forms in a description of a body, which may be SSZ and JSON.
fn forms(body: &Value) -> Vec<Format> {
    [Format::Json, Format::Ssz]
        .into_iter()
        .filter(|format| !body["content"][format.media_type()].is_null())
        .collect()
}

/// Forms of request and answer by `METHOD /path`.
fn wanted(specification: &Value) -> BTreeMap<String, (Vec<Format>, Vec<Format>)> {
    let mut wanted = BTreeMap::new();
    for (path, operations) in specification["paths"].as_object().unwrap() {
        let pieces = path
            .split('/')
            .map(|piece| if piece.starts_with('{') { "{}" } else { piece });
        let path = pieces.collect::<Vec<_>>().join("/");
        for method in ["get", "post", "put", "delete"] {
            let operation = &operations[method];
            if operation.is_null() {
                continue;
            }
            let takes = forms(resolved(specification, &operation["requestBody"]));
            let gives = forms(resolved(specification, &operation["responses"]["200"]));
            wanted.insert(format!("{} {path}", method.to_uppercase()), (takes, gives));
        }
    }
    wanted
}

#[test]
fn every_endpoint_is_routed_in_the_forms_of_the_specification() {
    let Some(specification) = specification() else { return };
    let wanted = wanted(&specification);
    assert!(wanted.len() > 80, "{} endpoints are not the whole", wanted.len());
    let mut routed: BTreeMap<String, _> = BTreeMap::new();
    for route in router().described() {
        let twice = routed.insert(route.name.clone(), route);
        assert_eq!(twice, None, "routed twice");
    }
    for (name, (takes, gives)) in &wanted {
        let route = routed.remove(name);
        if OF_GLOAS.contains(&name.as_str()) {
            assert!(route.is_none(), "{name} is routed and stands among those left out");
            continue;
        }
        let route = route.unwrap_or_else(|| panic!("{name} is not routed"));
        for format in gives {
            assert!(route.gives.contains(format), "{name} is not answered as {format:?}");
        }
        for format in takes {
            assert!(route.takes.contains(format), "{name} does not take {format:?}");
        }
    }
    for name in OF_GLOAS {
        assert!(
            wanted.contains_key(name),
            "{name} is left out, and no endpoint of the specification"
        );
    }
    let more: Vec<&String> = routed.keys().collect();
    let known: Vec<&str> = EARLIER.into_iter().chain(OWN).collect();
    assert_eq!(more, known, "routed, and not in the specification");
}
