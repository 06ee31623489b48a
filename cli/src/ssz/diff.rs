//! `wren ssz diff`: the fields in which two objects differ, by their paths.
//!
//! Both objects are walked side by side; lists are compared item by item at the same index, so that an item put in at
//! the front shows as a change of every item behind it.

use super::input::Input;
use super::output;
use super::tokens::{self, Token, Tokens, shorten};
use crate::exit::{self, Failure};
use std::io::{self, Write};
use std::process::ExitCode;

/// Prints at most `limit` differences; the exit code tells whether there are any.
pub(super) fn run(before: &Input, after: &Input, limit: usize) -> Result<ExitCode, Failure> {
    if before.path == after.path && before.path.as_os_str() == "-" {
        return Err(Failure::usage("standard input can be only one of the two objects"));
    }
    std::thread::scope(|scope| {
        let (before, before_thread) = tokens::spawn(scope, before, |_| ())?;
        let (after, after_thread) = tokens::spawn(scope, after, |_| ())?;
        let mut walk = Walk {
            before,
            after,
            path: String::new(),
            found: 0,
            limit,
            out: io::stdout().lock(),
        };
        let walked = walk.value();
        let Walk {
            before,
            after,
            found,
            mut out,
            ..
        } = walk;
        // The ends of the pipes come first, so that neither thread waits for a reader that has stopped.
        drop((before, after));
        // Both are joined before either's failure is told.
        let (before, after) = (tokens::join(before_thread), tokens::join(after_thread));
        before.and(after)?;
        let rest = found.saturating_sub(limit);
        let told = if rest > 0 {
            writeln!(out, "and {rest} more (--limit)")
        } else {
            Ok(())
        };
        output::finish(walked.and(told).and_then(|()| out.flush()), "to standard output")?;
        Ok(if found == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(exit::DIFFERENT)
        })
    })
}

struct Walk<'a> {
    before: Tokens,
    after: Tokens,
    /// The way to the current value, such as `message.body.attestations[3]`.
    path: String,
    found: usize,
    limit: usize,
    out: io::StdoutLock<'a>,
}

impl Walk<'_> {
    /// Compares the next value of both.
    fn value(&mut self) -> io::Result<()> {
        match (self.before.next()?, self.after.next()?) {
            (Token::Object, Token::Object) => self.object(),
            (Token::Array, Token::Array) => self.array(),
            (Token::Text(before), Token::Text(after)) if before == after => Ok(()),
            (Token::Text(before), Token::Text(after)) => {
                let (before, after) = shorten_both(&before, &after);
                self.tell(&before, &after)
            }
            other => Err(io::Error::other(format!(
                "values of two kinds at {}: {other:?}",
                self.path
            ))),
        }
    }

    fn object(&mut self) -> io::Result<()> {
        loop {
            match (self.before.next()?, self.after.next()?) {
                (Token::End, Token::End) => return Ok(()),
                (Token::Text(name), Token::Text(other)) if name == other => {
                    let dot = if self.path.is_empty() { "" } else { "." };
                    self.below(&format!("{dot}{name}"), Self::value)?;
                }
                other => {
                    return Err(io::Error::other(format!(
                        "members of two types at {}: {other:?}",
                        self.path
                    )));
                }
            }
        }
    }

    fn array(&mut self) -> io::Result<()> {
        let mut index = 0usize;
        loop {
            let ends = (*self.before.peek()? == Token::End, *self.after.peek()? == Token::End);
            match ends {
                (true, true) => {
                    self.before.next()?;
                    self.after.next()?;
                    return Ok(());
                }
                (false, false) => self.below(&format!("[{index}]"), Self::value)?,
                (true, false) => self.below(&format!("[{index}]"), |walk| {
                    let added = one_line(&mut walk.after)?;
                    walk.tell("(not there)", &added)
                })?,
                (false, true) => self.below(&format!("[{index}]"), |walk| {
                    let gone = one_line(&mut walk.before)?;
                    walk.tell(&gone, "(not there)")
                })?,
            }
            index += 1;
        }
    }

    /// Runs `step` one part further down the path.
    fn below(&mut self, part: &str, step: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        let length = self.path.len();
        self.path.push_str(part);
        step(self)?;
        self.path.truncate(length);
        Ok(())
    }

    fn tell(&mut self, before: &str, after: &str) -> io::Result<()> {
        self.found += 1;
        if self.found > self.limit {
            return Ok(());
        }
        writeln!(self.out, "{}\n  - {before}\n  + {after}", self.path)
    }
}

/// Both values short enough to read: of long bytes the part around the first difference.
fn shorten_both(before: &str, after: &str) -> (String, String) {
    let (short_before, short_after) = (shorten(before), shorten(after));
    if short_before != short_after {
        return (short_before, short_after);
    }
    let same = before.bytes().zip(after.bytes()).take_while(|(a, b)| a == b).count();
    // Two digits a byte after the `0x`; back to the beginning of that byte.
    let byte = (same - 2) / 2;
    let window = |text: &str| {
        let shown: String = text.chars().skip(2 + 2 * byte).take(32).collect();
        format!("…{shown}… (from byte {byte} of {})", (text.len() - 2) / 2)
    };
    (window(before), window(after))
}

/// The next value as text, cut off where it becomes long.
fn one_line(tokens: &mut Tokens) -> io::Result<String> {
    const ENOUGH: usize = 300;
    let (mut line, mut depth) = (String::new(), 0usize);
    loop {
        let word = match tokens.next()? {
            Token::Object | Token::Array => {
                depth += 1;
                "(".to_string()
            }
            Token::End => {
                depth = depth.saturating_sub(1);
                ")".to_string()
            }
            Token::Text(text) => shorten(&text),
        };
        if line.len() < ENOUGH {
            line.push_str(&word);
            line.push(' ');
        }
        if depth == 0 {
            return Ok(line.trim_end().to_string());
        }
    }
}
