//! `wren genesis` and `wren engine` as an operator meets them.

use crate::{Scratch, wren, wren_fails, wren_ok};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

#[test]
fn a_local_network_is_made_and_read_back() {
    let scratch = Scratch::new("genesis");
    for (fork, previous) in [("phase0", "altair"), ("capella", "deneb"), ("electra", "fulu")] {
        let folder = scratch.path(fork);
        let said = wren_ok(&[
            "genesis",
            "--output",
            &folder,
            "--fork",
            fork,
            "--fork-at",
            &format!("{previous}=1"),
            "--validators",
            "64",
            "--time",
            "1700000000",
            "--keys",
            "3",
        ]);
        assert!(said.contains(fork) && said.contains("64 validators"), "{said}");
        let state = format!("{folder}/genesis.ssz");
        let root = wren_ok(&["ssz", "root", "--type", "BeaconState", "--fork", fork, &state]);
        assert!(said.contains(root.trim()), "{root} in {said}");
        // The folder is what other commands take as a network.
        wren_ok(&["transition", "--network", &folder, "--pre", &state, "--slots", "2"]);
        let keystores = |slice: usize| {
            let entries = fs::read_dir(format!("{folder}/keys-{slice}")).unwrap();
            let paths = entries.map(|entry| entry.unwrap().path());
            paths
                .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
                .count()
        };
        assert_eq!([keystores(0), keystores(1), keystores(2)], [21, 21, 22]);
    }
    // The public keys of one slice make another network.
    let (keys, folder) = (scratch.path("capella/keys-2"), scratch.path("other"));
    let arguments = ["genesis", "--output", &folder, "--keystores", &keys];
    if cfg!(feature = "minimal") {
        // Its epochs have eight slots, for which 22 validators are enough.
        assert!(wren_ok(&arguments).contains("22 validators"));
    } else {
        let said = wren_fails(3, &arguments, b"");
        assert!(said.contains("22 validators are too few"), "{said}");
    }
}

#[test]
fn nothing_is_written_where_options_contradict_each_other() {
    let scratch = Scratch::new("contradictions");
    let folder = scratch.path("net");
    for (arguments, words) in [
        (
            &["--fork", "phase0", "--fork-at", "bellatrix=2", "--keys", "1"][..],
            "after phase0 comes altair",
        ),
        (&["--slot-time", "0"], "SLOT_DURATION_MS"),
        (&["--validators", "1", "--keys", "1"], "too few"),
    ] {
        let mut all = vec!["genesis", "--output", &folder];
        all.extend(arguments);
        let said = wren_fails(3, &all, b"");
        assert!(said.contains(words), "{said}");
        assert!(!fs::exists(format!("{folder}/config.yaml")).unwrap());
    }
    wren_ok(&["genesis", "--output", &folder]);
    let again = wren_fails(4, &["genesis", "--output", &folder], b"");
    assert!(again.contains("holds a network already"), "{again}");
}

#[test]
fn a_state_may_come_through_a_pipe_and_a_wrong_one_is_told_by_the_options_there_are() {
    let scratch = Scratch::new("pipe");
    let folder = scratch.path("net");
    wren_ok(&["genesis", "--output", &folder]);
    let state = format!("{folder}/genesis.ssz");
    let transition = |pre| ["transition", "--network", &folder, "--trust-signatures", "--pre", pre];
    let expected = wren_ok(&transition(&state));
    assert!(expected.starts_with("slot 0 "), "{expected}");
    let output = wren(&transition("/dev/stdin"), &fs::read(&state).unwrap());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{said}");

    let json = scratch.path("state.json");
    fs::write(&json, "{}").unwrap();
    let said = wren_fails(3, &transition(&json), b"");
    assert!(said.contains("`wren ssz encode`"), "{said}");
    let said = wren_fails(3, &transition("/dev/stdin"), &[0; 1000]);
    assert!(said.contains("1000 bytes") && said.contains("--network"), "{said}");
    assert!(!said.contains("--type"), "{said}");
}

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn the_engine_listens_and_wants_its_secret() {
    let scratch = Scratch::new("engine");
    let folder = scratch.path("net");
    wren_ok(&["genesis", "--output", &folder]);
    let program = std::env::var("WREN_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_wren").into());
    let child = Command::new(program)
        .args(["engine", "--network", &folder, "--port", "0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut running = Running(child);
    let mut line = String::new();
    BufReader::new(running.0.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address = line.split_once("http://").unwrap().1.split(',').next().unwrap();
    assert!(address.starts_with("127.0.0.1:"), "{line}");
    let secret = fs::read_to_string(format!("{folder}/jwt.hex")).unwrap();
    assert_eq!(secret.trim().len(), 64);
    assert!(!line.contains(secret.trim()), "the secret is not shown");
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(b"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

#[test]
fn the_engine_is_refused_on_public_networks() {
    let scratch = Scratch::new("public");
    let folder = scratch.path("net");
    wren_ok(&["genesis", "--output", &folder]);
    // A genesis state begins with its time and the root of its validators.
    let state = format!("{folder}/genesis.ssz");
    let mut bytes = fs::read(&state).unwrap();
    let sepolia = "d8ea171f3c94aea21ebc42a1ed61052acf3f9209c00e4efbaaddac09ed9b8078";
    for (place, byte) in bytes[8..40].iter_mut().enumerate() {
        *byte = u8::from_str_radix(&sepolia[2 * place..2 * place + 2], 16).unwrap();
    }
    fs::write(&state, bytes).unwrap();
    let said = wren_fails(3, &["engine", "--network", &folder, "--port", "0"], b"");
    assert!(
        said.contains("sepolia") && said.contains("real execution client"),
        "{said}"
    );
}
