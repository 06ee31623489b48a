//! `wren setup`: asks for what node and client need, tries each answer, writes the settings, takes keys in and starts both.
//!
//! Nothing is written before every answer has stood its test, and what is unsafe is refused: a public network without fee
//! recipient, keys that sign elsewhere, a wrong clock. Run again, it changes what is asked and nothing else.

mod checks;
mod file;
mod keys;
mod launch;
mod owner;

use crate::doctor::{Line, Mark, Network, bad};
use crate::exit::{self, Failure};
use crate::{mainnet, settings, terminal, words};
use clap::{Args as ClapArgs, CommandFactory};
use owner::Owner;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use toml_edit::DocumentMut;

/// Where the package has settings and data.
const PACKAGE_FILE: &str = "/etc/wren/wren.toml";
const PACKAGE_DATADIR: &str = "/var/lib/wren";

/// How often a question is asked until its answer stands.
const ATTEMPTS: usize = 5;

/// What an answer may say beside settings.
const OF_SETUP: [&str; 6] = [
    "keystores",
    "password-file",
    "new-keys",
    "slashing-history",
    "start",
    "accept-mainnet",
];

const EXAMPLES: &str = "\
Examples:
  sudo wren setup
  sudo wren setup --answers answers.toml
  wren setup --config-file ./wren.toml

A file of answers has the names of the settings, and those of the keys:

  network = \"hoodi\"
  checkpoint-sync-url = \"https://checkpoint.example\"
  execution-endpoint = \"http://127.0.0.1:8551\"
  execution-jwt = \"/etc/wren/jwt.hex\"
  suggested-fee-recipient = \"0x…\"
  keystores = \"validator_keys\"
  password-file = \"password.txt\"      # asked for if it is left out
  new-keys = true                      # or: slashing-history = \"history.json\"
  start = true                         # false: write and take in, start nothing
  accept-mainnet = \"…\"                 # on mainnet alone, once: the sentence that is asked for

Tables [node] and [validator] in it are taken over as they stand: `tls-ca` in [node] names the certificates (PEM) of
authorities to trust for the checkpoint's server beside the usual ones. Paths are seen from where the command runs. What is left
out stays as it is. It ends with 0, or with 7 where something has to be mended first; then nothing was changed.";

/// Ask for what is needed, try it, write the settings, take keys in and start
#[derive(ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Take answers from this file and ask for nothing that is not in it
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    /// The settings to write [default: /etc/wren/wren.toml for root, wren-data/wren.toml for others]
    #[arg(long, value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// Who is asked for the time (NTP)
    #[arg(long, value_name = "HOST[:PORT]", default_value = "pool.ntp.org")]
    time_server: String,
}

/// One run of the command.
struct Setup {
    runtime: tokio::runtime::Runtime,
    /// The file that is written.
    path: PathBuf,
    /// The answers, where they come from a file; otherwise they are asked for.
    answers: Option<DocumentMut>,
    /// The settings as they shall be.
    settings: DocumentMut,
    owner: Option<Owner>,
    network: Option<Network>,
    /// Why the clock is wrong by that of the checkpoint's server.
    clock: Option<String>,
    time_server: String,
    /// What has to be mended first.
    wrong: usize,
}

/// A question: the setting's name, and what is asked.
type Question = (&'static str, &'static str);

/// Runs `wren setup`.
pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let root = rustix::process::geteuid().is_root();
    let path = args.config_file.clone().unwrap_or_else(|| {
        let usual = if root { PACKAGE_FILE } else { "wren-data/wren.toml" };
        PathBuf::from(usual)
    });
    let path = absolute(&path)?;
    let before = if path.exists() {
        settings::parse(&path)?
    } else {
        DocumentMut::new()
    };
    let mut setup = Setup {
        runtime: runtime.map_err(|error| Failure::io("cannot start the runtime", &error))?,
        path,
        answers: args.answers.as_deref().map(settings::parse).transpose()?,
        settings: before.clone(),
        owner: None,
        network: None,
        clock: None,
        time_server: args.time_server,
        wrong: 0,
    };
    setup.begin(root)?;
    setup.ask_all()?;
    let coming = setup.keys()?;
    let accepted = setup.accept_mainnet(coming.is_some())?;
    if setup.wrong > 0 {
        println!(
            "{} to mend; nothing was changed. Then run this again.",
            words::count(setup.wrong, "thing")
        );
        return Ok(ExitCode::from(exit::ATTENTION));
    }
    setup.finish(&before, coming, accepted)
}

impl Setup {
    /// The answers that need no test, and the data folder.
    fn begin(&mut self, root: bool) -> Result<(), Failure> {
        if let Some(answers) = self.answers.clone() {
            file::merge(&mut self.settings, &answers, &OF_SETUP);
        }
        let here = if root && Path::new(PACKAGE_DATADIR).is_dir() {
            PathBuf::from(PACKAGE_DATADIR)
        } else {
            PathBuf::from("wren-data")
        };
        let datadir = file::value(&self.settings, "datadir").map_or(here, PathBuf::from);
        let datadir = absolute(&datadir)?;
        file::set(&mut self.settings, "datadir", &text(&datadir)?);
        self.owner = Owner::of(&datadir);
        let whose = self.owner.as_ref();
        let whose = whose.map_or(String::new(), |owner| format!(", of the user {}", owner.name));
        println!(
            "Settings: {}\nData:     {}{whose}\n",
            self.path.display(),
            datadir.display()
        );
        Ok(())
    }

    fn ask_all(&mut self) -> Result<(), Failure> {
        self.settle(
            &[(
                "network",
                "Network (mainnet, sepolia, hoodi, or a folder with config.yaml)",
            )],
            Setup::check_network,
        )?;
        self.settle(
            &[(
                "checkpoint-sync-url",
                "Checkpoint: the Beacon API to start from, of somebody you trust",
            )],
            Setup::check_checkpoint,
        )?;
        self.check_clock()?;
        self.settle(
            &[
                ("execution-endpoint", "Engine API of the execution client"),
                ("execution-jwt", "The file with the secret that both know (jwt.hex)"),
            ],
            Setup::check_engine,
        )?;
        self.settle(
            &[("suggested-fee-recipient", "Your address for the fees of blocks (0x…)")],
            Setup::check_fees,
        )?;
        let known = settings::with_file_option(crate::Wren::command());
        let wrong = |why| Failure::usage(format!("{}: {why}", self.source()));
        settings::check(&known, &self.settings).map_err(wrong)?;
        // What has to be mended is told, and may be the same.
        if self.wrong > 0 {
            return Ok(());
        }
        settings::try_out(&known, &self.settings).map_err(wrong)
    }

    /// Where the settings come from that are not right.
    fn source(&self) -> String {
        if self.answers.is_some() {
            format!("the answers, or {}", self.path.display())
        } else {
            self.path.display().to_string()
        }
    }

    /// Asks until the answers stand their test. Answers of a file are tested once.
    fn settle(&mut self, questions: &[Question], check: fn(&mut Setup) -> Vec<Line>) -> Result<(), Failure> {
        for _ in 0..ATTEMPTS {
            if self.answers.is_none() {
                for (name, question) in questions {
                    self.ask(name, question)?;
                }
            }
            let lines = check(self);
            if tell(&lines) {
                return Ok(());
            }
            if self.answers.is_some() {
                self.wrong += lines.iter().filter(|line| line.mark == Mark::Bad).count();
                return Ok(());
            }
        }
        Err(Failure::usage("that was asked often enough; nothing was changed"))
    }

    /// Asks for a setting. An empty answer keeps what is there, a dash takes it out.
    fn ask(&mut self, name: &str, question: &str) -> Result<(), Failure> {
        let now = file::values(&self.settings, name).join(",");
        let shown = if now.is_empty() {
            String::new()
        } else {
            format!(" [{}]", checks::without_password(&now))
        };
        let answer = terminal::ask(&format!("{question}{shown}: "))?;
        match answer.trim() {
            "" => {}
            "-" => file::unset(&mut self.settings, name),
            answer => file::set(&mut self.settings, name, answer),
        }
        Ok(())
    }

    /// On mainnet a typed sentence accepts, once, what signing there means: the client's service could not ask. Whether
    /// that was done now.
    fn accept_mainnet(&mut self, coming: bool) -> Result<bool, Failure> {
        let folder = self.datadir().join("validator");
        let network = self.network.as_ref();
        let due = network.is_some_and(|network| mainnet::is_due(&network.config, &folder));
        if !due || self.wrong > 0 || !(coming || self.has_keys()) {
            return Ok(false);
        }
        if self.answers.is_none() {
            terminal::confirm(&format!("\n{}", mainnet::WHAT), mainnet::SENTENCE, false)?;
            return Ok(true);
        }
        if self.answer("accept-mainnet").as_deref() == Some(mainnet::SENTENCE) {
            return Ok(true);
        }
        let (what, sentence) = (mainnet::WHAT.replace('\n', " "), mainnet::SENTENCE);
        let line = bad(
            "mainnet",
            format!("{what} If that is what you want, answer accept-mainnet = \"{sentence}\""),
        );
        println!("{line}");
        self.wrong += 1;
        Ok(false)
    }

    /// Writes, takes in, starts.
    fn finish(self, before: &DocumentMut, coming: Option<keys::Coming>, accepted: bool) -> Result<ExitCode, Failure> {
        let changed = self.settings.to_string() != before.to_string();
        let start = self.answer_is_on("start") != Some(false);
        if self.answers.is_none() {
            let keys = coming.as_ref().map_or(0, keys::Coming::count);
            let what = format!(
                "\nThis writes {} and takes in {}.",
                self.path.display(),
                words::count(keys, "key")
            );
            terminal::confirm(&what, "yes", false)?;
        }
        if changed {
            file::write(&self.path, &self.settings, self.owner.as_ref())?;
            println!("wrote {}", self.path.display());
        } else {
            println!("{} stays as it is", self.path.display());
        }
        let took_in = coming.is_some();
        if let Some(coming) = coming {
            self.take_in(&coming)?;
        }
        if accepted {
            let folder = self.datadir().join("validator");
            owner::as_owner(self.owner.as_ref(), || mainnet::keep(&folder))??;
        }
        launch::start(&self, start, changed, took_in)
    }

    /// Whether a switch of the answers is on; `None` where they do not say.
    fn answer_is_on(&self, name: &str) -> Option<bool> {
        self.answers.as_ref()?.get(name)?.as_bool()
    }

    /// A text of the answers.
    fn answer(&self, name: &str) -> Option<String> {
        self.answers.as_ref().and_then(|answers| file::value(answers, name))
    }

    fn value(&self, name: &str) -> Option<String> {
        file::value(&self.settings, name)
    }

    fn datadir(&self) -> PathBuf {
        self.value("datadir").map_or_else(PathBuf::new, PathBuf::from)
    }

    fn is_public(&self) -> bool {
        self.network.as_ref().is_some_and(Network::is_public)
    }
}

/// Prints lines; whether none of them is bad.
fn tell(lines: &[Line]) -> bool {
    for line in lines {
        println!("{line}");
    }
    lines.iter().all(|line| line.mark != Mark::Bad)
}

/// A path that holds wherever a service is started.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::io(format!("cannot use the path {}", path.display()), &error))
}

fn text(path: &Path) -> Result<String, Failure> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| Failure::usage(format!("the path {} is no text", path.display())))
}
