//! Reading the bodies of requests: parsed by a worker, since a list of a hundred thousand validators takes a while.

use super::ApiContext;
use super::beacon::read_ids;
use super::http::{Call, Error, Format, Payload, excerpt, read_number};
use super::ids::ValidatorId;
use crate::work::Lane;
use consensus::Fork;
use consensus::ssz::{Bound, Json, Ssz};
use consensus::types::ValidatorIndex;
use serde_json::Value;

/// Parses the call's JSON body and reads it with `read`, on a worker. An empty body is null.
pub(super) async fn json<T: Send + 'static>(
    context: &ApiContext,
    call: &mut Call,
    read: impl FnOnce(&Value) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let payload = std::mem::take(&mut call.payload);
    context.work(move || read(&parse(&payload)?)).await?
}

fn parse(payload: &Payload) -> Result<Value, Error> {
    if payload.bytes.is_empty() {
        return Ok(Value::Null);
    }
    // Nesting is bounded by the parser, size by the route.
    serde_json::from_slice(&payload.bytes).map_err(|error| Error::bad_request(format!("the body is no JSON: {error}")))
}

fn is_not(wanted: &str) -> Error {
    Error::bad_request(format!("the body is not {wanted}"))
}

/// The texts of an array.
fn texts(value: &Value) -> Option<Vec<&str>> {
    value.as_array()?.iter().map(Value::as_str).collect()
}

/// The texts of an array that an object may have as a member; none where it is left out or null.
pub(super) fn optional_texts<'a>(object: &'a Value, name: &str) -> Result<Vec<&'a str>, Error> {
    let object = object.as_object().ok_or_else(|| is_not("a JSON object"))?;
    match object.get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(list) => texts(list).ok_or_else(|| Error::bad_request(format!("'{name}' is not an array of strings"))),
    }
}

/// The body as a list of validators by index or key; none where there is no body.
pub(super) async fn ids(context: &ApiContext, call: &mut Call) -> Result<Vec<ValidatorId>, Error> {
    if call.payload.bytes.is_empty() {
        return Ok(Vec::new());
    }
    let read = json(context, call, |body| {
        read_ids(texts(body).ok_or_else(|| is_not("an array of strings"))?)
    });
    read.await
}

/// The body as a list of at least one index, ascending and each once.
pub(super) async fn indices(context: &ApiContext, call: &mut Call) -> Result<Vec<ValidatorIndex>, Error> {
    let read = json(context, call, |body| {
        let texts = texts(body).filter(|texts| !texts.is_empty());
        let texts = texts.ok_or_else(|| is_not("an array of validator indices in quotes"))?;
        let read = |text: &&str| {
            let index = read_number(text);
            index.ok_or_else(|| Error::bad_request(format!("'{}' is no validator index", excerpt(text))))
        };
        let mut indices = texts.iter().map(read).collect::<Result<Vec<ValidatorIndex>, Error>>()?;
        indices.sort_unstable();
        indices.dedup();
        Ok(indices)
    });
    read.await
}

/// The body as a protocol type in either form, read by a worker of `lane`.
pub(super) async fn value<T: Json + Ssz + Send + 'static>(
    context: &ApiContext,
    call: &mut Call,
    fork: Fork,
    lane: Lane,
) -> Result<T, Error> {
    let payload = std::mem::take(&mut call.payload);
    let work = context.chain.work();
    work.run(lane, move || read_value(&payload, fork, &[])).await?
}

/// The body as a list of at most `limit` protocol values in either form.
pub(super) async fn list<T: Json + Ssz + Send + 'static>(
    context: &ApiContext,
    call: &mut Call,
    fork: Fork,
    limit: u64,
) -> Result<Vec<T>, Error> {
    let payload = std::mem::take(&mut call.payload);
    let list: Vec<T> = context
        .work(move || read_value(&payload, fork, &[Bound::Fixed(limit)]))
        .await??;
    if list.len() as u64 > limit {
        return Err(Error::bad_request(format!(
            "{} items, at most {limit} are taken at once",
            list.len()
        )));
    }
    Ok(list)
}

fn read_value<T: Json + Ssz>(payload: &Payload, fork: Fork, shape: &[Bound]) -> Result<T, Error> {
    if payload.format == Some(Format::Ssz) {
        let value = T::decode_from(&payload.bytes, fork, shape);
        return value.map_err(|error| Error::bad_request(format!("the body is not the SSZ wanted: {error}")));
    }
    let value = T::from_json(&parse(payload)?, fork, shape);
    value.map_err(|error| Error::bad_request(format!("the body is not the JSON wanted: {error}")))
}
