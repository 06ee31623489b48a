//! Between the chain thread and the execution client: payloads to be executed, the head to follow. The chain never
//! waits for either; answers come back as events.

use crate::chain::{Chain, EngineAnswer, Event, Want};
use crate::execution::{Engine, ForkchoiceState, PayloadStatus, check_payload};
use crate::metrics::Method;
use crate::production::Sidecars;
use crate::stop::Stop;
use crate::work::{Busy, Lane};
use consensus::Fork;
use consensus::fork_choice::ExecutionVerdict;
use consensus::helpers::misc::{compute_epoch_at_slot, kzg_commitment_to_versioned_hash};
use consensus::transition::NewPayloadRequest;
use consensus::types::{Hash32, PowBlock, Root, SignedBeaconBlock};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Payloads that may wait for the engine. As many blocks as may wait in the chain.
const CALLS_MAX: usize = 64;

/// Payloads that the engine is given at once: it executes one after the other, but one that hangs must not hold up all.
const CALLS_AT_ONCE: usize = 4;

/// Blocks whose blobs may be asked for: one comes every slot, an answer takes a second at most.
const BLOBS_MAX: usize = 8;

/// Blocks before the merge that are kept: the last two of two chains.
const TERMINAL_BLOCKS_MAX: usize = 4;

/// What the engine should follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forkchoice {
    /// The head's fork, which decides on the method.
    pub(crate) fork: Fork,
    /// The head block.
    pub(crate) root: Root,
    pub(crate) state: ForkchoiceState,
}

/// The way to the engine. Clones are the same way.
#[derive(Clone)]
pub(crate) struct EngineDriver {
    calls: mpsc::Sender<(Root, Arc<SignedBeaconBlock>)>,
    forkchoice: watch::Sender<Option<Forkchoice>>,
    blobs: mpsc::Sender<(Root, Arc<SignedBeaconBlock>)>,
    /// The last blocks before the merge that were asked for, newest last.
    terminal: Arc<Mutex<VecDeque<PowBlock>>>,
    /// Whether payloads are not looked at (see `DevEngine::believing`).
    believes: bool,
}

/// The other ends, for `run`.
pub(crate) struct EngineEnds {
    calls: mpsc::Receiver<(Root, Arc<SignedBeaconBlock>)>,
    forkchoice: watch::Receiver<Option<Forkchoice>>,
    blobs: mpsc::Receiver<(Root, Arc<SignedBeaconBlock>)>,
}

impl EngineDriver {
    /// The way to an engine and its other ends.
    pub(crate) fn new(engine: &Engine) -> (EngineDriver, EngineEnds) {
        let (calls, calls_end) = mpsc::channel(CALLS_MAX);
        let (forkchoice, forkchoice_end) = watch::channel(None);
        let (blobs, blobs_end) = mpsc::channel(BLOBS_MAX);
        let driver = EngineDriver {
            calls,
            forkchoice,
            blobs,
            terminal: Arc::default(),
            believes: engine.believes(),
        };
        let ends = EngineEnds {
            calls: calls_end,
            forkchoice: forkchoice_end,
            blobs: blobs_end,
        };
        (driver, ends)
    }

    /// Starts the execution of a block's payload. Hashes it first, so it is for workers. An answer where none is needed:
    /// there is nothing to execute, or the payload is wrong by itself.
    pub(crate) fn execute(&self, fork: Fork, root: Root, block: &Arc<SignedBeaconBlock>) -> Option<EngineAnswer> {
        let answer = |verdict, words| Some(EngineAnswer { verdict, words });
        let Some(request) = NewPayloadRequest::of_block(fork, &block.message) else {
            return answer(ExecutionVerdict::Valid, None);
        };
        if request.execution_payload.block_hash.is_zero() && fork == Fork::Bellatrix {
            return answer(ExecutionVerdict::Valid, None);
        }
        if !self.believes
            && let Err(why) = check_payload(&request)
        {
            let latest_valid_hash = None;
            return answer(ExecutionVerdict::Invalid { latest_valid_hash }, Some(why.to_string()));
        }
        match self.calls.try_send((root, Arc::clone(block))) {
            Ok(()) => None,
            Err(_) => answer(ExecutionVerdict::Unavailable, Some("too many payloads wait".into())),
        }
    }

    /// Asks the engine for the blobs of a block; what it has comes back as sidecars. Nothing happens where too many
    /// such questions wait: columns come from peers too.
    pub(crate) fn want_blobs(&self, root: Root, block: &Arc<SignedBeaconBlock>) {
        if self.blobs.try_send((root, Arc::clone(block))).is_err() {
            tracing::debug!(%root, "the execution client is not asked for blobs: too many questions wait");
        }
    }

    /// Lets the engine follow the chain; only the newest matters.
    pub(crate) fn follow(&self, forkchoice: Forkchoice) {
        self.forkchoice.send_replace(Some(forkchoice));
    }

    /// The block before the merge with this hash, if the engine has told it.
    pub(crate) fn terminal_block(&self, hash: &Hash32) -> Option<PowBlock> {
        let known = self.terminal.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|block| block.block_hash == *hash).cloned()
    }

    fn keep_terminal_block(&self, block: PowBlock) {
        let mut known = self.terminal.lock().unwrap_or_else(PoisonError::into_inner);
        if known.iter().any(|kept| kept.block_hash == block.block_hash) {
            return;
        }
        if known.len() >= TERMINAL_BLOCKS_MAX {
            known.pop_front();
        }
        known.push_back(block);
    }

    /// Asks the engine for the block before a payload, and the one before that: what the first payload of a chain is
    /// judged by. Which payload is the first the transition finds out.
    ///
    /// Spec: bellatrix/fork-choice.md, `validate_merge_block`.
    async fn ask_terminal_blocks(&self, engine: &Engine, parent_hash: &Hash32) {
        let mut hash = *parent_hash;
        for _ in 0..2 {
            match engine.pow_block(&hash).await {
                Ok(Some(block)) => {
                    hash = block.parent_hash;
                    self.keep_terminal_block(block);
                }
                Ok(None) => return,
                Err(error) => {
                    tracing::debug!(%error, "no answer about the blocks before the merge");
                    return;
                }
            }
        }
    }
}

/// Hands payloads and heads to the engine until the node stops.
pub(crate) async fn run(driver: EngineDriver, engine: Arc<Engine>, chain: Chain, ends: EngineEnds, stop: Stop) {
    let EngineEnds {
        mut calls,
        mut forkchoice,
        mut blobs,
    } = ends;
    let follow = async {
        while forkchoice.changed().await.is_ok() {
            let wanted = *forkchoice.borrow_and_update();
            if let Some(wanted) = wanted {
                follow(&engine, &chain, wanted).await;
            }
        }
    };
    let execute = async {
        let mut running = JoinSet::new();
        while let Some((root, block)) = calls.recv().await {
            while running.len() >= CALLS_AT_ONCE {
                running.join_next().await;
            }
            let (driver, engine, chain) = (driver.clone(), Arc::clone(&engine), chain.clone());
            running.spawn(async move { execute(&driver, &engine, &chain, root, &block).await });
        }
    };
    let fetch = async {
        while let Some((root, block)) = blobs.recv().await {
            fetch_blobs(&engine, &chain, root, block).await;
        }
    };
    tokio::select! {
        () = stop.stopped() => {}
        ((), (), ()) = async { tokio::join!(follow, execute, fetch) } => {}
    }
}

/// Blobs that the engine has of a block become its sidecars; they are not checked, since the engine has.
async fn fetch_blobs(engine: &Engine, chain: &Chain, root: Root, block: Arc<SignedBeaconBlock>) {
    let fork = chain.config().fork_at_epoch(compute_epoch_at_slot(block.message.slot));
    let commitments = &block.message.body.blob_kzg_commitments;
    let hashes: Vec<_> = commitments.iter().map(kzg_commitment_to_versioned_hash).collect();
    let found = match engine.get_blobs(fork, &hashes).await {
        Ok(found) => found.into_iter().collect::<Option<Vec<_>>>(),
        Err(error) => {
            tracing::debug!(%error, "the execution client gives no blobs");
            None
        }
    };
    let Some(found) = found.filter(|found| found.len() == hashes.len()) else {
        return;
    };
    let custody = chain.custody().held();
    let made = chain.work().run(Lane::Column, move || {
        let (blobs, proofs): (Vec<_>, Vec<_>) = found.into_iter().map(|found| (found.blob, found.proofs)).unzip();
        crate::publish::sidecars_of(fork, &block, blobs, &proofs.concat())
    });
    let sidecars = match made.await {
        Ok(Ok(sidecars)) => sidecars,
        Ok(Err(why)) => {
            tracing::warn!(%why, "the execution client gave blobs that do not fit");
            return;
        }
        Err(Busy) => return,
    };
    let (mut columns, mut blobs) = (Vec::new(), Vec::new());
    match sidecars {
        Sidecars::None => return,
        Sidecars::Blobs(made) => blobs.extend(made.into_iter().map(Arc::new)),
        Sidecars::Columns(made) => {
            let sampled = made.into_iter().filter(|column| custody.samples(column.index));
            columns.extend(sampled.map(Arc::new));
        }
    }
    tracing::debug!(%root, columns = columns.len(), blobs = blobs.len(), "blobs from the execution client");
    if !columns.is_empty() {
        chain.want(Want::Columns(columns.clone()));
    }
    chain.add_sidecars(root, columns, blobs).await;
}

async fn execute(driver: &EngineDriver, engine: &Engine, chain: &Chain, root: Root, block: &SignedBeaconBlock) {
    let fork = chain.config().fork_at_epoch(compute_epoch_at_slot(block.message.slot));
    let Some(request) = NewPayloadRequest::of_block(fork, &block.message) else {
        return;
    };
    if fork == Fork::Bellatrix {
        driver
            .ask_terminal_blocks(engine, &request.execution_payload.parent_hash)
            .await;
    }
    let begun = Instant::now();
    let answer = engine.new_payload(fork, &request).await;
    chain.metrics().asked(Method::NewPayload, begun.elapsed(), &answer);
    let answer = match answer {
        Ok(status) => answer_of(&status),
        Err(error) => EngineAnswer {
            verdict: ExecutionVerdict::Unavailable,
            words: Some(error.to_string()),
        },
    };
    chain.tell_patiently(Event::Executed(root, answer)).await;
}

async fn follow(engine: &Engine, chain: &Chain, wanted: Forkchoice) {
    let begun = Instant::now();
    let answer = engine.forkchoice_updated(wanted.fork, wanted.state, None).await;
    chain
        .metrics()
        .asked(Method::ForkchoiceUpdated, begun.elapsed(), &answer);
    match answer {
        Ok((status, _)) => {
            let answer = answer_of(&status);
            // What is optimistic here and there says nothing new.
            if answer.verdict != ExecutionVerdict::Optimistic {
                chain.tell_patiently(Event::Executed(wanted.root, answer)).await;
            }
        }
        Err(error) => tracing::warn!(%error, "the execution client was not told the new head"),
    }
}

fn answer_of(status: &PayloadStatus) -> EngineAnswer {
    EngineAnswer {
        verdict: status.verdict(),
        words: status.validation_error.clone(),
    }
}
