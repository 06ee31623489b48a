//! Log lines for people: time, level and a sentence, on standard error.

use crate::exit::Failure;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Sets up logging for the rest of the process.
pub(crate) fn start(level: &str) -> Result<(), Failure> {
    let level: LevelFilter = level.parse().map_err(|_| {
        Failure::usage(format!(
            "--log-level {level}: known are error, warn, info, debug and trace"
        ))
    })?;
    // What libraries of the network say of themselves is for their developers, except where somebody looks for a fault.
    let of_libraries = if level > LevelFilter::INFO {
        level
    } else {
        level.min(LevelFilter::ERROR)
    };
    let filter = Targets::new()
        .with_default(level)
        .with_target("discv5", of_libraries)
        .with_target("libp2p", of_libraries);
    fmt()
        .with_max_level(level)
        .with_target(false)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .finish()
        .with(filter)
        .try_init()
        .map_err(|error| Failure::usage(format!("logging is set up already: {error}")))
}
