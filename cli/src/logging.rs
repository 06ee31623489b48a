//! Log lines for people: time, level and a sentence, on standard error.

use crate::exit::Failure;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt;

/// Sets up logging for the rest of the process.
pub(crate) fn start(level: &str) -> Result<(), Failure> {
    let level: LevelFilter = level.parse().map_err(|_| {
        Failure::usage(format!(
            "--log-level {level}: known are error, warn, info, debug and trace"
        ))
    })?;
    let format = fmt()
        .with_max_level(level)
        .with_target(false)
        .with_ansi(false)
        .with_writer(std::io::stderr);
    format
        .try_init()
        .map_err(|error| Failure::usage(format!("logging is set up already: {error}")))
}
