//! `wren doctor`: what a set-up needs, checked one by one. Every line is OK or says how to mend it.
//!
//! Nothing is changed: it writes a file of its own into the data folder to measure the disk, and removes it.

pub(crate) mod clock;
mod disk;
pub(crate) mod engine;
mod keys;
mod ports;
mod report;

use crate::datadir::Datadir;
use crate::exit::{self, Failure};
use crate::network::{self, Genesis};
use crate::{machine, words};
use clap::Args as ClapArgs;
use consensus::Config;
use consensus::config::public_network;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Check the machine and the set-up
#[derive(ClapArgs)]
#[command(after_help = "\
Examples:
  wren doctor --network hoodi --execution-endpoint http://127.0.0.1:8551 --execution-jwt jwt.hex
  wren doctor --config-file /etc/wren/wren.toml
  wren doctor --network hoodi --report report.txt

What is not named is not checked, and a line says so. It ends with 0, or with 7 where something has to be mended.")]
pub(crate) struct Args {
    /// mainnet, sepolia, hoodi, devnet; a folder with config.yaml and genesis.ssz; or a config.yaml alone
    #[arg(long, value_name = "NAME|DIR|FILE")]
    network: Option<String>,
    #[command(flatten)]
    datadir: Datadir,
    /// The execution client's Engine API; may be repeated
    #[arg(long, value_name = "URL")]
    execution_endpoint: Vec<String>,
    /// The file with the secret that both know
    #[arg(long, value_name = "FILE")]
    execution_jwt: Option<PathBuf>,
    /// Where the fees of blocks go for keys that validators.toml says nothing of
    #[arg(long, value_name = "ADDRESS")]
    suggested_fee_recipient: Option<String>,
    /// Beacon APIs, for the report
    #[arg(
        long,
        value_name = "URL",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:5052"
    )]
    beacon_nodes: Vec<String>,
    /// The port of the Beacon API
    #[arg(long, value_name = "PORT", default_value_t = 5052)]
    http_port: u16,
    /// The port for other nodes, TCP and UDP
    #[arg(long, value_name = "PORT", default_value_t = 9000)]
    port: u16,
    /// Their port for QUIC, UDP
    #[arg(long, value_name = "PORT", default_value_t = 9001)]
    quic_port: u16,
    /// The port of the node's metrics; 0 for none
    #[arg(long, value_name = "PORT", default_value_t = 8008)]
    node_metrics_port: u16,
    /// The port of the validator client's metrics; 0 for none
    #[arg(long, value_name = "PORT", default_value_t = 8009)]
    client_metrics_port: u16,
    /// The port of the keymanager API, where one is demanded; otherwise the client takes a free one
    #[arg(long, value_name = "PORT")]
    keymanager_port: Option<u16>,
    /// The node has no peers, and needs no port for them
    #[arg(long)]
    alone: bool,
    /// Who is asked for the time (NTP)
    #[arg(long, value_name = "HOST[:PORT]", default_value = "pool.ntp.org")]
    time_server: String,
    /// Also write everything that a bug report needs into a new file; no secrets are in it
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Ok,
    /// Not checked, or worth knowing.
    Note,
    /// Has to be mended.
    Bad,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) mark: Mark,
    pub(crate) name: &'static str,
    pub(crate) text: String,
}

pub(crate) fn ok(name: &'static str, text: impl Into<String>) -> Line {
    Line {
        mark: Mark::Ok,
        name,
        text: text.into(),
    }
}

pub(crate) fn note(name: &'static str, text: impl Into<String>) -> Line {
    Line {
        mark: Mark::Note,
        name,
        text: text.into(),
    }
}

pub(crate) fn bad(name: &'static str, text: impl Into<String>) -> Line {
    Line {
        mark: Mark::Bad,
        name,
        text: text.into(),
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mark = match self.mark {
            Mark::Ok => "OK   ",
            Mark::Note => "note ",
            Mark::Bad => "MEND ",
        };
        write!(f, "{mark} {:15} {}", self.name, self.text)
    }
}

/// The network as far as it was named.
pub(crate) struct Network {
    pub(crate) config: Config,
    pub(crate) genesis: Option<Genesis>,
}

impl Network {
    pub(crate) fn is_public(&self) -> bool {
        self.genesis
            .is_some_and(|genesis| public_network(&genesis.validators_root).is_some())
    }
}

/// Runs `wren doctor`.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::io("cannot start the runtime", &error))?;
    runtime.block_on(async {
        let lines = check(args).await?;
        for line in &lines {
            println!("{line}");
        }
        if let Some(file) = &args.report {
            report::write(file, args, &lines).await?;
            println!("wrote {}: read it before you pass it on", file.display());
        }
        let mend = lines.iter().filter(|line| line.mark == Mark::Bad).count();
        if mend == 0 {
            return Ok(ExitCode::SUCCESS);
        }
        println!("{} to mend", words::count(mend, "thing"));
        Ok(ExitCode::from(exit::ATTENTION))
    })
}

async fn check(args: &Args) -> Result<Vec<Line>, Failure> {
    let network = match &args.network {
        Some(name) => Some(Network {
            config: network::load(name)?,
            genesis: network::known_genesis(name)?,
        }),
        None => None,
    };
    let root = args.datadir.root();
    let mut lines = vec![ok("version", crate::VERSION.as_str()), next_fork(network.as_ref())];
    lines.push(clock::check(&args.time_server).await);
    lines.extend(machine_lines(network.as_ref()));
    lines.push(disk::space(root, false));
    lines.push(disk::speed(root));
    lines.extend(ports::check(args));
    lines.extend(engine::check(args, network.as_ref()).await);
    lines.extend(keys::check(args, network.as_ref()));
    Ok(lines)
}

/// Tells what is wrong with the machine when node or client start. Whether they go on is for them to decide.
pub(crate) fn tell_at_start(config: Config, genesis: Option<Genesis>, datadir: &Path, client: bool) {
    for line in at_start(&Network { config, genesis }, datadir, client) {
        eprintln!("{line}");
    }
}

/// What is cheap to check, of node or client: the lines that have to be mended.
fn at_start(network: &Network, datadir: &Path, client: bool) -> Vec<Line> {
    let mut lines = vec![next_fork(Some(network)), disk::space(datadir, client)];
    lines.extend(machine_lines(Some(network)));
    lines.extend(client.then(|| keys::files_of(&datadir.join("validator"))).flatten());
    lines.retain(|line| line.mark == Mark::Bad);
    lines
}

/// Whether the network will go where this version cannot follow.
fn next_fork(network: Option<&Network>) -> Line {
    const NAME: &str = "next fork";
    let Some(network) = network else {
        return note(NAME, "not checked: name the network by --network");
    };
    let Some((fork, epoch)) = ::node::forks::beyond(&network.config) else {
        return ok(
            NAME,
            format!(
                "{} schedules none that this version does not run",
                network.config.config_name
            ),
        );
    };
    let genesis = network.genesis.and_then(|genesis| genesis.time);
    let date = genesis.map(|genesis| {
        let slots = epoch.saturating_mul(consensus::preset::SLOTS_PER_EPOCH);
        words::date(genesis.saturating_add(slots.saturating_mul(network.config.slot_duration_ms) / 1000))
    });
    let date = date.map_or(String::new(), |date| format!(", {date}"));
    bad(
        NAME,
        format!("the network goes over to {fork} at epoch {epoch}{date}: install a version that runs it before then"),
    )
}

/// Less memory is not enough for a public network: the state of its validators alone takes a third of it.
const MEMORY_LOW: u64 = 2_000_000_000;
/// As little memory left means that the system will soon end a program.
const MEMORY_LEFT_LOW: u64 = 300_000_000;
/// The largest page that the allocator is made for.
const PAGE_MAX: u64 = 65_536;

fn machine_lines(network: Option<&Network>) -> Vec<Line> {
    vec![
        memory(machine::memory(), network.is_some_and(Network::is_public)),
        processor(&machine::processor_features()),
        pages(machine::page_size()),
    ]
}

/// All of it and what is free, in bytes.
fn memory(figures: Option<(u64, u64)>, public: bool) -> Line {
    match figures {
        None => note("memory", "not known here"),
        Some((all, _)) if all < MEMORY_LOW && public => bad(
            "memory",
            format!(
                "{} are too little for a public network: take a machine with 4 GB or more",
                words::size(all)
            ),
        ),
        Some((_, free)) if free < MEMORY_LEFT_LOW => bad(
            "memory",
            format!(
                "{} are left: end other programs, or the system will end this one",
                words::size(free)
            ),
        ),
        Some((all, free)) => ok("memory", format!("{} free of {}", words::size(free), words::size(all))),
    }
}

fn pages(size: Option<u64>) -> Line {
    const NAME: &str = "page size";
    match size {
        None => note(NAME, "not known here"),
        Some(size) if size > PAGE_MAX => bad(NAME, format!("{size} bytes: run a kernel with pages of 64 KiB at most")),
        Some(size) => ok(NAME, format!("{size} bytes")),
    }
}

fn processor(features: &[String]) -> Line {
    const NAME: &str = "processor";
    let sha = ["sha_ni", "sha2"]
        .iter()
        .find(|name| features.iter().any(|feature| feature == *name));
    match sha {
        _ if features.is_empty() => note(NAME, "what it can do is not known here"),
        Some(sha) => ok(NAME, format!("hashes in hardware ({sha})")),
        None => note(
            NAME,
            "it does not hash in hardware: everything works, and takes several times as long to hash",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_beyond_this_version_is_told() {
        let mut config = Config::network("devnet").unwrap();
        let network = |config| Network { config, genesis: None };
        assert_eq!(next_fork(Some(&network(config.clone()))).mark, Mark::Ok);
        config.set_fork_epoch(consensus::Fork::Gloas, 1_000);
        let line = next_fork(Some(&network(config)));
        assert_eq!(line.mark, Mark::Bad);
        assert!(line.text.contains("gloas at epoch 1000"), "{line}");
        assert_eq!(next_fork(None).mark, Mark::Note);
    }

    #[test]
    fn a_start_tells_what_is_wrong() {
        let mut config = Config::network("devnet").unwrap();
        let folder = std::env::temp_dir().join(format!("wren-at-start-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("validator/keys")).unwrap();
        let key = format!("validator/keys/0x{}.json", "ab".repeat(48));
        std::fs::write(folder.join(key), b"{}").unwrap();
        let told = |config: &Config, client| {
            let network = Network {
                config: config.clone(),
                genesis: None,
            };
            let lines = at_start(&network, &folder, client);
            lines
                .iter()
                .map(|line| line.text.clone())
                .collect::<Vec<_>>()
                .join("\n")
        };
        assert!(!told(&config, false).contains("local_secret"));
        assert!(told(&config, true).contains("local_secret is missing"));
        config.set_fork_epoch(consensus::Fork::Gloas, 1_000);
        assert!(told(&config, false).contains("gloas at epoch 1000"));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_machine_that_is_too_small_is_told() {
        let gigabyte = 1_000_000_000;
        assert_eq!(memory(Some((gigabyte, gigabyte)), true).mark, Mark::Bad);
        assert_eq!(memory(Some((gigabyte, gigabyte)), false).mark, Mark::Ok);
        assert_eq!(memory(Some((8 * gigabyte, gigabyte / 5)), false).mark, Mark::Bad);
        assert_eq!(memory(Some((8 * gigabyte, 4 * gigabyte)), true).mark, Mark::Ok);
        assert_eq!(memory(None, true).mark, Mark::Note);
        for (size, mark) in [(4096, Mark::Ok), (16_384, Mark::Ok), (131_072, Mark::Bad)] {
            assert_eq!(pages(Some(size)).mark, mark);
        }
    }

    #[test]
    fn a_processor_without_hashing_is_no_fault() {
        let of = |words: &[&str]| processor(&words.iter().map(ToString::to_string).collect::<Vec<_>>()).mark;
        assert_eq!(of(&["fpu", "sha_ni"]), Mark::Ok);
        assert_eq!(of(&["asimd", "sha2"]), Mark::Ok);
        assert_eq!(of(&["fpu"]), Mark::Note);
        assert_eq!(of(&[]), Mark::Note);
    }
}
