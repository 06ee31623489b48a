//! The verdict on one case: what its runner said, and whether the runner earned it.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::str::FromStr;
use std::sync::Once;

use consensus::Fork;

use crate::runners::Runner;
use crate::skips::Skip;
use crate::source::CaseFiles;
use crate::{Case, Failure, Verdict};

/// Most expectations of a case damaged one by one: a long chain of steps would else run hundreds of times.
const MAX_DAMAGED: usize = 8;

/// The end of one case.
#[derive(Debug)]
pub enum Status {
    /// Passed; in `--tamper` mode: failed as it must.
    Passed,
    /// Failed, with the sentence.
    Failed(String),
    /// Not run, with the reason.
    Skipped(&'static str),
}

/// The end of one case with the rules that refused something in it.
#[derive(Debug)]
pub struct Judgement {
    /// How it ended.
    pub status: Status,
    /// Names of rules, one per refusal.
    pub rules: Vec<String>,
}

/// Runs one case, in `--tamper` mode once more for each expectation that is damaged.
pub fn judge(files: &CaseFiles, runners: &[Runner], skips: &[Skip], tamper: bool) -> Judgement {
    if let Some(skip) = skips.iter().find(|skip| skip.covers(&files.path)) {
        return Judgement {
            status: Status::Skipped(skip.reason),
            rules: Vec::new(),
        };
    }
    match find(files, runners).and_then(|(runner, fork)| examine(files, runner, fork, tamper)) {
        Ok(rules) => Judgement {
            status: Status::Passed,
            rules,
        },
        Err(failure) => Judgement {
            status: Status::Failed(failure.to_string()),
            rules: Vec::new(),
        },
    }
}

/// The runner and fork of a case; unknown ones are failures.
fn find<'r>(files: &CaseFiles, runners: &'r [Runner]) -> Result<(&'r Runner, Fork), Failure> {
    let path = &files.path;
    let fork = Fork::from_str(path.fork())?;
    let known = || runners.iter().map(|runner| runner.name).collect::<Vec<_>>().join(", ");
    let runner = runners
        .iter()
        .find(|runner| runner.name == path.runner())
        .ok_or_else(|| Failure::new(format!("unknown runner '{}'; known are {}", path.runner(), known())))?;
    if runner.handlers.knows(path.handler(), fork) {
        Ok((runner, fork))
    } else {
        Err(Failure::new(format!(
            "runner '{}' knows no handler or type '{}' in {fork}",
            runner.name,
            path.handler()
        )))
    }
}

fn examine(files: &CaseFiles, runner: &Runner, fork: Fork, tamper: bool) -> Result<Vec<String>, Failure> {
    let case = Case::new(files, fork, None);
    let verdict = run_caught(&case, runner)?;
    if let Some(unread) = case.unread() {
        return Err(Failure::new(unread));
    }
    let (compared, rules) = (case.compared(), case.rules());
    match verdict {
        Verdict::Refused if rules.is_empty() || rules.iter().any(String::is_empty) => {
            Err(Failure::new("refused as it must be, but by no rule that has a name"))
        }
        Verdict::Valid if compared == 0 => Err(Failure::new("the runner compared nothing")),
        Verdict::Valid if tamper => damage_each(files, runner, fork, compared).map(|()| rules),
        Verdict::Valid | Verdict::Refused => Ok(rules),
    }
}

/// Demands that the case fails by a comparison when any one of its expectations is damaged.
fn damage_each(files: &CaseFiles, runner: &Runner, fork: Fork, compared: usize) -> Result<(), Failure> {
    let picks = compared.min(MAX_DAMAGED);
    for pick in 0..picks {
        // Evenly spread, the first and the last among them.
        let number = if picks == 1 {
            0
        } else {
            pick * (compared - 1) / (picks - 1)
        };
        let damaged = format!("expectation {} of {compared} damaged", number + 1);
        match run_caught(&Case::new(files, fork, Some(number)), runner) {
            Err(failure) if failure.is_mismatch() => {}
            Err(failure) => {
                return Err(Failure::new(format!(
                    "{damaged}: failed, but not by comparing: {failure}"
                )));
            }
            Ok(_) => return Err(Failure::new(format!("{damaged}: passes all the same"))),
        }
    }
    Ok(())
}

thread_local! {
    /// Where and why the last panic of this thread happened.
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// A panic in a case is a failure of that case.
fn run_caught(case: &Case, runner: &Runner) -> Result<Verdict, Failure> {
    note_panics();
    panic::catch_unwind(AssertUnwindSafe(|| {
        check_manifest(case, runner)?;
        (runner.run)(case)
    }))
    .unwrap_or_else(|_| Err(Failure::new(format!("panic: {}", PANIC.with_borrow(Clone::clone)))))
}

/// Keeps the message of a panic for the report instead of printing it amid the others.
fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if std::thread::current().name() == Some(crate::run::WORKER) {
                PANIC.set(info.to_string().replace('\n', " "));
            } else {
                usual(info);
            }
        }));
    });
}

/// The manifest repeats the path of the case; a difference means that the case stands in the wrong place.
fn check_manifest(case: &Case, runner: &Runner) -> Result<(), Failure> {
    const FILE: &str = "manifest.yaml";
    if runner.manifest_may_lack && !case.has(FILE) {
        return Ok(());
    }
    let manifest = case.yaml(FILE)?;
    let path = case.path();
    let parts = [
        ("preset", path.preset()),
        ("fork", path.fork()),
        ("runner", path.runner()),
        ("handler", path.handler()),
        ("suite", path.suite()),
        ("case", path.case()),
    ];
    for (key, folder) in parts {
        let told = manifest.get(key)?.text()?;
        if told != folder {
            return Err(Failure::new(format!(
                "{FILE} says {key} '{told}', the folder says '{folder}'"
            )));
        }
    }
    Ok(())
}
