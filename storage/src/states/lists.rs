//! The lists of a state that are stored by themselves, and in which way.
//!
//! Everything else is the rest, so that a field added by a fork is stored without a line here; only a list that grows
//! with the registry or with a queue deserves one.

use consensus::ssz::{PersistentList, Ssz};
use consensus::types::BeaconState;
use std::io;

/// Picks a list of a state.
pub(crate) type Pick<T> = fn(&mut BeaconState) -> &mut PersistentList<T>;

/// How a list of structures changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// In single items, and at its end.
    InPlace,
    /// It loses items at its front and gains some at its end.
    Queue,
}

/// Something that is done with every list, in one order.
pub(crate) trait Visitor {
    /// A list of structures, of which few change.
    fn items<T: Ssz + 'static>(&mut self, pick: Pick<T>, change: Change) -> io::Result<()>;
    /// A list of numbers, of which nearly all change a little.
    fn numbers(&mut self, pick: Pick<u64>) -> io::Result<()>;
    /// A list of flags, of which most are alike.
    fn flags(&mut self, pick: Pick<u8>) -> io::Result<()>;
}

/// Visits all lists. Those that a fork does not have are empty.
pub(crate) fn visit(visitor: &mut impl Visitor) -> io::Result<()> {
    visitor.items(|state| &mut state.historical_roots, Change::InPlace)?;
    visitor.items(|state| &mut state.validators, Change::InPlace)?;
    visitor.numbers(|state| &mut state.balances)?;
    visitor.flags(|state| &mut state.previous_epoch_participation)?;
    visitor.flags(|state| &mut state.current_epoch_participation)?;
    visitor.numbers(|state| &mut state.inactivity_scores)?;
    visitor.items(|state| &mut state.historical_summaries, Change::InPlace)?;
    visitor.items(|state| &mut state.pending_deposits, Change::Queue)?;
    visitor.items(|state| &mut state.pending_partial_withdrawals, Change::Queue)?;
    visitor.items(|state| &mut state.pending_consolidations, Change::Queue)?;
    visitor.items(|state| &mut state.builders, Change::InPlace)
}

/// Takes the lists out of a state.
struct Strip<'a>(&'a mut BeaconState);

impl Visitor for Strip<'_> {
    fn items<T: Ssz + 'static>(&mut self, pick: Pick<T>, _: Change) -> io::Result<()> {
        let list = pick(self.0);
        *list = list.rebuilt([]);
        Ok(())
    }

    fn numbers(&mut self, pick: Pick<u64>) -> io::Result<()> {
        self.items(pick, Change::InPlace)
    }

    fn flags(&mut self, pick: Pick<u8>) -> io::Result<()> {
        self.items(pick, Change::InPlace)
    }
}

/// A state without its lists.
pub(crate) fn stripped(state: &BeaconState) -> io::Result<BeaconState> {
    let mut rest = state.clone();
    visit(&mut Strip(&mut rest))?;
    Ok(rest)
}
