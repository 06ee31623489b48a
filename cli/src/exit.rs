//! How `wren` ends: the one list of exit codes, and failures that carry theirs.

use std::fmt::Display;
use std::io;

/// `wren ssz diff` found differences, or `wren transition` a block that breaks a rule.
pub(crate) const DIFFERENT: u8 = 1;
/// What was given is not a valid object of its type. (2, a wrong command line, is clap's.)
const INVALID: u8 = 3;
/// A file could not be read or written.
const IO: u8 = 4;

/// The list as `--help` shows it.
pub(crate) const HELP: &str = "\
Exit codes:
  0    done
  1    `ssz diff` found differences; `transition` found a block that breaks a rule
  2    the command line is wrong
  3    the input is not a valid object of its type
  4    a file cannot be read or written
  101  a bug in wren: please report what it printed";

/// Why a command stopped, with the code it ends with. The message says what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) message: String,
}

impl Failure {
    /// The input is not what it was said to be.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Failure {
            code: INVALID,
            message: message.into(),
        }
    }

    /// The command line asks for something that is not there.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Failure {
            code: 2,
            message: message.into(),
        }
    }

    /// Reading or writing `what` failed.
    pub(crate) fn io(what: impl Display, error: &io::Error) -> Self {
        Failure {
            code: IO,
            message: format!("{what}: {error}"),
        }
    }
}
