//! `wren validator`: the validator client.

use crate::datadir::Datadir;
use crate::exit::{self, Failure};
use crate::{doctor, logging, mainnet, network};
use ::validator::beacon::{NodeUrl, Reach};
use ::validator::run::{Ended, KeymanagerPort, KnownGenesis, Options, run as run_client};
use ::validator::settings::parse_address;
use clap::{ArgAction, Args as ClapArgs};
use consensus::types::ExecutionAddress;
use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A file of certificates is far smaller.
const MAX_CERTIFICATES_BYTES: u64 = 4 << 20;
/// Where DNS servers listen.
const DNS_PORT: u16 = 53;

/// Do validators' duties through a beacon node
#[derive(ClapArgs)]
#[command(after_help = "Example:\n  \
    wren validator --network hoodi --datadir ./data --beacon-nodes http://127.0.0.1:5052 \\\n      \
    --suggested-fee-recipient 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed\n\n\
    It ends with 0 when a signal has stopped it (a second signal stops it at once), with 3 when keys, folder and\n\
    network do not fit together, with 4 when a file cannot be read or written, with 6 when it cannot go on, and\n\
    with 129 when another client signs with one of its keys.")]
pub(crate) struct Args {
    /// mainnet, sepolia, hoodi, devnet; a folder with config.yaml and genesis.ssz; or a config.yaml alone
    #[arg(long, value_name = "NAME|DIR|FILE")]
    network: String,
    #[command(flatten)]
    datadir: Datadir,

    /// Beacon APIs, first choice first, separated by commas; http or https, credentials and a path allowed
    #[arg(
        long,
        value_name = "URL",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:5052"
    )]
    #[arg(help_heading = "Beacon nodes", action = ArgAction::Append)]
    beacon_nodes: Vec<String>,
    /// Certificates (PEM) of authorities to trust beside the usual ones
    #[arg(long, value_name = "FILE", help_heading = "Beacon nodes")]
    beacon_nodes_ca: Option<PathBuf>,
    /// A DNS server that finds beacon nodes and remote signers; the system's by default; repeat it for others
    #[arg(long, value_name = "IP", help_heading = "Beacon nodes")]
    dns: Vec<IpAddr>,
    /// Send own messages to all beacon nodes at once, not only to the best
    #[arg(long, help_heading = "Beacon nodes")]
    broadcast: bool,

    /// Where the fees of blocks go for keys that validators.toml says nothing of
    #[arg(long, value_name = "ADDRESS")]
    suggested_fee_recipient: Option<String>,
    /// Sign at once, without listening first whether another client signs with the same keys
    #[arg(long)]
    no_doppelganger_protection: bool,

    /// The port of the keymanager API, on 127.0.0.1; 0 serves none [default: 5062, or a free one if that is taken]
    #[arg(long, value_name = "PORT")]
    keymanager_port: Option<u16>,
    /// Certificates (PEM) of authorities that remote signers are trusted by, beside the usual ones
    #[arg(long, value_name = "FILE")]
    remote_signer_ca: Option<PathBuf>,

    /// Where metrics are served
    #[arg(long, value_name = "IP", default_value = "127.0.0.1", help_heading = "Monitoring")]
    metrics_address: IpAddr,
    /// Their port, at the path /metrics; 0 serves none
    #[arg(long, value_name = "PORT", default_value_t = 8009, help_heading = "Monitoring")]
    metrics_port: u16,
    /// error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", default_value = "info", help_heading = "Monitoring")]
    log_level: String,
}

/// Runs the client until it is stopped.
pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    logging::start(&args.log_level)?;
    let options = options(args)?;
    match run_client(options)? {
        Ended::Stopped | Ended::Forced => Ok(ExitCode::SUCCESS),
        Ended::Failed(message) => Err(Failure::running(message)),
        Ended::Doubles(doubles) => Err(Failure {
            code: exit::DOUBLE,
            message: doubles.to_string(),
        }),
    }
}

fn options(args: Args) -> Result<Options, Failure> {
    let config = network::load(&args.network)?;
    let genesis = network::known_genesis(&args.network)?;
    doctor::tell_at_start(config.clone(), genesis, args.datadir.root(), true);
    let nodes = args.beacon_nodes.iter().enumerate().map(|(place, url)| {
        let wrong = |why| Failure::usage(format!("--beacon-nodes, address {}: {why}", place + 1));
        url.parse::<NodeUrl>().map_err(wrong)
    });
    let nodes = nodes.collect::<Result<_, _>>()?;
    let reach = reach(args.beacon_nodes_ca.as_deref(), &args.dns)?;
    let remote_signers = self::reach(args.remote_signer_ca.as_deref(), &args.dns)?;
    let address = args.suggested_fee_recipient.as_deref().map(fee_recipient).transpose()?;
    let folder = args.datadir.validator()?;
    mainnet::accept(&config, &folder)?;
    let metrics = (args.metrics_port != 0).then(|| SocketAddr::new(args.metrics_address, args.metrics_port));
    Ok(Options {
        genesis: known_genesis(&args.network)?,
        config,
        folder,
        nodes,
        reach,
        broadcast: args.broadcast,
        suggested_fee_recipient: address,
        doppelganger_protection: !args.no_doppelganger_protection,
        metrics,
        keymanager: match args.keymanager_port {
            None => KeymanagerPort::Usual,
            Some(0) => KeymanagerPort::Off,
            Some(port) => KeymanagerPort::Port(port),
        },
        remote_signers,
    })
}

pub(crate) fn fee_recipient(text: &str) -> Result<ExecutionAddress, Failure> {
    parse_address(text).map_err(|error| Failure::usage(format!("--suggested-fee-recipient: {error:#}")))
}

/// How servers are reached that may have certificates of the authorities in a file, and names that these servers know.
pub(crate) fn reach(authorities: Option<&Path>, dns: &[IpAddr]) -> Result<Reach, Failure> {
    Ok(Reach {
        authorities: authorities.map(read_certificates).transpose()?,
        dns: dns.iter().map(|server| SocketAddr::new(*server, DNS_PORT)).collect(),
    })
}

fn read_certificates(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error| Failure::io(format!("cannot read {}", path.display()), &error);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_CERTIFICATES_BYTES)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok(bytes)
}

/// What is known of the genesis without asking a node.
fn known_genesis(network: &str) -> Result<KnownGenesis, Failure> {
    let known = network::known_genesis(network)?;
    Ok(known.map_or_else(KnownGenesis::default, |known| KnownGenesis {
        validators_root: Some(known.validators_root),
        time: known.time,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use consensus::ssz::Bytes;

    #[test]
    fn genesis_is_known_by_name_or_from_the_folder() {
        let known = known_genesis("hoodi").unwrap();
        assert!(known.validators_root.unwrap().to_string().starts_with("0x212f13fc"));
        assert_eq!(known_genesis("devnet").unwrap(), KnownGenesis::default());

        let folder = std::env::temp_dir().join(format!("wren-known-genesis-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let network = folder.to_str().unwrap();
        assert_eq!(known_genesis(network).unwrap(), KnownGenesis::default());
        let mut state = [7; 100];
        state[..8].copy_from_slice(&1_700_000_000_u64.to_le_bytes());
        std::fs::write(folder.join("genesis.ssz"), state).unwrap();
        let known = known_genesis(network).unwrap();
        assert_eq!(
            (known.time, known.validators_root),
            (Some(1_700_000_000), Some(Bytes([7; 32])))
        );
        std::fs::write(folder.join("genesis.ssz"), b"short").unwrap();
        assert!(known_genesis(network).is_err());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
