//! `wren ssz decode`: what is in an object, short enough to read.

use super::input::Input;
use super::output;
use super::tokens::{self, Token, Tokens, shorten};
use crate::exit::Failure;
use std::io::{self, Write};

/// Where values begin, so that they stand below each other.
const COLUMN: usize = 40;

/// Prints the size, the root and the fields of an object; lists as their number of items.
pub(super) fn run(input: &Input) -> Result<(), Failure> {
    std::thread::scope(|scope| {
        let look =
            |object: &dyn consensus::types::registry::DynSsz| (object.ssz_len(input.fork), object.ssz_root(input.fork));
        let (mut tokens, thread) = tokens::spawn(scope, input, look)?;
        // The fields are few: they stand in memory until it is known that the object is valid.
        let mut fields = Vec::new();
        let walked = tokens.next().and_then(|first| match first {
            Token::Object => object(&mut tokens, 0, &mut fields),
            other => Err(io::Error::other(format!("an object begins with {other:?}"))),
        });
        // The end of the pipe comes first, so that the thread never waits for a reader that has stopped.
        drop(tokens);
        let (length, root) = tokens::join(thread)?;
        walked.map_err(|error| input.invalid(error))?;
        let (name, fork, preset) = (input.info.name, input.fork, consensus::preset::PRESET_NAME);
        let head = format!("{name} of {fork}, {preset} preset: valid\nencoding  {length} bytes\nroot      {root}\n\n");
        let mut stdout = io::stdout().lock();
        let written = stdout
            .write_all(head.as_bytes())
            .and_then(|()| stdout.write_all(&fields));
        output::finish(written.and_then(|()| stdout.flush()), "to standard output")
    })
}

/// Prints the members of an object, whose beginning is read already.
fn object(tokens: &mut Tokens, depth: usize, to: &mut Vec<u8>) -> io::Result<()> {
    while let Token::Text(name) = tokens.next()? {
        let label = format!("{:1$}{name}", "", 2 * depth);
        match tokens.next()? {
            Token::Text(value) => writeln!(to, "{label:COLUMN$} {}", shorten(&value))?,
            Token::Array => writeln!(to, "{label:COLUMN$} {}", items(tokens)?)?,
            Token::Object => {
                writeln!(to, "{label}")?;
                object(tokens, depth + 1, to)?;
            }
            Token::End => return Err(io::Error::other(format!("'{name}' has no value"))),
        }
    }
    Ok(())
}

/// Counts the items of an array, whose beginning is read already, and passes over them.
fn items(tokens: &mut Tokens) -> io::Result<String> {
    let (mut count, mut depth) = (0u64, 1);
    while depth > 0 {
        let token = tokens.next()?;
        if depth == 1 && token != Token::End {
            count += 1;
        }
        match token {
            Token::Object | Token::Array => depth += 1,
            Token::End => depth -= 1,
            Token::Text(_) => {}
        }
    }
    Ok(if count == 1 {
        "1 item".into()
    } else {
        format!("{count} items")
    })
}
