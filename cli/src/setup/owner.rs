//! The user whom the data folder belongs to. With the package `wren setup` runs as root, and node and client as a user of
//! their own: what they have to read is tried as that user, and what they have to own is made as that user.

use crate::exit::Failure;
use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Another user than the one who runs this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    uid: u32,
    pub(super) gid: u32,
    /// Its name, or its number where it has none.
    pub(super) name: String,
}

impl Owner {
    /// The owner of a folder, where root runs this and the folder is another's.
    pub(super) fn of(folder: &Path) -> Option<Owner> {
        let metadata = std::fs::metadata(folder).ok()?;
        let uid = metadata.uid();
        (geteuid().is_root() && uid != 0).then(|| Owner {
            uid,
            gid: metadata.gid(),
            name: name(uid).unwrap_or_else(|| uid.to_string()),
        })
    }

    /// Does something with the rights of this user and no others. Of this thread only, which has to be the one that
    /// makes the files.
    fn run<T>(&self, what: impl FnOnce() -> T) -> io::Result<T> {
        let (root_uid, root_gid) = (Uid::from_raw(0), Gid::from_raw(0));
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        set_thread_groups(&[gid])?;
        set_thread_res_gid(None, gid, None)?;
        set_thread_res_uid(None, uid, None)?;
        let done = what();
        set_thread_res_uid(None, root_uid, None)?;
        set_thread_res_gid(None, root_gid, None)?;
        set_thread_groups(&[root_gid])?;
        Ok(done)
    }
}

/// Does something as the owner of the folder, or as who we are where that is the same.
pub(super) fn as_owner<T>(owner: Option<&Owner>, what: impl FnOnce() -> T) -> Result<T, Failure> {
    match owner {
        None => Ok(what()),
        Some(owner) => owner
            .run(what)
            .map_err(|error| Failure::io(format!("cannot work as the user {}", owner.name), &error)),
    }
}

/// The name of a user, from the file that has those of this machine.
fn name(uid: u32) -> Option<String> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let of_line = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    };
    users.lines().find_map(of_line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_have_names() {
        assert_eq!(name(0).as_deref(), Some("root"));
        assert_eq!(name(4_000_000_000), None);
    }

    #[test]
    fn files_of_another_user_are_made_as_that_user() {
        if !geteuid().is_root() {
            return; // only root can become another
        }
        let folder = std::env::temp_dir().join(format!("wren-owner-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        assert_eq!(Owner::of(&folder), None, "it is root's");
        std::os::unix::fs::chown(&folder, Some(12345), Some(12346)).unwrap();
        let owner = Owner::of(&folder).unwrap();
        let made = as_owner(Some(&owner), || std::fs::write(folder.join("file"), b"x"));
        made.unwrap().unwrap();
        let metadata = std::fs::metadata(folder.join("file")).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (12345, 12346));
        let secret = folder.join("secret");
        std::fs::write(&secret, b"x").unwrap();
        std::os::unix::fs::chown(&secret, Some(0), Some(0)).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o640);
        std::fs::set_permissions(&secret, mode).unwrap();
        assert!(as_owner(Some(&owner), || std::fs::read(&secret)).unwrap().is_err());
        assert!(std::fs::read(&secret).is_ok(), "root again");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
