//! BLS signatures: the spec's own cases, and those of the bls12-381-tests generator for what lies below them.
//! Formats: tests/formats/bls, and the README of bls12-381-tests.

use std::fmt;

use crypto::bls::{
    self, BlsError, PublicKey, SecretKey, Signature, SignatureSet, aggregate_verify, eth_aggregate_pubkeys,
    eth_fast_aggregate_verify, fast_aggregate_verify, hash_to_g2, verify, verify_signature_sets,
};
use serde_json::json;

use crate::yaml::{Yaml, hex};
use crate::{Case, Failure, NamedRule, Outcome, Verdict};

pub(super) const HANDLERS: &[&str] = &[
    "aggregate",
    "aggregate_verify",
    "batch_verify",
    "deserialization_G1",
    "deserialization_G2",
    "eth_aggregate_pubkeys",
    "eth_fast_aggregate_verify",
    "fast_aggregate_verify",
    "hash_to_G2",
    "sign",
    "verify",
];

/// The tag of RFC 9380's own test vectors, which the generator uses for `hash_to_G2`.
const HASH_TO_G2_DST: &[u8] = b"QUUX-V01-CS02-with-BLS12381G2_XMD:SHA-256_SSWU_RO_";

/// Why bytes of a case are no key, signature or message.
enum Refusal {
    Length { expected: usize, found: usize },
    Bls(BlsError),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Length { expected, found } => write!(f, "{found} bytes where {expected} are expected"),
            Refusal::Bls(error) => error.fmt(f),
        }
    }
}

impl NamedRule for Refusal {
    fn rule(&self) -> String {
        match self {
            Refusal::Length { .. } => "Length".to_owned(),
            Refusal::Bls(error) => format!("{error:?}"),
        }
    }
}

impl From<BlsError> for Refusal {
    fn from(error: BlsError) -> Self {
        Refusal::Bls(error)
    }
}

type Checked<T> = Result<T, Refusal>;

pub(super) fn run(case: &Case) -> Outcome {
    let data = case.yaml("data.yaml")?;
    let (input, output) = (data.get("input")?, data.get("output")?);
    match case.path().handler() {
        "aggregate" => point_or_null(case, output, aggregate(input)?),
        "eth_aggregate_pubkeys" => {
            let keys: Checked<Vec<PublicKey>> = all(input, pubkey)?;
            point_or_null(
                case,
                output,
                keys.and_then(|keys| Ok(eth_aggregate_pubkeys(keys)?.to_vec())),
            )
        }
        "sign" => point_or_null(case, output, sign(input)?),
        "verify" => boolean(case, output, verify_one(input)?),
        "aggregate_verify" => boolean(case, output, verify_aggregate(input)?),
        "fast_aggregate_verify" => boolean(
            case,
            output,
            verify_fast(input, |keys, message, signature| {
                fast_aggregate_verify(keys, message, signature)
            })?,
        ),
        "eth_fast_aggregate_verify" => boolean(
            case,
            output,
            verify_fast(input, |keys, message, signature| {
                eth_fast_aggregate_verify(keys, message, signature)
            })?,
        ),
        "batch_verify" => boolean(case, output, verify_batch(input)?),
        "deserialization_G1" => boolean(case, output, is_g1(input)?),
        "deserialization_G2" => boolean(case, output, is_g2(input)?),
        "hash_to_G2" => hash_to_g2_case(case, input, output),
        other => Err(Failure::new(format!("no code for handler '{other}'"))),
    }
}

/// `output` is the expected point, or `null` where the input must be refused.
fn point_or_null(case: &Case, output: &Yaml, computed: Checked<Vec<u8>>) -> Outcome {
    match case.expect_validity("output", !output.is_null(), computed)? {
        Some(bytes) => case
            .expect_text("output", output, &hex(&bytes))
            .map(|()| Verdict::Valid),
        None => Ok(Verdict::Refused),
    }
}

/// `output` is whether the check must succeed; input that is refused does not.
fn boolean(case: &Case, output: &Yaml, computed: Checked<bool>) -> Outcome {
    let computed = computed.unwrap_or_else(|refusal| {
        case.refused(&refusal);
        false
    });
    case.expect_bool("output", output, computed).map(|()| Verdict::Valid)
}

fn fixed<const N: usize>(bytes: Vec<u8>) -> Checked<[u8; N]> {
    let found = bytes.len();
    bytes.try_into().map_err(|_| Refusal::Length { expected: N, found })
}

fn pubkey(bytes: Vec<u8>) -> Checked<PublicKey> {
    Ok(PublicKey::from_compressed(&fixed(bytes)?)?)
}

fn signature(bytes: Vec<u8>) -> Checked<Signature> {
    Ok(Signature::from_bytes(&fixed(bytes)?)?)
}

/// Reads each item of a list. The outer error is a broken case, the inner one a refused item.
fn all<T>(list: &Yaml, read: fn(Vec<u8>) -> Checked<T>) -> Result<Checked<Vec<T>>, Failure> {
    let items: Vec<Vec<u8>> = list.list()?.iter().map(Yaml::bytes).collect::<Result<_, _>>()?;
    Ok(items.into_iter().map(read).collect())
}

fn aggregate(input: &Yaml) -> Result<Checked<Vec<u8>>, Failure> {
    let signatures = all(input, signature)?;
    Ok(signatures.and_then(|signatures| Ok(bls::aggregate(signatures)?.to_bytes().to_vec())))
}

fn sign(input: &Yaml) -> Result<Checked<Vec<u8>>, Failure> {
    let (key, message) = (input.get("privkey")?.bytes()?, input.get("message")?.bytes()?);
    Ok(fixed(key).and_then(|key| Ok(SecretKey::from_bytes(&key)?.sign(&message).to_bytes().to_vec())))
}

fn verify_one(input: &Yaml) -> Result<Checked<bool>, Failure> {
    let key = pubkey(input.get("pubkey")?.bytes()?);
    let message = input.get("message")?.bytes()?;
    let signature = signature(input.get("signature")?.bytes()?);
    Ok(key.and_then(|key| Ok(verify(&key, &message, &signature?))))
}

fn verify_aggregate(input: &Yaml) -> Result<Checked<bool>, Failure> {
    let keys = all(input.get("pubkeys")?, pubkey)?;
    let messages: Vec<Vec<u8>> = input
        .get("messages")?
        .list()?
        .iter()
        .map(Yaml::bytes)
        .collect::<Result<_, _>>()?;
    let signature = signature(input.get("signature")?.bytes()?);
    Ok(keys.and_then(|keys| Ok(aggregate_verify(&keys, &messages, &signature?))))
}

fn verify_fast(input: &Yaml, verify: fn(Vec<PublicKey>, &[u8], &Signature) -> bool) -> Result<Checked<bool>, Failure> {
    let keys = all(input.get("pubkeys")?, pubkey)?;
    let message = input.get("message")?.bytes()?;
    let signature = signature(input.get("signature")?.bytes()?);
    Ok(keys.and_then(|keys| Ok(verify(keys, &message, &signature?))))
}

fn verify_batch(input: &Yaml) -> Result<Checked<bool>, Failure> {
    let keys = all(input.get("pubkeys")?, pubkey)?;
    let messages = all(input.get("messages")?, fixed::<32>)?;
    let signatures = all(input.get("signatures")?, signature)?;
    let count = |key: &str| Ok::<_, Failure>(input.get(key)?.list()?.len());
    if [count("messages")?, count("signatures")?] != [count("pubkeys")?; 2] {
        return Err(Failure::new("pubkeys, messages and signatures differ in number"));
    }
    Ok(keys.and_then(|keys| {
        let rest = messages?.into_iter().zip(signatures?);
        let sets = keys.into_iter().zip(rest);
        let sets = sets.map(|(pubkey, (message, signature))| SignatureSet {
            signature,
            pubkey,
            message,
        });
        Ok(verify_signature_sets(&sets.collect::<Vec<_>>()))
    }))
}

/// The generator counts infinity as a point; as a public key it is refused, by a rule of its own.
fn is_g1(input: &Yaml) -> Result<Checked<bool>, Failure> {
    Ok(match pubkey(input.get("pubkey")?.bytes()?) {
        Ok(_) | Err(Refusal::Bls(BlsError::Infinity)) => Ok(true),
        Err(refusal) => Err(refusal),
    })
}

/// A signature's subgroup is checked when it is verified, so here by hand.
fn is_g2(input: &Yaml) -> Result<Checked<bool>, Failure> {
    let signature = signature(input.get("signature")?.bytes()?);
    Ok(signature.and_then(|point| {
        if point.is_in_subgroup() {
            Ok(true)
        } else {
            Err(BlsError::NotInSubgroup.into())
        }
    }))
}

/// The message is text; the output has both parts of each coordinate, the real one first, where the encoding of points
/// has the imaginary one first.
fn hash_to_g2_case(case: &Case, input: &Yaml, output: &Yaml) -> Outcome {
    let point = hash_to_g2(input.get("msg")?.text()?.as_bytes(), HASH_TO_G2_DST);
    let part = |index: usize| hex(&point[48 * index..48 * (index + 1)]);
    let computed = json!({
        "x": format!("{},{}", part(1), part(0)),
        "y": format!("{},{}", part(3), part(2)),
    });
    case.expect_yaml("output", output, &computed).map(|()| Verdict::Valid)
}
