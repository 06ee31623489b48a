//! Which gossip subnets the node is on, slot by slot.
//!
//! Four reasons to be on one: two attestation subnets follow from the node id and change rarely; an aggregator must hear
//! its committee, and stays where its next duty is near; members of a sync committee stay on its subnets; columns are sampled and kept by custody. Who attests
//! without aggregating does not join, but wants peers there, who carry the vote on.
//!
//! Spec: phase0/p2p-interface.md, "Attestation subnet subscription"; phase0/validator.md, "Lookahead"; altair/validator.md,
//! "Sync committee subnet stability"; fulu/das-core.md, "Custody sampling".

use super::gossip::params::BACKOFF_SECONDS;
use super::subnet_set::{Subnet, SubnetSet};
use crate::api::{CommitteeSubscription, SyncSubscription};
use consensus::constants::SYNC_COMMITTEE_SUBNET_COUNT;
use consensus::das::{compute_columns_for_custody_group, compute_subnet_for_data_column_sidecar, get_custody_groups};
use consensus::duties::{compute_subnet_for_attestation, compute_subscribed_subnets};
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::preset::{EPOCHS_PER_SYNC_COMMITTEE_PERIOD, SLOTS_PER_EPOCH, SYNC_COMMITTEE_SIZE};
use consensus::ssz::U256;
use consensus::types::{ColumnIndex, Epoch, Slot};
use consensus::{Config, Invalid};
use std::collections::BTreeMap;
use std::collections::btree_map::Range;
use std::sync::Arc;

/// How long before its slot an aggregator joins: two slots are time for some twenty heartbeats of gossip, in which peers
/// hear of it and take the node into their mesh.
const JOIN_AHEAD: u64 = 2;

/// Who leaves a topic is not taken into its meshes again for a minute, so that nobody leaves a subnet on which the next duty
/// is that near. Some seconds more, for what peers wait beyond it.
const STAY_MS: u64 = (BACKOFF_SECONDS + 15) * 1000;

/// How far ahead a duty may lie: the next epoch's are known, and clients send them early. With one entry for each slot
/// this bounds the memory.
const AHEAD_MAX: u64 = 3 * SLOTS_PER_EPOCH;

/// What validators do in a slot, as bits of attestation subnets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Duties {
    attest: SubnetSet,
    aggregate: SubnetSet,
}

/// What changes with a slot, and what holds then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Topics to subscribe to.
    pub join: SubnetSet,
    /// Topics to unsubscribe from.
    pub leave: SubnetSet,
    /// All that are subscribed to after that.
    pub joined: SubnetSet,
    /// Where peers are wanted: all that are joined or soon will be, and those on which a validator will attest.
    pub wanted: SubnetSet,
    /// What `MetaData` and the node record say: long-lived attestation subnets and sync subnets.
    pub announced: SubnetSet,
}

/// The subnets of a node.
#[derive(Clone, Debug)]
pub struct Subnets {
    config: Arc<Config>,
    node_id: U256,
    long_lived: (Option<Epoch>, SubnetSet),
    columns: SubnetSet,
    duties: BTreeMap<Slot, Duties>,
    /// The first epoch without duty, for each sync subnet.
    sync_until: [Epoch; SYNC_COMMITTEE_SUBNET_COUNT as usize],
    joined: SubnetSet,
}

impl Subnets {
    /// The subnets of a node that keeps so many groups of columns. An error if there are not so many.
    pub fn new(config: Arc<Config>, node_id: U256, custody_group_count: u64) -> Result<Subnets, Invalid> {
        let columns = sampled_subnets(&config, node_id, custody_group_count)?;
        Ok(Subnets {
            config,
            node_id,
            long_lived: (None, SubnetSet::EMPTY),
            columns,
            duties: BTreeMap::new(),
            sync_until: [0; SYNC_COMMITTEE_SUBNET_COUNT as usize],
            joined: SubnetSet::EMPTY,
        })
    }

    /// Changes how many groups of columns the node keeps. An error, and no change, if there are not so many.
    pub fn set_custody(&mut self, custody_group_count: u64) -> Result<(), Invalid> {
        self.columns = sampled_subnets(&self.config, self.node_id, custody_group_count)?;
        Ok(())
    }

    /// Takes in attesters' duties. Those in the past, too far ahead, or of a committee that no slot has are left out; tells
    /// how many.
    pub fn subscribe_committees(&mut self, subscriptions: &[CommitteeSubscription], now: Slot) -> usize {
        let mut left_out = 0;
        for subscription in subscriptions {
            let slot = subscription.slot;
            let is_fit = slot >= now
                && slot - now <= AHEAD_MAX
                && subscription.committee_index < subscription.committees_at_slot
                && subscription.committees_at_slot <= consensus::preset::MAX_COMMITTEES_PER_SLOT;
            if !is_fit {
                left_out += 1;
                continue;
            }
            let subnet = Subnet::Attestation(compute_subnet_for_attestation(
                &self.config,
                subscription.committees_at_slot,
                slot,
                subscription.committee_index,
            ));
            let duties = self.duties.entry(slot).or_default();
            duties.attest.insert(subnet);
            if subscription.is_aggregator {
                duties.aggregate.insert(subnet);
            }
        }
        left_out
    }

    /// Takes in sync committee members' duties, from now on until their epoch, at most to the end of the next period. Seats
    /// that a committee does not have are left out; tells how many.
    pub fn subscribe_sync_committees(&mut self, subscriptions: &[SyncSubscription], now: Slot) -> usize {
        let epoch = compute_epoch_at_slot(now);
        // A member knows its seats in this and the next period, and in no later one.
        let latest = (epoch / EPOCHS_PER_SYNC_COMMITTEE_PERIOD + 2).saturating_mul(EPOCHS_PER_SYNC_COMMITTEE_PERIOD);
        let mut left_out = 0;
        for subscription in subscriptions {
            for seat in &subscription.sync_committee_indices {
                let subnet = seat / (SYNC_COMMITTEE_SIZE / SYNC_COMMITTEE_SUBNET_COUNT);
                match self.sync_until.get_mut(subnet as usize) {
                    Some(until) => *until = (*until).max(subscription.until_epoch.min(latest)),
                    None => left_out += 1,
                }
            }
        }
        left_out
    }

    /// Goes to a slot: tells what to join and leave, and takes it as done. To be called at every slot, and after a change.
    /// An error, and no change, if the config has no subnets for a node id.
    pub fn at(&mut self, slot: Slot) -> Result<Change, Invalid> {
        let epoch = compute_epoch_at_slot(slot);
        if self.long_lived.0 != Some(epoch) {
            let subnets = compute_subscribed_subnets(&self.config, self.node_id, epoch)?;
            self.long_lived = (Some(epoch), subnets.into_iter().map(Subnet::Attestation).collect());
        }
        self.duties = self.duties.split_off(&slot);
        let aggregate = |duties: Range<'_, Slot, Duties>| {
            duties.fold(SubnetSet::EMPTY, |all, (_, duties)| all.union(duties.aggregate))
        };
        let stay = STAY_MS.div_ceil(self.config.slot_duration_ms.max(1));
        let near = slot.saturating_add(JOIN_AHEAD).saturating_add(stay);
        let staying = aggregate(self.duties.range(..=near)).intersection(self.joined);
        let attest = self
            .duties
            .values()
            .fold(SubnetSet::EMPTY, |all, duties| all.union(duties.attest));
        let sync: SubnetSet = (0..)
            .zip(self.sync_until)
            .filter(|(_, until)| epoch < *until)
            .map(|(id, _)| Subnet::Sync(id))
            .collect();
        let columns = if self.config.fork_at_epoch(epoch.saturating_add(1)) >= consensus::Fork::Fulu {
            self.columns
        } else {
            SubnetSet::EMPTY
        };
        let announced = self.long_lived.1.union(sync);
        let soon = aggregate(self.duties.range(..=slot.saturating_add(JOIN_AHEAD)));
        let joined = announced.union(soon).union(staying).union(columns);
        let change = Change {
            join: joined.without(self.joined),
            leave: self.joined.without(joined),
            joined,
            wanted: joined.union(attest),
            announced,
        };
        self.joined = joined;
        Ok(change)
    }
}

/// The columns that a node samples, ascending: those it keeps among them. An error if there are not so many groups.
///
/// Spec: fulu/das-core.md, "Custody sampling".
pub fn sampled_columns(config: &Config, node_id: U256, custody_group_count: u64) -> Result<Vec<ColumnIndex>, Invalid> {
    let sampling_size = custody_group_count.max(config.samples_per_slot);
    custody_columns(config, node_id, sampling_size)
}

/// The columns that a node keeps, ascending. An error if there are not so many groups.
///
/// Spec: fulu/das-core.md, "Custody requirement".
pub fn custody_columns(config: &Config, node_id: U256, custody_group_count: u64) -> Result<Vec<ColumnIndex>, Invalid> {
    let mut columns = Vec::new();
    for group in get_custody_groups(config, node_id, custody_group_count)? {
        columns.extend(compute_columns_for_custody_group(config, group)?);
    }
    columns.sort_unstable();
    Ok(columns)
}

/// The subnets of such columns.
pub fn column_subnets(config: &Config, columns: &[ColumnIndex]) -> SubnetSet {
    let subnets = columns
        .iter()
        .map(|column| Subnet::Column(compute_subnet_for_data_column_sidecar(config, *column)));
    subnets.collect()
}

fn sampled_subnets(config: &Config, node_id: U256, custody_group_count: u64) -> Result<SubnetSet, Invalid> {
    Ok(column_subnets(
        config,
        &sampled_columns(config, node_id, custody_group_count)?,
    ))
}

/// The column subnets of a peer that says it keeps so many groups: no more than there are, no fewer than the spec asks of
/// everyone (a smaller or missing number says less than is true of an honest node).
pub fn column_subnets_of_peer(config: &Config, node_id: U256, custody_group_count: Option<u64>) -> SubnetSet {
    let count = custody_group_count.unwrap_or(0).max(config.custody_requirement);
    let count = count.min(config.number_of_custody_groups);
    let columns = custody_columns(config, node_id, count);
    columns.map_or(SubnetSet::EMPTY, |columns| column_subnets(config, &columns))
}

#[cfg(test)]
#[path = "subnets_tests.rs"]
mod tests;
