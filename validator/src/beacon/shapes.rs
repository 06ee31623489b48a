//! What the Beacon API says and hears, in the forms that are no consensus containers.
//!
//! Where a shape is flat it is declared as a container, which gives its JSON form; the rest is read by hand. Whatever a
//! node says is checked here for form and at its use for sense.

use super::error::CallError;
use consensus::Fork;
use consensus::constants::FAR_FUTURE_EPOCH;
use consensus::preset::SYNC_COMMITTEE_SIZE;
use consensus::ssz::{Json, List, container};
use consensus::types::{BLSPubkey, CommitteeIndex, Epoch, ExecutionAddress, Gwei, Root, Slot, ValidatorIndex, Version};
use serde_json::Value;
use std::fmt;
use std::str::FromStr;

container! {
    /// The chain's beginning (`genesis_time` in seconds since 1970). Spec: beacon-APIs, `getGenesis`.
    #[derive(Copy)]
    pub struct Genesis {
        genesis_time: u64,
        genesis_validators_root: Root,
        genesis_fork_version: Version,
    }
}

container! {
    /// How far a node is. Spec: beacon-APIs, `getSyncingStatus`.
    #[derive(Copy)]
    pub struct Syncing {
        head_slot: Slot,
        sync_distance: Slot,
        is_syncing: bool,
        is_optimistic: bool,
        el_offline: bool,
    }
}

container! {
    /// Where a validator attests. Spec: beacon-APIs, `AttesterDuty`.
    #[derive(Copy)]
    pub struct AttesterDuty {
        pubkey: BLSPubkey,
        validator_index: ValidatorIndex,
        committee_index: CommitteeIndex,
        committee_length: u64,
        committees_at_slot: u64,
        validator_committee_index: u64,
        slot: Slot,
    }
}

container! {
    /// Who proposes at a slot. Spec: beacon-APIs, `ProposerDuty`.
    #[derive(Copy)]
    pub struct ProposerDuty {
        pubkey: BLSPubkey,
        validator_index: ValidatorIndex,
        slot: Slot,
    }
}

container! {
    /// A validator's seats in a sync committee. Spec: beacon-APIs, `SyncDuty`.
    pub struct SyncDuty {
        pubkey: BLSPubkey,
        validator_index: ValidatorIndex,
        validator_sync_committee_indices: List<u64> [SYNC_COMMITTEE_SIZE],
    }
}

container! {
    /// Tells a node that a validator will attest. Spec: beacon-APIs, `prepareBeaconCommitteeSubnet`.
    #[derive(Copy)]
    pub struct CommitteeSubscription {
        validator_index: ValidatorIndex,
        committee_index: CommitteeIndex,
        committees_at_slot: u64,
        slot: Slot,
        is_aggregator: bool,
    }
}

container! {
    /// Tells a node of a validator's seats until an epoch. Spec: beacon-APIs, `prepareSyncCommitteeSubnets`.
    pub struct SyncSubscription {
        validator_index: ValidatorIndex,
        sync_committee_indices: List<u64> [SYNC_COMMITTEE_SIZE],
        until_epoch: Epoch,
    }
}

container! {
    /// Tells a node where the fees of a validator's blocks go. Spec: beacon-APIs, `prepareBeaconProposer`.
    #[derive(Copy)]
    pub struct ProposerPreparation {
        validator_index: ValidatorIndex,
        fee_recipient: ExecutionAddress,
    }
}

container! {
    /// Whether a validator was seen in an epoch. Spec: beacon-APIs, `getLiveness`.
    #[derive(Copy)]
    pub struct Liveness {
        index: ValidatorIndex,
        is_live: bool,
    }
}

container! {
    /// What attesting earned in an epoch; `head`, `target` and `source` in Gwei. Penalties have a sign, which SSZ has
    /// not: see [`AttestationReward`].
    #[derive(Copy)]
    pub struct IdealReward {
        effective_balance: Gwei,
        head: u64,
        target: u64,
        source: u64,
    }
}

/// What a validator's attestation earned or cost in an epoch, in Gwei. Spec: beacon-APIs, `getAttestationsRewards`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttestationReward {
    /// Which validator.
    pub validator_index: ValidatorIndex,
    /// For the head it voted for.
    pub head: i64,
    /// For the target.
    pub target: i64,
    /// For the source.
    pub source: i64,
    /// The penalty of an inactivity leak.
    pub inactivity: i64,
}

/// Rewards of an epoch: the best that a validator of each effective balance could earn, and what each earned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttestationRewards {
    /// By effective balance.
    pub ideal: Vec<IdealReward>,
    /// By validator.
    pub earned: Vec<AttestationReward>,
}

/// Where a validator is in its life. Spec: beacon-APIs, `ValidatorStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // the names are the API's
pub enum Status {
    PendingInitialized,
    PendingQueued,
    ActiveOngoing,
    ActiveExiting,
    ActiveSlashed,
    ExitedUnslashed,
    ExitedSlashed,
    WithdrawalPossible,
    WithdrawalDone,
}

impl Status {
    const NAMES: [(&'static str, Status); 9] = [
        ("pending_initialized", Status::PendingInitialized),
        ("pending_queued", Status::PendingQueued),
        ("active_ongoing", Status::ActiveOngoing),
        ("active_exiting", Status::ActiveExiting),
        ("active_slashed", Status::ActiveSlashed),
        ("exited_unslashed", Status::ExitedUnslashed),
        ("exited_slashed", Status::ExitedSlashed),
        ("withdrawal_possible", Status::WithdrawalPossible),
        ("withdrawal_done", Status::WithdrawalDone),
    ];

    /// Whether the validator has duties now.
    pub fn is_active(self) -> bool {
        matches!(
            self,
            Status::ActiveOngoing | Status::ActiveExiting | Status::ActiveSlashed
        )
    }

    /// Whether it will have duties once it is activated.
    pub fn is_pending(self) -> bool {
        matches!(self, Status::PendingInitialized | Status::PendingQueued)
    }
}

impl FromStr for Status {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Status::NAMES.into_iter().find(|(known, _)| *known == name);
        known
            .map(|(_, status)| status)
            .ok_or_else(|| format!("'{name:.40}' is no validator status"))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Status::NAMES.into_iter().find(|(_, status)| status == self);
        f.write_str(name.map_or("", |(name, _)| name))
    }
}

/// What a node says of a validator. Spec: beacon-APIs, `ValidatorResponse`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValidatorInfo {
    /// Its index.
    pub index: ValidatorIndex,
    /// Its key.
    pub pubkey: BLSPubkey,
    /// Where it is in its life.
    pub status: Status,
    /// Its balance in Gwei.
    pub balance: Gwei,
    /// Its effective balance in Gwei.
    pub effective_balance: Gwei,
    /// Whether it was slashed.
    pub slashed: bool,
    /// When it was or will be activated.
    pub activation_epoch: Epoch,
    /// When it exits; `FAR_FUTURE_EPOCH` for not yet decided.
    pub exit_epoch: Epoch,
}

impl ValidatorInfo {
    pub(crate) fn read(value: &Value) -> Result<Self, CallError> {
        let validator = member(value, "validator")?;
        let status = text(value, "status")?;
        Ok(ValidatorInfo {
            index: read_member(value, "index")?,
            pubkey: read_member(validator, "pubkey")?,
            status: status.parse().map_err(CallError::bad_answer)?,
            balance: read_member(value, "balance")?,
            effective_balance: read_member(validator, "effective_balance")?,
            slashed: read_member(validator, "slashed")?,
            activation_epoch: read_member(validator, "activation_epoch")?,
            exit_epoch: read_member(validator, "exit_epoch")?,
        })
    }

    /// Whether it may be active in an epoch, by what is known now.
    pub fn is_active_in(&self, epoch: Epoch) -> bool {
        self.activation_epoch != FAR_FUTURE_EPOCH && self.activation_epoch <= epoch && epoch < self.exit_epoch
    }
}

/// Duties of an epoch with the block root that they hang on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duties<T> {
    /// Changes where a reorganization changed the duties; sync duties have none.
    pub dependent_root: Option<Root>,
    /// The duties, as the node listed them.
    pub duties: Vec<T>,
}

/// A body of the API, parsed.
pub(crate) fn parse(body: &[u8]) -> Result<Value, CallError> {
    serde_json::from_slice(body).map_err(|error| CallError::bad_answer(format!("the answer is not JSON: {error}")))
}

/// A member of an object; the error names it.
pub(crate) fn member<'a>(value: &'a Value, name: &str) -> Result<&'a Value, CallError> {
    value
        .get(name)
        .ok_or_else(|| CallError::bad_answer(format!("'{name}' is missing in the answer")))
}

/// A member that is text.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str, CallError> {
    member(value, name)?
        .as_str()
        .ok_or_else(|| CallError::bad_answer(format!("'{name}' in the answer is no text")))
}

/// A value that has the same JSON form at every fork.
pub(crate) fn read<T: Json>(value: &Value) -> Result<T, CallError> {
    read_at(value, Fork::Phase0)
}

/// A value in its JSON form at a fork.
pub(crate) fn read_at<T: Json>(value: &Value, fork: Fork) -> Result<T, CallError> {
    T::from_json(value, fork, &[]).map_err(|error| CallError::bad_answer(error.to_string()))
}

/// A member that has the same JSON form at every fork.
pub(crate) fn read_member<T: Json>(value: &Value, name: &str) -> Result<T, CallError> {
    read(member(value, name)?).map_err(|error| error.about(format_args!("'{name}'")))
}

/// The items of an array, at most `limit`: more than was asked for is a broken answer.
pub(crate) fn items(value: &Value, limit: usize) -> Result<&[Value], CallError> {
    let items = value
        .as_array()
        .ok_or_else(|| CallError::bad_answer("a list was expected in the answer"))?;
    if items.len() > limit {
        let text = format!("{} items in the answer, at most {limit} were asked for", items.len());
        return Err(CallError::bad_answer(text));
    }
    Ok(items)
}

/// An array of values of one type, at most `limit`.
pub(crate) fn read_all<T: Json>(value: &Value, limit: usize) -> Result<Vec<T>, CallError> {
    items(value, limit)?.iter().map(read).collect()
}

/// What a node says of validators, at most `limit`.
pub(crate) fn read_validators(value: &Value, limit: usize) -> Result<Vec<ValidatorInfo>, CallError> {
    items(value, limit)?.iter().map(ValidatorInfo::read).collect()
}

/// A number with a sign, quoted.
fn signed(value: &Value, name: &str) -> Result<i64, CallError> {
    text(value, name)?
        .parse()
        .map_err(|_| CallError::bad_answer(format!("'{name}' in the answer is no quoted integer")))
}

/// Rewards of an epoch for at most `limit` validators.
pub(crate) fn read_rewards(data: &Value, limit: usize) -> Result<AttestationRewards, CallError> {
    // An effective balance is whole increments of one ETH, up to 2048.
    let ideal = read_all(member(data, "ideal_rewards")?, 4096)?;
    let earned = items(member(data, "total_rewards")?, limit)?.iter().map(|value| {
        Ok(AttestationReward {
            validator_index: read_member(value, "validator_index")?,
            head: signed(value, "head")?,
            target: signed(value, "target")?,
            source: signed(value, "source")?,
            // Left out by nodes that follow an older text of the API.
            inactivity: signed(value, "inactivity").unwrap_or(0),
        })
    });
    let earned = earned.collect::<Result<_, CallError>>()?;
    Ok(AttestationRewards { ideal, earned })
}

/// A JSON array of values in their form at a fork.
pub(crate) fn write_all<'a, T: Json + 'a>(values: impl IntoIterator<Item = &'a T>, fork: Fork) -> Vec<u8> {
    let items: Vec<String> = values.into_iter().map(|value| value.to_json(fork)).collect();
    format!("[{}]", items.join(",")).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn validators_are_read_as_the_api_writes_them() {
        let pubkey = format!("0x{}", "ab".repeat(48));
        let value = json!([{
            "index": "1", "balance": "32000000001", "status": "active_ongoing",
            "validator": {
                "pubkey": pubkey, "withdrawal_credentials": format!("0x{}", "00".repeat(32)),
                "effective_balance": "32000000000", "slashed": false, "activation_eligibility_epoch": "0",
                "activation_epoch": "3", "exit_epoch": "18446744073709551615",
                "withdrawable_epoch": "18446744073709551615"
            }
        }]);
        let read = read_validators(&value, 1).unwrap()[0];
        assert_eq!(
            (read.index, read.status, read.balance),
            (1, Status::ActiveOngoing, 32_000_000_001)
        );
        assert!(!read.is_active_in(2) && read.is_active_in(3));
        assert!(read_validators(&value, 0).is_err());
        let mut odd = value.clone();
        odd[0]["status"] = json!("resting");
        assert!(read_validators(&odd, 1).unwrap_err().text.contains("'resting'"));
        let mut odd = value;
        odd[0]["index"] = json!(1);
        assert!(read_validators(&odd, 1).unwrap_err().text.contains("'index'"));
    }

    #[test]
    fn rewards_have_signs() {
        let data = json!({
            "ideal_rewards": [{"effective_balance": "32000000000", "head": "2500", "target": "5000",
                "source": "2600", "inclusion_delay": "0", "inactivity": "0"}],
            "total_rewards": [{"validator_index": "7", "head": "2000", "target": "-5000", "source": "-9",
                "inactivity": "-1"}],
        });
        let rewards = read_rewards(&data, 1).unwrap();
        assert_eq!(rewards.ideal[0].target, 5000);
        let earned = rewards.earned[0];
        assert_eq!(
            (earned.head, earned.target, earned.source, earned.inactivity),
            (2000, -5000, -9, -1)
        );
    }

    #[test]
    fn lists_are_written_as_arrays() {
        let preparation = ProposerPreparation::default();
        let text = String::from_utf8(write_all(&[preparation; 2], Fork::Fulu)).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value[1]["validator_index"], "0");
        assert_eq!(write_all::<ProposerPreparation>(&[], Fork::Fulu), b"[]");
    }
}
