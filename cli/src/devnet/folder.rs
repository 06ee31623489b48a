//! Where a devnet keeps its files.

use super::Args;
use crate::exit::Failure;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of a devnet.
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder that was asked for, which must not exist, or a new one among the temporary ones.
    pub(super) fn new(args: &Args) -> Result<Self, Failure> {
        let path = match &args.dir {
            Some(dir) => dir.clone(),
            None => std::env::temp_dir().join(format!("wren-devnet-{}", std::process::id())),
        };
        let failed = |error| Failure::io(format!("cannot make the folder {}", path.display()), &error);
        if path.exists() {
            let what = format!(
                "{} is there already: name another folder by --dir, or remove it",
                path.display()
            );
            return Err(Failure::usage(what));
        }
        fs::create_dir_all(&path).map_err(failed)?;
        Ok(Folder { path })
    }

    /// A part of it.
    pub(super) fn part(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The folder itself.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it, unless it was to be kept or something failed, so that there is something to look at.
    pub(super) fn end(self, args: &Args, failed: bool) {
        if args.keep || failed {
            println!("everything is left in {}", self.path.display());
        } else if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("cannot remove {}: {error}", self.path.display());
        }
    }
}
