//! A node that holds more memory than it was granted.

use super::node;
use consensus::Fork;
use consensus::helpers::misc::compute_epoch_at_slot;
use node::stop::Stop;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_answers_give_way_and_duties_do_not() {
    const LONG: &str = "/eth/v2/debug/beacon/states/head";
    let node = node(Fork::Fulu).await;
    assert_eq!(node.client.get(LONG).await.status, 200);
    // No node gets along with a megabyte.
    let stop = Stop::new();
    let watch = node::pressure::watch(node.running.chain.clone(), 1 << 20, stop.clone());
    let watch = tokio::spawn(watch);
    while node.running.chain.pressure().gives_way() < 3 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let refused = node.client.get(LONG).await;
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("--max-memory"), "{}", refused.text());
    let slot = node.now() + 1;
    node.until(slot).await;
    node.propose(slot, true).await;
    node.attester_duties(compute_epoch_at_slot(slot)).await;
    node.data(&format!(
        "/eth/v1/validator/attestation_data?slot={slot}&committee_index=0"
    ))
    .await;
    stop.stop();
    watch.await.unwrap();
    node.running.end().await;
}
