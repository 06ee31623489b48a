//! The task that keeps our validators and their duties up to date: it asks, checks and publishes new tables.

use crate::beacon::{Ask, Need, Node, Status, Unanswered};
use crate::context::Context;
use crate::duties::{
    Attester, DutyTable, Fetched, Wanted, own_attesters, own_proposers, own_sync, wanted, with_aggregation,
};
use crate::signer::Message;
use crate::validators::{Validators, fetch as fetch_validators};
use consensus::duties::compute_sync_committee_period;
use consensus::types::{BLSPubkey, BLSSignature, Epoch, Slot, ValidatorIndex};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;

/// Time for a question about duties: an answer may need a state at an epoch's start, which takes a small node seconds.
const WITHIN: Duration = Duration::from_secs(10);
/// Slots are signed ahead in portions of so many, so that what is due now is not kept waiting behind them.
const PROOFS_AT_ONCE: usize = 32;

/// What the task owns.
pub struct Fetcher {
    /// What every duty has.
    pub ctx: Context,
    /// Where our validators are published.
    pub validators: watch::Sender<Arc<Validators>>,
    /// Where duties are published.
    pub duties: watch::Sender<Arc<DutyTable>>,
    /// When validators were last asked for.
    asked_in: Option<Epoch>,
    /// What was last said of our validators.
    told: String,
    /// Keys that were seen slashed, so that each is stopped once.
    slashed: BTreeSet<BLSPubkey>,
}

impl Fetcher {
    /// A fetcher that has asked nothing yet.
    pub fn new(
        ctx: Context,
        validators: watch::Sender<Arc<Validators>>,
        duties: watch::Sender<Arc<DutyTable>>,
    ) -> Self {
        Fetcher {
            ctx,
            validators,
            duties,
            asked_in: None,
            told: String::new(),
            slashed: BTreeSet::new(),
        }
    }

    /// One round: asks for what is missing or doubtful. An error says what could not be had; the round is repeated.
    pub async fn round(&mut self) -> Result<(), Unanswered> {
        let now = self.ctx.clock.now();
        let keys = self.ctx.gate.public_keys();
        let known = self.validators.borrow().clone();
        // Statuses change by the epoch; a key that was imported or is not yet known is asked about each slot.
        let changed = known.asked() != keys.len() || keys.iter().any(|key| known.get(key).is_none());
        if self.asked_in != Some(now.epoch) || changed {
            let found = fetch_validators(&self.ctx.nodes, self.ask("validators", now.slot), &keys).await?;
            self.asked_in = Some(now.epoch);
            self.learn(&known, keys, found);
        }
        let validators = self.validators.borrow().clone();
        let roots = self.ctx.heads.borrow().roots;
        let table = self.duties.borrow().clone();
        let mut result = Ok(());
        for wanted in wanted(&table, &self.ctx.config, now.slot, &validators, roots) {
            if let Err(error) = self.fetch(wanted, now.slot, &validators).await {
                result = Err(error);
            }
        }
        self.prove_selections(now.slot).await;
        result
    }

    fn ask(&self, what: &'static str, slot: Slot) -> Ask {
        Ask {
            within: WITHIN,
            ..self.ctx.ask(what, Need::Head, slot, 0)
        }
    }

    fn learn(&mut self, before: &Validators, keys: Vec<BLSPubkey>, found: Vec<crate::beacon::ValidatorInfo>) {
        let validators = Validators::next(before, keys, found);
        for info in validators.iter() {
            let slashed = info.slashed || matches!(info.status, Status::ActiveSlashed | Status::ExitedSlashed);
            if slashed && self.slashed.insert(info.pubkey) {
                let why = format!("validator {} was slashed; see what else has used its key", info.index);
                tracing::error!("{why}: its key {} is stopped", info.pubkey);
                if let Err(error) = self.ctx.gate.disable(&info.pubkey, why) {
                    tracing::error!("the stop of key {} could not be written down: {error:#}", info.pubkey);
                }
            }
        }
        let summary = validators.summary();
        if summary != self.told {
            tracing::info!("validators: {summary}");
            self.told = summary;
        }
        let epoch = self.ctx.clock.now().epoch;
        let active = validators.active_in(epoch).len() as u64;
        self.ctx
            .report
            .metrics
            .validators_active
            .store(active, Ordering::Relaxed);
        self.validators.send_replace(Arc::new(validators));
    }

    async fn fetch(&self, wanted: Wanted, slot: Slot, validators: &Validators) -> Result<(), Unanswered> {
        match wanted {
            Wanted::Attesters(epoch) => self.fetch_attesters(epoch, slot, validators).await,
            Wanted::Proposers(epoch) => self.fetch_proposers(epoch, slot, validators).await,
            Wanted::Sync(epoch) => self.fetch_sync(epoch, slot, validators).await,
        }
    }

    async fn fetch_attesters(&self, epoch: Epoch, slot: Slot, validators: &Validators) -> Result<(), Unanswered> {
        let indices = &validators.active_in(epoch);
        let call = |node: Arc<Node>, left| async move { node.attester_duties(epoch, indices, left).await };
        let answer = self
            .ctx
            .nodes
            .first(self.ask("attester duties", slot), call)
            .await?
            .value;
        let (duties, odd) = own_attesters(answer.duties, epoch, validators);
        if odd > 0 {
            tracing::warn!("{odd} attester duties of epoch {epoch} make no sense and were left out");
        }
        let fetched = Fetched {
            dependent_root: answer.dependent_root,
            generation: validators.generation,
            at: slot,
            duties,
        };
        self.update(|table| {
            // What was proven stays proven where the duty is the same.
            let fetched = match table.attesters.get(&epoch) {
                Some(before) => keep_proofs(fetched, before),
                None => fetched,
            };
            table.attesters.insert(epoch, Arc::new(fetched));
        });
        Ok(())
    }

    async fn fetch_proposers(&self, epoch: Epoch, slot: Slot, validators: &Validators) -> Result<(), Unanswered> {
        let call = |node: Arc<Node>, left| async move { node.proposer_duties(epoch, left).await };
        let answer = self
            .ctx
            .nodes
            .first(self.ask("proposer duties", slot), call)
            .await?
            .value;
        let duties = own_proposers(answer.duties, epoch, validators);
        for duty in &duties {
            let index = duty.validator_index;
            tracing::info!("validator {index} proposes at slot {} (epoch {epoch})", duty.slot);
        }
        let fetched = Fetched {
            dependent_root: answer.dependent_root,
            generation: validators.generation,
            at: slot,
            duties,
        };
        self.update(|table| {
            table.proposers.insert(epoch, Arc::new(fetched));
        });
        Ok(())
    }

    async fn fetch_sync(&self, epoch: Epoch, slot: Slot, validators: &Validators) -> Result<(), Unanswered> {
        let indices = &validators.seated();
        let call = |node: Arc<Node>, left| async move { node.sync_duties(epoch, indices, left).await };
        let answer = self
            .ctx
            .nodes
            .first(self.ask("sync committee duties", slot), call)
            .await?
            .value;
        let duties = own_sync(answer.duties, validators);
        if !duties.is_empty() {
            let who: Vec<ValidatorIndex> = duties.iter().map(|duty| duty.validator_index).collect();
            let named = crate::report::named(&who);
            tracing::info!("in the sync committee of epoch {epoch}'s period: {named}");
        }
        let fetched = Fetched {
            dependent_root: None,
            generation: validators.generation,
            at: slot,
            duties,
        };
        self.update(|table| {
            table
                .sync
                .insert(compute_sync_committee_period(epoch), Arc::new(fetched));
        });
        Ok(())
    }

    fn update(&self, change: impl FnOnce(&mut DutyTable)) {
        let epoch = self.ctx.clock.now().epoch;
        self.duties.send_modify(|table| {
            let mut changed = DutyTable::clone(table);
            change(&mut changed);
            changed.forget_before(epoch);
            *table = Arc::new(changed);
        });
    }

    /// Signs the slots of coming duties, so that the nodes learn early for which of them we aggregate.
    async fn prove_selections(&self, slot: Slot) {
        let table = self.duties.borrow().clone();
        for (epoch, fetched) in &table.attesters {
            let unknown = fetched.duties.iter().filter(|attester| {
                attester.aggregation == crate::duties::Aggregation::Unknown
                    && attester.duty.slot > slot
                    && self.ctx.gate.may_sign(&attester.duty.pubkey)
            });
            let unknown: Vec<Attester> = unknown.copied().collect();
            if unknown.is_empty() {
                continue;
            }
            let mut proofs: BTreeMap<BLSPubkey, BLSSignature> = BTreeMap::new();
            for some in unknown.chunks(PROOFS_AT_ONCE) {
                let messages = some
                    .iter()
                    .map(|attester| (attester.duty.pubkey, Message::SelectionProof(attester.duty.slot)));
                let signed = self.ctx.gate.sign(messages.collect()).await;
                let keys = some.iter().map(|attester| attester.duty.pubkey);
                proofs.extend(keys.zip(signed).filter_map(|(key, proof)| Some((key, proof.ok()?))));
            }
            let filled = Arc::new(with_aggregation(fetched, &proofs));
            self.update(|table| {
                table.attesters.insert(*epoch, filled);
            });
        }
    }
}

/// Newly fetched duties with the proofs of those that are the same as before: the slot is all that was signed.
fn keep_proofs(mut fetched: Fetched<Attester>, before: &Fetched<Attester>) -> Fetched<Attester> {
    let known: BTreeMap<ValidatorIndex, &Attester> = before
        .duties
        .iter()
        .map(|attester| (attester.duty.validator_index, attester))
        .collect();
    for attester in &mut fetched.duties {
        if let Some(known) = known.get(&attester.duty.validator_index)
            && known.duty == attester.duty
        {
            attester.aggregation = known.aggregation;
        }
    }
    fetched
}
