//! Times around the borders of slots.

use super::*;

fn clock() -> (Config, SlotClock) {
    let mut config = Config::standard().with_forks_at_genesis(Fork::Phase0);
    config.slot_duration_ms = 12_000;
    config.altair_fork_epoch = 1;
    config.gloas_fork_epoch = 2;
    let clock = SlotClock::new(&config, 100);
    (config, clock)
}

#[test]
fn slots_begin_at_genesis() {
    let (_, clock) = clock();
    assert_eq!(clock.slot_at(99_999), None);
    assert_eq!(clock.time_into_slot_ms(99_999), None);
    assert_eq!(clock.slot_at(100_000), Some(0));
    assert_eq!(clock.slot_at(111_999), Some(0));
    assert_eq!(clock.slot_at(112_000), Some(1));
    assert_eq!(clock.time_into_slot_ms(113_500), Some(1_500));
    assert_eq!(clock.epoch_at(100_000 + SLOTS_PER_EPOCH * 12_000), Some(1));
    assert_eq!(clock.next_slot(5), (0, 100_000));
    assert_eq!(clock.next_slot(100_000), (1, 112_000));
    assert_eq!(clock.compute_time_at_slot_ms(3), 136_000);
    assert_eq!(clock.compute_time_at_slot_ms(u64::MAX), u64::MAX);
    assert_eq!(
        clock.next_slot(u64::MAX).1,
        clock.compute_time_at_slot_ms(clock.next_slot(u64::MAX).0)
    );
    assert_eq!(compute_slots_since_epoch_start(SLOTS_PER_EPOCH + 3), 3);
    assert_eq!(seconds_to_milliseconds(u64::MAX / 1000 + 1), u64::MAX);
}

#[test]
fn deadlines_move_with_gloas() {
    let (config, clock) = clock();
    let due = |epoch: Epoch, deadline| {
        let slot = compute_start_slot_at_epoch(epoch);
        let due = clock.due_ms(&config, slot, deadline)?;
        Some(due - clock.compute_time_at_slot_ms(slot))
    };
    assert_eq!(due(0, Deadline::Block), Some(0));
    assert_eq!(due(0, Deadline::ProposerReorgCutoff), Some(2_000));
    assert_eq!(due(0, Deadline::Attestation), Some(3_999));
    assert_eq!(due(0, Deadline::Aggregate), Some(8_000));
    assert_eq!(due(0, Deadline::SyncMessage), None);
    assert_eq!(due(1, Deadline::SyncMessage), Some(3_999));
    assert_eq!(due(1, Deadline::Contribution), Some(8_000));
    assert_eq!(due(1, Deadline::Payload), None);
    assert_eq!(due(1, Deadline::PayloadAttestation), None);
    assert_eq!(due(2, Deadline::Attestation), Some(3_000));
    assert_eq!(due(2, Deadline::SyncMessage), Some(3_000));
    assert_eq!(due(2, Deadline::Aggregate), Some(6_000));
    assert_eq!(due(2, Deadline::Contribution), Some(6_000));
    assert_eq!(due(2, Deadline::Payload), Some(6_000));
    assert_eq!(due(2, Deadline::PayloadAttestation), Some(9_000));
}

#[test]
fn clocks_may_differ_a_little() {
    let (config, clock) = clock();
    assert!(!clock.is_not_from_future_slot(&config, 1, 111_499));
    assert!(clock.is_not_from_future_slot(&config, 1, 111_500));
    assert!(!clock.is_current_slot(&config, 1, 111_499));
    assert!(clock.is_current_slot(&config, 1, 111_500));
    assert!(clock.is_current_slot(&config, 1, 124_500));
    assert!(!clock.is_current_slot(&config, 1, 124_501));
    assert!(clock.is_within_slot_range(&config, 1, 2, 148_500));
    assert!(!clock.is_within_slot_range(&config, 1, 2, 148_501));
    assert!(clock.is_within_slot_range(&config, 1, u64::MAX, u64::MAX));
    let epoch_ms = SLOTS_PER_EPOCH * 12_000;
    let start = 100_000 + epoch_ms;
    assert!(clock.is_within_epoch(&config, 1, start - 500));
    assert!(!clock.is_within_epoch(&config, 1, start - 501));
    assert!(clock.is_within_epoch(&config, 1, start + epoch_ms + 500));
    assert!(!clock.is_within_epoch(&config, 1, start + epoch_ms + 501));
    assert!(clock.is_current_or_previous_epoch(&config, 1, start + epoch_ms + 501));
    assert!(clock.is_current_or_previous_epoch(&config, 1, start + 2 * epoch_ms + 500));
    assert!(!clock.is_current_or_previous_epoch(&config, 1, start + 2 * epoch_ms + 501));
}
