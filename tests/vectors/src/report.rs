//! The tallies of a run and how they are shown.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use consensus::Fork;

use crate::judge::{Judgement, Status};
use crate::source::{CasePath, Walk};

/// Failures shown in full; the rest is only counted, or a broken module would fill the screen.
const SHOWN_FAILURES: usize = 40;

/// A row of the table, ordered as shown: `general` first, forks by age, then by runner.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct RowKey {
    specific: bool,
    fork_age: usize,
    preset: String,
    fork: String,
    runner: String,
}

impl RowKey {
    fn of(path: &CasePath) -> Self {
        RowKey {
            specific: path.preset() != "general",
            fork_age: Fork::from_str(path.fork()).map_or(usize::MAX, |fork| fork as usize),
            preset: path.preset().to_owned(),
            fork: path.fork().to_owned(),
            runner: path.runner().to_owned(),
        }
    }
}

/// The tallies of one fork and runner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Passed as they should.
    pub passed: usize,
    /// Failed.
    pub failed: usize,
    /// Left out for a listed reason.
    pub skipped: usize,
    /// Case folders counted by the walk, independently of the three others.
    pub on_disk: usize,
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.on_disk += other.on_disk;
    }
}

/// Everything a run found.
#[derive(Debug, Default)]
pub struct Summary {
    rows: BTreeMap<RowKey, Tally>,
    /// Path and sentence of each failed case.
    pub failures: Vec<(String, String)>,
    /// Refusals per rule, by `runner/handler`.
    pub rules: BTreeMap<String, BTreeMap<String, usize>>,
    skipped: BTreeMap<(&'static str, String), usize>,
    /// What the walk saw beside the cases.
    pub walk: Walk,
    /// Whether expectations were damaged.
    pub tamper: bool,
}

impl Summary {
    pub(crate) fn count_on_disk(&mut self, path: &CasePath) {
        self.rows.entry(RowKey::of(path)).or_default().on_disk += 1;
    }

    pub(crate) fn add(&mut self, path: &CasePath, judgement: Judgement) {
        let row = self.rows.entry(RowKey::of(path)).or_default();
        match judgement.status {
            Status::Passed => row.passed += 1,
            Status::Failed(sentence) => {
                row.failed += 1;
                self.failures.push((path.to_string(), sentence));
            }
            Status::Skipped(reason) => {
                row.skipped += 1;
                *self.skipped.entry((reason, path.runner().to_owned())).or_default() += 1;
            }
        }
        let handler = format!("{}/{}", path.runner(), path.handler());
        for rule in judgement.rules {
            *self.rules.entry(handler.clone()).or_default().entry(rule).or_default() += 1;
        }
    }

    pub(crate) fn merged(mut self, other: Summary) -> Summary {
        for (key, tally) in other.rows {
            self.rows.entry(key).or_default().add(tally);
        }
        self.failures.extend(other.failures);
        for (handler, rules) in other.rules {
            let sum = self.rules.entry(handler).or_default();
            for (rule, count) in rules {
                *sum.entry(rule).or_default() += count;
            }
        }
        for (skip, count) in other.skipped {
            *self.skipped.entry(skip).or_default() += count;
        }
        self
    }

    /// The sum of all rows.
    pub fn total(&self) -> Tally {
        self.rows.values().fold(Tally::default(), |mut sum, tally| {
            sum.add(*tally);
            sum
        })
    }

    pub(crate) fn on_disk(&self) -> usize {
        self.total().on_disk
    }

    /// Case counts in the form of the committed expectation: `preset fork runner count`, one a line.
    pub fn counts(&self) -> String {
        let line =
            |(key, tally): (&RowKey, &Tally)| format!("{} {} {} {}\n", key.preset, key.fork, key.runner, tally.on_disk);
        self.rows.iter().map(line).collect()
    }

    /// Why the run as a whole is no success although its cases may be, one sentence each.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = self.walk.problems.clone();
        let total = self.total();
        let told = total.passed + total.failed + total.skipped;
        if told != total.on_disk {
            problems.push(format!("{told} cases were judged, but {} lie on disk", total.on_disk));
        }
        problems
    }

    /// No failed case and no problem.
    pub fn is_success(&self) -> bool {
        self.total().failed == 0 && self.problems().is_empty()
    }

    fn write_rows(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<28} {:<18} {:>8} {:>8} {:>8} {:>8}",
            "fork", "runner", "passed", "failed", "skipped", "on disk"
        )?;
        let mut last = String::new();
        for (key, tally) in &self.rows {
            let fork = format!("{}/{}", key.preset, key.fork);
            let shown = if fork == last { "" } else { fork.as_str() };
            let Tally {
                passed,
                failed,
                skipped,
                on_disk,
            } = tally;
            writeln!(
                f,
                "{shown:<28} {:<18} {passed:>8} {failed:>8} {skipped:>8} {on_disk:>8}",
                key.runner
            )?;
            last = fork;
        }
        Ok(())
    }

    fn write_rules(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.rules.is_empty() {
            writeln!(f, "\nrules that refused, per handler:")?;
        }
        for (handler, rules) in &self.rules {
            let rules: Vec<String> = rules.iter().map(|(rule, count)| format!("{rule} {count}")).collect();
            writeln!(f, "  {handler}: {}", rules.join(", "))?;
        }
        Ok(())
    }

    fn write_skips(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut reasons: BTreeMap<&str, (usize, Vec<String>)> = BTreeMap::new();
        for ((reason, runner), count) in &self.skipped {
            let (sum, runners) = reasons.entry(reason).or_default();
            *sum += count;
            runners.push(format!("{runner} {count}"));
        }
        if !reasons.is_empty() {
            writeln!(f, "\nskipped, by reason:")?;
        }
        for (reason, (sum, runners)) in reasons {
            writeln!(f, "  {sum} for '{reason}': {}", runners.join(", "))?;
        }
        for (preset, cases) in &self.walk.other_presets {
            writeln!(
                f,
                "\nnot counted: {cases} cases of preset {preset}; this build is {}",
                crate::PRESET
            )?;
        }
        Ok(())
    }

    fn write_failures(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.failures.is_empty() {
            writeln!(f, "\nfailures:")?;
        }
        for (path, sentence) in self.failures.iter().take(SHOWN_FAILURES) {
            writeln!(f, "  {path}\n    {sentence}")?;
        }
        if self.failures.len() > SHOWN_FAILURES {
            writeln!(f, "  … and {} more", self.failures.len() - SHOWN_FAILURES)?;
        }
        for problem in self.problems() {
            writeln!(f, "\nproblem: {problem}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_rows(f)?;
        self.write_rules(f)?;
        self.write_skips(f)?;
        self.write_failures(f)?;
        if self.tamper {
            writeln!(
                f,
                "\ntampered: 'passed' counts valid cases that failed as they must, and invalid cases refused by a rule"
            )?;
        }
        let Tally {
            passed,
            failed,
            skipped,
            ..
        } = self.total();
        writeln!(f, "\n{passed} passed, {failed} failed, {skipped} skipped")
    }
}
