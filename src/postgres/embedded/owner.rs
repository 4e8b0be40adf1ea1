//! The user of the operating system that PostgreSQL runs as: ourselves, or an unprivileged one when we are root, since
//! PostgreSQL refuses to run as root.

use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Stdio;

use nix::unistd::{Gid, Uid, User};
use tokio::process::Command;

use super::EmbeddedError;
use super::error::io;

#[derive(Debug, Clone, Copy)]
pub(super) struct Owner {
    uid: Uid,
    gid: Gid,
}

impl Owner {
    /// Who runs the database kept in `home`. Run by root, a database keeps the user that it was made for.
    pub fn of(home: &Path) -> Result<Owner, EmbeddedError> {
        if !Uid::effective().is_root() {
            return Ok(Owner { uid: Uid::effective(), gid: Gid::effective() });
        }
        if let Ok(metadata) = home.symlink_metadata()
            && metadata.uid() != 0
        {
            return Ok(Owner { uid: Uid::from_raw(metadata.uid()), gid: Gid::from_raw(metadata.gid()) });
        }
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .filter(|user| !user.uid.is_root())
            .map(|user| Owner { uid: user.uid, gid: user.gid })
            .ok_or(EmbeddedError::NoUnprivilegedUser)
    }

    /// A command run as this user, in `/` and with a bare environment: our own holds secrets, and may hold `PG…`
    /// variables that are meant for other databases.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/").env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8");
        command.stdin(Stdio::null());
        if Uid::effective().is_root() {
            // The standard library clears root's supplementary groups along with a change of the user.
            command.uid(self.uid.as_raw()).gid(self.gid.as_raw());
        }
        command
    }

    /// Makes `directory` with mode 0700 for this user. One that is there already must be its own.
    pub fn make_private_directory(&self, directory: &Path) -> Result<(), EmbeddedError> {
        match DirBuilder::new().mode(0o700).create(directory) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(io("create", directory)(error)),
            Ok(()) | Err(_) => {}
        }
        // Not following a link: in a shared folder somebody else could have put one there.
        let metadata = directory.symlink_metadata().map_err(io("inspect", directory))?;
        let (found, expected) = (metadata.uid(), self.uid.as_raw());
        let just_made_by_root = found == 0 && Uid::effective().is_root();
        if !metadata.is_dir() || (found != expected && !just_made_by_root) {
            return Err(EmbeddedError::ForeignDirectory { directory: directory.to_owned(), found, expected });
        }
        let permissions = PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(directory, permissions).map_err(io("protect", directory))?;
        if found != expected {
            std::os::unix::fs::chown(directory, Some(expected), Some(self.gid.as_raw()))
                .map_err(io("hand over", directory))?;
        }
        Ok(())
    }

    /// Fails with the outermost directory on the way to `directory` that this user can't enter. Asked by trying,
    /// because access control lists don't show in the mode.
    pub async fn check_can_enter(&self, directory: &Path) -> Result<(), EmbeddedError> {
        if self.can_enter(directory).await? {
            return Ok(());
        }
        let mut blocked = directory;
        while let Some(parent) = blocked.parent()
            && !self.can_enter(parent).await?
        {
            blocked = parent;
        }
        Err(EmbeddedError::NotTraversable { directory: blocked.to_owned(), uid: self.uid.as_raw() })
    }

    async fn can_enter(&self, directory: &Path) -> Result<bool, EmbeddedError> {
        let mut probe = self.command(Path::new("/bin/sh"));
        probe.args(["-c", "test -x \"$0\""]).arg(directory);
        Ok(probe.status().await.map_err(io("probe", directory))?.success())
    }
}
