use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use aes_gcm::aead::Generate;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;

use super::values::{optional_secret, symmetric_key};
use super::{Secret, Settings};

/// What a server on its embedded database makes for itself, so that it runs without set-up and yet has no secret that
/// others know. Without the master key the vault can't be read: it belongs into every backup.
#[derive(Debug, Clone)]
pub struct GeneratedSecrets {
    pub jwt_secret: Secret<String>,
    pub master_key: Secret<[u8; 32]>,
    pub audit_seal_key: Secret<[u8; 32]>,
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
        self.audit.seal_key.get_or_insert(generated.audit_seal_key);
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
    let malformed = || SecretsError::Malformed { path: path.clone() };
    let mut file = SecretsFile::parse(&text.map_err(failed)?).ok_or_else(malformed)?;
    if file.audit_seal_key.is_none() {
        file = SecretsFile::parse(&complete(&path).map_err(failed)?).ok_or_else(malformed)?;
    }
    file.complete().ok_or_else(malformed)
}

#[derive(Deserialize)]
struct SecretsFile {
    #[serde(deserialize_with = "optional_secret")]
    jwt_secret: Option<Secret<String>>,
    #[serde(deserialize_with = "symmetric_key")]
    vault_master_key: Option<Secret<[u8; 32]>>,
    /// Missing in files of versions that did not seal.
    #[serde(default, deserialize_with = "symmetric_key")]
    audit_seal_key: Option<Secret<[u8; 32]>>,
}

impl SecretsFile {
    /// `None` unless there is what every version has needed.
    fn parse(text: &str) -> Option<SecretsFile> {
        let file: SecretsFile = toml::from_str(text).ok()?;
        (file.jwt_secret.is_some() && file.vault_master_key.is_some()).then_some(file)
    }

    fn complete(self) -> Option<GeneratedSecrets> {
        Some(GeneratedSecrets {
            jwt_secret: self.jwt_secret?,
            master_key: self.vault_master_key?,
            audit_seal_key: self.audit_seal_key?,
        })
    }
}

/// Adds what an older version did not know. Who comes second finds what the first has added. Returns the text.
fn complete(path: &Path) -> io::Result<String> {
    let lock = File::open(path)?;
    lock.lock()?;
    let text = fs::read_to_string(path)?;
    if SecretsFile::parse(&text).is_none_or(|file| file.audit_seal_key.is_some()) {
        return Ok(text);
    }
    let text = format!("{}\naudit_seal_key = \"{}\"\n", text.trim_end(), random_key()?);
    let draft = path.with_extension(format!("toml.{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    Ok(text)
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
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(draft)?;
    let (jwt_secret, master_key, audit_seal_key) = (random_key()?, random_key()?, random_key()?);
    write!(
        file,
        "# Made by the server for its embedded database. Keep it with every backup: without the master key, the customers'\n\
         # data can't be read.\n\
         jwt_secret = \"{jwt_secret}\"\n\
         vault_master_key = \"{master_key}\"\n\
         audit_seal_key = \"{audit_seal_key}\"\n"
    )?;
    file.sync_all()
}

fn random_key() -> io::Result<String> {
    <[u8; 32]>::try_generate().map(|bytes| BASE64.encode(bytes)).map_err(io::Error::other)
}
