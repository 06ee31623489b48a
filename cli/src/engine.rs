//! `wren engine`: the dev engine behind the Engine API.

use crate::exit::Failure;
use crate::network;
use ::node::execution::dev::{DevEngine, DevOptions};
use ::node::execution::{JwtSecret, Server};
use clap::Parser;
use consensus::ssz::Root;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

const EXAMPLES: &str = "\
Examples:
  wren engine --network net
  wren engine --network net --port 8561 --jwt net/jwt.hex --blobs 3

It listens on 127.0.0.1 and forgets everything when it ends. It builds and checks real blocks but executes nothing, so it
is refused on public networks. Each beacon node needs an engine of its own.";

/// `wren engine …`
#[derive(Parser)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The network's folder, with config.yaml and genesis.ssz
    #[arg(long, value_name = "DIR")]
    network: PathBuf,
    /// The port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 8551)]
    port: u16,
    /// The secret shared with the beacon node; made if the file is not there, by default jwt.hex in the network's folder
    #[arg(long, value_name = "FILE")]
    jwt: Option<PathBuf>,
    /// Blobs in every block from Deneb on, up to the network's limit
    #[arg(long, value_name = "N", default_value_t = 0)]
    blobs: u64,
    /// Do not give blobs to who asks for them by hash, so that they have to come over the network
    #[arg(long)]
    hide_blobs: bool,
}

/// Runs `wren engine`.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let folder = args
        .network
        .to_str()
        .ok_or_else(|| Failure::usage("--network is no text"))?;
    let config = network::load(folder)?;
    let (genesis_time, genesis_validators_root) = genesis(&args.network.join("genesis.ssz"))?;
    let options = DevOptions {
        blobs_per_block: args.blobs,
        hide_blobs: args.hide_blobs,
    };
    let failed = |error| Failure::invalid(format!("{error:#}"));
    let engine = DevEngine::new(&config, genesis_time, &genesis_validators_root, options).map_err(failed)?;
    let jwt = args.jwt.clone().unwrap_or_else(|| args.network.join("jwt.hex"));
    let secret = JwtSecret::read_or_create(&jwt).map_err(failed)?;
    let listening = |address| println!("Engine API on http://{address}, secret in {}", jwt.display());
    let server = Server::new(Arc::new(engine), secret, now);
    match server.run(args.port, listening) {
        Ok(never) => match never {},
        Err(error) => Err(Failure::written(format!("{error:#}"))),
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Genesis time and root of the genesis validators: the first two fields of a state of any fork.
fn genesis(file: &Path) -> Result<(u64, Root), Failure> {
    let mut head = [0; 40];
    File::open(file)
        .and_then(|mut opened| opened.read_exact(&mut head))
        .map_err(|error| Failure::io(format!("cannot read the genesis state {}", file.display()), &error))?;
    let (time, root) = head.split_at(8);
    let mut bytes = [0; 32];
    bytes.copy_from_slice(root);
    let time = time.iter().rev().fold(0, |time, byte| time << 8 | u64::from(*byte));
    Ok((time, Root::from(bytes)))
}
