//! What nodes must know ahead: for whom they shall listen on which subnets, where the fees of our blocks go, and what we
//! ask of builders. Told once an epoch, and when it changes; to every node, so that any of them can step in.

use crate::beacon::{
    Ask, CallError, CommitteeSubscription, Need, Node, ProposerDuty, ProposerPreparation, Status, SyncSubscription,
    Unanswered, ValidatorInfo,
};
use crate::context::Context;
use crate::duties::{Aggregation, DutyTable};
use crate::settings::KeySettings;
use crate::signer::Message;
use crate::validators::Validators;
use consensus::preset::EPOCHS_PER_SYNC_COMMITTEE_PERIOD;
use consensus::types::{
    BLSPubkey, Epoch, ExecutionAddress, SignedValidatorRegistrationV1, Slot, ValidatorRegistrationV1,
};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Time for telling a node; nothing waits for it.
const WITHIN: Duration = Duration::from_secs(6);
/// Nodes pass registrations on to relays, which take some hundred at a time.
const REGISTRATIONS_AT_ONCE: usize = 500;
/// The gas limit that is registered where the operator sets none: what execution clients vote for by themselves.
pub(crate) const DEFAULT_GAS_LIMIT: u64 = 60_000_000;
/// Subscriptions of one request: as many as there are validators, but not more than a body of 1 MiB.
const SUBSCRIPTIONS_AT_ONCE: usize = 4_096;

/// Tells nodes what they must know ahead.
pub struct Preparer {
    ctx: Context,
    /// Signed registrations, kept as long as what they say stays true.
    registrations: BTreeMap<BLSPubkey, SignedValidatorRegistrationV1>,
    /// What was told last.
    told: Option<(Epoch, u64, u64, Slot)>,
    /// When it was last said that nobody could be told.
    complained: Option<Epoch>,
}

impl Preparer {
    /// One that has told nothing yet.
    pub fn new(ctx: Context) -> Self {
        Preparer {
            ctx,
            registrations: BTreeMap::new(),
            told: None,
            complained: None,
        }
    }

    /// Tells everything that has changed since, or anew in a new epoch. Called once a slot.
    pub async fn round(&mut self) {
        let now = self.ctx.clock.now();
        let validators = self.ctx.validators.borrow().clone();
        let table = self.ctx.duties.borrow().clone();
        let newest = table.attesters.values().map(|fetched| fetched.at).max().unwrap_or(0);
        self.prepare_next(now.slot, &table).await;
        // What an operator changes holds from the next round on.
        let changes = self.ctx.gate.changes();
        let state = (now.epoch, validators.generation, changes, newest);
        if self.told == Some(state) || validators.iter().next().is_none() {
            return;
        }
        let new_epoch = self
            .told
            .is_none_or(|(epoch, generation, changes, _)| (epoch, generation, changes) != (state.0, state.1, state.2));
        let mut result = self.subscribe(now.slot, &table).await;
        if new_epoch {
            let sync = self.subscribe_sync(now.slot, &table).await;
            let fees = self.prepare_proposers(now.slot, &validators).await;
            let builders = self.register(now.slot, &validators).await;
            result = result.and(sync).and(fees).and(builders);
        }
        match result {
            Ok(()) => self.told = Some(state),
            // Tried again in the next slot, and said once an epoch.
            Err(error) if self.complained != Some(now.epoch) => {
                tracing::warn!("{error}");
                self.complained = Some(now.epoch);
            }
            Err(_) => {}
        }
    }

    /// Tells every node; an error if none took it.
    async fn tell<F>(
        &self,
        what: &'static str,
        slot: Slot,
        call: impl Fn(Arc<Node>, Duration) -> F,
    ) -> Result<(), Unanswered>
    where
        F: Future<Output = Result<(), CallError>>,
    {
        let ask = Ask {
            within: WITHIN,
            ..self.ctx.ask(what, Need::Chain, slot, 0)
        };
        self.ctx.nodes.tell_all(ask, call).await.map(|_| ())
    }

    async fn subscribe(&self, slot: Slot, table: &DutyTable) -> Result<(), Unanswered> {
        let subscriptions = committee_subscriptions(table, slot);
        for some in subscriptions.chunks(SUBSCRIPTIONS_AT_ONCE) {
            self.tell(
                "confirmation of committee subscriptions",
                slot,
                |node, left| async move { node.subscribe_committees(some, left).await },
            )
            .await?;
        }
        Ok(())
    }

    async fn subscribe_sync(&self, slot: Slot, table: &DutyTable) -> Result<(), Unanswered> {
        let subscriptions = &sync_subscriptions(table);
        if subscriptions.is_empty() {
            return Ok(());
        }
        self.tell(
            "confirmation of sync committee subscriptions",
            slot,
            |node, left| async move { node.subscribe_sync(subscriptions, left).await },
        )
        .await
    }

    /// Names the fee recipients of the next slot once more: a node that was started again has forgotten them, and begins
    /// the payload before the slot. An error is that of all other calls of the slot too.
    async fn prepare_next(&self, slot: Slot, table: &DutyTable) {
        let next = table.proposers_at(slot.saturating_add(1));
        let preparations: Vec<_> = next.iter().filter_map(|duty| preparation_of(&self.ctx, duty)).collect();
        if preparations.is_empty() {
            return;
        }
        let preparations = &preparations;
        let told = self.tell("confirmation of fee recipients", slot, |node, left| async move {
            node.prepare_proposers(preparations, left).await
        });
        if let Err(error) = told.await {
            tracing::debug!("{error}");
        }
    }

    async fn prepare_proposers(&self, slot: Slot, validators: &Validators) -> Result<(), Unanswered> {
        let settings = |key: &BLSPubkey| self.ctx.gate.settings(key).fee_recipient;
        let preparations = &preparations(validators, settings);
        if preparations.is_empty() {
            return Ok(());
        }
        self.tell("confirmation of fee recipients", slot, |node, left| async move {
            node.prepare_proposers(preparations, left).await
        })
        .await
    }

    async fn register(&mut self, slot: Slot, validators: &Validators) -> Result<(), Unanswered> {
        let timestamp = self.ctx.clock.now_ms() / 1000;
        let wanted = validators.iter().filter_map(|info| {
            // A registration names a key and an address in public: only with the key's own consent to sign.
            let may = self.ctx.gate.may_sign(&info.pubkey);
            may.then(|| registration(info, &self.ctx.gate.settings(&info.pubkey), timestamp))
                .flatten()
        });
        let wanted: BTreeMap<BLSPubkey, ValidatorRegistrationV1> =
            wanted.map(|registration| (registration.pubkey, registration)).collect();
        let same = |signed: &SignedValidatorRegistrationV1, wanted: &ValidatorRegistrationV1| {
            signed.message.fee_recipient == wanted.fee_recipient && signed.message.gas_limit == wanted.gas_limit
        };
        self.registrations
            .retain(|key, signed| wanted.get(key).is_some_and(|wanted| same(signed, wanted)));
        let missing: Vec<ValidatorRegistrationV1> = wanted
            .into_values()
            .filter(|registration| !self.registrations.contains_key(&registration.pubkey))
            .collect();
        for some in missing.chunks(REGISTRATIONS_AT_ONCE) {
            let messages = some
                .iter()
                .map(|message| (message.pubkey, Message::ValidatorRegistration(message)));
            let signed = self.ctx.gate.sign(messages.collect()).await;
            for (message, signature) in some.iter().zip(signed) {
                if let Ok(signature) = signature {
                    let message = message.clone();
                    let signed = SignedValidatorRegistrationV1 { message, signature };
                    self.registrations.insert(signed.message.pubkey, signed);
                }
            }
        }
        let all: Vec<SignedValidatorRegistrationV1> = self.registrations.values().cloned().collect();
        for some in all.chunks(REGISTRATIONS_AT_ONCE) {
            self.tell("confirmation of builder registrations", slot, |node, left| async move {
                node.register_validators(some, left).await
            })
            .await?;
        }
        Ok(())
    }
}

/// One entry for each duty that lies ahead. Spec: beacon-APIs, `prepareBeaconCommitteeSubnet`.
fn committee_subscriptions(table: &DutyTable, slot: Slot) -> Vec<CommitteeSubscription> {
    let duties = table.attesters.values().flat_map(|fetched| &fetched.duties);
    let ahead = duties.filter(|attester| attester.duty.slot > slot);
    ahead
        .map(|attester| CommitteeSubscription {
            validator_index: attester.duty.validator_index,
            committee_index: attester.duty.committee_index,
            committees_at_slot: attester.duty.committees_at_slot,
            slot: attester.duty.slot,
            // Where it is not known yet, the node shall collect, so that nothing is missing if it turns out so.
            is_aggregator: attester.aggregation != Aggregation::No,
        })
        .collect()
}

/// Spec: beacon-APIs, `prepareSyncCommitteeSubnets`.
fn sync_subscriptions(table: &DutyTable) -> Vec<SyncSubscription> {
    let periods = table.sync.iter().flat_map(|(period, fetched)| {
        let until_epoch = period
            .saturating_add(1)
            .saturating_mul(EPOCHS_PER_SYNC_COMMITTEE_PERIOD);
        fetched.duties.iter().map(move |duty| (until_epoch, duty))
    });
    periods
        .map(|(until_epoch, duty)| SyncSubscription {
            validator_index: duty.validator_index,
            sync_committee_indices: duty.validator_sync_committee_indices.clone(),
            until_epoch,
        })
        .collect()
}

/// Those that may propose soon, and where their fees go. One without an address is left out: it does not propose.
fn preparations(
    validators: &Validators,
    fee_recipient: impl Fn(&BLSPubkey) -> Option<ExecutionAddress>,
) -> Vec<ProposerPreparation> {
    let alive = validators
        .iter()
        .filter(|info| info.status.is_active() || info.status.is_pending());
    let preparation = |info: &ValidatorInfo| {
        Some(ProposerPreparation {
            validator_index: info.index,
            fee_recipient: fee_recipient(&info.pubkey).filter(|address| !address.is_zero())?,
        })
    };
    alive.filter_map(preparation).collect()
}

/// Where the fees of a block go, as nodes are told.
pub(crate) fn preparation_of(ctx: &Context, duty: &ProposerDuty) -> Option<ProposerPreparation> {
    let address = ctx.gate.settings(&duty.pubkey).fee_recipient;
    Some(ProposerPreparation {
        validator_index: duty.validator_index,
        fee_recipient: address.filter(|address| !address.is_zero())?,
    })
}

/// What a validator asks of builders, if its settings allow builders and it may propose.
fn registration(info: &ValidatorInfo, settings: &KeySettings, timestamp: u64) -> Option<ValidatorRegistrationV1> {
    let alive = matches!(
        info.status,
        Status::PendingQueued | Status::PendingInitialized | Status::ActiveOngoing | Status::ActiveExiting
    );
    if !alive || settings.builder != Some(true) || settings.lacks_fee_recipient() {
        return None;
    }
    Some(ValidatorRegistrationV1 {
        fee_recipient: settings.fee_recipient?,
        gas_limit: settings.gas_limit.unwrap_or(DEFAULT_GAS_LIMIT),
        timestamp,
        pubkey: info.pubkey,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::beacon::{AttesterDuty, SyncDuty};
    use crate::duties::{Attester, Fetched};
    use consensus::constants::FAR_FUTURE_EPOCH;
    use consensus::ssz::Bytes;

    fn info(number: u8, status: Status) -> ValidatorInfo {
        ValidatorInfo {
            index: number.into(),
            pubkey: Bytes([number; 48]),
            status,
            balance: 0,
            effective_balance: 0,
            slashed: false,
            activation_epoch: 0,
            exit_epoch: FAR_FUTURE_EPOCH,
        }
    }

    fn fetched<T>(duties: Vec<T>) -> Arc<Fetched<T>> {
        Arc::new(Fetched {
            dependent_root: None,
            generation: 1,
            at: 0,
            duties,
        })
    }

    #[test]
    fn nodes_are_told_of_duties_that_lie_ahead() {
        let attester = |slot, aggregation| Attester {
            duty: AttesterDuty {
                slot,
                ..AttesterDuty::default()
            },
            aggregation,
        };
        let mut table = DutyTable::default();
        let all = [
            attester(4, Aggregation::No),
            attester(5, Aggregation::No),
            attester(6, Aggregation::Unknown),
        ];
        table.attesters.insert(0, fetched(all.to_vec()));
        let told = committee_subscriptions(&table, 4);
        let told: Vec<_> = told.iter().map(|told| (told.slot, told.is_aggregator)).collect();
        assert_eq!(told, [(5, false), (6, true)]);

        let duty = SyncDuty {
            validator_sync_committee_indices: vec![3],
            ..SyncDuty::default()
        };
        table.sync.insert(1, fetched(vec![duty]));
        let told = sync_subscriptions(&table);
        assert_eq!(
            (told.len(), told[0].until_epoch),
            (1, 2 * EPOCHS_PER_SYNC_COMMITTEE_PERIOD)
        );
    }

    #[test]
    fn fees_and_builders_are_told_of_who_may_propose() {
        let all = [
            info(1, Status::ActiveOngoing),
            info(2, Status::ExitedUnslashed),
            info(3, Status::PendingQueued),
            info(4, Status::ActiveSlashed),
        ];
        let keys = all.iter().map(|info| info.pubkey).collect();
        let validators = Validators::next(&Validators::default(), keys, all.to_vec());
        let fees = |key: &BLSPubkey| (key.0[0] != 3).then_some(Bytes([key.0[0]; 20]));
        let told = preparations(&validators, fees);
        let told: Vec<_> = told.iter().map(|told| told.validator_index).collect();
        assert_eq!(told, [1, 4]);

        let mut settings = KeySettings {
            fee_recipient: Some(Bytes([1; 20])),
            builder: Some(true),
            ..KeySettings::default()
        };
        let wanted = registration(&all[0], &settings, 77).unwrap();
        assert_eq!(
            (wanted.gas_limit, wanted.timestamp, wanted.pubkey),
            (DEFAULT_GAS_LIMIT, 77, all[0].pubkey)
        );
        assert_eq!(registration(&all[1], &settings, 77), None);
        assert_eq!(registration(&all[3], &settings, 77), None);
        settings.builder = None;
        assert_eq!(registration(&all[0], &settings, 77), None);
        (settings.builder, settings.fee_recipient) = (Some(true), Some(Bytes([0; 20])));
        assert_eq!(registration(&all[0], &settings, 77), None);
    }
}
