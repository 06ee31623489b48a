//! `wren node`: the beacon node.

use crate::exit::Failure;
use crate::{logging, network};
use ::node::options::{Address, EngineChoice, Options};
use clap::Args as ClapArgs;
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

    /// An external builder, or what stands before several, whose payloads may be taken where they pay more
    #[arg(long, value_name = "URL", help_heading = "Builder")]
    builder: Option<String>,

    /// Where the Beacon API listens
    #[arg(long, value_name = "IP", default_value = "127.0.0.1", help_heading = "Beacon API")]
    http_address: IpAddr,
    /// Its port; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 5052, help_heading = "Beacon API")]
    http_port: u16,

    /// Where metrics are served
    #[arg(long, value_name = "IP", default_value = "127.0.0.1", help_heading = "Monitoring")]
    metrics_address: IpAddr,
    /// Their port, at the path /metrics; 0 serves none
    #[arg(long, value_name = "PORT", default_value_t = 8008, help_heading = "Monitoring")]
    metrics_port: u16,

    /// error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: String,
}

/// Runs the node until it is stopped.
pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    logging::start(&args.log_level)?;
    let config = network::load(&args.network)?;
    let in_folder = PathBuf::from(&args.network).join("genesis.ssz");
    let genesis_state = args.genesis_state.or_else(|| in_folder.exists().then_some(in_folder));
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
        engine,
        safe_slots: args.safe_slots_to_import_optimistically,
        fee_recipient: args.suggested_fee_recipient.unwrap_or_default(),
        builder: args.builder,
        http: Address {
            ip: args.http_address,
            port: args.http_port,
        },
        metrics: (args.metrics_port != 0).then_some(Address {
            ip: args.metrics_address,
            port: args.metrics_port,
        }),
    };
    ::node::options::run(options).map_err(|error| Failure::running(format!("{error:#}")))?;
    Ok(ExitCode::SUCCESS)
}
