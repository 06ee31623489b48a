//! The keymanager API of a running client, and the commands that go through it.

use crate::keys::{ADDRESS, KEYS, PASSWORD, Setup, mode};
use crate::program;
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Long enough for the slowest machine.
const PATIENCE: Duration = Duration::from_mins(2);
const STRANGER: &str =
    "0x93247f2209abcacf57b75a51dafae777f9dd38bc7053d1af526f220a7489a6d3a2753e5f3e8b1cfe39b56f43611df74a";

/// A client that runs on the datadir of a setup, without any node: its network begins in the year 2200.
struct Running<'a> {
    setup: &'a Setup,
    child: Child,
    address: String,
    token: String,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl<'a> Running<'a> {
    fn start(setup: &'a Setup) -> Self {
        let log = fs::File::create(setup.path("client.log")).expect("a log");
        let child = Command::new(program())
            .args([
                "validator",
                "--metrics-port",
                "0",
                "--beacon-nodes",
                "http://127.0.0.1:1",
            ])
            .args(["--network", &setup.path("network"), "--datadir", &setup.path("data")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("it starts");
        let mut running = Running {
            setup,
            child,
            address: String::new(),
            token: String::new(),
        };
        let start = Instant::now();
        while running.address.is_empty() {
            assert!(start.elapsed() < PATIENCE, "no API: {}", running.log());
            let text = fs::read_to_string(setup.path("data/validator/api_address")).unwrap_or_default();
            running.address = text.trim().replace("http://", "");
            std::thread::sleep(Duration::from_millis(50));
        }
        let token = setup.path("data/validator/api_token");
        assert_eq!(mode(&token), 0o600);
        running.token = fs::read_to_string(token).expect("the token is there");
        running
    }

    fn log(&self) -> String {
        fs::read_to_string(self.setup.path("client.log")).unwrap_or_default()
    }

    /// Status and body of an answer.
    fn raw(&self, method: &str, path: &str, token: Option<&str>, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        let token = token
            .map(|token| format!("Authorization: Bearer {token}\r\n"))
            .unwrap_or_default();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{token}Content-Length: {}",
            body.len()
        );
        // A server that refuses early may close before all is sent.
        write!(stream, "{head}\r\n\r\n{body}").ok();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (
            status.expect("a status"),
            serde_json::from_str(body).unwrap_or(Value::Null),
        )
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.raw(method, path, Some(&self.token), &text)
    }

    fn data(&self, path: &str) -> Value {
        let (status, mut answer) = self.ask("GET", path, &Value::Null);
        assert_eq!(status, 200, "{path}: {answer}");
        answer["data"].take()
    }

    fn stop(mut self) {
        let id = rustix::process::Pid::from_raw(self.child.id().cast_signed()).expect("it runs");
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("it is there");
        assert!(self.child.wait().expect("it ends").success(), "{}", self.log());
        assert!(!Path::new(&self.setup.path("data/validator/api_address")).exists());
    }
}

/// A request that is refused: method, path, body, status, words of the sentence.
type Bad = (&'static str, String, String, u16, &'static str);

fn bad_requests_for_keys() -> Vec<Bad> {
    let list = || "/eth/v1/keystores".to_owned();
    let bad = |method, path: String, body: Value, status, words| (method, path, body.to_string(), status, words);
    let many: Vec<&str> = vec![KEYS[0]; 1001];
    let history = json!({"keystores": [], "passwords": [], "slashing_protection": "{}"});
    let remote = json!({"remote_keys": [{"pubkey": STRANGER, "url": "ftp://x"}]});
    vec![
        ("POST", list(), "{".into(), 400, "the body is not what it should be"),
        bad("POST", list(), json!({"keystores": []}), 400, "passwords"),
        bad(
            "POST",
            list(),
            json!({"keystores": ["{}"], "passwords": []}),
            400,
            "1 keystores and 0",
        ),
        bad("POST", list(), history, 400, "slashing_protection: "),
        bad("DELETE", list(), json!({"pubkeys": ["0x12"]}), 400, "no public key"),
        bad("DELETE", list(), json!({ "pubkeys": many }), 400, "at most 1000"),
        bad("POST", "/eth/v1/remotekeys".into(), remote, 400, "http://"),
        ("PUT", list(), String::new(), 405, "PUT is not for"),
        ("GET", "/eth/v1/nothing".into(), String::new(), 404, "nothing at"),
    ]
}

fn bad_requests_for_settings() -> Vec<Bad> {
    let of = |key: &str, name: &str| format!("/eth/v1/validator/{key}/{name}");
    let get = |key, name, status, words| ("GET", of(key, name), String::new(), status, words);
    let post = |name, body: Value, words| ("POST", of(KEYS[0], name), body.to_string(), 400, words);
    let mistyped = ADDRESS.replace("5aAe", "5aae");
    vec![
        get(STRANGER, "feerecipient", 404, "not in this client"),
        get("0x12", "feerecipient", 400, "no public key"),
        get(KEYS[0], "color", 404, "color"),
        get(KEYS[0], "feerecipient", 404, "no fee recipient is set"),
        post(
            "feerecipient",
            json!({"ethaddress": format!("0x{}", "0".repeat(40))}),
            "zero address",
        ),
        post("feerecipient", json!({ "ethaddress": mistyped }), "checksum"),
        post("gas_limit", json!({"gas_limit": "-1"}), "no gas limit"),
        post("graffiti", json!({"graffiti": "x".repeat(33)}), "room for 32"),
        post("voluntary_exit?epoch=x", Value::Null, "no epoch"),
    ]
}

#[test]
fn nothing_is_told_without_the_token_and_bad_requests_get_a_sentence() {
    let setup = Setup::new("api-token");
    setup.make_keys();
    let running = Running::start(&setup);
    let list = "/eth/v1/keystores";
    for path in [list, "/wren/v1/keys", "/nowhere"] {
        assert_eq!(running.raw("GET", path, None, "").0, 401, "{path}");
        assert_eq!(running.raw("GET", path, Some("00"), "").0, 403, "{path}");
        let (status, answer) = running.raw("GET", path, Some(&running.token[1..]), "");
        assert!(
            status == 403
                && answer["message"]
                    .as_str()
                    .is_some_and(|text| text.contains("api_token")),
            "{answer}"
        );
    }
    let of_keys = bad_requests_for_keys();
    for (method, path, body, status, words) in of_keys.into_iter().chain(bad_requests_for_settings()) {
        let (got, answer) = running.raw(method, &path, Some(&running.token), &body);
        let message = answer["message"].as_str().unwrap_or_default();
        assert!(
            got == status && message.contains(words),
            "{method} {path}: {got} {answer}"
        );
    }
    assert_eq!(running.data(list).as_array().map(Vec::len), Some(2), "nothing was done");
    running.stop();
}

#[test]
fn settings_hold_at_once_and_after_a_restart() {
    let setup = Setup::new("api-settings");
    setup.make_keys();
    let toml = setup.path("data/validator/validators.toml");
    fs::write(&toml, "[default] # mine\ngraffiti = \"all\"\ngas_limit = 5\n").expect("written");
    let running = Running::start(&setup);
    let of = |name: &str| format!("/eth/v1/validator/{}/{name}", KEYS[0]);
    let cases = [
        ("feerecipient", json!({"ethaddress": ADDRESS}), None),
        ("gas_limit", json!({"gas_limit": "60000001"}), Some("5")),
        ("graffiti", json!({"graffiti": "one"}), Some("all")),
    ];
    for (name, body, _) in &cases {
        assert_eq!(running.ask("POST", &of(name), body), (202, Value::Null), "{name}");
    }
    let builder = format!("/wren/v1/validator/{}/builder", KEYS[0]);
    let wanted = json!({"builder": true, "builder_boost_factor": "90"});
    assert_eq!(running.ask("POST", &builder, &wanted).0, 202);
    let check = |running: &Running<'_>| {
        for (name, body, _) in &cases {
            let mut data = running.data(&of(name));
            assert_eq!(data["pubkey"].take(), KEYS[0]);
            for (field, value) in body.as_object().expect("an object") {
                assert_eq!(data[field], *value, "{name}");
            }
        }
        let data = running.data(&builder);
        assert!(
            data["builder"] == true && data["builder_boost_factor"] == "90",
            "{data}"
        );
    };
    check(&running);
    running.stop();
    assert_eq!(mode(&toml), 0o600);
    assert!(fs::read_to_string(&toml).expect("it is there").contains("# mine"));
    let running = Running::start(&setup);
    check(&running);
    for (name, body, default) in &cases {
        for _ in 0..2 {
            assert_eq!(
                running.ask("DELETE", &of(name), &Value::Null),
                (204, Value::Null),
                "{name}"
            );
        }
        let (status, answer) = running.ask("GET", &of(name), &Value::Null);
        let field = body.as_object().and_then(|body| body.keys().next()).expect("one");
        assert_eq!(
            (status == 200).then(|| answer["data"][field].as_str()).flatten(),
            *default,
            "{name}: {answer}"
        );
    }
}

#[test]
fn keys_come_and_go_through_the_api_with_their_history() {
    let setup = Setup::new("api-keys");
    setup.make_keys();
    let running = Running::start(&setup);
    let delete = |running: &Running<'_>| {
        let (status, answer) = running.ask("DELETE", "/eth/v1/keystores", &json!({"pubkeys": [KEYS[1], STRANGER]}));
        assert_eq!(status, 200, "{answer}");
        answer
    };
    let first = delete(&running);
    assert_eq!(first["data"], json!([{"status": "deleted"}, {"status": "not_found"}]));
    let second = delete(&running);
    assert_eq!(second["data"][0]["status"], "not_active");
    assert_eq!(first["slashing_protection"], second["slashing_protection"]);
    let history = first["slashing_protection"].as_str().expect("a text");
    assert!(history.contains(KEYS[1]) && !history.contains(KEYS[0]), "{history}");
    let files = |key: &str| Path::new(&setup.path(&format!("data/validator/keys/{key}.json"))).exists();
    assert!(files(KEYS[0]) && !files(KEYS[1]));

    let keystores: Vec<String> = ["keystore-m_12381_3600_1_0_0-", "keystore-m_12381_3600_0_0_0-"]
        .map(|name| fs::read_to_string(setup.made(name)).expect("it is there"))
        .to_vec();
    let mut body = json!({"keystores": keystores, "passwords": [PASSWORD, PASSWORD], "slashing_protection": history});
    let (status, answer) = running.ask("POST", "/eth/v1/keystores", &body);
    assert_eq!(
        (status, &answer["data"]),
        (200, &json!([{"status": "imported"}, {"status": "duplicate"}]))
    );
    body["passwords"] = json!(["wrong password", PASSWORD]);
    let answer = running.ask("POST", "/eth/v1/keystores", &body).1;
    assert_eq!(answer["data"][0]["status"], "error");
    assert_eq!(answer["data"][1]["status"], "duplicate");
    let list = running.data("/eth/v1/keystores");
    let path = list
        .as_array()
        .and_then(|list| list.iter().find(|key| key["validating_pubkey"] == KEYS[1]));
    assert_eq!(path.expect("it is back")["derivation_path"], "m/12381/3600/1/0/0");

    let remote = json!({"remote_keys": [{"pubkey": STRANGER, "url": "http://user:secret@127.0.0.1:9"}, {"pubkey": KEYS[0], "url": "http://127.0.0.1:9"}]});
    let (status, answer) = running.ask("POST", "/eth/v1/remotekeys", &remote);
    assert_eq!(
        (status, &answer["data"]),
        (200, &json!([{"status": "imported"}, {"status": "duplicate"}]))
    );
    let remotes = json!([{"pubkey": STRANGER, "url": "http://127.0.0.1:9", "readonly": false}]);
    assert_eq!(running.data("/eth/v1/remotekeys"), remotes);
    let elsewhere = running
        .ask("DELETE", "/eth/v1/keystores", &json!({"pubkeys": [STRANGER]}))
        .1;
    assert_eq!(elsewhere["data"][0]["status"], "error", "{elsewhere}");
    running.stop();
    let running = Running::start(&setup);
    assert_eq!(
        running.data("/eth/v1/remotekeys"),
        remotes,
        "it is there after a restart"
    );
    let pubkeys = json!({"pubkeys": [STRANGER, KEYS[0]]});
    let answer = running.ask("DELETE", "/eth/v1/remotekeys", &pubkeys).1;
    assert_eq!(answer["data"], json!([{"status": "deleted"}, {"status": "not_found"}]));
    assert_eq!(running.data("/eth/v1/remotekeys"), json!([]));
}

#[test]
fn commands_work_on_the_running_client() {
    let setup = Setup::new("api-commands");
    setup.make_keys();
    fs::write(setup.path("password"), PASSWORD).expect("written");
    let running = Running::start(&setup);
    let list = || setup.ok(&["keys", "list"], "");
    assert_eq!(
        list().matches("does not know it, or the client has not asked").count(),
        2,
        "{}",
        list()
    );

    let moved = setup.path("moved");
    let export = ["keys", "export", KEYS[0], "--output", &moved];
    setup.ok(&export, &format!("stop and export\n{PASSWORD}\n{PASSWORD}\n"));
    assert!(list().contains(&format!("{}  stopped", KEYS[0])), "{}", list());
    assert!(Path::new(&format!("{moved}/slashing_protection-{}.json", KEYS[0])).exists());
    setup.ok(&["keys", "enable", KEYS[0], "--yes"], "");
    assert!(!list().contains("stopped"));

    setup.ok(&["keys", "delete", KEYS[1], "--output", &moved, "--yes"], "");
    assert!(!list().contains(KEYS[1]));
    let history = format!("{moved}/slashing_protection-{}.json", KEYS[1]);
    let keystore = setup.made("keystore-m_12381_3600_1_0_0-");
    let import = [
        "keys",
        "import",
        &keystore,
        "--slashing-history",
        &history,
        "--password-file",
        &setup.path("password"),
    ];
    let report = setup.ok(&import, "");
    assert!(
        report.contains(&format!("{}  imported, signs in the running client", KEYS[1])),
        "{report}"
    );
    assert!(list().contains(KEYS[1]));

    let exported = setup.ok(&["slashing", "export"], "");
    assert!(KEYS.iter().all(|key| exported.contains(key)), "{exported}");
    let refused = setup.fails(3, &["slashing", "import", &history], "");
    assert!(refused.contains("stop that first"), "{refused}");
    running.stop();
    assert_eq!(setup.ok(&["slashing", "export"], ""), exported);
    setup.ok(&["slashing", "import", &history], "");
}

/// No node has said yet when the chain began: what does not hang on that works, the rest is refused with the remedy.
#[test]
fn the_api_serves_while_the_client_waits_for_its_first_node() {
    let setup = Setup::new("api-waits");
    setup.make_keys();
    fs::remove_file(setup.path("network/genesis.ssz")).expect("it was there");
    let running = Running::start(&setup);
    let list = setup.ok(&["keys", "list"], "");
    assert_eq!(
        list.matches("enabled, the client waits for a beacon node").count(),
        2,
        "{list}"
    );
    let graffiti = format!("/eth/v1/validator/{}/graffiti", KEYS[0]);
    assert_eq!(running.ask("POST", &graffiti, &json!({"graffiti": "early"})).0, 202);
    assert_eq!(running.data(&graffiti)["graffiti"], "early");

    let path = format!("/eth/v1/validator/{}/voluntary_exit?epoch=3", KEYS[0]);
    let (status, answer) = running.ask("POST", &path, &Value::Null);
    let message = answer["message"].as_str().unwrap_or_default();
    assert!(
        status == 503 && message.contains("no beacon node has answered") && message.contains("--beacon-nodes"),
        "{status} {answer}"
    );

    let pubkeys = json!({"pubkeys": [KEYS[1]]});
    let deleted = running.ask("DELETE", "/eth/v1/keystores", &pubkeys).1;
    assert_eq!(deleted["data"], json!([{"status": "deleted"}]));
    let keystore = fs::read_to_string(setup.made("keystore-m_12381_3600_1_0_0-")).expect("it is there");
    let mut body = json!({"keystores": [keystore], "passwords": [PASSWORD]});
    let imported = running.ask("POST", "/eth/v1/keystores", &body).1;
    let message = imported["data"][0]["message"].as_str().unwrap_or_default();
    assert!(
        imported["data"][0]["status"] == "imported" && message.contains("nobody could be asked"),
        "{imported}"
    );
    body["slashing_protection"] = deleted["slashing_protection"].clone();
    let imported = running.ask("POST", "/eth/v1/keystores", &body).1;
    assert_eq!(imported["data"], json!([{"status": "duplicate"}]));
    let list = setup.ok(&["keys", "list"], "");
    assert_eq!(list.matches("enabled, the client waits").count(), 2, "{list}");
    assert!(running.log().contains("waiting for a beacon node"), "{}", running.log());
    running.stop();
}

#[test]
fn a_key_in_a_remote_signer_leaves_with_its_history() {
    let setup = Setup::new("api-remote");
    setup.make_keys();
    let out = setup.path("out");
    let history = format!("{out}/slashing_protection-{STRANGER}.json");
    let (export, delete) = (
        ["keys", "export", STRANGER, "--output", &out],
        ["keys", "delete", STRANGER, "--output", &out, "--yes"],
    );
    let leave = |running: Option<&Running<'_>>| {
        let list = || setup.ok(&["keys", "list"], "");
        assert!(
            list().contains("in the remote signer at http://127.0.0.1:9"),
            "{}",
            list()
        );
        // No password is asked for: there is no keystore.
        setup.ok(&export, "stop and export\n");
        let text = fs::read_to_string(&history).expect("the history is there");
        assert!(text.contains(STRANGER), "{text}");
        assert!(!Path::new(&format!("{out}/keystore-{STRANGER}.json")).exists());
        assert!(list().contains(&format!("{STRANGER}  stopped")), "{}", list());
        if let Some(running) = running {
            assert_eq!(running.data("/eth/v1/remotekeys").as_array().map(Vec::len), Some(1));
        }
        fs::remove_file(&history).expect("it was there");
        setup.ok(&delete, "");
        assert!(Path::new(&history).exists() && !list().contains(STRANGER), "{}", list());
    };
    let remote = json!({"remote_keys": [{"pubkey": STRANGER, "url": "http://127.0.0.1:9"}]});
    let running = Running::start(&setup);
    running.ask("POST", "/eth/v1/remotekeys", &remote);
    leave(Some(&running));
    assert_eq!(running.data("/eth/v1/remotekeys"), json!([]));
    running.ask("POST", "/eth/v1/remotekeys", &remote);
    running.stop();
    leave(None);
    let again = setup.fails(3, &delete, "");
    assert!(again.contains("nor in a remote signer"), "{again}");
}
