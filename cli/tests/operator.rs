//! `wren doctor`, `wren status` and the settings, each thing broken once: the line that is then seen, and its remedy.

use super::{Scratch, wren, wren_fails, wren_ok};
use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;

/// A port that nobody listens on.
pub(crate) fn free_port() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port().to_string()
}

/// What the doctor says of a data folder with one key, after something was done to it.
fn doctor(scratch: &Scratch, more: &[&str]) -> String {
    let ports = [free_port(), free_port(), free_port()];
    let (network, data) = (scratch.path("net"), scratch.path("data"));
    let place = [
        "doctor",
        "--network",
        &network,
        "--datadir",
        &data,
        "--time-server",
        "127.0.0.1:1",
    ];
    let ports = ["--http-port", &ports[0], "--port", &ports[1], "--quic-port", &ports[2]];
    let output = wren(&[&place[..], &ports[..], more].concat(), b"");
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

fn has(said: &str, mark: &str, name: &str, part: &str) {
    let found = said
        .lines()
        .any(|line| line.starts_with(mark) && line.contains(name) && line.contains(part));
    assert!(found, "no line '{mark} {name} … {part}' in\n{said}");
}

/// Carries out what stands between backticks in the line that says what to mend.
fn mend(said: &str, name: &str, remedy: &str) {
    has(said, "MEND", name, &format!("`{remedy}`"));
    let done = std::process::Command::new("sh").arg("-c").arg(remedy).status();
    assert!(done.unwrap().success(), "{remedy}");
}

/// What makes a shell take `wren` for the program under test, in the folder of the test.
fn shell_alias(scratch: &Scratch) -> String {
    format!(
        "cd '{}' && wren() {{ '{}' \"$@\"; }}",
        scratch.path("."),
        super::program()
    )
}

/// Carries out the commands of the line that has keystores come in again, one after the other: the key signs at once,
/// above what it signed.
fn import_again(scratch: &Scratch, said: &str, part: &str) {
    let line = said.lines().find(|line| line.contains(part)).expect(part);
    let commands: Vec<&str> = line.split('`').skip(1).step_by(2).collect();
    let (options, commands) = commands.split_last().unwrap();
    assert!(commands.len() > 1, "{line}");
    fs::remove_file(scratch.path("history.json")).ok(); // of the time before
    let keys = "wren keys import net/keys-0 --password-file net/keys-0/password.txt --network net --datadir data";
    for command in commands.iter().copied().chain([format!("{keys} {options}").as_str()]) {
        let script = format!("{} && {command}", shell_alias(scratch));
        let done = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{command}: {said}");
        let signs = said.contains("signs from the client's next start on");
        assert!(signs || !command.starts_with(keys), "{said}");
    }
}

/// A network and a client's folder with a key.
fn folder(name: &str) -> Scratch {
    let scratch = Scratch::new(name);
    let (network, data) = (scratch.path("net"), scratch.path("data"));
    // As many as a slot each of an epoch of the mainnet preset wants.
    wren_ok(&["genesis", "--output", &network, "--validators", "32", "--keys", "32"]);
    let (keys, password) = (scratch.path("net/keys-0"), scratch.path("net/keys-0/password.txt"));
    let import = ["keys", "import", &keys, "--new-keys", "--password-file", &password];
    wren_ok(&[&import[..], &["--network", &network, "--datadir", &data]].concat());
    scratch
}

#[test]
fn the_doctor_sees_what_is_broken_in_the_clients_folder() {
    let scratch = folder("doctor");
    let fees = [
        "--suggested-fee-recipient",
        "0x8943545177806ED17B9F23F0a21ee5948eCaa776",
    ];
    let said = doctor(&scratch, &fees);
    for (name, part) in [
        ("version", "preset"),
        ("next fork", "none"),
        ("page size", "bytes"),
        ("keys", "1 key, only this user"),
        ("slashing record", "whole"),
        ("fee recipient", "set for every key"),
    ] {
        has(&said, "OK", name, part);
    }
    has(
        &doctor(&scratch, &[]),
        "MEND",
        "fee recipient",
        "--suggested-fee-recipient",
    );

    let secret = scratch.path("data/validator/local_secret");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    mend(&doctor(&scratch, &fees), "keys", &format!("chmod 600 {secret}"));
    has(&doctor(&scratch, &fees), "OK", "keys", "only this user");
    // Only root can give a file to another user, and take it back.
    if std::os::unix::fs::chown(&secret, Some(12345), None).is_ok() {
        mend(&doctor(&scratch, &fees), "keys", &format!("chown $(id -u) {secret}"));
        has(&doctor(&scratch, &fees), "OK", "keys", "only this user");
    }

    let moved = scratch.path("data/validator/elsewhere");
    fs::rename(&secret, &moved).unwrap();
    let said = doctor(&scratch, &fees);
    has(&said, "MEND", "keys", "is missing, and nothing else opens the keys");
    fs::rename(&moved, &secret).unwrap();
    has(&doctor(&scratch, &fees), "OK", "keys", "only this user");

    // Lost for good.
    fs::remove_file(&secret).unwrap();
    import_again(&scratch, &said, "nothing else opens");
    has(&doctor(&scratch, &fees), "OK", "keys", "only this user");

    let record = scratch.path("data/validator/slashing_protection.sqlite");
    let whole = fs::read(&record).unwrap();
    fs::write(&record, b"").unwrap();
    has(
        &doctor(&scratch, &fees),
        "MEND",
        "slashing record",
        "emptied or damaged",
    );
    fs::remove_file(&record).unwrap();
    has(
        &doctor(&scratch, &fees),
        "MEND",
        "slashing record",
        "there is no slashing protection database",
    );
    fs::write(&record, whole).unwrap();
    fs::set_permissions(&record, fs::Permissions::from_mode(0o600)).unwrap();

    let other = scratch.path("net");
    fs::rename(&other, scratch.path("old")).unwrap();
    wren_ok(&["genesis", "--output", &other, "--validators", "33"]);
    has(&doctor(&scratch, &fees), "MEND", "slashing record", "another network");
}

/// A secret or a key that is damaged is seen, and the commands of the message make the key sign again.
#[test]
fn keys_that_do_not_open_come_in_again() {
    let scratch = folder("doctor-keys");
    let secret = scratch.path("data/validator/local_secret");
    fs::write(&secret, "short").unwrap();
    let said = doctor(&scratch, &[]);
    has(&said, "MEND", "keys", "is damaged: it must hold 64 hex digits");
    import_again(&scratch, &said, "local_secret is damaged");
    has(&doctor(&scratch, &[]), "OK", "keys", "only this user");

    let entry = fs::read_dir(scratch.path("data/validator/keys")).unwrap().next();
    let key = entry.unwrap().unwrap().path();
    fs::write(&key, "{}").unwrap();
    let said = doctor(&scratch, &[]);
    has(&said, "MEND", "keys", "cannot open");
    import_again(&scratch, &said, "cannot open");
    has(&doctor(&scratch, &[]), "OK", "keys", "only this user");
}

#[test]
fn an_address_for_fees_that_is_mistyped_is_seen() {
    let scratch = folder("doctor-fees");
    let mistyped = "0x8943545177806ED17B9F23F0a21ee5948eCaa777";
    let fees = ["--suggested-fee-recipient", mistyped];
    has(
        &doctor(&scratch, &fees),
        "MEND",
        "fee recipient",
        "Copy the address again",
    );
    let node = [
        "node",
        "--network",
        &scratch.path("net"),
        "--datadir",
        &scratch.path("data"),
    ];
    let refused = wren_fails(2, &[&node[..], &fees].concat(), b"");
    assert!(refused.contains("--suggested-fee-recipient: the checksum"), "{refused}");
    let fees = [fees[0], &mistyped.replace("777", "776")];
    has(&doctor(&scratch, &fees), "OK", "fee recipient", "set for every key");
}

/// A port for peers that is taken stops the node; the option that the sentence names mends it.
#[test]
fn a_port_for_peers_that_is_taken_is_named_with_its_option() {
    let scratch = folder("peers-port");
    let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let taken = taken.local_addr().unwrap().port().to_string();
    let node = [
        "node",
        "--dev-engine",
        "--network",
        &scratch.path("net"),
        "--datadir",
        &scratch.path("data"),
    ];
    let place = [
        "--http-port",
        "0",
        "--metrics-port",
        "0",
        "--no-discovery",
        "--port",
        "0",
    ];
    let refuses = |address: &str, port: &str| {
        let listen = ["--listen-address", address, "--quic-port", port];
        wren_fails(6, &[&node[..], &place, &listen].concat(), b"")
    };
    let said = refuses("127.0.0.1", &taken);
    assert!(said.contains("choose another by --quic-port: Address"), "{said}");
    assert_eq!(said.matches("os error").count(), 1, "{said}");
    // Of a documentation's network: no machine has it.
    let said = refuses("192.0.2.77", "0");
    assert!(said.contains("choose another by --listen-address"), "{said}");
}

#[test]
fn the_doctor_asks_the_execution_client() {
    let scratch = folder("doctor-engine");
    let (port, jwt, wrong) = (free_port(), scratch.path("jwt.hex"), scratch.path("wrong.hex"));
    let url = format!("http://127.0.0.1:{port}");
    let engine = ["--execution-endpoint", &url, "--execution-jwt", &jwt];
    has(
        &doctor(&scratch, &engine),
        "MEND",
        "execution",
        "cannot read the secret",
    );
    fs::write(&jwt, "ab").unwrap();
    if std::process::Command::new("openssl").arg("version").output().is_ok() {
        mend(
            &doctor(&scratch, &engine),
            "execution",
            &format!("openssl rand -hex 32 > {jwt}"),
        );
    }
    fs::write(&jwt, "ab".repeat(32)).unwrap();
    fs::write(&wrong, "cd".repeat(32)).unwrap();
    let bare = ["--execution-endpoint", &url["http://".len()..], "--execution-jwt", &jwt];
    has(
        &doctor(&scratch, &bare),
        "MEND",
        "execution",
        "write it as http://127.0.0.1:8551",
    );
    has(
        &doctor(&scratch, &engine),
        "MEND",
        "execution",
        "start the execution client",
    );
    has(&doctor(&scratch, &[]), "note", "execution", "not checked");
    has(
        &doctor(&scratch, &engine[..2]),
        "MEND",
        "execution",
        "give --execution-jwt",
    );

    let program = std::env::var("WREN_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_wren").into());
    let serve = [
        "engine",
        "--network",
        &scratch.path("net"),
        "--port",
        &port,
        "--jwt",
        &jwt,
    ];
    let mut serving = std::process::Command::new(program)
        .args(serve)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let start = std::time::Instant::now();
    while std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_err() {
        assert!(start.elapsed().as_secs() < 60, "the engine does not listen");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let answers = doctor(&scratch, &engine);
    let refused = doctor(&scratch, &["--execution-endpoint", &url, "--execution-jwt", &wrong]);
    let config = scratch.path("net/config.yaml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(
        &config,
        text.replace("DEPOSIT_CHAIN_ID: 973600", "DEPOSIT_CHAIN_ID: 17000"),
    )
    .unwrap();
    let elsewhere = doctor(&scratch, &engine);
    serving.kill().unwrap();
    serving.wait().unwrap();
    has(&answers, "OK", "execution", "chain 973600");
    has(&refused, "MEND", "execution", "give both programs the same file");
    has(&elsewhere, "MEND", "execution", "is on the chain 973600");
}

#[test]
fn a_port_of_another_program_is_seen() {
    let scratch = folder("doctor-ports");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let data = scratch.path("data");
    let output = wren(
        &[
            "doctor",
            "--datadir",
            &data,
            "--http-port",
            &port,
            "--time-server",
            "127.0.0.1:1",
        ],
        b"",
    );
    assert_eq!(output.status.code(), Some(7));
    has(
        &String::from_utf8(output.stdout).unwrap(),
        "MEND",
        "ports",
        &format!("{port} (TCP) is held by another"),
    );
    // The ports of metrics and of the keymanager API, where they are by the settings; not where a free one is taken.
    let of = |settings: &str| {
        let file = scratch.path("wren.toml");
        fs::write(&file, settings.replace("PORT", &port)).unwrap();
        doctor(&scratch, &["--config-file", &file])
    };
    for (settings, part) in [
        ("[node]\nmetrics-port = PORT\n", "`wren node` wants it"),
        ("[validator]\nmetrics-port = PORT\n", "`wren validator` wants it"),
        ("[validator]\nkeymanager-port = PORT\n", "by --keymanager-port"),
    ] {
        has(&of(settings), "MEND", "ports", part);
        let other = of(&settings.replace("PORT", "0"));
        assert!(!other.contains(part), "{other}");
    }
    // That program ended, or another port.
    let other = free_port();
    let said = doctor(&scratch, &["--network", &scratch.path("net")]);
    assert!(!said.contains(&format!("{port} (TCP)")), "{said}");
    drop(listener);
    let output = wren(
        &[
            "doctor",
            "--datadir",
            &data,
            "--http-port",
            &port,
            "--time-server",
            &other,
        ],
        b"",
    );
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(!said.contains(&format!("{port} (TCP)")), "{said}");
}

#[test]
fn a_folder_that_cannot_be_written_is_seen() {
    let scratch = Scratch::new("doctor-disk");
    fs::write(scratch.path("file"), b"").unwrap();
    let output = wren(
        &[
            "doctor",
            "--datadir",
            &scratch.path("file"),
            "--time-server",
            "127.0.0.1:1",
        ],
        b"",
    );
    let said = String::from_utf8(output.stdout).unwrap();
    has(&said, "MEND", "disk speed", "must belong to the user who runs wren");
}

/// The lines of the guide for who moves, as they stand there but for the names.
#[test]
fn the_guide_to_moving_works() {
    let scratch = folder("moving");
    let guide = fs::read_to_string(super::root().join("docs/running.md")).unwrap();
    let guide = guide
        .split("## Moving to another machine")
        .nth(1)
        .unwrap()
        .split("## Exit")
        .next()
        .unwrap();
    let lines = guide.lines().filter_map(|line| line.strip_prefix("       "));
    let lines: Vec<&str> = lines.filter_map(|line| line.strip_prefix("sudo -u wren ")).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    let entry = fs::read_dir(scratch.path("data/validator/keys"))
        .unwrap()
        .next()
        .unwrap();
    let key = entry.unwrap().file_name().into_string().unwrap();
    let key = key.trim_end_matches(".json");
    let run = |line: &str, typed: &str| {
        let script = format!("{} && printf '{typed}' | {line}", shell_alias(&scratch));
        let output = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {said}");
        said.into_owned()
    };
    let typed = ["", "stop and export\\ncorrect horse\\ncorrect horse\\n", ""];
    let said: Vec<String> = lines
        .iter()
        .zip(typed)
        .map(|(line, typed)| run(&line.replace("PUBKEY", key).replace("/var/lib/wren", "data"), typed))
        .collect();
    assert!(said[0].contains(key), "{said:?}");
    // What `wren setup` does with the two things that it is given on the new machine.
    let line = "wren keys import data/moved --slashing-history data/moved/history.json --network net --datadir new";
    let taken = run(line, "correct horse\\n");
    assert!(taken.contains("signs from the client's next start on"), "{taken}");
    // What was moved does not sign where it was.
    let listed = wren(
        &[
            "keys",
            "list",
            "--datadir",
            &scratch.path("data"),
            "--beacon-nodes",
            "http://127.0.0.1:1",
        ],
        b"",
    );
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(
        listed.contains("does not sign") || listed.contains("stopped"),
        "{listed}"
    );
}

/// Every command in the pages for operators is one that there is, with options that it has.
#[test]
fn the_pages_name_commands_that_there_are() {
    let docs = fs::read_dir(super::root().join("docs")).unwrap();
    let pages = docs
        .map(|entry| entry.unwrap().path())
        .chain([super::root().join("README.md")]);
    let (mut checked, mut help) = (0, std::collections::BTreeMap::new());
    for page in pages.filter(|page| page.extension().is_some_and(|ending| ending == "md")) {
        let text = fs::read_to_string(&page).unwrap();
        // Commands stand in indented lines, and between backticks, where a line may end within them.
        let flowing = text.replace('\n', " ");
        let quoted = flowing.split('`').skip(1).step_by(2).map(str::to_owned);
        let indented = text
            .lines()
            .filter_map(|line| line.strip_prefix("    "))
            .map(str::to_owned);
        for command in quoted.chain(indented) {
            let command = command
                .trim()
                .trim_start_matches("sudo ")
                .trim_start_matches("-u wren ");
            let Some(words) = command.strip_prefix("wren ") else {
                continue;
            };
            let words: Vec<&str> = words.split_whitespace().take_while(|word| *word != "#").collect();
            let name = |word: &&&str| word.chars().all(|letter| letter.is_ascii_lowercase());
            let groups = ["keys", "slashing", "exit", "ssz"];
            let depth = if words.first().is_some_and(|word| groups.contains(word)) {
                2
            } else {
                1
            };
            let mut line: Vec<&str> = words.iter().take(depth).take_while(name).copied().collect();
            line.push("--help");
            let help = help.entry(line.join(" ")).or_insert_with(|| wren_ok(&line));
            for option in words.iter().filter_map(|word| word.strip_prefix("--")) {
                let option = option.split(['=', '|', ')', ',']).next().unwrap();
                assert!(
                    help.contains(&format!("--{option}")),
                    "{}: `wren {}` has no --{option}",
                    page.display(),
                    words.join(" ")
                );
                checked += 1;
            }
        }
    }
    assert!(checked > 20, "only {checked} options were found");
}

#[test]
fn a_report_has_no_secrets() {
    let scratch = folder("doctor-report");
    let file = scratch.path("report.txt");
    let said = doctor(&scratch, &["--report", &file, "--beacon-nodes", "http://127.0.0.1:1"]);
    assert!(said.contains("read it before you pass it on"), "{said}");
    let report = fs::read_to_string(&file).unwrap();
    assert!(
        report.contains("slashing record") && report.contains("\"healthy\": false"),
        "{report}"
    );
    let secret = fs::read_to_string(scratch.path("data/validator/local_secret")).unwrap();
    assert!(!report.contains(secret.trim()));
    for entry in fs::read_dir(scratch.path("data/validator/keys")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            !report.contains(name.trim_end_matches(".json")),
            "a public key is in\n{report}"
        );
    }
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let again = doctor(&scratch, &["--report", &file]);
    assert!(again.contains("is there already"), "{again}");
}

#[test]
fn the_status_works_with_everything_down() {
    let scratch = folder("status-down");
    let place = [
        "--datadir",
        &scratch.path("data"),
        "--beacon-nodes",
        "http://127.0.0.1:1",
    ];
    let output = wren(
        &[&["status"], &place[..], &["--client-metrics", "http://127.0.0.1:1"]].concat(),
        b"",
    );
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(7), "{said}");
    assert!(
        said.contains("node        does not answer at http://127.0.0.1:1"),
        "{said}"
    );
    assert!(
        said.lines()
            .last()
            .unwrap()
            .starts_with("TO DO       the node does not answer"),
        "{said}"
    );
    let output = wren(&[&["status", "--json"], &place[..]].concat(), b"");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&json["healthy"], &json["keys"]), (&false.into(), &1.into()));
}

#[test]
fn settings_come_from_file_and_environment_under_one_name() {
    let scratch = Scratch::new("settings");
    let file = scratch.path("wren.toml");
    fs::write(&file, "beacon-nodes = [\"http://127.0.0.1:1\"]\n").unwrap();
    let output = wren(&["status", "--config-file", &file], b"");
    assert!(String::from_utf8_lossy(&output.stdout).contains("does not answer at http://127.0.0.1:1"));
    fs::write(&file, "beacon-node = [\"http://127.0.0.1:1\"]\n").unwrap();
    let refused = wren_fails(2, &["status", "--config-file", &file], b"");
    assert!(refused.contains("there is no option --beacon-node"), "{refused}");
    let example = super::root().join("packaging/wren.toml");
    let help = wren_ok(&["node", "--help"]);
    for line in fs::read_to_string(example).unwrap().lines() {
        let name = line.trim_start_matches('#').trim_start().split(" = ").next().unwrap();
        if line.contains(" = ") && !name.contains(' ') {
            let known =
                help.contains(&format!("--{name}")) || wren_ok(&["validator", "--help"]).contains(&format!("--{name}"));
            assert!(known, "the example names --{name}, which there is not");
        }
    }
}

#[test]
fn shells_and_man_know_the_commands() {
    let scratch = Scratch::new("man");
    assert!(wren_ok(&["completions", "bash"]).contains("--until-finalized-epoch"));
    wren_ok(&["man", &scratch.path("man1")]);
    let page = fs::read_to_string(scratch.path("man1/wren-keys-import.1")).unwrap();
    assert!(
        page.contains("slashing\\-history") || page.contains("slashing-history"),
        "{page}"
    );
}
