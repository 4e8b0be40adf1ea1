use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::environment::CONFIG;

/// All that settings are made from, so that loading them reads nothing else.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    pub file: Option<ConfigFile>,
    pub environment: BTreeMap<String, String>,
    /// Key and value, such as `("server.listen", "127.0.0.1:0")`.
    pub flags: Vec<(String, String)>,
    pub is_root: bool,
    /// Of what could not even be read.
    pub faults: Vec<Fault>,
}

#[derive(Debug, Clone)]
pub struct ConfigFile {
    pub path: PathBuf,
    pub text: String,
}

impl Sources {
    /// Those of this process: the only place that reads the environment. `config` is the file that a flag names.
    pub fn of_process(config: Option<PathBuf>, flags: &[(&str, String)]) -> Sources {
        let text = |value: std::ffi::OsString| value.to_string_lossy().into_owned();
        let environment: BTreeMap<_, _> = std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect();
        let named_by_environment = || environment.get(CONFIG).filter(|path| !path.is_empty()).map(PathBuf::from);
        let (file, unread) = match config.or_else(named_by_environment).map(read_file).transpose() {
            Ok(file) => (file, None),
            Err(fault) => (None, Some(fault)),
        };
        Sources {
            file,
            environment,
            flags: flags.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect(),
            is_root: nix::unistd::geteuid().is_root(),
            faults: Vec::from_iter(unread),
        }
    }
}

fn read_file(path: PathBuf) -> Result<ConfigFile, Fault> {
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(ConfigFile { path, text }),
        Err(error) => {
            Err(Fault { source: Source::File(path), key: String::new(), problem: format!("can't be read: {error}") })
        }
    }
}

/// One thing wrong with the configuration. It never shows the value, which may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub source: Source,
    /// Such as `server.listen`; empty when the whole source is at fault.
    pub key: String,
    pub problem: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            return write!(f, "{}: {}", self.source, self.problem);
        }
        write!(f, "{}: {}: {}", self.source, self.key, self.problem)
    }
}

/// Who set a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Default,
    File(PathBuf),
    /// The name of the variable.
    Environment(String),
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => write!(f, "default"),
            Source::File(path) => write!(f, "{}", path.display()),
            Source::Environment(name) => write!(f, "environment {name}"),
            Source::Flag => write!(f, "command line"),
        }
    }
}
