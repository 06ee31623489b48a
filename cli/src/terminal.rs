//! Questions to the operator: passwords that do not show, and sentences that must be typed.
//!
//! Questions go to standard error, so that output can be piped. Answers come from standard input; when that is no
//! terminal, nothing has to be hidden.

use crate::exit::Failure;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use std::io::{BufRead, IsTerminal, Write};
use zeroize::Zeroizing;

/// Longest answer, in bytes: a mnemonic of 24 words has some 200.
const MAX_ANSWER: u64 = 4096;

/// Asks for a line.
pub(crate) fn ask(question: &str) -> Result<Zeroizing<String>, Failure> {
    say(question);
    let mut line = Zeroizing::new(String::with_capacity(MAX_ANSWER as usize)); // growing would leave copies behind
    let read = std::io::Read::take(std::io::stdin().lock(), MAX_ANSWER).read_line(&mut line);
    let bytes = read.map_err(|error| Failure::io("cannot read the answer", &error))?;
    if bytes == 0 {
        return Err(Failure::usage(format!(
            "the answer to '{}' is missing: standard input has ended",
            question.trim()
        )));
    }
    if bytes as u64 == MAX_ANSWER && !line.ends_with('\n') {
        return Err(Failure::usage("the answer is too long"));
    }
    Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Asks for a line that does not show while it is typed.
pub(crate) fn ask_secret(question: &str) -> Result<Zeroizing<String>, Failure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return ask(question);
    }
    let failed = |error: rustix::io::Errno| Failure::io("cannot use the terminal", &error.into());
    let before = tcgetattr(&stdin).map_err(failed)?;
    let mut hidden = before.clone();
    hidden.local_modes &= !LocalModes::ECHO;
    tcsetattr(&stdin, OptionalActions::Flush, &hidden).map_err(failed)?;
    let answer = ask(question);
    tcsetattr(&stdin, OptionalActions::Flush, &before).map_err(failed)?;
    eprintln!();
    answer
}

/// Asks for the same secret twice.
pub(crate) fn ask_new_secret(question: &str) -> Result<Zeroizing<String>, Failure> {
    let first = ask_secret(question)?;
    if *ask_secret("The same again: ")? != *first {
        return Err(Failure::usage("the two differ; nothing was done"));
    }
    Ok(first)
}

/// Goes on only when that sentence is typed, or `--yes` was given.
pub(crate) fn confirm(what: &str, sentence: &str, yes: bool) -> Result<(), Failure> {
    eprintln!("{what}");
    if yes {
        return Ok(());
    }
    let answer = ask(&format!("Type '{sentence}' to go on: "))?;
    if answer.trim() != sentence {
        return Err(Failure::not_confirmed());
    }
    Ok(())
}

fn say(question: &str) {
    let mut stderr = std::io::stderr();
    // Whoever cannot see the question can still answer it.
    write!(stderr, "{question}").and_then(|()| stderr.flush()).ok();
}
