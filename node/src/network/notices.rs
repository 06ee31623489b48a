//! Sentences for the operator that hold for a while: told by the log when they begin to hold, and by the API for as long
//! as they do.

use std::time::Duration;

/// How often what still holds is told by the log again: it is no news, and must not be missed.
const AGAIN: Duration = Duration::from_hours(24);

/// One of them.
#[derive(Debug, Default)]
pub(crate) struct Notice {
    text: Option<String>,
    told: Option<Duration>,
}

impl Notice {
    /// What holds now. `true` if the operator is to be told: it begins to hold, or has held for a day.
    pub(crate) fn set(&mut self, text: Option<String>, now: Duration) -> bool {
        self.text = text;
        if self.text.is_none() {
            self.told = None;
            return false;
        }
        let is_due = self.told.is_none_or(|told| now >= told + AGAIN);
        if is_due {
            self.told = Some(now);
        }
        is_due
    }

    /// The sentence, while it holds.
    pub(crate) fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_is_told_when_it_begins_and_once_a_day() {
        let (mut notice, hour) = (Notice::default(), Duration::from_hours(1));
        let text = |text: &str| Some(text.to_owned());
        assert!(!notice.set(None, hour));
        assert!(notice.set(text("a"), hour));
        assert!(!notice.set(text("b"), hour * 24), "other figures are no news");
        assert_eq!(notice.text(), Some("b"));
        assert!(notice.set(text("b"), hour * 25));
        assert!(!notice.set(None, hour * 26));
        assert_eq!(notice.text(), None);
        assert!(notice.set(text("a"), hour * 27));
    }
}
