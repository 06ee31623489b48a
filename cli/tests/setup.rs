//! `wren setup` with real programs beside it: what it writes, what it leaves alone, and each refusal with its remedy.

use super::operator::free_port;
use super::{Scratch, program, wren};
use std::fs;
use std::net::{TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const FEES: &str = "0x8943545177806ED17B9F23F0a21ee5948eCaa776";
/// Long enough for the slowest machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// A process that is ended with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn serve(arguments: &[&str], port: &str) -> Running {
    let mut command = Command::new(program());
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let running = Running(command.spawn().unwrap());
    let start = Instant::now();
    while TcpStream::connect(format!("127.0.0.1:{port}")).is_err() {
        assert!(
            start.elapsed() < PATIENCE,
            "wren {} does not listen",
            arguments.join(" ")
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    running
}

/// A local network with keys, and what is answered.
struct Place {
    scratch: Scratch,
    engine_port: String,
}

impl Place {
    fn new(name: &str) -> Self {
        let scratch = Scratch::new(name);
        let network = scratch.path("net");
        // As many as a slot each of an epoch of the mainnet preset wants; genesis comes after the test.
        let options = ["--validators", "32", "--keys", "32", "--delay", "3600"];
        super::wren_ok(&[&["genesis", "--output", &network], &options[..]].concat());
        fs::write(scratch.path("jwt.hex"), "ab".repeat(32)).unwrap();
        Place {
            scratch,
            engine_port: free_port(),
        }
    }

    fn path(&self, name: &str) -> String {
        self.scratch.path(name)
    }

    fn engine(&self) -> Running {
        let (network, jwt) = (self.path("net"), self.path("jwt.hex"));
        let serving = [
            "engine",
            "--network",
            &network,
            "--jwt",
            &jwt,
            "--port",
            &self.engine_port,
        ];
        serve(&serving, &self.engine_port)
    }

    /// Answers that stand, without keys.
    fn answers(&self) -> String {
        let (network, data, jwt) = (self.path("net"), self.path("data"), self.path("jwt.hex"));
        format!(
            "network = \"{network}\"\ndatadir = \"{data}\"\nexecution-endpoint = \"http://127.0.0.1:{}\"\nexecution-jwt = \"{jwt}\"\nsuggested-fee-recipient = \"{FEES}\"\n",
            self.engine_port
        )
    }

    /// What names the keys of the network.
    fn keys(&self) -> String {
        let keys = self.path("net/keys-0");
        format!("keystores = \"{keys}\"\npassword-file = \"{keys}/password.txt\"\nnew-keys = true\n")
    }

    /// Runs the command; the exit code and all that it said.
    fn setup(&self, answers: &str) -> (Option<i32>, String) {
        self.setup_with(answers, "127.0.0.1:1")
    }

    fn setup_with(&self, answers: &str, time_server: &str) -> (Option<i32>, String) {
        let file = self.path("answers.toml");
        fs::write(&file, answers).unwrap();
        let config = self.path("wren.toml");
        let place = ["--config-file", &config, "--time-server", time_server];
        let output = wren(&[&["setup", "--answers", &file], &place[..]].concat(), b"");
        let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        (output.status.code(), said)
    }

    /// Demands that answers are refused with a line that has these words, and that nothing was changed.
    fn refuses(&self, answers: &str, parts: &[&str]) {
        let (code, said) = self.setup(answers);
        assert_eq!(code, Some(7), "{said}");
        let line = said
            .lines()
            .find(|line| line.starts_with("MEND") && parts.iter().all(|part| line.contains(part)));
        assert!(line.is_some(), "no line with {parts:?} in\n{said}");
        assert!(said.contains("nothing was changed"), "{said}");
        assert!(!fs::exists(self.path("wren.toml")).unwrap(), "{said}");
        assert!(!fs::exists(self.path("data/validator")).unwrap(), "{said}");
    }

    fn stands(&self, answers: &str) -> String {
        let (code, said) = self.setup(answers);
        assert_eq!(code, Some(0), "{said}");
        said
    }

    fn written(&self) -> String {
        fs::read_to_string(self.path("wren.toml")).unwrap()
    }
}

#[test]
fn answers_are_written_and_keys_come_in() {
    let place = Place::new("setup");
    let _engine = place.engine();
    let extra = "log-level = \"warn\"\n[node]\nhttp-port = 15052\nalone = true\n";
    let said = place.stands(&[&place.answers(), &place.keys(), extra].concat());
    let config = place.path("wren.toml");
    for line in ["node", "validator"] {
        assert!(said.contains(&format!("{line} --config-file {config}\n")), "{said}");
    }
    let written = place.written();
    assert!(
        !written.contains("keystores") && written.contains("[node]\n"),
        "{written}"
    );
    assert_eq!(fs::read_dir(place.path("data/validator/keys")).unwrap().count(), 1);
    // The settings are those that node and client read.
    let doctor = wren(
        &["doctor", "--config-file", &config, "--time-server", "127.0.0.1:1"],
        b"",
    );
    let doctor = String::from_utf8(doctor.stdout).unwrap();
    for (name, part) in [
        ("execution", "chain 973600"),
        ("fee recipient", "set for every key"),
        ("keys", "1 key"),
    ] {
        let found = doctor
            .lines()
            .any(|line| line.starts_with("OK") && line.contains(name) && line.contains(part));
        assert!(found, "{name} … {part} is not in\n{doctor}");
    }

    // Again: what is asked changes, and nothing else; no password is wanted for keys that are here.
    let mine = format!(
        "# mine\n{}",
        written.replace("alone = true\n", "alone = true\ntarget-peers = 7 # few\n")
    );
    assert!(mine.contains("# few"), "{mine}");
    fs::write(&config, &mine).unwrap();
    let keys = format!("keystores = \"{}\"\n", place.path("net/keys-0"));
    let said = place.stands(&keys);
    assert!(
        said.contains("1 key here already") && said.contains("stays as it is"),
        "{said}"
    );
    assert_eq!(place.written(), mine);
    let other = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
    place.stands(&format!("suggested-fee-recipient = \"{other}\"\n"));
    assert_eq!(place.written(), mine.replace(FEES, other));
}

#[test]
fn questions_are_asked_until_the_answers_stand() {
    let place = Place::new("setup-asks");
    let _engine = place.engine();
    let (keys, config) = (place.path("net/keys-0"), place.path("wren.toml"));
    let password = fs::read_to_string(format!("{keys}/password.txt")).unwrap();
    fs::create_dir(place.path("data")).unwrap();
    fs::write(&config, format!("datadir = \"{}\"\n", place.path("data"))).unwrap();
    let url = format!("http://127.0.0.1:{}", place.engine_port);
    let typed = [
        "nowhere",
        &place.path("net"),
        "",
        &url,
        &place.path("not-there.hex"),
        "",
        &place.path("jwt.hex"),
        "0x8943545177806ED17B9F23F0a21ee5948eCaa777",
        FEES,
        &keys,
        "new",
        password.trim(),
        "yes",
        "",
    ];
    let output = wren(
        &["setup", "--config-file", &config, "--time-server", "127.0.0.1:1"],
        typed.join("\n").as_bytes(),
    );
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    for part in [
        "MEND  network",
        "MEND  secret",
        "the checksum of",
        "signs from the client's next start on",
    ] {
        assert!(said.contains(part), "{part} is not in\n{said}");
    }
    assert!(!said.contains(password.trim()), "a password shows");
    let written = place.written();
    assert!(written.contains(FEES) && written.contains(&url), "{written}");
    // Not confirmed: nothing is done.
    let typed = [
        "",
        "",
        "",
        "",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "",
        "no",
        "",
    ];
    let output = wren(
        &["setup", "--config-file", &config, "--time-server", "127.0.0.1:1"],
        typed.join("\n").as_bytes(),
    );
    assert_eq!(output.status.code(), Some(5));
    assert_eq!(place.written(), written);
}

/// Answers without those that begin so.
fn lines_without(answers: &str, start: &str) -> String {
    let kept = answers.split_inclusive('\n').filter(|line| !line.starts_with(start));
    kept.collect()
}

#[test]
fn an_execution_client_that_will_not_do_is_refused() {
    let place = Place::new("setup-engine");
    let answers = place.answers();
    let without = |name: &str| lines_without(&answers, name);
    place.refuses(&without("execution-endpoint"), &["execution", "none is named"]);
    // The node would refuse it at its start.
    place.refuses(
        &answers.replace("\"http://127", "\"127"),
        &["execution", "write it as http://"],
    );
    place.refuses(&without("execution-jwt"), &["secret", "none is named"]);
    place.refuses(&answers, &["execution", "start the execution client"]);
    let _engine = place.engine();
    fs::write(place.path("wrong.hex"), "cd".repeat(32)).unwrap();
    place.refuses(
        &answers.replace("jwt.hex", "wrong.hex"),
        &["execution", "give both programs the same file"],
    );
    place.refuses(
        &answers.replace("jwt.hex", "gone.hex"),
        &["secret", "name the file that the execution client wrote"],
    );
    let config = place.path("net/config.yaml");
    let right = fs::read_to_string(&config).unwrap();
    fs::write(
        &config,
        right.replace("DEPOSIT_CHAIN_ID: 973600", "DEPOSIT_CHAIN_ID: 17000"),
    )
    .unwrap();
    place.refuses(&answers, &["execution", "is on the chain 973600"]);
    fs::write(&config, right).unwrap();
    // Every remedy is carried out by now.
    let said = place.stands(&answers);
    assert!(said.contains("There are no keys yet"), "{said}");
}

#[test]
fn addresses_keys_and_names_that_are_wrong_are_refused() {
    let place = Place::new("setup-wrong");
    let _engine = place.engine();
    let answers = place.answers();
    place.refuses(
        &answers.replace("A21", "a21").replace("a776", "a777"),
        &["fee recipient", "checksum"],
    );
    let zero = format!("0x{}", "0".repeat(40));
    place.refuses(&answers.replace(FEES, &zero), &["fee recipient", "nobody's"]);
    place.refuses(&answers.replace("/net\"", "/ten\""), &["network", "ten"]);

    let keys = place.keys();
    place.refuses(
        &[&answers, &keys.replace("keys-0\"", "none\"")[..]].concat(),
        &["keys", "none"],
    );
    fs::write(place.path("wrong.txt"), "not the password").unwrap();
    let wrong = keys.replace("net/keys-0/password.txt", "wrong.txt");
    place.refuses(&[&answers[..], &wrong].concat(), &["keys", "did not open", "password"]);
    let both = format!("{answers}{keys}slashing-history = \"x\"\n");
    place.refuses(&both, &["keys", "contradict"]);
    let unknown = format!("{answers}fee-recipient = \"{FEES}\"\n");
    let (code, said) = place.setup(&unknown);
    assert_eq!(code, Some(2));
    assert!(said.contains("there is no option --fee-recipient"), "{said}");
    // What the programs would refuse when they start.
    for (setting, part) in [
        ("alone = \"yes\"", "alone = \"yes\": write true or false"),
        ("http-port = 99999", "'--http-port <PORT>'"),
    ] {
        let (code, said) = place.setup(&format!("{answers}[node]\n{setting}\n"));
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(part), "{said}");
    }
    assert!(!fs::exists(place.path("wren.toml")).unwrap());
    place.stands(&[answers, keys].concat());
}

#[test]
fn a_checkpoint_has_to_be_of_the_same_network() {
    let place = Place::new("setup-checkpoint");
    let _engine = place.engine();
    let other = place.path("other");
    super::wren_ok(&["genesis", "--output", &other, "--validators", "33", "--delay", "3600"]);
    let node = |network: &str, data: &str| {
        let port = free_port();
        let options = ["--dev-engine", "--alone", "--metrics-port", "0", "--http-port", &port];
        let (network, data) = (place.path(network), place.path(data));
        let running = serve(
            &[&["node", "--network", &network, "--datadir", &data], &options[..]].concat(),
            &port,
        );
        (running, format!("checkpoint-sync-url = \"http://127.0.0.1:{port}\"\n"))
    };
    let answers = place.answers();
    let gone = format!("checkpoint-sync-url = \"http://127.0.0.1:{}\"\n", free_port());
    place.refuses(&[&answers[..], &gone].concat(), &["checkpoint", "Is the address right"]);
    place.refuses(
        &format!("{answers}checkpoint-sync-url = \"here\"\n"),
        &["checkpoint", "http://"],
    );
    let (_stranger, url) = node("other", "data-other");
    place.refuses(&[&answers[..], &url].concat(), &["checkpoint", "on another network"]);
    let (_same, url) = node("net", "data-same");
    let said = place.stands(&[&answers[..], &url].concat());
    assert!(said.contains("same genesis, same forks"), "{said}");
}

/// A time server whose first answer is a day ahead; by the second our clock is right.
fn time_server() -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for ahead in [86_400, 0] {
            let mut question = [0; 48];
            let (_, from) = socket.recv_from(&mut question).unwrap();
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            let seconds = (now.as_secs() + ahead + 2_208_988_800) & 0xffff_ffff;
            let fraction = (u64::from(now.subsec_nanos()) << 32) / 1_000_000_000;
            let stamp = (seconds << 32 | fraction).to_be_bytes();
            let mut answer = [0; 48];
            (answer[0], answer[1]) = (0x24, 2);
            answer[24..32].copy_from_slice(&question[40..]);
            answer[32..40].copy_from_slice(&stamp);
            answer[40..].copy_from_slice(&stamp);
            socket.send_to(&answer, from).unwrap();
        }
    });
    address
}

#[test]
fn a_wrong_clock_is_waited_for() {
    let place = Place::new("setup-clock");
    let _engine = place.engine();
    let (code, said) = place.setup_with(&place.answers(), &time_server());
    assert_eq!(code, Some(0), "{said}");
    let wrong = said.find("s behind: set it").expect("the wrong clock is told");
    let waits = said.find("waiting for it").expect("and that it is waited for");
    let right = said.find("OK    clock").expect("and that it is right");
    assert!(wrong < waits && waits < right, "{said}");
}

#[cfg(not(feature = "minimal"))]
#[test]
fn a_public_network_needs_a_fee_recipient_and_a_checkpoint() {
    let place = Place::new("setup-public");
    let _engine = place.engine();
    let answers = place.answers().replace(&place.path("net"), "hoodi");
    place.refuses(&answers, &["checkpoint", "checkpoint-sync-url"]);
    place.refuses(&answers, &["execution", "start the execution client for hoodi"]);
    let without = lines_without(&answers, "suggested");
    place.refuses(&without, &["fee recipient", "suggested-fee-recipient"]);
    place.refuses(
        &format!("{answers}dev-engine = true\n"),
        &["execution", "dev-engine is for local chains"],
    );
}

/// A service cannot ask for the sentence that mainnet wants, so this does.
#[test]
fn signing_on_mainnet_is_accepted_once() {
    let place = Place::new("setup-mainnet");
    let config = place.path("net/config.yaml");
    let text = fs::read_to_string(&config).unwrap();
    let theirs = text.lines().find(|line| line.starts_with("DEPOSIT_CHAIN_ID:")).unwrap();
    fs::write(&config, text.replace(theirs, "DEPOSIT_CHAIN_ID: 1")).unwrap();
    let _engine = place.engine();
    let answers = [place.answers(), place.keys()].concat();
    place.refuses(
        &answers,
        &["mainnet", "accept-mainnet = \"I accept the risk on mainnet\""],
    );
    place.refuses(&format!("{answers}accept-mainnet = \"yes\"\n"), &["mainnet"]);
    let accepted = format!("{answers}accept-mainnet = \"I accept the risk on mainnet\"\n");
    place.stands(&accepted);
    assert!(fs::exists(place.path("data/validator/accepted-mainnet")).unwrap());
    assert!(!place.written().contains("accept"), "{}", place.written());
    place.stands(&answers);
}

/// Keys that sign in another client do not come in; with that stopped and their history they do.
#[cfg(feature = "minimal")]
#[test]
fn keys_that_sign_elsewhere_are_refused() {
    use super::chain::{Chain, stop};
    let chain = Chain::new("setup-elsewhere", &[]);
    let (node, client) = (chain.node(), chain.client());
    chain.wait_slot(12);
    let (answers, config) = (chain.path("answers.toml"), chain.path("wren.toml"));
    let write = |more: &str| {
        let keys = chain.path("network/keys-0");
        let text = format!(
            "network = \"{}\"\ndatadir = \"{}\"\ndev-engine = true\nsuggested-fee-recipient = \"{FEES}\"\nbeacon-nodes = \"http://{}\"\nkeystores = \"{keys}\"\npassword-file = \"{keys}/password.txt\"\n{more}",
            chain.path("network"),
            chain.path("second"),
            chain.api
        );
        fs::write(&answers, text).unwrap();
    };
    let setup = || {
        let place = [
            "--answers",
            &answers,
            "--config-file",
            &config,
            "--time-server",
            "127.0.0.1:1",
        ];
        let output = wren(&[&["setup"], &place[..]].concat(), b"");
        let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        (output.status.code(), said)
    };
    // A node that does not answer leaves it open, which is not what is tried here.
    let known = |said: &str| !said.contains("is not known") && !said.contains("is not told");
    write("new-keys = true\n");
    let (code, said) = setup();
    assert_eq!(code, Some(7), "{said}");
    assert!(said.contains("signs elsewhere") && known(&said), "{said}");
    assert!(!fs::exists(chain.path("second")).unwrap(), "nothing was made");

    // The remedy as it stands: that client is stopped for good, its history given, two epochs waited.
    stop(client);
    let history = chain.path("history.json");
    super::wren_ok(&[
        "slashing",
        "export",
        "--output",
        &history,
        "--datadir",
        &chain.path("data"),
    ]);
    write(&format!("slashing-history = \"{history}\"\n"));
    super::chain::wait_until("the keys to be silent", || setup().0 == Some(0));
    assert_eq!(fs::read_dir(chain.path("second/validator/keys")).unwrap().count(), 16);
    let listed = super::wren_ok(&[
        "keys",
        "list",
        "--datadir",
        &chain.path("second"),
        "--beacon-nodes",
        &format!("http://{}", chain.api),
    ]);
    assert!(listed.contains("last attestation: source"), "{listed}");
    stop(node);
}
