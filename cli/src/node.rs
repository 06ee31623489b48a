//! `wren node`: the beacon node.

use crate::exit::Failure;
use crate::{logging, network};
use ::node::checkpoint::{Source, parse_wss};
use ::node::options::{Address, EngineChoice, Options, StartOptions};
use clap::Args as ClapArgs;
use consensus::config::PUBLIC_NETWORKS;
use consensus::types::ExecutionAddress;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// Follow the chain, serve validator clients
#[derive(ClapArgs)]
#[command(after_help = "Example, a local chain made by `wren genesis`:\n  \
    wren node --network ./testnet --datadir ./data --dev-engine")]
pub(crate) struct Args {
    /// mainnet, sepolia, hoodi, devnet; a folder with config.yaml and genesis.ssz; or a config.yaml alone
    #[arg(long, value_name = "NAME|DIR|FILE")]
    network: String,
    /// Where everything is kept; this node's part is in its folder `node`
    #[arg(long, value_name = "DIR", default_value = "wren-data")]
    datadir: PathBuf,
    /// The genesis state, where --network is not a folder that has it
    #[arg(long, value_name = "FILE")]
    genesis_state: Option<PathBuf>,

    /// Start from the finalized checkpoint of this Beacon API, whose operator you trust
    #[arg(long, value_name = "URL", help_heading = "Where to start")]
    checkpoint_sync_url: Option<String>,
    /// Start from the SSZ of this state …
    #[arg(
        long,
        value_name = "FILE",
        requires = "checkpoint_block",
        conflicts_with = "checkpoint_sync_url"
    )]
    #[arg(help_heading = "Where to start")]
    checkpoint_state: Option<PathBuf>,
    /// … and of the signed block that it is the state of
    #[arg(
        long,
        value_name = "FILE",
        requires = "checkpoint_state",
        help_heading = "Where to start"
    )]
    checkpoint_block: Option<PathBuf>,
    /// A checkpoint that the chain must have; another chain stops the node
    #[arg(long, value_name = "ROOT:EPOCH", help_heading = "Where to start")]
    wss_checkpoint: Option<String>,
    /// Drop the database first and start anew; keys and the record of what was signed stay
    #[arg(long, help_heading = "Where to start")]
    resync: bool,

    /// The execution client's Engine API; repeat it for others to fall back on
    #[arg(long, value_name = "URL", help_heading = "Execution client")]
    execution_endpoint: Vec<String>,
    /// The file with the secret that both know, 64 hexadecimal digits
    #[arg(long, value_name = "FILE", help_heading = "Execution client")]
    execution_jwt: Option<PathBuf>,
    /// Use the built-in engine, which makes and checks payloads of a local chain; never on a public network
    #[arg(long, conflicts_with = "execution_endpoint", help_heading = "Execution client")]
    dev_engine: bool,
    /// How old a block must be to be imported on trust before its chain has payloads
    #[arg(long, value_name = "SLOTS", default_value_t = 128, help_heading = "Execution client")]
    safe_slots_to_import_optimistically: u64,
    /// Where fees go for validator clients that name no recipient
    #[arg(long, value_name = "ADDRESS", help_heading = "Execution client")]
    suggested_fee_recipient: Option<ExecutionAddress>,

    /// Where the Beacon API listens
    #[arg(long, value_name = "IP", default_value = "127.0.0.1", help_heading = "Beacon API")]
    http_address: IpAddr,
    /// Its port; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 5052, help_heading = "Beacon API")]
    http_port: u16,

    /// Megabytes that the node may use: sizes the caches of states and blocks
    #[arg(long, value_name = "MB")]
    max_memory: Option<u64>,
    /// error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: String,
}

/// Runs the node until it is stopped.
pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    logging::start(&args.log_level)?;
    let config = network::load(&args.network)?;
    let in_folder = PathBuf::from(&args.network).join("genesis.ssz");
    let genesis_state = args.genesis_state.clone();
    let genesis_state = genesis_state.or_else(|| in_folder.exists().then_some(in_folder));
    let start = start_options(&args)?;
    let engine = if args.dev_engine {
        EngineChoice::Dev
    } else {
        EngineChoice::Http {
            endpoints: args.execution_endpoint,
            jwt: args.execution_jwt,
        }
    };
    let options = Options {
        config,
        datadir: args.datadir.join("node"),
        genesis_state,
        start,
        engine,
        safe_slots: args.safe_slots_to_import_optimistically,
        fee_recipient: args.suggested_fee_recipient.unwrap_or_default(),
        http: Address {
            ip: args.http_address,
            port: args.http_port,
        },
    };
    ::node::options::run(options).map_err(|error| Failure::running(format!("{error:#}")))?;
    Ok(ExitCode::SUCCESS)
}

/// Where the node starts from, if not from a genesis state.
fn start_options(args: &Args) -> Result<StartOptions, Failure> {
    let checkpoint = match (
        &args.checkpoint_sync_url,
        &args.checkpoint_state,
        &args.checkpoint_block,
    ) {
        (Some(url), _, _) => Some(Source::Url(url.clone())),
        (None, Some(state), Some(block)) => Some(Source::Files {
            state: state.clone(),
            block: block.clone(),
        }),
        _ => None,
    };
    let wss = args.wss_checkpoint.as_deref().map(parse_wss).transpose();
    let wss = wss.map_err(|error| Failure::usage(format!("--wss-checkpoint: {error:#}")))?;
    // A folder or file of that name comes first, as for the config.
    let is_built_in = !PathBuf::from(&args.network).exists();
    let built_in = PUBLIC_NETWORKS
        .iter()
        .find(|(name, _)| is_built_in && *name == args.network);
    Ok(StartOptions {
        genesis_validators_root: built_in.map(|(_, root)| *root),
        checkpoint,
        wss,
        resync: args.resync,
        max_memory: args.max_memory.map(|megabytes| megabytes.saturating_mul(1 << 20)),
    })
}
