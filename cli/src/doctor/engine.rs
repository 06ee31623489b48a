//! The execution client: does it answer, does it take the secret, is it on the same network.

use super::{Args, Line, Network, bad, note, ok};
use crate::http::{self, Base, Silence};
use crate::words;
use ::node::execution::{HttpEngine, JwtSecret};
use serde_json::{Value, json};
use std::time::Duration;

const NAME: &str = "execution";
/// A client on this machine answers such questions at once.
const WITHIN: Duration = Duration::from_secs(3);

pub(super) async fn check(args: &Args, network: Option<&Network>) -> Vec<Line> {
    if args.execution_endpoint.is_empty() {
        return vec![note(
            NAME,
            "not checked: name it by --execution-endpoint and --execution-jwt",
        )];
    }
    let Some(file) = &args.execution_jwt else {
        return vec![bad(
            NAME,
            "no secret is named: give --execution-jwt, the file that the execution client has too",
        )];
    };
    let secret = match JwtSecret::read(file) {
        Ok(secret) => secret,
        Err(error) => return vec![bad(NAME, format!("{error:#}"))],
    };
    let mut lines = Vec::new();
    for endpoint in &args.execution_endpoint {
        lines.push(match address(endpoint, &secret) {
            Ok(base) => ask(&base, &secret, network).await,
            Err(line) => line,
        });
    }
    lines
}

/// Where an endpoint is asked; otherwise what is wrong with its address, by the same rules as the node's.
pub(crate) fn address(endpoint: &str, secret: &JwtSecret) -> Result<Base, Line> {
    HttpEngine::new(&[endpoint.to_owned()], secret, now).map_err(|error| bad(NAME, format!("{error:#}")))?;
    // Not the address itself: it may hold a password.
    let unasked = |why| note(NAME, format!("an endpoint was not checked: {why}"));
    endpoint.parse().map_err(unasked)
}

fn now() -> u64 {
    words::now_ms() / 1000
}

/// Asks one endpoint: the chain it is on, whether it takes the secret, whether it is synced.
pub(crate) async fn ask(base: &Base, secret: &JwtSecret, network: Option<&Network>) -> Line {
    let chain = match http::engine(base, secret, "eth_chainId", &json!([]), WITHIN).await {
        Ok(chain) => chain,
        Err(silence) => return refused(base, &silence),
    };
    let number = |value: &Value| u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok();
    let Some(chain) = number(&chain) else {
        return bad(
            NAME,
            format!("{base} does not tell its chain: is it the Engine API of an execution client?"),
        );
    };
    if let Some(network) = network
        && chain != network.config.deposit_chain_id
    {
        let (name, wanted) = (&network.config.config_name, network.config.deposit_chain_id);
        return bad(
            NAME,
            format!("{base} is on the chain {chain}, {name} is {wanted}: start the execution client for {name}"),
        );
    }
    match http::engine(base, secret, "eth_syncing", &json!([]), WITHIN).await {
        Ok(Value::Bool(false)) => ok(NAME, format!("{base} answers, chain {chain}, synced")),
        Ok(_) => note(
            NAME,
            format!("{base} answers, chain {chain}, and is still syncing: wait for it"),
        ),
        // Not every client has it here.
        Err(_) => ok(NAME, format!("{base} answers, chain {chain}")),
    }
}

fn refused(base: &Base, silence: &Silence) -> Line {
    match silence {
        Silence::Status(401 | 403, _) => bad(
            NAME,
            format!(
                "{base} refuses the secret: give both programs the same file, and see that their clocks agree (a token \
                 lives for 60 s)"
            ),
        ),
        Silence::Unreached(why) => bad(
            NAME,
            format!(
                "{base} does not answer ({why}): start the execution client; its Engine API has port 8551 as a rule"
            ),
        ),
        other => bad(
            NAME,
            format!("{base}: {other}. Is it the Engine API, and not the public one (8545)?"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Mark;

    #[test]
    fn each_refusal_has_its_remedy() {
        let base: Base = "http://127.0.0.1:8551".parse().unwrap();
        for (silence, part) in [
            (Silence::Status(401, String::new()), "the same file"),
            (Silence::Unreached("refused".into()), "start the execution client"),
            (Silence::Status(404, String::new()), "not the public one"),
        ] {
            let line = refused(&base, &silence);
            assert!(line.mark == Mark::Bad && line.text.contains(part), "{line}");
        }
    }
}
