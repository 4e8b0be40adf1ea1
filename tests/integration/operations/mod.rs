//! What operators do, through the real command line, while real servers run.

mod members;
mod projections;
mod runbook;
mod schema;
mod tokens;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn codeccloud(data_dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_codeccloud"));
    command.arg("--data-dir").arg(data_dir).env_remove("DATABASE_URL").args(arguments).output().unwrap()
}

fn succeeds(data_dir: &Path, arguments: &[&str]) -> String {
    let output = codeccloud(data_dir, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output));
    text(&output)
}

fn fails(data_dir: &Path, arguments: &[&str]) -> String {
    let output = codeccloud(data_dir, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", text(&output));
    text(&output)
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The rows of `projections status`.
fn status(data_dir: &Path) -> Vec<Value> {
    let output = codeccloud(data_dir, &["projections", "status", "--json"]);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output)))
}
