//! One beacon node and the calls that are made to it: the Beacon API's routes with their forms, versions and limits.

use super::error::{CallError, Kind};
use super::health::Health;
use super::http::{Form, Http, Request, Response};
use super::names::Reach;
use super::shapes::{
    AttestationRewards, AttesterDuty, CommitteeSubscription, Duties, Genesis, Liveness, ProposerDuty,
    ProposerPreparation, SyncDuty, SyncSubscription, Syncing, ValidatorInfo, items, member, parse, read, read_all,
    read_at, read_member, read_rewards, read_validators, text, write_all,
};
use super::url::NodeUrl;
use consensus::Fork;
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::ssz::Json;
use consensus::types::{
    Attestation, AttestationData, BLSPubkey, CommitteeIndex, Epoch, Root, SignedAggregateAndProof,
    SignedContributionAndProof, SignedValidatorRegistrationV1, SingleAttestation, Slot, SyncCommitteeContribution,
    SyncCommitteeMessage, ValidatorIndex,
};
use hyper::body::Bytes;
use serde_json::Value;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Enough for every answer of fixed size, with room for nodes that add fields.
pub(super) const SMALL: usize = 256 * 1024;
/// `config/spec` lists some hundred values and the blob schedule.
const SPEC_LIMIT: usize = 1 << 20;
/// What one validator takes in a list, generously: a validator with its record is some 600 bytes.
pub(super) const PER_VALIDATOR: usize = 2048;
/// An aggregate of a whole slot has 16 KiB of bits, and JSON doubles it.
const AGGREGATE_LIMIT: usize = 1 << 20;

/// A beacon node: its address, its connections and what is known of its health.
pub struct Node {
    pub(super) http: Http,
    /// Its place in the operator's order, from 0.
    pub position: usize,
    pub(super) health: Mutex<Health>,
    /// Set once the node turned out not to have the proposer duties' second version.
    old_proposer_route: AtomicBool,
    /// Set once the node refused a block in SSZ.
    pub(super) json_blocks: AtomicBool,
}

impl Node {
    /// A node at `position` of the operator's list; an error if the authorities have no certificate.
    pub fn new(position: usize, url: NodeUrl, reach: &Reach) -> Result<Self, String> {
        Ok(Node {
            http: Http::new(url, reach)?,
            position,
            health: Mutex::new(Health::default()),
            old_proposer_route: AtomicBool::new(false),
            json_blocks: AtomicBool::new(false),
        })
    }

    /// Its address, without secrets when shown.
    pub fn url(&self) -> &NodeUrl {
        self.http.url()
    }

    pub(super) async fn get(&self, path: String, limit: usize, timeout: Duration) -> Result<Value, CallError> {
        let response = self.http.call(Request::get(path.clone(), limit, timeout)).await?;
        parse(&response.body).map_err(|error| self.odd(&path, error))
    }

    pub(super) async fn post(
        &self,
        path: String,
        body: Vec<u8>,
        limit: usize,
        timeout: Duration,
    ) -> Result<Response, CallError> {
        let request = Request::post(path, Form::Json, Bytes::from(body), limit, timeout);
        self.http.call(request).await
    }

    /// An error about the content of this node's answer to `path`.
    pub(super) fn odd(&self, path: &str, error: CallError) -> CallError {
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        error.about(format_args!("{path} at {}", self.url()))
    }

    pub(super) async fn get_data<T>(
        &self,
        path: String,
        limit: usize,
        timeout: Duration,
        read: impl FnOnce(&Value) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let answer = self.get(path.clone(), limit, timeout).await?;
        member(&answer, "data")
            .and_then(read)
            .map_err(|error| self.odd(&path, error))
    }

    /// Spec: beacon-APIs, `getGenesis`. `NotReady` where the node does not know it yet.
    pub async fn genesis(&self, timeout: Duration) -> Result<Genesis, CallError> {
        let result = self
            .get_data("/eth/v1/beacon/genesis".into(), SMALL, timeout, read)
            .await;
        result.map_err(|error| match error.kind {
            Kind::Status(404) => CallError::new(Kind::NotReady, error.text),
            _ => error,
        })
    }

    /// Spec: beacon-APIs, `getSpec`.
    pub async fn spec(&self, timeout: Duration) -> Result<Value, CallError> {
        let path = "/eth/v1/config/spec".into();
        self.get_data(path, SPEC_LIMIT, timeout, |data| Ok(data.clone())).await
    }

    /// Spec: beacon-APIs, `getNodeVersion`.
    pub async fn version(&self, timeout: Duration) -> Result<String, CallError> {
        let read = |data: &Value| {
            let version = text(data, "version")?;
            Ok(version.chars().filter(|c| !c.is_control()).take(100).collect())
        };
        self.get_data("/eth/v1/node/version".into(), SMALL, timeout, read).await
    }

    /// How far the node is, and its `Date` header in seconds. Spec: beacon-APIs, `getSyncingStatus`.
    pub(super) async fn syncing(&self, timeout: Duration) -> Result<(Syncing, Option<u64>), CallError> {
        let path = "/eth/v1/node/syncing";
        let response = self.http.call(Request::get(path.into(), SMALL, timeout)).await?;
        let answer = parse(&response.body).and_then(|answer| read(member(&answer, "data")?));
        let syncing = answer.map_err(|error| self.odd(path, error))?;
        Ok((syncing, response.date))
    }

    /// What the node knows of these keys, in the head's state. Spec: beacon-APIs, `postStateValidators`.
    pub async fn validators(&self, keys: &[BLSPubkey], timeout: Duration) -> Result<Vec<ValidatorInfo>, CallError> {
        let path = "/eth/v1/beacon/states/head/validators";
        let ids: Vec<String> = keys.iter().map(|key| format!("\"{key}\"")).collect();
        let body = format!("{{\"ids\":[{}],\"statuses\":null}}", ids.join(","));
        let limit = SMALL + keys.len() * PER_VALIDATOR;
        let response = self.post(path.into(), body.into_bytes(), limit, timeout).await?;
        let read = || read_validators(member(&parse(&response.body)?, "data")?, keys.len());
        read().map_err(|error| self.odd(path, error))
    }

    /// Spec: beacon-APIs, `getAttesterDuties`. `NotReady` if the node is optimistic.
    pub async fn attester_duties(
        &self,
        epoch: Epoch,
        indices: &[ValidatorIndex],
        timeout: Duration,
    ) -> Result<Duties<AttesterDuty>, CallError> {
        let path = format!("/eth/v1/validator/duties/attester/{epoch}");
        self.duties_of(path, indices, true, timeout).await
    }

    /// Duties of an epoch, of all proposers. Spec: beacon-APIs, `getProposerDutiesV2`, or the first version where the
    /// node has no other. `NotReady` if the node is optimistic.
    pub async fn proposer_duties(&self, epoch: Epoch, timeout: Duration) -> Result<Duties<ProposerDuty>, CallError> {
        if !self.old_proposer_route.load(Ordering::Relaxed) {
            match self.proposer_duties_at("v2", epoch, timeout).await {
                Err(error) if error.is_unknown_route() => self.old_proposer_route.store(true, Ordering::Relaxed),
                result => return result,
            }
        }
        self.proposer_duties_at("v1", epoch, timeout).await
    }

    async fn proposer_duties_at(
        &self,
        version: &str,
        epoch: Epoch,
        timeout: Duration,
    ) -> Result<Duties<ProposerDuty>, CallError> {
        let path = format!("/eth/{version}/validator/duties/proposer/{epoch}");
        let answer = self.get(path.clone(), SMALL, timeout).await?;
        read_duties(&answer, SLOTS_PER_EPOCH as usize, true).map_err(|error| self.odd(&path, error))
    }

    /// Spec: beacon-APIs, `getSyncCommitteeDuties`. `NotReady` if the node is optimistic.
    pub async fn sync_duties(
        &self,
        epoch: Epoch,
        indices: &[ValidatorIndex],
        timeout: Duration,
    ) -> Result<Duties<SyncDuty>, CallError> {
        let path = format!("/eth/v1/validator/duties/sync/{epoch}");
        self.duties_of(path, indices, false, timeout).await
    }

    async fn duties_of<T: Json>(
        &self,
        path: String,
        indices: &[ValidatorIndex],
        dependent: bool,
        timeout: Duration,
    ) -> Result<Duties<T>, CallError> {
        let limit = SMALL + indices.len() * PER_VALIDATOR;
        let response = self
            .post(path.clone(), write_all(indices, Fork::Phase0), limit, timeout)
            .await?;
        let read = || read_duties(&parse(&response.body)?, indices.len(), dependent);
        read().map_err(|error| self.odd(&path, error))
    }

    /// The data to attest to at a slot. Spec: beacon-APIs, `produceAttestationData`.
    pub async fn attestation_data(
        &self,
        slot: Slot,
        committee_index: CommitteeIndex,
        timeout: Duration,
    ) -> Result<AttestationData, CallError> {
        let path = format!("/eth/v1/validator/attestation_data?slot={slot}&committee_index={committee_index}");
        self.get_data(path, SMALL, timeout, read).await
    }

    /// Publishes attestations of the forks from Electra on. Spec: beacon-APIs, `submitPoolAttestationsV2`.
    pub async fn submit_single_attestations(
        &self,
        attestations: &[SingleAttestation],
        fork: Fork,
        timeout: Duration,
    ) -> Result<(), CallError> {
        let path = "/eth/v2/beacon/pool/attestations";
        self.publish(
            path,
            write_all(attestations, fork),
            Some(fork),
            attestations.len(),
            timeout,
        )
        .await
    }

    /// Publishes attestations of the forks before Electra. Spec: beacon-APIs, `submitPoolAttestationsV2`.
    pub async fn submit_attestations(
        &self,
        attestations: &[Attestation],
        fork: Fork,
        timeout: Duration,
    ) -> Result<(), CallError> {
        let path = "/eth/v2/beacon/pool/attestations";
        self.publish(
            path,
            write_all(attestations, fork),
            Some(fork),
            attestations.len(),
            timeout,
        )
        .await
    }

    /// The node's best aggregate for that data. Spec: beacon-APIs, `getAggregatedAttestationV2`.
    pub async fn aggregate(
        &self,
        data_root: Root,
        slot: Slot,
        committee_index: CommitteeIndex,
        fork: Fork,
        timeout: Duration,
    ) -> Result<Attestation, CallError> {
        let path = format!(
            "/eth/v2/validator/aggregate_attestation?attestation_data_root={data_root}&slot={slot}\
             &committee_index={committee_index}"
        );
        let read = |data: &Value| read_at(data, fork);
        self.get_data(path, AGGREGATE_LIMIT, timeout, read).await
    }

    /// Spec: beacon-APIs, `publishAggregateAndProofsV2`.
    pub async fn submit_aggregates(
        &self,
        aggregates: &[SignedAggregateAndProof],
        fork: Fork,
        timeout: Duration,
    ) -> Result<(), CallError> {
        let path = "/eth/v2/validator/aggregate_and_proofs";
        self.publish(path, write_all(aggregates, fork), Some(fork), aggregates.len(), timeout)
            .await
    }

    /// The root of the head block. `NotReady` if it is optimistic. Spec: beacon-APIs, `getBlockRoot`.
    pub async fn head_root(&self, timeout: Duration) -> Result<Root, CallError> {
        let path = "/eth/v1/beacon/blocks/head/root";
        let answer = self.get(path.into(), SMALL, timeout).await?;
        let read = || {
            not_optimistic(&answer)?;
            read_member(member(&answer, "data")?, "root")
        };
        read().map_err(|error| self.odd(path, error))
    }

    /// Spec: beacon-APIs, `submitPoolSyncCommitteeSignatures`.
    pub async fn submit_sync_messages(
        &self,
        messages: &[SyncCommitteeMessage],
        timeout: Duration,
    ) -> Result<(), CallError> {
        let body = write_all(messages, Fork::Altair);
        self.publish(
            "/eth/v1/beacon/pool/sync_committees",
            body,
            None,
            messages.len(),
            timeout,
        )
        .await
    }

    /// The node's best contribution. Spec: beacon-APIs, `produceSyncCommitteeContribution`.
    pub async fn contribution(
        &self,
        slot: Slot,
        subcommittee_index: u64,
        beacon_block_root: Root,
        timeout: Duration,
    ) -> Result<SyncCommitteeContribution, CallError> {
        let path = format!(
            "/eth/v1/validator/sync_committee_contribution?slot={slot}&subcommittee_index={subcommittee_index}\
             &beacon_block_root={beacon_block_root}"
        );
        self.get_data(path, SMALL, timeout, read).await
    }

    /// Spec: beacon-APIs, `publishContributionAndProofs`.
    pub async fn submit_contributions(
        &self,
        contributions: &[SignedContributionAndProof],
        timeout: Duration,
    ) -> Result<(), CallError> {
        let path = "/eth/v1/validator/contribution_and_proofs";
        let body = write_all(contributions, Fork::Altair);
        self.publish(path, body, None, contributions.len(), timeout).await
    }

    /// Spec: beacon-APIs, `prepareBeaconCommitteeSubnet`.
    pub async fn subscribe_committees(
        &self,
        subscriptions: &[CommitteeSubscription],
        timeout: Duration,
    ) -> Result<(), CallError> {
        let path = "/eth/v1/validator/beacon_committee_subscriptions";
        let body = write_all(subscriptions, Fork::Phase0);
        self.publish(path, body, None, subscriptions.len(), timeout).await
    }

    /// Spec: beacon-APIs, `prepareSyncCommitteeSubnets`.
    pub async fn subscribe_sync(&self, subscriptions: &[SyncSubscription], timeout: Duration) -> Result<(), CallError> {
        let path = "/eth/v1/validator/sync_committee_subscriptions";
        let body = write_all(subscriptions, Fork::Altair);
        self.publish(path, body, None, subscriptions.len(), timeout).await
    }

    /// Spec: beacon-APIs, `prepareBeaconProposer`.
    pub async fn prepare_proposers(
        &self,
        preparations: &[ProposerPreparation],
        timeout: Duration,
    ) -> Result<(), CallError> {
        let path = "/eth/v1/validator/prepare_beacon_proposer";
        let body = write_all(preparations, Fork::Bellatrix);
        self.publish(path, body, None, preparations.len(), timeout).await
    }

    /// Spec: beacon-APIs, `registerValidator`.
    pub async fn register_validators(
        &self,
        registrations: &[SignedValidatorRegistrationV1],
        timeout: Duration,
    ) -> Result<(), CallError> {
        let path = "/eth/v1/validator/register_validator";
        let body = write_all(registrations, Fork::Bellatrix);
        self.publish(path, body, None, registrations.len(), timeout).await
    }

    /// Whether validators were seen in an epoch. Spec: beacon-APIs, `getLiveness`.
    pub async fn liveness(
        &self,
        epoch: Epoch,
        indices: &[ValidatorIndex],
        timeout: Duration,
    ) -> Result<Vec<Liveness>, CallError> {
        let path = format!("/eth/v1/validator/liveness/{epoch}");
        let limit = SMALL + indices.len() * PER_VALIDATOR;
        let response = self
            .post(path.clone(), write_all(indices, Fork::Phase0), limit, timeout)
            .await?;
        let read = || read_all(member(&parse(&response.body)?, "data")?, indices.len());
        read().map_err(|error| self.odd(&path, error))
    }

    /// What attesting earned in an epoch. Spec: beacon-APIs, `getAttestationsRewards`.
    pub async fn attestation_rewards(
        &self,
        epoch: Epoch,
        indices: &[ValidatorIndex],
        timeout: Duration,
    ) -> Result<AttestationRewards, CallError> {
        let path = format!("/eth/v1/beacon/rewards/attestations/{epoch}");
        // The ideal rewards come for each of up to 2048 effective balances.
        let limit = SPEC_LIMIT + indices.len() * PER_VALIDATOR;
        let response = self
            .post(path.clone(), write_all(indices, Fork::Phase0), limit, timeout)
            .await?;
        let read = || read_rewards(member(&parse(&response.body)?, "data")?, indices.len());
        read().map_err(|error| self.odd(&path, error))
    }

    /// Posts something for `count` validators whose answer says nothing but that it was taken.
    async fn publish(
        &self,
        path: &str,
        body: Vec<u8>,
        version: Option<Fork>,
        count: usize,
        timeout: Duration,
    ) -> Result<(), CallError> {
        let limit = SMALL + count * PER_VALIDATOR;
        let mut request = Request::post(path.into(), Form::Json, Bytes::from(body), limit, timeout);
        request.version = version;
        self.http.call(request).await.map(|_| ())
    }
}

impl CallError {
    /// An answer in good form that makes no sense for what was asked.
    pub fn odd_data(node: &Node, why: impl Into<String>) -> Self {
        CallError::bad_answer(why).about(node.url())
    }
}

/// `NotReady` if the answer rests on a block that no execution client has checked.
fn not_optimistic(answer: &Value) -> Result<(), CallError> {
    // Left out by nodes of before the merge's APIs: they are never optimistic.
    match answer.get("execution_optimistic") {
        Some(Value::Bool(true)) => Err(CallError::new(
            Kind::NotReady,
            "the node is optimistic: its execution client has not checked the head",
        )),
        _ => Ok(()),
    }
}

fn read_duties<T: Json>(answer: &Value, limit: usize, dependent: bool) -> Result<Duties<T>, CallError> {
    not_optimistic(answer)?;
    let dependent_root = dependent.then(|| read_member(answer, "dependent_root")).transpose()?;
    let duties = items(member(answer, "data")?, limit)?;
    let duties = duties.iter().map(read).collect::<Result<_, _>>()?;
    Ok(Duties { dependent_root, duties })
}
