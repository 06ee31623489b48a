//! How `wren` ends: the one list of exit codes, and failures that carry theirs.

use std::fmt::Display;
use std::io;

/// `wren ssz diff` found differences, or `wren transition` a block that breaks a rule.
pub(crate) const DIFFERENT: u8 = 1;
/// What was given is not a valid object of its type. (2, a wrong command line, is clap's.)
const INVALID: u8 = 3;
/// A file could not be read or written.
const IO: u8 = 4;
/// A node or client could not start, or could not go on.
const RUNNING: u8 = 6;
/// A question was not answered with the sentence it asked for.
const NOT_CONFIRMED: u8 = 5;

/// `wren status`, `wren doctor` or `wren setup` found something that has to be done.
pub(crate) const ATTENTION: u8 = 7;

/// Another client signs with a key of this one.
pub(crate) const DOUBLE: u8 = 129;

/// The list as `--help` shows it.
pub(crate) const HELP: &str = "\
Exit codes:
  0    done
  1    `ssz diff` found differences; `transition` found a block that breaks a rule
  2    the command line is wrong
  3    what was given is not valid, or does not fit what is there
  4    a file cannot be read or written
  5    the operator did not confirm; nothing was done
  6    a node or validator client could not start, or could not go on; the message says why
  7    `status`, `doctor` and `setup`: something has to be done; they say what
  101  a bug in wren: please report what it printed
  129  `validator`: another client signs with one of its keys";

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

    /// Something that runs has failed, as the sentence says.
    pub(crate) fn running(message: impl Into<String>) -> Self {
        Failure {
            code: RUNNING,
            message: message.into(),
        }
    }

    /// Something could not be read, written or listened on; the message says what.
    pub(crate) fn written(message: impl Into<String>) -> Self {
        Failure {
            code: IO,
            message: message.into(),
        }
    }

    /// The operator was asked and did not confirm.
    pub(crate) fn not_confirmed() -> Self {
        Failure {
            code: NOT_CONFIRMED,
            message: "not confirmed; nothing was done".into(),
        }
    }

    /// Reading or writing `what` failed.
    pub(crate) fn io(what: impl Display, error: &io::Error) -> Self {
        Failure {
            code: IO,
            message: with_remedy(format!("{what}: {error}"), error.kind()),
        }
    }
}

/// A message with what helps against this kind of failure.
fn with_remedy(message: String, kind: io::ErrorKind) -> String {
    use io::ErrorKind::{FileTooLarge, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let remedy = match kind {
        StorageFull | QuotaExceeded | FileTooLarge => {
            "there is no room for it: free some space there, or name a folder on another disk, and do it again"
        }
        ReadOnlyFilesystem => "that disk is mounted read-only: mount it for writing, or name another folder",
        PermissionDenied => {
            "run it as the user to whom that belongs, give this user the right to it, or name another folder"
        }
        _ => return message,
    };
    format!("{message}; {remedy}")
}

impl From<anyhow::Error> for Failure {
    /// What a library refuses: a matter of files where one stands at the bottom of it, otherwise of what they hold.
    fn from(error: anyhow::Error) -> Self {
        let message = format!("{error:#}");
        match error.root_cause().downcast_ref::<io::Error>() {
            Some(cause) => Failure {
                code: IO,
                message: with_remedy(message, cause.kind()),
            },
            None => Failure::invalid(message),
        }
    }
}
