//! What speaks for and against the clock, and what comes of it. Pure: whoever heard something brings the times.
//!
//! A source says by how much our clock is ahead of the right one, between two ends: a `Date` header has whole seconds and
//! an answer takes its time on the way. Each further answer narrows that, so that some of them tell half a second. The
//! clock is wrong while more than half of those who speak contradict it by more than what an answer may be off.

use std::time::{Duration, Instant};

/// An answer may be on its way for that long: less is no contradiction on which a node stops its duties.
pub(super) const TOLERANCE_MS: i64 = 3_000;
/// What is told to the operator: attestations are due a third into a slot, and half a second costs some of them their place.
pub(super) const OFF_MS: i64 = 500;
/// Sources are asked once a minute: what was heard longer ago counts no more.
const MEMORY: Duration = Duration::from_mins(10);
/// Sources: at most eight execution clients, the server of checkpoints, the peers and the chain on disk.
const WORDS_MAX: usize = 16;

/// By how many milliseconds our clock is ahead, somewhere between the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ahead {
    pub(super) least: i64,
    pub(super) most: i64,
}

impl Ahead {
    /// By what a `Date` header says: seconds since 1970, cut off at some moment between `asked_ms` and `answered_ms` of
    /// ours.
    pub(super) fn of_date(date: u64, asked_ms: u64, answered_ms: u64) -> Self {
        let (earliest, latest) = (date.saturating_mul(1000), date.saturating_mul(1000).saturating_add(999));
        Ahead {
            least: difference(asked_ms, latest),
            most: difference(answered_ms, earliest),
        }
    }

    /// By so much and no less: positive for ahead, negative for behind.
    pub(super) fn at_least(ms: i64) -> Self {
        if ms < 0 {
            Ahead {
                least: i64::MIN,
                most: ms,
            }
        } else {
            Ahead {
                least: ms,
                most: i64::MAX,
            }
        }
    }

    /// The least that explains what was said.
    pub(super) fn surely(self) -> i64 {
        if self.least > 0 { self.least } else { self.most.min(0) }
    }

    /// Both at once; what is newer where they exclude each other, since then a clock was set.
    fn and(self, newer: Ahead) -> Ahead {
        let both = Ahead {
            least: self.least.max(newer.least),
            most: self.most.min(newer.most),
        };
        if both.least <= both.most { both } else { newer }
    }
}

/// How much a source counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// It has a clock of its own.
    Full,
    /// It may live on this machine, and says something only where it contradicts.
    Against,
}

#[derive(Clone, Debug)]
struct Word {
    who: String,
    ahead: Ahead,
    weight: Weight,
    at: Instant,
}

impl Word {
    fn contradicts(&self) -> bool {
        self.ahead.surely().abs() > TOLERANCE_MS
    }
}

/// What was heard lately.
#[derive(Clone, Debug, Default)]
pub(super) struct Words {
    words: Vec<Word>,
    /// Whether the kernel calls its clock synchronised; `None` where it says nothing.
    kernel: Option<bool>,
}

/// What comes of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Judgement {
    /// Why the clock is known to be wrong.
    pub(super) wrong: Option<String>,
    /// By whom the clock is off, though not so that it is known to be wrong.
    pub(super) off: Option<String>,
    /// Whether something says that it is right.
    pub(super) vouched: bool,
    /// Whether the kernel says that nothing keeps its clock.
    pub(super) unsynchronised: bool,
}

impl Words {
    pub(super) fn hear_kernel(&mut self, synchronised: Option<bool>) {
        self.kernel = synchronised;
    }

    /// Takes what a source says; it replaces what the source said before, or narrows it.
    pub(super) fn hear(&mut self, who: &str, ahead: Ahead, weight: Weight, at: Instant) {
        if let Some(word) = self.words.iter_mut().find(|word| word.who == who) {
            (word.ahead, word.at) = (word.ahead.and(ahead), at);
            return;
        }
        if self.words.len() < WORDS_MAX {
            let who = who.to_owned();
            self.words.push(Word { who, ahead, weight, at });
        }
    }

    /// Takes back what a source said.
    pub(super) fn withdraw(&mut self, who: &str) {
        self.words.retain(|word| word.who != who);
    }

    /// Forgets all that was said of the clock: it was set.
    pub(super) fn forget(&mut self) {
        self.words.clear();
    }

    /// What is to be thought of the clock.
    pub(super) fn judge(&self, now: Instant) -> Judgement {
        let recent = |word: &&Word| now.saturating_duration_since(word.at) < MEMORY;
        let words: Vec<&Word> = self.words.iter().filter(recent).collect();
        let heard = words
            .iter()
            .filter(|word| word.weight == Weight::Full || word.contradicts());
        let mut ahead: Vec<i64> = heard.map(|word| word.ahead.surely()).collect();
        if self.kernel == Some(true) {
            ahead.push(0);
        }
        let wrong = majority(ahead).map(|ms| sentence(ms, &words, TOLERANCE_MS));
        let furthest = words.iter().map(|word| word.ahead.surely()).max_by_key(|ms| ms.abs());
        let off = furthest.filter(|ms| wrong.is_none() && ms.abs() > OFF_MS);
        let agrees = |word: &&&Word| word.weight == Weight::Full && !word.contradicts();
        Judgement {
            vouched: self.kernel == Some(true) || words.iter().any(|word| agrees(&word)),
            off: off.map(|ms| sentence(ms, &words, OFF_MS)),
            unsynchronised: self.kernel == Some(false),
            wrong,
        }
    }
}

/// By how much more than half of the sources contradict the clock on one side; `None` if they do not.
fn majority(mut ahead: Vec<i64>) -> Option<i64> {
    ahead.sort_unstable();
    // With more than half beyond the tolerance on one side, both middle ones of an even count are there.
    let low = *ahead.get((ahead.len().max(1) - 1) / 2)?;
    let high = *ahead.get(ahead.len() / 2)?;
    let middle = if low.abs() < high.abs() { low } else { high };
    (middle.abs() > TOLERANCE_MS && low.signum() == high.signum()).then_some(middle)
}

/// By how much and by whom, and what helps.
fn sentence(ms: i64, words: &[&Word], beyond: i64) -> String {
    let side = if ms > 0 { "ahead" } else { "behind" };
    let same = |word: &&&Word| {
        let said = word.ahead.surely();
        said.signum() == ms.signum() && said.abs() > beyond
    };
    let who: Vec<&str> = words.iter().filter(same).map(|word| word.who.as_str()).collect();
    let seconds = ms.unsigned_abs() as f64 / 1000.0;
    format!(
        "it is {seconds:.1} s {side} by what {} says; set it (timedatectl, chrony or ntpd)",
        who.join(" and ")
    )
}

/// `a - b`, as near to it as an `i64` comes.
pub(super) fn difference(a: u64, b: u64) -> i64 {
    let size = i64::try_from(a.abs_diff(b)).unwrap_or(i64::MAX);
    if a < b { -size } else { size }
}

/// Seconds since 1970 of `Tue, 15 Nov 1994 08:12:31 GMT`. Spec: RFC 9110, section 5.6.7 (the one form that is sent).
pub(super) fn parse_http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let mut words = text.split_once(", ")?.1.split(' ');
    let day: u64 = words.next()?.parse().ok()?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|month| *month == name)? as u64;
    let year: u64 = words.next()?.parse().ok()?;
    let mut time = words.next()?.split(':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    let is_time = hour < 24 && minute < 60 && second <= 60;
    if !(1970..10_000).contains(&year) || !(1..=31).contains(&day) || !is_time || words.next() != Some("GMT") {
        return None;
    }
    // Years begin with March here, so that the leap day is the last; 719468 days lie between March of year 0 and 1970.
    let (year, month_from_march) = if month < 2 {
        (year - 1, month + 10)
    } else {
        (year, month - 2)
    };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

/// What a certificate says that is not valid at our time, in the words of the TLS library: by how much our clock is at
/// least off, if it is the clock that is wrong.
pub(super) fn of_certificate(error: &str) -> Option<Ahead> {
    let number_after = |mark: &str| -> Option<i64> {
        let rest = error.split_once(mark)?.1;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    };
    let ours = number_after("verification time ")?;
    let bound = number_after("not valid before ").or_else(|| number_after("not valid after "))?;
    Some(Ahead::at_least(ours.saturating_sub(bound).saturating_mul(1000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn words(said: &[(&str, i64, Weight)], kernel: Option<bool>) -> Words {
        let mut words = Words::default();
        words.hear_kernel(kernel);
        for (who, ms, weight) in said {
            let ahead = Ahead { least: *ms, most: *ms };
            words.hear(who, ahead, *weight, Instant::now());
        }
        words
    }

    fn judge(said: &[(&str, i64, Weight)], kernel: Option<bool>) -> Judgement {
        words(said, kernel).judge(Instant::now())
    }

    #[test]
    fn a_date_header_contradicts_only_what_it_cannot_mean() {
        // Read at 10.000-10.999 by the server, between 9.5 and 10.2 by us.
        assert_eq!(Ahead::of_date(10, 9_500, 10_200).surely(), 0);
        assert_eq!(Ahead::of_date(10, 12_500, 12_900).surely(), 1_501);
        assert_eq!(Ahead::of_date(10, 7_000, 8_000).surely(), -2_000);
        assert!(Ahead::of_date(u64::MAX, 0, 0).surely() < 0);
    }

    #[test]
    fn several_dates_tell_less_than_a_second() {
        // Our clock is 700 ms ahead, and each answer is there at once.
        let mut words = Words::default();
        for true_ms in [10_100_u64, 13_500, 17_950] {
            let ours = true_ms + 700;
            words.hear(
                "server",
                Ahead::of_date(true_ms / 1000, ours, ours),
                Weight::Full,
                Instant::now(),
            );
        }
        let judged = words.judge(Instant::now());
        assert_eq!(judged.wrong, None);
        let off = judged.off.unwrap();
        assert!(off.contains("0.7 s ahead by what server says"), "{off}");
        // The clock was set: what excludes the rest is believed.
        words.hear(
            "server",
            Ahead::of_date(20, 20_300, 20_300),
            Weight::Full,
            Instant::now(),
        );
        assert_eq!(words.judge(Instant::now()).off, None);
    }

    #[test]
    fn the_clock_is_wrong_when_most_say_so() {
        let (full, against) = (Weight::Full, Weight::Against);
        assert_eq!(judge(&[], None).wrong, None);
        let alone = judge(&[("server", -HOUR, full)], Some(false));
        let why = alone.wrong.unwrap();
        assert!(
            why.contains("3600.0 s behind by what server says") && why.contains("chrony"),
            "{why}"
        );
        assert!(!alone.vouched);
        // A tie is none, but told.
        let tie = judge(&[("server", HOUR, full)], Some(true));
        assert_eq!(tie.wrong, None);
        assert!(tie.off.unwrap().contains("3600.0 s ahead by what server says"));
        assert!(
            judge(&[("a", HOUR, full), ("b", 2 * HOUR, full)], Some(true))
                .wrong
                .is_some()
        );
        assert_eq!(judge(&[("a", HOUR, full), ("b", -HOUR, full)], None).wrong, None);
        // What may be on this machine does not speak for its clock, only against.
        let near = [("near", 0, against), ("server", HOUR, full)];
        assert!(judge(&near, None).wrong.is_some());
        assert!(!judge(&near[..1], None).vouched);
        assert!(judge(&[("near", HOUR, against)], None).wrong.is_some());
        assert_eq!(judge(&[("server", TOLERANCE_MS, full)], None).wrong, None);
    }

    #[test]
    fn what_was_heard_long_ago_counts_no_more() {
        let later = Instant::now() + MEMORY + Duration::from_secs(1);
        let mut words = words(&[("server", HOUR, Weight::Full)], Some(false));
        assert_eq!(
            words.judge(later),
            Judgement {
                unsynchronised: true,
                ..Judgement::default()
            }
        );
        assert!(words.judge(Instant::now()).wrong.is_some());
        words.withdraw("server");
        assert_eq!(words.judge(Instant::now()).wrong, None);
        for number in 0..2 * WORDS_MAX {
            let ahead = Ahead { least: 0, most: 0 };
            words.hear(&number.to_string(), ahead, Weight::Full, Instant::now());
        }
        assert_eq!(words.words.len(), WORDS_MAX);
        words.forget();
        assert!(!words.judge(Instant::now()).vouched);
    }

    #[test]
    fn dates_are_read() {
        for (text, seconds) in [
            ("Tue, 15 Nov 1994 08:12:31 GMT", Some(784_887_151)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Thu, 29 Feb 2024 23:59:60 GMT", Some(1_709_251_200)),
            ("Sun, 01 Mar 2026 00:00:00 GMT", Some(1_772_323_200)),
            ("Sun, 01 Mar 2026 00:00:00 CET", None),
            ("Sun, 01 Mär 2026 00:00:00 GMT", None),
            ("Sun, 01 Mar 2026 25:00:00 GMT", None),
            ("soon", None),
        ] {
            assert_eq!(parse_http_date(text), seconds, "{text}");
        }
    }

    #[test]
    fn a_certificate_of_another_time_speaks_against_the_clock() {
        let early = "invalid peer certificate: certificate not valid yet: verification time 5 (UNIX), but certificate is \
                     not valid before 1000 (995 seconds in future)";
        assert_eq!(of_certificate(early).unwrap().surely(), -995_000);
        let late = "invalid peer certificate: certificate expired: verification time 1000 (UNIX), but certificate is not \
                    valid after 5 (995 seconds ago)";
        assert_eq!(of_certificate(late).unwrap().surely(), 995_000);
        assert_eq!(of_certificate("connection refused"), None);
    }
}
