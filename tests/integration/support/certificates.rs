//! Certificates for a database, from an authority that exists for one test.

use std::path::{Path, PathBuf};
use std::process::Command;

use codeccloud::clock::SystemIds;
use codeccloud_actors::ports::Ids;

use super::TestDir;

pub struct Authority {
    dir: TestDir,
}

impl Authority {
    pub fn new() -> Authority {
        let dir = TestDir::new();
        std::fs::create_dir_all(dir.path()).unwrap();
        let authority = Authority { dir };
        // Each under a name of its own, so that a stranger is told from one whose signature is wrong.
        let name = format!("/CN=Authority {}", SystemIds.uuid());
        let subject = ["-subj", &name, "-addext", "basicConstraints=critical,CA:TRUE"];
        authority
            .openssl(&[&KEY[..], &["-x509", "-days", "2", "-keyout", "ca.key", "-out", "ca.pem"], &subject].concat());
        authority
    }

    /// What clients have to trust.
    pub fn file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Makes `server.crt` and `server.key` for a host by its name and address.
    pub fn issue(&self, name: &str, address: &str) -> &Path {
        let extensions = format!("basicConstraints=CA:FALSE\nsubjectAltName=DNS:{name},IP:{address}\n");
        std::fs::write(self.dir.path().join("extensions"), extensions).unwrap();
        self.sign(&["-extfile", "extensions"])
    }

    /// The same without extensions, which makes it a certificate of the first version.
    pub fn issue_old(&self) -> &Path {
        self.sign(&[])
    }

    fn sign(&self, extensions: &[&str]) -> &Path {
        self.openssl(&[&KEY[..], &["-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=A database"]].concat());
        let signed = ["x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
        self.openssl(&[&signed[..], &["-days", "2", "-out", "server.crt"], extensions].concat());
        self.dir.path()
    }

    fn openssl(&self, arguments: &[&str]) {
        let output = Command::new("openssl").current_dir(self.dir.path()).args(arguments).output().unwrap();
        assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

const KEY: [&str; 6] = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
