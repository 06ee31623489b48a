use super::registry::{TYPES, find};
use super::*;
use crate::Fork;
use crate::preset::*;
use crate::ssz::{Bound, Ssz};
use std::collections::HashSet;

#[test]
fn every_default_survives_bytes_and_json() {
    let mut checked = 0;
    for info in TYPES {
        for fork in Fork::ALL.into_iter().filter(|fork| info.exists_at(*fork)) {
            let what = format!("{} at {}", info.name, fork.name());
            let value = (info.default)(fork);
            let bytes = value.ssz_bytes(fork);
            assert_eq!(bytes.len(), value.ssz_len(fork), "{what}");
            if let Some(length) = (info.fixed_len)(fork) {
                assert_eq!(bytes.len(), length, "{what}");
            }
            let decoded = (info.decode)(&bytes, fork).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(decoded.ssz_bytes(fork), bytes, "{what}");
            assert_eq!(decoded.ssz_root(fork), value.ssz_root(fork), "{what}");

            let json = serde_json::from_str(&value.json(fork)).unwrap_or_else(|error| panic!("{what}: {error}"));
            let read = (info.from_json)(&json, fork).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(read.ssz_bytes(fork), bytes, "{what}");
            checked += 1;
        }
    }
    assert!(checked > 400, "only {checked} pairs of container and fork were checked");
}

#[test]
fn truncated_and_padded_defaults_are_refused() {
    for info in TYPES {
        for fork in Fork::ALL.into_iter().filter(|fork| info.exists_at(*fork)) {
            let mut bytes = (info.default)(fork).ssz_bytes(fork);
            let short = (info.decode)(&bytes[..bytes.len() - 1], fork);
            assert!(
                short.is_err(),
                "{} at {} was read from too few bytes",
                info.name,
                fork.name()
            );
            if (info.fixed_len)(fork).is_some() {
                bytes.push(0);
                let long = (info.decode)(&bytes, fork);
                assert!(
                    long.is_err(),
                    "{} at {} was read from too many bytes",
                    info.name,
                    fork.name()
                );
            }
        }
    }
}

#[test]
fn names_are_found_once_and_in_their_forks() {
    let names: HashSet<_> = TYPES.iter().map(|info| info.name).collect();
    assert_eq!(names.len(), TYPES.len());
    assert!(find("ForkInfo").is_none());
    assert_eq!(
        (find("Fork").expect("the spec's name").fixed_len)(Fork::Phase0),
        Some(16)
    );
    let pending = find("PendingAttestation").expect("a phase0 container");
    assert!(pending.exists_at(Fork::Phase0) && !pending.exists_at(Fork::Altair));
    let bid = find("ExecutionPayloadBid").expect("a Gloas container");
    assert!(!bid.exists_at(Fork::Fulu) && bid.exists_at(Fork::Gloas));
}

/// The sizes that the p2p specs give for the largest message of a type, reached from our empty one.
#[test]
fn largest_messages_have_the_size_that_the_spec_gives() {
    let fork = Fork::Gloas;
    let empty = |name| (find(name).expect("a container of Gloas").default)(fork).ssz_len(fork) as u64;
    let cells = MAX_BLOB_COMMITMENTS_PER_BLOCK * (BYTES_PER_CELL + 48);
    assert_eq!(empty("DataColumnSidecar") + cells, MAX_DATA_COLUMN_SIDECAR_SIZE);
    let bitmap = MAX_BLOB_COMMITMENTS_PER_BLOCK / 8;
    assert_eq!(
        empty("PartialDataColumnSidecar") + bitmap + cells,
        MAX_PARTIAL_DATA_COLUMN_SIDECAR_SIZE
    );
    let commitments = MAX_BLOB_COMMITMENTS_PER_BLOCK * 48;
    assert_eq!(
        empty("SignedExecutionPayloadBid") + commitments,
        MAX_SIGNED_EXECUTION_PAYLOAD_BID_SIZE
    );
    let indices = 2 * MAX_VALIDATORS_PER_SLOT * 8;
    assert_eq!(empty("AttesterSlashing") + indices, MAX_ATTESTER_SLASHING_SIZE);
    let bits = MAX_VALIDATORS_PER_SLOT / 8;
    assert_eq!(
        empty("SignedAggregateAndProof") + bits,
        MAX_SIGNED_AGGREGATE_AND_PROOF_SIZE
    );
}

#[test]
fn versions_of_p2p_containers_are_forks() {
    let status = |fork| Status::fixed_len(fork, &[]);
    assert_eq!((status(Fork::Phase0), status(Fork::Fulu)), (Some(84), Some(92)));
    let metadata = |fork| MetaData::fixed_len(fork, &[]);
    assert_eq!(
        (metadata(Fork::Phase0), metadata(Fork::Altair), metadata(Fork::Fulu)),
        (Some(16), Some(17), Some(25))
    );
}

/// What a builder API rests on: signing the blinded block signs the full one.
#[test]
fn a_blinded_body_has_the_root_of_the_full_one() {
    for fork in [Fork::Bellatrix, Fork::Capella, Fork::Deneb, Fork::Electra, Fork::Fulu] {
        let mut body = BeaconBlockBody::new(fork);
        body.graffiti = Bytes32::from([7; 32]);
        body.execution_payload.block_number = 9;
        let payload = &body.execution_payload;
        let header = ExecutionPayloadHeader {
            logs_bloom: payload.logs_bloom,
            block_number: payload.block_number,
            transactions_root: payload.transactions.root(
                fork,
                &[
                    Bound::Fixed(MAX_TRANSACTIONS_PER_PAYLOAD),
                    Bound::Fixed(MAX_BYTES_PER_TRANSACTION),
                ],
            ),
            withdrawals_root: payload
                .withdrawals
                .root(fork, &[Bound::Fixed(MAX_WITHDRAWALS_PER_PAYLOAD)]),
            ..ExecutionPayloadHeader::new(fork)
        };
        let blinded = BlindedBeaconBlockBody {
            graffiti: body.graffiti,
            execution_payload_header: header,
            ..BlindedBeaconBlockBody::new(fork)
        };
        assert_eq!(
            blinded.hash_tree_root(fork),
            body.hash_tree_root(fork),
            "{}",
            fork.name()
        );
    }
}
