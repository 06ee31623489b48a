//! Fee recipient, gas limit, graffiti and builder of a key, kept in `validators.toml`.

use super::Keymanager;
use super::answer::{Answer, Problem, Reply, data, empty};
use super::routes::read;
use crate::prepare::DEFAULT_GAS_LIMIT;
use crate::settings::{Change, edit, parse_address, parse_graffiti, to_checksum};
use consensus::types::BLSPubkey;
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::json;

/// Writes changes of one key; they hold when this returns.
async fn set(keymanager: &Keymanager, key: &BLSPubkey, changes: Vec<Change>, status: StatusCode) -> Answer {
    let key = *key;
    keymanager
        .change(move |signer| {
            let changes: Vec<_> = changes.into_iter().map(|change| (key, change)).collect();
            signer.replace_settings(edit(signer.folder(), &changes)?);
            Ok(())
        })
        .await?;
    Ok(empty(status))
}

/// Takes a setting away. Spec: keymanager-APIs, `deleteFeeRecipient`, `deleteGasLimit`, `deleteGraffiti`.
pub(super) async fn unset(keymanager: &Keymanager, key: &BLSPubkey, name: &str) -> Answer {
    let changes = match name {
        "feerecipient" => vec![Change::FeeRecipient(None)],
        "gas_limit" => vec![Change::GasLimit(None)],
        "graffiti" => vec![Change::Graffiti(None)],
        _ => vec![Change::Builder(None), Change::BuilderBoostFactor(None)],
    };
    set(keymanager, key, changes, StatusCode::NO_CONTENT).await
}

/// Spec: keymanager-APIs, `listFeeRecipient`.
pub(super) fn fee_recipient(keymanager: &Keymanager, key: &BLSPubkey) -> Answer {
    let address = keymanager.signer.settings(key).fee_recipient;
    let none = || {
        Problem::not_found(format!(
            "no fee recipient is set for {key}: it does not propose on a public network"
        ))
    };
    let address = address.ok_or_else(none)?;
    Ok(data(
        json!({"pubkey": key.to_string(), "ethaddress": to_checksum(&address)}),
    ))
}

#[derive(Deserialize)]
struct FeeRecipient {
    ethaddress: String,
}

/// Spec: keymanager-APIs, `setFeeRecipient`.
pub(super) async fn set_fee_recipient(keymanager: &Keymanager, key: &BLSPubkey, body: &[u8]) -> Answer {
    let text = read::<FeeRecipient>(body)?.ethaddress;
    let address = parse_address(&text).map_err(|error| Problem::bad(format!("ethaddress: {error:#}")))?;
    if address.is_zero() {
        return Err(Problem::bad(
            "the zero address belongs to nobody: what goes there is lost",
        ));
    }
    set(
        keymanager,
        key,
        vec![Change::FeeRecipient(Some(address))],
        StatusCode::ACCEPTED,
    )
    .await
}

/// Spec: keymanager-APIs, `getGasLimit`.
pub(super) fn gas_limit(keymanager: &Keymanager, key: &BLSPubkey) -> Reply {
    let limit = keymanager.signer.settings(key).gas_limit.unwrap_or(DEFAULT_GAS_LIMIT);
    data(json!({"pubkey": key.to_string(), "gas_limit": limit.to_string()}))
}

#[derive(Deserialize)]
struct GasLimit {
    gas_limit: String,
}

/// Spec: keymanager-APIs, `setGasLimit`.
pub(super) async fn set_gas_limit(keymanager: &Keymanager, key: &BLSPubkey, body: &[u8]) -> Answer {
    let text = read::<GasLimit>(body)?.gas_limit;
    let limit = text
        .parse::<u64>()
        .ok()
        .filter(|limit| (1..=i64::MAX.unsigned_abs()).contains(limit));
    let wrong = || {
        Problem::bad(format!(
            "gas_limit: '{:.40}' is no gas limit, such as \"60000000\"",
            text.escape_debug()
        ))
    };
    let limit = limit.ok_or_else(wrong)?;
    set(
        keymanager,
        key,
        vec![Change::GasLimit(Some(limit))],
        StatusCode::ACCEPTED,
    )
    .await
}

/// Spec: keymanager-APIs, `getGraffiti`.
pub(super) fn graffiti(keymanager: &Keymanager, key: &BLSPubkey) -> Reply {
    let bytes = keymanager
        .signer
        .settings(key)
        .graffiti
        .map_or_else(Vec::new, |bytes| bytes.0.to_vec());
    let text = String::from_utf8_lossy(&bytes);
    data(json!({"pubkey": key.to_string(), "graffiti": text.trim_end_matches('\0')}))
}

#[derive(Deserialize)]
struct Graffiti {
    graffiti: String,
}

/// Spec: keymanager-APIs, `setGraffiti`.
pub(super) async fn set_graffiti(keymanager: &Keymanager, key: &BLSPubkey, body: &[u8]) -> Answer {
    let text = read::<Graffiti>(body)?.graffiti;
    parse_graffiti(&text).map_err(|error| Problem::bad(format!("graffiti: {error:#}")))?;
    set(
        keymanager,
        key,
        vec![Change::Graffiti(Some(text))],
        StatusCode::ACCEPTED,
    )
    .await
}

/// Of our own: whether builders may build this key's blocks, and what theirs are worth in percent of ours.
pub(super) fn builder(keymanager: &Keymanager, key: &BLSPubkey) -> Reply {
    let settings = keymanager.signer.settings(key);
    let factor = settings.builder_boost_factor.unwrap_or(100);
    data(json!({
        "pubkey": key.to_string(), "builder": settings.builder.unwrap_or(false),
        "builder_boost_factor": factor.to_string(),
    }))
}

#[derive(Deserialize)]
struct Builder {
    builder: Option<bool>,
    builder_boost_factor: Option<String>,
}

/// Of our own: sets what of the two is given.
pub(super) async fn set_builder(keymanager: &Keymanager, key: &BLSPubkey, body: &[u8]) -> Answer {
    let Builder {
        builder,
        builder_boost_factor,
    } = read(body)?;
    let mut changes: Vec<Change> = builder
        .map(|builder| Change::Builder(Some(builder)))
        .into_iter()
        .collect();
    if let Some(text) = builder_boost_factor {
        let factor = text.parse::<u64>().ok().filter(|factor| i64::try_from(*factor).is_ok());
        let factor =
            factor.ok_or_else(|| Problem::bad("builder_boost_factor: it must be a percentage, such as \"90\""))?;
        changes.push(Change::BuilderBoostFactor(Some(factor)));
    }
    if changes.is_empty() {
        return Err(Problem::bad("neither builder nor builder_boost_factor is given"));
    }
    set(keymanager, key, changes, StatusCode::ACCEPTED).await
}
