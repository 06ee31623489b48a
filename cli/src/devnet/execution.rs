//! Real execution clients of a devnet: what they need to be started with, and the wait for them.

use super::Args;
use super::folder::Folder;
use crate::exit::Failure;
use crate::http::{self, Base, Silence};
use crate::network;
use ::node::execution::JwtSecret;
use ::node::execution::dev::genesis_block;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Seconds for whoever starts the clients, by hand too: they need the genesis, which is made by the devnet.
pub(super) const WAIT: u64 = 60;

/// A client on this machine answers at once.
const ANSWER: Duration = Duration::from_secs(3);

/// The clients that are waited for.
pub(super) struct Clients<'a> {
    endpoints: &'a [Base],
    secret: Option<JwtSecret>,
    /// The hash of the execution chain's first block.
    genesis: String,
    told: String,
}

/// The file of the secret: the one that was named, or the one that is made.
pub(super) fn secret_file(args: &Args, folder: &Folder) -> PathBuf {
    args.execution_jwt.clone().unwrap_or_else(|| folder.part("jwt.hex"))
}

impl<'a> Clients<'a> {
    /// Makes the secret, if there are clients and none was named.
    pub(super) fn new(args: &'a Args, network: &Path, folder: &Folder) -> Result<Self, Failure> {
        let endpoints = args.execution_endpoint.as_slice();
        let mut clients = Clients {
            endpoints,
            secret: None,
            genesis: String::new(),
            told: String::new(),
        };
        if endpoints.is_empty() {
            return Ok(clients);
        }
        let file = secret_file(args, folder);
        let secret = match &args.execution_jwt {
            Some(file) => JwtSecret::read(file),
            None => JwtSecret::read_or_create(&file),
        };
        clients.secret = Some(secret.map_err(|error| Failure::usage(format!("{error:#}")))?);
        let block = network.join("genesis.json");
        if !block.exists() {
            return Err(Failure::usage(
                "a chain that starts before the merge has no genesis for execution clients: begin with --fork bellatrix or later",
            ));
        }
        let name = network.to_str().ok_or_else(|| Failure::usage("--dir is no text"))?;
        let config = network::load(name)?;
        // `wren genesis` makes the time of genesis the least one.
        clients.genesis = genesis_block(&config, config.min_genesis_time).hash().to_string();
        clients.told = format!(
            "the genesis {} and the secret {}",
            absolute(&block).display(),
            absolute(&file).display()
        );
        Ok(clients)
    }

    /// Waits until every client answers with the right genesis; tells what they need where one does not yet.
    pub(super) async fn wait(&self) -> Result<(), Failure> {
        let Some(secret) = &self.secret else { return Ok(()) };
        let start = Instant::now();
        for endpoint in self.endpoints {
            let mut told = false;
            loop {
                match first_block(endpoint, secret).await {
                    Ok(hash) if hash == self.genesis => break,
                    Ok(hash) => return Err(self.wrong(endpoint, &hash)),
                    Err(Silence::Unreached(why)) if start.elapsed().as_secs() > WAIT => {
                        return Err(Failure::running(format!(
                            "{endpoint} did not answer for {WAIT} s ({why}): start the execution client with {}",
                            self.told
                        )));
                    }
                    Err(Silence::Unreached(_)) => {}
                    Err(silence) => {
                        return Err(Failure::running(format!(
                            "{endpoint}: {silence}. Is it an Engine API, and has it the same secret? It needs {}",
                            self.told
                        )));
                    }
                }
                if !std::mem::replace(&mut told, true) {
                    println!(
                        "waiting {WAIT} s for {endpoint}: start the execution client with {}",
                        self.told
                    );
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
        Ok(())
    }

    fn wrong(&self, endpoint: &Base, hash: &str) -> Failure {
        Failure::running(format!(
            "{endpoint} has the first block {hash}, not {}: start the execution client with an empty folder and {}",
            self.genesis, self.told
        ))
    }
}

/// The hash of a client's first block.
async fn first_block(endpoint: &Base, secret: &JwtSecret) -> Result<String, Silence> {
    let params = json!(["0x0", false]);
    let block = http::engine(endpoint, secret, "eth_getBlockByNumber", &params, ANSWER).await?;
    let hash = block.get("hash").and_then(Value::as_str);
    hash.map(str::to_owned)
        .ok_or_else(|| Silence::Nonsense("it does not tell its first block".into()))
}

/// For whoever types it into another shell.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
