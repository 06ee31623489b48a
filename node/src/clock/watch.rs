//! Whether the clock can be believed: a node waits for a right one before it starts, and does nothing by a wrong one.
//!
//! A Pi has no battery clock: after a power cut it lives in the past until the time servers are reached. So a clock that
//! is shown to be wrong never ends the node. It waits, says so once a minute, and goes on by itself.

use super::ask::Server;
use super::words::{Ahead, Judgement, Weight, Words, difference};
use super::{Clock, unix_ms};
use crate::network::peer::Peers;
use crate::stop::Stop;
use crate::tls::Authorities;
use consensus::types::Slot;
use futures_util::future::join_all;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A jump of the clock against the monotonic one that is told.
const STEP_MS: i64 = 500;
/// How often it is told that the node waits, or that the clock is off.
const TELL_AGAIN: Duration = Duration::from_mins(1);
/// While the node waits its sources are asked this often: a clock that was set is noticed within a slot.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// While all is well servers are asked once a minute …
const ASK_EVERY: Duration = Duration::from_mins(1);
/// … and kernel and peers, who cost nothing, this often.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Peers with a status, at least, whose heads say something: fewer may all be somebody's who wants to stop this node.
const PEERS_MIN: usize = 3;
/// How far behind the clock the head of most peers may be for them to vouch for it: a slot or two are empty now and then.
const HEADS_BEHIND: Slot = 2;

const PEERS: &str = "the head of most peers";
const CHAIN: &str = "the chain on disk";

/// Who is asked whether the clock is right.
#[derive(Debug)]
pub struct Sources {
    /// Those that have a `Date` header: checkpoint server and execution clients.
    pub servers: Vec<Server>,
    /// Whether the kernel calls its clock synchronised; `None` where it does not say.
    pub kernel: fn() -> Option<bool>,
    /// How often servers are asked while the clock is wrong.
    pub again: Duration,
}

impl Sources {
    /// The kernel, and the servers at these addresses; one that is no address is refused where it is used.
    pub fn of<'a>(urls: impl IntoIterator<Item = &'a str>, authorities: &Authorities) -> Self {
        let servers = urls
            .into_iter()
            .filter_map(|url| Server::trusting(url, authorities).ok());
        Sources {
            servers: servers.collect(),
            kernel: crypto::kernel::clock_is_synchronised,
            again: ASK_AGAIN,
        }
    }
}

#[derive(Debug, Default)]
struct Inner {
    words: Words,
    /// The monotonic and the wall clock when they were last compared.
    compared: Option<(Instant, u64)>,
    /// Whether somebody asks the sources.
    watched: bool,
    /// Whether the clock has jumped since they were asked.
    unsure: bool,
    /// How often it has jumped.
    steps: u64,
    wrong: Option<String>,
}

/// What is thought of the clock. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct ClockWatch(Arc<Mutex<Inner>>);

impl ClockWatch {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the clock is known to be wrong; `None` if it is not.
    pub fn wrong(&self) -> Option<String> {
        self.inner().wrong.clone()
    }

    /// Whether what the clock says may be acted on: it is not known to be wrong, and has not jumped since its sources were
    /// asked.
    pub(crate) fn may_be_believed(&self) -> bool {
        let inner = self.inner();
        inner.wrong.is_none() && !inner.unsure
    }

    /// By how many milliseconds the clock has jumped since the last call, if that is worth telling. What was heard before
    /// says nothing any more.
    pub(crate) fn stepped(&self) -> Option<i64> {
        self.compare(Instant::now(), unix_ms())
    }

    fn compare(&self, monotonic: Instant, wall: u64) -> Option<i64> {
        let mut inner = self.inner();
        let (monotonic_before, wall_before) = inner.compared.replace((monotonic, wall))?;
        let passed = monotonic.saturating_duration_since(monotonic_before).as_millis() as u64;
        let step = difference(wall, wall_before.saturating_add(passed));
        if step.abs() <= STEP_MS {
            return None;
        }
        inner.words.forget();
        inner.steps += 1;
        inner.unsure = inner.watched;
        Some(step)
    }

    /// Takes the slot of the newest block that this node has: it had the time when it took that block. True if it is of the
    /// future, which speaks against the clock.
    pub(crate) fn heard_of_chain(&self, clock: &Clock, slot: Slot) -> bool {
        let now_ms = clock.now_ms();
        let start_ms = clock.slots().compute_time_at_slot_ms(slot);
        let behind = difference(now_ms, start_ms);
        let mut inner = self.inner();
        inner.words.withdraw(CHAIN);
        // A chain may be started before its genesis.
        if slot == 0 || behind >= 0 {
            return false;
        }
        let ahead = Ahead::at_least(behind);
        inner.words.hear(CHAIN, ahead, Weight::Against, Instant::now());
        true
    }

    /// Takes the slots of peers' heads. Nobody has a head of the future, unless our clock is behind; a live chain has one
    /// of now.
    fn heard_of_peers(&self, clock: &Clock, mut heads: Vec<Slot>) {
        heads.sort_unstable();
        let now_ms = clock.now_ms();
        let now = clock.slots().slot_at(now_ms).unwrap_or(0);
        let mut inner = self.inner();
        inner.words.withdraw(PEERS);
        if heads.len() < PEERS_MIN {
            return;
        }
        // More than half of them have that one or a later one.
        let Some(head) = heads.get((heads.len() - 1) / 2).copied() else {
            return;
        };
        let ahead = if head > now.saturating_add(1) {
            let start_ms = clock.slots().compute_time_at_slot_ms(head);
            Ahead::at_least(difference(now_ms, start_ms))
        } else if head.saturating_add(HEADS_BEHIND) >= now {
            Ahead::of_date(now_ms / 1000, now_ms, now_ms)
        } else {
            return;
        };
        inner.words.hear(PEERS, ahead, Weight::Full, Instant::now());
    }

    /// Asks kernel and, where `servers` says so, servers, and judges.
    async fn ask(&self, sources: &Sources, servers: bool) -> Judgement {
        let asked = if servers { &sources.servers[..] } else { &[] };
        let steps = self.inner().steps;
        let answers = join_all(asked.iter().map(Server::ask)).await;
        let mut inner = self.inner();
        inner.words.hear_kernel((sources.kernel)());
        // After a jump in between nobody knows which clock an answer was compared with.
        let is_one_clock = inner.steps == steps;
        for (server, answer) in asked.iter().zip(answers) {
            if let Some(answer) = answer.filter(|_| is_one_clock) {
                inner
                    .words
                    .hear(server.name(), answer.ahead, answer.weight, Instant::now());
            }
        }
        let judgement = inner.words.judge(Instant::now());
        inner.wrong.clone_from(&judgement.wrong);
        inner.unsure &= !(servers && is_one_clock);
        judgement
    }

    /// Waits until nothing shows the clock to be wrong, and on a public network until something says that it is right;
    /// elsewhere it warns and goes on. Ends too when the node stops.
    pub async fn settle(&self, sources: &Sources, is_public: bool, stop: &Stop) {
        let mut told = Told::default();
        loop {
            self.stepped();
            let judgement = self.ask(sources, true).await;
            let Some(why) = reason_to_wait(&judgement, is_public) else {
                if told.was_told() {
                    tracing::info!("the clock of this machine is believed: going on");
                }
                if let Some(warning) = warning(&judgement) {
                    tracing::warn!("{warning}");
                }
                return;
            };
            told.tell(|| tracing::error!("the node waits: {why}"));
            tokio::select! {
                () = tokio::time::sleep(sources.again) => {}
                () = stop.stopped() => return,
            }
        }
    }

    /// Asks as long as the node runs, and tells when the clock becomes wrong and right again. A node that has started goes
    /// on without a source: a clock that was right drifts by milliseconds.
    pub(crate) async fn run(self, clock: Clock, sources: Sources, peers: Option<Arc<dyn Peers>>, stop: Stop) {
        self.inner().watched = true;
        let (mut wrong, mut off) = (Told::default(), Told::default());
        let mut asked: Option<Instant> = None;
        let mut was_kept = None;
        loop {
            if let Some(peers) = &peers {
                let heads = peers.peers().iter().map(|peer| peer.status.head_slot).collect();
                self.heard_of_peers(&clock, heads);
            }
            let due = asked.is_none_or(|asked| asked.elapsed() >= ASK_EVERY);
            let servers = due || !self.may_be_believed();
            if servers {
                asked = Some(Instant::now());
            }
            let judgement = self.ask(&sources, servers).await;
            match &judgement.wrong {
                Some(why) => wrong.tell(|| {
                    tracing::error!("nothing is done by the clock of this machine while it is wrong: {why}");
                }),
                None if wrong.was_told() => {
                    tracing::info!("the clock of this machine is right again: going on");
                    wrong = Told::default();
                }
                None => {}
            }
            match &judgement.off {
                Some(why) => off.tell(|| tracing::warn!("the clock of this machine is off: {why}")),
                None => off = Told::default(),
            }
            if was_kept == Some(true) && judgement.unsynchronised {
                tracing::warn!("nothing keeps the clock of this machine any more (timedatectl, chrony or ntpd)");
            }
            was_kept = Some(!judgement.unsynchronised);
            if !self.sleep(&sources, &stop).await {
                return;
            }
        }
    }

    /// Sleeps until sources are asked again, a jump included; false where the node stops.
    async fn sleep(&self, sources: &Sources, stop: &Stop) -> bool {
        /// A jump holds the chain until sources were asked, so they are asked at once.
        const NAP: Duration = Duration::from_millis(200);
        let most = if self.wrong().is_some() {
            sources.again
        } else {
            LOOK_EVERY
        };
        let begun = Instant::now();
        while begun.elapsed() < most && !self.inner().unsure {
            tokio::select! {
                () = tokio::time::sleep(NAP.min(most)) => {}
                () = stop.stopped() => return false,
            }
        }
        !stop.is_stopping()
    }
}

/// What is told once a minute.
#[derive(Debug, Default)]
struct Told(Option<Instant>);

impl Told {
    fn was_told(&self) -> bool {
        self.0.is_some()
    }

    fn tell(&mut self, tell: impl FnOnce()) {
        if self.0.is_none_or(|told| told.elapsed() >= TELL_AGAIN) {
            tell();
            self.0 = Some(Instant::now());
        }
    }
}

/// Why a node does not start yet.
fn reason_to_wait(judgement: &Judgement, is_public: bool) -> Option<String> {
    if let Some(why) = &judgement.wrong {
        return Some(format!(
            "the clock of this machine is wrong: {why}; the node goes on by itself"
        ));
    }
    (is_public && judgement.unsynchronised && !judgement.vouched).then(|| {
        "nothing says that the clock of this machine is right: the kernel calls it unsynchronised, and no server is asked \
         or answers. Have it kept (timedatectl set-ntp true, chrony or ntpd), or name a server that tells the time by \
         --checkpoint-sync-url; the node goes on by itself"
            .into()
    })
}

/// What is told of a clock by which the node starts.
fn warning(judgement: &Judgement) -> Option<String> {
    if let Some(why) = &judgement.off {
        return Some(format!("the clock of this machine is off: {why}"));
    }
    (judgement.unsynchronised && !judgement.vouched).then(|| {
        "the kernel calls the clock of this machine unsynchronised, and nothing else says that it is right; this is no \
         public network, so the node goes on"
            .into()
    })
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
