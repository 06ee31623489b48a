//! Requests to remote signers, held against the API's own description: every field that it names is there in its form, and
//! no other. What has come since that version is compared with what it knows of it.

use super::message::{Message, Network};
use super::request::body;
use super::tests::{Gloas, aggregate, config, contribution, header, vote};
use crate::tests::shared;
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::ssz::{Bytes, Root};
use consensus::types::{Epoch, Slot, ValidatorRegistrationV1, VoluntaryExit};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const ROOT: Root = Bytes([7; 32]);

/// The description with what is asked of it.
struct Description(Value);

impl Description {
    fn read() -> Option<Self> {
        let text = shared("remote-signing", "openapi/remote-signing.json")?;
        Some(Description(serde_json::from_str(&text).unwrap()))
    }

    fn schema(&self, name: &str) -> &Value {
        self.resolve(&format!("#/components/schemas/{name}"))
    }

    fn resolve(&self, reference: &str) -> &Value {
        let place = reference.strip_prefix('#').unwrap();
        self.0
            .pointer(place)
            .unwrap_or_else(|| panic!("there is no {reference}"))
    }

    fn request(&self) -> &Value {
        let place = "/paths/~1api~1v1~1eth2~1sign~1{identifier}/post/requestBody/content/application~1json/schema";
        self.0.pointer(place).unwrap()
    }

    /// What is wrong with a value, and where.
    fn problems(&self, schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
        if let Some(reference) = schema["$ref"].as_str() {
            return self.problems(self.resolve(reference), value, place, found);
        }
        if let Some(by) = schema["discriminator"]["propertyName"].as_str() {
            let name = value[by].as_str().unwrap_or("nothing");
            match schema["discriminator"]["mapping"][name].as_str() {
                Some(reference) => self.problems(self.resolve(reference), value, place, found),
                None => found.push(format!("{place}/{by}: {name} is not known")),
            }
            return;
        }
        let properties = self.properties(schema);
        if properties.is_empty() {
            return scalar_problems(schema, value, place, found);
        }
        let Some(object) = value.as_object() else {
            return found.push(format!("{place} is no object"));
        };
        for name in object.keys().filter(|name| !properties.contains_key(name.as_str())) {
            found.push(format!("{place}/{name} is not in the description"));
        }
        for (name, schema) in properties {
            match object.get(name) {
                Some(value) => self.problems(schema, value, &format!("{place}/{name}"), found),
                None => found.push(format!("{place}/{name} is missing")),
            }
        }
    }

    /// The properties of an object by all its parts.
    fn properties<'a>(&'a self, schema: &'a Value) -> BTreeMap<&'a str, &'a Value> {
        if let Some(reference) = schema["$ref"].as_str() {
            return self.properties(self.resolve(reference));
        }
        let own = schema["properties"].as_object().into_iter().flatten();
        let mut all: BTreeMap<&str, &Value> = own.map(|(name, schema)| (name.as_str(), schema)).collect();
        for part in schema["allOf"].as_array().into_iter().flatten() {
            all.extend(self.properties(part));
        }
        all
    }
}

fn scalar_problems(schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    let Some(text) = value.as_str().filter(|_| schema["type"] == "string") else {
        return found.push(format!("{place} is no {}: {value}", schema["type"]));
    };
    let words = schema["description"].as_str().unwrap_or_default();
    let bytes = match (words.strip_suffix(" hexadecimal"), schema["pattern"].as_str()) {
        (Some(name), _) => name.strip_prefix("Bytes").and_then(|count| count.parse::<usize>().ok()),
        (None, Some("^0x[a-fA-F0-9]{8}$")) => Some(4),
        (None, Some(other)) => panic!("the test does not know the pattern {other}"),
        (None, None) => None,
    };
    let digits = text.strip_prefix("0x").unwrap_or_default();
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if bytes.is_some_and(|bytes| !is_hex || digits.len() != 2 * bytes) {
        found.push(format!("{place} has not {bytes:?} bytes: {text}"));
    }
    if schema["format"] == "uint64" && text.parse::<u64>().is_err() {
        found.push(format!("{place} is no number: {text}"));
    }
    let allowed = schema["enum"].as_array();
    if allowed.is_some_and(|allowed| !allowed.contains(value)) {
        found.push(format!("{place} is {text}"));
    }
}

fn problems(description: &Description, schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    description.problems(schema, value, "", &mut found);
    found
}

/// The bodies of all kinds of messages up to Fulu, of one epoch.
fn bodies(epoch: Epoch) -> Vec<Value> {
    let slot = epoch * SLOTS_PER_EPOCH + 3;
    let (vote, header) = (vote(slot, 0), header(slot, 1));
    let (aggregate, contribution) = (aggregate(slot), contribution(slot));
    let exit = VoluntaryExit {
        epoch,
        validator_index: 4,
    };
    let registration = ValidatorRegistrationV1::default();
    let messages = [
        Message::Attestation(&vote),
        Message::Block {
            slot,
            block_header: &header,
        },
        Message::RandaoReveal(epoch),
        Message::SelectionProof(slot),
        Message::AggregateAndProof(&aggregate),
        Message::SyncCommitteeMessage {
            slot,
            beacon_block_root: ROOT,
        },
        Message::SyncSelectionProof {
            slot,
            subcommittee_index: 2,
        },
        Message::ContributionAndProof(&contribution),
        Message::VoluntaryExit(&exit),
        Message::ValidatorRegistration(&registration),
    ];
    messages.iter().map(|message| asked(message).unwrap()).collect()
}

fn asked(message: &Message<'_>) -> Result<Value, String> {
    let network = Network {
        config: config(),
        genesis_validators_root: ROOT,
    };
    Ok(serde_json::from_str(&body(message, &network, ROOT)?).unwrap())
}

/// Forks begin at the epochs 0, 10, 20, …: Bellatrix at 20, Deneb at 40, Fulu at 60.
#[test]
fn requests_are_what_the_description_says() {
    let Some(description) = Description::read() else { return };
    let request = description.request();
    let mut types = Vec::new();
    for epoch in [21, 31, 41] {
        for body in bodies(epoch) {
            assert_eq!(problems(&description, request, &body), [""; 0], "{body}");
            types.push(body["type"].as_str().unwrap().to_owned());
        }
    }
    types.sort();
    types.dedup();
    let known = request["discriminator"]["mapping"].as_object().unwrap();
    // A validator client signs no deposits, and BLOCK is the form of BLOCK_V2 before Altair.
    let unused = |name: &&String| !["BLOCK", "DEPOSIT"].contains(&name.as_str());
    assert_eq!(types, known.keys().filter(unused).cloned().collect::<Vec<_>>());
}

#[test]
fn what_came_after_the_description_is_formed_alike() {
    let Some(description) = Description::read() else { return };
    for (epoch, version) in [(51, "ELECTRA"), (61, "FULU"), (71, "GLOAS")] {
        let strange: Vec<(String, Value)> = bodies(epoch)
            .into_iter()
            .flat_map(|body| {
                let found = problems(&description, description.request(), &body);
                found.into_iter().map(move |problem| (problem, body.clone()))
            })
            .collect();
        let seen: Vec<&str> = strange.iter().map(|(problem, _)| problem.as_str()).collect();
        let block = format!("/beacon_block/version: {version} is not known");
        assert_eq!(seen, [&block, "/type: AGGREGATE_AND_PROOF_V2 is not known"]);
        let header = description.schema("BeaconBlockHeader");
        assert_eq!(
            problems(&description, header, &strange[0].1["beacon_block"]["block_header"]),
            [""; 0]
        );
        let wrapped = &strange[1].1["aggregate_and_proof"];
        assert_eq!(wrapped["version"], version);
        let message = description.schema("AggregateAndProof");
        let found = problems(&description, message, &wrapped["data"]);
        assert_eq!(found, ["/aggregate/committee_bits is not in the description"]);
        let signing = description.schema("Signing");
        assert_eq!(problems(&description, signing, &envelope(&strange[1].1)), [""; 0]);
    }
}

/// What all requests have in common.
fn envelope(body: &Value) -> Value {
    json!({"fork_info": body["fork_info"], "signingRoot": body["signingRoot"]})
}

#[test]
fn messages_of_gloas_have_their_version_beside_them() {
    let slot: Slot = 71 * SLOTS_PER_EPOCH;
    let gloas = Gloas::at(slot);
    let envelope_message = Message::ExecutionPayloadEnvelope {
        slot,
        envelope: &gloas.envelope,
    };
    let cases = [
        (
            Message::PayloadAttestation(&gloas.vote),
            "PAYLOAD_ATTESTATION_MESSAGE",
            json!({"slot": slot.to_string(), "payload_present": true, "blob_data_available": false}),
        ),
        (
            Message::ProposerPreferences(&gloas.preferences),
            "PROPOSER_PREFERENCES",
            json!({"proposal_slot": slot.to_string(), "validator_index": "9"}),
        ),
        (
            envelope_message,
            "EXECUTION_PAYLOAD_ENVELOPE",
            json!({"builder_index": "7"}),
        ),
        (
            Message::ExecutionPayloadBid(&gloas.bid),
            "EXECUTION_PAYLOAD_BID",
            json!({"slot": slot.to_string(), "value": "11"}),
        ),
    ];
    for (message, kind, fields) in cases {
        let body = asked(&message).unwrap();
        assert_eq!(body["type"], kind);
        let wrapped = &body[kind.to_lowercase()];
        assert_eq!(wrapped["version"], "GLOAS", "{body}");
        let expected: &Map<String, Value> = fields.as_object().unwrap();
        for (name, value) in expected {
            assert_eq!(wrapped["data"][name], *value, "{body}");
        }
        let fork = &body["fork_info"]["fork"];
        assert_eq!(fork["epoch"], "70");
        if let Some(description) = Description::read() {
            let signing = description.schema("Signing");
            assert_eq!(problems(&description, signing, &envelope(&body)), [""; 0]);
        }
    }
}

/// A comparison that finds nothing proves something only if it finds what is wrong.
#[test]
fn the_comparison_finds_what_is_wrong() {
    let Some(description) = Description::read() else { return };
    let good = bodies(41);
    let damage: [(usize, &str, Option<Value>); 6] = [
        (0, "/attestation/target/epoch", Some(json!(41))),
        (0, "/attestation/target/epoch", None),
        (1, "/beacon_block/block_header/state_root", Some(json!("0x12"))),
        (1, "/fork_info/fork/current_version", Some(json!("0x0g000000"))),
        (2, "/randao_reveal/epoch", Some(json!("one"))),
        (8, "/type", Some(json!("EXIT"))),
    ];
    for (at, place, value) in damage {
        let mut body = good[at].clone();
        let (parent, name) = place.rsplit_once('/').unwrap();
        let parent = body.pointer_mut(parent).and_then(Value::as_object_mut).unwrap();
        match value {
            Some(value) => parent.insert(name.into(), value),
            None => parent.remove(name),
        };
        let found = problems(&description, description.request(), &body);
        assert!(!found.is_empty(), "{place}: {body}");
    }
}
