//! Warnings that come again and again: each kind is shown once a minute, with how often it came.
//!
//! Two warnings are of a kind if they come from one place in the program and differ in nothing but decimal numbers: slots,
//! counts and times change with every repetition, while a key or a root (`0x…`) names another thing. The first is shown at
//! once. Those that follow within a minute are counted, and the last of them is shown when the minute is over and
//! anything is logged; a node and a client log a line in every slot.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How often one kind is shown.
const ONCE_IN: Duration = Duration::from_mins(1);
/// Kinds that are remembered: the program has a few hundred places that warn. What is beyond is shown each time.
const KINDS_MAX: usize = 512;

/// A kind that was shown not long ago.
struct Shown {
    at: Instant,
    /// How often it came since.
    hidden: u64,
    /// The whole line that came last.
    last: String,
}

/// What has been shown.
#[derive(Default)]
pub(super) struct Repeats {
    kinds: HashMap<String, Shown>,
}

impl Repeats {
    /// Whether a warning is to be shown now; one that is not is kept as the last of its kind. `line` is all that would be
    /// written, `text` what it says.
    pub(super) fn shows(&mut self, text: &str, line: &str, now: Instant) -> bool {
        let kind = kind_of(text);
        if let Some(shown) = self.kinds.get_mut(&kind) {
            shown.hidden += 1;
            line.clone_into(&mut shown.last);
            return false;
        }
        if self.kinds.len() < KINDS_MAX {
            let (hidden, last) = (0, String::new());
            self.kinds.insert(kind, Shown { at: now, hidden, last });
        }
        true
    }

    /// The lines that are due: of each kind whose minute is over and that came again within it, the last, with how often.
    pub(super) fn due(&mut self, now: Instant) -> Vec<String> {
        let mut due = Vec::new();
        self.kinds.retain(|_, shown| {
            if now.saturating_duration_since(shown.at) < ONCE_IN {
                return true;
            }
            let times = shown.hidden;
            if times > 0 {
                due.push(format!("{} (the last of {times} in a minute)", shown.last.trim_end()));
                (shown.at, shown.hidden) = (now, 0);
            }
            times > 0
        });
        due.sort_unstable();
        due
    }
}

/// The text without its decimal numbers. Digits that belong to a word or a `0x…` stay.
fn kind_of(text: &str) -> String {
    let mut kind = String::with_capacity(text.len());
    let mut in_word = false;
    for letter in text.chars() {
        let is_number = letter.is_ascii_digit() && !in_word;
        in_word = letter.is_alphanumeric() && !is_number || in_word && letter.is_ascii_digit();
        match is_number {
            true if kind.ends_with('#') => {}
            true => kind.push('#'),
            // `0x` begins with a digit that is none: what follows belongs to it.
            false => kind.push(letter),
        }
    }
    kind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_make_no_other_kind_but_names_do() {
        assert_eq!(
            kind_of("late: 3 attestations of slot 57"),
            kind_of("late: 12 attestations of slot 8")
        );
        assert_eq!(kind_of("took 1.5 s"), kind_of("took 12.25 s"));
        assert_ne!(
            kind_of("the key 0x12ab is refused"),
            kind_of("the key 0x13ab is refused")
        );
        assert_ne!(kind_of("node-1 is not there"), kind_of("client-1 is not there"));
    }

    #[test]
    fn a_kind_is_shown_once_a_minute_with_its_count() {
        let begun = Instant::now();
        let at = |seconds: u64| begun + Duration::from_secs(seconds);
        let mut repeats = Repeats::default();
        assert!(repeats.shows("slot 1 is late", "WARN slot 1 is late\n", at(0)));
        assert!(repeats.shows("another", "WARN another\n", at(1)));
        for slot in 2..=4 {
            let line = format!("WARN slot {slot} is late\n");
            assert!(!repeats.shows(&format!("slot {slot} is late"), &line, at(slot)));
        }
        assert!(repeats.due(at(59)).is_empty());
        assert_eq!(repeats.due(at(60)), ["WARN slot 4 is late (the last of 3 in a minute)"]);
        // That counts as shown; a minute without it, and it is new.
        assert!(!repeats.shows("slot 9 is late", "WARN slot 9 is late\n", at(119)));
        assert_eq!(
            repeats.due(at(120)),
            ["WARN slot 9 is late (the last of 1 in a minute)"]
        );
        assert!(repeats.due(at(180)).is_empty());
        assert!(repeats.shows("slot 20 is late", "WARN slot 20 is late\n", at(181)));
    }

    #[test]
    fn what_cannot_be_remembered_is_shown() {
        let mut repeats = Repeats::default();
        let now = Instant::now();
        for number in 0..=KINDS_MAX {
            assert!(repeats.shows(&format!("0x{number:x}"), "", now));
        }
        let text = format!("0x{KINDS_MAX:x}");
        assert!(repeats.shows(&text, "", now) && repeats.shows(&text, "", now));
        assert_eq!(repeats.kinds.len(), KINDS_MAX);
    }
}
