//! The metrics page of a node that runs, and the dashboard that is drawn from it.

use super::client::Client;
use super::node_with;
use consensus::Fork;
use node::builder::Builder;
use serde_json::Value;
use std::collections::BTreeSet;

/// The names of all figures on a page.
fn names(page: &str) -> BTreeSet<&str> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.split(['{', ' ']).next().expect("a line has a name"))
        .collect()
}

/// The names in a query: words that are neither functions nor labels have one of these beginnings.
fn named(query: &str) -> Vec<&str> {
    let words = query.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let begins = ["wren_", "beacon_", "libp2p_", "process_", "local_"];
    words
        .filter(|word| begins.iter().any(|begin| word.starts_with(begin)))
        .collect()
}

fn queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("expr").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|value| queries(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| queries(value, found)),
        _ => {}
    }
}

/// Every figure has its kind before it, a value that is a number, and stands there once.
fn check_form(page: &str) {
    let mut seen = BTreeSet::new();
    let mut kinds = BTreeSet::new();
    for line in page.lines() {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            assert!(kinds.insert(kind.split(' ').next().unwrap().to_owned()), "{line} twice");
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        assert!(seen.insert(series), "{series} twice");
        let name = series.split('{').next().unwrap();
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| name.strip_suffix(end).filter(|family| kinds.contains(*family)));
        assert!(kinds.contains(family.unwrap_or(name)), "{name} has no kind");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dashboard_asks_for_what_the_page_has() {
    // Nobody listens there, and nobody is asked: the builder's figures are on the page all the same.
    let builder = Builder::new("http://127.0.0.1:1").unwrap();
    let node = node_with(Fork::Fulu, 2, Some(builder)).await;
    let slot = node.now() + 1;
    node.until(slot).await;
    node.propose(slot, true).await;
    let metrics = Client::new(node.metrics);
    let answer = metrics.get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4"));
    let page = answer.text();
    check_form(&page);
    let names = names(&page);
    for line in [
        format!("beacon_head_slot {slot}"),
        "beacon_current_active_validators 64".into(),
        "wren_blocks_made_total{payload=\"own\"} 1".into(),
        "libp2p_peers 0".into(),
        "wren_payloads_of_other_recipient_total 0".into(),
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
    }
    let asked = page
        .lines()
        .find_map(|line| line.strip_prefix("wren_engine_seconds_count{method=\"newPayload\"} "));
    assert_eq!(asked, Some("1"));

    let dashboard = include_str!("../../../docs/grafana-node.json");
    let mut all = Vec::new();
    queries(
        &serde_json::from_str(dashboard).expect("the dashboard is JSON"),
        &mut all,
    );
    assert!(all.len() > 30, "{} queries", all.len());
    for query in &all {
        let wanted = named(query);
        assert!(!wanted.is_empty(), "'{query}' asks for nothing");
        for name in wanted {
            assert!(
                names.contains(name),
                "'{query}' asks for {name}, which is not on the page"
            );
        }
    }
    assert_eq!(metrics.get("/").await.status, 404);
    node.running.end().await;
}
