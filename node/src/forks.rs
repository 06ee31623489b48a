//! Forks that the network has scheduled and this version does not run: it says so from far off, and stops before it
//! would follow the wrong chain.
//!
//! Docs: docs/architecture.md §1, "What this round holds".

use consensus::constants::FAR_FUTURE_EPOCH;
use consensus::slot_clock::SlotClock;
use consensus::types::Epoch;
use consensus::{Config, Fork};

/// The newest fork that node and client run.
pub const NEWEST: Fork = Fork::Fulu;

/// The first scheduled fork that this version does not run: its name and epoch.
pub fn beyond(config: &Config) -> Option<(String, Epoch)> {
    let known = config.scheduled_forks().filter(|(fork, _, _)| *fork > NEWEST);
    let known = known.map(|(fork, _, epoch)| (fork.name().to_owned(), epoch));
    let all = known.chain(config.unknown_forks());
    all.filter(|(_, epoch)| *epoch != FAR_FUTURE_EPOCH)
        .min_by_key(|(_, epoch)| *epoch)
}

/// Why the node must not go on in `epoch`: the next epoch belongs to a fork that it does not run. `None` if it may.
pub fn stop_in(config: &Config, epoch: Epoch) -> Option<String> {
    let (name, at) = beyond(config)?;
    (epoch.saturating_add(1) >= at).then(|| {
        format!(
            "the network goes over to the fork {name} at epoch {at}, and this version runs forks up to {} only: \
             install a version that runs {name}. Keys and database stay as they are",
            NEWEST.name()
        )
    })
}

/// How long the fork is still away, for a warning at the start; `None` if none is scheduled.
pub fn warning(config: &Config, clock: &SlotClock, now_ms: u64) -> Option<String> {
    let (name, at) = beyond(config)?;
    let start = clock.compute_time_at_slot_ms(consensus::helpers::misc::compute_start_slot_at_epoch(at));
    let days = start.saturating_sub(now_ms) / (24 * 3600 * 1000);
    Some(format!(
        "the network goes over to the fork {name} at epoch {at}, in {days} days: this version does not run it and will \
         stop before; install one that does in time"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_beyond_stops_the_node_an_epoch_ahead() {
        let mut config = Config::standard().with_forks_at_genesis(Fork::Fulu);
        config.set_fork_epoch(Fork::Gloas, FAR_FUTURE_EPOCH);
        assert_eq!(beyond(&config), None);
        assert_eq!(stop_in(&config, 1_000_000), None);
        config.set_fork_epoch(Fork::Gloas, 100);
        assert_eq!(beyond(&config), Some(("gloas".to_owned(), 100)));
        assert_eq!(stop_in(&config, 98), None);
        let why = stop_in(&config, 99).unwrap();
        assert!(why.contains("gloas at epoch 100"), "{why}");
        assert!(stop_in(&config, 5_000).is_some());
        let clock = SlotClock::new(&config, 0);
        let warning = warning(&config, &clock, 0).unwrap();
        assert!(warning.contains("gloas at epoch 100"), "{warning}");
    }
}
