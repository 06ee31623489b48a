//! Log lines for people: time, level and a sentence, on standard error.

mod repeats;

use crate::exit::Failure;
use repeats::Repeats;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{DefaultFields, Format, FormatEvent, FormatFields, Full, Writer};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
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
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .event_format(Lines::new())
        .with_writer(std::io::stderr)
        .finish()
        .with(filter)
        .try_init()
        .map_err(|error| Failure::usage(format!("logging is set up already: {error}")))
}

/// Lines as `tracing` writes them, each kind of warning once a minute.
struct Lines {
    format: Format<Full>,
    repeats: Mutex<Repeats>,
}

impl Lines {
    fn new() -> Self {
        Lines {
            format: Format::default().with_target(false).with_ansi(false),
            repeats: Mutex::default(),
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> FormatEvent<S, DefaultFields> for Lines {
    fn format_event(
        &self,
        context: &FmtContext<'_, S, DefaultFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let now = Instant::now();
        // Nothing that may panic happens under the lock.
        let lock = || self.repeats.lock().unwrap_or_else(PoisonError::into_inner);
        for line in lock().due(now) {
            writeln!(writer, "{line}")?;
        }
        if *event.metadata().level() > Level::WARN {
            return self.format.format_event(context, writer, event);
        }
        let (mut text, mut line) = (String::new(), String::new());
        write!(text, "{:?} ", event.metadata().callsite())?;
        context.format_fields(Writer::new(&mut text), event)?;
        self.format.format_event(context, Writer::new(&mut line), event)?;
        let shows = lock().shows(&text, &line, now);
        if shows { writer.write_str(&line) } else { Ok(()) }
    }
}
