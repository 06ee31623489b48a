use super::node::Times;
use super::*;

fn node() -> Node {
    Node {
        base: "http://127.0.0.1:1".parse().unwrap(),
        version: "Wren/v0".into(),
        head: 100,
        distance: 0,
        syncing: false,
        optimistic: false,
        engine_offline: false,
        left: None,
        justified: Some(2),
        finalized: Some(1),
        peers: Some((3, 4)),
        notices: Vec::new(),
        times: Times {
            genesis: 1_000,
            slot: 12_000,
            slots_per_epoch: 32,
        },
        spec: Value::Null,
    }
}

fn status(node: Result<Node, String>) -> Status {
    Status {
        only: None,
        urls: "http://127.0.0.1:1".into(),
        client_url: "http://127.0.0.1:2".into(),
        node,
        client: Err("refused".into()),
        node_process: None,
        client_process: None,
        disk: Some(machine::Disk {
            free: 100_000_000_000,
            size: 200_000_000_000,
        }),
        days: Some(50),
        keys: Ok(0),
        validators: None,
    }
}

#[test]
fn what_the_node_wants_known_is_shown() {
    let notices = vec!["forward TCP 9000 to 192.168.7.3".to_owned()];
    let status = status(Ok(Node { notices, ..node() }));
    let lines = status.lines(None).join("\n");
    assert!(lines.contains("notice      forward TCP 9000 to 192.168.7.3"), "{lines}");
    assert_eq!(
        status.json(None)["node"]["notices"][0],
        "forward TCP 9000 to 192.168.7.3"
    );
}

#[test]
fn a_node_without_keys_is_all_right() {
    let status = status(Ok(node()));
    assert_eq!(status.advice(), None);
    let lines = status.lines(None).join("\n");
    for part in [
        "synced, head at slot 100",
        "3 in, 4 out",
        "for about 50 days",
        "no keys here",
        "all right",
    ] {
        assert!(lines.contains(part), "{part} is not in\n{lines}");
    }
    assert_eq!(status.json(None)["healthy"], true);
}

#[test]
fn keys_that_cannot_be_seen_are_not_taken_for_none() {
    let mut status = status(Ok(node()));
    status.keys = Err("cannot list data/validator/keys: Permission denied".into());
    assert_eq!(status.advice(), None);
    let lines = status.lines(None).join("\n");
    assert!(
        lines.contains("client      cannot list data/validator/keys") && !lines.contains("no keys here"),
        "{lines}"
    );
    assert_eq!(status.json(None)["keys"], Value::Null);
}

#[test]
fn the_most_urgent_is_told() {
    let told = |status: &Status| status.advice().map(|advice| (advice.text, advice.wait)).unwrap();
    let mut down = status(Err("refused".into()));
    down.keys = Ok(2);
    assert!(told(&down).0.contains("the node does not answer") && told(&down).0.contains("start it"));
    // What runs is not to be started a second time.
    down.node_process = Some(Process { memory: None });
    assert!(told(&down).0.contains("one runs here") && !told(&down).0.contains("start it"));
    let mut no_client = status(Ok(node()));
    no_client.keys = Ok(2);
    assert!(told(&no_client).0.contains("validator client does not run"));
    no_client.client_process = Some(Process { memory: None });
    assert_eq!(no_client.advice(), None, "its metrics may be off");
    let mut full = status(Ok(node()));
    full.days = Some(2);
    assert!(told(&full).0.contains("nearly full"));
    full.only = Some(Only::Validator);
    full.client_process = Some(Process { memory: None });
    assert_eq!(full.advice(), None, "the disk is the node's matter");
}

#[test]
fn waiting_is_not_a_failure() {
    for (change, part, wait) in [
        (
            (|node: &mut Node| node.engine_offline = true) as fn(&mut Node),
            "execution client does not answer",
            false,
        ),
        (|node| node.optimistic = true, "still syncing", true),
        (|node| (node.syncing, node.distance) = (true, 500), "syncing", true),
        (
            |node| (node.syncing, node.distance, node.peers) = (true, 500, Some((0, 0))),
            "no peers",
            false,
        ),
        (|node| node.distance = 50, "50 slots old", false),
        (|node| node.times.genesis = u64::MAX / 2, "begins at", true),
    ] {
        let mut node = node();
        change(&mut node);
        let advice = status(Ok(node)).advice().unwrap();
        assert!(advice.text.contains(part), "{part}: {}", advice.text);
        assert_eq!(advice.wait, wait, "{}", advice.text);
    }
}
