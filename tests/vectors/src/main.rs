//! The command line of the vector runner.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use vectors::report::Summary;
use vectors::run::{Plan, run};
use vectors::runners::RUNNERS;
use vectors::skips::SKIPS;
use vectors::source::{Wanted, has_archives};
use vectors::{PRESET, expected};

const HELP: &str = "\
Runs the consensus-spec test vectors of this build's preset and of 'general'.

usage: vectors [--tamper] [--counts] [DIR [FILTER…]]

  DIR       folder in the official layout (<preset>/<fork>/<runner>/<handler>/<suite>/<case>) or of *.tar.zst archives
            of it; without it, or with '-', the default set beside the repository: ../shared/spec-tests
  FILTER…   runs only cases whose path holds every FILTER, such as: gloas ssz_static BeaconState
  --tamper  damages each expected value in turn and demands that each valid case fails then
  --counts  prints the case counts in the form of tests/vectors/expected/*.txt and runs nothing

exit code: 0 success (or no default set), 1 failures, 2 a set that cannot be read or holds no case
";

struct Arguments {
    tamper: bool,
    counts: bool,
    dir: Option<PathBuf>,
    filters: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(sentence) => {
            eprint!("error: {sentence}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    execute(arguments).unwrap_or_else(|sentence| {
        eprintln!("error: {sentence}");
        ExitCode::from(2)
    })
}

/// `None` asks for help.
fn parse(arguments: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
    let mut parsed = Arguments {
        tamper: false,
        counts: false,
        dir: None,
        filters: Vec::new(),
    };
    let mut positional = Vec::new();
    for argument in arguments {
        match argument.as_str() {
            "--tamper" => parsed.tamper = true,
            "--counts" => parsed.counts = true,
            "--help" | "-h" => return Ok(None),
            unknown if unknown.starts_with("--") => return Err(format!("unknown flag {unknown}")),
            _ => positional.push(argument),
        }
    }
    let mut positional = positional.into_iter();
    parsed.dir = positional.next().filter(|dir| dir != "-").map(PathBuf::from);
    parsed.filters = positional.collect();
    Ok(Some(parsed))
}

fn execute(arguments: Arguments) -> Result<ExitCode, String> {
    let default = arguments.dir.is_none();
    let dir = arguments.dir.unwrap_or_else(expected::default_set);
    if default && !has_archives(&dir) {
        println!("NOT RUN: no vectors *.tar.zst in {}", dir.display());
        println!("The official consensus-spec vectors of preset {PRESET} and of general were NOT checked.");
        println!("To check them, unpack the consensus-specs release into a folder and give it as DIR.");
        return Ok(ExitCode::SUCCESS);
    }
    let whole = arguments.filters.is_empty();
    // To count, every case is left out for a reason that nobody sees.
    let count_only = [vectors::skips::Skip {
        fork: "",
        runner: "",
        handler: "",
        case: "",
        reason: "counted only",
    }];
    let skips = if arguments.counts { &count_only[..] } else { SKIPS };
    let wanted = Wanted {
        filters: arguments.filters,
    };
    let mut summary = run(&Plan {
        dir,
        wanted,
        tamper: arguments.tamper,
        runners: RUNNERS,
        skips,
    })?;
    if arguments.counts {
        print!("{}", summary.counts());
        return Ok(ExitCode::SUCCESS);
    }
    if default && whole {
        summary.walk.problems.extend(expected::differences(&summary));
    }
    Ok(finish(&summary))
}

fn finish(summary: &Summary) -> ExitCode {
    print!("{summary}");
    if summary.is_success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    }
}
