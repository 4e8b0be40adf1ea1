use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use aes_gcm::aead::Generate;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;

use super::values::{master_key, optional_secret};
use super::{Secret, Settings};

/// What a server on its embedded database makes for itself, so that it runs without set-up and yet has no secret that
/// others know. Without the master key the vault can't be read: it belongs into every backup.
#[derive(Debug, Clone)]
pub struct GeneratedSecrets {
    pub jwt_secret: Secret<String>,
    pub master_key: Secret<[u8; 32]>,
}

#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{}: expected jwt_secret, and vault_master_key with 32 bytes in base64; restore it from a backup", path.display())]
    Malformed { path: PathBuf },
}

impl Settings {
    /// Fills in the secrets that nobody has set from those in the data directory. Only for the embedded database: with
    /// another one, every server of a deployment needs the same secrets.
    pub fn with_generated_secrets(mut self) -> Result<Settings, SecretsError> {
        let generated = load_or_create(&self.data.dir)?;
        self.auth.jwt_secret.get_or_insert(generated.jwt_secret);
        self.vault.master_key.get_or_insert(generated.master_key);
        Ok(self)
    }
}

/// Of several processes that start at once, all get the secrets of the first.
pub fn load_or_create(data_dir: &Path) -> Result<GeneratedSecrets, SecretsError> {
    let path = data_dir.join("secrets.toml");
    let failed = |error| SecretsError::Io { path: path.clone(), error };
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(data_dir).and_then(|()| create(data_dir, &path)).map_err(failed)?;
            fs::read_to_string(&path)
        }
        read => read,
    };
    parse(&text.map_err(failed)?).ok_or_else(|| SecretsError::Malformed { path: path.clone() })
}

#[derive(Deserialize)]
struct SecretsFile {
    #[serde(deserialize_with = "optional_secret")]
    jwt_secret: Option<Secret<String>>,
    #[serde(deserialize_with = "master_key")]
    vault_master_key: Option<Secret<[u8; 32]>>,
}

fn parse(text: &str) -> Option<GeneratedSecrets> {
    let file: SecretsFile = toml::from_str(text).ok()?;
    Some(GeneratedSecrets { jwt_secret: file.jwt_secret?, master_key: file.vault_master_key? })
}

/// Linked into place only once it is complete and on disk: a crash leaves no half a file, and a second process doesn't
/// replace what the first one made.
fn create(data_dir: &Path, path: &Path) -> io::Result<()> {
    let draft = data_dir.join(format!("secrets.toml.{}", std::process::id()));
    write_draft(&draft)?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => File::open(data_dir)?.sync_all(),
    }
}

fn write_draft(draft: &Path) -> io::Result<()> {
    let random = || <[u8; 32]>::try_generate().map(|bytes| BASE64.encode(bytes)).map_err(io::Error::other);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(draft)?;
    let (jwt_secret, master_key) = (random()?, random()?);
    write!(
        file,
        "# Made by the server for its embedded database. Keep it with every backup: without the master key, the customers'\n\
         # data can't be read.\n\
         jwt_secret = \"{jwt_secret}\"\n\
         vault_master_key = \"{master_key}\"\n"
    )?;
    file.sync_all()
}
