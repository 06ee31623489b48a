//! Runs the consensus-spec test vectors and watches over those who run them.
//!
//! The walk ([`source`]) finds cases, workers ([`run`]) judge them ([`judge`]), a table ([`report`]) tells the end. A
//! runner is one file in [`runners`] with one function `fn run(case: &Case) -> Outcome`; README.md beside this crate tells
//! how to write one. [`Case`] keeps the books: unread files, unread keys, comparisons that never happened and refusals
//! without a rule are failures, whatever the runner says.
#![forbid(unsafe_code)]

mod case;
mod compare;
pub mod expected;
pub mod judge;
mod outcome;
pub mod report;
pub mod run;
pub mod runners;
pub mod skips;
pub mod source;
pub mod yaml;

pub use case::{BlsSetting, Case};
pub use outcome::{Failure, NamedRule, Outcome, Verdict};
pub use source::PRESET;
