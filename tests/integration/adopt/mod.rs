//! `schema adopt` on databases that existing deployments run.

mod damages;
mod differences;
mod everybody;
mod figures;
mod interrupted;
pub mod owners;
mod pooler;
mod report;
mod rows;
mod serving;
mod totals;
mod triggers;
mod writers;

use std::process::{Command, Output};

use serde_json::Value;

use self::owners::SECRETS;
use crate::support::mvp::MvpDatabase;
use crate::support::{Mode, command_on};

fn codeccloud(database: &MvpDatabase, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_codeccloud"));
    command.env("DATABASE_URL", database.url()).args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// What `schema adopt --json` says, and whether it exits with success.
fn adopt(database: &MvpDatabase, arguments: &[&str]) -> (Value, bool) {
    let output = codeccloud(database, &[&["schema", "adopt", "--json"], arguments].concat());
    let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)));
    (document, output.status.success())
}

pub fn adopted(database: &MvpDatabase) -> Value {
    let (document, holds) = adopt(database, &[]);
    assert!(holds && document["outcome"] == "adopted", "{document:#}");
    document
}

/// The differences of a grade, as `object: text`.
fn of_grade(document: &Value, grade: &str) -> Vec<String> {
    let all = document["differences"].as_array().unwrap().iter();
    all.filter(|one| one["grade"] == grade)
        .map(|one| format!("{}: {}", one["object"].as_str().unwrap(), one["text"].as_str().unwrap()))
        .collect()
}

/// For a server on an adopted database. The salons that it brings along are in the mode; the deployment's own stay as they are.
pub fn command_for(database: &MvpDatabase, mode: Mode, more: &[(&str, &str)]) -> Command {
    let environment = [&SECRETS[..], &[mode.feature(), ("CODECCLOUD_LOG_FILTER", "warn")], more].concat();
    command_on(&database.url(), &environment)
}
