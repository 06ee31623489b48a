//! `wren node`: the beacon node.

use crate::exit::Failure;
use crate::validator::fee_recipient;
use crate::{datadir, doctor, logging, network};
use ::node::checkpoint::{Source, parse_wss};
use ::node::network::options::{TARGET_PEERS, static_peer, trusted_peer};
use ::node::network::{NetworkOptions, bootnodes};
use ::node::options::{Address, EngineChoice, Options, StartOptions};
use clap::Args as ClapArgs;
use consensus::config::PUBLIC_NETWORKS;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
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
    /// Authorities (PEM) that may have made the certificate of that server, beside the usual ones
    #[arg(long, value_name = "FILE", help_heading = "Where to start")]
    tls_ca: Option<PathBuf>,
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
    /// Start anew: the database is dropped once there is a new start, verified; keys and the record of what was signed stay
    #[arg(long, help_heading = "Where to start")]
    resync: bool,

    /// The execution client's Engine API; repeat it for others to fall back on
    #[arg(long, value_name = "URL", help_heading = "Execution client")]
    execution_endpoint: Vec<String>,
    /// The file with the secret that both know, 64 hexadecimal digits
    #[arg(long, value_name = "FILE", help_heading = "Execution client")]
    execution_jwt: Option<PathBuf>,
    /// Hash without the processor's SHA instructions, to measure what a machine without them does
    #[arg(long, hide = true)]
    portable_hash: bool,
    /// Use the built-in engine, which makes and checks payloads of a local chain; never on a public network
    #[arg(long, conflicts_with = "execution_endpoint", help_heading = "Execution client")]
    dev_engine: bool,
    /// How old a block must be to be imported on trust before its chain has payloads
    #[arg(long, value_name = "SLOTS", default_value_t = 128, help_heading = "Execution client")]
    safe_slots_to_import_optimistically: u64,
    /// Where fees go for validator clients that name no recipient
    #[arg(long, value_name = "ADDRESS", help_heading = "Execution client")]
    suggested_fee_recipient: Option<String>,

    /// An external builder, or what stands before several, whose payloads may be taken where they pay more
    #[arg(long, value_name = "URL", help_heading = "Builder")]
    builder: Option<String>,

    /// Where the Beacon API listens
    #[arg(long, value_name = "IP", default_value = "127.0.0.1", help_heading = "Beacon API")]
    http_address: IpAddr,
    /// Its port; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 5052, help_heading = "Beacon API")]
    http_port: u16,

    /// Where to listen for peers; repeat it for several addresses, of IPv4 and IPv6
    #[arg(long, value_name = "IP", default_value = "0.0.0.0", help_heading = "Peers")]
    listen_address: Vec<IpAddr>,
    /// The port for peers, TCP, and UDP for discovery; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 9000, help_heading = "Peers")]
    port: u16,
    /// The port for peers by QUIC, UDP; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 9001, help_heading = "Peers")]
    quic_port: u16,
    /// The address by which others reach this node, where it cannot find out; repeat it for IPv4 and IPv6
    #[arg(long, value_name = "IP", help_heading = "Peers")]
    advertise_address: Vec<IpAddr>,
    /// Dial and tell addresses of private networks on a public network too
    #[arg(long, help_heading = "Peers")]
    allow_private: bool,
    /// Where to find peers: node records (enr:…) with commas between, a file of them, or a folder with
    /// bootstrap_nodes.yaml; beside those of the network
    #[arg(long, value_name = "ENR|FILE|DIR", help_heading = "Peers")]
    bootnodes: Vec<String>,
    /// A peer to stay connected with: a multiaddress with its id, or its node record; repeat it for others
    #[arg(long, value_name = "ADDRESS|ENR", help_heading = "Peers")]
    static_peer: Vec<String>,
    /// A peer for whom no limit, score or ban holds, by its id or as for --static-peer; repeat it for others
    #[arg(long, value_name = "ID|ADDRESS|ENR", help_heading = "Peers")]
    trusted_peer: Vec<String>,
    /// How many peers to have
    #[arg(long, value_name = "COUNT", default_value_t = TARGET_PEERS, help_heading = "Peers")]
    target_peers: usize,
    /// Megabits a second, up and down, above which less is done for others: fewer answers, no history, fewer peers
    #[arg(long, value_name = "MBIT", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Peers")]
    max_bandwidth: Option<u64>,
    /// Keep and serve all columns of data, not only a part; takes some Mbit/s and a terabyte of disk on mainnet
    #[arg(long, help_heading = "Peers")]
    supernode: bool,
    /// A server that resolves names of peers; the system's by default; repeat it for others
    #[arg(long, value_name = "IP", help_heading = "Peers")]
    dns: Vec<IpAddr>,
    /// Do not look for peers; only those that are named are called
    #[arg(long, help_heading = "Peers")]
    no_discovery: bool,
    /// Have no peers at all: for a local chain of one node
    #[arg(long, help_heading = "Peers")]
    alone: bool,
    /// Where metrics are served
    #[arg(long, value_name = "IP", default_value = "127.0.0.1", help_heading = "Monitoring")]
    metrics_address: IpAddr,
    /// Their port, at the path /metrics; 0 serves none
    #[arg(long, value_name = "PORT", default_value_t = 8008, help_heading = "Monitoring")]
    metrics_port: u16,

    /// Megabytes that the node may use: sizes its caches; near it history, caches and long answers give way
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u64).range(1..))]
    max_memory: Option<u64>,
    /// error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: String,
}

/// What the flags say of peers.
fn network_options(args: &Args) -> Result<NetworkOptions, Failure> {
    let wrong = |error| Failure::usage(format!("{error:#}"));
    let mut boot_nodes = bootnodes::of_operator(&args.bootnodes).map_err(wrong)?;
    let folder = Path::new(&args.network);
    if folder.is_dir() {
        boot_nodes.extend(bootnodes::of_folder(folder).map_err(wrong)?);
    }
    let static_peers: anyhow::Result<Vec<_>> = args.static_peer.iter().map(|text| static_peer(text)).collect();
    let trusted_peers: anyhow::Result<Vec<_>> = args.trusted_peer.iter().map(|text| trusted_peer(text)).collect();
    Ok(NetworkOptions {
        listen: args.listen_address.clone(),
        port: args.port,
        quic_port: args.quic_port,
        advertise: args.advertise_address.clone(),
        allow_private: args.allow_private,
        bootnodes: boot_nodes,
        static_peers: static_peers.map_err(wrong)?,
        trusted_peers: trusted_peers.map_err(wrong)?,
        folder: args.datadir.join("node").join("network"),
        target_peers: args.target_peers,
        max_bandwidth: args.max_bandwidth,
        supernode: args.supernode,
        dns: args.dns.clone(),
        discovery: !args.no_discovery,
    })
}

/// Runs the node until it is stopped.
pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    logging::start(&args.log_level)?;
    if args.portable_hash {
        crypto::hash::force_portable();
    }
    let peers = if args.alone {
        None
    } else {
        Some(network_options(&args)?)
    };
    let config = network::load(&args.network)?;
    let genesis = network::known_genesis(&args.network)?;
    doctor::tell_at_start(config.clone(), genesis, &args.datadir, false);
    let in_folder = PathBuf::from(&args.network).join("genesis.ssz");
    let genesis_state = args.genesis_state.clone();
    let genesis_state = genesis_state.or_else(|| in_folder.exists().then_some(in_folder));
    let start = start_options(&args)?;
    let fees = args.suggested_fee_recipient.as_deref().map(fee_recipient).transpose()?;
    datadir::make(&args.datadir, "node")?;
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
        fee_recipient: fees.unwrap_or_default(),
        builder: args.builder,
        http: Address {
            ip: args.http_address,
            port: args.http_port,
        },
        network: peers,
        metrics: (args.metrics_port != 0).then_some(Address {
            ip: args.metrics_address,
            port: args.metrics_port,
        }),
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
        tls_ca: args.tls_ca.clone(),
        max_memory: args.max_memory.map(|megabytes| megabytes.saturating_mul(1 << 20)),
    })
}
