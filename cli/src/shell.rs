//! `wren completions` and `wren man`: what a shell and `man` know of the commands, made from the commands themselves.

use crate::exit::Failure;
use clap::{Args as ClapArgs, Command};
use clap_complete::Shell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Print what a shell needs to complete commands and options
#[derive(ClapArgs)]
#[command(after_help = "Example:\n  wren completions bash > /etc/bash_completion.d/wren")]
pub(crate) struct Completions {
    /// Which shell
    shell: Shell,
}

/// Write manual pages: one for `wren`, one for each of its commands
#[derive(ClapArgs)]
#[command(after_help = "Example:\n  wren man /usr/local/share/man/man1")]
pub(crate) struct Man {
    /// The folder for the pages; it is made
    folder: PathBuf,
}

/// Runs `wren completions`.
pub(crate) fn completions(args: &Completions, mut command: Command) -> ExitCode {
    clap_complete::generate(args.shell, &mut command, "wren", &mut std::io::stdout());
    ExitCode::SUCCESS
}

/// Runs `wren man`.
pub(crate) fn man(args: &Man, command: Command) -> Result<ExitCode, Failure> {
    let failed = |error| Failure::io(format!("cannot make the folder {}", args.folder.display()), &error);
    fs::create_dir_all(&args.folder).map_err(failed)?;
    pages(command, "wren", &args.folder)?;
    Ok(ExitCode::SUCCESS)
}

/// The page of a command and those of its own commands: `wren-keys-import.1`.
fn pages(command: Command, name: &str, folder: &Path) -> Result<(), Failure> {
    let mut command = command.display_name(name.to_owned());
    command.build();
    let mut page = Vec::new();
    let path = folder.join(format!("{name}.1"));
    let written = clap_mangen::Man::new(command.clone())
        .render(&mut page)
        .and_then(|()| fs::write(&path, page));
    written.map_err(|error| Failure::io(format!("cannot write {}", path.display()), &error))?;
    for sub in command.get_subcommands() {
        pages(sub.clone(), &format!("{name}-{}", sub.get_name()), folder)?;
    }
    Ok(())
}
