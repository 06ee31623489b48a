//! `--datadir DIR`: one root for the node (`node/`) and the validator client (`validator/`).

use crate::exit::Failure;
use clap::Args;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The option, the same in every command.
#[derive(Args, Clone)]
pub(crate) struct Datadir {
    /// Where everything is kept; keys and their records are in its folder `validator`
    #[arg(long, value_name = "DIR", default_value = "wren-data")]
    datadir: PathBuf,
}

impl Datadir {
    /// The root itself, for who only looks.
    pub(crate) fn root(&self) -> &Path {
        &self.datadir
    }

    /// The folder of the validator client. A folder of another user is refused: keys that root imports into a folder of
    /// its own are not found by the client, and files that root leaves in the client's cannot be opened by it.
    pub(crate) fn validator(&self) -> Result<PathBuf, Failure> {
        let folder = self.datadir.join("validator");
        for folder in [&self.datadir, &folder] {
            check_owner(folder)?;
        }
        Ok(folder)
    }
}

fn check_owner(folder: &Path) -> Result<(), Failure> {
    let metadata = match std::fs::metadata(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata.map_err(|error| Failure::io(format!("cannot read {}", folder.display()), &error))?,
    };
    let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != user {
        return Err(Failure::usage(format!(
            "{} belongs to the user with id {owner}, this is the one with id {user}: run it as that user, `sudo -u '#{owner}' \
             wren …`, or name another --datadir",
            folder.display()
        )));
    }
    Ok(())
}
