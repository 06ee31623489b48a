//! What an epoch transition remembers of one validator, in four bytes.

use crate::preset::EFFECTIVE_BALANCE_INCREMENT;
use crate::types::{Gwei, ParticipationFlags};

/// A validator in 32 bits: the low half is its effective balance in increments, the high half are answers to what the
/// steps ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row(u32);

impl Row {
    /// Place of the three participation flags of the previous epoch, set only for the unslashed who were active in it.
    const FLAGS_SHIFT: u32 = 16;
    /// Active in the previous epoch, or slashed and not yet withdrawable. Spec: `get_eligible_validator_indices`.
    pub(crate) const ELIGIBLE: u32 = 1 << 19;
    /// The effective balance does not fit: it is not of whole increments or too large. Look into the registry.
    pub(crate) const ODD: u32 = 1 << 20;
    /// Active at the epoch that the lookahead reaches.
    pub(crate) const AHEAD: u32 = 1 << 21;
    /// Unslashed, active in the current epoch, and voted for its target.
    pub(crate) const CURRENT_TARGET: u32 = 1 << 22;
    /// Slashed.
    pub(crate) const SLASHED: u32 = 1 << 23;
    /// Active in the next epoch.
    pub(crate) const NEXT: u32 = 1 << 24;
    /// Has compounding withdrawal credentials (Electra).
    pub(crate) const COMPOUNDING: u32 = 1 << 25;

    /// A row of that many Gwei, with nothing else set.
    #[inline]
    pub(crate) fn of_effective_balance(effective_balance: Gwei) -> Self {
        let (increments, rest) = (
            effective_balance / EFFECTIVE_BALANCE_INCREMENT,
            effective_balance % EFFECTIVE_BALANCE_INCREMENT,
        );
        if rest != 0 || increments > 0xffff {
            return Row(Row::ODD);
        }
        Row(increments as u32)
    }

    /// Changes the effective balance and nothing else.
    pub(crate) fn set_effective_balance(&mut self, effective_balance: Gwei) {
        self.0 = self.0 & !(Row::ODD | 0xffff) | Row::of_effective_balance(effective_balance).0;
    }

    /// Enters the participation of the previous epoch.
    #[inline]
    pub(crate) fn set_previous_flags(&mut self, flags: ParticipationFlags) {
        self.0 |= u32::from(flags & 7) << Row::FLAGS_SHIFT;
    }

    /// Sets an answer.
    #[inline]
    pub(crate) fn set(&mut self, bit: u32) {
        self.0 |= bit;
    }

    /// Whether an answer is yes.
    #[inline]
    pub(crate) fn has(self, bit: u32) -> bool {
        self.0 & bit != 0
    }

    /// Whether the validator earned a flag in the previous epoch.
    #[inline]
    pub(crate) fn earned(self, flag_index: usize) -> bool {
        self.0 >> Row::FLAGS_SHIFT >> flag_index & 1 == 1
    }

    /// The effective balance in increments; meaningless where [`Row::ODD`].
    #[inline]
    pub(crate) fn increments(self) -> u64 {
        u64::from(self.0 & 0xffff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_keeps_what_fits_and_says_what_does_not() {
        let mut row = Row::of_effective_balance(2048 * EFFECTIVE_BALANCE_INCREMENT);
        assert_eq!((row.increments(), row.has(Row::ODD)), (2048, false));
        row.set(Row::ELIGIBLE);
        row.set_previous_flags(0b1111_1101);
        row.set_effective_balance(31 * EFFECTIVE_BALANCE_INCREMENT);
        assert_eq!((row.increments(), row.has(Row::ELIGIBLE)), (31, true));
        assert_eq!([0, 1, 2].map(|flag| row.earned(flag)), [true, false, true]);
        assert!(!row.has(Row::AHEAD | Row::ODD | Row::SLASHED | Row::NEXT | Row::COMPOUNDING));
        assert!(Row::of_effective_balance(EFFECTIVE_BALANCE_INCREMENT + 1).has(Row::ODD));
        assert!(Row::of_effective_balance(u64::MAX).has(Row::ODD));
        row.set_effective_balance(1);
        assert!(row.has(Row::ODD) && row.has(Row::ELIGIBLE));
    }
}
