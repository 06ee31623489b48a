//! Why something was not signed, in words for the operator's log.

use consensus::types::Slot;
use std::fmt;

/// Why something was not signed. Nothing was published: a refusal never leaves a signature behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No such key is here.
    UnknownKey,
    /// The key is stored but must not sign; holds the reason and what to do.
    Disabled(String),
    /// It contradicts what was signed before; holds what and against what.
    Slashable(String),
    /// It lies ahead of the wall clock: signed today, it would block the key until then.
    Ahead {
        /// The slot of the message.
        slot: Slot,
        /// The slot of the wall clock.
        now: Slot,
    },
    /// The clock is known to be wrong; holds why.
    WrongClock(String),
    /// The message contradicts itself, as no honest node would send it; holds where.
    Malformed(String),
    /// The remote signer that has the key did not sign; holds why.
    Remote(String),
    /// The slashing protection database could not record it; holds the error.
    Database(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey => f.write_str("not signed: this client does not hold the key"),
            Self::Disabled(why) => write!(f, "not signed: the key is disabled: {why}"),
            Self::Slashable(why) => write!(f, "not signed: it could get the validator slashed: {why}"),
            Self::Ahead { slot, now } => write!(
                f,
                "not signed: it is for slot {slot} while the clock is at slot {now}; check the clocks of this machine and \
                 of the beacon node"
            ),
            Self::WrongClock(why) => write!(f, "not signed: the clock of this machine is wrong: {why}"),
            Self::Malformed(why) => write!(f, "not signed: the message contradicts itself: {why}"),
            Self::Remote(why) => write!(f, "not signed: {why}"),
            Self::Database(why) => write!(f, "not signed: the slashing protection database failed: {why}"),
        }
    }
}

impl std::error::Error for Refused {}
