//! What the install scripts do on a machine that has nothing yet, played with a package manager that only takes notes.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

#[test]
fn what_the_tests_call_is_installed_where_it_is_missing() {
    let path = std::env::temp_dir().join(format!("codeccloud-bare-machine-{}", std::process::id()));
    std::fs::create_dir_all(&path).expect("a temporary directory");
    for (name, target) in [("bash", "/bin/bash"), ("env", "/usr/bin/env"), ("dirname", "/usr/bin/dirname")] {
        symlink(target, path.join(name)).expect("an empty directory");
    }
    stub(&path, "id", "echo 0");
    stub(&path, "apt-get", &format!("echo \"$*\" >>{}/asked", path.display()));
    stub(&path, "python3", "[ \"$1\" = -m ]");
    let tools = path.join("tools");
    std::fs::create_dir_all(tools.join("bin")).expect("it is ours");
    stub(&tools.join("bin"), "python", "exit 1");
    stub(&tools.join("bin"), "pip", &format!("echo \"pip $*\" >>{}/asked", path.display()));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/install-test-tools.sh");
    let ended =
        Command::new(script).env("PATH", &path).env("CODECCLOUD_TEST_TOOLS", &tools).output().expect("bash is there");
    let asked = std::fs::read_to_string(path.join("asked")).unwrap_or_default();
    std::fs::remove_dir_all(&path).expect("it is ours");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let installed = asked.lines().find(|line| line.starts_with("install ")).unwrap_or_default();
    for package in ["curl", "jq", "openssl", "chromium", "python3", "python3-venv", "redis-server"] {
        assert!(installed.split(' ').any(|word| word == package), "{package} is not installed: {asked}");
    }
    assert!(asked.contains("pip install") && asked.contains("standardwebhooks"), "{asked}");
}

fn stub(directory: &Path, name: &str, line: &str) {
    let path = directory.join(name);
    std::fs::write(&path, format!("#!/bin/bash\n{line}\n")).expect("a writable directory");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
}
