//! Routes of our own, by which `wren keys`, `wren slashing export` and `wren exit` work on a running client; and the
//! standard's signing of exits.

use super::Keymanager;
use super::answer::{Answer, Problem, data, empty};
use super::keystores::Pubkeys;
use super::routes::{read, read_keys};
use crate::beacon::{Ask, Need, Unanswered, ValidatorInfo};
use crate::context::Context;
use crate::interchange::Interchange;
use crate::keys::MAX_KEYS;
use crate::settings::to_checksum;
use crate::slashing_protection::{KeyRecord, KeyState};
use crate::validators::fetch;
use consensus::Fork;
use consensus::ssz::Json;
use consensus::types::{BLSPubkey, Epoch};
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// All keys with what the record, the settings and the chain say of them.
pub(super) async fn list(keymanager: &Keymanager) -> Answer {
    let records = keymanager
        .change(|signer| {
            let keys = signer.keys().into_iter();
            keys.map(|view| Ok((signer.protection().key(&view.pubkey)?, view)))
                .collect::<anyhow::Result<Vec<_>>>()
        })
        .await?;
    let keys: Vec<BLSPubkey> = records.iter().map(|(_, view)| view.pubkey).collect();
    let ctx = keymanager.context();
    let validators = match &ctx {
        Some(ctx) => known(ctx, &keys).await,
        None => BTreeMap::new(),
    };
    let entry = |(record, view): (Option<KeyRecord>, crate::signer::KeyView)| {
        let fee_recipient = keymanager.signer.settings(&view.pubkey).fee_recipient;
        let history = record.map(|record| record.history).unwrap_or_default();
        let number = |number: Option<u64>| number.map(|number| number.to_string());
        let info = validators.get(&view.pubkey);
        json!({
            "pubkey": view.pubkey.to_string(), "remote_signer": view.remote,
            "state": state_name(view.state), "why": view.why,
            "waits_for_node": ctx.is_none(),
            "may_sign": ctx.as_ref().is_some_and(|ctx| ctx.gate.may_sign(&view.pubkey)),
            "last_block": number(history.last_block), "last_source": number(history.last_source),
            "last_target": number(history.last_target),
            "fee_recipient": fee_recipient.map(|address| to_checksum(&address)),
            "index": info.map(|info| info.index.to_string()), "status": info.map(|info| info.status.to_string()),
            "balance": info.map(|info| info.balance.to_string()),
        })
    };
    Ok(data(Value::from(records.into_iter().map(entry).collect::<Vec<_>>())))
}

/// What the chain says of keys now, or said when they were last asked about for their duties, where no node answers.
async fn known(ctx: &Context, keys: &[BLSPubkey]) -> BTreeMap<BLSPubkey, ValidatorInfo> {
    let found = match ask(ctx, keys).await {
        Ok(found) => found,
        Err(error) => {
            tracing::debug!("keys are listed as they were known before: {error}");
            ctx.validators.borrow().iter().copied().collect()
        }
    };
    found.into_iter().map(|info| (info.pubkey, info)).collect()
}

async fn ask(ctx: &Context, keys: &[BLSPubkey]) -> Result<Vec<ValidatorInfo>, Unanswered> {
    let now = ctx.clock.now();
    let ask = Ask {
        within: super::STANDING_WITHIN,
        ..ctx.ask("the keys' validators", Need::Head, now.slot, 0)
    };
    fetch(&ctx.nodes, ask, keys).await
}

/// The name of a state on the wire.
pub(super) fn state_name(state: KeyState) -> &'static str {
    match state {
        KeyState::Enabled => "enabled",
        KeyState::Unvouched => "unvouched",
        KeyState::Stopped => "stopped",
        KeyState::Absent => "absent",
    }
}

/// What keys have signed; of all that the database knows where none is named.
pub(super) async fn export(keymanager: &Keymanager, body: &[u8]) -> Answer {
    let keys = read_keys(&read::<Pubkeys>(body)?.pubkeys, MAX_KEYS)?;
    let history = keymanager
        .change(move |signer| {
            let database = signer.protection();
            let all = || {
                database
                    .keys()
                    .map(|records| records.iter().map(|record| record.pubkey).collect())
            };
            let keys: Vec<BLSPubkey> = if keys.is_empty() { all()? } else { keys };
            Interchange::export(database, &keys)
        })
        .await?;
    Ok(data(Value::from(history.to_json())))
}

/// Lets a key sign on the operator's word. Doppelganger protection listens first.
pub(super) async fn enable(keymanager: &Keymanager, key: &BLSPubkey) -> Answer {
    let key = *key;
    keymanager.change(move |signer| signer.enable(&key)).await?;
    Ok(empty(StatusCode::ACCEPTED))
}

#[derive(Deserialize)]
struct Stop {
    why: String,
}

/// Stops a key until the operator enables it, and gives its history.
pub(super) async fn stop(keymanager: &Keymanager, key: &BLSPubkey, body: &[u8]) -> Answer {
    let why: String = read::<Stop>(body)?
        .why
        .chars()
        .filter(|c| !c.is_control())
        .take(500)
        .collect();
    let key = *key;
    let history = keymanager
        .change(move |signer| signer.stop_with_history(&key, KeyState::Stopped, &why))
        .await?;
    Ok(data(Value::from(history.to_json())))
}

/// Spec: keymanager-APIs, `signVoluntaryExit`.
pub(super) async fn sign_exit(keymanager: &Keymanager, key: &BLSPubkey, query: &str) -> Answer {
    let epoch = query.split('&').find_map(|pair| pair.strip_prefix("epoch="));
    let epoch: Option<Epoch> = match epoch {
        Some(text) => {
            let wrong = || Problem::bad(format!("epoch: '{:.40}' is no epoch", text.escape_debug()));
            Some(text.parse().map_err(|_| wrong())?)
        }
        None => None,
    };
    let ctx = keymanager.needed_context()?;
    let epoch = epoch.unwrap_or_else(|| ctx.clock.now().epoch);
    let capella = keymanager.signer.config().fork_epoch(Fork::Capella);
    if epoch < capella {
        return Err(Problem::bad(format!(
            "exits are signed for epochs from Capella on, here {capella}"
        )));
    }
    let standing = ctx.validators.borrow().get(key).map(|info| info.index);
    let index = match standing {
        Some(index) => index,
        None => index_of(&ctx, key).await?,
    };
    let signed = keymanager.signer.sign_exit(key, index, epoch).await;
    let signed = signed.map_err(|error| Problem::internal(format!("{error:#}")))?;
    tracing::warn!("the exit of validator {index} was signed for whoever asked at the keymanager API");
    let value: Value =
        serde_json::from_str(&signed.to_json(Fork::Capella)).map_err(|error| Problem::internal(error.to_string()))?;
    Ok(data(value))
}

/// The index of a key that has no duties here, as a stopped one.
async fn index_of(ctx: &Context, key: &BLSPubkey) -> Result<u64, Problem> {
    let found = ask(ctx, &[*key]).await;
    let found = found.map_err(|error| Problem::internal(error.to_string()))?;
    let info = found.into_iter().find(|info| info.pubkey == *key);
    info.map(|info| info.index).ok_or_else(|| {
        Problem::bad(format!(
            "the chain does not know the key {key}: it has no validator to exit"
        ))
    })
}
