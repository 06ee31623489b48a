//! `wren keys`, `wren slashing` and `wren exit sign` as an operator meets them.

use crate::{Scratch, wren, wren_fails, wren_ok};
use consensus::Config;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

pub(super) const ADDRESS: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
pub(super) const PASSWORD: &str = "correct horse battery";
const WORDS: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";
/// The first two signing keys of these words, as `ethstaker_deposit` has them.
pub(super) const KEYS: [&str; 2] = [
    "0xb3e445d43871965d890a398f719348a1405ac72e35b92727cc570026f54471af7ea7b2040622a8fd0b5bfb2a209b5911",
    "0xaeb399bf5648b0e9980c1731824c269631a41320c3d7f730c40587e1a37a5e1c8b5755fd90080a7b3fb90d3fd419c0a7",
];

/// A network that begins in the year 2200, so that its keys are new, and a datadir.
pub(super) struct Setup {
    scratch: Scratch,
}

impl Setup {
    pub(super) fn new(name: &str) -> Self {
        let setup = Setup {
            scratch: Scratch::new(name),
        };
        setup.network("network", 7_258_118_400);
        setup
    }

    fn network(&self, name: &str, genesis_time: u64) {
        let folder = self.scratch.path(name);
        fs::create_dir_all(&folder).expect("a folder");
        let config = Config::network("devnet")
            .or_else(|_| Config::network("mainnet"))
            .expect("one has this preset");
        fs::write(format!("{folder}/config.yaml"), config.to_yaml()).expect("written");
        let mut state = genesis_time.to_le_bytes().to_vec();
        state.extend([7; 32]);
        fs::write(format!("{folder}/genesis.ssz"), state).expect("written");
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.scratch.path(name)
    }

    /// Adds the options that every command here has.
    pub(super) fn arguments(&self, arguments: &[&str]) -> Vec<String> {
        let mut all: Vec<String> = arguments.iter().map(|argument| (*argument).into()).collect();
        all.extend(["--datadir".into(), self.path("data")]);
        let has_network = ["keys new", "keys import", "slashing init", "exit sign"];
        if has_network.contains(&arguments[..2].join(" ").as_str()) && !arguments.contains(&"--network") {
            all.extend(["--network".into(), self.path("network")]);
        }
        all
    }

    pub(super) fn ok(&self, arguments: &[&str], input: &str) -> String {
        let all = self.arguments(arguments);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let output = wren(&all, input.as_bytes());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "wren {}: {stderr}", all.join(" "));
        assert!(
            !stderr.contains(PASSWORD) && !stderr.contains("abandon abandon"),
            "a secret is shown: {stderr}"
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub(super) fn fails(&self, code: i32, arguments: &[&str], input: &str) -> String {
        let all = self.arguments(arguments);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        wren_fails(code, &all, input.as_bytes())
    }

    /// Two validators from known words, in `made` and in the datadir: copies of what one call has made for all tests, as
    /// keystores take seconds.
    pub(super) fn make_keys(&self) -> String {
        static MADE: LazyLock<(Setup, String)> = LazyLock::new(|| {
            let setup = Setup::new("keys-made");
            let answers = format!("{ADDRESS}\n{ADDRESS}\n{WORDS}\n{PASSWORD}\n{PASSWORD}\n");
            let output = setup.path("made");
            let report = setup.ok(
                &[
                    "keys",
                    "new",
                    "--existing-mnemonic",
                    "--count",
                    "2",
                    "--output",
                    &output,
                ],
                &answers,
            );
            (setup, report)
        });
        for name in ["made", "data", "data/validator", "data/validator/keys"] {
            copy_files(&MADE.0.path(name), &self.path(name));
        }
        MADE.1.clone()
    }

    /// The file in `made` whose name begins so.
    pub(super) fn made(&self, prefix: &str) -> String {
        let entries = fs::read_dir(self.path("made")).expect("it is there");
        let mut paths = entries.map(|entry| entry.expect("it can be listed").path());
        let found = paths.find(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(prefix))
        });
        found.expect("there is one").to_str().expect("UTF-8").into()
    }
}

/// Copies the files of a folder, with their modes.
fn copy_files(from: &str, to: &str) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("it is there") {
        let path = entry.expect("it can be listed").path();
        if path.is_file() {
            fs::copy(&path, Path::new(to).join(path.file_name().expect("a name"))).expect("copied");
        }
    }
}

pub(super) fn mode(path: &str) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[test]
fn new_keys_from_known_words() {
    let setup = Setup::new("keys-new");
    let report = setup.make_keys();
    for key in KEYS {
        assert!(report.contains(&format!("{key}  imported, signs")), "{report}");
    }
    let deposits: serde_json::Value =
        serde_json::from_slice(&fs::read(setup.made("deposit_data-")).expect("it is there")).expect("JSON");
    let credentials = format!("01{}{}", "00".repeat(11), ADDRESS[2..].to_lowercase());
    assert_eq!(deposits[0]["withdrawal_credentials"], credentials);
    assert_eq!(deposits[1]["pubkey"], KEYS[1][2..]);
    assert_eq!(deposits[0]["amount"], 32_000_000_000u64);
    for path in [
        &setup.made("deposit_data-"),
        &setup.made("keystore-m_12381_3600_0_0_0-"),
        &setup.path("data/validator/local_secret"),
    ] {
        assert_eq!(mode(path), 0o600, "{path}");
    }
    let list = setup.ok(&["keys", "list"], "");
    assert!(
        list.contains(&format!("{}  signs;", KEYS[0])) && list.contains("set fee_recipient"),
        "{list}"
    );
    let toml = format!("[default]\nfee_recipient = \"{ADDRESS}\"\n");
    fs::write(setup.path("data/validator/validators.toml"), toml).expect("written");
    assert!(
        setup
            .ok(&["keys", "list"], "")
            .contains(&format!("fees go to {ADDRESS}"))
    );
}

#[test]
fn a_new_mnemonic_is_shown_once_and_typed_back() {
    let setup = Setup::new("keys-mnemonic");
    let made = setup.path("made");
    let run = |change: &dyn Fn(String) -> String| {
        let program = std::env::var("WREN_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_wren").into());
        let mut child = Command::new(program)
            .args(setup.arguments(&["keys", "new", "--compounding", "--output", &made]))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut stdin = child.stdin.take().expect("piped");
        let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
        write!(stdin, "{ADDRESS}\n{ADDRESS}\n").expect("it reads");
        let (mut words, mut line) = (Vec::new(), String::new());
        while words.len() < 24 {
            line.clear();
            assert!(
                stderr.read_line(&mut line).expect("it writes") > 0,
                "it ended after {} words",
                words.len()
            );
            let parts: Vec<&str> = line.split_whitespace().collect();
            if parts.first().is_some_and(|first| first.parse::<u8>().is_ok()) {
                words.extend(parts.iter().skip(1).step_by(2).map(|word| (*word).to_owned()));
            }
        }
        let typed = change(words.join(" "));
        write!(stdin, "{typed}\n{PASSWORD}\n{PASSWORD}\n").ok();
        drop(stdin);
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut stderr, &mut rest).expect("it writes");
        (child.wait_with_output().expect("it ends"), rest, words.join(" "))
    };
    let (output, rest, _) = run(&|words| words.replacen(' ', " zoo ", 1));
    assert_eq!(output.status.code(), Some(2), "{rest}");
    assert!(
        !Path::new(&made).exists() && !Path::new(&setup.path("data")).exists(),
        "nothing was written"
    );
    let (output, rest, words) = run(&|words| words);
    assert!(output.status.success(), "{rest}");
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(report.contains("imported, signs"), "{report}");
    for file in ["made", "data/validator", "data/validator/keys"] {
        for entry in fs::read_dir(setup.path(file)).expect("it is there") {
            let path = entry.expect("listed").path();
            let text = fs::read(&path).unwrap_or_default();
            assert!(!String::from_utf8_lossy(&text).contains(&words), "{}", path.display());
        }
    }
}

#[test]
fn wrong_answers_make_no_keys() {
    let setup = Setup::new("keys-wrong");
    let new = ["keys", "new", "--existing-mnemonic", "--output", &setup.path("made")];
    let other = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359";
    let cases = [
        (3, format!("{}\n", ADDRESS.replace("5aAe", "5aae")), "checksum"),
        (3, format!("0x{}\n", "0".repeat(40)), "zero address"),
        (2, format!("{ADDRESS}\n{other}\n"), "differ"),
        (
            3,
            format!("{ADDRESS}\n{ADDRESS}\n{}\n", WORDS.replace("about", "abandon")),
            "do not fit",
        ),
        (
            2,
            format!("{ADDRESS}\n{ADDRESS}\n{WORDS}\nshort\nshort\n"),
            "fewer than 12",
        ),
        (
            2,
            format!("{ADDRESS}\n{ADDRESS}\n{WORDS}\n{PASSWORD}\n{PASSWORD}!\n"),
            "differ",
        ),
        (2, format!("{ADDRESS}\n"), "standard input has ended"),
    ];
    for (code, answers, expected) in cases {
        let message = setup.fails(code, &new, &answers);
        assert!(message.contains(expected), "{message}");
    }
    let amount = setup.fails(
        3,
        &["keys", "new", "--amount", "64000000000"],
        &format!("{ADDRESS}\n{ADDRESS}\n"),
    );
    assert!(amount.contains("cannot be deposited"), "{amount}");
    assert!(!Path::new(&setup.path("made")).exists() && !Path::new(&setup.path("data")).exists());
}

#[test]
fn keystores_are_imported_with_a_password_for_all_or_for_each() {
    let setup = Setup::new("keys-import");
    setup.make_keys();
    fs::rename(setup.path("data"), setup.path("first")).expect("moved");
    fs::write(setup.path("password"), format!("{PASSWORD}\n")).expect("written");
    fs::write(setup.path("wrong"), "another password").expect("written");
    let (made, password, wrong) = (setup.path("made"), setup.path("password"), setup.path("wrong"));

    let refused = setup.fails(3, &["keys", "import", &made, "--password-file", &wrong], "");
    assert!(
        refused.contains("2 of 2 keystores were not imported") && refused.contains("password"),
        "{refused}"
    );
    assert!(setup.ok(&["keys", "list"], "").is_empty());

    let report = setup.ok(&["keys", "import", &made, "--password-file", &password], "");
    assert_eq!(
        report.matches("does not sign: nobody says what it signed").count(),
        2,
        "{report}"
    );
    let report = setup.ok(&["keys", "import", &made, "--new-keys"], &format!("{PASSWORD}\n"));
    assert_eq!(
        report.matches("was here, signs").count(),
        2,
        "asked once for both: {report}"
    );

    // One file for each: by the keystore's name, and by the key.
    fs::rename(setup.path("data"), setup.path("second")).expect("moved");
    let passwords = setup.path("passwords");
    fs::create_dir(&passwords).expect("a folder");
    let second = setup.made("keystore-m_12381_3600_1_0_0");
    let name = Path::new(&second).with_extension("txt");
    let name = name.file_name().expect("a name").to_string_lossy();
    fs::write(format!("{passwords}/{name}"), PASSWORD).expect("written");
    fs::write(format!("{passwords}/{}", KEYS[0]), PASSWORD).expect("written");
    let report = setup.ok(
        &["keys", "import", &made, "--new-keys", "--password-file", &passwords],
        "",
    );
    assert_eq!(report.matches("imported, signs").count(), 2, "{report}");
    let empty = setup.fails(
        3,
        &["keys", "import", &setup.path("network"), "--password-file", &password],
        "",
    );
    assert!(empty.contains("there are no keystores in"), "{empty}");
}

#[test]
fn keys_that_a_running_network_may_know_do_not_sign() {
    let setup = Setup::new("keys-running");
    setup.network("old", 1_600_000_000);
    setup.make_keys();
    fs::remove_dir_all(setup.path("data")).expect("removed");
    fs::write(setup.path("password"), PASSWORD).expect("written");
    let old = setup.path("old");
    let import = [
        "keys",
        "import",
        &setup.path("made"),
        "--password-file",
        &setup.path("password"),
        "--network",
        &old,
    ];
    let report = setup.ok(&[&import[..], &["--new-keys"]].concat(), "");
    assert_eq!(
        report.matches("nobody could be asked whether it is new").count(),
        2,
        "{report}"
    );

    let history = format!(
        r#"{{"metadata":{{"interchange_format_version":"5","genesis_validators_root":"0x{}"}},"data":[{{"pubkey":"{}",
        "signed_blocks":[],"signed_attestations":[{{"source_epoch":"3","target_epoch":"4"}}]}}]}}"#,
        "07".repeat(32),
        KEYS[0]
    );
    fs::write(setup.path("history"), history).expect("written");
    let report = setup.ok(
        &[&import[..], &["--slashing-history", &setup.path("history")]].concat(),
        "",
    );
    assert!(report.contains(&format!("{}  was here, signs", KEYS[0])), "{report}");
    assert!(report.contains("says nothing of it"), "{report}");
    let list = setup.ok(&["keys", "list"], "");
    assert!(list.contains("last attestation: source 3 target 4"), "{list}");
    let other = format!("0x{}", "08".repeat(32));
    let config = format!("{old}/config.yaml");
    fs::remove_file(format!("{old}/genesis.ssz")).expect("removed");
    let elsewhere = [
        "keys",
        "import",
        &setup.path("made"),
        "--password-file",
        &setup.path("password"),
    ];
    let network = ["--network", &config, "--genesis-validators-root", &other];
    let refused = setup.fails(3, &[&elsewhere[..], &network].concat(), "");
    assert!(refused.contains("belongs to the network"), "{refused}");
}

#[test]
fn a_key_moves_with_its_history_and_signs_here_no_more() {
    let setup = Setup::new("keys-move");
    setup.make_keys();
    let moved = setup.path("moved");
    let export = ["keys", "export", KEYS[0], "--output", &moved];
    setup.fails(5, &export, "yes\n");
    assert!(!Path::new(&moved).exists());
    setup.ok(&export, &format!("stop and export\n{PASSWORD}\n{PASSWORD}\n"));
    let list = setup.ok(&["keys", "list"], "");
    assert!(
        list.contains(&format!("{}  stopped", KEYS[0])) && list.contains("it was exported"),
        "{list}"
    );

    fs::rename(setup.path("data"), setup.path("here")).expect("moved");
    fs::write(setup.path("password"), PASSWORD).expect("written");
    let history = format!("{moved}/slashing_protection-{}.json", KEYS[0]);
    let import = [
        "keys",
        "import",
        &moved,
        "--slashing-history",
        &history,
        "--password-file",
        &setup.path("password"),
    ];
    let report = setup.ok(&import, "");
    assert!(report.contains(&format!("{}  imported, signs", KEYS[0])), "{report}");

    fs::remove_dir_all(setup.path("data")).expect("removed");
    fs::rename(setup.path("here"), setup.path("data")).expect("moved");
    setup.fails(5, &["keys", "enable", KEYS[0]], "yes\n");
    setup.ok(&["keys", "enable", KEYS[0]], "no other client has this key\n");
    assert!(setup.ok(&["keys", "list"], "").contains(&format!("{}  signs", KEYS[0])));

    let gone = setup.path("gone");
    setup.ok(&["keys", "delete", KEYS[1], "--output", &gone, "--yes"], "");
    assert!(Path::new(&format!("{gone}/slashing_protection-{}.json", KEYS[1])).exists());
    assert!(!setup.ok(&["keys", "list"], "").contains(KEYS[1]));
    let again = setup.fails(3, &["keys", "delete", KEYS[1], "--output", &gone, "--yes"], "");
    assert!(again.contains("is not in"), "{again}");
}

#[test]
fn histories_go_in_and_out() {
    let setup = Setup::new("slashing");
    let missing = setup.fails(3, &["slashing", "show"], "");
    assert!(
        missing.contains("there is no slashing protection database"),
        "{missing}"
    );
    let unconfirmed = setup.fails(5, &["slashing", "init"], "yes\n");
    assert!(unconfirmed.contains("nothing was done"), "{unconfirmed}");
    setup.ok(&["slashing", "init"], "the record of my keys is lost\n");
    assert!(setup.fails(2, &["slashing", "init"], "").contains("never replaced"));

    let history = |root: &str, slot: &str| {
        format!(
            r#"{{"metadata":{{"interchange_format_version":"5","genesis_validators_root":"0x{}"}},"data":[{{"pubkey":"{}",
            "signed_blocks":[{{"slot":"{slot}"}}],"signed_attestations":[]}}]}}"#,
            root.repeat(32),
            KEYS[0]
        )
    };
    fs::write(setup.path("history"), history("07", "9")).expect("written");
    fs::write(setup.path("foreign"), history("08", "9")).expect("written");
    fs::write(setup.path("broken"), history("07", "nine")).expect("written");
    setup.ok(&["slashing", "import", &setup.path("history")], "");
    assert!(
        setup
            .fails(3, &["slashing", "import", &setup.path("foreign")], "")
            .contains("of no use here")
    );
    assert!(
        setup
            .fails(3, &["slashing", "import", &setup.path("broken")], "")
            .contains("invalid digit")
    );
    assert!(
        setup
            .fails(4, &["slashing", "import", &setup.path("absent")], "")
            .contains("cannot read")
    );
    let shown = setup.ok(&["slashing", "show", KEYS[0]], "");
    assert!(
        shown.contains("last block: slot 9") && shown.contains("the key is not here"),
        "{shown}"
    );
    assert!(
        setup
            .fails(3, &["slashing", "show", KEYS[1]], "")
            .contains("no record of the key")
    );

    let exported = setup.path("exported");
    setup.ok(&["slashing", "export", "--output", &exported], "");
    assert_eq!(mode(&exported), 0o600);
    assert!(
        setup
            .fails(3, &["slashing", "export", "--output", &exported], "")
            .contains("is there already")
    );
    setup.ok(&["slashing", "import", &exported], "");
    setup.ok(&["slashing", "prune"], "");
    assert_eq!(
        setup.ok(&["slashing", "export"], "").trim(),
        fs::read_to_string(&exported).expect("it is there").trim()
    );
}

#[test]
fn exits_are_signed_without_a_node() {
    let setup = Setup::new("exits");
    setup.make_keys();
    fs::write(setup.path("password"), PASSWORD).expect("written");
    let (file, password, keystore) = (
        setup.path("exit.json"),
        setup.path("password"),
        setup.made("keystore-m_12381_3600_0_0_0-"),
    );
    let stored = setup.ok(&["exit", "sign", "--validator", KEYS[0], "--index", "5"], "");
    setup.ok(
        &[
            "exit",
            "sign",
            "--validator",
            &keystore,
            "--index",
            "5",
            "--password-file",
            &password,
            "--output",
            &file,
        ],
        "",
    );
    assert_eq!(
        fs::read_to_string(&file).expect("it is there"),
        stored,
        "one key, one signature"
    );
    assert_eq!(mode(&file), 0o600);
    let exit: serde_json::Value = serde_json::from_str(&stored).expect("JSON");
    assert_eq!(exit["message"]["validator_index"], "5");
    assert_eq!(exit["signature"].as_str().map(str::len), Some(2 + 192));

    let again = [
        "exit",
        "sign",
        "--validator",
        KEYS[0],
        "--index",
        "5",
        "--output",
        &file,
    ];
    assert!(setup.fails(3, &again, "").contains("is there already"));
    let unknown = ["exit", "sign", "--validator", "0x12", "--index", "5"];
    assert!(setup.fails(2, &unknown, "").contains("neither a public key"));
    let config = format!("{}/config.yaml", setup.path("network"));
    fs::rename(setup.path("network/genesis.ssz"), setup.path("genesis")).expect("moved");
    let rootless = [
        "exit",
        "sign",
        "--validator",
        KEYS[0],
        "--index",
        "5",
        "--network",
        &config,
    ];
    assert!(setup.fails(2, &rootless, "").contains("--genesis-validators-root"));
    let root = format!("0x{}", "07".repeat(32));
    let rooted = [&rootless[..], &["--genesis-validators-root", &root]].concat();
    assert_eq!(setup.ok(&rooted, ""), stored);
}

/// A client that is started on the datadir and must refuse.
fn refuses_to_start(setup: &Setup, code: i32, options: &[&str]) -> String {
    let start = [
        "validator",
        "--metrics-port",
        "0",
        "--beacon-nodes",
        "http://127.0.0.1:1",
    ];
    setup.fails(code, &[&start[..], options].concat(), "")
}

/// The record is emptied, or lost, and the keys are kept: however often the client is started, it signs nothing and makes
/// no new record.
#[test]
fn without_its_record_a_client_does_not_start() {
    let setup = Setup::new("keys-emptied");
    setup.make_keys();
    let (network, record) = (
        setup.path("network"),
        setup.path("data/validator/slashing_protection.sqlite"),
    );
    fs::write(&record, "").expect("emptied");
    for _ in 0..3 {
        let said = refuses_to_start(&setup, 3, &["--network", &network]);
        assert!(said.contains("nothing is signed") && said.contains("restore"), "{said}");
        assert!(!said.contains("delete"), "{said}");
        assert_eq!(fs::read(&record).expect("it is there"), b"");
    }
    fs::remove_file(&record).expect("removed");
    for _ in 0..3 {
        let said = refuses_to_start(&setup, 3, &["--network", &network]);
        assert!(said.contains("there is no slashing protection database"), "{said}");
        assert!(!Path::new(&record).exists());
    }
    // One that is made by the operator knows of no key that may sign.
    setup.ok(&["slashing", "init"], "the record of my keys is lost\n");
    let list = setup.ok(&["keys", "list"], "");
    assert_eq!(list.matches("does not sign").count(), 2, "{list}");
}

#[cfg(not(feature = "minimal"))]
#[test]
fn a_public_network_wants_to_know_where_fees_go() {
    let setup = Setup::new("keys-fees");
    setup.make_keys();
    fs::remove_dir_all(setup.path("data")).expect("removed");
    fs::write(setup.path("password"), PASSWORD).expect("written");
    let hoodi = ["--network", "hoodi"];
    let import = [
        "keys",
        "import",
        &setup.path("made"),
        "--password-file",
        &setup.path("password"),
    ];
    setup.ok(&[&import[..], &hoodi].concat(), "");
    for key in KEYS {
        setup.ok(&["keys", "enable", key, "--yes"], "");
    }
    let names_the_keys = |said: &str| {
        assert!(
            KEYS.iter().all(|key| said.contains(key)) && said.contains("--suggested-fee-recipient"),
            "{said}"
        );
    };
    names_the_keys(&refuses_to_start(&setup, 3, &hoodi));
    let toml = setup.path("data/validator/validators.toml");
    let zero = format!("[default]\nfee_recipient = \"0x{}\"\n", "0".repeat(40));
    fs::write(&toml, zero).expect("written");
    names_the_keys(&refuses_to_start(&setup, 3, &hoodi));
    let mistyped = ADDRESS.replace("5aAe", "5aae");
    fs::write(&toml, format!("[\"{}\"]\nfee_recipient = \"{mistyped}\"\n", KEYS[0])).expect("written");
    let said = refuses_to_start(&setup, 3, &hoodi);
    assert!(said.contains(KEYS[0]) && said.contains("checksum"), "{said}");
    fs::remove_file(&toml).expect("removed");
    let suggested = [&hoodi[..], &["--suggested-fee-recipient", &mistyped]].concat();
    assert!(refuses_to_start(&setup, 2, &suggested).contains("checksum"));
    // A folder of another network than the one that is named.
    let other = refuses_to_start(&setup, 3, &["--network", "sepolia"]);
    assert!(
        other.contains("another network") && other.contains("--datadir or --network"),
        "{other}"
    );
}

/// Folders that cannot be written: of a disk that is read-only, or of somebody else.
fn forbidden(setup: &Setup) -> String {
    if rustix::process::geteuid().is_root() {
        // Rights are nothing to root, but here not even root may make files.
        return "/sys/wren".into();
    }
    let folder = setup.path("forbidden");
    fs::create_dir(&folder).expect("a folder");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o500)).expect("its mode is set");
    format!("{folder}/wren")
}

#[test]
fn a_folder_that_cannot_be_written_is_told_with_the_remedy() {
    let setup = Setup::new("keys-forbidden");
    setup.make_keys();
    fs::write(setup.path("password"), PASSWORD).expect("written");
    let (folder, network, made) = (forbidden(&setup), setup.path("network"), setup.path("made"));
    let password = setup.path("password");
    let import = [
        "keys",
        "import",
        &made,
        "--password-file",
        &password,
        "--network",
        &network,
    ];
    let init = ["slashing", "init", "--network", &network];
    let here = ["--datadir", &folder];
    for command in [&[&import[..], &here].concat()[..], &[&init[..], &here].concat()[..]] {
        let said = wren_fails(4, command, b"the record of my keys is lost\n");
        assert!(said.contains("/wren") && said.contains("name another folder"), "{said}");
    }
    let export = ["keys", "export", KEYS[0], "--output", &folder, "--yes"];
    let said = setup.fails(4, &export, &format!("{PASSWORD}\n{PASSWORD}\n"));
    assert!(said.contains("name another folder"), "{said}");
    let list = setup.ok(&["keys", "list"], "");
    assert!(
        list.contains(&format!("{}  signs", KEYS[0])),
        "it was not stopped for nothing: {list}"
    );
}

/// A limit on the size of files stands for a full disk.
#[test]
fn a_full_disk_is_told_with_the_remedy_and_leaves_nothing_half_done() {
    let setup = Setup::new("keys-full");
    setup.make_keys();
    fs::write(setup.path("password"), PASSWORD).expect("written");
    let (made, password, history) = (setup.path("made"), setup.path("password"), setup.path("history.json"));
    let full = |arguments: &[&str], input: &str| {
        let program = crate::program();
        // Exceeding the limit would kill the process, unless it is told to take an error in place of that.
        let mut child = Command::new("sh")
            .args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\"", &program])
            .args(setup.arguments(arguments))
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh starts");
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(input.as_bytes()).ok();
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(4), "{arguments:?}: {said}");
        assert!(said.contains("free some space"), "{arguments:?}: {said}");
    };
    full(&["slashing", "export", "--output", &history], "");
    let sign = ["exit", "sign", "--validator", KEYS[0], "--index", "5", "--output"];
    full(&[&sign[..], &[&setup.path("exit.json")]].concat(), "");
    fs::rename(setup.path("data"), setup.path("before")).expect("moved");
    full(&["keys", "import", &made, "--password-file", &password], "");
    full(&["slashing", "init"], "the record of my keys is lost\n");
    for path in ["history.json", "exit.json", "data/validator/slashing_protection.sqlite"] {
        assert!(!Path::new(&setup.path(path)).exists(), "{path}");
    }
    // With room again, it goes on.
    let report = setup.ok(
        &["keys", "import", &made, "--password-file", &password, "--new-keys"],
        "",
    );
    assert_eq!(report.matches("imported, signs").count(), 2, "{report}");
}

/// Against `ethstaker_deposit`, both ways. Needs a Python that has it: `WREN_ETHSTAKER_PYTHON=…/bin/python3`.
#[cfg(not(feature = "minimal"))]
#[test]
fn keystores_deposits_and_exits_agree_with_ethstaker_deposit() {
    let Ok(python) = std::env::var("WREN_ETHSTAKER_PYTHON") else {
        crate::skip(
            "ethstaker",
            "WREN_ETHSTAKER_PYTHON names no Python that has ethstaker_deposit",
        );
        return;
    };
    let setup = Setup::new("ethstaker");
    let made = setup.path("made");
    let answers = format!("{ADDRESS}\n{ADDRESS}\n{WORDS}\n{PASSWORD}\n{PASSWORD}\n");
    let new = [
        "keys",
        "new",
        "--network",
        "hoodi",
        "--existing-mnemonic",
        "--count",
        "2",
        "--compounding",
        "--output",
        &made,
    ];
    setup.ok(&new, &answers);
    let exit = setup.path("exit.json");
    setup.ok(
        &[
            "exit",
            "sign",
            "--network",
            "hoodi",
            "--validator",
            KEYS[1],
            "--index",
            "77",
            "--epoch",
            "4000",
            "--output",
            &exit,
        ],
        "",
    );
    let theirs = setup.path("theirs");
    fs::create_dir(&theirs).expect("a folder");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ethstaker.py");
    let checked = Command::new(python)
        .args([
            script.to_str().expect("UTF-8"),
            &made,
            &exit,
            &theirs,
            WORDS,
            ADDRESS,
            PASSWORD,
        ])
        .output()
        .expect("Python starts");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    fs::write(setup.path("password"), PASSWORD).expect("written");
    fs::remove_dir_all(setup.path("data")).expect("removed");
    let import = [
        "keys",
        "import",
        &theirs,
        "--network",
        "hoodi",
        "--password-file",
        &setup.path("password"),
    ];
    let report = setup.ok(&import, "");
    assert!(KEYS.iter().all(|key| report.contains(key)), "{report}");
}

#[test]
fn help_has_an_example_for_every_command() {
    for command in [
        "keys",
        "keys new",
        "keys import",
        "keys export",
        "keys delete",
        "keys enable",
        "keys list",
        "slashing",
        "slashing init",
        "slashing import",
        "slashing export",
        "slashing show",
        "slashing prune",
        "exit",
        "exit sign",
        "exit send",
        "exit status",
        "validator",
    ] {
        let arguments: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let help = wren_ok(&arguments);
        assert!(
            help.contains("Example") && help.contains(&format!("wren {command}")),
            "{command}: {help}"
        );
    }
}
