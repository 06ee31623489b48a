//! Settings beside the command line: a TOML file and `WREN_…` variables, under the names that the options have.
//!
//! `--http-port 5053` is `http-port = 5053` in the file and `WREN_HTTP_PORT=5053` in the environment. What is typed wins
//! over the environment, and that over the file. They become words of the command line before it is read, so that every
//! option is checked in one place, whatever it came from.
//!
//! In the file an option stands at the top, where it holds for every command that has it, or in the table of a command,
//! `[node]` or `[validator]`. A name that no command has is an error: a setting that is passed over is one that the
//! operator believes in.

use crate::exit::Failure;
use clap::{Arg, ArgAction, Command};
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use toml_edit::{DocumentMut, Item, TableLike, Value};

/// The commands that are set up once and run for long, and those that look at them.
pub(crate) const COMMANDS: [&str; 4] = ["node", "validator", "status", "doctor"];

/// Those look at what the two programs were given.
const LOOKING: [&str; 2] = ["status", "doctor"];

/// The option that names the file.
const FILE: &str = "config-file";

/// Variables that are no settings: of builds and tests.
const OTHERS: [&str; 5] = [
    "WREN_BIN",
    "WREN_COMMIT",
    "WREN_TEST_LONG",
    "WREN_DISCV5_JS",
    "WREN_ETHSTAKER_PYTHON",
];

/// A file of settings is a page or two.
const MAX_BYTES: u64 = 1 << 20;

/// Adds the option that names the file to the commands that take one.
pub(crate) fn with_file_option(command: Command) -> Command {
    let option = || {
        Arg::new("config_file")
            .long(FILE)
            .value_name("FILE")
            .help("Settings by the names of the options; also WREN_… variables, which win over the file")
    };
    COMMANDS.iter().fold(command, |command, name| {
        command.mut_subcommand(name, |command| command.arg(option()))
    })
}

/// The command line with what file and environment add to it.
pub(crate) fn complete(
    command: &Command,
    line: Vec<OsString>,
    environment: &[(OsString, OsString)],
) -> Result<Vec<OsString>, Failure> {
    let name = line.get(1).and_then(|word| word.to_str());
    let Some(name) = name.filter(|name| COMMANDS.contains(name)).map(str::to_owned) else {
        return Ok(line);
    };
    // Who asks for help gets it, whatever is set.
    if line.iter().any(|word| word == "--help" || word == "-h") {
        return Ok(line);
    }
    let variables = variables(command, environment)?;
    let file = typed(&line, FILE).or_else(|| {
        variables
            .iter()
            .find(|(name, _)| name == FILE)
            .map(|(_, value)| value.into())
    });
    let document = file.map(|file| read(command, &file)).transpose()?;
    let options = command
        .find_subcommand(&name)
        .into_iter()
        .flat_map(Command::get_arguments);
    let mut added = Vec::new();
    for option in options {
        let Some(long) = option.get_long().filter(|long| *long != FILE) else {
            continue;
        };
        if is_typed(&line, long) {
            continue;
        }
        let variable = variables.iter().find(|(name, _)| name == long);
        match (variable, &document) {
            (Some((_, value)), _) => added.extend(from_variable(option, long, value)?),
            (None, Some(document)) => added.extend(from_file(option, long, &name, document)?),
            (None, None) => {}
        }
    }
    let mut complete = line;
    complete.splice(2..2, added.into_iter().map(OsString::from));
    Ok(complete)
}

fn is_typed(line: &[OsString], long: &str) -> bool {
    let (alone, joined) = (format!("--{long}"), format!("--{long}="));
    line.iter()
        .any(|word| *word == *alone || word.to_str().is_some_and(|word| word.starts_with(&joined)))
}

/// The value of an option on the command line.
fn typed(line: &[OsString], long: &str) -> Option<PathBuf> {
    let (alone, joined) = (format!("--{long}"), format!("--{long}="));
    let place = line.iter().position(|word| *word == *alone);
    let next = place.and_then(|place| line.get(place + 1)).map(PathBuf::from);
    next.or_else(|| {
        line.iter()
            .find_map(|word| word.to_str()?.strip_prefix(&joined).map(PathBuf::from))
    })
}

/// Whether a command has an option of that name.
fn has(command: &Command, of: &str, long: &str) -> bool {
    let of = command.find_subcommand(of);
    of.is_some_and(|of| of.get_arguments().any(|option| option.get_long() == Some(long)))
}

/// The settings of the environment, by the options' names.
fn variables(command: &Command, environment: &[(OsString, OsString)]) -> Result<Vec<(String, String)>, Failure> {
    let mut found = Vec::new();
    for (name, value) in environment {
        let Some(name) = name
            .to_str()
            .filter(|name| name.starts_with("WREN_") && !OTHERS.contains(name))
        else {
            continue;
        };
        let long = name["WREN_".len()..].to_lowercase().replace('_', "-");
        if !COMMANDS.iter().any(|of| has(command, of, &long)) {
            return Err(Failure::usage(format!(
                "the environment has {name}, and there is no option --{}: remove it, or write it as the option is written",
                long.escape_debug()
            )));
        }
        let value = value
            .to_str()
            .ok_or_else(|| Failure::usage(format!("{name} is no text")))?;
        found.push((long, value.to_owned()));
    }
    Ok(found)
}

/// Reads a file and checks that every name in it is that of an option.
fn read(command: &Command, path: &Path) -> Result<DocumentMut, Failure> {
    let document = parse(path)?;
    check(command, &document).map_err(|why| Failure::usage(format!("{}: {why}", path.display())))?;
    Ok(document)
}

/// Reads a file of TOML, of whatever names.
pub(crate) fn parse(path: &Path) -> Result<DocumentMut, Failure> {
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text));
    read.map_err(|error| Failure::io(format!("cannot read {}", path.display()), &error))?;
    text.parse()
        .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

/// Checks that every name is that of an option, in the table of a command that has it; otherwise a sentence.
pub(crate) fn check(command: &Command, document: &DocumentMut) -> Result<(), String> {
    for (name, item) in document.iter() {
        if let Some(table) = item.as_table_like() {
            if !COMMANDS.contains(&name) {
                return Err(format!("[{}] is none of [node], [validator]", name.escape_debug()));
            }
            let unknown = table.iter().find(|(key, _)| !has(command, name, key));
            if let Some((key, _)) = unknown {
                return Err(format!(
                    "in [{name}]: `wren {name}` has no option --{}",
                    key.escape_debug()
                ));
            }
        } else if !COMMANDS.iter().any(|of| has(command, of, name)) {
            return Err(format!("there is no option --{}", name.escape_debug()));
        }
    }
    Ok(())
}

/// Checks that both programs take what stands in a document, as far as that is seen without starting them; otherwise a
/// sentence.
pub(crate) fn try_out(command: &Command, document: &DocumentMut) -> Result<(), String> {
    for name in ["node", "validator"] {
        let mut line = vec!["wren".to_owned(), name.to_owned()];
        let of = command.find_subcommand(name);
        for option in of.into_iter().flat_map(Command::get_arguments) {
            if let Some(long) = option.get_long().filter(|long| *long != FILE) {
                line.extend(from_file(option, long, name, document).map_err(|failure| failure.message)?);
            }
        }
        let taken = command.clone().try_get_matches_from(line);
        taken.map_err(|error| {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            first.trim_start_matches("error: ").to_owned()
        })?;
    }
    Ok(())
}

fn from_variable(option: &Arg, long: &str, value: &str) -> Result<Vec<String>, Failure> {
    match option.get_action() {
        ArgAction::SetTrue => match value {
            "1" | "true" | "yes" => Ok(vec![format!("--{long}")]),
            "" | "0" | "false" | "no" => Ok(Vec::new()),
            _ => Err(Failure::usage(format!(
                "WREN_{} is {}: write true or false",
                long.to_uppercase().replace('-', "_"),
                value.escape_debug()
            ))),
        },
        ArgAction::Append => Ok(value.split(',').map(|value| format!("--{long}={value}")).collect()),
        _ => Ok(vec![format!("--{long}={value}")]),
    }
}

fn from_file(option: &Arg, long: &str, name: &str, document: &DocumentMut) -> Result<Vec<String>, Failure> {
    let in_table = |table: &str| document.get(table).and_then(Item::as_table_like)?.get(long);
    let others = || {
        LOOKING
            .contains(&name)
            .then(|| in_table("node").or_else(|| in_table("validator")))
            .flatten()
    };
    let top = || document.as_table().get(long).filter(|item| !item.is_table_like());
    let Some(item) = in_table(name).or_else(top).or_else(others) else {
        let told = || address(long, document).or_else(|| metrics_port(long, document));
        return Ok(LOOKING.contains(&name).then(told).flatten().into_iter().collect());
    };
    let wrong = |what: &str| {
        let shown = item.to_string().trim().escape_debug().to_string();
        // Quotes as they stand in the file.
        Failure::usage(format!("{long} = {}: {what}", shown.replace("\\\"", "\"")))
    };
    let value = item.as_value().ok_or_else(|| wrong("this is a table"))?;
    if matches!(option.get_action(), ArgAction::SetTrue) {
        let on = value
            .as_bool()
            .ok_or_else(|| wrong("write true or false, without quotes"))?;
        return Ok(if on { vec![format!("--{long}")] } else { Vec::new() });
    }
    let word = |value: &Value| text(value).map(|text| format!("--{long}={text}"));
    let words: Option<Vec<String>> = match value.as_array() {
        Some(list) => list.iter().map(word).collect(),
        None => word(value).map(|word| vec![word]),
    };
    words.ok_or_else(|| wrong("write a text in quotes, a number, or a list of them"))
}

/// Where a program of this machine answers by its own settings, for those who look at it and are told nothing else.
fn address(long: &str, document: &DocumentMut) -> Option<String> {
    let (table, of) = match long {
        "beacon-nodes" => ("node", "http"),
        "client-metrics" => ("validator", "metrics"),
        _ => return None,
    };
    let table = document.get(table).and_then(Item::as_table_like)?;
    let port = table.get(&format!("{of}-port"))?.as_integer()?;
    let host = table.get(&format!("{of}-address")).and_then(Item::as_str);
    // What listens everywhere is asked here.
    let host = host.filter(|host| !matches!(*host, "0.0.0.0" | "::"));
    let host = host.map_or_else(
        || "127.0.0.1".to_owned(),
        |host| {
            if host.contains(':') {
                format!("[{host}]")
            } else {
                host.into()
            }
        },
    );
    Some(format!("--{long}=http://{host}:{port}"))
}

/// The port of a program's metrics, which both programs call the same.
fn metrics_port(long: &str, document: &DocumentMut) -> Option<String> {
    let table = match long {
        "node-metrics-port" => "node",
        "client-metrics-port" => "validator",
        _ => return None,
    };
    let of = |table: &dyn TableLike| table.get("metrics-port")?.as_integer();
    let of_table = document.get(table).and_then(Item::as_table_like).and_then(of);
    let port = of_table.or_else(|| of(document.as_table()))?;
    Some(format!("--{long}={port}"))
}

/// A value as it would be typed.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.value().clone()),
        Value::Integer(number) => Some(number.value().to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn complete_with(words: &[&str], environment: &[(&str, &str)], file: Option<&str>) -> Result<Vec<String>, String> {
        let command = with_file_option(crate::Wren::command());
        // Tests run side by side: each call has a file of its own.
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        let call = CALLS.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("wren-settings-{}-{call}", std::process::id()));
        let mut line: Vec<OsString> = ["wren"].iter().chain(words).map(OsString::from).collect();
        if let Some(text) = file {
            std::fs::write(&path, text).unwrap();
            line.push(format!("--{FILE}={}", path.display()).into());
        }
        let environment: Vec<(OsString, OsString)> = environment
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        let complete = complete(&command, line, &environment);
        let words = |line: Vec<OsString>| line.into_iter().map(|word| word.into_string().unwrap());
        let found = complete.map(|line| words(line).filter(|word| !word.starts_with("--config-file")).collect());
        std::fs::remove_file(path).ok();
        found.map_err(|failure| failure.message)
    }

    #[test]
    fn those_who_look_ask_where_the_settings_say_that_the_programs_answer() {
        let file = "[node]\nhttp-port = 5152\nhttp-address = \"0.0.0.0\"\n[validator]\nmetrics-port = 8109\n";
        let line = complete_with(&["status"], &[], Some(file)).unwrap();
        assert!(
            line.contains(&"--beacon-nodes=http://127.0.0.1:5152".to_owned()),
            "{line:?}"
        );
        assert!(
            line.contains(&"--client-metrics=http://127.0.0.1:8109".to_owned()),
            "{line:?}"
        );
        let line = complete_with(&["doctor"], &[], Some(file)).unwrap();
        assert!(line.contains(&"--client-metrics-port=8109".to_owned()), "{line:?}");
        assert!(
            !line.iter().any(|word| word.starts_with("--node-metrics-port")),
            "{line:?}"
        );
        // What is said wins, and the programs themselves are told nothing by it.
        let said = format!("beacon-nodes = [\"http://other:5052\"]\n{file}");
        let line = complete_with(&["status"], &[], Some(&said)).unwrap();
        assert!(
            line.contains(&"--beacon-nodes=http://other:5052".to_owned()),
            "{line:?}"
        );
        let line = complete_with(&["validator"], &[], Some(file)).unwrap();
        assert!(!line.iter().any(|word| word.starts_with("--beacon-nodes")), "{line:?}");
    }

    #[test]
    fn what_is_typed_wins_over_environment_and_file() {
        let file = "network = \"hoodi\"\nlog-level = \"debug\"\n[node]\nhttp-port = 1\nexecution-endpoint = [\"http://a\", \"http://b\"]\n[validator]\nbroadcast = true\n";
        let line = complete_with(
            &["node", "--http-port=3"],
            &[("WREN_HTTP_PORT", "2"), ("WREN_LOG_LEVEL", "warn")],
            Some(file),
        );
        let line = line.unwrap();
        for word in [
            "--network=hoodi",
            "--log-level=warn",
            "--execution-endpoint=http://a",
            "--execution-endpoint=http://b",
        ] {
            assert!(line.iter().any(|found| found == word), "{word} is not in {line:?}");
        }
        assert_eq!(line.iter().filter(|word| word.starts_with("--http-port")).count(), 1);
        assert!(!line.contains(&"--broadcast".to_owned()), "that is the client's");
        let line = complete_with(&["validator"], &[("WREN_HTTP_PORT", "2")], Some(file)).unwrap();
        assert!(
            line.contains(&"--broadcast".to_owned()) && !line.contains(&"--http-port=2".to_owned()),
            "{line:?}"
        );
        let line = complete_with(&["doctor"], &[], Some(file)).unwrap();
        assert!(
            line.contains(&"--execution-endpoint=http://a".to_owned()),
            "the doctor looks at all: {line:?}"
        );
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (environment, file, part) in [
            (&[("WREN_HTPP_PORT", "2")][..], None, "WREN_HTPP_PORT"),
            (&[], Some("htpp-port = 1"), "--htpp-port"),
            (&[], Some("[nodes]\nhttp-port = 1"), "[nodes]"),
            (
                &[],
                Some("[validator]\nhttp-port = 1"),
                "`wren validator` has no option --http-port",
            ),
            (&[], Some("[node]\ndev-engine = \"yes\""), "true or false"),
            (&[], Some("[node]\nhttp-port = 1.5"), "a number"),
            (&[("WREN_DEV_ENGINE", "maybe")], None, "true or false"),
        ] {
            let refused = complete_with(&["node"], environment, file).unwrap_err();
            assert!(refused.contains(part), "{part} is not in {refused}");
        }
    }

    #[test]
    fn other_commands_and_variables_are_left_alone() {
        let line = complete_with(&["keys", "list"], &[("WREN_NONSENSE", "2")], None).unwrap();
        assert_eq!(line, ["wren", "keys", "list"]);
        let line = complete_with(&["node"], &[("WREN_BIN", "x"), ("HOME", "y")], None).unwrap();
        assert_eq!(line, ["wren", "node"]);
    }
}
