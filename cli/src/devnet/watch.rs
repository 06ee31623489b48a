//! A devnet watched from slot to slot until its end.

use super::Args;
use super::logs::Follow;
use super::look::{self, Finality, Proposals};
use super::plan::Plan;
use super::processes::{Processes, delay};
use super::signals::Signals;
use super::view::{Output, Row, View};
use crate::exit::Failure;
use consensus::preset::SLOTS_PER_EPOCH;
use std::process::ExitCode;
use std::time::Duration;

/// Epochs after the one asked for within which it must be final: one to be justified, one to be final, one for a machine
/// that is slow at the start, and one more.
const PATIENCE_EPOCHS: u64 = 4;

/// Where in its slot the chain is looked at, in percent: blocks and votes are there by then.
const LOOK_AT: u64 = 70;

/// Log lines that are shown at once; a process in trouble may write thousands.
const LINES_AT_ONCE: usize = 8;

/// Epochs until a client that comes back signs: doppelganger protection listens for the rest of one and two whole ones.
const LISTENS: u64 = 3;

/// The first line: when the second epoch will be final. With the chain's first epochs whole, epoch 3 is justified at the
/// end of itself, and epoch 2 is final with that. Where more than a third are away in one of the two, it is the first
/// epoch in which they sign again.
pub(super) fn promise(args: &Args, plan: &Plan) -> String {
    let away = plan.clients.iter().filter(|client| client.leaves);
    let away: usize = away.map(|client| client.validators.len()).sum();
    let leak = args
        .offline
        .filter(|offline| offline.from <= 3 && 3 * away > args.validators);
    let epoch = leak.map_or(2, |offline| offline.until + LISTENS);
    let slot = (epoch + 2) * SLOTS_PER_EPOCH;
    let seconds = delay(args) + slot * args.slot_time;
    let why = leak.map(|offline| {
        format!(
            "{away} of {} validators are away from epoch {} to epoch {}, then they listen for doubles. ",
            args.validators, offline.from, offline.until
        )
    });
    format!(
        "{}Epoch {epoch} is final at slot {slot}, before epoch {} ends: in about {} min {} s, with slots of {} s.",
        why.unwrap_or_default(),
        epoch + 2,
        seconds / 60,
        seconds % 60,
        args.slot_time
    )
}

struct Watch<'a> {
    args: &'a Args,
    plan: &'a Plan,
    processes: &'a mut Processes,
    view: View,
    output: Output,
    proposals: Proposals,
    finality: Finality,
    logs: Vec<Follow>,
    /// When the share of the validators that goes offline does so, and that it has.
    gone: bool,
}

/// Shows the chain until a signal, or until the epoch that was asked for is final.
pub(super) async fn watch(
    args: &Args,
    plan: &Plan,
    processes: &mut Processes,
    signals: &mut Signals,
) -> Result<ExitCode, Failure> {
    let mut watch = Watch {
        view: rows(args, plan, processes),
        output: Output::new(args.plain),
        proposals: Proposals::default(),
        finality: Finality::default(),
        logs: processes.logs(),
        gone: false,
        args,
        plan,
        processes,
    };
    let (ended, words) = tokio::select! {
        ended = watch.go() => (ended, args.until_finalized_epoch.map(|epoch| format!("epoch {epoch} is final"))),
        () = signals.wait() => (Ok(ExitCode::SUCCESS), None),
    };
    let last = watch.output.is_terminal().then(|| watch.view.line());
    drop(watch); // gives the terminal back before anything else is printed
    if let Some(line) = last {
        println!("{line}");
    }
    if ended.is_ok() {
        println!("{}", words.unwrap_or_else(|| "stopping".into()));
    }
    ended
}

fn rows(args: &Args, plan: &Plan, processes: &Processes) -> View {
    let nodes = processes.nodes.iter().enumerate().map(|(number, node)| Row {
        name: format!("node-{number}"),
        what: node.to_string(),
        ..Row::default()
    });
    let clients = plan.clients.iter().map(|client| Row {
        name: client.name.clone(),
        what: client.validators.len().to_string(),
        ..Row::default()
    });
    View {
        promise: promise(args, plan),
        nodes: nodes.collect(),
        clients: clients.collect(),
        ..View::default()
    }
}

impl Watch<'_> {
    async fn go(&mut self) -> Result<ExitCode, Failure> {
        let genesis = self.wait_for_genesis().await?;
        loop {
            let slot = self.wait_for_slot(genesis).await;
            self.processes.check()?;
            self.offline(slot / SLOTS_PER_EPOCH).await?;
            self.view.slot = slot;
            self.look().await;
            self.show();
            if let Some(code) = self.is_over(slot)? {
                return Ok(code);
            }
        }
    }

    /// The genesis time, once it is there.
    async fn wait_for_genesis(&mut self) -> Result<u64, Failure> {
        let mut told = false;
        loop {
            self.processes.check()?;
            let genesis = look::genesis(&self.processes.nodes[0]).await;
            let left = genesis.map(|genesis| genesis.saturating_sub(now_ms() / 1000));
            if let Some(genesis) = genesis.filter(|_| left == Some(0)) {
                self.view.until_genesis = 0;
                return Ok(genesis);
            }
            if let Some(left) = left.filter(|_| !std::mem::replace(&mut told, true)) {
                self.tell(format!(
                    "genesis in {left} s; Beacon API on {}",
                    self.processes.nodes[0]
                ));
            }
            self.view.until_genesis = left.unwrap_or(0);
            self.output.draw(&self.view);
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Waits for the place in a slot where it is looked at; tells the slot.
    async fn wait_for_slot(&self, genesis: u64) -> u64 {
        let length = self.args.slot_time * 1000;
        let since = now_ms().saturating_sub(genesis * 1000);
        let place = length * LOOK_AT / 100;
        // The next such place that lies ahead.
        let slot = (since + length - place) / length;
        tokio::time::sleep(Duration::from_millis((slot * length + place).saturating_sub(since))).await;
        slot
    }

    /// Takes a share of the validators away, and brings it back.
    async fn offline(&mut self, epoch: u64) -> Result<(), Failure> {
        let leaving = self.plan.clients.iter().find(|client| client.leaves);
        let (Some(offline), Some(client)) = (self.args.offline, leaving) else {
            return Ok(());
        };
        let away = (offline.from..offline.until).contains(&epoch);
        if away && !self.gone {
            self.tell(format!(
                "{} % of the validators go offline: {} stops",
                offline.percent, client.name
            ));
            self.processes.take_offline(&client.name).await?;
        } else if !away && self.gone {
            self.tell(format!("{} starts again", client.name));
            self.processes.bring_back(&client.name)?;
        }
        self.gone = away;
        Ok(())
    }

    async fn look(&mut self) {
        for (row, node) in self.view.nodes.iter_mut().zip(&self.processes.nodes) {
            row.seen = look::seen(node).await;
            row.memory = self.processes.memory(&row.name);
            row.running = row.memory.is_some();
        }
        for row in &mut self.view.clients {
            row.memory = self.processes.memory(&row.name);
            row.running = row.memory.is_some();
        }
        self.look_at_blocks().await;
        self.look_at_votes().await;
        let finalized = self.view.best().map(|seen| seen.finalized);
        if let Some(news) = finalized.and_then(|finalized| self.finality.news(self.view.slot, finalized)) {
            self.tell(news);
        }
        let lines: Vec<String> = self.logs.iter_mut().flat_map(Follow::news).collect();
        let more = lines.len().saturating_sub(LINES_AT_ONCE);
        for line in lines.into_iter().take(LINES_AT_ONCE) {
            self.tell(line);
        }
        if more > 0 {
            self.tell(format!("and {more} more lines in the logs"));
        }
    }

    /// The first node that answers.
    fn answering(&self) -> Option<usize> {
        self.view.nodes.iter().position(|row| row.seen.is_some())
    }

    async fn look_at_blocks(&mut self) {
        let Some(number) = self.answering() else { return };
        let head = self.view.nodes[number].seen.as_ref().map_or(0, |seen| seen.head);
        let news = self
            .proposals
            .news(&self.processes.nodes[number], head, self.view.slot)
            .await;
        for (slot, proposer) in news {
            let client = proposer.and_then(|proposer| self.plan.client_of(proposer));
            if proposer.is_none() {
                self.view.missed += 1;
                self.tell(format!("slot {slot} has no block"));
                continue;
            }
            self.view.proposed += 1;
            let row = client.and_then(|client| self.view.clients.iter_mut().find(|row| row.name == client.name));
            if let Some(row) = row {
                row.proposed += 1;
            }
        }
    }

    /// Once for each epoch, when the last votes of the one before have had time to get into blocks.
    async fn look_at_votes(&mut self) {
        let (epoch, place) = (self.view.slot / SLOTS_PER_EPOCH, self.view.slot % SLOTS_PER_EPOCH);
        let Some(of) = epoch.checked_sub(1).filter(|_| place >= 2) else {
            return;
        };
        if self.view.participation.is_some_and(|(told, ..)| told == of) {
            return;
        }
        let Some(number) = self.answering() else { return };
        let all = self.args.validators;
        if let Some(live) = look::participation(&self.processes.nodes[number], of, all).await {
            self.view.participation = Some((of, live, all));
        }
    }

    fn show(&self) {
        if self.output.is_terminal() {
            self.output.draw(&self.view);
        } else {
            println!("{}", self.view.line());
        }
    }

    /// Something that happened.
    fn tell(&mut self, line: String) {
        if self.output.is_terminal() {
            self.view.notes.push(line);
        } else {
            println!("{line}");
        }
    }

    /// The end that was asked for, or that it cannot come any more.
    fn is_over(&self, slot: u64) -> Result<Option<ExitCode>, Failure> {
        let Some(wanted) = self.args.until_finalized_epoch else {
            return Ok(None);
        };
        // The nodes must agree: a block that does not get to the last of them is not what was asked for.
        let slowest = |row: &Row| row.seen.as_ref().map_or(0, |seen| seen.finalized);
        let finalized = self.view.nodes.iter().map(slowest).min().unwrap_or(0);
        if finalized >= wanted {
            return Ok(Some(ExitCode::SUCCESS));
        }
        let back = self.args.offline.map_or(0, |offline| offline.until + LISTENS);
        if slot / SLOTS_PER_EPOCH > wanted.max(back) + PATIENCE_EPOCHS {
            let what = format!("epoch {wanted} should be final by now; it is {finalized}");
            return Err(Failure::running(what));
        }
        Ok(None)
    }
}

fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devnet::tests::Line;
    use clap::Parser;

    /// The epoch of the first line.
    fn promised(words: &[&str]) -> u64 {
        let args = Line::parse_from([&["devnet"], words].concat()).args;
        let line = promise(&args, &Plan::of(&args));
        let after = line.split("Epoch ").nth(1).and_then(|rest| rest.split(' ').next());
        after
            .and_then(|epoch| epoch.parse().ok())
            .unwrap_or_else(|| panic!("{line}"))
    }

    #[test]
    fn what_is_promised_counts_those_who_are_away() {
        assert_eq!(promised(&[]), 2);
        assert_eq!(promised(&["--offline", "40%@2..8"]), 11);
        assert_eq!(promised(&["--offline", "40%@1..3"]), 6);
        // Epoch 2 is final by then, or enough are left for it.
        assert_eq!(promised(&["--offline", "40%@4..8"]), 2);
        assert_eq!(promised(&["--offline", "30%@1..8"]), 2);
    }
}
