//! Our own JSON, read back token by token.
//!
//! What walks over an object of any type (`decode`, `diff`) reads the JSON that the type writes, so that no second
//! description of the containers is needed. A thread writes it into a pipe; memory stays at the object itself, however
//! long its text. Only what our writer makes is understood: no spaces, no escapes.

use super::input::Input;
use crate::exit::Failure;
use consensus::ssz::Out;
use consensus::types::registry::DynSsz;
use std::io::{self, BufRead, BufReader};
use std::thread::ScopedJoinHandle;

/// One piece of JSON; commas and colons are passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// `{`
    Object,
    /// `[`
    Array,
    /// `}` or `]`
    End,
    /// The name of a member or a value, without quotes.
    Text(String),
}

/// The tokens of one JSON text.
pub(super) struct Tokens {
    reader: BufReader<io::PipeReader>,
    peeked: Option<Token>,
}

impl Tokens {
    /// The next token; at the end of the text an error, as nobody asks beyond the last `End`.
    pub(super) fn next(&mut self) -> io::Result<Token> {
        match self.peeked.take() {
            Some(token) => Ok(token),
            None => self.read(),
        }
    }

    /// The next token, which stays.
    pub(super) fn peek(&mut self) -> io::Result<&Token> {
        let token = self.next()?;
        Ok(self.peeked.insert(token))
    }

    fn read(&mut self) -> io::Result<Token> {
        loop {
            let first = *self.reader.fill_buf()?.first().ok_or(io::ErrorKind::UnexpectedEof)?;
            self.reader.consume(1);
            return Ok(match first {
                b',' | b':' => continue,
                b'{' => Token::Object,
                b'[' => Token::Array,
                b'}' | b']' => Token::End,
                b'"' => Token::Text(self.text_until_quote()?),
                bare => Token::Text(self.bare_word(bare)?),
            });
        }
    }

    fn text_until_quote(&mut self) -> io::Result<String> {
        let mut text = Vec::new();
        self.reader.read_until(b'"', &mut text)?;
        text.pop().ok_or(io::ErrorKind::UnexpectedEof)?;
        String::from_utf8(text).map_err(io::Error::other)
    }

    /// A word without quotes: `true`, `false`, `null` or a number.
    fn bare_word(&mut self, first: u8) -> io::Result<String> {
        let mut word = String::from(char::from(first));
        while let Some(&byte) = self.reader.fill_buf()?.first() {
            if matches!(byte, b',' | b'}' | b']') {
                break;
            }
            word.push(char::from(byte));
            self.reader.consume(1);
        }
        Ok(word)
    }
}

/// A thread that reads the object of `input`, hands it to `look`, and writes its JSON; with the tokens of that.
pub(super) fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    input: &'scope Input,
    look: impl FnOnce(&dyn DynSsz) -> T + Send + 'scope,
) -> Result<(Tokens, ScopedJoinHandle<'scope, Result<T, Failure>>), Failure> {
    let (reader, mut writer) = io::pipe().map_err(|error| Failure::io("cannot make a pipe", &error))?;
    let thread = scope.spawn(move || {
        let object = input.read()?;
        let seen = look(object.as_ref());
        let mut out = Out::writer(&mut writer);
        object.write_json(input.fork, &mut out);
        super::output::finish(out.finish(), "to a pipe")?;
        Ok(seen)
    });
    Ok((
        Tokens {
            reader: BufReader::new(reader),
            peeked: None,
        },
        thread,
    ))
}

/// The result of such a thread; if it failed, that is why the walk over its tokens failed too.
pub(super) fn join<T>(thread: ScopedJoinHandle<'_, Result<T, Failure>>) -> Result<T, Failure> {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// `text` if it is short; of a long hex string its beginning and its length.
pub(super) fn shorten(text: &str) -> String {
    /// A public key of 48 bytes still stands in full.
    const FULL: usize = 2 + 2 * 48;
    match text.get(..FULL) {
        Some(_) if text.len() == FULL => text.to_string(),
        Some(beginning) => format!("{}… ({} bytes)", &beginning[..34], (text.len() - 2) / 2),
        None => text.to_string(),
    }
}
