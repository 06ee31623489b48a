//! Shapes against the examples of the execution-apis documents, and what is refused.

use super::*;
use consensus::types::DepositRequest;

const HASH: &str = "0x3559e851470f6e7bbed1db474980683e8c315bfce99b2a6ef47c057c04de7858";
const PARENT: &str = "0x3b8fb240d288781d4aac94d3fd16809ee413bc99294a085798a589dae51ddd4a";
const ADDRESS: &str = "0xa94f5374fce5edbc8e2a8697c15331677e6ebf0b";
const RANDAO: &str = "0xc130d5e63c61c935f6089e61140ca9136172677cf6aa5800dcc1cf0a02152a14";

/// The payload of the examples of `engine_newPayload`, in the form of `fork`.
fn example(fork: Fork) -> Value {
    let mut payload = json!({
        "parentHash": PARENT,
        "feeRecipient": ADDRESS,
        "stateRoot": "0xca3149fa9e37db08d1cd49c9061db1002ef1cd58db2210f2115c8c989b2bdf45",
        "receiptsRoot": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
        "logsBloom": format!("0x{}", "00".repeat(256)),
        "prevRandao": RANDAO,
        "blockNumber": "0x112720f",
        "gasLimit": "0x1c9c380",
        "gasUsed": "0xbad2e8",
        "timestamp": "0x64e7785b",
        "extraData": "0x",
        "baseFeePerGas": "0x7",
        "blockHash": HASH,
        "transactions": ["0x03f88f", "0x02"],
    });
    if fork >= Fork::Capella {
        payload["withdrawals"] = json!([
            { "index": "0xf0", "validatorIndex": "0xf0", "address": "0x00000000000000000000000000000000000010f0",
              "amount": "0x1" },
            { "index": "0xf1", "validatorIndex": "0xf1", "address": "0x00000000000000000000000000000000000010f1",
              "amount": "0x1" },
        ]);
    }
    if fork >= Fork::Deneb {
        payload["blobGasUsed"] = json!("0x60000");
        payload["excessBlobGas"] = json!("0x0");
    }
    payload
}

const PAYLOAD_FORKS: [Fork; 5] = [Fork::Bellatrix, Fork::Capella, Fork::Deneb, Fork::Electra, Fork::Fulu];

#[test]
fn payloads_have_the_shape_of_their_fork() {
    for fork in PAYLOAD_FORKS {
        let value = example(fork);
        let read = read_payload(fork, &value).unwrap_or_else(|error| panic!("{fork}: {error}"));
        assert_eq!(payload(fork, &read), value, "{fork}");
    }
    let read = read_payload(Fork::Deneb, &example(Fork::Deneb)).unwrap();
    assert_eq!(read.block_number, 0x112_720f);
    assert_eq!(read.base_fee_per_gas, U256::from(7));
    assert_eq!(read.block_hash.to_string(), HASH);
    assert_eq!(read.withdrawals[1].validator_index, 0xf1);
    assert_eq!(read.blob_gas_used, 0x60000);
    assert_eq!(read.transactions[1].0, [2]);
}

#[test]
fn forkchoice_and_attributes_have_the_documented_shape() {
    let state = json!({ "headBlockHash": HASH, "safeBlockHash": HASH, "finalizedBlockHash": PARENT });
    assert_eq!(forkchoice(&read_forkchoice(&state).unwrap()), state);
    let mut attributes_json = json!({
        "timestamp": "0x64e7785b",
        "prevRandao": RANDAO,
        "suggestedFeeRecipient": ADDRESS,
    });
    let first = read_attributes(&attributes_json).unwrap();
    assert_eq!((&first.withdrawals, first.parent_beacon_block_root), (&None, None));
    assert_eq!(attributes(&first), attributes_json);
    attributes_json["withdrawals"] = example(Fork::Capella)["withdrawals"].clone();
    assert_eq!(attributes(&read_attributes(&attributes_json).unwrap()), attributes_json);
    attributes_json["parentBeaconBlockRoot"] = json!(PARENT);
    assert_eq!(attributes(&read_attributes(&attributes_json).unwrap()), attributes_json);

    let answer = json!({
        "payloadStatus": { "status": "VALID", "latestValidHash": HASH, "validationError": null },
        "payloadId": "0x0000000021f32cc1",
    });
    let (read, id) = read_updated(&answer).unwrap();
    assert_eq!(
        (read.status, id.unwrap().0),
        (Status::Valid, [0, 0, 0, 0, 0x21, 0xf3, 0x2c, 0xc1])
    );
    assert_eq!(updated(&read, id), answer);
    let syncing = json!({
        "payloadStatus": { "status": "SYNCING", "latestValidHash": null, "validationError": null },
        "payloadId": null,
    });
    let (read, id) = read_updated(&syncing).unwrap();
    assert_eq!(updated(&read, id), syncing);
    // Fields that are null may be left out.
    let bare = json!({ "status": "INVALID_BLOCK_HASH" });
    assert_eq!(
        read_status(&bare).unwrap(),
        PayloadStatus::plain(Status::InvalidBlockHash)
    );
    assert!(read_status(&json!({ "status": "FINE" })).unwrap_err().contains("FINE"));
}

#[test]
fn blobs_come_with_the_proofs_of_their_fork() {
    let blob = data(&vec![1; BYTES_PER_BLOB as usize]);
    let proof = data(&[2; 48]);
    let cells: Vec<Value> = vec![proof.clone(); 128];
    let bundle_json =
        |proofs: &Vec<Value>| json!({ "commitments": [data(&[3; 48])], "proofs": proofs, "blobs": [blob] });
    let one = vec![proof.clone()];
    for (fork, right, wrong) in [(Fork::Electra, &one, &cells), (Fork::Fulu, &cells, &one)] {
        let read = read_bundle(fork, &bundle_json(right)).unwrap();
        assert_eq!(bundle(&read), bundle_json(right));
        let error = read_bundle(fork, &bundle_json(wrong)).unwrap_err();
        assert!(error.contains("1 blobs with 1 commitments"), "{error}");
    }
    let short = json!({ "commitments": [data(&[3; 48])], "proofs": one, "blobs": ["0x00"] });
    assert!(
        read_bundle(Fork::Deneb, &short)
            .unwrap_err()
            .contains("a blob of 1 bytes")
    );

    let first = json!([{ "blob": blob, "proof": proof }, null]);
    let read = read_blobs(Fork::Electra, &first, 2).unwrap();
    assert!(read[1].is_none());
    assert_eq!(blob_and_proofs(Fork::Electra, read[0].as_ref().unwrap()), first[0]);
    let second = json!([{ "blob": blob, "proofs": cells }]);
    let read = read_blobs(Fork::Fulu, &second, 1).unwrap();
    assert_eq!(blob_and_proofs(Fork::Fulu, read[0].as_ref().unwrap()), second[0]);
    assert_eq!(read_blobs(Fork::Fulu, &Value::Null, 3).unwrap(), vec![None; 3]);
    assert!(
        read_blobs(Fork::Fulu, &second, 2)
            .unwrap_err()
            .contains("1 blobs for 2 hashes")
    );
    assert!(read_blobs(Fork::Fulu, &first, 2).is_err());
}

#[test]
fn requests_are_typed_ordered_and_not_empty() {
    let requests_value = ExecutionRequests {
        deposits: vec![
            DepositRequest {
                amount: 5,
                ..DepositRequest::default()
            };
            2
        ],
        ..ExecutionRequests::default()
    };
    let list = consensus::transition::get_execution_requests_list(Fork::Electra, &requests_value);
    assert_eq!(read_requests(Fork::Electra, &requests(&list)).unwrap(), requests_value);
    assert_eq!(
        read_requests(Fork::Electra, &json!([])).unwrap(),
        ExecutionRequests::default()
    );
    let withdrawal = format!("0x01{}", "00".repeat(76));
    let deposit = format!("0x00{}", "00".repeat(192));
    let refused = |value: Value| read_requests(Fork::Electra, &value).unwrap_err();
    assert!(refused(json!([withdrawal, deposit])).contains("type 0 after others of type 1"));
    assert!(refused(json!([deposit, deposit])).contains("type 0 after others of type 0"));
    assert!(refused(json!(["0x00"])).contains("without any"));
    assert!(refused(json!(["0x"])).contains("without any"));
    assert!(refused(json!(["0x07ff"])).contains("type 7"));
    assert!(
        !refused(json!([format!("0x01{}", "00".repeat(75))])).is_empty(),
        "no whole request"
    );
    assert!(
        !refused(json!([format!("0x01{}", "00".repeat(76 * 17))])).is_empty(),
        "17 of at most 16"
    );
}

#[test]
fn numbers_and_bytes_are_written_in_one_way() {
    for (text, value) in [
        ("0x0", 0),
        ("0x41", 65),
        ("0x400", 1024),
        ("0xffffffffffffffff", u64::MAX),
    ] {
        assert_eq!(number(&json!(text)), Ok(value));
        assert_eq!(quantity(value), json!(text));
        assert_eq!(big_quantity(&U256::from(value)), json!(text));
    }
    assert_eq!(number(&json!("0xFF")), Ok(255));
    for wrong in ["0x", "0x0400", "ff", "0xfg", "0x10000000000000000", "", "0x-1", "0x+1"] {
        assert!(number(&json!(wrong)).is_err(), "{wrong}");
    }
    assert!(big_number(&json!(format!("0x{}", "f".repeat(65)))).is_err());
    assert_eq!(big_number(&json!(format!("0x{}", "f".repeat(64)))), Ok(U256::MAX));
    assert_eq!(bytes(&json!("0x004200"), 3), Ok(vec![0, 0x42, 0]));
    assert_eq!(bytes(&json!("0x"), 0), Ok(Vec::new()));
    for wrong in [
        json!("0xf0f0f"),
        json!("004200"),
        json!("0x00zz"),
        json!(7),
        json!(null),
        json!("0x00000000"),
    ] {
        assert!(bytes(&wrong, 3).is_err(), "{wrong}");
    }
    assert!(
        fixed::<4>(&json!("0x000000"))
            .unwrap_err()
            .contains("3 bytes, expected 4")
    );
}

/// Every field of a payload, missing, of another kind, too long: an error that names it.
#[test]
fn payloads_that_are_none_are_refused_by_field() {
    for fork in PAYLOAD_FORKS {
        let good = example(fork);
        for name in good.as_object().unwrap().keys() {
            for wrong in [
                json!(null),
                json!(5),
                json!({}),
                json!("0x0000000000000000000000000000000000x"),
            ] {
                let mut bad = good.clone();
                bad[name] = wrong;
                let error = read_payload(fork, &bad).unwrap_err();
                assert!(error.contains(name.as_str()), "{fork}, {name}: {error}");
            }
        }
    }
    let later = read_payload(Fork::Capella, &example(Fork::Deneb)).unwrap_err();
    assert!(later.contains("blobGasUsed is there"), "{later}");
    let mut many = example(Fork::Capella);
    let count = MAX_WITHDRAWALS_PER_PAYLOAD as usize + 1;
    many["withdrawals"] = vec![many["withdrawals"][0].clone(); count].into();
    let expected = format!("{count} items, at most {MAX_WITHDRAWALS_PER_PAYLOAD}");
    let error = read_payload(Fork::Capella, &many).unwrap_err();
    assert!(error.contains(&expected), "{error}");
    let mut long = example(Fork::Fulu);
    long["extraData"] = data(&[0; 33]);
    assert!(
        read_payload(Fork::Fulu, &long)
            .unwrap_err()
            .contains("33 bytes, at most 32")
    );
}

#[test]
fn texts_that_would_blow_up_are_refused() {
    let many = format!("[{}0]", "0,".repeat(MAX_VALUES));
    assert!(parse(many.as_bytes()).unwrap_err().contains("values"));
    assert!(parse("[".repeat(1000).as_bytes()).is_err());
    assert!(parse(b"\xff\xfe").is_err());
    assert!(parse(b"").is_err());
    assert_eq!(words("a\nb\u{1b}[31m"), "a b [31m");
    assert_eq!(words(&"x".repeat(10_000)).len(), MAX_WORDS);
}
