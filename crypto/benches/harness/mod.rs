//! How the benchmarks measure: the least processor time of many runs, per item, and its ratio to the first line of its group.
//!
//! The least time is what the work costs when nothing disturbs it, which on a busy or small machine no mean tells. It is
//! eighty lines and not `criterion` (40 crates, plots and statistics of noise that is not ours) or `divan` (clap and an
//! attribute macro), because what is wanted is ratios between kernels in one table.

use std::hint::black_box;

/// A run is made of so many calls that it takes at least this long, in nanoseconds: short, so that some run undisturbed.
const RUN: i64 = 5_000_000;
/// How many runs the least is taken of.
const RUNS: usize = 60;

/// The processor time of this thread in nanoseconds, which does not count the time when others ran.
fn now() -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one timespec.
    let code = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(code, 0, "every Linux has this clock");
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// Reads the command line: words are filters, of which a line's name must contain one.
pub(crate) struct Bench {
    filters: Vec<String>,
    /// Under `cargo test` every line is called once, to see that it works.
    measure: bool,
}

impl Bench {
    pub(crate) fn from_args() -> Self {
        let measure = std::env::args().any(|arg| arg == "--bench");
        Self {
            filters: std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect(),
            measure,
        }
    }

    /// Starts a table whose ratios refer to its first line.
    pub(crate) fn group(&self, title: &str) -> Group<'_> {
        println!("\n{title}");
        Group {
            bench: self,
            first: None,
        }
    }
}

pub(crate) struct Group<'a> {
    bench: &'a Bench,
    first: Option<f64>,
}

impl Group<'_> {
    /// Measures `work`, which handles this many items in a call.
    pub(crate) fn line<T>(&mut self, name: &str, items: usize, mut work: impl FnMut() -> T) {
        let filters = &self.bench.filters;
        if !filters.is_empty() && !filters.iter().any(|filter| name.contains(filter)) {
            return;
        }
        let start = now();
        black_box(work());
        if !self.bench.measure {
            return;
        }
        let calls = RUN / (now() - start).max(1) + 1;
        let run = |_| {
            let start = now();
            for _ in 0..calls {
                black_box(work());
            }
            (now() - start) as f64 / (calls as f64 * items as f64)
        };
        let least = (0..RUNS).map(run).fold(f64::INFINITY, f64::min);
        let ratio = least / *self.first.get_or_insert(least);
        let (value, unit) = if least < 1e3 {
            (least, "ns")
        } else {
            (least / 1e3, "µs")
        };
        println!("  {name:<56} {value:>9.2} {unit} {ratio:>8.2} ×");
    }
}
