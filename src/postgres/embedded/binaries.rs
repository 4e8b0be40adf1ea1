//! Finds the installed PostgreSQL server.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::EmbeddedError;

/// Overrides the search: the folder that holds `postgres` and `initdb`.
const OVERRIDE: &str = "CODECCLOUD_POSTGRES_BIN";
const OLDEST_MAJOR: u32 = 15;

/// Where packages put server binaries that they keep out of `PATH`: folder, start of a name in it, what follows.
const PACKAGED: [(&str, &str, &str); 5] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/usr/libexec", "postgresql", ""),
    ("/opt/homebrew/opt", "postgresql", "bin"),
    ("/usr/local/opt", "postgresql", "bin"),
];

struct Server {
    bin: PathBuf,
    major: u32,
}

/// The folder of the newest server, or of the very version that `cluster` was made by: a newer one can't open it.
pub(super) fn find(cluster: &Path) -> Result<PathBuf, EmbeddedError> {
    let made_by = std::fs::read_to_string(cluster.join("PG_VERSION")).ok().and_then(|text| text.trim().parse().ok());
    let named = std::env::var_os(OVERRIDE).filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let folders = named.clone().map_or_else(installed, |folder| vec![folder]);
    let servers = || folders.iter().filter_map(|bin| inspect(bin)).filter(|server| server.major >= OLDEST_MAJOR);

    // Of equals, the last is taken: a packaged one rather than its link in `PATH`.
    let newest = servers().rev().max_by_key(|server| server.major);
    match (newest, made_by) {
        (None, _) => Err(named.map_or(EmbeddedError::NotInstalled, EmbeddedError::NotAServer)),
        (Some(newest), None) => Ok(newest.bin),
        (Some(_), Some(needed)) => servers()
            .find(|server| server.major == needed)
            .map(|server| server.bin)
            .ok_or_else(|| EmbeddedError::OtherVersion { cluster: cluster.to_owned(), needed }),
    }
}

fn installed() -> Vec<PathBuf> {
    let packaged = PACKAGED.iter().flat_map(|(folder, prefix, rest)| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries
            .filter(move |entry| entry.file_name().to_string_lossy().starts_with(prefix))
            .map(move |entry| entry.path().join(rest))
    });
    let path = std::env::var_os("PATH").unwrap_or_default();
    packaged.chain(std::env::split_paths(&path)).collect()
}

fn inspect(bin: &Path) -> Option<Server> {
    if !bin.join("initdb").is_file() || !bin.join("postgres").is_file() {
        return None;
    }
    let output = Command::new(bin.join("postgres")).arg("--version").output().ok()?;
    Some(Server { bin: bin.to_owned(), major: major(&String::from_utf8_lossy(&output.stdout))? })
}

/// The 15 of `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`, or of `17rc1`.
fn major(version: &str) -> Option<u32> {
    let number = version.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_major_version_that_servers_print() {
        assert_eq!(major("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), Some(15));
        assert_eq!(major("postgres (PostgreSQL) 17rc1"), Some(17));
        assert_eq!(major("sh: not found"), None);
    }
}
