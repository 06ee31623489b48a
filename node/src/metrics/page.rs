//! The page: all figures as they stand when it is asked for.

use super::process::{self, Written};
use super::{Histogram, Method, network};
use crate::api::ApiContext;
use crate::api::http::Counts;
use crate::builder::Builder;
use crate::chain::{Chain, Snapshot};
use crate::produce::Producer;
use crate::work::Lane;
use consensus::helpers::accessors::get_current_epoch;
use std::fmt::{Display, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where the figures come from.
pub struct Sources {
    api: Arc<ApiContext>,
    written: Written,
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}

/// The text in the making. A name's help is a sentence without line breaks.
pub(super) struct Page(String);

impl Page {
    pub(super) fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    pub(super) fn line(&mut self, name: &str, labels: &str, value: impl Display) {
        let braces = if labels.is_empty() {
            String::new()
        } else {
            format!("{{{labels}}}")
        };
        let _ = writeln!(self.0, "{name}{braces} {value}");
    }

    pub(super) fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, "gauge", help);
        self.line(name, "", value);
    }

    pub(super) fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, "counter", help);
        self.line(name, "", value);
    }

    pub(super) fn count(&mut self, name: &str, help: &str, value: &AtomicU64) {
        self.counter(name, help, value.load(Ordering::Relaxed));
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.head(name, "histogram", help);
        histogram.write(name, "", &mut self.0);
    }
}

impl Sources {
    /// The figures of a node with this API.
    pub fn new(api: Arc<ApiContext>) -> Self {
        Sources {
            api,
            written: Written::new(),
        }
    }

    /// All figures. Takes no lock for longer than a copy, and walks no registry.
    pub fn page(&self) -> String {
        let mut page = Page(String::with_capacity(16 << 10));
        let chain = self.api.chain();
        let snapshot = chain.snapshot();
        write_chain(&mut page, chain, &snapshot);
        write_state(&mut page, &snapshot);
        write_lanes(&mut page, chain);
        write_engine(&mut page, chain);
        network::write(&mut page, self.api.network());
        network::write_sync(&mut page, chain, &snapshot);
        page.gauge(
            "wren_clock_wrong",
            "1 while the clock of this machine is known to be wrong, and nothing is done by it",
            u64::from(chain.clock_watch().wrong().is_some()),
        );
        if let Some(counts) = self.api.counts() {
            write_api(&mut page, counts);
        }
        let producer = self.api.producer();
        write_production(&mut page, producer);
        if let Some(builder) = producer.builder() {
            write_builder(&mut page, builder);
        }
        self.write_process(&mut page);
        page.0
    }

    fn write_process(&self, page: &mut Page) {
        if let Some((resident, anonymous)) = process::memory() {
            page.gauge("process_resident_memory_bytes", "Resident memory", resident);
            page.gauge(
                "wren_anonymous_memory_bytes",
                "Resident memory that no file backs",
                anonymous,
            );
        }
        page.gauge(
            "wren_memory_gives_way",
            "What gives way for want of memory: 1 history, 2 states made for somebody too, 3 long answers too",
            self.api.chain().pressure().gives_way(),
        );
        if let Some(seconds) = process::cpu_seconds() {
            page.counter("process_cpu_seconds_total", "Processor time of all threads", seconds);
        }
        if let Some(open) = process::open_descriptors() {
            page.gauge("process_open_fds", "Open descriptors", open);
        }
        if let Some(most) = process::most_descriptors() {
            page.gauge("process_max_fds", "How many descriptors may be open", most);
        }
        if let Ok(written) = storage::written_bytes() {
            page.counter(
                "wren_written_bytes_total",
                "Bytes that this process had the system write to disks",
                written,
            );
            page.gauge(
                "wren_written_bytes_per_day",
                "The same a day, at the pace of the last day or since the start",
                self.written.per_day(written),
            );
        }
    }
}

fn write_chain(page: &mut Page, chain: &Chain, snapshot: &Snapshot) {
    let (view, head) = (&snapshot.view, &snapshot.head);
    page.gauge(
        "beacon_slot",
        "The slot of the clock",
        chain.clock().slot().unwrap_or(0),
    );
    page.gauge("beacon_head_slot", "The slot of the head", head.slot);
    page.gauge(
        "beacon_finalized_epoch",
        "The finalized epoch",
        snapshot.finalized().epoch,
    );
    page.gauge(
        "beacon_current_justified_epoch",
        "The justified epoch",
        view.justified_checkpoint().epoch,
    );
    page.gauge(
        "beacon_previous_justified_epoch",
        "The justified epoch before, by the head's state",
        snapshot.head_state.previous_justified_checkpoint.epoch,
    );
    page.gauge(
        "wren_head_optimistic",
        "1 while the head's payload is not executed",
        u8::from(head.optimistic),
    );
    page.gauge(
        "wren_fork_choice_blocks",
        "Blocks since the finalized one",
        view.blocks().nodes().len(),
    );
    page.gauge("wren_snapshots", "The number of the latest snapshot", snapshot.number);
    let metrics = chain.metrics();
    page.count(
        "beacon_reorgs_total",
        "Changes of the head to another branch",
        &metrics.reorgs,
    );
    page.histogram(
        "wren_snapshot_publish_seconds",
        "Finding the head and publishing a snapshot",
        &metrics.publish,
    );
}

fn write_state(page: &mut Page, snapshot: &Snapshot) {
    let state = &snapshot.ahead.state;
    // Kept with the state; to count them anew would walk the registry.
    if let Some(shuffling) = state.shuffling(get_current_epoch(state)) {
        let active = shuffling.shuffled.len();
        page.gauge("beacon_current_active_validators", "Active validators", active);
    }
    page.gauge("wren_validators", "Validators in the registry", state.validators.len());
    page.gauge(
        "beacon_processed_deposits_total",
        "Deposits of the deposit contract that were processed",
        state.eth1_deposit_index,
    );
    page.gauge(
        "beacon_pending_deposits",
        "Deposits that wait",
        state.pending_deposits.len(),
    );
    page.gauge(
        "beacon_pending_partial_withdrawals",
        "Partial withdrawals that wait",
        state.pending_partial_withdrawals.len(),
    );
    page.gauge(
        "beacon_pending_consolidations",
        "Consolidations that wait",
        state.pending_consolidations.len(),
    );
}

fn write_lanes(page: &mut Page, chain: &Chain) {
    let counts = Lane::ALL.map(|lane| (lane.name(), chain.work().counts(lane)));
    let figures = [
        ("wren_lane_waiting", "gauge", "Jobs that wait for a worker"),
        ("wren_lane_done_total", "counter", "Jobs that workers have done"),
        ("wren_lane_dropped_total", "counter", "Jobs that found their lane full"),
    ];
    for (place, (name, kind, help)) in figures.into_iter().enumerate() {
        page.head(name, kind, help);
        for (lane, counts) in &counts {
            page.line(name, &format!("lane=\"{lane}\""), counts[place]);
        }
    }
}

fn write_engine(page: &mut Page, chain: &Chain) {
    let engine = &chain.metrics().engine;
    let name = "wren_engine_seconds";
    page.head(name, "histogram", "What the execution client took to answer");
    for (method, asked) in Method::ALL.into_iter().zip(engine) {
        asked
            .time
            .write(name, &format!("method=\"{}\",", method.label()), &mut page.0);
    }
    let name = "wren_engine_failed_total";
    page.head(name, "counter", "Calls of the execution client that failed");
    for (method, asked) in Method::ALL.into_iter().zip(engine) {
        let failed = asked.failed.load(Ordering::Relaxed);
        page.line(name, &format!("method=\"{}\"", method.label()), failed);
    }
}

fn write_api(page: &mut Page, counts: &Counts) {
    let (requests, failed) = (
        counts.requests.load(Ordering::Relaxed),
        counts.failed.load(Ordering::Relaxed),
    );
    page.counter(
        "beacon_http_api_requests_total",
        "Requests that the API has answered",
        requests,
    );
    page.counter(
        "beacon_http_api_successes_total",
        "Of these, those without an error of the node's own",
        requests.saturating_sub(failed),
    );
    page.histogram(
        "wren_api_seconds",
        "From the head of a request to the beginning of its answer",
        &counts.time,
    );
    let open = counts.open.load(Ordering::Relaxed);
    page.gauge("wren_api_connections", "Connections of the API that are open", open);
    let name = "wren_api_connections_total";
    page.head(name, "counter", "Connections of the API, by what became of them");
    for (outcome, count) in [
        ("accepted", &counts.accepted),
        ("refused", &counts.refused),
        ("evicted", &counts.evicted),
        ("overdue", &counts.overdue),
        ("exhausted", &counts.exhausted),
    ] {
        page.line(name, &format!("outcome=\"{outcome}\""), count.load(Ordering::Relaxed));
    }
}

fn write_production(page: &mut Page, producer: &Producer) {
    page.gauge(
        "local_validator_count",
        "Validators whose clients have announced them here",
        producer.prepared().len(),
    );
    let counts = &producer.counts;
    let name = "wren_blocks_made_total";
    page.head(
        name,
        "counter",
        "Blocks made for validators, by whose payload they have",
    );
    for (payload, count) in [
        ("own", &counts.own),
        ("builder", &counts.blinded),
        ("failed", &counts.failed),
    ] {
        page.line(name, &format!("payload=\"{payload}\""), count.load(Ordering::Relaxed));
    }
    page.count(
        "wren_payloads_of_other_recipient_total",
        "Own payloads that pay another address than was asked",
        &counts.other_recipient,
    );
}

fn write_builder(page: &mut Page, builder: &Builder) {
    let counts = &builder.counts;
    let name = "wren_builder_bids_total";
    page.head(name, "counter", "Proposals with a builder, by what came of its bid");
    for (outcome, count) in [
        ("asked", &counts.asked),
        ("sound", &counts.sound),
        ("refused", &counts.refused),
        ("silent", &counts.silent),
        ("circuit_broken", &counts.broken_circuit),
    ] {
        page.line(name, &format!("outcome=\"{outcome}\""), count.load(Ordering::Relaxed));
    }
    page.count(
        "wren_builder_revealed_total",
        "Signed blocks that a builder took on",
        &counts.revealed,
    );
    page.count(
        "wren_builder_lost_total",
        "Signed blocks whose payload never came",
        &counts.lost,
    );
    page.count(
        "wren_builder_registrations_total",
        "Registrations of validators handed on",
        &counts.registered,
    );
}
