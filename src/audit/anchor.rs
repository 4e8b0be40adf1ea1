//! The newest seal, kept outside of the database: whoever cuts off the end of the log and its seals with it leaves a chain
//! that is whole, only shorter.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Seal;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    pub number: i64,
    /// In hexadecimal digits.
    pub seal: String,
    /// The highest id of the entries in that seal.
    pub entry: i64,
}

impl Anchor {
    pub fn of(seal: &Seal) -> Anchor {
        let digits = seal.seal.iter().map(|byte| format!("{byte:02x}")).collect();
        Anchor { number: seal.number, seal: digits, entry: seal.newest_entry() }
    }

    /// `None` where nothing was noted yet.
    pub fn read(path: &Path) -> io::Result<Option<Anchor>> {
        match fs::read(path) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes the place of what was noted before, as a whole or not at all.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        let draft = path.with_extension(format!("draft-{}", std::process::id()));
        let mut file = File::create(&draft)?;
        serde_json::to_writer(&mut file, self)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&draft, path)
    }
}
