//! Whether the execution client is one for this network, and new enough for its forks: asked at the start and every hour,
//! so that an operator hears of it before blocks are missed for it.

use super::{Engine, EngineError};
use crate::clock::Clock;
use crate::stop::Stop;
use consensus::types::Epoch;
use consensus::{Config, Fork};
use std::sync::Arc;
use std::time::Duration;

/// Until it is asked again: it is updated, or another one is put in its place, a few times a year.
const AGAIN: Duration = Duration::from_hours(1);

/// The same where it has not answered yet: it starts beside the node, and takes a while.
const SOON: Duration = Duration::from_secs(12);

/// Asks until the node stops, and tells what is wrong each time: it keeps the node from its work.
pub(crate) async fn watch(engine: Arc<Engine>, config: Arc<Config>, clock: Clock, stop: Stop) {
    loop {
        let found = misfits(&engine, &config, clock.epoch().unwrap_or(0)).await;
        let pause = match found {
            Ok(misfits) => {
                for misfit in misfits {
                    tracing::error!("{misfit}");
                }
                AGAIN
            }
            // What it does not answer, whoever hands it payloads says so.
            Err(error) => {
                tracing::debug!(%error, "the execution client does not say what it can do");
                SOON
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.stopped() => return,
        }
    }
}

/// What speaks against an execution client in `epoch`, in sentences.
///
/// Spec: execution-apis, `eth_chainId` against `DEPOSIT_CHAIN_ID`; common.md, `engine_exchangeCapabilities`.
async fn misfits(engine: &Engine, config: &Config, epoch: Epoch) -> Result<Vec<String>, EngineError> {
    let mut found = Vec::new();
    let wanted = config.deposit_chain_id;
    if let Some(chain) = engine.chain_id().await?.filter(|chain| *chain != wanted) {
        found.push(format!(
            "the execution client is one for the chain {chain}, and this network's is {wanted}, so no block of it can be \
             checked: name one for this network by --execution-endpoint"
        ));
    }
    let now = config.fork_at_epoch(epoch);
    let coming = config.scheduled_forks().filter(|(_, _, from)| *from > epoch);
    let coming = coming.map(|(fork, _, from)| (fork, Some(from)));
    for (fork, from) in std::iter::once((now, None)).chain(coming) {
        if !(Fork::Bellatrix..=crate::forks::NEWEST).contains(&fork) {
            continue;
        }
        let missing = engine.missing_methods(fork).await?;
        if !missing.is_empty() {
            let until = from.map_or(String::new(), |from| format!(", which comes at epoch {from}"));
            found.push(format!(
                "the execution client lacks {} for the fork {}{until}: update it",
                missing.join(", "),
                fork.name()
            ));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execution::dev::DevOptions;
    use crate::execution::{DevEngine, HttpEngine, JwtSecret, Server};
    use consensus::ssz::Bytes;
    use tokio::net::TcpListener;

    const SECRET: [u8; 32] = [3; 32];

    fn now() -> u64 {
        1_700_000_000
    }

    #[tokio::test]
    async fn another_chains_client_is_told_and_our_own_is_not() {
        let config = Config::network("devnet").unwrap().with_forks_at_genesis(Fork::Deneb);
        let dev = DevEngine::new(&config, now(), &Bytes::ZERO, DevOptions::default()).unwrap();
        let server = Arc::new(Server::new(Arc::new(dev), JwtSecret::new(SECRET), now));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(server.serve(listener));
        let engine = Engine::Http(HttpEngine::new(&[url], &JwtSecret::new(SECRET), now).unwrap());
        assert_eq!(misfits(&engine, &config, 0).await.unwrap(), [""; 0]);
        let mut other = config.clone();
        other.deposit_chain_id += 1;
        let found = misfits(&engine, &other, 0).await.unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(&other.deposit_chain_id.to_string()), "{found:?}");
        assert!(found[0].contains("--execution-endpoint"), "{found:?}");
    }

    /// A client that knows nothing beyond Capella.
    #[tokio::test]
    async fn an_old_client_is_told_with_the_forks_that_it_is_too_old_for() {
        let mut config = Config::standard().with_forks_at_genesis(Fork::Capella);
        config.set_fork_epoch(Fork::Deneb, 7);
        let known = [
            "engine_newPayloadV2",
            "engine_forkchoiceUpdatedV2",
            "engine_getPayloadV2",
        ];
        let chain = format!("\"{:#x}\"", config.deposit_chain_id);
        let answers = [chain, serde_json::json!(known).to_string()];
        let url = answering(answers.into()).await;
        let engine = Engine::Http(HttpEngine::new(&[url], &JwtSecret::new(SECRET), now).unwrap());
        let found = misfits(&engine, &config, 2).await.unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        for part in ["engine_newPayloadV3", "engine_getPayloadV3", "deneb", "epoch 7"] {
            assert!(found[0].contains(part), "{part}: {found:?}");
        }
        let found = misfits(&engine, &config, 7).await.unwrap();
        assert!(found.len() == 1 && !found[0].contains("which comes"), "{found:?}");
    }

    /// A server that answers `eth_chainId` with the first result and everything else with the second.
    async fn answering(results: Vec<String>) -> String {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let results = results.clone();
                tokio::spawn(async move {
                    let mut asked = vec![0; 1 << 16];
                    let mut length = 0;
                    // A request is whole with the brace that ends its body.
                    while !asked[..length].ends_with(b"}") {
                        match stream.read(&mut asked[length..]).await {
                            Ok(count) if count > 0 => length += count,
                            _ => return,
                        }
                    }
                    let asked = String::from_utf8_lossy(&asked[..length]).into_owned();
                    let body: serde_json::Value =
                        serde_json::from_str(&asked[asked.find("\r\n\r\n").unwrap() + 4..]).unwrap();
                    let result = &results[usize::from(body["method"] != "eth_chainId")];
                    let body = format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{result}}}", body["id"]);
                    let head = format!(
                        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                        body.len()
                    );
                    let _ = stream.write_all((head + &body).as_bytes()).await;
                });
            }
        });
        url
    }
}
