//! The answers, each tried on what it names.

use super::owner::as_owner;
use super::{Setup, absolute, file, text};
use crate::doctor::{Line, Mark, Network, bad, clock, engine, note, ok};
use crate::exit::Failure;
use crate::validator::reach;
use crate::{network, words};
use ::node::execution::JwtSecret;
use consensus::preset::SLOTS_PER_EPOCH;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use validator::beacon::{Introduction, Node, NodeUrl};
use validator::settings::{Settings, parse_address, to_checksum};

/// For one answer of a checkpoint's server, which is far away and has many to serve.
const WITHIN: Duration = Duration::from_secs(15);
/// Between two looks at a clock that is wrong.
const AGAIN: Duration = Duration::from_secs(5);
/// Whoever sets a clock does so within this; a service that keeps one needs minutes at most.
const PATIENCE: Duration = Duration::from_mins(30);
/// Where services find no files of users: the units keep these folders from them.
const HIDDEN: [&str; 5] = ["/home", "/root", "/run/user", "/tmp", "/var/tmp"];

/// An address without what stands before its `@`.
pub(super) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    rest.rsplit_once('@')
        .map_or_else(|| url.to_owned(), |(_, host)| format!("{scheme}://…@{host}"))
}

impl Setup {
    pub(super) fn check_network(&mut self) -> Vec<Line> {
        const NAME: &str = "network";
        self.network = None;
        let Some(mut name) = self.value(NAME) else {
            return vec![bad(NAME, "none is named: hoodi is the one to learn with")];
        };
        if Path::new(&name).exists() {
            match absolute(Path::new(&name)).and_then(|path| text(&path)) {
                Ok(path) => name = path,
                Err(failure) => return vec![bad(NAME, failure.message)],
            }
            file::set(&mut self.settings, NAME, &name);
        }
        let loaded = network::load(&name).and_then(|config| {
            let genesis = network::known_genesis(&name)?;
            Ok(Network { config, genesis })
        });
        match loaded {
            Ok(network) => {
                let line = ok(NAME, format!("{name}, chain {}", network.config.deposit_chain_id));
                self.network = Some(network);
                vec![line]
            }
            Err(failure) => vec![bad(NAME, failure.message)],
        }
    }

    pub(super) fn check_checkpoint(&mut self) -> Vec<Line> {
        const NAME: &str = "checkpoint";
        self.clock = None;
        let Some(url) = self.value("checkpoint-sync-url") else {
            return vec![self.without_checkpoint()];
        };
        let Some(network) = &self.network else {
            return vec![note(NAME, "not checked, as the network is not known")];
        };
        let reach = match reach(self.value("tls-ca").as_deref().map(Path::new), &[]) {
            Ok(reach) => reach,
            Err(failure) => return vec![bad(NAME, format!("tls-ca: {}", failure.message))],
        };
        let node = match url.parse::<NodeUrl>().and_then(|url| Node::new(0, url, &reach)) {
            Ok(node) => node,
            Err(why) => return vec![bad(NAME, format!("checkpoint-sync-url: {why}"))],
        };
        let Some(genesis) = network.genesis else {
            return vec![note(NAME, "not checked, as the network does not tell its genesis")];
        };
        let asked = node.introduce(&network.config, genesis.validators_root, genesis.time, WITHIN);
        match self.runtime.block_on(asked) {
            Err(error) => vec![bad(
                NAME,
                format!(
                    "{error}. Is the address right, and this machine online? Take another one if that server is gone"
                ),
            )],
            Ok(introduction) => {
                self.clock.clone_from(&introduction.clock);
                vec![judge(&introduction, &node, network)]
            }
        }
    }

    /// A node has to begin somewhere.
    fn without_checkpoint(&self) -> Line {
        const NAME: &str = "checkpoint";
        let chain = self.datadir().join("node");
        if std::fs::read_dir(&chain).is_ok_and(|mut entries| entries.next().is_some()) {
            return ok(NAME, format!("none is needed, the chain is in {}", chain.display()));
        }
        let folder = self.value("network").map(PathBuf::from);
        let node = |name: &str| self.settings.get("node").and_then(|node| node.get(name)).is_some();
        if node("genesis-state") || folder.is_some_and(|folder| folder.join("genesis.ssz").exists()) {
            return ok(NAME, "none is named: the node starts from genesis");
        }
        if node("checkpoint-state") {
            return ok(NAME, "a state from a file");
        }
        bad(
            NAME,
            "a node of this network needs one: name a Beacon API whose operator you trust as checkpoint-sync-url \
             (https://eth-clients.github.io/checkpoint-sync-endpoints lists some)",
        )
    }

    /// Waits until the clock is right: what is signed ahead of time blocks a key for good.
    pub(super) fn check_clock(&mut self) -> Result<(), Failure> {
        let start = Instant::now();
        let mut told = String::new();
        loop {
            let mut line = self.runtime.block_on(clock::check(&self.time_server));
            // A time server's word counts more than that of a web server.
            if let Some(why) = self.clock.as_ref().filter(|_| line.mark == Mark::Note) {
                line = bad("clock", why);
            }
            if line.mark != Mark::Bad {
                println!("{line}");
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                return Err(Failure::running(format!(
                    "the clock is still wrong after {}; nothing was changed",
                    words::duration(PATIENCE.as_secs())
                )));
            }
            if told.is_empty() {
                println!("{line}\n      waiting for it: what is signed with a wrong date can block a key for good");
                told = line.text;
            }
            std::thread::sleep(AGAIN);
            if self.clock.is_some() {
                self.check_checkpoint();
            }
        }
    }

    pub(super) fn check_engine(&mut self) -> Vec<Line> {
        const NAME: &str = "execution";
        let endpoints = file::values(&self.settings, "execution-endpoint");
        if file::is_on(&self.settings, "dev-engine") {
            return vec![if self.is_public() {
                bad(
                    NAME,
                    "dev-engine is for local chains: take it out, and name an execution client",
                )
            } else {
                ok(NAME, "the built-in engine of local chains")
            }];
        }
        if endpoints.is_empty() {
            return vec![bad(
                NAME,
                "none is named: start an execution client of the same network and name its Engine API as \
                 execution-endpoint, http://127.0.0.1:8551 as a rule",
            )];
        }
        let secret = match self.secret() {
            Ok(secret) => secret,
            Err(line) => return vec![line],
        };
        let mut lines = Vec::new();
        for endpoint in &endpoints {
            lines.push(match engine::address(endpoint, &secret) {
                Ok(base) => self
                    .runtime
                    .block_on(engine::ask(&base, &secret, self.network.as_ref())),
                Err(line) => line,
            });
        }
        lines
    }

    /// The secret, read as who will have to read it.
    fn secret(&mut self) -> Result<JwtSecret, Line> {
        const NAME: &str = "secret";
        let Some(file) = self.value("execution-jwt") else {
            return Err(bad(
                NAME,
                "none is named: give the file that the execution client wrote or was given as execution-jwt",
            ));
        };
        let path = absolute(Path::new(&file)).map_err(|failure| bad(NAME, failure.message))?;
        let path_text = text(&path).map_err(|failure| bad(NAME, failure.message))?;
        file::set(&mut self.settings, "execution-jwt", &path_text);
        let read =
            as_owner(self.owner.as_ref(), || JwtSecret::read(&path)).map_err(|failure| bad(NAME, failure.message))?;
        let hidden = self.owner.is_some() && HIDDEN.iter().any(|folder| path.starts_with(folder));
        match (read, &self.owner) {
            (Ok(secret), _) if !hidden => Ok(secret),
            // Root can read it, and the service could not.
            (_, Some(owner)) if JwtSecret::read(&path).is_ok() => Err(bad(
                NAME,
                format!(
                    "the user {} cannot read {path_text}: `install -D -m 640 -o root -g {} {path_text} {SECRET}`, and give \
                     execution-jwt = \"{SECRET}\"",
                    owner.name, owner.gid
                ),
            )),
            (Err(error), _) => Err(bad(NAME, format!("{error:#}"))),
            (Ok(secret), _) => Ok(secret),
        }
    }

    pub(super) fn check_fees(&mut self) -> Vec<Line> {
        const NAME: &str = "fee recipient";
        let Some(address) = self.value("suggested-fee-recipient") else {
            let folder = self.datadir().join("validator");
            return vec![match as_owner(self.owner.as_ref(), || Settings::read(&folder)) {
                Ok(Ok(settings)) if !settings.default_settings().lacks_fee_recipient() => {
                    ok(NAME, "that of validators.toml")
                }
                Ok(Err(error)) => bad(NAME, format!("{error:#}")),
                _ if self.is_public() => bad(
                    NAME,
                    "none: the fees of your blocks would be lost. Give an address of yours as suggested-fee-recipient",
                ),
                _ => note(NAME, "none; on a local chain nobody misses it"),
            }];
        };
        vec![match parse_address(&address) {
            Err(error) => bad(NAME, format!("{error:#}")),
            Ok(address) if address.is_zero() => bad(NAME, "0x00…00 is nobody's: give an address of yours"),
            Ok(address) => ok(NAME, to_checksum(&address)),
        }]
    }
}

/// The place for the secret that the units let a service read.
const SECRET: &str = "/etc/wren/jwt.hex";

fn judge(introduction: &Introduction, node: &Node, network: &Network) -> Line {
    const NAME: &str = "checkpoint";
    let url = node.url();
    if let Some(why) = &introduction.stranger {
        return bad(
            NAME,
            format!(
                "{url}: {why}. Take one of {}, or the network that it is of",
                network.config.config_name
            ),
        );
    }
    let slot = network.config.slot_duration_ms.max(1);
    let since = words::now_ms().saturating_sub(introduction.genesis.genesis_time.saturating_mul(1000));
    let epoch = since / slot / SLOTS_PER_EPOCH;
    if let Some(parts) = introduction.parts_at {
        let what = format!("{url} and this version have different forks from epoch {parts} on");
        let remedy = "one of the two is too old: install the newest version, or take another server";
        return if parts <= epoch {
            bad(NAME, format!("{what}; {remedy}"))
        } else {
            note(NAME, format!("{what}, now is {epoch}; until then {remedy}"))
        };
    }
    let version = &introduction.version;
    let head = introduction
        .head_slot
        .map_or(String::new(), |slot| format!(", head at slot {slot}"));
    ok(NAME, format!("{url} ({version}): same genesis, same forks{head}"))
}
