use super::*;
use consensus::Fork;
use consensus::preset::NUMBER_OF_COLUMNS;

const NODE: U256 = U256::from_limbs([1, 2, 3, 0x0123_4567_89ab_cdef]);

fn config(last: Fork) -> Arc<Config> {
    Arc::new(Config::standard().with_forks_at_genesis(last))
}

fn subnets(last: Fork) -> Subnets {
    Subnets::new(config(last), NODE, 4).unwrap()
}

fn duty(slot: Slot, committee_index: u64, is_aggregator: bool) -> CommitteeSubscription {
    CommitteeSubscription {
        validator_index: 1,
        committee_index,
        committees_at_slot: 4,
        slot,
        is_aggregator,
    }
}

fn subnet_of(duty: &CommitteeSubscription) -> Subnet {
    Subnet::Attestation(compute_subnet_for_attestation(
        &Config::standard(),
        duty.committees_at_slot,
        duty.slot,
        duty.committee_index,
    ))
}

/// Slots of the second epoch whose duty of committee `committee` is on a subnet that the node is not on anyway.
fn free_duty(change: &Change, committee: u64, is_aggregator: bool) -> CommitteeSubscription {
    (SLOTS_PER_EPOCH + 4..2 * SLOTS_PER_EPOCH)
        .map(|slot| duty(slot, committee, is_aggregator))
        .find(|duty| !change.joined.contains(subnet_of(duty)))
        .unwrap()
}

#[test]
fn two_subnets_follow_from_the_node_id() {
    let config = config(Fork::Phase0);
    let mut subnets = subnets(Fork::Phase0);
    let first = subnets.at(0).unwrap();
    let expected = compute_subscribed_subnets(&config, NODE, 0).unwrap();
    let expected: SubnetSet = expected.into_iter().map(Subnet::Attestation).collect();
    assert_eq!(expected.len(), 2);
    assert_eq!(
        (first.join, first.leave, first.joined),
        (expected, SubnetSet::EMPTY, expected)
    );
    assert_eq!((first.announced, first.wanted), (expected, expected));
    let again = subnets.at(1).unwrap();
    assert_eq!(
        (again.join, again.leave, again.joined),
        (SubnetSet::EMPTY, SubnetSet::EMPTY, expected)
    );

    // They change once in a period, and then what is left and joined is told once.
    let mut changes = 0;
    let mut joined = expected;
    for epoch in 1..=config.epochs_per_subnet_subscription * 2 {
        let change = subnets.at(epoch * SLOTS_PER_EPOCH).unwrap();
        assert_eq!(joined.union(change.join).without(change.leave), change.joined);
        joined = change.joined;
        changes += usize::from(!change.join.is_empty());
    }
    assert!((1..=2).contains(&changes), "{changes}");
}

#[test]
fn aggregators_join_ahead_and_leave_after_the_slot() {
    let mut subnets = subnets(Fork::Phase0);
    let before = subnets.at(0).unwrap();
    let duty = free_duty(&before, 1, true);
    let subnet = subnet_of(&duty);
    assert_eq!(subnets.subscribe_committees(&[duty], 0), 0);
    for slot in 0..=duty.slot + 1 {
        let change = subnets.at(slot).unwrap();
        let is_on = slot + JOIN_AHEAD >= duty.slot && slot <= duty.slot;
        assert_eq!(change.joined.contains(subnet), is_on, "slot {slot} of {}", duty.slot);
        assert_eq!(change.join.contains(subnet), slot + JOIN_AHEAD == duty.slot);
        assert_eq!(change.leave.contains(subnet), slot == duty.slot + 1);
        assert_eq!(
            change.wanted.contains(subnet),
            slot <= duty.slot,
            "peers are looked for at once"
        );
        assert!(!change.announced.contains(subnet), "a short stay is not announced");
    }
}

#[test]
fn aggregators_stay_where_their_next_duty_is_near() {
    let slot_ms = Config::standard().slot_duration_ms;
    // A minute after leaving, and the seconds that peers wait beyond it.
    let near = 60_000 / slot_ms;
    for (gap, stays) in [(1, true), (near, true), (near + JOIN_AHEAD, true), (3 * near, false)] {
        let mut subnets = subnets(Fork::Phase0);
        let subnet = subnet_of(&free_duty(&subnets.at(0).unwrap(), 1, true));
        let (first, second) = (10, 10 + gap);
        for slot in [first, second] {
            subnets.duties.entry(slot).or_default().aggregate.insert(subnet);
        }
        let mut left = 0;
        for slot in 1..=second {
            let change = subnets.at(slot).unwrap();
            left += usize::from(change.leave.contains(subnet));
            let is_due = slot == first || slot == second;
            assert!(change.joined.contains(subnet) || !is_due, "gap {gap}, slot {slot}");
        }
        assert_eq!(left == 0, stays, "gap {gap}");
        assert!(subnets.at(second + 1).unwrap().leave.contains(subnet));
    }
}

#[test]
fn others_only_need_peers_there() {
    let mut subnets = subnets(Fork::Phase0);
    let before = subnets.at(0).unwrap();
    let duty = free_duty(&before, 2, false);
    subnets.subscribe_committees(&[duty], 0);
    for slot in 0..=duty.slot + 1 {
        let change = subnets.at(slot).unwrap();
        assert!(!change.joined.contains(subnet_of(&duty)));
        assert_eq!(change.wanted.contains(subnet_of(&duty)), slot <= duty.slot);
    }
}

#[test]
fn duties_that_make_no_sense_are_left_out() {
    let mut subnets = subnets(Fork::Phase0);
    let now = 100;
    let mut none = duty(now, 0, true);
    none.committees_at_slot = 0;
    let mut many = duty(now, 0, true);
    many.committees_at_slot = u64::MAX;
    let wrong = [
        duty(now - 1, 0, true),
        duty(now + AHEAD_MAX + 1, 0, true),
        duty(u64::MAX, 0, true),
        duty(now, 4, true),
        none,
        many,
    ];
    assert_eq!(subnets.subscribe_committees(&wrong, now), wrong.len());
    assert!(subnets.duties.is_empty());
    // Bounded: whatever is sent, there is one entry for each slot.
    for slot in now..now + 10 * AHEAD_MAX {
        for committee in 0..4 {
            subnets.subscribe_committees(&[duty(slot, committee, true)], now);
        }
    }
    assert_eq!(subnets.duties.len() as u64, AHEAD_MAX + 1);
    subnets.at(now + AHEAD_MAX).unwrap();
    assert_eq!(subnets.duties.len(), 1);
}

#[test]
fn sync_committee_members_stay_until_their_epoch() {
    let mut subnets = subnets(Fork::Altair);
    let size = SYNC_COMMITTEE_SIZE / SYNC_COMMITTEE_SUBNET_COUNT;
    let subscription = |seats: Vec<u64>, until_epoch| SyncSubscription {
        validator_index: 1,
        sync_committee_indices: seats,
        until_epoch,
    };
    let before = subnets.at(0).unwrap();
    let all = [
        subscription(vec![0, size - 1], 3),
        subscription(vec![size * 2], u64::MAX),
        subscription(vec![SYNC_COMMITTEE_SIZE, u64::MAX], 3),
    ];
    assert_eq!(
        subnets.subscribe_sync_committees(&all, 0),
        2,
        "seats that there are not"
    );
    let change = subnets.at(1).unwrap();
    let expected: SubnetSet = [Subnet::Sync(0), Subnet::Sync(2)].into_iter().collect();
    assert_eq!(change.join, expected);
    assert_eq!(change.announced, before.announced.union(expected));
    assert_eq!(change.announced.syncnets().as_bytes(), [0b101]);
    let end = subnets.at(3 * SLOTS_PER_EPOCH).unwrap();
    assert!(end.leave.contains(Subnet::Sync(0)) && end.joined.contains(Subnet::Sync(2)));
    let last = subnets
        .at(2 * EPOCHS_PER_SYNC_COMMITTEE_PERIOD * SLOTS_PER_EPOCH)
        .unwrap();
    assert!(
        last.leave.contains(Subnet::Sync(2)),
        "nobody knows a seat beyond the next period"
    );
}

#[test]
fn columns_follow_custody() {
    let config = config(Fork::Fulu);
    let mut subnets = subnets(Fork::Fulu);
    let change = subnets.at(0).unwrap();
    let columns = change.joined.only_columns();
    assert_eq!(
        columns.len() as u64,
        config.samples_per_slot,
        "more are sampled than kept"
    );
    let kept = column_subnets(&config, &custody_columns(&config, NODE, 4).unwrap());
    assert_eq!((kept.len(), kept.without(columns)), (4, SubnetSet::EMPTY));
    assert!(change.announced.only_columns().is_empty(), "`cgc` tells them");
    assert_eq!(column_subnets_of_peer(&config, NODE, None), kept);
    assert_eq!(column_subnets_of_peer(&config, NODE, Some(0)), kept);
    assert_eq!(
        column_subnets_of_peer(&config, NODE, Some(u64::MAX)).len() as u64,
        NUMBER_OF_COLUMNS
    );

    subnets.set_custody(20).unwrap();
    let more = subnets.at(1).unwrap();
    assert_eq!(
        (more.join.len(), more.leave),
        (20 - columns.len(), SubnetSet::EMPTY),
        "what was kept stays"
    );
    assert!(subnets.set_custody(1000).is_err());
    assert_eq!(subnets.at(2).unwrap().joined, more.joined);
    subnets.set_custody(config.number_of_custody_groups).unwrap();
    assert_eq!(
        subnets.at(3).unwrap().joined.only_columns().len() as u64,
        NUMBER_OF_COLUMNS
    );

    // One epoch ahead of Fulu, none before that.
    let mut later = Config::standard().with_forks_at_genesis(Fork::Electra);
    later.set_fork_epoch(Fork::Fulu, 5);
    let mut subnets = Subnets::new(Arc::new(later), NODE, 4).unwrap();
    assert!(
        subnets
            .at(4 * SLOTS_PER_EPOCH - 1)
            .unwrap()
            .joined
            .only_columns()
            .is_empty()
    );
    assert_eq!(subnets.at(4 * SLOTS_PER_EPOCH).unwrap().join.only_columns(), columns);
}
