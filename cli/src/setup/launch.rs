//! The start of both programs: by systemd where it runs and the package's units are there, otherwise by two lines to type.

use super::{PACKAGE_DATADIR, PACKAGE_FILE, Setup};
use crate::exit::Failure;
use std::path::Path;
use std::process::{Command, ExitCode};

/// What the package calls its services.
const NODE: &str = "wren-node";
const CLIENT: &str = "wren-validator";

/// Starts node and client, or says how.
pub(super) fn start(setup: &Setup, wanted: bool, changed: bool, took_in: bool) -> Result<ExitCode, Failure> {
    let keys = setup.has_keys();
    if by_systemd(setup) && wanted {
        let commands = systemd_commands(changed, keys);
        println!("starting by systemd:");
        for command in commands {
            run(&command)?;
        }
        let what = if keys {
            "both run"
        } else {
            "the node runs; there are no keys yet"
        };
        println!("{what}; `sudo wren status --config-file {PACKAGE_FILE}` tells how it goes");
        return Ok(ExitCode::SUCCESS);
    }
    if took_in && !wanted {
        println!("nothing was started, as asked");
    }
    println!("\nTo start, type each line in a terminal of its own:");
    for line in lines(setup, keys) {
        println!("  {line}");
    }
    if !keys {
        println!("There are no keys yet, so only the node can start.");
    }
    Ok(ExitCode::SUCCESS)
}

impl Setup {
    pub(super) fn has_keys(&self) -> bool {
        let keys = self.datadir().join("validator").join("keys");
        std::fs::read_dir(keys).is_ok_and(|mut entries| entries.next().is_some())
    }
}

/// Whether systemd runs, has our units, and they read what was just written.
fn by_systemd(setup: &Setup) -> bool {
    let units = ["/lib/systemd/system", "/etc/systemd/system"];
    let unit = units
        .iter()
        .any(|folder| Path::new(folder).join(format!("{NODE}.service")).exists());
    let theirs = setup.path == Path::new(PACKAGE_FILE) && setup.datadir() == Path::new(PACKAGE_DATADIR);
    Path::new("/run/systemd/system").is_dir() && unit && theirs && rustix::process::geteuid().is_root()
}

/// The commands to systemd: at every start of the machine from now on, and now. What runs and has new settings is
/// restarted; what has the same goes on.
fn systemd_commands(changed: bool, keys: bool) -> Vec<Vec<&'static str>> {
    let verb = if changed { "restart" } else { "start" };
    let mut units = vec![NODE];
    if keys {
        units.push(CLIENT);
    }
    ["enable", verb]
        .into_iter()
        .map(|verb| ["systemctl", verb].into_iter().chain(units.iter().copied()).collect())
        .collect()
}

fn run(command: &[&str]) -> Result<(), Failure> {
    println!("  {}", command.join(" "));
    let status = Command::new(command[0]).args(&command[1..]).status();
    let status = status.map_err(|error| Failure::io(format!("cannot run {}", command[0]), &error))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::running(format!(
        "`{}` has failed; `journalctl -u {NODE} -u {CLIENT} -n 30` says why",
        command.join(" ")
    )))
}

fn lines(setup: &Setup, keys: bool) -> Vec<String> {
    let program = std::env::current_exe()
        .ok()
        .and_then(|path| path.to_str().map(str::to_owned));
    let program = match program.as_deref() {
        None | Some("/usr/bin/wren" | "/usr/local/bin/wren") => "wren".to_owned(),
        Some(path) => quoted(path),
    };
    // Not `runuser` or `su`: those end a program two seconds after a signal, and a client finishes its duties first.
    let user = setup.owner.as_ref().map_or(String::new(), |owner| {
        let name = quoted(&owner.name);
        format!("setpriv --reuid {name} --regid {} --clear-groups ", owner.gid)
    });
    let file = quoted(&setup.path.display().to_string());
    let commands: &[&str] = if keys { &["node", "validator"] } else { &["node"] };
    commands
        .iter()
        .map(|command| format!("{user}{program} {command} --config-file {file}"))
        .collect()
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+:@".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_restarts_only_what_has_new_settings() {
        let text = |changed, keys| {
            let commands = systemd_commands(changed, keys);
            commands
                .iter()
                .map(|words| words.join(" "))
                .collect::<Vec<_>>()
                .join("; ")
        };
        assert_eq!(
            text(true, true),
            "systemctl enable wren-node wren-validator; systemctl restart wren-node wren-validator"
        );
        assert_eq!(
            text(false, false),
            "systemctl enable wren-node; systemctl start wren-node"
        );
    }

    #[test]
    fn words_survive_the_shell() {
        assert_eq!(quoted("/etc/wren/wren.toml"), "/etc/wren/wren.toml");
        assert_eq!(quoted("a b"), "'a b'");
        let output = Command::new("sh")
            .arg("-c")
            .arg(format!("printf %s {}", quoted("it's $HOME")))
            .output();
        assert_eq!(output.unwrap().stdout, b"it's $HOME");
    }
}
