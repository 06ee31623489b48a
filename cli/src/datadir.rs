//! `--datadir DIR`: one root for the node (`node/`) and the validator client (`validator/`).

use crate::exit::Failure;
use clap::Args;
use rustix::fs::{Access, access};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The option, the same in every command.
#[derive(Args, Clone)]
pub(crate) struct Datadir {
    /// Where everything is kept; keys and their records are in its folder `validator`
    #[arg(long, value_name = "DIR", default_value_os_t = usual())]
    datadir: PathBuf,
}

/// The folder where none is named: `WREN_DATADIR` holds for every command, so that in a container they agree.
fn usual() -> PathBuf {
    std::env::var_os("WREN_DATADIR").map_or_else(|| "wren-data".into(), PathBuf::from)
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

/// Makes a part of the data folder if it is not there; where it cannot be written, says whose it has to be.
pub(crate) fn make(datadir: &Path, part: &str) -> Result<(), Failure> {
    let folder = datadir.join(part);
    let made = std::fs::create_dir_all(&folder);
    let written = made.and_then(|()| Ok(access(&folder, Access::WRITE_OK | Access::EXEC_OK)?));
    let user = rustix::process::geteuid().as_raw();
    written.map_err(|error| cannot_write(datadir, &folder, user, &error))
}

fn cannot_write(datadir: &Path, folder: &Path, user: u32, error: &std::io::Error) -> Failure {
    let what = format!(
        "the user with id {user} cannot write the folder {}: {error}",
        folder.display()
    );
    let remedy = match error.kind() {
        ErrorKind::PermissionDenied => format!(
            ". Let {0} belong to that user, `chown -R {user} {0}` (a container's mount: the folder that it comes from), or \
             name another --datadir",
            datadir.display()
        ),
        ErrorKind::ReadOnlyFilesystem => ". Name another --datadir".into(),
        _ => String::new(),
    };
    Failure::running(what + &remedy)
}

fn check_owner(folder: &Path) -> Result<(), Failure> {
    let metadata = match std::fs::metadata(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Error;

    #[test]
    fn a_folder_that_cannot_be_written_has_its_remedy() {
        let (datadir, folder) = (Path::new("/var/lib/wren"), Path::new("/var/lib/wren/node"));
        let said = |kind| cannot_write(datadir, folder, 10001, &Error::from(kind)).message;
        let denied = said(ErrorKind::PermissionDenied);
        assert!(denied.contains("`chown -R 10001 /var/lib/wren`"), "{denied}");
        let full = said(ErrorKind::StorageFull);
        assert!(!full.contains("chown") && full.contains("/var/lib/wren/node"), "{full}");
    }
}
