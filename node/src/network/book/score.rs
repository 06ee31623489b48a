//! How well a peer has done.

use super::super::peer::Offence;
use std::time::Duration;

/// A stranger's score: what it may lose before it goes.
const START: f64 = 20.0;

/// The best there is: who has served well for long is forgiven one grave thing, not a series of them.
const BEST: f64 = 50.0;

/// The worst there is: it takes an hour and a half from there back to 0.
const WORST: f64 = -100.0;

/// Below this a peer is banned: two invalid messages, or six that no honest peer sends, in short order.
const BAN: f64 = -40.0;

/// After this long half of what was done, good or bad, is forgotten. Peers behind a bad line for some minutes come back;
/// who errs once a minute all the time does not stay.
const HALF_LIFE: Duration = Duration::from_mins(10);

/// What a peer did well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoodDeed {
    /// It answered a request as it should.
    Answered,
    /// It was the first to bring something valid by gossip.
    First,
}

/// A score that drifts back to where strangers begin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    value: f64,
    at: Duration,
}

impl Score {
    /// A stranger's.
    pub fn new(now: Duration) -> Score {
        Score { value: START, at: now }
    }

    fn exact(&self, now: Duration) -> f64 {
        let halves = now.saturating_sub(self.at).as_secs_f64() / HALF_LIFE.as_secs_f64();
        START + (self.value - START) * (-halves).exp2()
    }

    /// The score at a time, rounded down.
    pub fn at(&self, now: Duration) -> i32 {
        self.exact(now).floor() as i32
    }

    /// Whether it is so bad that the peer is to be banned.
    pub fn is_ban(&self, now: Duration) -> bool {
        self.exact(now) < BAN
    }

    /// Whether there is something to hold against it.
    pub fn is_blamed(&self, now: Duration) -> bool {
        self.exact(now) < START - 1.0
    }

    /// Lowers it for an offence. Another chain is no offence against this one: it only means goodbye.
    pub fn blame(&mut self, offence: &Offence, now: Duration) {
        let cost = match offence {
            Offence::Unreliable(_) => 2.0,
            Offence::Wrong(_) => 10.0,
            Offence::Invalid(_) => 40.0,
            Offence::OtherChain => 0.0,
        };
        self.change(-cost, now);
    }

    /// Raises it for a good deed: slowly, so that good conduct cannot be saved up for a quick attack.
    pub fn praise(&mut self, deed: GoodDeed, now: Duration) {
        let worth = match deed {
            GoodDeed::Answered => 0.5,
            GoodDeed::First => 0.1,
        };
        self.change(worth, now);
    }

    fn change(&mut self, by: f64, now: Duration) {
        self.value = (self.exact(now) + by).clamp(WORST, BEST);
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consensus::Invalid;

    #[test]
    fn offences_weigh_what_they_should() {
        let now = Duration::from_secs(5);
        let invalid = Offence::Invalid(Invalid::new("rule", "detail".to_owned()));
        let mut score = Score::new(now);
        score.blame(&invalid, now);
        assert!(
            score.at(now) < 0 && !score.is_ban(now),
            "one invalid message: goodbye, no ban"
        );
        score.blame(&invalid, now);
        assert!(score.is_ban(now), "two: a ban");

        let mut score = Score::new(now);
        for _ in 0..10 {
            score.blame(&Offence::Unreliable("late"), now);
        }
        assert_eq!(score.at(now), 0, "ten late answers are forgiven");
        score.blame(&Offence::OtherChain, now);
        assert_eq!(score.at(now), 0);
        score.blame(&Offence::Unreliable("late"), now);
        assert!(score.at(now) < 0, "and no more");
    }

    #[test]
    fn time_forgives_and_forgets() {
        let mut score = Score::new(Duration::ZERO);
        score.blame(&Offence::Wrong("it"), Duration::ZERO);
        assert_eq!(score.at(Duration::ZERO), 10);
        assert_eq!(score.at(HALF_LIFE), 15);
        assert_eq!(score.at(HALF_LIFE * 30), 19, "back to a stranger's, rounded down");
        let mut best = Score::new(Duration::ZERO);
        for _ in 0..10_000 {
            best.praise(GoodDeed::Answered, Duration::ZERO);
        }
        assert_eq!(best.at(Duration::ZERO), 50);
        assert_eq!(best.at(HALF_LIFE), 35);
        let mut worst = Score::new(Duration::ZERO);
        for _ in 0..1000 {
            worst.blame(&Offence::Wrong("it"), Duration::ZERO);
        }
        assert_eq!(worst.at(Duration::ZERO), -100);
        assert!(worst.at(HALF_LIFE * 3) >= 0 || worst.at(HALF_LIFE * 9 / 3) >= -1);
    }

    #[test]
    fn who_errs_every_minute_does_not_stay() {
        let mut score = Score::new(Duration::ZERO);
        let mut went = None;
        for minute in 1..120 {
            let now = Duration::from_secs(60 * minute);
            score.blame(&Offence::Unreliable("late"), now);
            if score.at(now) < 0 {
                went = Some(minute);
                break;
            }
        }
        assert!(went.is_some_and(|minute| minute > 5), "{went:?}");
    }
}
